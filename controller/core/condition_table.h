// The table of conditions: name, what it does to the slot, what a person does next. Pure words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "link/messages.h"

namespace faraday::controller {

// Beyond the link's numbers: what only the controller names.
inline constexpr auto kEpochLost = static_cast<link::Condition>(100);
inline constexpr auto kConfigWaits = static_cast<link::Condition>(101);

// How value and limit are written.
enum class ConditionForm : uint8_t { kName, kOffCurrent, kOffVoltage, kUnder, kOver, kWarm, kMoves, kRail, kSilent };

struct ConditionRow {
  link::Condition which;
  std::string_view name;
  ConditionForm form;
  bool suspect;  // the slot is not offered while it lasts
  bool quarantines;
  bool latched;
  std::string_view next;  // {} is the slot's name, or the rack's
};

// nullptr for a number that is none.
const ConditionRow* RowOf(link::Condition which);
// "over-voltage", "relay-stuck"; "unknown" beyond the table.
std::string_view ConditionName(link::Condition which);
// "tray-warm 41.0 degC > 40.0 degC"; values of 0 are left out.
std::string ConditionText(link::Condition which, uint32_t value, uint32_t limit);
// What the row says to do next, with the slot's or rack's name.
std::string ConditionNext(const ConditionRow& row, const std::string& name);
// The conditions among a slot's bits, in the table's order.
std::vector<link::Condition> ConditionsIn(const link::SlotBits& bits);
// Every condition that a slot's bits can say.
std::vector<link::Condition> BitConditions();

}  // namespace faraday::controller
