#include "sim/bench/control_command.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "rackconfig/yaml_reader.h"
#include "sim/board/machine.h"

namespace faraday::sim {
namespace {

using rackconfig::RackConfig;
using Words = std::vector<std::string>;

using Reader = Status (*)(std::string_view word, const RackConfig& rack, ControlCommand& command);
struct Argument {
  std::string_view name;
  bool optional;
  Reader read;
};
struct VerbRow {
  std::string_view word;
  Verb verb;
  std::vector<Argument> arguments;
  std::string_view text;
  Status (*check)(const ControlCommand& command) = nullptr;  // of the words together
};

Status Wrong(std::string message) { return {Code::kInvalidArgument, std::move(message)}; }

std::optional<int> Number(std::string_view word) {
  int value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

Status OneOf(std::string_view word, const std::vector<std::string>& choices, std::string_view noun) {
  if (std::find(choices.begin(), choices.end(), word) != choices.end()) return OkStatus();
  return Wrong(fmt::format(
      "\"{}\" is no {}: use {}{}", word, noun, fmt::join(choices, ", "), rackconfig::DidYouMean(word, choices)));
}

Status ReadSlot(std::string_view word, const RackConfig& rack, ControlCommand& command) {
  std::string_view digits = word;
  const std::string prefix = rack.rack + "/";
  if (word.starts_with(prefix)) digits.remove_prefix(prefix.size());
  const std::optional<int> number = Number(digits);
  const int last = static_cast<int>(rack.slots.size());
  if (!number || *number < 1 || *number > last) {
    return Wrong(fmt::format("\"{}\" is no slot: use {}01 to {}{:02}", word, prefix, prefix, last));
  }
  command.slot = *number;
  return OkStatus();
}

Status ReadBoard(std::string_view word, const RackConfig& rack, ControlCommand& command) {
  const std::optional<int> number = Number(word);
  const int last = static_cast<int>(rack.boards.size()) - 1;
  if (!number || *number < 0 || *number > last) {
    return Wrong(fmt::format("\"{}\" is no board: use 0 to {}", word, last));
  }
  command.board = *number;
  return OkStatus();
}

Status ReadSlotOrBoard(std::string_view word, const RackConfig& rack, ControlCommand& command) {
  if (word.find('/') != std::string_view::npos) return ReadSlot(word, rack, command);
  return ReadBoard(word, rack, command);
}

Status ReadFault(std::string_view word, const RackConfig&, ControlCommand& command) {
  command.what = word;
  return OneOf(word, FaultNames(), "fault");
}

Status ReadOnOff(std::string_view word, const RackConfig&, ControlCommand& command) {
  command.on = word == "on";
  return OneOf(word, {"on", "off"}, "switch position");
}

Status ReadPhoneAction(std::string_view word, const RackConfig&, ControlCommand& command) {
  command.what = word == "hung" ? "hang" : word;
  return OneOf(command.what, {"ok", "offline", "hang", "absent", "power-on", "power-off", "reboot"}, "phone action");
}

Status ReadPercent(std::string_view word, const RackConfig&, ControlCommand& command) {
  const std::optional<int> number = Number(word);
  if (!number || *number < 0 || *number > 100) {
    return Wrong(fmt::format("\"{}\" is no charge: use 0 to 100 percent", word));
  }
  command.percent = *number;
  return OkStatus();
}

Status ReadCause(std::string_view word, const RackConfig&, ControlCommand& command) {
  command.what = word;
  return OneOf(word, {"power-on", "watchdog", "software", "fault", "brown-out"}, "reset cause");
}

Status ReadLineAction(std::string_view word, const RackConfig&, ControlCommand& command) {
  command.what = word;
  return OneOf(word, {"cut", "restore", "damage"}, "line action");
}

Status ReadBusAction(std::string_view word, const RackConfig&, ControlCommand& command) {
  command.what = word;
  return OneOf(word, {"stuck", "ok", "stretch"}, "bus action");
}

Status ReadEepromAction(std::string_view word, const RackConfig&, ControlCommand& command) {
  command.what = word;
  return OneOf(word, {"worn"}, "EEPROM fault");
}

Status ReadMilliamps(std::string_view word, const RackConfig&, ControlCommand& command) {
  command.amount = Number(word);
  if (command.amount && *command.amount >= 0 && *command.amount <= 5000) return OkStatus();
  return Wrong(fmt::format("\"{}\" is no load: use 0 to 5000 mA", word));
}

Status ReadCelsius(std::string_view word, const RackConfig&, ControlCommand& command) {
  command.amount = Number(word);
  if (command.amount && *command.amount >= -20 && *command.amount <= 80) return OkStatus();
  return Wrong(fmt::format("\"{}\" is no temperature: use -20 to 80 degC", word));
}

Status ReadRail(std::string_view word, const RackConfig& rack, ControlCommand& command) {
  std::vector<std::string> names;
  const auto board = static_cast<size_t>(command.board);
  if (board >= rack.rails.size()) return Wrong("the rack's config names no rails");
  for (const rackconfig::RailConfig& rail : rack.rails[board]) {
    if (rail.name == word) command.place = static_cast<int>(names.size());
    names.push_back(rail.name);
  }
  return OneOf(word, names, "rail of this board");
}

Status ReadRailFault(std::string_view word, const RackConfig&, ControlCommand& command) {
  std::vector<std::string> names;
  for (int i = 0; i < kRailFaults; ++i) names.emplace_back(ToString(static_cast<RailFault>(i)));
  command.what = word;
  return OneOf(word, names, "state of a rail");
}

Status ReadBoardFault(std::string_view word, const RackConfig&, ControlCommand& command) {
  command.what = word;
  return OneOf(word, BoardFaultNames(), "fault of a board");
}

Status ReadPlace(std::string_view word, const RackConfig&, ControlCommand& command) {
  const std::optional<int> number = Number(word);
  if (!number || *number < 0) return Wrong(fmt::format("\"{}\" is no number from 0", word));
  command.place = *number;
  return OkStatus();
}

Status ReadAmount(std::string_view word, const RackConfig&, ControlCommand& command) {
  command.amount = Number(word);
  const int most = command.what == "damage" ? 100 : 1000;
  if (command.amount && *command.amount >= 0 && *command.amount <= most) return OkStatus();
  return Wrong(
      fmt::format("\"{}\" is out of range: use 0 to {}", word, command.what == "damage" ? "100 %" : "1000 ms"));
}

Status ReadSeed(std::string_view word, const RackConfig&, ControlCommand& command) {
  const std::optional<int> number = Number(word);
  if (!number || *number < 0) return Wrong(fmt::format("\"{}\" is no seed: use 0 to 2147483647", word));
  command.seed = *number;
  return OkStatus();
}

// `action` alone takes an amount, and needs it.
Status NeedsAmount(const ControlCommand& command, std::string_view action, std::string_view amount) {
  if ((command.what == action) == command.amount.has_value()) return OkStatus();
  return Wrong(command.amount ? fmt::format("{} takes no more words", command.what)
                              : fmt::format("{} needs {}", action, amount));
}

Status CheckLine(const ControlCommand& command) { return NeedsAmount(command, "damage", "PERCENT of the frames"); }
Status CheckBus(const ControlCommand& command) { return NeedsAmount(command, "stretch", "MS"); }

Status ReadInput(std::string_view word, const RackConfig& rack, ControlCommand& command) {
  command.what = word;
  std::vector<std::string> names;
  for (const rackconfig::InputConfig& input : rack.inputs) names.push_back(input.name);
  if (std::find(names.begin(), names.end(), kStopButton) == names.end()) names.emplace_back(kStopButton);
  return OneOf(word, names, "rack input");
}

Status ReadActive(std::string_view word, const RackConfig&, ControlCommand& command) {
  command.on = word == "active";
  return OneOf(word, {"active", "inactive"}, "input state");
}

const std::vector<VerbRow>& Verbs() {
  static const std::vector<VerbRow> kVerbs = {
      {"help", Verb::kHelp, {}, "these lines"},
      {"list", Verb::kList, {}, "the slots that have a phone"},
      {"state",
       Verb::kState,
       {{"SLOT|BOARD", false, ReadSlotOrBoard}},
       "the truth in the plant, or of a board and its line"},
      {"fault",
       Verb::kFault,
       {{"SLOT", false, ReadSlot}, {"NAME", false, ReadFault}, {"on|off", false, ReadOnOff}},
       "breaks or mends a slot's hardware"},
      {"phone",
       Verb::kPhone,
       {{"SLOT", false, ReadSlot}, {"ACTION", false, ReadPhoneAction}},
       "offline, hang, absent, ok; power-on, power-off, reboot"},
      {"battery",
       Verb::kBattery,
       {{"SLOT", false, ReadSlot}, {"PERCENT", false, ReadPercent}},
       "sets the charge of a slot's phone"},
      {"mcu-reset",
       Verb::kMcuReset,
       {{"BOARD", false, ReadBoard}, {"CAUSE", true, ReadCause}},
       "resets a board's MCU; cause power-on, watchdog (default), software, fault, brown-out"},
      {"line",
       Verb::kLine,
       {{"BOARD", false, ReadBoard},
        {"cut|restore|damage", false, ReadLineAction},
        {"PERCENT", true, ReadAmount},
        {"SEED", true, ReadSeed}},
       "pulls or plugs a board's serial line, or damages frames both ways",
       CheckLine},
      {"input",
       Verb::kInput,
       {{"NAME", false, ReadInput}, {"active|inactive", false, ReadActive}},
       "sets a rack input of the config (door, smoke ...), or the boards' own stop-button"},
      {"expander-reset",
       Verb::kExpanderReset,
       {{"SLOT", false, ReadSlot}},
       "the slot's expander (it serves two) loses its registers behind the firmware's back"},
      {"mcu-hang", Verb::kMcuHang, {{"BOARD", false, ReadBoard}}, "the firmware stops; its watchdog must bite"},
      {"bus",
       Verb::kBus,
       {{"BOARD", false, ReadBoard},
        {"BUS", false, ReadPlace},
        {"stuck|ok|stretch", false, ReadBusAction},
        {"MS", true, ReadAmount}},
       "an I2C bus held low, or MS longer a transfer; native board only",
       CheckBus},
      {"eeprom",
       Verb::kEeprom,
       {{"BOARD", false, ReadBoard}, {"worn", false, ReadEepromAction}, {"PAGE", false, ReadPlace}},
       "a page of the memory keeps its bytes from now on; native board only"},
      {"load",
       Verb::kLoad,
       {{"SLOT", false, ReadSlot}, {"MA", false, ReadMilliamps}},
       "an electronic load across VBUS besides the phone; 0: none"},
      {"rail",
       Verb::kRail,
       {{"BOARD", false, ReadBoard}, {"RAIL", false, ReadRail}, {"ok|sag|over|dead|psu-lost", false, ReadRailFault}},
       "what a supply does: 0.3 V less, 0.5 V more, nothing, or says that its power is not good"},
      {"ambient",
       Verb::kAmbient,
       {{"BOARD", false, ReadBoard}, {"DEGC", false, ReadCelsius}},
       "the air around the board's trays, at once; 24 at the start"},
      {"board",
       Verb::kBoard,
       {{"BOARD", false, ReadBoard}, {"NAME", false, ReadBoardFault}, {"on|off", false, ReadOnOff}},
       "breaks or mends a board's hardware; native board only"},
  };
  return kVerbs;
}

std::string Usage(const VerbRow& row) {
  std::string usage{row.word};
  for (const Argument& argument : row.arguments) {
    usage += argument.optional ? fmt::format(" [{}]", argument.name) : fmt::format(" {}", argument.name);
  }
  return usage;
}

Words Split(std::string_view line) {
  Words words;
  size_t at = 0;
  while ((at = line.find_first_not_of(" \t\r\n", at)) != std::string_view::npos) {
    const size_t end = std::min(line.find_first_of(" \t\r\n", at), line.size());
    words.emplace_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

Result<const VerbRow*> FindVerb(const std::string& word) {
  std::vector<std::string> names;
  for (const VerbRow& row : Verbs()) {
    if (row.word == word) return &row;
    names.emplace_back(row.word);
  }
  FARADAY_TRY(OneOf(word, names, "command"));
  return Wrong(word);
}

}  // namespace

std::vector<CommandHelp> ControlHelp() {
  std::vector<CommandHelp> help;
  for (const VerbRow& row : Verbs()) help.push_back({Usage(row), std::string(row.text)});
  return help;
}

Result<ControlCommand> ParseControlCommand(std::string_view line, const RackConfig& rack) {
  const Words words = Split(line);
  if (words.empty()) return Wrong("an empty command; \"help\" lists them");
  FARADAY_TRY_ASSIGN(const VerbRow* row, FindVerb(words[0]));
  const auto needed =
      std::count_if(row->arguments.begin(), row->arguments.end(), [](const Argument& a) { return !a.optional; });
  if (words.size() - 1 < static_cast<size_t>(needed) || words.size() - 1 > row->arguments.size()) {
    return Wrong(fmt::format("{} takes other words: {}", row->word, Usage(*row)));
  }
  ControlCommand command;
  command.verb = row->verb;
  for (size_t i = 1; i < words.size(); ++i) FARADAY_TRY(row->arguments[i - 1].read(words[i], rack, command));
  if (row->check != nullptr) FARADAY_TRY(row->check(command));
  return command;
}

}  // namespace faraday::sim
