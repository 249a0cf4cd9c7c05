// The line to a board: lost, refused, reset, in the middle of things.
#include "controller/core/rack_fixture.h"

namespace faraday::controller {
namespace {

TEST_F(RackTest, LineAbsentAtStart_ServesAndSlotsSayWhy) {
  line->Down("/dev/ttyTEST does not exist; check the cable, the controller retries", now);
  EXPECT_EQ(View(1).reason, "no line to board 0: /dev/ttyTEST does not exist; check the cable, the controller retries");
  EXPECT_FALSE(View(1).fresh);
  const auto lease = Acquire("r01/01", "ana");
  EXPECT_EQ(lease.status().code(), Code::kUnavailable);
  EXPECT_THAT(lease.status().message(), HasSubstr("/dev/ttyTEST does not exist"));
  EXPECT_EQ(book->at(1).phase, Phase::kCare);
}

TEST_F(RackTest, Handshake_ConfiguresThenTellsEverySlotItsHolder) {
  Connect();
  EXPECT_TRUE(rack->board(0).ready());
  EXPECT_TRUE(std::holds_alternative<link::Configure>(board.taken.at(0).call));
  for (uint32_t slot = 1; slot <= kSlots; ++slot) EXPECT_EQ(board.At(slot).epoch, 1u) << slot;
  EXPECT_EQ(View(3).reason, "");
}

TEST_F(RackTest, LineLostAndBack_NothingIsSwitched) {
  Connect();
  const auto lease = Acquire("r01/03", "ana");
  ASSERT_TRUE(Power("r01/03", lease->tenure.epoch, As("ana")).ok());
  board.At(4).vbus = true;  // care's duty
  line->Down("the line was lost", now);
  board.taken.clear();
  line->Up(now);
  line->Run(now);
  EXPECT_TRUE(board.At(3).vbus);
  EXPECT_TRUE(board.At(4).vbus);
  for (const auto& command : board.taken) EXPECT_TRUE(std::holds_alternative<link::SetLease>(command.call));
  EXPECT_EQ(board.At(3).left_ms, 602'000u) << "the lease's ten minutes and the firmware's two seconds";
}

TEST_F(RackTest, HandshakeCutInTheMiddle_NextOneIsStillANewSession) {
  Connect();
  ASSERT_TRUE(Report("r01/01", "device", true).ok());
  board.Reset();
  board.At(4).vbus = true;
  line->Down("the board has reset", now);
  line->Up(now);
  line->Down("the line was lost", now);
  line->Up(now);
  line->Run(now);
  EXPECT_TRUE(rack->board(0).ready());
  EXPECT_FALSE(board.At(4).vbus) << "care sends the slot to its safe state";
}

TEST_F(RackTest, EventOlderThanTheTelemetry_MeasuresNothing) {
  Connect();
  link::Telemetry telemetry = board.Telemetry();
  telemetry.uptime_ms = 5'000;
  rack->board(0).OnTelemetry(telemetry, now);
  link::CommandDone done;
  done.slot = 3;
  done.vbus_mv = 5'050;
  rack->board(0).OnEvent({1, 4'900, done}, now);
  rack->board(0).OnEvent({2, 4'900, link::Tripped{3, link::TripReason::kOverCurrent, 2'410, 2'000}}, now);
  EXPECT_EQ(View(3).measured.vbus_mv, 12u);
  EXPECT_FALSE(View(3).measured.bits.tripped);
  rack->board(0).OnEvent({3, 5'000, done}, now);
  EXPECT_EQ(View(3).measured.vbus_mv, 5'050u);
}

TEST_F(RackTest, AnotherKindOfBoard_IsRefusedWithTheReason) {
  config.boards[0].kind = "ast1030";
  Connect();
  EXPECT_EQ(
      View(1).reason,
      "no line to board 0: a board of kind fake answers, the config wants ast1030; check the cable or the config");
  EXPECT_THAT(board.taken, IsEmpty());
}

TEST_F(RackTest, ResetInMidCommand_AnswersUnknownWithWhatIsMeasuredAfter) {
  Connect();
  const auto lease = Acquire("r01/03", "ana");
  board.mute_done = true;
  std::optional<Status> answer;
  rack->switching().Switch(
      As("ana"),
      {"r01/03", lease->tenure.epoch, VbusLevel{true}, ""},
      [&](const Result<SlotView>& view, Now) { answer = view.status(); },
      now);
  line->Run(now);
  board.Reset();
  line->Down("the board has reset", now);
  EXPECT_FALSE(answer);
  board.taken.clear();
  now.boot += Milliseconds(200);
  line->Up(now);
  line->Run(now);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code(), Code::kUnknown);
  EXPECT_THAT(answer->message(),
              HasSubstr("outcome unknown: the board has reset; measured since: VBUS 12 mV 0 mA (off)"));
  for (const auto& command : board.taken) EXPECT_FALSE(std::holds_alternative<link::SetVbus>(command.call)) << "resent";
}

TEST_F(RackTest, NoWordOfTheEnd_AnswersUnknownInTime) {
  Connect();
  const auto lease = Acquire("r01/03", "ana");
  board.mute_done = true;
  std::optional<Status> answer;
  rack->switching().Switch(
      As("ana"),
      {"r01/03", lease->tenure.epoch, VbusLevel{true}, ""},
      [&](const Result<SlotView>& view, Now) { answer = view.status(); },
      now);
  Advance(seconds(5));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code(), Code::kUnknown);
  EXPECT_THAT(answer->message(), HasSubstr("the board did not say how it ended; measured since: VBUS 5050 mV"));
}

}  // namespace
}  // namespace faraday::controller
