#include "controller/core/configure.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

namespace faraday::controller {
namespace {

using link::Configure;

uint32_t Unsigned(int64_t value) { return static_cast<uint32_t>(std::max<int64_t>(0, value)); }

// The rack's budget split over boards as their rails' budgets are.
uint32_t BoardBudget(const rackconfig::RackConfig& config, int index) {
  int64_t own = 0;
  int64_t all = 0;
  for (size_t board = 0; board < config.rails.size(); ++board) {
    for (const auto& rail : config.rails[board]) {
      all += rail.budget.count;
      if (static_cast<int>(board) == index) own += rail.budget.count;
    }
  }
  if (config.rack_budget.count <= 0 || all == 0) return static_cast<uint32_t>(own);
  return static_cast<uint32_t>(std::min(own, config.rack_budget.count * own / all));
}

uint8_t RailMask(const rackconfig::RackConfig& config, const rackconfig::InputConfig& input) {
  const auto& rails = config.rails.at(static_cast<size_t>(input.board));
  uint32_t mask = 0;
  for (size_t i = 0; i < rails.size(); ++i) {
    if (std::ranges::find(input.rails, rails[i].name) != input.rails.end()) mask |= 1U << i;
  }
  return static_cast<uint8_t>(mask);
}

link::InputRule RuleOf(const rackconfig::RackConfig& config, const rackconfig::InputConfig& input) {
  return {.input = static_cast<uint8_t>(input.pin),
          .active_high = input.active_high,
          .action = static_cast<link::InputAction>(input.action),
          .rails = RailMask(config, input),
          .debounce_ms = static_cast<uint16_t>(std::clamp(input.debounce_ms, 1, 8191)),
          .alarm = input.alarm};
}
static_assert(static_cast<int>(rackconfig::InputAction::kStop) == static_cast<int>(link::InputAction::kStop));

void AddSlots(const rackconfig::RackConfig& config, int board, Configure* configure) {
  bool soft = false;
  for (const auto& slot : config.slots) soft = soft || (slot.board == board && slot.soft_limit.count > 0);
  const size_t slots = configure->current_limit_ma.size();
  if (soft) configure->soft_limit_ma.resize(slots);
  for (const auto& slot : config.slots) {
    const auto at = static_cast<size_t>(slot.board_slot) - 1;
    if (slot.board != board || at >= slots) continue;
    configure->current_limit_ma[at] = Unsigned(slot.current_limit.count);
    configure->safe_state[at] = static_cast<uint32_t>(slot.safe_state);
    configure->rail[at] = Unsigned(slot.rail);
    if (soft) configure->soft_limit_ma[at] = Unsigned(slot.soft_limit.count);
  }
}

constexpr uint32_t kInputRules = 16;  // the number of Configure's field

// By the number of Configure's field.
struct Column {
  uint32_t field;
  const char* name;
  link::SlotColumn Configure::*column;
};
constexpr std::array<Column, 4> kColumns = {{{1, "current_limit_ma", &Configure::current_limit_ma},
                                             {2, "safe_state", &Configure::safe_state},
                                             {3, "rail", &Configure::rail},
                                             {12, "soft_limit_ma", &Configure::soft_limit_ma}}};
struct Scalar {
  uint32_t field;
  const char* name;
  uint32_t Configure::*value;
};
constexpr std::array<Scalar, 11> kScalars = {{{5, "rack_ma", &Configure::rack_budget_ma},
                                              {6, "stagger", &Configure::stagger_ms},
                                              {7, "min_off", &Configure::min_off_ms},
                                              {8, "host_silent", &Configure::host_silent_ms},
                                              {9, "host_silent_max", &Configure::host_silent_max_ms},
                                              {10, "charge_on", &Configure::charge_on_ms},
                                              {11, "charge_period", &Configure::charge_period_ms},
                                              {13, "tray_warn_celsius", &Configure::tray_warn_deci_c},
                                              {14, "tray_trip_celsius", &Configure::tray_trip_deci_c},
                                              {15, "relay_warn_count", &Configure::relay_warn_count},
                                              {17, "min_on_ms", &Configure::min_on_ms}}};

// The value that the reply's field has for its slot, and what the config calls it; nullptr: this side does not know it.
uint32_t* FieldOf(const link::Reply& reply, Configure* configure, const char** name) {
  for (const Scalar& scalar : kScalars) {
    if (scalar.field != reply.queue_position) continue;
    *name = scalar.name;
    return &(configure->*scalar.value);
  }
  const size_t at = static_cast<size_t>(reply.value) - 1;
  if (reply.value == 0 || at >= configure->current_limit_ma.size()) return nullptr;
  if (reply.queue_position == 4) {
    *name = "budget_ma of the rail";
    const uint32_t rail = configure->rail[at];
    return rail < configure->rail_budget_ma.size() ? &configure->rail_budget_ma[rail] : nullptr;
  }
  for (const Column& column : kColumns) {
    if (column.field != reply.queue_position) continue;
    *name = column.name;
    auto& values = configure->*column.column;
    if (values.size() < configure->current_limit_ma.size()) values.resize(configure->current_limit_ma.size());
    return &values[at];
  }
  return nullptr;
}

// A rule in force for rack inputs is kept beside the new ones, in place of a new one for the same input.
bool KeepRule(uint32_t packed, Configure* configure) {
  const uint8_t input = link::UnpackRule(packed).input;
  for (size_t i = 0; i < configure->input_rules.size(); ++i) {
    uint32_t& rule = configure->input_rules[i];
    if (link::UnpackRule(rule).input == input) return std::exchange(rule, packed) != packed;
  }
  return configure->input_rules.push_back(packed);
}

}  // namespace

Configure MakeConfigure(const rackconfig::RackConfig& config, int board, uint32_t slots) {
  Configure configure;
  const size_t count = std::min<size_t>(slots, link::kMaxSlots);
  configure.current_limit_ma.resize(count);
  configure.safe_state.resize(count);
  configure.rail.resize(count);
  AddSlots(config, board, &configure);
  for (const auto& rail : config.rails.at(static_cast<size_t>(board))) {
    configure.rail_budget_ma.push_back(Unsigned(rail.budget.count));
  }
  configure.rack_budget_ma = BoardBudget(config, board);
  configure.stagger_ms = Unsigned(config.stagger_ms);
  configure.min_off_ms = Unsigned(config.min_off_ms);
  configure.host_silent_ms = Unsigned(config.host_silent_ms);
  configure.host_silent_max_ms = Unsigned(config.host_silent_max_ms);
  configure.charge_on_ms = Unsigned(config.charge_on_ms);
  configure.charge_period_ms = Unsigned(config.charge_period_ms);
  configure.tray_warn_deci_c = Unsigned(config.tray_warn_celsius * int64_t{10});
  configure.tray_trip_deci_c = Unsigned(config.tray_trip_celsius * int64_t{10});
  configure.relay_warn_count = Unsigned(config.relay_warn_count);
  configure.min_on_ms = Unsigned(config.min_on_ms);
  for (const auto& input : config.inputs) {
    if (input.board == board) configure.input_rules.push_back(link::Pack(RuleOf(config, input)));
  }
  return configure;
}

bool KeepInForce(const link::Reply& reply, const std::string& slot, Configure* configure, std::string* waits) {
  if (reply.queue_position == kInputRules) {
    if (!KeepRule(reply.limit, configure)) return false;
    *waits = fmt::format("the rule for input {} stays while {} is on", link::UnpackRule(reply.limit).input, slot);
    return true;
  }
  const char* name = nullptr;
  uint32_t* field = FieldOf(reply, configure, &name);
  if (field == nullptr || *field == reply.limit) return false;
  *field = reply.limit;
  *waits = fmt::format("{} stays {} while {} is on", name, reply.limit, slot);
  return true;
}

}  // namespace faraday::controller
