#include "firmware/boards/ast1030/gpio.h"

#include "firmware/boards/ast1030/registers.h"
#include "firmware/boards/ast1030/wiring.h"

namespace faraday::firmware::ast1030 {
namespace {

// Banks are grouped by four, one bit a pin (Linux drivers/gpio/gpio-aspeed.c).
struct GroupRegisters {
  uintptr_t data;
  uintptr_t direction;  // 1: output
  uintptr_t interrupt_enable;
  uintptr_t sensitivity_2;  // 1: both edges, whatever the other two sensitivity registers say
  uintptr_t interrupt_status;
  uintptr_t debounce_1;  // a bit in both: debounce timer 3
  uintptr_t debounce_2;
};
constexpr std::array<GroupRegisters, 3> kInputs = {{
    {kGpio + 0x00, kGpio + 0x04, kGpio + 0x08, kGpio + 0x14, kGpio + 0x18, kGpio + 0x40, kGpio + 0x44},
    {kGpio + 0x20, kGpio + 0x24, kGpio + 0x28, kGpio + 0x34, kGpio + 0x38, kGpio + 0x48, kGpio + 0x4C},
    {kGpio + 0x70, kGpio + 0x74, kGpio + 0x98, kGpio + 0xA4, kGpio + 0xA8, kGpio + 0xB0, kGpio + 0xB4},
}};
constexpr uintptr_t kDebounceTimer3 = kGpio + 0x58;
constexpr uint32_t kDebounceTicks = 5000;  // 100 us of a 50 MHz clock (chosen)
constexpr uintptr_t kDataMnop = kGpio + 0x78;
constexpr uintptr_t kDirectionMnop = kGpio + 0x7C;

constexpr uint32_t AlertMask() {
  uint32_t mask = 0;
  for (const AlertPin& alert : kAlertPins) mask |= alert.pin.Mask();
  return mask;
}
constexpr uint32_t kPsuShift = (kPsuOkBank - 'A') % 4 * 8;
constexpr uint32_t kPsuMask = 0xFFU << kPsuShift;
static_assert(kPsuOkPins == 8 && kStopButton.bank >= 'I' && kStopButton.bank <= 'L' && kStopPin.bank == 'M' &&
              kAlarmPin.bank == 'M');
// The pins of each group that are wired: only they interrupt.
constexpr std::array<uint32_t, 3> kWired = {0xFFFFFFFF, 0xFFFFFFFF, AlertMask() | kPsuMask | kStopButton.Mask()};

}  // namespace

void Gpio::Drive(uint32_t mask, bool high) {
  outputs_ = high ? outputs_ | mask : outputs_ & ~mask;
  WriteRegister(kDataMnop, outputs_);
}

void Gpio::SetPin(const GpioPin& pin, bool high) {
  const InterruptLock lock;  // the handler drives a pin of the same register
  Drive(pin.Mask(), high);
}

void Gpio::Start() {
  SetPin(kStopPin, false);
  SetPin(kEepromWriteProtect, true);
  SetPin(kAlarmPin, false);
  SetBits(kDirectionMnop, kStopPin.Mask() | kEepromWriteProtect.Mask() | kAlarmPin.Mask());
  WriteRegister(kDebounceTimer3, kDebounceTicks);
  for (size_t group = 0; group < kGroups; ++group) {
    const GroupRegisters& registers = kInputs[group];
    ClearBits(registers.direction, kWired[group]);
    SetBits(registers.debounce_1, kWired[group]);
    SetBits(registers.debounce_2, kWired[group]);
    SetBits(registers.sensitivity_2, kWired[group]);
    WriteRegister(registers.interrupt_status, 0xFFFFFFFF);
    if (group == kRackInputs) levels_ = ReadRegister(registers.data);
    if (group == kLines) alerts_ = ReadRegister(registers.data);
    WriteRegister(registers.interrupt_enable, kWired[group]);
  }
  WriteRegister(kNvicEnable, 1U << kGpioIrq);
}

void Gpio::OnInterrupt() {
  for (size_t group = 0; group < kGroups; ++group) {
    const uint32_t moved = ReadRegister(kInputs[group].interrupt_status);
    if (moved == 0) continue;
    WriteRegister(kInputs[group].interrupt_status, moved);
    edges_[group].fetch_or(moved, std::memory_order_relaxed);
    if (group == kLines && (moved & kStopButton.Mask()) != 0) Drive(kStopPin.Mask(), false);
  }
}

// The level is read before the edges are taken: one that moves in between shows its new level now, as a pulse, and
// again next time.
uint32_t Gpio::TakeRackInputs() {
  const uint32_t level = ReadRegister(kInputs[kRackInputs].data);
  const uint32_t moved = edges_[kRackInputs].exchange(0, std::memory_order_relaxed);
  const uint32_t pulses = moved & ~(level ^ levels_);
  levels_ = level;
  return level ^ pulses;
}

// A relay's contact proves where it rests: what it did in between is bounce or noise.
uint64_t Gpio::TakeInputs() {
  const uint64_t inputs = TakeRackInputs();
  return inputs << kFirstRackInput | ReadRegister(kInputs[kRelays].data);
}

Signals Gpio::TakeSignals() {
  const uint32_t level = ReadRegister(kInputs[kLines].data);
  const uint32_t moved = edges_[kLines].exchange(0, std::memory_order_relaxed);
  const uint32_t pulses = moved & alerts_;  // let go of is no alert
  alerts_ = level;
  Signals signals;
  signals.stop_button = ((level | moved) & kStopButton.Mask()) != 0;
  signals.psu_ok = static_cast<uint8_t>((level & ~moved & kPsuMask) >> kPsuShift);
  for (const AlertPin& alert : kAlertPins) {
    if (((~level | pulses) & alert.pin.Mask()) != 0) signals.alert_buses |= static_cast<uint16_t>(1U << alert.bus);
  }
  return signals;
}

bool Gpio::ButtonMoved() const {
  const uint32_t level = ReadRegister(kInputs[kLines].data);
  const uint32_t moved = edges_[kLines].load(std::memory_order_relaxed);
  return ((level | moved) & kStopButton.Mask()) != 0;
}

void Gpio::SetWriteProtect(bool on) { SetPin(kEepromWriteProtect, on); }

}  // namespace faraday::firmware::ast1030
