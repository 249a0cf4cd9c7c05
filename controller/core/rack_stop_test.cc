// The stop of the whole rack, and its end.
#include "controller/core/rack_fixture.h"

namespace faraday::controller {
namespace {

using testing::Contains;

class RackStopTest : public RackTest {
 protected:
  void Step(Milliseconds by) {
    now.boot += by;
    line->Run(now);
    rack->OnTime(now);
  }
  Result<RackOutcome> Stop(const CallContext& as, const std::string& reason = "smoke") {
    answer.reset();
    rack->rack_stop().Stop(
        as, reason, [&](Result<RackOutcome> outcome, Now) { answer = std::move(outcome); }, now);
    for (int i = 0; i < 20 && !answer; ++i) Step(Milliseconds(100));
    return answer ? *answer : Result<RackOutcome>(Status{Code::kInternal, "no answer"});
  }
  Result<RackOutcome> Resume(const CallContext& as, const std::string& reason = "false alarm") {
    answer.reset();
    rack->rack_stop().Resume(
        as, reason, [&](Result<RackOutcome> outcome, Now) { answer = std::move(outcome); }, now);
    for (int i = 0; i < 20 && !answer; ++i) Step(Milliseconds(100));
    return answer ? *answer : Result<RackOutcome>(Status{Code::kInternal, "no answer"});
  }
  static CallContext Tech() { return As("tina", Role::kTech); }
  std::optional<Result<RackOutcome>> answer;
};

TEST_F(RackStopTest, TakesEveryOutputEndsEveryLeaseAndAnswersMeasured) {
  Connect();
  const auto lease = Acquire("r01/03", "ana");
  ASSERT_TRUE(Power("r01/03", lease->tenure.epoch, As("ana")).ok());
  const auto outcome = Stop(Tech());
  ASSERT_TRUE(outcome.ok()) << outcome.status().message();
  EXPECT_EQ(outcome->slots_off, 4u);
  EXPECT_EQ(outcome->slots_on, 0u);
  EXPECT_EQ(line->stop_frames, 1);
  EXPECT_FALSE(board.At(3).vbus);
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
  EXPECT_TRUE(rack->views().BoardOf(0).stopped);
  EXPECT_EQ(rack->views().BoardOf(0).conditions.at(0).text, "stopped by tina: smoke");
  EXPECT_EQ(rack->views().BoardOf(0).conditions.at(0).next, "mend the cause, then: faraday rack resume r01");
  EXPECT_EQ(store.stop->user, "tina");
  const auto refused = Acquire("r01/04", "bo");
  EXPECT_EQ(refused.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(refused.status().message(), HasSubstr("stopped by tina: smoke"));
}

TEST_F(RackStopTest, NeedsTechAndReason) {
  Connect();
  EXPECT_EQ(Stop(As("ana")).status().code(), Code::kPermissionDenied);
  EXPECT_EQ(Stop(Tech(), "").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(line->stop_frames, 0);
  EXPECT_FALSE(book->stop());
}

TEST_F(RackStopTest, SlotThatDoesNotFall_IsCountedAsOn) {
  Connect();
  board.At(2).vbus_sticks = true;
  const auto outcome = Stop(Tech());
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->slots_off, 3u);
  EXPECT_EQ(outcome->slots_on, 1u);
}

TEST_F(RackStopTest, StoreFails_HardwareIsStoppedAndTheAnswerSaysSo) {
  Connect();
  store.failing = true;
  const auto outcome = Stop(Tech());
  EXPECT_EQ(outcome.status().code(), Code::kUnavailable);
  EXPECT_THAT(outcome.status().message(), HasSubstr("4 slots measured off, 0 not; the stop is not stored"));
  EXPECT_TRUE(board.stopped);
  EXPECT_TRUE(book->stop()) << "in force all the same";
  EXPECT_FALSE(store.stop);
  store.failing = false;
  for (int i = 0; i < 25; ++i) Step(Milliseconds(100));
  EXPECT_TRUE(store.stop) << "stored as soon as it can be";
}

TEST_F(RackStopTest, ResumeUnderWay_EndsNoNewerStop) {
  Connect();
  ASSERT_TRUE(Stop(Tech()).ok());
  std::optional<Result<RackOutcome>> resumed;
  rack->rack_stop().Resume(
      Tech(), "false alarm", [&](Result<RackOutcome> outcome, Now) { resumed = std::move(outcome); }, now);
  ASSERT_TRUE(Stop(Tech(), "it burns").ok());
  ASSERT_TRUE(resumed);
  EXPECT_EQ(resumed->status().code(), Code::kAborted);
  EXPECT_TRUE(board.stopped);
  EXPECT_EQ(book->stop()->reason, "it burns");
}

TEST_F(RackStopTest, BoardOutOfReach_IsStoppedWhenItComesBack) {
  Connect();
  line->Down("cut", now);
  const auto outcome = Stop(Tech());
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->slots_on, 4u) << "nobody has measured them";
  EXPECT_FALSE(board.stopped);
  Connect();
  EXPECT_TRUE(board.stopped);
}

TEST_F(RackStopTest, OutlivesTheBoardsResetAndTheControllers) {
  Connect();
  ASSERT_TRUE(Stop(Tech()).ok());
  board.Reset();
  line->Down("the board has reset", now);
  Connect();
  EXPECT_TRUE(board.stopped);
  Kill();
  board.Reset();
  Start("boot-1");
  Connect();
  EXPECT_TRUE(board.stopped);
}

TEST_F(RackStopTest, BoardThatHasReset_IsStoppedBeforeItIsConfigured) {
  Connect();
  ASSERT_TRUE(Stop(Tech()).ok());
  board.Reset();
  line->Down("the board has reset", now);
  board.taken.clear();
  Connect();
  ASSERT_THAT(board.taken, testing::Not(IsEmpty()));
  EXPECT_TRUE(std::holds_alternative<link::StopSlot>(board.taken.front().call));
}

TEST_F(RackStopTest, GrantUnderWay_IsVoid) {
  Connect();
  AcquireRequest request;
  request.slot = "r01/03";
  request.purpose = Purpose::kPerson;
  std::optional<Status> granted;
  rack->grants().Acquire(
      As("ana"), request, [&](const Result<LeaseView>& lease, Now) { granted = lease.status(); }, now);
  ASSERT_TRUE(Stop(Tech()).ok());
  ASSERT_TRUE(granted);
  EXPECT_FALSE(granted->ok());
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
}

TEST_F(RackStopTest, Resume_FreesTheSlotsAgain) {
  Connect();
  ASSERT_TRUE(Stop(Tech()).ok());
  EXPECT_EQ(Resume(As("ana")).status().code(), Code::kPermissionDenied);
  const auto outcome = Resume(Tech());
  ASSERT_TRUE(outcome.ok()) << outcome.status().message();
  EXPECT_FALSE(board.stopped);
  EXPECT_FALSE(store.stop);
  EXPECT_FALSE(rack->views().BoardOf(0).stopped);
  EXPECT_TRUE(Acquire("r01/03", "ana").ok());
}

TEST_F(RackStopTest, Resume_IsRefusedWhileButtonOrInputStops) {
  config.inputs = {{"smoke", 0, 1, true, 50, rackconfig::InputAction::kStop, {}, false}};
  Connect();
  ASSERT_TRUE(Stop(Tech()).ok());
  board.faults = link::kFaultStopButton;
  line->Run(now);
  EXPECT_THAT(Resume(Tech()).status().message(), HasSubstr("the stop button of board 0 is pressed; pull it out"));
  board.faults = 0;
  board.inputs = 1U << 1;
  line->Run(now);
  EXPECT_THAT(Resume(Tech()).status().message(), HasSubstr("input smoke is active and stops the rack"));
  EXPECT_TRUE(board.stopped);
  EXPECT_TRUE(book->stop());
  board.inputs = 0;
  line->Run(now);
  EXPECT_TRUE(Resume(Tech()).ok());
}

TEST_F(RackStopTest, Resume_LeavesStoppedSlotsDark) {
  Connect();
  rack->switching().Stop(
      Tech(), "r01/03", "broken", [](const Result<SlotView>&, Now) {}, now);
  line->Run(now);
  ASSERT_TRUE(Stop(Tech()).ok());
  board.At(3).safe = board.At(4).safe = false;
  ASSERT_TRUE(Resume(Tech()).ok());
  EXPECT_FALSE(board.At(3).safe);
  EXPECT_TRUE(board.At(4).safe);
  EXPECT_EQ(View(3).health.health, Health::kMaintenance);
}

TEST_F(RackStopTest, NoDiscoveryWhileStopped) {
  Connect();
  ASSERT_TRUE(Stop(Tech()).ok());
  ASSERT_TRUE(Report("r01/01", "unknown").ok());
  board.taken.clear();
  Advance(seconds(3));
  for (const auto& command : board.taken) EXPECT_FALSE(std::holds_alternative<link::SetVbus>(command.call));
}

TEST_F(RackStopTest, ClearOfOneSlot_NamesTheWayOut) {
  Connect();
  ASSERT_TRUE(Stop(Tech()).ok());
  std::optional<Status> cleared;
  rack->switching().Clear(
      Tech(), "r01/03", "x", [&](const Result<SlotView>& view, Now) { cleared = view.status(); }, now);
  ASSERT_TRUE(cleared);
  EXPECT_THAT(cleared->message(), HasSubstr("faraday rack resume r01"));
}

}  // namespace
}  // namespace faraday::controller
