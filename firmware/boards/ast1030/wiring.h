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
