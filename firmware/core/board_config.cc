#include "firmware/core/board_config.h"

#include <algorithm>

namespace faraday::firmware {
namespace {

using link::Configure;
using link::Verdict;

// Values of the whole board: which ceiling each may at least and at most be. 0 passes where it means the default.
struct Bound {
  uint32_t field;
  uint32_t Configure::*value;
  uint32_t Ceilings::*least;  // nullptr: none
  uint32_t Ceilings::*most;
  bool zero_is_default;
};
constexpr Bound kBounds[] = {
    {5, &Configure::rack_budget_ma, nullptr, &Ceilings::rack_ma, true},
    {6, &Configure::stagger_ms, &Ceilings::stagger_min_ms, &Ceilings::wait_max_ms, false},
    {7, &Configure::min_off_ms, &Ceilings::min_off_ms, &Ceilings::wait_max_ms, false},
    {8, &Configure::host_silent_ms, &Ceilings::host_silent_min_ms, &Ceilings::host_silent_ms, true},
    {9, &Configure::host_silent_max_ms, &Ceilings::host_silent_min_ms, &Ceilings::host_silent_max_ms, true},
    {10, &Configure::charge_on_ms, nullptr, &Ceilings::timer_max_ms, true},
    {11, &Configure::charge_period_ms, &Ceilings::host_silent_min_ms, &Ceilings::timer_max_ms, true},
    {13, &Configure::tray_warn_deci_c, nullptr, &Ceilings::tray_warn_deci_c, true},
    {14, &Configure::tray_trip_deci_c, nullptr, &Ceilings::tray_trip_deci_c, true},
    {17, &Configure::min_on_ms, &Ceilings::min_on_ms, &Ceilings::wait_max_ms, true},
};

// What is looser when larger, or when smaller, of the board's values in force.
struct Grip {
  uint32_t field;
  uint32_t BoardConfig::*value;
  bool larger_is_looser;
};
constexpr Grip kGrips[] = {
    {5, &BoardConfig::rack_budget_ma, true},
    {6, &BoardConfig::stagger_ms, false},
    {7, &BoardConfig::min_off_ms, false},
    {8, &BoardConfig::host_silent_ms, true},
    {9, &BoardConfig::host_silent_max_ms, true},
    {13, &BoardConfig::tray_warn_deci_c, true},
    {14, &BoardConfig::tray_trip_deci_c, true},
    {17, &BoardConfig::min_on_ms, false},
};

ConfigFault Looser(uint32_t slot, uint32_t limit, uint32_t field) {
  return {Verdict::kLooserThanCeiling, slot, limit, field};
}
ConfigFault Invalid(uint32_t slot, uint32_t limit, uint32_t field) { return {Verdict::kInvalid, slot, limit, field}; }
ConfigFault WhileOn(size_t slot, uint32_t in_force, uint32_t field) {
  return {Verdict::kLooserWhileOn, static_cast<uint32_t>(slot + 1), in_force, field};
}
bool Found(const ConfigFault& fault) { return fault.verdict != Verdict::kOk; }
uint32_t Or(uint32_t value, uint32_t default_value) { return value != 0 ? value : default_value; }

template <size_t N>
uint32_t Entry(const link::FixedVector<uint32_t, N>& column, size_t i) {
  return i < column.size() ? column[i] : 0;
}

ConfigFault CheckBounds(const Configure& wanted, const Ceilings& ceilings) {
  for (const Bound& bound : kBounds) {
    const uint32_t value = wanted.*bound.value;
    if (value == 0 && bound.zero_is_default) continue;
    const uint32_t least = bound.least != nullptr ? ceilings.*bound.least : 0;
    if (value < least) return Looser(0, least, bound.field);
    if (value > ceilings.*bound.most) return Looser(0, ceilings.*bound.most, bound.field);
  }
  return {};
}

ConfigFault CheckSlot(const Configure& wanted, size_t slot, const Ceilings& ceilings) {
  const auto number = static_cast<uint32_t>(slot + 1);
  const uint32_t limit_ma = Entry(wanted.current_limit_ma, slot);
  if (limit_ma == 0) return {};
  if (limit_ma > ceilings.slot_ma) return Looser(number, ceilings.slot_ma, 1);
  if (Entry(wanted.soft_limit_ma, slot) > limit_ma) return Looser(number, limit_ma, 12);
  if (Entry(wanted.safe_state, slot) > static_cast<uint32_t>(link::SafeState::kOff)) {
    return Invalid(number, static_cast<uint32_t>(link::SafeState::kOff), 2);
  }
  const size_t rails = wanted.rail_budget_ma.size();
  if (Entry(wanted.rail, slot) >= rails) return Invalid(number, static_cast<uint32_t>(rails), 3);
  return {};
}

ConfigFault CheckColumns(const Configure& wanted, size_t slots, const Ceilings& ceilings) {
  for (const auto* column : {&wanted.current_limit_ma, &wanted.safe_state, &wanted.rail, &wanted.soft_limit_ma}) {
    if (column->size() > slots) return Invalid(static_cast<uint32_t>(slots + 1), static_cast<uint32_t>(slots), 0);
  }
  for (const uint32_t budget : wanted.rail_budget_ma) {
    if (budget > ceilings.rail_ma) return Looser(0, ceilings.rail_ma, 4);
  }
  return {};
}

// An input has one rule at most, and a debounce of at least a millisecond.
ConfigFault CheckRules(const Configure& wanted) {
  uint32_t named = 0;
  for (const uint32_t packed : wanted.input_rules) {
    const link::InputRule rule = link::UnpackRule(packed);
    const uint32_t bit = uint32_t{1} << rule.input;
    if ((named & bit) != 0 || rule.debounce_ms == 0 || link::Pack(rule) != packed) return Invalid(0, packed, 16);
    named |= bit;
  }
  return {};
}

// Which rails the rule keeps from turning on; 0 in a rule means all.
uint32_t RailsHeldBy(const link::InputRule& rule) {
  if (rule.action == link::InputAction::kReport) return 0;
  return rule.action == link::InputAction::kSafeRail && rule.rails != 0 ? rule.rails : 0xFFU;
}

bool Alarms(const link::InputRule& rule) { return rule.alarm || rule.action >= link::InputAction::kSafeRail; }

bool Keeps(const link::InputRule& in_force, const link::InputRule& next) {
  return next.input == in_force.input && next.active_high == in_force.active_high && next.action >= in_force.action &&
         (RailsHeldBy(in_force) & ~RailsHeldBy(next)) == 0 && next.debounce_ms <= in_force.debounce_ms &&
         (Alarms(next) || !Alarms(in_force));
}

bool KeptIn(const BoardConfig& next, const link::InputRule& in_force) {
  if (in_force.action == link::InputAction::kReport && !in_force.alarm) return true;
  for (const uint32_t packed : next.input_rules) {
    if (Keeps(in_force, link::UnpackRule(packed))) return true;
  }
  return false;
}

ConfigFault FindLooserSlot(const BoardConfig& in_force, const BoardConfig& next, size_t slot) {
  const SlotConfig& old = in_force.slots[slot];
  const SlotConfig& wanted = next.slots[slot];
  if (wanted.limit_ma == 0) return {};
  if (wanted.limit_ma > old.limit_ma) return WhileOn(slot, old.limit_ma, 1);
  if (wanted.rail != old.rail) return WhileOn(slot, old.rail, 3);
  const uint32_t budget_ma = in_force.rail_budget_ma[old.rail];
  if (next.rail_budget_ma[old.rail] > budget_ma) return WhileOn(slot, budget_ma, 4);
  if (wanted.soft_limit_ma > old.soft_limit_ma) return WhileOn(slot, old.soft_limit_ma, 12);
  return {};
}

ConfigFault FindLooserBoard(const BoardConfig& in_force, const BoardConfig& next, size_t slot) {
  for (const Grip& grip : kGrips) {
    const uint32_t old = in_force.*grip.value;
    const uint32_t wanted = next.*grip.value;
    if (grip.larger_is_looser ? wanted > old : wanted < old) return WhileOn(slot, old, grip.field);
  }
  for (const uint32_t packed : in_force.input_rules) {
    if (!KeptIn(next, link::UnpackRule(packed))) return WhileOn(slot, packed, 16);
  }
  return {};
}

}  // namespace

ConfigFault CheckConfigure(const Configure& wanted, size_t slots, const Ceilings& ceilings) {
  if (const auto fault = CheckColumns(wanted, slots, ceilings); Found(fault)) return fault;
  for (size_t slot = 0; slot < slots; ++slot) {
    if (const auto fault = CheckSlot(wanted, slot, ceilings); Found(fault)) return fault;
  }
  if (const auto fault = CheckBounds(wanted, ceilings); Found(fault)) return fault;
  return CheckRules(wanted);
}

ConfigFault FindLooserWhileOn(const BoardConfig& in_force, const BoardConfig& next, uint32_t on) {
  for (size_t slot = 0; slot < next.slots.size(); ++slot) {
    if ((on >> slot & 1U) == 0) continue;
    if (const auto fault = FindLooserSlot(in_force, next, slot); Found(fault)) return fault;
    if (const auto fault = FindLooserBoard(in_force, next, slot); Found(fault)) return fault;
  }
  return {};
}

BoardConfig ApplyConfigure(const Configure& wanted, uint32_t crc, const Ceilings& ceilings) {
  BoardConfig config;
  config.accepted = true;
  config.crc = crc;
  for (size_t slot = 0; slot < config.slots.size(); ++slot) {
    const auto limit_ma = static_cast<uint16_t>(Entry(wanted.current_limit_ma, slot));
    if (limit_ma == 0) continue;  // nobody has looked at its other values
    config.slots[slot] = {.limit_ma = limit_ma,
                          .soft_limit_ma = static_cast<uint16_t>(Or(Entry(wanted.soft_limit_ma, slot), limit_ma)),
                          .safe_state = static_cast<link::SafeState>(Entry(wanted.safe_state, slot)),
                          .rail = static_cast<uint8_t>(Entry(wanted.rail, slot))};
  }
  for (size_t rail = 0; rail < config.rail_budget_ma.size(); ++rail) {
    config.rail_budget_ma[rail] = Or(Entry(wanted.rail_budget_ma, rail), ceilings.rail_ma);
  }
  config.rack_budget_ma = Or(wanted.rack_budget_ma, ceilings.rack_ma);
  config.stagger_ms = wanted.stagger_ms;
  config.min_off_ms = wanted.min_off_ms;
  config.host_silent_ms = Or(wanted.host_silent_ms, kDefaultHostSilentMs);
  config.host_silent_max_ms = std::max(Or(wanted.host_silent_max_ms, kDefaultHostSilentMaxMs), config.host_silent_ms);
  config.charge_on_ms = Or(wanted.charge_on_ms, kDefaultChargeOnMs);
  config.charge_period_ms = Or(wanted.charge_period_ms, kDefaultChargePeriodMs);
  config.min_on_ms = Or(wanted.min_on_ms, ceilings.min_on_ms);
  config.tray_trip_deci_c = Or(wanted.tray_trip_deci_c, ceilings.tray_trip_deci_c);
  config.tray_warn_deci_c = std::min(Or(wanted.tray_warn_deci_c, ceilings.tray_warn_deci_c), config.tray_trip_deci_c);
  config.relay_warn_count = Or(wanted.relay_warn_count, kDefaultRelayWarnCount);
  config.input_rules = wanted.input_rules;
  return config;
}

}  // namespace faraday::firmware
