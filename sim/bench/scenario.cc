#include "sim/bench/scenario.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "sim/phone/models.h"

namespace faraday::sim {
namespace {

using rackconfig::Choice;
using rackconfig::Duration;
using rackconfig::Integer;
using rackconfig::ListOf;
using rackconfig::Need;
using rackconfig::NotingLine;
using rackconfig::Report;
using rackconfig::Table;
using rackconfig::Text;
using rackconfig::YamlNode;

struct PhoneRow {
  ScenarioPhone phone;
  int line = 0;
};
struct EventRow {
  ScenarioEvent event;
  int line = 0;
};
struct BoardFaultRow {
  int board = 0;
  std::string missing;  // "expander r01/05", "eeprom"; empty: not said
  bool eeprom_read_only = false;
  int line = 0;
};
struct Rows {
  std::string name;
  std::vector<PhoneRow> phones;
  std::vector<EventRow> events;
  std::vector<BoardFaultRow> board_faults;
};

Table PhoneTable(PhoneRow& row, const rackconfig::RackConfig& rack) {
  std::vector<std::pair<std::string, std::string>> models;
  for (const PhoneModel& model : PhoneModels()) models.emplace_back(model.name, model.name);
  ScenarioPhone& phone = row.phone;
  return {{"slot",
           Need::kRequired,
           NotingLine(&row.line, Integer(&phone.slot, {1, static_cast<int64_t>(rack.slots.size()), ""})),
           "the slot's number in the rack"},
          {"model", Need::kRequired, Choice(&phone.model, std::move(models)), "one of the simulated models"},
          {"serial", Need::kRequired, Text(&phone.serial), "what adb calls the phone"},
          {"android", Need::kOptional, Text(&phone.android), "Android version, \"14\""},
          {"battery", Need::kOptional, Integer(&phone.battery_percent, {0, 100, "percent"}), "charge at the start"},
          {"power",
           Need::kOptional,
           Choice(&phone.booted, std::vector<std::pair<std::string, bool>>{{"booted", true}, {"off", false}}),
           "booted or off at the start"}};
}

Table EventTable(EventRow& row) {
  return {
      {"after", Need::kRequired, Duration(&row.event.after_ms, {0, 24 * 3'600'000}), "time from the simulator's start"},
      {"do",
       Need::kRequired,
       NotingLine(&row.line, Text(&row.event.text)),
       "a control command: fault r01/07 short on"}};
}

Table BoardFaultTable(BoardFaultRow& row, const rackconfig::RackConfig& rack) {
  return {{"board",
           Need::kRequired,
           NotingLine(&row.line, Integer(&row.board, {0, static_cast<int64_t>(rack.boards.size()) - 1, ""})),
           "the board's number in the rack"},
          {"missing",
           Need::kOptional,
           Text(&row.missing),
           "a part that is not there: expander SLOT, monitor SLOT, sensor SLOT or eeprom"},
          {"eeprom",
           Need::kOptional,
           Choice(&row.eeprom_read_only, std::vector<std::pair<std::string, bool>>{{"read-only", true}}),
           "read-only: acknowledges writes and keeps its bytes"}};
}

Table RootTable(Rows& rows, const rackconfig::RackConfig& rack) {
  return {{"name", Need::kOptional, Text(&rows.name), "for logs"},
          {"phones",
           Need::kRequired,
           ListOf<PhoneRow>(&rows.phones, "phone", [&rack](PhoneRow& row) { return PhoneTable(row, rack); }),
           "the phones and their slots; [] for an empty rack"},
          {"events", Need::kOptional, ListOf<EventRow>(&rows.events, "event", EventTable), "what happens when"},
          {"board_faults",
           Need::kOptional,
           ListOf<BoardFaultRow>(
               &rows.board_faults, "board fault", [&rack](BoardFaultRow& row) { return BoardFaultTable(row, rack); }),
           "what is wrong before the MCU's first instruction"}};
}

void CheckPhone(const PhoneRow& row, const Rows& rows, const rackconfig::RackConfig& rack, Report& report) {
  const ScenarioPhone& phone = row.phone;
  if (phone.slot < 1 || phone.slot > static_cast<int>(rack.slots.size())) return;  // reported by its range
  const auto first = std::find_if(rows.phones.begin(), rows.phones.end(), [&phone](const PhoneRow& other) {
    return other.phone.slot == phone.slot;
  });
  if (&*first != &row) {
    report.AddAt(
        row.line, "", fmt::format("slot {} has a phone already (line {}): a slot holds one", phone.slot, first->line));
  }
  if (!phone.android.empty() && SdkOf(phone.android).empty()) {
    report.AddAt(
        row.line, "", fmt::format("slot {}: android \"{}\" is unknown to the simulator", phone.slot, phone.android));
  }
  if (rack.slots[static_cast<size_t>(phone.slot) - 1].hosts.empty()) {
    report.WarnAt(row.line,
                  "",
                  fmt::format("slot {} has no hosts in the rack's config: adb will not reach this phone", phone.slot));
  }
}

void CheckEvent(EventRow& row, const Rows& rows, const rackconfig::RackConfig& rack, Report& report) {
  if (row.event.text.empty()) return;  // reported as missing
  const auto command = ParseControlCommand(row.event.text, rack);
  if (!command.ok()) return report.AddAt(row.line, "", "do: " + command.status().message());
  row.event.command = *command;
  const bool needs_phone = command->verb == Verb::kPhone || command->verb == Verb::kBattery;
  const bool has_phone = std::any_of(rows.phones.begin(), rows.phones.end(), [&command](const PhoneRow& other) {
    return other.phone.slot == command->slot;
  });
  if (needs_phone && !has_phone) {
    report.AddAt(row.line, "", fmt::format("do: slot {} has no phone in this scenario", command->slot));
  }
}

struct PartWord {
  std::string_view word;
  StartFault::Kind kind;
};
constexpr std::array<PartWord, 3> kSlotParts = {{{"expander", StartFault::Kind::kExpanderMissing},
                                                 {"monitor", StartFault::Kind::kMonitorMissing},
                                                 {"sensor", StartFault::Kind::kSensorMissing}}};

// "expander r01/05" as a fault of the board that the slot is on.
Result<StartFault> ParseMissing(const std::string& text, int board, const rackconfig::RackConfig& rack) {
  if (text == "eeprom") return StartFault{StartFault::Kind::kEepromMissing, 0};
  const size_t space = text.find(' ');
  const std::string word = text.substr(0, space);
  const auto part = std::find_if(kSlotParts.begin(), kSlotParts.end(), [&](const auto& it) { return it.word == word; });
  if (part == kSlotParts.end() || space == std::string::npos) {
    return Status(Code::kInvalidArgument,
                  fmt::format("missing \"{}\": use expander SLOT, monitor SLOT, sensor SLOT or eeprom", text));
  }
  FARADAY_TRY_ASSIGN(const ControlCommand command, ParseControlCommand("expander-reset" + text.substr(space), rack));
  const rackconfig::SlotConfig& slot = rack.slots[static_cast<size_t>(command.slot) - 1];
  if (slot.board != board) {
    return Status(Code::kInvalidArgument, fmt::format("{}: this slot is on board {}", text, slot.board));
  }
  return StartFault{part->kind, static_cast<size_t>(slot.board_slot) - 1};
}

void ReadBoardFault(const BoardFaultRow& row,
                    const rackconfig::RackConfig& rack,
                    std::vector<ScenarioBoardFault>& faults,
                    Report& report) {
  if (row.missing.empty() && !row.eeprom_read_only) {
    return report.AddAt(row.line, "", "a board fault says \"missing: PART\" or \"eeprom: read-only\"");
  }
  if (row.eeprom_read_only) faults.push_back({row.board, {StartFault::Kind::kEepromReadOnly, 0}});
  if (row.missing.empty()) return;
  const auto fault = ParseMissing(row.missing, row.board, rack);
  if (!fault.ok()) return report.AddAt(row.line, "", fault.status().message());
  faults.push_back({row.board, *fault});
}

LoadedScenario Read(const std::optional<YamlNode>& root, const rackconfig::RackConfig& rack, Report& report) {
  Rows rows;
  std::vector<ScenarioBoardFault> board_faults;
  if (root) {
    ReadMap(*root, RootTable(rows, rack), report);
    for (const PhoneRow& row : rows.phones) CheckPhone(row, rows, rack, report);
    for (EventRow& row : rows.events) CheckEvent(row, rows, rack, report);
    for (const BoardFaultRow& row : rows.board_faults) ReadBoardFault(row, rack, board_faults, report);
  }
  LoadedScenario loaded;
  loaded.mistakes = report.TakeMistakes();
  if (!root || !Usable(loaded.mistakes)) return loaded;
  Scenario& scenario = loaded.scenario.emplace();
  scenario.name = rows.name;
  for (PhoneRow& row : rows.phones) scenario.phones.push_back(std::move(row.phone));
  for (EventRow& row : rows.events) scenario.events.push_back(std::move(row.event));
  scenario.board_faults = std::move(board_faults);
  return loaded;
}

}  // namespace

LoadedScenario LoadScenario(const std::string& path, const rackconfig::RackConfig& rack) {
  Report report(path);
  return Read(rackconfig::LoadYaml(report), rack, report);
}

LoadedScenario ParseScenario(const std::string& text, const std::string& file, const rackconfig::RackConfig& rack) {
  Report report(file);
  return Read(rackconfig::ParseYaml(text, report), rack, report);
}

}  // namespace faraday::sim
