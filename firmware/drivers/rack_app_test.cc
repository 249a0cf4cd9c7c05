// The drivers and the main loop's body over a board in memory.
#include "firmware/drivers/rack_app.h"

#include <gtest/gtest.h>

#include "firmware/drivers/fake_board.h"
#include "link/codec.h"

namespace faraday::firmware {
namespace {

TEST(Adm127xScale, Adm1272FollowsTheDataSheet) {
  const Adm127xScale scale({5000});
  EXPECT_EQ(scale.Milliamps(2048), 0U);  // b = 20480, R = -1: the zero point
  EXPECT_EQ(scale.Milliamps(2047), 0U);  // below zero
  EXPECT_EQ(scale.Milliamps(2049), 3U);  // 10 / 3315 A
  EXPECT_EQ(scale.Milliamps(4095), 6175U);
  EXPECT_EQ(scale.Millivolts(203), 4998U);
  EXPECT_EQ(scale.Millivolts(4095), 100'812U);
  EXPECT_EQ(Adm127xScale({300}).Milliamps(2049), 50U);
  EXPECT_EQ(scale.CurrentCode(3000), 3042U);
  EXPECT_EQ(scale.CurrentCode(100'000), 4095U) << "beyond the range";
}

// Full-scale values and the code of 5 V and 1 A, worked out by hand from each data sheet's m, b, R at 5 milliohm.
TEST(Adm127xScale, EveryRowOfTheFamily) {
  struct Row {
    MonitorRange range;
    uint32_t code_of_5v, most_mv, code_of_1a, most_ma;
  };
  for (const Row& row : {
           Row{MonitorRange::kAdm1272_60V_30mV, 339, 60'487, 2379, 6175},
           Row{MonitorRange::kAdm1272_60V_15mV, 339, 60'487, 2711, 3087},
           Row{MonitorRange::kAdm1275_6V, 3360, 6094, 2451, 5074},
           Row{MonitorRange::kAdm1275_20V, 960, 21'329, 2451, 5074},
           Row{MonitorRange::kAdm1276_6V, 3360, 6094, 2451, 5074},
           Row{MonitorRange::kAdm1276_20V, 960, 21'329, 2451, 5074},
           Row{MonitorRange::kAdm1278_20V, 980, 20'894, 2447, 5119},
       }) {
    const Adm127xScale scale({5000, row.range});
    EXPECT_NEAR(scale.Millivolts(row.code_of_5v), 5000, 8) << scale.row().model;
    EXPECT_EQ(scale.Millivolts(4095), row.most_mv) << scale.row().model;
    EXPECT_NEAR(scale.Milliamps(row.code_of_1a), 1000, 3) << scale.row().model;
    EXPECT_EQ(scale.Milliamps(4095), row.most_ma) << scale.row().model;
    EXPECT_EQ(scale.CurrentCode(1000), row.code_of_1a) << scale.row().model;
  }
}

// Data sheets, PMON_CONFIG: VI_AVG is bits 10 to 8 of the wide register, bits 2 to 0 of the narrow one.
TEST(Adm127x, EveryRowAveragesEightVoltagesAndCurrents) {
  for (const Adm127xRow& row : kAdm127xRows) {
    EXPECT_EQ(row.pmon_config >> (row.wide_registers ? 8 : 0) & 7, 3) << row.model;
    const int power = row.wide_registers ? row.pmon_config >> 11 & 7 : 3;
    EXPECT_EQ(power, 3) << row.model;
  }
}

TEST(Adm127x, SetUpStopsTheMonitorAndArmsTheAlert) {
  FakeBoard board;
  FakeChip& chip = board.Monitor(0);
  const Adm127xScale scale({5000});
  Adm127x monitor(board.buses[FakeBoard::kMonitors], 0x10, scale);
  ASSERT_TRUE(monitor.CheckIdentity().ok());
  ASSERT_TRUE(monitor.Configure().ok());
  EXPECT_EQ(chip.words[0xD4], (std::array<uint8_t, 2>{0x37, 0x1B}))
      << "continuous, VOUT on, 8 averages of power, voltage and current";
  EXPECT_EQ(
      chip.log,
      (std::vector<std::vector<uint8_t>>{{0xD3, 0x00}, {0xD3, 0x01}, {0x4A, 0xE2, 0x0B}, {0xD5, 0x00, 0x04}, {0x03}}))
      << "stopped, running, 3 A warning, on ALERT#, faults cleared";
}

TEST(Adm127x, NarrowRegistersOfTheAdm1275) {
  FakeBoard board;
  FakeChip& chip = board.Monitor(0);
  chip.blocks[0x9A] = "ADM1275-3";
  const Adm127xScale scale({5000, MonitorRange::kAdm1275_6V});
  Adm127x monitor(board.buses[FakeBoard::kMonitors], 0x10, scale);
  ASSERT_TRUE(monitor.CheckIdentity().ok());
  ASSERT_TRUE(monitor.Configure().ok());
  EXPECT_EQ(chip.words[0xD4][0], 0xCB);
  EXPECT_EQ(chip.log[3], (std::vector<uint8_t>{0xD5, 0x04}));
}

TEST(Adm127x, AnotherPartIsNamedAndLeftAlone) {
  FakeBoard board;
  FakeChip& chip = board.Monitor(0);
  const Adm127xScale scale({5000});
  Adm127x monitor(board.buses[FakeBoard::kMonitors], 0x10, scale);
  chip.blocks[0x9A] = "ADM1278-1";
  EXPECT_EQ(monitor.CheckIdentity().code(), Code::kFailedPrecondition);
  chip.blocks[0x9A] = "ADM1272-A1";
  chip.blocks[0x99] = "TI";
  EXPECT_EQ(monitor.CheckIdentity().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(chip.log.empty());
}

TEST(Tmp105, BelowZeroToo) {
  RegisterRead read = Tmp105::Temperature({.bus = 7, .address = 0x48});
  EXPECT_EQ(read.bus, 7);
  EXPECT_EQ(read.address, 0x48);
  read.in = {0x19, 0x80};
  EXPECT_EQ(Tmp105::DeciCelsius(read), 255);
  read.in = {0xFE, 0x80};
  EXPECT_EQ(Tmp105::DeciCelsius(read), -15);
}

TEST(Pca9552, WritesAndReadsItsHalfOnly) {
  FakeBoard board;
  FakeBus& bus = board.buses[FakeBoard::kExpanders];
  ASSERT_TRUE(Pca9552(bus, board.wiring[1].outputs).Write(0b1010'0001).ok());
  EXPECT_EQ(board.Selectors(0), 0x5555);
  for (unsigned pin = 0; pin < 8; ++pin) EXPECT_EQ(board.PinOn(1, pin), (0b1010'0001 >> pin & 1) != 0) << pin;
  RegisterRead read = Pca9552<FakeBus>::ReadBack(board.wiring[1].outputs);
  ASSERT_TRUE(bus.WriteRead(read.address, std::span(&read.reg, 1), read.in).ok());
  EXPECT_EQ(Pca9552<FakeBus>::Outputs(read), 0b1010'0001);
}

template <typename B>
struct AppOn : testing::Test {
  AppOn() : app(board) { app.Boot(); }

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
  void FeedCommand(const Call& call) {
    ++seq;
    const link::FrameHeader header{.channel = link::Channel::kCommand, .session = 77, .term = 1, .seq = seq};
    FeedMessage(header, link::Command{.id = seq, .call = call});
  }
  template <typename Call>
  void Command(const Call& call) {
    FeedCommand(call);
    Run(1);
  }
  void FeedStop() { Feed({.channel = link::Channel::kStop}, link::kStopMagic); }
  // Slot 1 leased and on.
  void TurnOn() {
    Ready();
    Command(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
    Run(100);
    ASSERT_TRUE(board.PinOn(0, 0));
  }
  // Configured, slot 1 leased.
  void Ready(link::SafeState safe_state = link::SafeState::kOff) {
    FeedMessage({.channel = link::Channel::kHello}, link::Hello{.rack = "r01", .host_version = "test", .nonce = 1});
    link::Configure config;
    for (size_t i = 0; i < FakeBoard::kSlots; ++i) {
      config.current_limit_ma.push_back(2000);
      config.rail.push_back(0);
      config.safe_state.push_back(static_cast<uint32_t>(safe_state));
    }
    config.rail_budget_ma.push_back(20'000);
    config.stagger_ms = 50;
    config.min_off_ms = 500;
    Command(config);
    Command(link::SetLease{.slot = 1, .epoch = 1, .duration_ms = 60'000, .to_safe_state = false});
    Run(600);
  }
  // The next one that the board sends.
  link::Telemetry NextTelemetry() {
    board.to_host.clear();
    link::FrameDecoder decoder;
    link::Telemetry found;
    for (int ms = 0; ms < 1000; ++ms) {
      Run(1);
      for (const uint8_t byte : std::exchange(board.to_host, {})) {
        if (decoder.Feed(byte) != link::FrameDecoder::Outcome::kFrame) continue;
        if (decoder.frame().header.channel != link::Channel::kTelemetry) continue;
        const auto telemetry = link::DecodeMessage<link::Telemetry>(decoder.frame().payload);
        if (telemetry.ok()) return *telemetry;
      }
    }
    ADD_FAILURE() << "no telemetry in a second";
    return found;
  }
  link::SlotBits Bits(size_t slot) const { return app.core().slot(slot).Bits(); }

  B board;
  RackApp<B> app;
  bool follow_vbus = true;
  uint16_t seq = 0;
};
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
  EXPECT_EQ(bus.chips[0x11].words[0xD4], (std::array<uint8_t, 2>{0x37, 0x1B}));
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

TEST_F(RackAppTest, ExpanderResetBehindItsBack_AnswersStaySayingSo) {
  TurnOn();
  board.buses[FakeBoard::kExpanders].chips[0x60].bytes.fill(0x55);
  Run(200);
  ASSERT_TRUE(Bits(0).read_back_mismatch);
  EXPECT_FALSE(Bits(1).read_back_mismatch) << "its neighbour in the same part wants nothing on";
  Command(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  Run(200);
  EXPECT_FALSE(Bits(0).read_back_mismatch);
}

TEST_F(RackAppTest, TurnOnsThatDidNotReachTheirPart_AreNotMadeUpForLater) {
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

TEST_F(RackAppTest, ChargeDuty_ComesBackByTurnAfterAStuckBus) {
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

TEST_F(RackAppTest, ExpanderThatLostItsOutputs_IsNotTurnedOnByAnotherOutputsWrite) {
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

TEST_F(RackAppTest, ExpanderThatIsSilentForAMoment_LosesNoPower) {
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

TEST_F(RackAppTest, Stopped_AnExpanderThatStillDrivesIsToldOffByTheBus) {
  TurnOn();
  board.reset_line_broken = true;
  FeedStop();
  Run(1);
  ASSERT_TRUE(board.stop);
  Run(20);
  EXPECT_FALSE(board.PinOn(0, 0)) << "the reset line does not reach it, the bus does";
}

TEST_F(RackAppTest, Stopped_SilentExpandersAreNotMissing) {
  TurnOn();
  FeedStop();
  Run(1);
  board.buses[FakeBoard::kExpanders].silent = {0x60, 0x61};
  Run(200);
  EXPECT_FALSE(Bits(0).part_missing);
  EXPECT_FALSE(Bits(0).read_back_mismatch);
}

TEST_F(RackAppTest, WrongMonitor_IsNamedAndNoNumberIsTaken) {
  FakeBus& bus = board.buses[FakeBoard::kMonitors];
  bus.silent.insert(0x11);
  Run(50);
  bus.silent.clear();
  board.Monitor(1).blocks[0x9A] = "ADM1075-1";
  board.SetMillivolts(1, 5000);
  follow_vbus = false;
  Run(50);
  EXPECT_TRUE(Bits(1).wrong_part);
  EXPECT_TRUE(Bits(1).part_missing);
  EXPECT_EQ(app.core().slot(1).mv(), 0U);
  EXPECT_FALSE(Bits(0).wrong_part);
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

TEST_F(RackAppTest, Alert_SamplesThatMonitorAtOnceAndClearsIt) {
  TurnOn();
  board.SetMilliamps(0, 2500);
  board.Monitor(0).words[0x79] = {0, 0x40};  // IOUT_POUT
  board.signals.alert_buses = 1U << FakeBoard::kMonitors;
  for (const size_t slot : {0U, 1U}) board.Monitor(slot).log.clear();
  Run(1);
  EXPECT_FALSE(board.PinOn(0, 0)) << "off in the same pass";
  EXPECT_EQ(board.Monitor(0).log, (std::vector<std::vector<uint8_t>>{{0x03}}));
  EXPECT_TRUE(board.Monitor(1).log.empty()) << "the others have nothing to say";
}

TEST_F(RackAppTest, AlertThatStays_DoesNotEatTheScan) {
  board.signals.alert_buses = 1U << FakeBoard::kMonitors;
  Run(100);
  FakeBus& bus = board.buses[FakeBoard::kMonitors];
  const int before = bus.transfers;
  Run(1000);
  EXPECT_LE(bus.transfers - before, 6 * 1000 + 11 * 4) << "the scan, and ten looks at four monitors";
  EXPECT_TRUE(Bits(0).monitor_fresh);
}

TEST_F(RackAppTest, BusThatRecovers_DoesNotRest) {
  TurnOn();
  board.buses[FakeBoard::kMonitors].recovers = 1;
  Run(10);
  EXPECT_FALSE(Bits(0).part_missing);
  EXPECT_TRUE(Bits(0).monitor_fresh);
  board.SetMilliamps(0, 2500);
  Run(10);
  EXPECT_FALSE(board.PinOn(0, 0)) << "still watched";
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

TEST_F(RackAppTest, StuckBus_RestsAndTheOthersWork) {
  TurnOn();
  FakeBus& sensors = board.buses[FakeBoard::kSensors];
  sensors.stuck = true;
  Run(100);
  const int before = sensors.transfers;
  Run(900);
  EXPECT_LE(sensors.transfers - before, 5);
  EXPECT_TRUE(Bits(0).vbus_measured_on);
  EXPECT_TRUE(board.PinOn(0, 0));
  sensors.stuck = false;
  Run(5000);
  EXPECT_TRUE(Bits(0).temperature_fresh);
}

TEST_F(RackAppTest, MonitorBusThatHangsForAMoment_TripsNobody) {
  TurnOn();
  FakeBus& monitors = board.buses[FakeBoard::kMonitors];
  monitors.stuck = true;
  Run(10);
  monitors.stuck = false;
  Run(1500);
  EXPECT_FALSE(app.core().slot(0).tripped());
  EXPECT_TRUE(board.PinOn(0, 0));
  EXPECT_TRUE(Bits(0).monitor_fresh);
}

TEST_F(RackAppTest, StuckBus_IsAFaultAllTheTime) {
  TurnOn();
  board.buses[FakeBoard::kSensors].stuck = true;
  Run(100);
  for (int i = 0; i < 10; ++i) EXPECT_NE(NextTelemetry().faults & link::kFaultI2cBus, 0U) << i;
}

TEST_F(RackAppTest, MonitorThatWasAwayForAMoment_IsSetUpBeforeItsNumbersCount) {
  TurnOn();
  FakeChip& monitor = board.Monitor(0);
  const auto set_up = monitor.words[0xD4];
  board.buses[FakeBoard::kMonitors].silent.insert(0x10);
  Run(1);
  board.buses[FakeBoard::kMonitors].silent.clear();
  monitor.words[0xD4] = monitor.unset = {0x35, 0x3F};  // its reset state: another scale
  Run(20);
  EXPECT_EQ(monitor.words[0xD4], set_up);
  EXPECT_FALSE(Bits(0).part_missing) << "one failure is none";
  EXPECT_FALSE(app.core().slot(0).tripped());
  EXPECT_TRUE(board.PinOn(0, 0));
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
  EXPECT_LE(board.buses[FakeBoard::kMonitors].transfers - before, 8 * 6);
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

TEST_F(SlowBoardTest, ReadsTogether_AndMeasures) {
  TurnOn();
  EXPECT_GT(board.batches, 0);
  EXPECT_TRUE(Bits(0).vbus_measured_on && Bits(0).temperature_fresh);
}

TEST_F(SlowBoardTest, BusThatAbortsInABatch_IsCountedOnceAndWatchedOn) {
  TurnOn();
  board.buses[FakeBoard::kMonitors].recovers = 1;
  EXPECT_EQ(NextTelemetry().bus_recoveries, 1U);
  EXPECT_FALSE(Bits(0).part_missing);
  board.SetMilliamps(0, 2500);
  Run(10);
  EXPECT_FALSE(board.PinOn(0, 0));
}

TEST_F(SlowBoardTest, AbortedBatch_IsOneRecovery) {
  TurnOn();
  board.now_ms += 7;  // arrears: ten reads in a batch
  board.buses[FakeBoard::kMonitors].recovers = 1;
  EXPECT_EQ(NextTelemetry().bus_recoveries, 1U);
}

TEST_F(RackAppTest, BusThatHangsAndIsFreedEachTime_RestsInBetween) {
  TurnOn();
  FakeBus& sensors = board.buses[FakeBoard::kMonitors];
  sensors.recovers = 1'000'000;
  const int before = sensors.transfers;
  Run(1000);
  EXPECT_LE(sensors.transfers - before, 25) << "4 ms each";
  EXPECT_FALSE(board.PinOn(0, 0)) << "nobody sees its current";
  sensors.recovers = 0;
  Run(100);
  EXPECT_TRUE(Bits(0).monitor_fresh);
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

TEST_F(SlowBoardTest, MonitorThatComesBackWhileTheMemoryWrites_IsSetUpAndWatched) {
  TurnOn();
  FakeBus& bus = board.buses[FakeBoard::kMonitors];
  bus.silent.insert(0x10);
  Run(10);
  ASSERT_TRUE(Bits(0).part_missing);
  const auto set_up = board.Monitor(0).words[0xD4];
  board.Monitor(0).words[0xD4] = board.Monitor(0).unset = {0x35, 0x3F};
  board.written_ms = 0;
  board.while_writing = [&](int ms) {
    if (ms == 1) bus.silent.clear();
  };
  Command(link::SetLease{.slot = 2, .epoch = 1, .duration_ms = 60'000});
  EXPECT_EQ(board.Monitor(0).words[0xD4], set_up);
  Run(20);
  EXPECT_FALSE(Bits(0).part_missing);
  EXPECT_FALSE(app.core().slot(0).tripped());
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

}  // namespace
}  // namespace faraday::firmware
