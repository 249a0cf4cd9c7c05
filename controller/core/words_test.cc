// Each refusal and each trip has words that name the cause and what ends it.
#include "controller/core/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "controller/core/condition_table.h"

namespace faraday::controller {
namespace {

using testing::HasSubstr;

TEST(Words, TripsInPeoplesUnits) {
  using link::TripReason;
  EXPECT_EQ(TripText(TripReason::kOverCurrent, 2410, 2000), "over-current 2.41 A > 2.00 A");
  EXPECT_EQ(TripText(TripReason::kOverTemperature, 512, 500), "over-temperature 51.2 degC > 50.0 degC");
  EXPECT_EQ(TripText(TripReason::kFastRise, 104, 100), "fast-rise 10.4 K > 10.0 K in a minute");
  EXPECT_EQ(TripText(TripReason::kHotSwap, 0x8021, 0), "hot-swap-cut-off (status 0x8021)");
  EXPECT_EQ(TripText(TripReason::kStaleSensor, 0, 0), "stale-sensor");
  EXPECT_EQ(TripNext(TripReason::kOverCurrent, "r01/07"), "inspect the cable, then: faraday slot clear r01/07");
}

TEST(Words, EveryConditionOfTheLinkHasARowAndANextStep) {
  for (int i = 1; i <= static_cast<int>(link::Condition::kLogLost); ++i) {
    const ConditionRow* row = RowOf(static_cast<link::Condition>(i));
    ASSERT_NE(row, nullptr) << i;
    EXPECT_FALSE(row->name.empty() || row->next.empty()) << i;
    EXPECT_FALSE(ConditionNext(*row, "r01/07").empty());
  }
  EXPECT_EQ(ConditionName(static_cast<link::Condition>(77)), "unknown");
}

TEST(Words, ConditionsInPeoplesUnits) {
  using link::Condition;
  EXPECT_EQ(ConditionText(Condition::kTrayWarm, 412, 400), "tray-warm 41.2 degC > 40.0 degC");
  EXPECT_EQ(ConditionText(Condition::kOverVoltage, 5610, 5500), "over-voltage 5.61 V > 5.50 V");
  EXPECT_EQ(ConditionText(Condition::kRailSag, 4810, 2), "rail-sag 4.81 V");
  EXPECT_EQ(ConditionText(Condition::kRelayStuck, 0, 0), "relay-stuck");
}

TEST(Words, BlockedNamesCauseAndEnd) {
  link::Reply reply;
  reply.verdict = link::Verdict::kBlocked;
  for (int i = 1; i <= static_cast<int>(link::BlockCause::kStopButton); ++i) {
    const auto cause = static_cast<link::BlockCause>(i);
    reply.value = static_cast<uint32_t>(i);
    const std::string blocked = BlockedText(cause, "rail A", "r01");
    const Status status = VerdictStatus("r01/07: power on", reply, blocked);
    EXPECT_EQ(status.message(), "r01/07: power on: " + blocked);
    EXPECT_EQ(status.code(), cause == link::BlockCause::kHostSilent ? Code::kUnavailable : Code::kFailedPrecondition);
  }
  EXPECT_THAT(BlockedText(link::BlockCause::kInput, "input door", "r01"), HasSubstr("input door"));
  EXPECT_THAT(BlockedText(link::BlockCause::kStopButton, "", "r01"), HasSubstr("faraday rack resume r01"));
}

TEST(Words, CancelledNamesItsCause) {
  link::CommandDone done;
  done.code = link::DoneCode::kCancelled;
  std::set<std::string> seen;
  for (int i = 0; i <= static_cast<int>(link::CancelCause::kWaitedTooLong); ++i) {
    done.cause = static_cast<link::CancelCause>(i);
    const Status status = DoneStatus("r01/07: power on", done);
    EXPECT_EQ(status.code(), Code::kAborted);
    EXPECT_TRUE(seen.insert(status.message()).second) << status.message();
  }
}

}  // namespace
}  // namespace faraday::controller
