// Restarts, clocks, epochs in doubt, and a store that fails.
#include "controller/core/rack_fixture.h"

namespace faraday::controller {
namespace {

// ---- restarts and clocks --------------------------------------------------------------------------------------------

TEST_F(RackTest, KilledAndRestarted_LeaseGoesOnWhateverUtcDid) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana", minutes(10)).ok());
  for (const Milliseconds step : {Milliseconds(std::chrono::hours(26)), -Milliseconds(std::chrono::hours(50))}) {
    Kill();
    now.boot += minutes(1);
    now.utc.since_epoch += step;
    Start("boot-1");
    EXPECT_EQ(book->at(3).epoch, 2u);
    EXPECT_EQ(book->at(3).holder, "ana");
  }
  EXPECT_EQ(book->LeftOf(3, now), minutes(8));
  Connect();
  EXPECT_TRUE(Power("r01/03", 2, As("ana")).ok());
}

TEST_F(RackTest, UtcSteps_ChangeNoLease) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana", minutes(10)).ok());
  Advance(seconds(5), std::chrono::hours(48));
  EXPECT_EQ(book->at(3).phase, Phase::kLeased);
  EXPECT_EQ(book->LeftOf(3, now), minutes(10) - seconds(5));
}

TEST_F(RackTest, OtherBoot_UsesUtcClampedToWhatWasGranted) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana", minutes(10)).ok());
  Kill();
  now.boot = BootTime(seconds(5));
  now.utc.since_epoch += minutes(3);
  Start("boot-2");
  EXPECT_EQ(book->LeftOf(3, now), minutes(7));
  Kill();
  now.utc.since_epoch -= std::chrono::hours(30);
  Start("boot-3");
  EXPECT_EQ(book->LeftOf(3, now), minutes(10)) << "never more than was granted";
}

TEST_F(RackTest, OtherBoot_TheMcuThatKeptCountingKnowsBetter) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana", minutes(10)).ok());
  Kill();
  now.boot = BootTime(seconds(5));
  Start("boot-2");
  board.At(3).left_ms = 242'000;
  Connect();
  EXPECT_EQ(book->LeftOf(3, now), minutes(4));
}

TEST_F(RackTest, KilledInMidGrant_TheGrantIsVoid) {
  Connect();
  AcquireRequest request;
  request.slot = "r01/03";
  request.purpose = Purpose::kPerson;
  bool answered = false;
  rack->grants().Acquire(
      As("ana"), request, [&](const Result<LeaseView>&, Now) { answered = true; }, now);
  EXPECT_EQ(store.tenures[3].phase, Phase::kGranting);
  EXPECT_FALSE(answered);
  board.At(3).epoch = 2;  // the board heard it
  Kill();
  Start("boot-1");
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
  EXPECT_EQ(book->at(3).epoch, 3u);
  Connect();
  EXPECT_EQ(board.At(3).epoch, 3u);
}

TEST_F(RackTest, FirmwareEpochAbove_VoidsTheStoredLease) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  Kill();
  board.At(3).epoch = 9;
  Start("boot-1");
  Connect();
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
  EXPECT_EQ(book->at(3).epoch, 10u);
  EXPECT_THAT(store.audit.back().text, HasSubstr("void: the board has epoch 9, the store had 2"));
}

TEST_F(RackTest, FirmwareEpochAbove_WinsThoughAnotherCellIsLost) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  Kill();
  board.nvm_lost = true;
  board.At(1).epoch = 0;
  board.At(3).epoch = 9;
  Start("boot-1");
  Connect();
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
  EXPECT_EQ(book->at(3).epoch, 10u);
  EXPECT_EQ(board.At(3).epoch, 10u);
}

TEST_F(RackTest, LargestEpoch_NeverWraps) {
  board.At(3).epoch = UINT32_MAX;
  Connect();
  EXPECT_EQ(View(3).health.health, Health::kMaintenance);
  EXPECT_EQ(book->at(3).epoch, UINT32_MAX);
}

TEST_F(RackTest, EpochJump_IsMaintenanceUntilTechConfirms) {
  board.At(3).epoch = 100'000;
  Connect();
  EXPECT_EQ(View(3).health.health, Health::kMaintenance);
  EXPECT_EQ(Acquire("r01/03", "ana").status().code(), Code::kFailedPrecondition);
  std::optional<Status> cleared;
  rack->switching().Clear(
      As("tina", Role::kTech),
      "r01/03",
      "board replaced",
      [&](const Result<SlotView>& view, Now) { cleared = view.status(); },
      now);
  Advance(seconds(2));
  ASSERT_TRUE(cleared);
  EXPECT_TRUE(cleared->ok()) << cleared->message();
  const auto lease = Acquire("r01/03", "ana");
  ASSERT_TRUE(lease.ok()) << lease.status().message();
  EXPECT_GT(lease->tenure.epoch, 100'000u);
}

TEST_F(RackTest, BlankMcuTable_TakesTheStoresEpochs) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  board.Reset();
  board.nvm_lost = true;
  board.At(3).epoch = 0;
  line->Down("the board has reset", now);
  Connect();
  EXPECT_EQ(board.At(3).epoch, 2u);
  EXPECT_EQ(book->at(3).holder, "ana");
}

TEST_F(RackTest, AgentsEpoch_IsAWitness) {
  Connect();
  ASSERT_TRUE(
      rack->agent_calls().Report({"h01", Role::kAgent, ""}, {"h01", "h01", {}, {}, {{"r01/01", 41}}}, now).ok());
  EXPECT_EQ(Acquire("r01/01", "ana")->tenure.epoch, 42u);
}

TEST_F(RackTest, SlotsThatAreNotItsHosts_AreRefusedByNameTheRestCounts) {
  Connect();
  DeviceFacts facts;
  facts.adb_state = "device";
  facts.serial = "FORGED";
  facts.read_at = now.boot;
  const Status told = rack->agent_calls().Report(
      {"h01", Role::kAgent, ""},
      {"h01", "h01", {{"r01/03", facts}, {"r01/01", facts}}, {{"r01/04", 1}}, {{"r01/03", 41}, {"r01/02", 41}}},
      now);
  EXPECT_EQ(told.code(), Code::kPermissionDenied);
  EXPECT_THAT(told.message(), HasSubstr("r01/03 is not a slot of host h01"));
  EXPECT_FALSE(View(3).device.has_value());
  ASSERT_TRUE(View(1).device.has_value());
  EXPECT_EQ(View(1).device->serial, "FORGED");
  EXPECT_EQ(Acquire("r01/03", "ana")->tenure.epoch, 2u) << "no forged witness";
  EXPECT_EQ(Acquire("r01/02", "ana")->tenure.epoch, 42u);
  EXPECT_EQ(Cleared("r01/04", 1).code(), Code::kPermissionDenied);
}

TEST_F(RackTest, AgentsEpochFarAbove_IsNotBelieved) {
  Connect();
  const auto report = [&](uint32_t epoch) {
    return rack->agent_calls().Report({"h01", Role::kAgent, ""}, {"h01", "h01", {}, {}, {{"r01/01", epoch}}}, now);
  };
  EXPECT_EQ(report(UINT32_MAX).code(), Code::kInvalidArgument);
  EXPECT_THAT(report(1 + kLargestEpochJump + 1).message(), HasSubstr("r01/01: epochs_seen 65538"));
  EXPECT_EQ(Acquire("r01/01", "ana")->tenure.epoch, 2u);
}

// ---- store ----------------------------------------------------------------------------------------------------------

TEST_F(RackTest, StoreFails_NothingIsGranted) {
  Connect();
  store.failing = true;
  const auto lease = Acquire("r01/03", "ana");
  EXPECT_EQ(lease.status().code(), Code::kUnavailable);
  EXPECT_THAT(lease.status().message(), HasSubstr("not granted: store: disk full"));
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
  EXPECT_EQ(board.At(3).epoch, 1u);
}

TEST_F(RackTest, StoreFailsAfterTheBoardAgreed_TheGrantIsVoid) {
  Connect();
  store.fail_at = store.commits + 2;  // `granting` is stored, `leased` is not
  const auto lease = Acquire("r01/03", "ana");
  EXPECT_EQ(lease.status().code(), Code::kUnavailable);
  Advance(seconds(2));
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
  EXPECT_EQ(book->at(3).epoch, 3u);
  EXPECT_EQ(board.At(3).epoch, 3u);
  EXPECT_TRUE(Acquire("r01/03", "bo").ok());
}

TEST_F(RackTest, StoreFailsAtTheEnd_TheLeaseIsOverAllTheSame) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana", seconds(10)).ok());
  store.failing = true;
  Advance(seconds(12));
  EXPECT_EQ(Power("r01/03", 2, As("ana")).code(), Code::kPermissionDenied);
  EXPECT_EQ(rack->grants().Renew(As("ana"), "r01-03-2", minutes(1), now).status().code(), Code::kNotFound);
  store.failing = false;
  Advance(seconds(2));
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
}

}  // namespace
}  // namespace faraday::controller
