// The tables of a rack's YAML, and the laying out of slots: defaults, then the list (each slot once), then overrides.
// Checks across keys are rack_checks.cc.
#include "rackconfig/yaml_rack_config.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include <fmt/format.h>

#include "model/slot_id.h"
#include "rackconfig/rack_checks.h"

namespace faraday::rackconfig {
namespace {

// 100 mA is what any phone may draw unasked (USB 2.0 section 7.2.1); 3000 mA is the most the slot's connector and
// switch carry (the board's compiled-in ceiling).
const Range kCurrentLimit{100, 3000, "mA"};
const Range kRailBudget{100, 60'000, "mA"};     // chosen: a 300 W supply at 5 V
const Range kRackBudget{100, 1'000'000, "mA"};  // chosen
constexpr size_t kMaxSlots = 1024;              // chosen: 32 boards of 32
const Range kSlotNumber{1, kMaxSlots};

// ---- slots --------------------------------------------------------------------------------------------------------

// What one entry says of its slots; what it does not say is empty and leaves the earlier word in force.
struct SlotWords {
  std::vector<int> numbers;
  int line = 0;
  std::optional<int> board;
  std::optional<int> board_slot;
  std::optional<std::string> rail;
  std::optional<int> current_limit_ma;
  std::optional<SafeState> safe_state;
  std::optional<VbusSource> vbus_source;
  std::optional<std::vector<SlotHost>> hosts;
  std::optional<std::string> expected_phone;
  std::map<std::string, std::string> labels;
  SlotLines lines;
};

// The whole number at the front of `text`, taken off.
std::optional<int> TakeNumber(std::string_view* text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || value < kSlotNumber.min || value > kSlotNumber.max) return std::nullopt;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return value;
}

void SkipSpaces(std::string_view* text) {
  while (!text->empty() && text->front() == ' ') text->remove_prefix(1);
}

// "7", "1-8", "1-4, 9, 12-14".
std::optional<std::vector<int>> ParseSlotNumbers(std::string_view text) {
  std::vector<int> numbers;
  while (true) {
    SkipSpaces(&text);
    const std::optional<int> first = TakeNumber(&text);
    if (!first) return std::nullopt;
    std::optional<int> last = first;
    SkipSpaces(&text);
    if (!text.empty() && text.front() == '-') {
      text.remove_prefix(1);
      SkipSpaces(&text);
      last = TakeNumber(&text);
      SkipSpaces(&text);
    }
    if (!last || *last < *first || numbers.size() > kMaxSlots) return std::nullopt;
    for (int number = *first; number <= *last; ++number) numbers.push_back(number);
    if (text.empty()) return numbers;
    if (text.front() != ',') return std::nullopt;
    text.remove_prefix(1);
  }
}

Setter SlotNumbers(std::vector<int>* target) {
  return [target](std::string_view key, const YamlNode& node, Report& report) {
    const auto numbers = node.kind == YamlNode::Kind::kScalar ? ParseSlotNumbers(node.text) : std::nullopt;
    if (numbers) {
      target->insert(target->end(), numbers->begin(), numbers->end());
    } else {
      report.Add(node.line,
                 fmt::format("{}: \"{}\" names no slots: write 7, 1-8 or \"1-4, 9\", numbers 1 to {}",
                             key,
                             node.text,
                             kSlotNumber.max));
    }
  };
}

Table SlotHostTable(SlotHost* host) {
  return {
      {"host", Need::kRequired, Text(&host->host), "name of one of `hosts`"},
      {"adb", Need::kOptional, Text(&host->adb), "TCP address of the phone's adb daemon, \"127.0.0.1:56{slot:02}\""},
      {"usb", Need::kOptional, Text(&host->usb), "bus and ports of the slot's cable on that host, \"1-1.4\""},
  };
}

Setter SlotHosts(SlotWords* words) {
  return [words](std::string_view key, const YamlNode& node, Report& report) {
    words->hosts.emplace();
    ListOf<SlotHost>(&*words->hosts, "host", [](SlotHost& host) { return SlotHostTable(&host); })(key, node, report);
  };
}

// Keys of `slots.defaults`, of an entry of `slots.list`, and of one of `slots.overrides`.
Table SlotTable(SlotWords* words) {
  SlotLines& lines = words->lines;
  return {
      {"board",
       Need::kOptional,
       NotingLine(&lines.board, Integer(&words->board, Range{0, 31, ""})),
       "index into boards, from 0"},
      {"rail", Need::kOptional, NotingLine(&lines.rail, Text(&words->rail)), "name of a rail of that board"},
      {"current_limit_ma",
       Need::kOptional,
       NotingLine(&lines.current_limit, Integer(&words->current_limit_ma, kCurrentLimit)),
       "the slot is tripped above this"},
      {"safe_state",
       Need::kOptional,
       Choice(&words->safe_state,
              std::vector<std::pair<std::string, SafeState>>{
                  {"charge", SafeState::kCharge}, {"hold", SafeState::kHold}, {"off", SafeState::kOff}}),
       "where the slot goes when nobody is in charge"},
      {"vbus_source",
       Need::kOptional,
       Choice(&words->vbus_source,
              std::vector<std::pair<std::string, VbusSource>>{{"rack", VbusSource::kRack}, {"hub", VbusSource::kHub}}),
       "who feeds VBUS"},
      {"hosts", Need::kOptional, NotingLine(&lines.hosts, SlotHosts(words)), "computers its data path can reach"},
      {"expected_phone", Need::kOptional, Text(&words->expected_phone), "model that should be here, pixel-8"},
      {"labels", Need::kOptional, TextMap(&words->labels), "words for selectors"},
  };
}

Table SlotEntryTable(SlotWords* words) {
  Table table = SlotTable(words);
  table.push_back({"slots", Need::kOptional, SlotNumbers(&words->numbers), "7, 1-8 or \"1-4, 9\""});
  table.push_back({"slot", Need::kOptional, SlotNumbers(&words->numbers), "the same, reads better for one"});
  return table;
}

Table SlotListTable(SlotWords* words) {
  Table table = SlotEntryTable(words);
  table.push_back({"board_slot",
                   Need::kOptional,
                   NotingLine(&words->lines.board_slot, Integer(&words->board_slot, Range{1, 32, ""})),
                   "number on its board of the entry's first slot; the others count on"});
  return table;
}

std::string Named(const std::string& rack, int number) {
  return model::ToString(model::SlotId{.rack = rack, .number = number});
}

// "slots 1-8" as the entry gives them, for messages inside it.
std::string EntryName(const YamlNode& item) {
  for (const char* key : {"slots", "slot"}) {
    if (item.kind != YamlNode::Kind::kMap) break;
    const YamlNode* numbers = item.Find(key);
    if (numbers != nullptr && numbers->kind == YamlNode::Kind::kScalar) return fmt::format("{} {}", key, numbers->text);
  }
  return "slots entry";
}

struct SlotEntries {
  SlotWords defaults;
  std::vector<SlotWords> list;
  std::vector<SlotWords> overrides;
};

using TableOfWords = Table (*)(SlotWords*);

Setter SlotEntryList(std::vector<SlotWords>* target, TableOfWords make_table) {
  return [target, make_table](std::string_view key, const YamlNode& node, Report& report) {
    if (node.kind != YamlNode::Kind::kList) {
      report.Add(node.line, fmt::format("{}: must be a list of entries, each beginning with \"- slots: 1-8\"", key));
      return;
    }
    for (const YamlNode& item : node.list) {
      const Report::Scope scope(report, EntryName(item));
      SlotWords words;
      words.line = item.line;
      const size_t before = report.errors();
      ReadMap(item, make_table(&words), report);
      if (words.numbers.empty() && report.errors() == before) {
        report.Add(item.line, "says nothing of which slots it is about: add slots: 1-8 or slot: 7");
      }
      target->push_back(std::move(words));
    }
  };
}

Table SlotsTable(SlotEntries* entries) {
  return {
      {"defaults", Need::kOptional, MapOf(SlotTable(&entries->defaults), "slot defaults"), "what holds for every slot"},
      {"list", Need::kRequired, SlotEntryList(&entries->list, SlotListTable), "the slots, each exactly once"},
      {"overrides",
       Need::kOptional,
       SlotEntryList(&entries->overrides, SlotEntryTable),
       "what differs for some of them"},
  };
}

// `slots:` is a map of defaults, list and overrides, or the list alone.
Setter Slots(SlotEntries* entries) {
  return [entries](std::string_view key, const YamlNode& node, Report& report) {
    if (node.kind == YamlNode::Kind::kList) {
      SlotEntryList(&entries->list, SlotListTable)(key, node, report);
    } else {
      ReadMap(node, SlotsTable(entries), report);
    }
  };
}

void TakeLine(int* target, int line) {
  if (line > 0) *target = line;
}

// Lays the words of one entry over what a slot has so far. `nth` counts the entry's slots from 0.
void Apply(const SlotWords& words, int nth, SlotDraft* draft) {
  SlotConfig& slot = draft->config;
  if (words.board) slot.board = *words.board;
  if (words.board_slot) slot.board_slot = *words.board_slot + nth;
  if (words.rail) draft->rail = *words.rail;
  if (words.current_limit_ma) slot.current_limit = Milliamps(*words.current_limit_ma);
  if (words.safe_state) slot.safe_state = *words.safe_state;
  if (words.vbus_source) slot.vbus_source = *words.vbus_source;
  if (words.hosts) slot.hosts = *words.hosts;
  if (words.expected_phone) slot.expected_phone = *words.expected_phone;
  for (const auto& [name, value] : words.labels) slot.labels[name] = value;
  TakeLine(&draft->lines.board, words.lines.board);
  TakeLine(&draft->lines.board_slot, words.lines.board_slot);
  TakeLine(&draft->lines.rail, words.lines.rail);
  TakeLine(&draft->lines.current_limit, words.lines.current_limit);
  TakeLine(&draft->lines.hosts, words.lines.hosts);
}

SlotDraft* FindSlot(std::vector<SlotDraft>* drafts, int number) {
  const auto found = std::find_if(
      drafts->begin(), drafts->end(), [&](const SlotDraft& draft) { return draft.config.number == number; });
  return found == drafts->end() ? nullptr : &*found;
}

void LayOutEntry(const SlotEntries& entries,
                 const SlotWords& words,
                 const std::string& rack,
                 std::vector<SlotDraft>* drafts,
                 Report& report) {
  for (size_t nth = 0; nth < words.numbers.size(); ++nth) {
    const int number = words.numbers[nth];
    if (const SlotDraft* first = FindSlot(drafts, number)) {
      report.AddAt(words.line,
                   "slot " + Named(rack, number),
                   fmt::format("is laid out twice, first in line {}: keep one, or move what differs to slots.overrides",
                               first->lines.entry));
      continue;
    }
    SlotDraft draft;
    draft.config.number = number;
    draft.lines.entry = words.line;
    Apply(entries.defaults, 0, &draft);
    Apply(words, static_cast<int>(nth), &draft);
    drafts->push_back(std::move(draft));
  }
}

void ApplyOverride(const SlotWords& words, const std::string& rack, std::vector<SlotDraft>* drafts, Report& report) {
  for (int number : words.numbers) {
    if (SlotDraft* draft = FindSlot(drafts, number)) {
      Apply(words, 0, draft);
    } else {
      report.AddAt(words.line, "slot " + Named(rack, number), "is no slot of this rack: add it to slots.list first");
    }
  }
}

// Slots that do not say their board_slot take the next free number of their board, in order.
void NumberOnBoards(std::vector<SlotDraft>* drafts) {
  std::map<int, int> last;
  for (SlotDraft& draft : *drafts) {
    int& board_last = last[draft.config.board];
    if (draft.config.board_slot == 0) draft.config.board_slot = board_last + 1;
    board_last = draft.config.board_slot;
  }
}

std::vector<SlotDraft> LayOutSlots(const SlotEntries& entries, const std::string& rack, Report& report) {
  std::vector<SlotDraft> drafts;
  for (const SlotWords& words : entries.list) {
    LayOutEntry(entries, words, rack, &drafts, report);
    if (drafts.size() > kMaxSlots) {
      report.AddAt(words.line, "slots", fmt::format("are more than {}: split the rack", kMaxSlots));
      return drafts;
    }
  }
  for (const SlotWords& words : entries.overrides) ApplyOverride(words, rack, &drafts, report);
  std::stable_sort(drafts.begin(), drafts.end(), [](const SlotDraft& a, const SlotDraft& b) {
    return a.config.number < b.config.number;
  });
  NumberOnBoards(&drafts);
  return drafts;
}

// "slot", "slot:02", "board", "board_slot", "rack": the text it stands for; nullopt when it is none of them.
std::optional<std::string> Placeholder(std::string_view inside, const SlotConfig& slot, const std::string& rack) {
  const size_t colon = inside.find(':');
  const std::string_view name = inside.substr(0, colon);
  const std::string_view form = colon == std::string_view::npos ? "" : inside.substr(colon + 1);
  if (name == "rack" && form.empty()) return rack;
  int value = 0;
  if (name == "slot")
    value = slot.number;
  else if (name == "board")
    value = slot.board;
  else if (name == "board_slot")
    value = slot.board_slot;
  else
    return std::nullopt;
  if (form.empty() && colon == std::string_view::npos) return fmt::format("{}", value);
  if (form == "02") return fmt::format("{:02}", value);
  if (form == "03") return fmt::format("{:03}", value);
  if (form == "04") return fmt::format("{:04}", value);
  return std::nullopt;
}

// Puts the slot's numbers into "127.0.0.1:56{slot:02}".
std::string FillIn(const std::string& text, const SlotConfig& slot, const std::string& rack, std::string* problem) {
  std::string out;
  size_t at = 0;
  while (true) {
    const size_t open = text.find('{', at);
    if (open == std::string::npos) return out + text.substr(at);
    const size_t close = text.find('}', open);
    const auto value = close == std::string::npos
                           ? std::nullopt
                           : Placeholder(std::string_view(text).substr(open + 1, close - open - 1), slot, rack);
    if (!value) {
      *problem = fmt::format(
          "\"{}\" has an unknown {{...}}: valid are {{slot}}, {{slot:02}}, {{board}}, {{board_slot}} "
          "and {{rack}}",
          text);
      return "";
    }
    out += text.substr(at, open - at) + *value;
    at = close + 1;
  }
}

void FillInSlot(const std::string& rack, SlotDraft* draft, Report& report) {
  SlotConfig& slot = draft->config;
  std::string problem;
  for (SlotHost& host : slot.hosts) {
    host.adb = FillIn(host.adb, slot, rack, &problem);
    host.usb = FillIn(host.usb, slot, rack, &problem);
  }
  if (!problem.empty()) slot.hosts.clear();  // reported below; an empty address would be reported again
  for (auto& label : slot.labels) label.second = FillIn(label.second, slot, rack, &problem);
  if (!problem.empty()) {
    report.AddAt(
        draft->lines.hosts > 0 ? draft->lines.hosts : draft->lines.entry, "slot " + Named(rack, slot.number), problem);
  }
}

// ---- the rest of the file -----------------------------------------------------------------------------------------

Table PortTable(PortConfig* port) {
  return {
      {"usb_serial", Need::kOptional, Text(&port->usb_serial), "USB serial number of the serial adapter"},
      {"path", Need::kOptional, Path(&port->path), "a tty or pty"},
      {"socket", Need::kOptional, Path(&port->socket), "a unix stream socket"},
      {"baud", Need::kOptional, Integer(&port->baud, Range{9600, 4'000'000, "baud"}), "with usb_serial and path"},
  };
}

struct BoardDraft {
  BoardConfig config;
  std::vector<RailConfig> rails;
};

Table RailTable(RailConfig* rail) {
  return {
      {"name", Need::kRequired, Text(&rail->name), "slots name it"},
      {"budget_ma", Need::kRequired, Integer(&rail->budget, kRailBudget), "what the supply can give, mA at VBUS"},
  };
}

Table BoardTable(BoardDraft* board, BoardLines* lines) {
  return {
      {"port",
       Need::kRequired,
       NotingLine(&lines->port, MapOf(PortTable(&board->config.port))),
       "how the controller reaches it: usb_serial, path or socket"},
      {"kind", Need::kOptional, Text(&board->config.kind), "what must answer Hello: native, ast1030; left out: any"},
      {"capture", Need::kOptional, Path(&board->config.capture), "file that takes every frame of the line"},
      {"rails",
       Need::kRequired,
       NotingLine(&lines->rails,
                  [board, lines](std::string_view key, const YamlNode& node, Report& report) {
                    for (const YamlNode& item : node.list) lines->rail.push_back(item.line);
                    ListOf<RailConfig>(&board->rails, "rail", [](RailConfig& rail) { return RailTable(&rail); })(
                        key, node, report);
                  }),
       "its supplies, each {name, budget_ma}"},
  };
}

Setter Boards(RackConfig* config, RackLines* lines) {
  return ListOfMaps("board", [config, lines](const YamlNode& item, Report& report) {
    BoardDraft board;
    BoardLines board_lines;
    board_lines.board = item.line;
    ReadMap(item, BoardTable(&board, &board_lines), report);
    config->boards.push_back(std::move(board.config));
    config->rails.push_back(std::move(board.rails));
    lines->boards.push_back(std::move(board_lines));
  });
}

Setter Hosts(RackConfig* config, RackLines* lines) {
  return ListOfMaps("host", [config, lines](const YamlNode& item, Report& report) {
    HostConfig host;
    ReadMap(item,
            {{"name", Need::kRequired, Text(&host.name), "slots name it"},
             {"agent", Need::kOptional, Text(&host.agent), "its agent's name, if not the host's"}},
            report);
    if (host.agent.empty()) host.agent = host.name;
    config->hosts.push_back(std::move(host));
    lines->hosts.push_back(item.line);
  });
}

Table InputTable(InputConfig* input) {
  return {
      {"name", Need::kRequired, Text(&input->name), "door, smoke, fan, stop_button"},
      {"board", Need::kOptional, Integer(&input->board, Range{0, 31, ""}), "index into boards"},
      {"pin", Need::kRequired, Integer(&input->pin, Range{0, 31, ""}), "number in the board's input table"},
      {"active",
       Need::kOptional,
       Choice(&input->active_high, std::vector<std::pair<std::string, bool>>{{"low", false}, {"high", true}}),
       "level that means yes"},
      {"debounce", Need::kOptional, Duration(&input->debounce_ms, Range{0, 10'000, "ms"}), "level must last this long"},
      {"action",
       Need::kOptional,
       Choice(&input->action,
              std::vector<std::pair<std::string, InputAction>>{{"report", InputAction::kReport},
                                                               {"block_turn_on", InputAction::kBlockTurnOn},
                                                               {"safe_rail", InputAction::kSafeRail},
                                                               {"stop", InputAction::kStop}}),
       "what the board does by itself"},
  };
}

Setter Inputs(RackConfig* config, RackLines* lines) {
  return ListOfMaps("input", [config, lines](const YamlNode& item, Report& report) {
    InputConfig input;
    ReadMap(item, InputTable(&input), report);
    config->inputs.push_back(std::move(input));
    lines->inputs.push_back(item.line);
  });
}

Table ControllerTable(ControllerConfig* controller, RackLines* lines) {
  return {
      {"listen",
       Need::kOptional,
       NotingLine(&lines->listen, Endpoint(&controller->listen, true)),
       "where calls are served"},
      {"events",
       Need::kOptional,
       NotingLine(&lines->events, Endpoint(&controller->events, true)),
       "where events are published"},
      SecurityRow(&controller->security),
      {"audit", Need::kOptional, MapOf(AuditTable(&controller->audit)), "how long the audit log is kept"},
      {"state_dir", Need::kOptional, Path(&controller->state_dir), "leases and epochs live here"},
      {"lease_default",
       Need::kOptional,
       Duration(&controller->lease_default_ms, Range{1000, 86'400'000, "ms"}),
       "when the asker says none"},
      {"lease_max",
       Need::kOptional,
       Duration(&controller->lease_max_ms, Range{1000, 31 * int64_t{86'400'000}, "ms"}),
       "hard maximum of one lease"},
      {"agent_silent",
       Need::kOptional,
       Duration(&controller->agent_silent_ms, Range{1000, 600'000, "ms"}),
       "no word from the agent that long: its slots are suspect"},
      {"grants_users",
       Need::kOptional,
       Boolean(&controller->grants_users),
       "false: only the lab, techs and admins acquire here"},
  };
}

Table BudgetTable(RackConfig* config, RackLines* lines) {
  return {
      {"rack_ma",
       Need::kOptional,
       NotingLine(&lines->rack_budget, Integer(&config->rack_budget, kRackBudget)),
       "what the whole rack may draw; left out: the sum of its rails"},
      {"stagger",
       Need::kOptional,
       Duration(&config->stagger_ms, Range{50, 10'000, "ms"}),
       "between two turn-ons of one rail"},
      {"min_off",
       Need::kOptional,
       Duration(&config->min_off_ms, Range{500, 60'000, "ms"}),
       "VBUS stays off at least this long"},
      {"host_silent",
       Need::kOptional,
       NotingLine(&lines->host_silent, Duration(&config->host_silent_ms, Range{2000, 60'000, "ms"})),
       "silence of the controller that blocks turn-ons"},
      {"host_silent_max",
       Need::kOptional,
       NotingLine(&lines->host_silent_max, Duration(&config->host_silent_max_ms, Range{10'000, 3'600'000, "ms"})),
       "leased slots keep their outputs this long without a controller"},
      {"charge_on",
       Need::kOptional,
       NotingLine(&lines->charge_on, Duration(&config->charge_on_ms, Range{60'000, 86'400'000, "ms"})),
       "safe state charge: VBUS is on this long ..."},
      {"charge_period",
       Need::kOptional,
       NotingLine(&lines->charge_period,
                  Duration(&config->charge_period_ms, Range{60'000, 7 * int64_t{86'400'000}, "ms"})),
       "... in every such period"},
  };
}

Table RackTable(RackConfig* config, SlotEntries* slots, RackLines* lines) {
  return {
      {"rack", Need::kRequired, NotingLine(&lines->rack, Text(&config->rack)), "the rack's name, such as r01"},
      {"controller",
       Need::kOptional,
       NotingLine(&lines->controller, MapOf(ControllerTable(&config->controller, lines))),
       "the daemon"},
      {"hosts", Need::kOptional, Hosts(config, lines), "computers the USB cables run to"},
      {"boards",
       Need::kRequired,
       NotingLine(&lines->all_boards, Boards(config, lines)),
       "the microcontroller boards, at least one"},
      {"slots", Need::kRequired, NotingLine(&lines->slots, Slots(slots)), "the phones' places"},
      {"inputs", Need::kOptional, Inputs(config, lines), "door, smoke, stop button, ..."},
      {"budgets", Need::kOptional, MapOf(BudgetTable(config, lines)), "current and times of the whole rack"},
  };
}

LoadedRack Finish(const std::optional<YamlNode>& root, Report& report) {
  LoadedRack loaded;
  RackConfig config;
  if (root) {
    SlotEntries entries;
    RackLines lines;
    ReadMap(*root, RackTable(&config, &entries, &lines), report);
    std::vector<SlotDraft> drafts = LayOutSlots(entries, config.rack, report);
    for (SlotDraft& draft : drafts) FillInSlot(config.rack, &draft, report);
    CheckRack(drafts, lines, &config, report);
  }
  loaded.mistakes = report.TakeMistakes();
  if (root && Usable(loaded.mistakes)) loaded.config = std::move(config);
  return loaded;
}

void AddKeys(const Table& table, const std::string& prefix, std::vector<std::string>* keys) {
  for (const Row& row : table) keys->push_back(prefix + row.key);
}

std::string Plural(size_t count, const char* one) { return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s"); }

}  // namespace

LoadedRack LoadRackConfig(const std::string& path, const Environment& environment) {
  Report report(path);
  const std::optional<YamlNode> root = LoadYaml(report, environment);
  return Finish(root, report);
}

LoadedRack ParseRackConfig(std::string_view text, const std::string& file, const Environment& environment) {
  Report report(file);
  const std::optional<YamlNode> root = ParseYaml(text, report, environment);
  return Finish(root, report);
}

std::string CheckReport(const LoadedRack& loaded, const std::string& path) {
  std::string out = Describe(loaded.mistakes);
  if (!loaded.ok()) return out;
  const RackConfig& config = *loaded.config;
  size_t rails = 0;
  for (const auto& board_rails : config.rails) rails += board_rails.size();
  return out + fmt::format("{} is good: rack {}, {}, {}, {}, {}\n",
                           path,
                           config.rack,
                           Plural(config.boards.size(), "board"),
                           Plural(rails, "rail"),
                           Plural(config.slots.size(), "slot"),
                           Plural(config.hosts.size(), "host"));
}

std::vector<std::string> RackKeys() {
  RackConfig config;
  RackLines lines;
  SlotEntries slots;
  SlotWords words;
  BoardDraft board;
  BoardLines board_lines;
  SlotHost slot_host;
  InputConfig input;
  RailConfig rail;
  std::vector<std::string> keys;
  AddKeys(RackTable(&config, &slots, &lines), "", &keys);
  AddKeys(ControllerTable(&config.controller, &lines), "controller.", &keys);
  AddKeys(AuditTable(&config.controller.audit), "controller.audit.", &keys);
  AddKeys({{"name", Need::kRequired, {}, ""}, {"agent", Need::kOptional, {}, ""}}, "hosts[].", &keys);
  AddKeys(BoardTable(&board, &board_lines), "boards[].", &keys);
  AddKeys(PortTable(&board.config.port), "boards[].port.", &keys);
  AddKeys(RailTable(&rail), "boards[].rails[].", &keys);
  AddKeys(SlotsTable(&slots), "slots.", &keys);
  AddKeys(SlotListTable(&words), "slots.list[].", &keys);
  AddKeys(SlotHostTable(&slot_host), "slots.list[].hosts[].", &keys);
  AddKeys(InputTable(&input), "inputs[].", &keys);
  AddKeys(BudgetTable(&config, &lines), "budgets.", &keys);
  return keys;
}

}  // namespace faraday::rackconfig
