#include "firmware/bench/sample.h"

namespace faraday::firmware::bench {
namespace {

using link::DataPath;
using link::SlotBits;

constexpr uint32_t kSlots = link::kMaxSlots;
constexpr uint32_t kRails = 4;  // as the example rack's board

// Phones stand in 12 of the 32 slots.
constexpr bool HasPhone(uint32_t slot) { return slot % 8 < 3; }

// 0 to `steps` - 1, without a pattern that an encoding could like: a linear congruence.
constexpr uint32_t Noise(uint32_t slot, uint32_t steps) { return (slot * 1664525 + 1013904223) / 65536 % steps; }

uint32_t StateOf(uint32_t slot) {
  SlotBits bits;
  bits.monitor_fresh = true;
  bits.temperature_fresh = true;
  bits.vbus_measured_off = !HasPhone(slot);
  if (!HasPhone(slot)) return link::Pack(bits);
  bits.vbus_commanded = true;
  bits.vbus_measured_on = true;
  bits.leased = slot < 24;
  bits.data_commanded = bits.leased ? DataPath::kHost : DataPath::kCharge;
  bits.data_measured = bits.data_commanded;
  return link::Pack(bits);
}

void AddSlot(link::Telemetry& telemetry, uint32_t slot) {
  const bool phone = HasPhone(slot);
  telemetry.vbus_mv.push_back(phone ? 4980 + Noise(slot, 90) : Noise(slot, 30));
  telemetry.vbus_ma.push_back(phone ? 300 + 3 * Noise(slot, 500) : 0);
  telemetry.tray_deci_c.push_back(static_cast<int32_t>((phone ? 285 : 240) + Noise(slot, 40)));
  telemetry.state.push_back(StateOf(slot));
  telemetry.lease_left_ms.push_back(phone && slot < 24 ? 600'000 + 4321 * Noise(slot, 1500) : 0);
}

// Neighbours differ in every bit that can, so that changes are no shorter than values.
void AddWorstSlot(link::Telemetry& telemetry, uint32_t slot) {
  const bool odd = slot % 2 == 1;
  telemetry.vbus_mv.push_back(16'383);  // two bytes, as far as any supply here can go
  telemetry.vbus_ma.push_back(6'000);
  telemetry.tray_deci_c.push_back(odd ? -550 : 1'250);  // the ends of the sensor's range
  telemetry.state.push_back(odd ? 0x40000000 : 0x3FFFFFFF);
  telemetry.lease_left_ms.push_back(0xFFFFFFFF);
}

}  // namespace

void FillCharging(link::Telemetry& telemetry) {
  telemetry = {};
  telemetry.number = 108'000;
  telemetry.uptime_ms = 10'800'000;
  for (uint32_t slot = 0; slot < kSlots; ++slot) AddSlot(telemetry, slot);
  for (uint32_t rail = 0; rail < kRails; ++rail) telemetry.rail_mv.push_back(5050 + Noise(rail, 40));
  telemetry.inputs = 0x3;
  telemetry.stack_high_water_bytes = 1100;
  telemetry.config_crc = 0xDEADBEEF;
  telemetry.current_scan_ms = 8;
}

void FillWorst(link::Telemetry& telemetry) {
  constexpr uint32_t kAll = 0xFFFFFFFF;
  telemetry = {};
  for (uint32_t slot = 0; slot < kSlots; ++slot) AddWorstSlot(telemetry, slot);
  for (uint32_t rail = 0; rail < link::kMaxRails; ++rail) telemetry.rail_mv.push_back(16'383);
  for (uint32_t* number : {&telemetry.number,
                           &telemetry.uptime_ms,
                           &telemetry.inputs,
                           &telemetry.faults,
                           &telemetry.stack_high_water_bytes,
                           &telemetry.frames_bad,
                           &telemetry.event_backlog,
                           &telemetry.config_crc,
                           &telemetry.current_scan_ms,
                           &telemetry.bus_recoveries,
                           &telemetry.line_errors,
                           &telemetry.psu_lost,
                           &telemetry.input_edges,
                           &telemetry.alerts})
    *number = kAll;
}

link::Command SwitchOn() { return {.id = 4711, .call = link::SetVbus{.slot = 7, .epoch = 1234, .on = true}}; }

link::Command Configuration() {
  link::Configure configure;
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    configure.current_limit_ma.push_back(2000);
    configure.safe_state.push_back(0);
    configure.rail.push_back(slot / 8);
  }
  for (uint32_t rail = 0; rail < kRails; ++rail) configure.rail_budget_ma.push_back(12'000);
  configure.rack_budget_ma = 40'000;
  configure.stagger_ms = 100;
  configure.min_off_ms = 500;
  configure.host_silent_ms = 10'000;
  configure.host_silent_max_ms = 600'000;
  configure.charge_on_ms = 1'200'000;
  configure.charge_period_ms = 7'200'000;
  return {.id = 1, .call = configure};
}

}  // namespace faraday::firmware::bench
