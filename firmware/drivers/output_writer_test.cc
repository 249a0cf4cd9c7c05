// What reaches the expanders, and what does not.
#include <gtest/gtest.h>

#include "firmware/drivers/rack_app_fixture.h"

namespace faraday::firmware {
namespace {

using OutputWriterTest = AppOn<FakeBoard>;
constexpr uint32_t kJudged = 5 * kJudgeEveryMs;  // a condition stands

TEST_F(OutputWriterTest, SilentExpander_IsMissingAndToldAgainWhenItIsBack) {
  TurnOn();
  FakeBus& bus = board.buses[FakeBoard::kExpanders];
  bus.silent.insert(0x60);
  Command(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  Run(kJudged);
  EXPECT_TRUE(Bits(0).part_missing);
  EXPECT_TRUE(board.PinOn(0, 0));
  bus.silent.clear();
  Run(kJudged);
  EXPECT_FALSE(board.PinOn(0, 0));
  EXPECT_FALSE(Bits(0).part_missing);
}

TEST_F(OutputWriterTest, OutputOnAgainstTheCoresWill_IsTurnedOffAgain) {
  TurnOn();
  board.buses[FakeBoard::kExpanders].chips[0x61].bytes[6] = 0x54;  // slot 3's VBUS
  Run(20);
  EXPECT_FALSE(board.PinOn(2, 0));
}

TEST_F(OutputWriterTest, ExpanderThatLostItsOutputs_IsReportedAndNotTurnedOnByItself) {
  TurnOn();
  board.buses[FakeBoard::kExpanders].chips[0x60].bytes.fill(0x55);
  Run(kJudged);
  EXPECT_FALSE(board.PinOn(0, 0));
  EXPECT_TRUE(Bits(0).read_back_mismatch);
}

TEST_F(OutputWriterTest, ExpanderResetBehindItsBack_AnswersStaySayingSo) {
  TurnOn();
  board.buses[FakeBoard::kExpanders].chips[0x60].bytes.fill(0x55);
  Run(kJudged);
  ASSERT_TRUE(Bits(0).read_back_mismatch);
  EXPECT_FALSE(Bits(1).read_back_mismatch) << "its neighbour in the same part wants nothing on";
  Command(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  Run(kJudged);
  EXPECT_FALSE(Bits(0).read_back_mismatch);
}

TEST_F(OutputWriterTest, TurnOnsThatDidNotReachTheirPart_AreNotMadeUpForLater) {
  Ready();
  for (uint32_t slot = 2; slot <= 4; ++slot) {
    Command(link::SetLease{.slot = slot, .epoch = 1, .duration_ms = 60'000});
  }
  board.buses[FakeBoard::kExpanders].stuck = true;
  for (uint32_t slot = 1; slot <= 4; ++slot) Command(link::SetVbus{.slot = slot, .epoch = 1, .on = true});
  Run(3000);
  board.buses[FakeBoard::kExpanders].stuck = false;
  Run(3000);
  for (size_t slot = 0; slot < FakeBoard::kSlots; ++slot) {
    EXPECT_FALSE(board.PinOn(slot, 0)) << slot;
    EXPECT_FALSE(Bits(slot).vbus_commanded) << slot;
    EXPECT_FALSE(app.core().slot(slot).busy()) << slot;
  }
  Command(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  Run(100);
  EXPECT_TRUE(board.PinOn(0, 0));
}

TEST_F(OutputWriterTest, ChargeDuty_ComesBackByTurnAfterAStuckBus) {
  Ready(link::SafeState::kCharge);
  board.buses[FakeBoard::kExpanders].stuck = true;
  for (uint32_t slot = 1; slot <= 4; ++slot) Command(link::SetLease{.slot = slot, .epoch = 2, .to_safe_state = true});
  Run(3000);
  board.buses[FakeBoard::kExpanders].stuck = false;
  std::vector<uint32_t> risen;
  for (int ms = 0; ms < 3000 && risen.size() < FakeBoard::kSlots; ++ms) {
    Run(1);
    size_t on = 0;
    for (size_t slot = 0; slot < FakeBoard::kSlots; ++slot) on += board.PinOn(slot, 0) ? 1 : 0;
    while (risen.size() < on) risen.push_back(board.now_ms);
  }
  ASSERT_EQ(risen.size(), FakeBoard::kSlots);
  for (size_t i = 1; i < risen.size(); ++i) EXPECT_GE(risen[i] - risen[i - 1], 50U) << "staggered";
}

TEST_F(OutputWriterTest, ExpanderThatLostItsOutputs_IsNotTurnedOnByAnotherOutputsWrite) {
  TurnOn();
  board.buses[FakeBoard::kExpanders].chips[0x60].bytes.fill(0x55);
  Command(link::SetShield{.slot = 1, .epoch = 1, .couple = true});
  EXPECT_FALSE(board.PinOn(0, 0)) << "before the read-back told of it";
  Run(300);
  EXPECT_FALSE(board.PinOn(0, 0));
  EXPECT_TRUE(board.PinOn(0, 4));
  EXPECT_TRUE(Bits(0).read_back_mismatch && Bits(0).vbus_commanded);
  Command(link::SetShield{.slot = 1, .epoch = 1, .couple = false});
  Run(300);
  EXPECT_FALSE(board.PinOn(0, 0)) << "and after";
  Command(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  Run(700);
  EXPECT_TRUE(board.PinOn(0, 0));
  EXPECT_FALSE(Bits(0).read_back_mismatch);
}

TEST_F(OutputWriterTest, ExpanderThatIsSilentForAMoment_LosesNoPower) {
  TurnOn();
  Run(100);
  FakeBus& bus = board.buses[FakeBoard::kExpanders];
  bus.silent.insert(0x60);
  Command(link::SetShield{.slot = 1, .epoch = 1, .couple = true});
  bus.silent.clear();
  Run(100);
  EXPECT_TRUE(board.PinOn(0, 4)) << "written when the part is back";
  EXPECT_TRUE(board.PinOn(0, 0)) << "one read that failed is no proof that VBUS was lost";
  EXPECT_FALSE(Bits(0).read_back_mismatch);
}

// The path went on in the core while the part heard nothing: it is open at the pins first, and for as long as ever.
TEST_F(OutputWriterTest, ExpanderThatWasSilentDuringAChangeOfPath_OpensItFirst) {
  TurnOn();
  Command(link::SetData{.slot = 1, .epoch = 1, .path = link::DataPath::kHost});
  Run(700);
  ASSERT_TRUE(board.PinOn(0, 1));
  FakeBus& bus = board.buses[FakeBoard::kExpanders];
  bus.silent.insert(0x60);
  Command(link::SetData{.slot = 1, .epoch = 1, .path = link::DataPath::kCharge});
  Run(900);
  ASSERT_TRUE(board.PinOn(0, 1)) << "nothing reached it";
  bus.silent.clear();
  int open_ms = 0;
  for (int ms = 0; ms < 2000 && !board.PinOn(0, 3); ++ms) {
    Run(1);
    if (!board.PinOn(0, 1) && !board.PinOn(0, 3)) ++open_ms;
  }
  EXPECT_GE(open_ms, 490);
}

TEST_F(OutputWriterTest, Stopped_AnExpanderThatStillDrivesIsToldOffByTheBus) {
  TurnOn();
  board.reset_line_broken = true;
  FeedStop();
  Run(1);
  ASSERT_TRUE(board.stop);
  Run(20);
  EXPECT_FALSE(board.PinOn(0, 0)) << "the reset line does not reach it, the bus does";
}

TEST_F(OutputWriterTest, Stopped_SilentExpandersAreNotMissing) {
  TurnOn();
  FeedStop();
  Run(1);
  board.buses[FakeBoard::kExpanders].silent = {0x60, 0x61};
  Run(kJudged);
  EXPECT_FALSE(Bits(0).part_missing);
  EXPECT_FALSE(Bits(0).read_back_mismatch);
}

TEST_F(OutputWriterTest, RestingBus_IsStillAskedToTurnOff) {
  TurnOn();
  FakeBus& expanders = board.buses[FakeBoard::kExpanders];
  expanders.stuck = true;
  Run(10);  // a read-back hangs
  const int before = expanders.transfers;
  Command(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  Run(9);
  EXPECT_LE(expanders.transfers - before, 10) << "once a pass";
  EXPECT_TRUE(board.PinOn(0, 0));
  expanders.stuck = false;
  Run(1);
  EXPECT_FALSE(board.PinOn(0, 0)) << "not only when the bus has rested";
}

TEST_F(OutputWriterTest, LedsAreWrittenWithoutTouchingTheSwitches) {
  TurnOn();
  FakeChip& chip = board.buses[FakeBoard::kExpanders].chips[0x60];
  ASSERT_TRUE(board.PinOn(0, 7)) << "leased";
  chip.bytes[6] = 0x55;  // VBUS lost a moment ago
  Command(link::Locate{.slot = 1, .duration_ms = 1000});
  int changes = 0;
  bool lit = board.PinOn(0, 7);
  for (int ms = 0; ms < 60; ++ms) {
    Run(1);
    changes += board.PinOn(0, 7) != lit;
    lit = board.PinOn(0, 7);
    EXPECT_FALSE(board.PinOn(0, 0)) << "the LED's write brings no VBUS back";
  }
  (void)changes;
}

TEST_F(OutputWriterTest, ASilentBusCostsLedsOnly) {
  TurnOn();
  Command(link::Locate{.slot = 0, .duration_ms = 60'000});
  FakeBus& bus = board.buses[FakeBoard::kExpanders];
  bus.silent.insert(0x61);
  Run(1000);
  EXPECT_TRUE(board.PinOn(0, 0));
  board.SetMilliamps(0, 2500);
  Run(10);
  EXPECT_FALSE(board.PinOn(0, 0)) << "off in time";
}

TEST_F(OutputWriterTest, StuckExpanderBus_StopsTheRackWhenATripIsNotObeyed) {
  TurnOn();
  FakeBus& bus = board.buses[FakeBoard::kExpanders];
  bus.stuck = true;
  Run(300);
  board.SetMilliamps(0, 2500);
  Run(1200);
  EXPECT_TRUE(board.stop);
  EXPECT_FALSE(Bits(1).part_missing);
}

}  // namespace
}  // namespace faraday::firmware
