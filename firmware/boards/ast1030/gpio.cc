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
static_assert(kPsuOkPins == 8 && kStopButton.bank >= 'I' && kStopButton.bank <= 'L' && kStopPin.bank == 'M');
// The pins of each group that are wired: only they interrupt.
constexpr std::array<uint32_t, 3> kWired = {0xFFFFFFFF, 0xFFFFFFFF, AlertMask() | kPsuMask | kStopButton.Mask()};

void SetPin(const GpioPin& pin, bool high) {
  const InterruptLock lock;  // the handler writes the same register
  if (high)
    SetBits(kDataMnop, pin.Mask());
  else
    ClearBits(kDataMnop, pin.Mask());
}

}  // namespace

void Gpio::Start() {
  SetPin(kStopPin, false);
  SetPin(kEepromWriteProtect, true);
  SetBits(kDirectionMnop, kStopPin.Mask() | kEepromWriteProtect.Mask());
  WriteRegister(kDebounceTimer3, kDebounceTicks);
  for (size_t group = 0; group < kGroups; ++group) {
    const GroupRegisters& registers = kInputs[group];
    ClearBits(registers.direction, kWired[group]);
    SetBits(registers.debounce_1, kWired[group]);
    SetBits(registers.debounce_2, kWired[group]);
    SetBits(registers.sensitivity_2, kWired[group]);
    WriteRegister(registers.interrupt_status, 0xFFFFFFFF);
    levels_[group] = ReadRegister(registers.data);
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
    if (group == kLines && (moved & kStopButton.Mask()) != 0) ClearBits(kDataMnop, kStopPin.Mask());
  }
}

// The level is read before the edges are taken: one that moves in between shows its new level now, as a pulse, and
// again next time.
uint32_t Gpio::TakeLevels(size_t group) {
  const uint32_t level = ReadRegister(kInputs[group].data);
  const uint32_t moved = edges_[group].exchange(0, std::memory_order_relaxed);
  const uint32_t pulses = moved & ~(level ^ levels_[group]);
  levels_[group] = level;
  return level ^ pulses;
}

uint64_t Gpio::TakeInputs() {
  const uint64_t inputs = TakeLevels(kRackInputs);
  return inputs << kFirstRackInput | TakeLevels(kRelays);
}

Signals Gpio::TakeSignals() {
  const uint32_t level = ReadRegister(kInputs[kLines].data);
  const uint32_t moved = edges_[kLines].exchange(0, std::memory_order_relaxed);
  Signals signals;
  signals.stop_button = ((level | moved) & kStopButton.Mask()) != 0;
  signals.psu_ok = static_cast<uint8_t>((level & ~moved & kPsuMask) >> kPsuShift);
  for (const AlertPin& alert : kAlertPins) {
    if (((~level | moved) & alert.pin.Mask()) != 0) signals.alert_buses |= static_cast<uint16_t>(1U << alert.bus);
  }
  return signals;
}

void Gpio::SetStop(bool stop) {
  if (stop) return SetPin(kStopPin, false);
  const InterruptLock lock;
  const uint32_t level = ReadRegister(kInputs[kLines].data);
  const uint32_t moved = edges_[kLines].load(std::memory_order_relaxed);
  if (((level | moved) & kStopButton.Mask()) == 0) SetBits(kDataMnop, kStopPin.Mask());
}

void Gpio::SetWriteProtect(bool on) { SetPin(kEepromWriteProtect, on); }

}  // namespace faraday::firmware::ast1030
