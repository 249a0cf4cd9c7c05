// What is measured, trips, stops and clears of one slot.
#include "controller/core/rack_fixture.h"

namespace faraday::controller {
namespace {

TEST_F(RackTest, RelayStuck_IsAMismatchByNameAndNotOffered) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  board.At(3).relay_stuck = true;
  std::optional<Status> answer;
  rack->switching().Switch(
      As("ana"),
      {"r01/03", 2, ShieldLevel{true}, ""},
      [&](const Result<SlotView>& view, Now) { answer = view.status(); },
      now);
  line->Run(now);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code(), Code::kFailedPrecondition);
  EXPECT_THAT(answer->message(), HasSubstr("relay-stuck; measured: VBUS 12 mV 0 mA (off), data open, isolated"));
  EXPECT_EQ(View(3).health.health, Health::kSuspect);
}

TEST_F(RackTest, Trip_KeepsItsFigures) {
  Connect();
  board.At(3).tripped = true;
  board.events.push_back({board.next_event++, 0, link::Tripped{3, link::TripReason::kOverCurrent, 2410, 2000}});
  line->Run(now);
  EXPECT_THAT(View(3).reason,
              testing::MatchesRegex("tripped: over-current 2.41 A > 2.00 A at [0-9]{2}:[0-9]{2}:[0-9]{2}; inspect the "
                                    "cable, then: faraday slot clear r01/03"));
  EXPECT_THAT(events.lines, testing::Contains(HasSubstr("3 slot.tripped " + View(3).reason)));
  EXPECT_EQ(Acquire("r01/03", "ana").status().code(), Code::kFailedPrecondition);
}

TEST_F(RackTest, StaleMeasurements_AreNoKnowledge) {
  Connect();
  EXPECT_TRUE(View(3).fresh);
  talking = false;
  Advance(seconds(2));
  EXPECT_FALSE(View(3).fresh);
  EXPECT_EQ(View(3).reason, "no fresh measurement from the board");
}

TEST_F(RackTest, Stop_NeedsNoLeaseEndsItAndKeepsTheSlotDark) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  ASSERT_TRUE(Power("r01/03", 2, As("ana")).ok());
  std::optional<Status> answer;
  const auto keep = [&](const Result<SlotView>& view, Now) { answer = view.status(); };
  rack->switching().Stop(As("ana"), "r01/03", "smoke", keep, now);
  EXPECT_EQ(answer->code(), Code::kPermissionDenied);
  answer.reset();
  rack->switching().Stop(As("tina", Role::kTech), "r01/03", "smoke", keep, now);
  now.boot += Milliseconds(100);
  line->Run(now);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->ok()) << answer->message();
  EXPECT_FALSE(board.At(3).vbus);
  EXPECT_FALSE(board.At(3).safe) << "charge would switch VBUS on again";
  EXPECT_EQ(View(3).reason, "stopped by tina: smoke; a tech ends it with: faraday slot clear");
  EXPECT_EQ(book->at(3).epoch, 3u);
}

TEST_F(RackTest, StopTheStoreRefuses_StopsAndSaysSo) {
  Connect();
  std::optional<Status> answer;
  store.failing = true;
  rack->switching().Stop(
      As("tina", Role::kTech),
      "r01/03",
      "smoke",
      [&](const Result<SlotView>& view, Now) { answer = view.status(); },
      now);
  line->Run(now);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code(), Code::kUnavailable);
  EXPECT_THAT(answer->message(), HasSubstr("the hardware has stopped, but the stop is not stored"));
  EXPECT_TRUE(std::holds_alternative<link::StopSlot>(board.taken.back().call));
}

TEST_F(RackTest, ClearOnAStoppedBoard_IsRefused) {
  Connect();
  link::Telemetry telemetry = board.Telemetry();
  telemetry.faults = link::kFaultStopped;
  rack->board(0).OnTelemetry(telemetry, now);
  std::optional<Status> answer;
  rack->switching().Clear(
      As("tina", Role::kTech),
      "r01/03",
      "checked",
      [&](const Result<SlotView>& view, Now) { answer = view.status(); },
      now);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code(), Code::kFailedPrecondition);
}

// Every condition that a board can tell has words: none stays a bit.
TEST_F(RackTest, EachBoardConditionHasWords) {
  Connect();
  link::Telemetry telemetry = board.Telemetry();
  for (uint32_t bit = link::kFaultHostSilent; bit <= link::kFaultLog; bit <<= 1) {
    telemetry.faults = bit;
    rack->board(0).OnTelemetry(telemetry, now);
    EXPECT_EQ(rack->views().BoardOf(0).faults.size(), 1U) << "fault bit " << bit;
  }
}

TEST_F(RackTest, AWrongMonitorMakesTheSlotSuspectByItsOwnName) {
  Connect();
  link::Telemetry telemetry = board.Telemetry();
  link::SlotBits bits = link::Unpack(telemetry.state[2]);
  bits.part_missing = bits.wrong_part = true;
  telemetry.state[2] = link::Pack(bits);
  rack->board(0).OnTelemetry(telemetry, now);
  const SlotView view = rack->views().Of(3, now);
  EXPECT_EQ(view.health.health, Health::kSuspect);
  EXPECT_THAT(view.reason, HasSubstr("fit the monitor that the board's table names"));
}

}  // namespace
}  // namespace faraday::controller
