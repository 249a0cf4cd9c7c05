// The wiring table of a full rack of 32 slots on this board. docs/reference/ast1030-wiring.md is this table in words.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "firmware/drivers/board.h"

namespace faraday::firmware::ast1030 {

inline constexpr size_t kSlots = 32;
inline constexpr uint8_t kEepromBus = 9;
inline constexpr uint8_t kEepromAddress = 0x50;
// Buses with parts on them.
inline constexpr std::array<uint8_t, 9> kBusesInUse = {2, 3, 4, 5, 6, 7, 8, kEepromBus, 10};
// Inputs 0 to 31 are the slots' relay senses (GPIO A0 to D7), 32 and up the rack inputs (GPIO E0 to H7).
inline constexpr size_t kFirstRackInput = 32;

// A pin of the SoC: "J1" is {'J', 1}. Banks go in groups of four (A to D, ... I to L, M to P), a bank has eight pins.
struct GpioPin {
  char bank;
  uint8_t pin;
  constexpr uint32_t Mask() const { return uint32_t{1} << ((bank - 'A') % 4 * 8 + pin); }
};
// ALERT# of all monitors of a bus, wired-or, open drain with a pull-up: low means that a part has something to say.
struct AlertPin {
  uint8_t bus;
  GpioPin pin;
};
inline constexpr std::array<AlertPin, 2> kAlertPins = {{{2, {'J', 0}}, {3, {'J', 1}}}};
// K0 to K7: power good of the supplies of rails 0 to 7. High: good. Pulled down, so that a broken wire is not good.
inline constexpr char kPsuOkBank = 'K';
inline constexpr size_t kPsuOkPins = 8;
// The stop button, a contact that opens (normally closed to ground, pull-up): high means pressed, and so does a broken
// wire. It acts in the interrupt handler.
inline constexpr GpioPin kStopButton = {'L', 0};
// Out, pulled down: low holds every expander in reset and cuts the relay coils' supply.
inline constexpr GpioPin kStopPin = {'M', 0};
// Out, pulled up: the EEPROM's write protect, low only while the firmware writes.
inline constexpr GpioPin kEepromWriteProtect = {'M', 1};

// Out, pulled down: the alarm, high means alarm.
inline constexpr GpioPin kAlarmPin = {'M', 2};
// The firmware's own flash, W25Q64 of 8 MiB: its last 64 KiB are the board's log. Nothing else of it is ever written.
inline constexpr uint32_t kLogAt = 0x7F0000;

constexpr SlotWiring WiringOf(size_t index) {
  const auto n = static_cast<uint8_t>(index);
  const auto at = [](int value) { return static_cast<uint8_t>(value); };
  using namespace link::capability;  // NOLINT: only names of bits
  return {
      .outputs = {.bus = at(n < 16 ? 4 : 10), .address = at(0x60 + n / 2 % 8), .first_pin = at(n % 2 * 8)},
      .monitor = {.bus = at(2 + n / 16), .address = at(0x10 + n % 16)},
      .temperature = {.bus = at(5 + n / 8), .address = at(0x48 + n % 8)},
      .relay_sense_input = n,
      .capabilities = kVbus | kDataEnable | kDataSelect | kChargeMode | kRfRelay | kPowerKey | kVolumeKey | kLed |
                      kMonitor | kTemperature | kRelaySense,
      .shelf = at(n / 8),
  };
}

constexpr std::array<SlotWiring, kSlots> FullRack() {
  std::array<SlotWiring, kSlots> slots{};
  for (size_t i = 0; i < kSlots; ++i) slots[i] = WiringOf(i);
  return slots;
}

inline constexpr std::array<SlotWiring, kSlots> kWiring = FullRack();
// 5 milliohm: 3 mA a step at the monitor's 30 mV range, 6 A at most (chosen for phones).
inline constexpr MonitorScale kMonitorScale = {5000};

static_assert(kWiring[6].outputs.bus == 4 && kWiring[6].outputs.address == 0x63 && kWiring[6].outputs.first_pin == 0);
static_assert(kWiring[31].outputs.bus == 10 && kWiring[31].outputs.address == 0x67 && kWiring[31].monitor.bus == 3);

}  // namespace faraday::firmware::ast1030
