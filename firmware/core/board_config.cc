#include "firmware/core/board_config.h"

#include <algorithm>

namespace faraday::firmware {
namespace {

using link::Configure;
using link::Verdict;

// Values of the whole board: what each may at least and at most be. 0 passes where it means the default.
struct Bound {
  uint32_t Configure::*field;
  uint32_t least;
  uint32_t most;
  bool zero_is_default;
};
constexpr Bound kBounds[] = {
    {&Configure::rack_budget_ma, 0, kCeilings.rack_ma, true},
    {&Configure::stagger_ms, kCeilings.stagger_min_ms, 60'000, false},
    {&Configure::min_off_ms, kCeilings.min_off_ms, 60'000, false},
    {&Configure::host_silent_ms, 1000, kCeilings.host_silent_ms, true},
    {&Configure::host_silent_max_ms, 1000, kCeilings.host_silent_max_ms, true},
    {&Configure::charge_on_ms, 0, kCeilings.timer_max_ms, true},
    {&Configure::charge_period_ms, 1000, kCeilings.timer_max_ms, true},
};

ConfigFault Looser(uint32_t slot, uint32_t limit) { return {Verdict::kLooserThanCeiling, slot, limit}; }
ConfigFault Invalid(uint32_t slot, uint32_t limit) { return {Verdict::kInvalid, slot, limit}; }
bool Found(const ConfigFault& fault) { return fault.verdict != Verdict::kOk; }

template <size_t N>
uint32_t Entry(const link::FixedVector<uint32_t, N>& column, size_t i) {
  return i < column.size() ? column[i] : 0;
}

ConfigFault CheckBounds(const Configure& wanted) {
  for (const Bound& bound : kBounds) {
    const uint32_t value = wanted.*bound.field;
    if (value == 0 && bound.zero_is_default) continue;
    if (value < bound.least) return Looser(0, bound.least);
    if (value > bound.most) return Looser(0, bound.most);
  }
  return {};
}

ConfigFault CheckSlot(const Configure& wanted, size_t slot) {
  const auto number = static_cast<uint32_t>(slot + 1);
  const uint32_t limit_ma = Entry(wanted.current_limit_ma, slot);
  if (limit_ma == 0) return {};
  if (limit_ma > kCeilings.slot_ma) return Looser(number, kCeilings.slot_ma);
  if (Entry(wanted.safe_state, slot) > static_cast<uint32_t>(link::SafeState::kOff)) {
    return Invalid(number, static_cast<uint32_t>(link::SafeState::kOff));
  }
  if (Entry(wanted.rail, slot) >= wanted.rail_budget_ma.size()) {
    return Invalid(number, static_cast<uint32_t>(wanted.rail_budget_ma.size()));
  }
  return {};
}

ConfigFault CheckColumns(const Configure& wanted, size_t slots) {
  for (const auto* column : {&wanted.current_limit_ma, &wanted.safe_state, &wanted.rail}) {
    if (column->size() > slots) return Invalid(static_cast<uint32_t>(slots + 1), static_cast<uint32_t>(slots));
  }
  for (uint32_t budget : wanted.rail_budget_ma) {
    if (budget > kCeilings.rail_ma) return Looser(0, kCeilings.rail_ma);
  }
  return {};
}

uint32_t Or(uint32_t value, uint32_t default_value) { return value != 0 ? value : default_value; }

}  // namespace

ConfigFault CheckConfigure(const Configure& wanted, size_t slots) {
  if (const auto fault = CheckColumns(wanted, slots); Found(fault)) return fault;
  for (size_t slot = 0; slot < slots; ++slot) {
    if (const auto fault = CheckSlot(wanted, slot); Found(fault)) return fault;
  }
  return CheckBounds(wanted);
}

BoardConfig ApplyConfigure(const Configure& wanted, uint32_t crc) {
  BoardConfig config;
  config.accepted = true;
  config.crc = crc;
  for (size_t slot = 0; slot < config.slots.size(); ++slot) {
    const auto limit_ma = static_cast<uint16_t>(Entry(wanted.current_limit_ma, slot));
    const uint32_t soft_ma = Or(Entry(wanted.soft_limit_ma, slot), limit_ma);
    config.slots[slot] = {.limit_ma = limit_ma,
                          .soft_limit_ma = static_cast<uint16_t>(std::min<uint32_t>(soft_ma, limit_ma)),
                          .safe_state = static_cast<link::SafeState>(Entry(wanted.safe_state, slot)),
                          .rail = static_cast<uint8_t>(Entry(wanted.rail, slot))};
  }
  for (size_t rail = 0; rail < config.rail_budget_ma.size(); ++rail) {
    config.rail_budget_ma[rail] = Or(Entry(wanted.rail_budget_ma, rail), kCeilings.rail_ma);
  }
  config.rack_budget_ma = Or(wanted.rack_budget_ma, kCeilings.rack_ma);
  config.stagger_ms = wanted.stagger_ms;
  config.min_off_ms = wanted.min_off_ms;
  config.host_silent_ms = Or(wanted.host_silent_ms, kDefaultHostSilentMs);
  config.host_silent_max_ms = std::max(Or(wanted.host_silent_max_ms, kDefaultHostSilentMaxMs), config.host_silent_ms);
  config.charge_on_ms = Or(wanted.charge_on_ms, kDefaultChargeOnMs);
  config.charge_period_ms = Or(wanted.charge_period_ms, kDefaultChargePeriodMs);
  config.min_on_ms = Or(wanted.min_on_ms, kCeilings.min_on_ms);
  config.tray_warn_deci_c = Or(wanted.tray_warn_deci_c, kCeilings.tray_warn_deci_c);
  config.tray_trip_deci_c = Or(wanted.tray_trip_deci_c, kCeilings.tray_trip_deci_c);
  config.relay_warn_count = Or(wanted.relay_warn_count, kDefaultRelayWarnCount);
  config.input_rules = wanted.input_rules;
  return config;
}

}  // namespace faraday::firmware
