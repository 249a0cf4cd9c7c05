// Agents, care and labs.
#include "controller/core/rack_fixture.h"

namespace faraday::controller {
namespace {

TEST_F(RackTest, Discovery_ConnectsUntilFactsComeThenRests) {
  Connect();
  ASSERT_TRUE(Report("r01/01", "unknown").ok());
  Advance(seconds(1));
  EXPECT_TRUE(board.At(1).vbus);
  EXPECT_EQ(board.At(1).data, link::DataPath::kHost);
  EXPECT_TRUE(rack->agent_calls().SlotsFor("h01", now).at(0).discover);
  EXPECT_EQ(board.At(3).data, link::DataPath::kOpen) << "no host, no discovery";
  ASSERT_TRUE(Report("r01/01", "device", true).ok());
  line->Run(now);
  EXPECT_EQ(board.At(1).data, link::DataPath::kOpen);
  EXPECT_TRUE(board.At(1).safe);
  EXPECT_FALSE(rack->agent_calls().SlotsFor("h01", now).at(0).discover);
  EXPECT_EQ(board.At(1).epoch, 1u);
}

TEST_F(RackTest, Discovery_EndsByItself) {
  Connect();
  ASSERT_TRUE(Report("r01/01", "unknown").ok());
  Advance(seconds(46));
  EXPECT_EQ(board.At(1).data, link::DataPath::kOpen);
  EXPECT_TRUE(board.At(1).safe);
}

TEST_F(RackTest, LineLostInDiscovery_TheSlotGoesToItsSafeState) {
  Connect();
  ASSERT_TRUE(Report("r01/01", "unknown").ok());
  Advance(seconds(1));
  ASSERT_EQ(board.At(1).data, link::DataPath::kHost);
  line->Down("cut", now);
  line->Up(now);
  line->Run(now);
  EXPECT_EQ(board.At(1).data, link::DataPath::kOpen);
  EXPECT_TRUE(board.At(1).safe);
}

TEST_F(RackTest, SlotInDiscovery_IsLeasedAtOnce) {
  Connect();
  ASSERT_TRUE(Report("r01/01", "unknown").ok());
  Advance(seconds(1));
  const auto lease = Acquire("r01/01", "ana");
  ASSERT_TRUE(lease.ok()) << lease.status().message();
  Advance(seconds(60));
  EXPECT_EQ(board.At(1).epoch, 2u);
  EXPECT_EQ(board.At(1).data, link::DataPath::kHost) << "the abandoned discovery switches nothing any more";
}

TEST_F(RackTest, Cleaning_EndsWithTheAgentsWordOnly) {
  Connect();
  ASSERT_TRUE(Report("r01/01", "absent").ok());
  ASSERT_TRUE(Acquire("r01/01", "ana").ok());
  ASSERT_TRUE(rack->grants().Release(As("ana"), {"r01-01-2", false, ""}, now).ok());
  EXPECT_EQ(View(1).allocation, Allocation::kCleaning);
  const SyncSlot slot = rack->agent_calls().SlotsFor("h01", now).at(0);
  EXPECT_TRUE(slot.needs_clearing);
  EXPECT_EQ(slot.clearing_epoch, 2u);
  EXPECT_EQ(Acquire("r01/01", "bo").status().code(), Code::kFailedPrecondition);
  ASSERT_TRUE(Cleared("r01/01", 1).ok());
  EXPECT_EQ(View(1).allocation, Allocation::kCleaning) << "an older epoch's word";
  EXPECT_EQ(Cleared("r01/01", 2, "mallory").code(), Code::kPermissionDenied);
  ASSERT_TRUE(Cleared("r01/01", 2).ok());
  EXPECT_EQ(View(1).allocation, Allocation::kFree);
}

TEST_F(RackTest, SilentAgent_MakesTheSlotSuspectUntilItSpeaks) {
  Connect();
  ASSERT_TRUE(Report("r01/01", "absent").ok());
  ASSERT_TRUE(Acquire("r01/01", "ana").ok());
  ASSERT_TRUE(rack->grants().Release(As("ana"), {"r01-01-2", false, ""}, now).ok());
  Advance(seconds(31));
  EXPECT_EQ(View(1).health.health, Health::kSuspect);
  EXPECT_THAT(View(1).reason, HasSubstr("agent lost: no word from h01 for 31 s"));
  ASSERT_TRUE(Cleared("r01/01", 2).ok());
  EXPECT_EQ(View(1).health.health, Health::kGood);
}

TEST_F(RackTest, Jobs_WaitForAnAgentThatHasReported) {
  Connect();
  EXPECT_EQ(Acquire("r01/01", "lab", minutes(1), Purpose::kJob).status().code(), Code::kUnavailable);
  ASSERT_TRUE(Report("r01/01", "absent").ok());
  const auto lease = Acquire("r01/01", "lab", minutes(30), Purpose::kJob);
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(lease->left, seconds(60)) << "a job's lease is always 60 s";
}

TEST_F(RackTest, Sync_ShowsAGrantOnlyWhenItStands) {
  Connect();
  AcquireRequest request;
  request.slot = "r01/01";
  request.purpose = Purpose::kPerson;
  rack->grants().Acquire(
      As("ana"), request, [](const Result<LeaseView>&, Now) {}, now);
  EXPECT_EQ(rack->agent_calls().SlotsFor("h01", now).at(0).holder, "care");
  line->Run(now);
  const SyncSlot slot = rack->agent_calls().SlotsFor("h01", now).at(0);
  EXPECT_EQ(slot.holder, "ana");
  EXPECT_EQ(slot.lease, "r01-01-2");
  EXPECT_EQ(slot.adb, "127.0.0.1:5601");
}

TEST_F(RackTest, OnlyALabGrants_WhenTheConfigSaysSo) {
  config.controller.grants_users = false;
  Connect();
  EXPECT_EQ(Acquire("r01/03", "ana").status().code(), Code::kPermissionDenied);
  AcquireRequest request;
  request.slot = "r01/03";
  request.purpose = Purpose::kPerson;
  request.on_behalf_of = Caller{"ana", Role::kUser, "modem"};
  std::optional<Result<LeaseView>> answer;
  rack->grants().Acquire(
      As("lab", Role::kLab), request, [&](Result<LeaseView> lease, Now) { answer = std::move(lease); }, now);
  line->Run(now);
  ASSERT_TRUE(answer && answer->ok());
  EXPECT_EQ((*answer)->tenure.holder, "ana");
  EXPECT_TRUE(Power("r01/03", 2, As("ana")).ok());
  EXPECT_TRUE(rack->grants().Release(As("lab", Role::kLab), {"r01-03-2", false, ""}, now).ok());
}

}  // namespace
}  // namespace faraday::controller
