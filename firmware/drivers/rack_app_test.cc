// The drivers and the main loop's body over a board in memory.
#include "firmware/drivers/rack_app.h"

#include <gtest/gtest.h>

#include "firmware/drivers/fake_board.h"
#include "link/codec.h"

namespace faraday::firmware {
namespace {

TEST(Adm1272Scale, FollowsTheDataSheet) {
  const Adm1272Scale scale({5000});
  EXPECT_EQ(scale.Milliamps(2048), 0U);  // b = 20480, R = -1: the zero point
  EXPECT_EQ(scale.Milliamps(2047), 0U);  // below zero
  EXPECT_EQ(scale.Milliamps(2049), 3U);  // 10 / 3315 A
  EXPECT_EQ(scale.Milliamps(4095), 6175U);
  EXPECT_EQ(Adm1272Scale::Millivolts(203), 4998U);
  EXPECT_EQ(Adm1272Scale::Millivolts(4095), 100'812U);
  EXPECT_EQ(Adm1272Scale({300}).Milliamps(2049), 50U);
}

TEST(Tmp105, BelowZeroToo) {
  FakeBoard board;
  Tmp105 sensor(board.buses[FakeBoard::kSensors], 0x48);
  int32_t deci_c = 0;
  board.buses[FakeBoard::kSensors].chips[0x48].words[0] = {0x19, 0x80};
  ASSERT_TRUE(sensor.ReadDeciCelsius(deci_c).ok());
  EXPECT_EQ(deci_c, 255);
  board.buses[FakeBoard::kSensors].chips[0x48].words[0] = {0xFE, 0x80};
  ASSERT_TRUE(sensor.ReadDeciCelsius(deci_c).ok());
  EXPECT_EQ(deci_c, -15);
}

TEST(Pca9552, WritesAndReadsItsHalfOnly) {
  FakeBoard board;
  FakeBus& bus = board.buses[FakeBoard::kExpanders];
  ASSERT_TRUE(Pca9552(bus, board.wiring[1].outputs).Write(0b1010'0001).ok());
  EXPECT_EQ(board.Selectors(0), 0x5555);
  for (unsigned pin = 0; pin < 8; ++pin) EXPECT_EQ(board.PinOn(1, pin), (0b1010'0001 >> pin & 1) != 0) << pin;
  uint8_t outputs = 0;
  ASSERT_TRUE(Pca9552(bus, board.wiring[1].outputs).Read(outputs).ok());
  EXPECT_EQ(outputs, 0b1010'0001);
}

struct RackAppTest : testing::Test {
  RackAppTest() : app(board) { app.Boot(); }

  void Run(uint32_t ms) {
    for (uint32_t i = 0; i < ms; ++i) {
      ++board.now_ms;
      if (follow_vbus) {
        for (size_t slot = 0; slot < FakeBoard::kSlots; ++slot) {
          board.SetMillivolts(slot, board.PinOn(slot, 0) ? 5000 : 0);
        }
      }
      app.Pass();
    }
  }
  void Feed(const link::FrameHeader& header, std::span<const uint8_t> payload) {
    std::array<uint8_t, link::kMaxWire> wire{};
    const auto length = link::EncodeFrame(header, payload, wire);
    board.to_mcu.insert(board.to_mcu.end(), wire.begin(), wire.begin() + static_cast<ptrdiff_t>(*length));
  }
  template <typename Message>
  void FeedMessage(const link::FrameHeader& header, const Message& message) {
    std::array<uint8_t, link::kMaxPayload> payload{};
    const auto length = link::EncodeMessage(message, payload);
    Feed(header, std::span<const uint8_t>(payload).first(*length));
  }
  template <typename Call>
  void Command(const Call& call) {
    ++seq;
    const link::FrameHeader header{.channel = link::Channel::kCommand, .session = 77, .term = 1, .seq = seq};
    FeedMessage(header, link::Command{.id = seq, .call = call});
    Run(1);
  }
  // Slot 1 leased and on.
  void TurnOn() {
    FeedMessage({.channel = link::Channel::kHello}, link::Hello{.rack = "r01", .host_version = "test", .nonce = 1});
    link::Configure config;
    for (size_t i = 0; i < FakeBoard::kSlots; ++i) {
      config.current_limit_ma.push_back(2000);
      config.rail.push_back(0);
      config.safe_state.push_back(static_cast<uint32_t>(link::SafeState::kOff));
    }
    config.rail_budget_ma.push_back(20'000);
    config.stagger_ms = 50;
    config.min_off_ms = 500;
    Command(config);
    Command(link::SetLease{.slot = 1, .epoch = 1, .duration_ms = 60'000, .to_safe_state = false});
    Run(600);
    Command(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
    Run(100);
    ASSERT_TRUE(board.PinOn(0, 0));
  }
  link::SlotBits Bits(size_t slot) const { return app.core().slot(slot).Bits(); }

  FakeBoard board;
  RackApp<FakeBoard> app;
  bool follow_vbus = true;
  uint16_t seq = 0;
};

TEST_F(RackAppTest, Boot_ReleasesTheStopPinWithEverythingOff) {
  EXPECT_FALSE(board.stop);
  for (size_t slot = 0; slot < FakeBoard::kSlots; ++slot) EXPECT_EQ(board.Selectors(slot), 0x5555);
  EXPECT_EQ(board.buses[FakeBoard::kMonitors].chips[0x10].words[0xD4], (std::array<uint8_t, 2>{0x27, 0x00}));
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
  Feed({.channel = link::Channel::kStop}, link::kStopMagic);
  Run(1);
  EXPECT_TRUE(board.stop);
  EXPECT_EQ(board.Selectors(0), 0x5555);
  Run(500);
  EXPECT_FALSE(Bits(0).part_missing) << "an expander in reset is not missing";
  EXPECT_EQ(board.Selectors(0), 0x5555);
  Command(link::ClearTrip{.slot = 0});
  Run(100);
  EXPECT_FALSE(board.stop);
  EXPECT_EQ(board.Selectors(0), 0x5555);
}

TEST_F(RackAppTest, SilentMonitor_IsMissingAndComesBackConfigured) {
  FakeBus& bus = board.buses[FakeBoard::kMonitors];
  bus.silent.insert(0x11);
  Run(50);
  EXPECT_TRUE(Bits(1).part_missing);
  EXPECT_FALSE(Bits(0).part_missing);
  bus.silent.clear();
  bus.chips[0x11].words[0xD4] = {0x35, 0x3F};
  Run(50);
  EXPECT_FALSE(Bits(1).part_missing);
  EXPECT_EQ(bus.chips[0x11].words[0xD4], (std::array<uint8_t, 2>{0x27, 0x00}));
}

TEST_F(RackAppTest, SilentExpander_IsMissingAndToldAgainWhenItIsBack) {
  TurnOn();
  FakeBus& bus = board.buses[FakeBoard::kExpanders];
  bus.silent.insert(0x60);
  Command(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  Run(50);
  EXPECT_TRUE(Bits(0).part_missing);
  EXPECT_TRUE(board.PinOn(0, 0));
  bus.silent.clear();
  Run(50);
  EXPECT_FALSE(board.PinOn(0, 0));
  EXPECT_FALSE(Bits(0).part_missing);
}

TEST_F(RackAppTest, OutputOnAgainstTheCoresWill_IsTurnedOffAgain) {
  TurnOn();
  board.buses[FakeBoard::kExpanders].chips[0x61].bytes[6] = 0x54;  // slot 3's VBUS
  Run(20);
  EXPECT_FALSE(board.PinOn(2, 0));
}

TEST_F(RackAppTest, ExpanderThatLostItsOutputs_IsReportedAndNotTurnedOnByItself) {
  TurnOn();
  board.buses[FakeBoard::kExpanders].chips[0x60].bytes.fill(0x55);
  Run(200);
  EXPECT_FALSE(board.PinOn(0, 0));
  EXPECT_TRUE(Bits(0).read_back_mismatch);
}

TEST_F(RackAppTest, StuckBus_RestsAndTheOthersWork) {
  TurnOn();
  FakeBus& sensors = board.buses[FakeBoard::kSensors];
  sensors.stuck = true;
  Run(100);
  const int before = sensors.transfers;
  Run(900);
  EXPECT_LE(sensors.transfers - before, 1);
  EXPECT_TRUE(Bits(0).vbus_measured_on);
  EXPECT_TRUE(board.PinOn(0, 0));
  sensors.stuck = false;
  Run(5000);
  EXPECT_TRUE(Bits(0).temperature_fresh);
}

TEST_F(RackAppTest, RestingBus_IsStillAskedToTurnOff) {
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

TEST_F(RackAppTest, LongPass_ReadsEachSensorOnceNotTheArrears) {
  const int before = board.buses[FakeBoard::kMonitors].transfers;
  board.now_ms += 10'000;
  app.Pass();
  EXPECT_LE(board.buses[FakeBoard::kMonitors].transfers - before, 8 * 5);
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

TEST_F(RackAppTest, WatchdogIsFedEachPass) {
  const int before = board.fed;
  Run(10);
  EXPECT_EQ(board.fed, before + 10);
}

}  // namespace
}  // namespace faraday::firmware
