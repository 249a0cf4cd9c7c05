// Edges, pulses and the stop pin against registers in memory.
#include "firmware/boards/ast1030/gpio.h"

#include <gtest/gtest.h>

#include "firmware/boards/ast1030/fake_registers.h"
#include "firmware/boards/ast1030/registers.h"
#include "firmware/boards/ast1030/wiring.h"

namespace faraday::firmware::ast1030 {
namespace {

constexpr uintptr_t kData[3] = {kGpio + 0x00, kGpio + 0x20, kGpio + 0x70};
constexpr uintptr_t kStatus[3] = {kGpio + 0x18, kGpio + 0x38, kGpio + 0xA8};
constexpr uintptr_t kOutputs = kGpio + 0x78;

struct GpioTest : testing::Test {
  GpioTest() {
    for (const uintptr_t status : kStatus) {
      registers.on_write[status] = [this, status](uint32_t value) { registers.values[status] &= ~value; };
    }
    registers.values[kData[2]] = kAlertPins[0].pin.Mask() | kAlertPins[1].pin.Mask() | 0xFFU << 16;  // at rest
    gpio.Start();
  }
  // The pin moves, and the handler runs.
  void Move(size_t group, uint32_t mask, bool high) {
    uint32_t& data = registers.values[kData[group]];
    data = high ? data | mask : data & ~mask;
    registers.values[kStatus[group]] |= mask;
    gpio.OnInterrupt();
    EXPECT_EQ(registers.values[kStatus[group]], 0U) << "acknowledged";
  }
  bool StopPinHigh() { return (registers.values[kOutputs] & kStopPin.Mask()) != 0; }

  FakeRegisters registers;
  Gpio gpio;
};

TEST_F(GpioTest, Start_AssertsStopAndProtectsTheEeprom) {
  EXPECT_FALSE(StopPinHigh());
  EXPECT_NE(registers.values[kOutputs] & kEepromWriteProtect.Mask(), 0U);
  EXPECT_EQ(registers.values[kGpio + 0x7C], kStopPin.Mask() | kEepromWriteProtect.Mask() | kAlarmPin.Mask())
      << "the only outputs";
  EXPECT_EQ(registers.values[kGpio + 0x98],
            kAlertPins[0].pin.Mask() | kAlertPins[1].pin.Mask() | 0xFFU << 16 | kStopButton.Mask())
      << "only wired pins interrupt";
  const Signals signals = gpio.TakeSignals();
  EXPECT_FALSE(signals.stop_button);
  EXPECT_EQ(signals.psu_ok, 0xFF);
  EXPECT_EQ(signals.alert_buses, 0);
}

TEST_F(GpioTest, AlarmIsHighAndOffAtStart) {
  const auto high = [&] { return (registers.values[kOutputs] & kAlarmPin.Mask()) != 0; };
  EXPECT_FALSE(high());
  gpio.SetAlarm(true);
  EXPECT_TRUE(high());
  EXPECT_FALSE(StopPinHigh()) << "the others stay";
  gpio.SetAlarm(false);
  EXPECT_FALSE(high());
}

TEST_F(GpioTest, AnotherHandlerStopsAndTheMainLoopReleasesOnlyWhenItMay) {
  gpio.SetStop(false);
  ASSERT_TRUE(StopPinHigh());
  gpio.StopFromHandler();
  EXPECT_FALSE(StopPinHigh());
  gpio.SetStop(false, [] { return false; });
  EXPECT_FALSE(StopPinHigh());
  gpio.SetStop(false, [] { return true; });
  EXPECT_TRUE(StopPinHigh());
}

TEST_F(GpioTest, LevelsComeAsRelaysBelowRackInputs) {
  Move(0, 1U << 3, true);
  Move(1, 1U << 1, true);
  EXPECT_EQ(gpio.TakeInputs(), uint64_t{1} << 33 | uint64_t{1} << 3);
  EXPECT_EQ(gpio.TakeInputs(), uint64_t{1} << 33 | uint64_t{1} << 3);
}

TEST_F(GpioTest, PulseShorterThanAPass_ShowsOnce) {
  Move(1, 1U << 5, true);
  Move(1, 1U << 5, false);
  EXPECT_EQ(gpio.TakeInputs(), uint64_t{1} << 37);
  EXPECT_EQ(gpio.TakeInputs(), 0U);
}

TEST_F(GpioTest, RelayContactThatBounces_ShowsItsLevelOnly) {
  Move(0, 1U << 3, true);
  Move(0, 1U << 3, false);
  EXPECT_EQ(gpio.TakeInputs(), 0U);
}

// Linux gpio-aspeed.c: the value register reads the line, not what was written.
TEST_F(GpioTest, StopPin_DoesNotComeBackByReadingTheLine) {
  gpio.SetStop(false);
  Move(2, kStopButton.Mask(), true);
  ASSERT_FALSE(StopPinHigh());
  registers.on_read[kOutputs] = [] { return kStopPin.Mask(); };  // it falls slowly
  gpio.SetWriteProtect(false);
  EXPECT_FALSE(StopPinHigh());
  EXPECT_EQ(registers.values[kOutputs] & kEepromWriteProtect.Mask(), 0U);
  registers.on_read[kOutputs] = [] { return 0U; };
  gpio.SetWriteProtect(true);
  gpio.TakeSignals();
  Move(2, kStopButton.Mask(), false);
  gpio.TakeSignals();
  gpio.SetStop(false);
  EXPECT_TRUE(StopPinHigh());
  EXPECT_NE(registers.values[kOutputs] & kEepromWriteProtect.Mask(), 0U) << "not as the line reads it";
}

TEST_F(GpioTest, EdgeBetweenLevelAndLatch_IsNotShownBackAndForth) {
  registers.on_read[kData[1]] = [this] {  // the level is read, then the pin moves
    registers.on_read.erase(kData[1]);
    Move(1, 1U << 5, true);
    return 0U;
  };
  EXPECT_EQ(gpio.TakeInputs(), uint64_t{1} << 37);
  EXPECT_EQ(gpio.TakeInputs(), uint64_t{1} << 37);
  EXPECT_EQ(gpio.TakeInputs(), uint64_t{1} << 37);
}

TEST_F(GpioTest, StopButton_DrivesTheStopPinInTheHandler) {
  gpio.SetStop(false);
  ASSERT_TRUE(StopPinHigh());
  Move(2, kStopButton.Mask(), true);
  EXPECT_FALSE(StopPinHigh());
  gpio.SetStop(false);
  EXPECT_FALSE(StopPinHigh()) << "the main loop has not seen it yet";
  EXPECT_TRUE(gpio.TakeSignals().stop_button);
  gpio.SetStop(false);
  EXPECT_FALSE(StopPinHigh()) << "still pressed";
  Move(2, kStopButton.Mask(), false);
  EXPECT_TRUE(gpio.TakeSignals().stop_button) << "moved";
  EXPECT_FALSE(gpio.TakeSignals().stop_button);
  gpio.SetStop(false);
  EXPECT_TRUE(StopPinHigh());
}

TEST_F(GpioTest, StopButtonTappedWithinAPass_StopsToo) {
  gpio.SetStop(false);
  Move(2, kStopButton.Mask(), true);
  Move(2, kStopButton.Mask(), false);
  EXPECT_FALSE(StopPinHigh());
  EXPECT_TRUE(gpio.TakeSignals().stop_button);
}

TEST_F(GpioTest, PsuDipAndAlertPulse_ShowOnce) {
  const uint32_t rail_1 = 1U << 17;
  Move(2, rail_1, false);
  Move(2, rail_1, true);
  Move(2, kAlertPins[1].pin.Mask(), false);
  Move(2, kAlertPins[1].pin.Mask(), true);
  Signals signals = gpio.TakeSignals();
  EXPECT_EQ(signals.psu_ok, 0xFD);
  EXPECT_EQ(signals.alert_buses, 1U << 3);
  signals = gpio.TakeSignals();
  EXPECT_EQ(signals.psu_ok, 0xFF);
  EXPECT_EQ(signals.alert_buses, 0);
  Move(2, kAlertPins[0].pin.Mask(), false);
  EXPECT_EQ(gpio.TakeSignals().alert_buses, 1U << 2);
  EXPECT_EQ(gpio.TakeSignals().alert_buses, 1U << 2) << "while it is low";
  Move(2, kAlertPins[0].pin.Mask(), true);
  EXPECT_EQ(gpio.TakeSignals().alert_buses, 0) << "let go of";
}

}  // namespace
}  // namespace faraday::firmware::ast1030
