#include "sim/qemu/driven_pins.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "firmware/boards/ast1030/wiring.h"

namespace faraday::sim::qemu {
namespace {

using firmware::ast1030::kAlarmPin;
using firmware::ast1030::kStopPin;
using firmware::ast1030::kWiring;

// GPIO registers of banks M to P.
constexpr uint32_t kDataMnop = 0x78;
constexpr uint32_t kDirectionMnop = 0x7C;
static_assert(kStopPin.bank >= 'M' && kStopPin.bank <= 'P' && kAlarmPin.bank == kStopPin.bank);
// Two slots an expander, in the order of the table.
static_assert(kWiring[1].outputs.address == kWiring[0].outputs.address && kWiring[1].outputs.first_pin == 8);

std::optional<size_t> NumberOf(std::string_view label) {
  size_t number = 0;
  if (!label.starts_with("exp")) return std::nullopt;
  const auto [end, error] = std::from_chars(label.data() + 3, label.data() + label.size(), number);
  if (error != std::errc() || end != label.data() + label.size() || number >= kExpanders) return std::nullopt;
  return number;
}

}  // namespace

std::string PartPath(std::string_view kind, size_t number) {
  return fmt::format("/machine/peripheral/{}{}", kind, number);
}

std::string StopPinProperty() { return fmt::format("gpio{}{}", kStopPin.bank, kStopPin.pin); }

void DrivenPins::Apply(const TraceEvent& event) {
  if (std::holds_alternative<MachineReset>(event)) return Reset();
  if (const auto* gpio = std::get_if<GpioWritten>(&event)) return OnGpio(*gpio);
  const auto& pin = std::get<ExpanderPinChanged>(event);
  if (const auto expander = NumberOf(pin.label)) SetPin(*expander, pin.pin, pin.asserted);
}

void DrivenPins::SetPin(size_t expander, size_t pin, bool asserted) {
  const auto mask = static_cast<uint16_t>(1U << pin);
  pins_[expander] = static_cast<uint16_t>(asserted ? pins_[expander] | mask : pins_[expander] & ~mask);
}

void DrivenPins::SetStopPin(bool level) {
  stop_direction_ = kStopPin.Mask();
  stop_data_ = level ? kStopPin.Mask() : 0;
  stopped_ = !level;
}

void DrivenPins::OnGpio(const GpioWritten& written) {
  if (written.offset == kDataMnop) stop_data_ = written.value;
  if (written.offset == kDirectionMnop) stop_direction_ = written.value;
  alarm_ = (stop_data_ & stop_direction_ & kAlarmPin.Mask()) != 0;
  stopped_ = (stop_data_ & stop_direction_ & kStopPin.Mask()) == 0;
}

void DrivenPins::Reset() { *this = DrivenPins(); }

SlotOutputs DrivenPins::Outputs(size_t slot_index) const {
  if (stopped_) return {};
  const auto& wiring = kWiring[slot_index];
  return OutputsFromBits(static_cast<uint8_t>(pins_[ExpanderOf(slot_index)] >> wiring.outputs.first_pin));
}

}  // namespace faraday::sim::qemu
