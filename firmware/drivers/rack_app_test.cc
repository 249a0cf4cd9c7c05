// The main loop's body over a board in memory.
#include <gtest/gtest.h>

#include "firmware/drivers/rack_app_fixture.h"

namespace faraday::firmware {
namespace {

using RackAppTest = AppOn<FakeBoard>;
using SlowBoardTest = AppOn<SlowBoard>;

TEST_F(RackAppTest, Boot_ReleasesTheStopPinWithEverythingOff) {
  EXPECT_FALSE(board.stop);
  for (size_t slot = 0; slot < FakeBoard::kSlots; ++slot) EXPECT_EQ(board.Selectors(slot), 0x5555);
  EXPECT_EQ(board.Monitor(0).words[0xD4], (std::array<uint8_t, 2>{0x37, 0x1B}));
}

TEST_F(RackAppTest, CommandReachesThePinAndItsMeasurementComesBack) {
  TurnOn();
  EXPECT_FALSE(board.PinOn(1, 0));
  EXPECT_TRUE(Bits(0).vbus_measured_on);
  EXPECT_FALSE(app.core().slot(0).busy()) << "proven";
  EXPECT_FALSE(board.to_host.empty());
}

TEST_F(RackAppTest, OverCurrent_IsOffWithin10Ms) {
  TurnOn();
  board.SetMilliamps(0, 2500);
  Run(10);
  EXPECT_FALSE(board.PinOn(0, 0));
}

TEST_F(RackAppTest, StopFrame_MovesThePinInTheSamePass) {
  TurnOn();
  FeedStop();
  Run(1);
  EXPECT_TRUE(board.stop);
  EXPECT_EQ(board.Selectors(0), 0x5555);
  Run(500);
  EXPECT_FALSE(Bits(0).part_missing) << "an expander in reset is not missing";
  EXPECT_EQ(board.Selectors(0), 0x5555);
  Command(link::ClearTrip{.slot = 0});
  Run(100);
  EXPECT_FALSE(board.stop);
  for (unsigned pin = 0; pin < 7; ++pin) EXPECT_FALSE(board.PinOn(0, pin)) << "only the LED: leased";
}

TEST_F(RackAppTest, StopButton_StopsInTheSamePassAndBlocksTheClearing) {
  TurnOn();
  board.signals.stop_button = true;
  Run(1);
  EXPECT_TRUE(board.stop);
  EXPECT_FALSE(board.PinOn(0, 0));
  Command(link::ClearTrip{.slot = 0});
  EXPECT_TRUE(board.stop) << "still pressed";
  board.signals.stop_button = false;
  Run(100);
  EXPECT_TRUE(board.stop) << "latched";
  Command(link::ClearTrip{.slot = 0});
  EXPECT_FALSE(board.stop);
  EXPECT_FALSE(board.PinOn(0, 0)) << "nothing turns on by itself";
}

TEST_F(RackAppTest, StopButtonAtBoot_KeepsTheStopPin) {
  FakeBoard pressed;
  pressed.signals.stop_button = true;
  RackApp<FakeBoard> other(pressed);
  other.Boot();
  EXPECT_TRUE(pressed.stop);
  EXPECT_TRUE(other.core().StopAsserted());
}

TEST_F(RackAppTest, TelemetryTellsScanTimeRecoveriesPsuAndEdges) {
  TurnOn();
  board.buses[FakeBoard::kMonitors].recovers = 1;
  board.signals.psu_ok = 0xFE;
  board.inputs |= uint64_t{1} << 35;
  Run(1);
  board.signals.psu_ok = 0xFF;
  board.inputs &= ~(uint64_t{1} << 35);  // shorter than the debounce
  const link::Telemetry told = NextTelemetry();
  EXPECT_EQ(told.psu_lost, 1U);
  EXPECT_EQ(told.input_edges, 8U);
  EXPECT_EQ(told.inputs, 0U) << "debounced";
  EXPECT_EQ(told.bus_recoveries, 1U);
  EXPECT_GE(told.current_scan_ms, 1U);
  for (int lost = 0; lost < 9; ++lost) {
    const link::Telemetry again = NextTelemetry();
    EXPECT_EQ(again.psu_lost, 1U) << "one telemetry may get lost, ten do not";
    EXPECT_EQ(again.input_edges, 8U);
  }
  for (int i = 0; i < 20; ++i) (void)NextTelemetry();
  const link::Telemetry next = NextTelemetry();
  EXPECT_EQ(next.psu_lost, 0U);
  EXPECT_EQ(next.input_edges, 0U);
  EXPECT_EQ(next.bus_recoveries, 1U);
  EXPECT_EQ(next.current_scan_ms, 1U) << "four slots, five currents a millisecond";
}

TEST_F(RackAppTest, PsuOfARailThatNobodyUses_IsNoFault) {
  TurnOn();
  board.signals.psu_ok = 0x01;
  Run(1);
  EXPECT_EQ(NextTelemetry().faults & link::kFaultPsu, 0U);
  board.signals.psu_ok = 0xFE;
  Run(1);
  const link::Telemetry told = NextTelemetry();
  EXPECT_NE(told.faults & link::kFaultPsu, 0U);
  EXPECT_EQ(told.psu_lost, 1U);
}

TEST_F(RackAppTest, UartThatTakesLittle_LosesNothing) {
  board.uart_takes = 3;
  FeedMessage({.channel = link::Channel::kHello}, link::Hello{.rack = "r01", .host_version = "test", .nonce = 1});
  Run(100);
  link::FrameDecoder decoder;
  int frames = 0;
  for (uint8_t byte : board.to_host) frames += decoder.Feed(byte) == link::FrameDecoder::Outcome::kFrame;
  EXPECT_GE(frames, 1);
  EXPECT_EQ(decoder.dropped(), 0U);
}

TEST_F(SlowBoardTest, OverCurrentWhileTheMemoryWrites_IsOffBeforeItEnds) {
  TurnOn();
  int off_at_ms = -1;
  board.written_ms = 0;
  board.while_writing = [&](int ms) {
    if (ms == 0) board.SetMilliamps(0, 2500);
    if (off_at_ms < 0 && !board.PinOn(0, 0)) off_at_ms = ms;
  };
  Command(link::SetLease{.slot = 2, .epoch = 1, .duration_ms = 60'000});
  EXPECT_GT(board.written_ms, 2);
  EXPECT_GE(off_at_ms, 0);
  EXPECT_LE(off_at_ms, 2);
  EXPECT_TRUE(app.core().slot(0).tripped());
}

TEST_F(SlowBoardTest, StopFrameBehindHandOvers_DoesNotWaitForTheMemory) {
  TurnOn();
  for (uint32_t slot = 2; slot <= 4; ++slot) {
    FeedCommand(link::SetLease{.slot = slot, .epoch = 1, .duration_ms = 60'000});
  }
  FeedStop();
  const uint32_t came_ms = board.now_ms;
  Run(1);
  EXPECT_TRUE(board.stop);
  EXPECT_LE(board.stopped_ms - came_ms, 2U);
}

TEST_F(SlowBoardTest, StopFrameWhileTheMemoryWrites_ActsMeanwhile) {
  TurnOn();
  uint32_t came_ms = 0;
  board.written_ms = 0;
  board.while_writing = [&](int ms) {
    if (ms != 1) return;
    came_ms = board.now_ms;
    FeedStop();
  };
  for (uint32_t slot = 2; slot <= 4; ++slot) {
    FeedCommand(link::SetLease{.slot = slot, .epoch = 1, .duration_ms = 60'000});
  }
  Run(1);
  ASSERT_GT(came_ms, 0U);
  EXPECT_TRUE(board.stop);
  EXPECT_LE(board.stopped_ms - came_ms, 2U);
  EXPECT_FALSE(board.PinOn(0, 0));
}

TEST_F(SlowBoardTest, StopFrameBetweenClearings_IsNotLost) {
  TurnOn();
  FeedCommand(link::ClearTrip{.slot = 0});
  FeedStop();
  Run(1);
  EXPECT_TRUE(board.stop) << "cleared before it";
  FeedStop();
  FeedCommand(link::ClearTrip{.slot = 0});
  Run(1);
  EXPECT_FALSE(board.stop) << "cleared after it";
  EXPECT_FALSE(board.PinOn(0, 0));
}

TEST_F(RackAppTest, WatchdogIsFedEachPass) {
  const int before = board.fed;
  Run(10);
  EXPECT_EQ(board.fed, before + 10);
}

TEST_F(RackAppTest, WatchdogIsNotFedByAPassThatTookASecond) {
  Run(1);
  const int before = board.fed;
  board.slow_pass_ms = PassWatch::kLongestMs;
  Run(3);
  EXPECT_EQ(board.fed, before);
  board.slow_pass_ms = 0;
  Run(1);
  EXPECT_EQ(board.fed, before + 1);
}

TEST_F(RackAppTest, WatchdogIsFedThoughNothingWorks) {
  for (FakeBus& bus : board.buses) bus.stuck = true;
  board.uart_takes = 0;
  const int before = board.fed;
  Run(5000);
  EXPECT_EQ(board.fed, before + 5000);
}

TEST_F(RackAppTest, StopFrameThatOnlyTheReceivePathSaw_IsLatched) {
  TurnOn();
  board.signals.stop_frame = true;
  Run(1);
  EXPECT_TRUE(board.stop);
  EXPECT_TRUE(board.alarm) << "the alarm follows";
  board.signals.stop_frame = false;
  Run(100);
  EXPECT_TRUE(board.stop);
  Command(link::ClearTrip{.slot = 0});
  EXPECT_FALSE(board.stop);
  Run(1);
  EXPECT_FALSE(board.alarm);
}

}  // namespace
}  // namespace faraday::firmware
