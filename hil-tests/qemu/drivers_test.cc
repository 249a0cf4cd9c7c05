// The board's own lines and parts in the image: pins by interrupt, ALERT#, flash, the scan's pace. What the models
// cannot do (a stuck bus, a worn page, another monitor) is tested against registers in memory, firmware/boards/ast1030.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "hil-tests/qemu/board_line.h"
#include "link/slot_bits.h"

namespace faraday::hil {
namespace {

using firmware::Output;

class QemuDrivers : public BoardLine {
 protected:
  void SwitchOn() {
    ASSERT_NO_FATAL_FAILURE(BootAndGreet());
    ConfigureAndLease();
    Finish(MustDo(link::SetVbus{.slot = kSlot, .epoch = epoch_, .on = true}));
    ASSERT_TRUE(plant().Driven(kSlot, Output::kVbus));
  }
  // Some telemetry from now on for which `condition` holds.
  template <typename Condition>
  bool Told(Condition condition) {
    return Eventually([this, &condition] {
      const auto telemetry = line_->NextTelemetry();
      return telemetry.ok() && condition(*telemetry);
    });
  }
  static bool Has(const link::Telemetry& telemetry, uint32_t fault) { return (telemetry.faults & fault) != 0; }
};

TEST_F(QemuDrivers, AtRestEveryPartAnswersAndNothingIsWrong) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  ConfigureAndLease();
  const auto telemetry = line_->NextTelemetry();
  ASSERT_TRUE(telemetry.ok()) << ToString(telemetry.status());
  EXPECT_EQ(telemetry->faults & ~(link::kFaultNotConfigured | link::kFaultNvmLost), 0U) << "a blank EEPROM is none";
  EXPECT_EQ(telemetry->bus_recoveries, 0U);
  EXPECT_EQ(telemetry->line_errors, 0U);
  for (const uint32_t state : telemetry->state) EXPECT_FALSE(link::Unpack(state).wrong_part) << "MFR_MODEL was read";
}

// The bench's W25Q64.
TEST_F(QemuDrivers, FlashSaysItsIdOverTheProductionLine) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  EXPECT_EQ(Greet().flash_id, 0xEF4017U);
}

// By the MCU's clock, which a busy host lets run on while the machine stands still: one telemetry within the promise
// counts, and the host gets three deadlines to give the machine a quiet tenth of a second.
TEST_F(QemuDrivers, EveryCurrentIsSampledWithinTenMilliseconds) {
  ASSERT_NO_FATAL_FAILURE(SwitchOn());
  uint32_t best_ms = 1000;
  const auto within_promise = [&best_ms](const link::Telemetry& telemetry) {
    if (telemetry.current_scan_ms != 0) best_ms = std::min(best_ms, telemetry.current_scan_ms);
    return best_ms <= 10;
  };
  EXPECT_TRUE(Told(within_promise) || Told(within_promise) || Told(within_promise)) << best_ms << " ms at best";
  EXPECT_GE(best_ms, 6U) << "32 slots at 5 a millisecond take 6.4; a shorter time was not measured";
  RecordProperty("current_scan_ms", static_cast<int>(best_ms));
  std::cout << "current scan: " << best_ms << " ms at best\n";
}

TEST_F(QemuDrivers, StopButtonStopsAndBlocksTheClearingUntilReleased) {
  ASSERT_NO_FATAL_FAILURE(SwitchOn());
  plant().PressStopButton(true);
  EXPECT_TRUE(Eventually([this] { return plant().stopped(); }));
  EXPECT_TRUE(Told([](const link::Telemetry& telemetry) {
    return Has(telemetry, link::kFaultStopped) && Has(telemetry, link::kFaultStopButton);
  }));
  EXPECT_EQ(MustReply(link::ClearTrip{.slot = 0}).verdict, link::Verdict::kBlocked);
  EXPECT_TRUE(plant().stopped());
  plant().PressStopButton(false);
  EXPECT_TRUE(Told([](const link::Telemetry& telemetry) { return !Has(telemetry, link::kFaultStopButton); }));
  EXPECT_TRUE(plant().stopped()) << "latched";
  EXPECT_EQ(MustReply(link::ClearTrip{.slot = 0}).verdict, link::Verdict::kOk);
  EXPECT_TRUE(Eventually([this] { return !plant().stopped(); }));
  EXPECT_FALSE(plant().Driven(kSlot, Output::kVbus)) << "nothing turns on by itself";
}

TEST_F(QemuDrivers, AlertOfAMonitorIsLookedAfter) {
  plant().SetLoad(kSlot, 480);
  ASSERT_NO_FATAL_FAILURE(SwitchOn());
  plant().SetLoad(kSlot, 3400);
  const auto trip = line_->WaitTrip();
  ASSERT_TRUE(trip.ok()) << ToString(trip.status());
  EXPECT_EQ(trip->reason, link::TripReason::kOverCurrent);
  EXPECT_TRUE(Told([](const link::Telemetry& telemetry) { return telemetry.alerts > 0; }));
  EXPECT_TRUE(Told([](const link::Telemetry& telemetry) { return !Has(telemetry, link::kFaultAlert); }));
}

TEST_F(QemuDrivers, AlarmPinFollowsTheStop) {
  ASSERT_NO_FATAL_FAILURE(SwitchOn());
  EXPECT_FALSE(plant().alarm());
  ASSERT_TRUE(line_->SendStop().ok());
  EXPECT_TRUE(Eventually([this] { return plant().stopped() && plant().alarm(); }));
  MustDo(link::ClearTrip{.slot = 0});
  EXPECT_TRUE(Eventually([this] { return !plant().alarm(); }));
}

TEST_F(QemuDrivers, RackInputsInterruptAndAreToldEvenWhenShort) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  plant().SetInput(5, true);
  EXPECT_TRUE(Told([](const link::Telemetry& telemetry) {
    return (telemetry.input_edges & 1U << 5) != 0 || (telemetry.inputs & 1U << 5) != 0;
  }));
  EXPECT_TRUE(Told([](const link::Telemetry& telemetry) { return telemetry.inputs == 1U << 5; }));
  plant().SetInput(5, false);
  EXPECT_TRUE(Told([](const link::Telemetry& telemetry) { return (telemetry.input_edges & 1U << 5) != 0; }));
  EXPECT_TRUE(Told([](const link::Telemetry& telemetry) { return telemetry.inputs == 0; }));
}

TEST_F(QemuDrivers, ExpanderResetBehindTheFirmwaresBackIsReportedAndStaysOff) {
  ASSERT_NO_FATAL_FAILURE(SwitchOn());
  plant().ResetExpander(kSlot);
  EXPECT_TRUE(Told(
      [](const link::Telemetry& telemetry) { return link::Unpack(telemetry.state[kSlot - 1]).read_back_mismatch; }));
  EXPECT_FALSE(plant().Driven(kSlot, Output::kVbus));
}

class QemuWithProtectedEeprom : public QemuDrivers {
  sim::qemu::MachineFaults Faults() const override { return {.missing = {}, .eeprom_read_only = true}; }
};

// The part acknowledges and keeps its old bytes: only reading back finds it.
TEST_F(QemuWithProtectedEeprom, IsFoundByReadingBackAndTheRackWorksOn) {
  ASSERT_NO_FATAL_FAILURE(SwitchOn());
  EXPECT_TRUE(Told([](const link::Telemetry& telemetry) { return Has(telemetry, link::kFaultNvmReadOnly); }));
}

class QemuWithoutMonitor : public QemuDrivers {
  sim::qemu::MachineFaults Faults() const override { return {.missing = {"mon7"}, .eeprom_read_only = false}; }
};

TEST_F(QemuWithoutMonitor, ItsSlotIsNotMeasuredAndTheScanGoesOn) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  ConfigureAndLease();
  EXPECT_TRUE(Told([](const link::Telemetry& telemetry) {
    const link::SlotBits bits = link::Unpack(telemetry.state[kSlot - 1]);
    return bits.part_missing && !bits.wrong_part && !bits.monitor_fresh;
  }));
  EXPECT_TRUE(Told([](const link::Telemetry& telemetry) {
    return telemetry.current_scan_ms <= 10 && link::Unpack(telemetry.state[kSlot]).monitor_fresh;
  }));
}

}  // namespace
}  // namespace faraday::hil
