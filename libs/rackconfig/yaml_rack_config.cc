// The tables of a rack's YAML but for its slots (yaml_rack_slots.h). Checks across keys are rack_checks.cc.
#include "rackconfig/yaml_rack_config.h"

#include <fmt/format.h>

#include "rackconfig/rack_checks.h"
#include "rackconfig/yaml_rack_slots.h"

namespace faraday::rackconfig {
namespace {

const Range kRailBudget{100, 20'000, "mA"};          // the board's ceiling is 20 A (firmware/core/limits.h)
const Range kRackBudget{100, 1'000'000, "mA"};       // chosen
const Range kInputDebounce{1, 8000, "ms"};           // 13 bits on the line
const Range kTrayWarn{20, 40, "degC"};               // the board's ceiling is 40 (firmware/core/limits.h)
const Range kTrayTrip{25, 50, "degC"};               // the board's ceiling is 50
const Range kRelayWarn{1000, 100'000'000, "moves"};  // chosen; a signal relay's data sheet says 10^5 to 10^8
const Range kMinOn{200, 60'000, "ms"};               // the board's ceiling is 200

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
      {"debounce", Need::kOptional, Duration(&input->debounce_ms, kInputDebounce), "level must last this long"},
      {"action",
       Need::kOptional,
       Choice(&input->action,
              std::vector<std::pair<std::string, InputAction>>{{"report", InputAction::kReport},
                                                               {"block_turn_on", InputAction::kBlockTurnOn},
                                                               {"safe_rail", InputAction::kSafeRail},
                                                               {"stop", InputAction::kStop}}),
       "what the board does by itself"},
      {"rails", Need::kOptional, TextList(&input->rails), "with safe_rail: the rails that go off; left out: all"},
      {"alarm", Need::kOptional, Boolean(&input->alarm), "the alarm output follows it; stop and safe_rail always do"},
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
      {"min_on_ms",
       Need::kOptional,
       Integer(&config->min_on_ms, kMinOn),
       "two turn-ons of a slot are at least this and min_off apart"},
      {"tray_warn_celsius",
       Need::kOptional,
       NotingLine(&lines->tray_warn, Integer(&config->tray_warn_celsius, kTrayWarn)),
       "tray air that is reported as warm"},
      {"tray_trip_celsius",
       Need::kOptional,
       NotingLine(&lines->tray_trip, Integer(&config->tray_trip_celsius, kTrayTrip)),
       "tray air that takes the shelf off"},
      {"relay_warn_count",
       Need::kOptional,
       Integer(&config->relay_warn_count, kRelayWarn),
       "moves from which a slot's RF relay counts as worn"},
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
