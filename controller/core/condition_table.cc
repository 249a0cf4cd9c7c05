#include "controller/core/condition_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace faraday::controller {
namespace {

using link::SlotBits;
using Kind = link::Condition;

constexpr std::array<ConditionRow, 24> kRows = {{
    {Kind::kSwitchShorted,
     "switch-shorted",
     ConditionForm::kOffCurrent,
     true,
     true,
     false,
     "replace the slot's switch, then: faraday slot clear {}"},
    {Kind::kRelayStuck,
     "relay-stuck",
     ConditionForm::kName,
     true,
     true,
     false,
     "replace the relay, then: faraday slot clear {}"},
    {Kind::kReadBackMismatch,
     "read-back-mismatch",
     ConditionForm::kName,
     true,
     true,
     false,
     "replace the slot's expander, then: faraday slot clear {}"},
    {Kind::kPartMissing,
     "part-missing",
     ConditionForm::kName,
     true,
     true,
     false,
     "check the slot's expander, monitor and their plugs, then: faraday slot clear {}"},
    {Kind::kWrongPart,
     "wrong-part",
     ConditionForm::kName,
     true,
     false,
     false,
     "fit the monitor that the board's table names; nothing is measured until then"},
    {kEpochLost,
     "epoch-lost",
     ConditionForm::kName,
     true,
     false,
     false,
     "the controller gives the board its epochs again"},
    {Kind::kBackFeed,
     "back-feed",
     ConditionForm::kOffVoltage,
     false,
     false,
     false,
     "the phone, its cable or a hub feeds back: exchange the cable, then the phone"},
    {Kind::kNoDischarge,
     "no-discharge",
     ConditionForm::kName,
     false,
     false,
     false,
     "VBUS falls too slowly: check the slot's discharge resistor"},
    {Kind::kUnderVoltage,
     "under-voltage",
     ConditionForm::kUnder,
     false,
     false,
     false,
     "check the slot's cable and connector, then its switch"},
    {Kind::kOverVoltage,
     "over-voltage",
     ConditionForm::kOver,
     true,
     false,
     false,
     "check the supply of the slot's rail at once"},
    {Kind::kTrayWarm,
     "tray-warm",
     ConditionForm::kWarm,
     false,
     false,
     false,
     "check fan and air; at the trip limit the shelf goes off"},
    {Kind::kRelayWorn,
     "relay-worn",
     ConditionForm::kMoves,
     false,
     false,
     false,
     "plan a new relay, then: faraday slot relay-fitted {}"},
    {Kind::kTraySensorMissing,
     "tray-sensor-missing",
     ConditionForm::kName,
     false,
     false,
     false,
     "check the tray's temperature sensor and its plug"},
    {Kind::kBusLost,
     "bus-lost",
     ConditionForm::kName,
     false,
     false,
     false,
     "check the shelf's cable; its slots turn on again once the bus answers"},
    {Kind::kRailSag,
     "rail-sag",
     ConditionForm::kRail,
     false,
     false,
     false,
     "check the rail's supply; charging pauses, turn-ons wait until it recovers"},
    {Kind::kRailDown,
     "rail-down",
     ConditionForm::kName,
     false,
     false,
     false,
     "check the rail's supply and inputs; 1 s after it is good again its slots can be switched on"},
    {Kind::kHotShelf,
     "hot-shelf",
     ConditionForm::kName,
     false,
     false,
     true,
     "find the slot on it that tripped, make it safe, then clear that slot"},
    {Kind::kHostSilent, "host-silent", ConditionForm::kSilent, false, false, false, "the controller ends it by itself"},
    {Kind::kNvmReadOnly,
     "nvm-read-only",
     ConditionForm::kName,
     false,
     false,
     false,
     "the board's EEPROM takes no more: plan to replace the board"},
    {Kind::kInputBlocks,
     "input-blocks",
     ConditionForm::kName,
     false,
     false,
     false,
     "turn-ons wait until the input is inactive: close the door, mend the cause"},
    {Kind::kStopped,
     "stopped",
     ConditionForm::kName,
     false,
     false,
     true,
     "mend the cause, then: faraday rack resume {}"},
    {Kind::kAlarm,
     "alarm",
     ConditionForm::kName,
     false,
     false,
     false,
     "see what raised it: a stop, a thermal trip or an input"},
    {Kind::kLogLost,
     "log-lost",
     ConditionForm::kName,
     false,
     false,
     false,
     "the board's log flash takes no records: replace the board"},
    {kConfigWaits,
     "config-waits",
     ConditionForm::kName,
     false,
     false,
     false,
     "it is taken as soon as that slot is off"},
}};

struct BitRow {
  bool SlotBits::*bit;
  Kind which;
};
constexpr std::array<BitRow, 8> kBits = {{{&SlotBits::relay_stuck, Kind::kRelayStuck},
                                          {&SlotBits::wrong_part, Kind::kWrongPart},
                                          {&SlotBits::part_missing, Kind::kPartMissing},
                                          {&SlotBits::read_back_mismatch, Kind::kReadBackMismatch},
                                          {&SlotBits::switch_shorted, Kind::kSwitchShorted},
                                          {&SlotBits::nvm_lost, kEpochLost},
                                          {&SlotBits::back_feed, Kind::kBackFeed},
                                          {&SlotBits::no_discharge, Kind::kNoDischarge}}};
}  // namespace

const ConditionRow* RowOf(link::Condition which) {
  const auto* row = std::ranges::find(kRows, which, &ConditionRow::which);
  return row == kRows.end() ? nullptr : row;
}

std::string_view ConditionName(link::Condition which) {
  const ConditionRow* row = RowOf(which);
  return row == nullptr ? "unknown" : row->name;
}

std::string ConditionText(link::Condition which, uint32_t value, uint32_t limit) {
  const ConditionRow* row = RowOf(which);
  if (row == nullptr) return "unknown";
  std::string text(row->name);
  if (value == 0) return text;
  const auto compared = [&](std::string_view sign, double scale, int digits, std::string_view unit) {
    text += fmt::format(" {:.{}f} {}", value / scale, digits, unit);
    if (limit != 0) text += fmt::format(" {} {:.{}f} {}", sign, limit / scale, digits, unit);
    return text;
  };
  switch (row->form) {
    case ConditionForm::kName:
      return text;
    case ConditionForm::kOffCurrent:
      return fmt::format("{} {:.2f} A while off", text, value / 1000.0);
    case ConditionForm::kOffVoltage:
      return fmt::format("{} {:.2f} V while off", text, value / 1000.0);
    case ConditionForm::kUnder:
      return compared("<", 1000, 2, "V");
    case ConditionForm::kOver:
      return compared(">", 1000, 2, "V");
    case ConditionForm::kWarm:
      return compared(">", 10, 1, "degC");
    case ConditionForm::kMoves:
      return fmt::format("{} {} moves", text, value);
    case ConditionForm::kRail:
      return fmt::format("{} {:.2f} V", text, value / 1000.0);  // its limit says which rail
    case ConditionForm::kSilent:
      return fmt::format("{} for {:.1f} s", text, value / 1000.0);
  }
  return text;
}

std::string ConditionNext(const ConditionRow& row, const std::string& name) {
  return fmt::format(fmt::runtime(row.next), name);
}

std::vector<link::Condition> ConditionsIn(const link::SlotBits& bits) {
  std::vector<link::Condition> found;
  for (const BitRow& row : kBits) {
    if (bits.*row.bit) found.push_back(row.which);
  }
  return found;
}

std::vector<link::Condition> BitConditions() {
  std::vector<link::Condition> all;
  for (const BitRow& row : kBits) all.push_back(row.which);
  return all;
}

}  // namespace faraday::controller
