// What the scan reads and what it makes of parts and buses that do not answer.
#include <gtest/gtest.h>

#include "firmware/drivers/rack_app_fixture.h"

namespace faraday::firmware {
namespace {

using SensorScanTest = AppOn<FakeBoard>;
using SensorScanSlowTest = AppOn<SlowBoard>;
constexpr uint32_t kJudged = 5 * kJudgeEveryMs;  // a condition stands

TEST_F(SensorScanTest, SilentMonitor_IsMissingAndComesBackConfigured) {
  FakeBus& bus = board.buses[FakeBoard::kMonitors];
  bus.silent.insert(0x11);
  Run(kJudged);
  EXPECT_TRUE(Bits(1).part_missing);
  EXPECT_FALSE(Bits(0).part_missing);
  bus.silent.clear();
  bus.chips[0x11].words[0xD4] = {0x35, 0x3F};
  Run(kJudged);
  EXPECT_FALSE(Bits(1).part_missing);
  EXPECT_EQ(bus.chips[0x11].words[0xD4], (std::array<uint8_t, 2>{0x37, 0x1B}));
}

TEST_F(SensorScanTest, WrongMonitor_IsNamedAndNoNumberIsTaken) {
  FakeBus& bus = board.buses[FakeBoard::kMonitors];
  bus.silent.insert(0x11);
  Run(50);
  bus.silent.clear();
  board.Monitor(1).blocks[0x9A] = "ADM1075-1";
  board.SetMillivolts(1, 5000);
  follow_vbus = false;
  Run(kJudged);
  EXPECT_TRUE(Bits(1).wrong_part);
  EXPECT_TRUE(Bits(1).part_missing);
  EXPECT_EQ(app.core().slot(1).mv(), 0U);
  EXPECT_FALSE(Bits(0).wrong_part);
}

TEST_F(SensorScanTest, Alert_SamplesThatMonitorAtOnceAndClearsIt) {
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

TEST_F(SensorScanTest, AlertThatStays_DoesNotEatTheScan) {
  board.signals.alert_buses = 1U << FakeBoard::kMonitors;
  Run(100);
  FakeBus& bus = board.buses[FakeBoard::kMonitors];
  const int before = bus.transfers;
  Run(1000);
  EXPECT_LE(bus.transfers - before, 6 * 1000 + 500 + 11 * 4) << "the scan, and ten looks at four monitors";
  EXPECT_TRUE(Bits(0).monitor_fresh);
}

TEST_F(SensorScanTest, BusThatRecovers_DoesNotRest) {
  TurnOn();
  board.buses[FakeBoard::kMonitors].recovers = 1;
  Run(10);
  EXPECT_FALSE(Bits(0).part_missing);
  EXPECT_TRUE(Bits(0).monitor_fresh);
  board.SetMilliamps(0, 2500);
  Run(10);
  EXPECT_FALSE(board.PinOn(0, 0)) << "still watched";
}

TEST_F(SensorScanTest, StuckBus_RestsAndTheOthersWork) {
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

TEST_F(SensorScanTest, MonitorBusThatHangsForAMoment_TripsNobody) {
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

TEST_F(SensorScanTest, StuckBus_IsAFaultAllTheTime) {
  TurnOn();
  board.buses[FakeBoard::kSensors].stuck = true;
  Run(100);
  for (int i = 0; i < 10; ++i) EXPECT_NE(NextTelemetry().faults & link::kFaultI2cBus, 0U) << i;
}

TEST_F(SensorScanTest, MonitorThatWasAwayForAMoment_IsSetUpBeforeItsNumbersCount) {
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

TEST_F(SensorScanTest, LongPass_ReadsEachSensorOnceNotTheArrears) {
  const int before = board.buses[FakeBoard::kMonitors].transfers;
  board.now_ms += 10'000;
  app.Pass();
  EXPECT_LE(board.buses[FakeBoard::kMonitors].transfers - before, 8 * 6 + 4);
}

TEST_F(SensorScanSlowTest, ReadsTogether_AndMeasures) {
  TurnOn();
  EXPECT_GT(board.batches, 0);
  EXPECT_TRUE(Bits(0).vbus_measured_on && Bits(0).temperature_fresh);
}

TEST_F(SensorScanSlowTest, BusThatAbortsInABatch_IsCountedOnceAndWatchedOn) {
  TurnOn();
  board.buses[FakeBoard::kMonitors].recovers = 1;
  EXPECT_EQ(NextTelemetry().bus_recoveries, 1U);
  EXPECT_FALSE(Bits(0).part_missing);
  board.SetMilliamps(0, 2500);
  Run(10);
  EXPECT_FALSE(board.PinOn(0, 0));
}

TEST_F(SensorScanSlowTest, AbortedBatch_IsOneRecovery) {
  TurnOn();
  board.now_ms += 7;  // arrears: ten reads in a batch
  board.buses[FakeBoard::kMonitors].recovers = 1;
  EXPECT_EQ(NextTelemetry().bus_recoveries, 1U);
}

TEST_F(SensorScanTest, BusThatHangsAndIsFreedEachTime_RestsInBetween) {
  TurnOn();
  FakeBus& sensors = board.buses[FakeBoard::kMonitors];
  sensors.recovers = 1'000'000;
  const int before = sensors.transfers;
  Run(1000);
  EXPECT_LE(sensors.transfers - before, 25) << "4 ms each";
  EXPECT_FALSE(Bits(0).part_missing);
  Run(2000);
  EXPECT_FALSE(board.PinOn(0, 0)) << "nobody sees its current";
  EXPECT_FALSE(Bits(0).tripped) << "a bus that does not work is no slot's fault";
  sensors.recovers = 0;
  Run(100);
  EXPECT_TRUE(Bits(0).monitor_fresh);
}

TEST_F(SensorScanSlowTest, MonitorThatComesBackWhileTheMemoryWrites_IsSetUpAndWatched) {
  TurnOn();
  FakeBus& bus = board.buses[FakeBoard::kMonitors];
  bus.silent.insert(0x11);
  Run(kJudged);
  ASSERT_TRUE(Bits(1).part_missing);
  const auto set_up = board.Monitor(1).words[0xD4];
  board.Monitor(1).words[0xD4] = board.Monitor(1).unset = {0x35, 0x3F};
  board.written_ms = 0;
  board.while_writing = [&](int ms) {
    if (ms == 1) bus.silent.clear();
  };
  Command(link::SetLease{.slot = 2, .epoch = 1, .duration_ms = 60'000});
  EXPECT_EQ(board.Monitor(1).words[0xD4], set_up);
  Run(kJudged);
  EXPECT_FALSE(Bits(1).part_missing);
  EXPECT_FALSE(app.core().slot(0).tripped());
}

TEST_F(SensorScanTest, PartThatCutsItself_TripsItsSlotAtTheAlert) {
  TurnOn();
  board.Monitor(0).words[0x79] = {0x50, 0x48};  // OFF, IOUT_OC_FAULT; IOUT/POUT, no POWER_GOOD
  board.signals.alert_buses = 1U << FakeBoard::kMonitors;
  for (const size_t slot : {0U, 1U}) board.Monitor(slot).log.clear();
  Run(1);
  EXPECT_EQ(static_cast<link::TripReason>(Bits(0).trip_reason), link::TripReason::kHotSwap);
  EXPECT_FALSE(board.PinOn(0, 0));
  EXPECT_EQ(board.Monitor(0).log, (std::vector<std::vector<uint8_t>>{{0x03}})) << "ALERT# let go";
  EXPECT_FALSE(Bits(1).tripped);
}

TEST_F(SensorScanTest, PartThatCutsItself_IsFoundWithoutItsAlertToo) {
  TurnOn();
  board.Monitor(0).words[0x79] = {0x50, 0x48};
  Run(4 * FakeBoard::kSlots + 1);
  EXPECT_TRUE(Bits(0).tripped);
}

TEST_F(SensorScanTest, RailsAreMeasured) {
  TurnOn();
  EXPECT_NEAR(NextTelemetry().rail_mv[0], 5000, 25);
}

TEST_F(SensorScanTest, BusThatIsStuckAccusesNoneOfItsParts) {
  TurnOn();
  for (FakeBus& bus : board.buses) bus.stuck = true;
  Run(1500);
  EXPECT_FALSE(Bits(0).part_missing);
  EXPECT_FALSE(Bits(0).tripped) << "a lost bus is no stale sensor";
  EXPECT_EQ(NextTelemetry().buses_lost, 0b111U);
  for (FakeBus& bus : board.buses) bus.stuck = false;
  Run(4 * kBusGraceMs + 400);  // four times as long as it failed, 8 s at most
  EXPECT_EQ(NextTelemetry().buses_lost, 0U);
}

TEST_F(SensorScanTest, ThreeFailedReadsInARowOnAWorkingBusAreAStaleSensor) {
  TurnOn();
  FakeBus& bus = board.buses[FakeBoard::kMonitors];
  bus.silent.insert(0x10);
  Run(10);
  EXPECT_EQ(static_cast<link::TripReason>(Bits(0).trip_reason), link::TripReason::kStaleSensor);
  EXPECT_FALSE(board.PinOn(0, 0));
}

// One monitor clamps its bus whenever it is asked, and the controller frees it each time.
struct ClampedBus {
  Status Write(uint8_t address, std::span<const uint8_t> out) {
    return address == clamping ? Status(Code::kAborted, "bus was stuck") : bus.Write(address, out);
  }
  Status WriteRead(uint8_t address, std::span<const uint8_t> out, std::span<uint8_t> in) {
    return address == clamping ? Status(Code::kAborted, "bus was stuck") : bus.WriteRead(address, out, in);
  }
  FakeBus& bus;
  int clamping;
};
struct ClampedBoard : FakeBoard {
  ClampedBus Bus(size_t n) { return {buses[n], n == kMonitors ? clamping : -1}; }
  int clamping = -1;
};
using SensorScanClampedTest = AppOn<ClampedBoard>;

TEST_F(SensorScanClampedTest, AMonitorThatClampsItsBusBlindsNoNeighbour) {
  TurnOn();
  board.clamping = 0x13;
  Run(3000);
  EXPECT_FALSE(Bits(0).tripped);
  ASSERT_TRUE(board.PinOn(0, 0));
  board.SetMilliamps(0, 2500);
  Run(15);
  EXPECT_FALSE(board.PinOn(0, 0)) << "still watched";
}

}  // namespace
}  // namespace faraday::firmware
