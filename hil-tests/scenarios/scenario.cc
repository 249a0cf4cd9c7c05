#include "hil-tests/scenarios/scenario.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>

namespace faraday::hil {
namespace {

using rackconfig::Duration;
using rackconfig::Need;
using rackconfig::Report;
using rackconfig::Setter;
using rackconfig::Table;
using rackconfig::YamlNode;

constexpr rackconfig::Range kTimes{1, 300'000, "ms"};

struct ActionRow {
  const char* key;
  Do action;
  const char* modifiers;
  const char* doc;
};
constexpr std::array kActions = {
    ActionRow{"bench", Do::kBench, " refused ", "a command of faraday-sim ctl"},
    ActionRow{"cli", Do::kCli, " as exit says within ", "a faraday command, with its exit code and words"},
    ActionRow{"truth", Do::kTruth, " within hold ", "SLOT or BOARD and words of faraday-sim ctl state"},
    ActionRow{"status", Do::kStatus, " has has_not within hold ", "fields of faraday status SLOT or RACK --json"},
    ActionRow{"event", Do::kEvent, " has within ", "kind of an event since the start, and fields of it"},
    ActionRow{"log", Do::kLog, " within ", "words of the firmware's own log, by faraday rack log"},
    ActionRow{"controller", Do::kController, "", "kill, stop or start"},
    ActionRow{"wait", Do::kWait, "", "time passes"},
};

Setter Patterns(std::map<std::string, std::string>* target) { return rackconfig::TextMap(target); }

// One text, or a list of them.
Setter Texts(std::vector<std::string>* target) {
  return [target](std::string_view key, const YamlNode& node, Report& report) {
    if (node.kind == YamlNode::Kind::kScalar) return target->push_back(node.text);
    rackconfig::TextList(target, 1)(key, node, report);
  };
}

Setter ActionSetter(const ActionRow& row, ScenarioStep* step, int* actions) {
  return [&row, step, actions](std::string_view key, const YamlNode& node, Report& report) {
    ++*actions;
    step->action = row.action;
    if (row.action == Do::kWait) return Duration(&step->wait_ms, kTimes)(key, node, report);
    rackconfig::Text (&step->text)(key, node, report);
    if (step->action != Do::kController) return;
    if (step->text != "kill" && step->text != "stop" && step->text != "start") {
      report.Add(node.line, fmt::format("controller: \"{}\" is not one of kill, stop, start", step->text));
    }
  };
}

Setter OptionalDuration(std::optional<int64_t>* target) {
  return Duration(kTimes, [target](int64_t ms) { *target = ms; });
}

Table StepTable(ScenarioStep& step, int* actions) {
  Table table = {{"refused",
                  Need::kOptional,
                  rackconfig::Text(
                      std::function<void(std::string)>([&step](std::string text) { step.refused = std::move(text); })),
                  "bench: part of its error"},
                 {"as",
                  Need::kOptional,
                  rackconfig::Choice(&step.as,
                                     std::vector<std::pair<std::string, std::string>>{
                                         {"user", "user"}, {"tech", "tech"}, {"admin", "admin"}, {"viewer", "viewer"}}),
                  "cli: whose command"},
                 {"exit", Need::kOptional, rackconfig::Integer(&step.exit_code, {0, 255, ""}), "cli: its exit code"},
                 {"says", Need::kOptional, Texts(&step.says), "cli: parts of its output"},
                 {"has", Need::kOptional, Patterns(&step.has), "fields and patterns"},
                 {"has_not", Need::kOptional, Patterns(&step.has_not), "fields and patterns"},
                 {"within", Need::kOptional, OptionalDuration(&step.within_ms), "tried again until then"},
                 {"hold", Need::kOptional, Duration(&step.hold_ms, kTimes), "stays so for that long"}};
  for (const ActionRow& row : kActions) {
    table.push_back({row.key, Need::kOptional, ActionSetter(row, &step, actions), row.doc});
  }
  return table;
}

void CheckStep(const ScenarioStep& step, const YamlNode& node, int actions, Report& report) {
  std::vector<std::string> keys;
  for (const ActionRow& row : kActions) keys.emplace_back(row.key);
  if (actions != 1) {
    return report.Add(node.line, fmt::format("a step has one of {}; this one has {}", fmt::join(keys, ", "), actions));
  }
  const ActionRow& row = *std::ranges::find(kActions, step.action, &ActionRow::action);
  for (const auto& entry : node.map) {
    if (std::ranges::find(keys, entry.key) != keys.end()) continue;
    if (std::string_view(row.modifiers).find(" " + entry.key + " ") != std::string_view::npos) continue;
    report.Add(entry.line, fmt::format("{} does not go with {}", entry.key, row.key));
  }
}

Setter Steps(std::vector<ScenarioStep>* steps) {
  return rackconfig::ListOfMaps("step", [steps](const YamlNode& node, Report& report) {
    ScenarioStep& step = steps->emplace_back();
    step.line = node.line;
    int actions = 0;
    const size_t before = report.errors();
    ReadMap(node, StepTable(step, &actions), report);
    if (report.errors() == before) CheckStep(step, node, actions, report);
  });
}

void CheckNames(const ScenarioFile& scenario, Report& report) {
  for (const std::string& board : scenario.boards) {
    if (board != "native" && board != "ast1030") report.Add(0, fmt::format("boards: \"{}\" is no board", board));
  }
  constexpr std::array kParts = {"slots", "overrides", "inputs", "budgets"};
  for (const auto& [part, text] : scenario.rack) {
    if (std::ranges::find(kParts, part) == kParts.end()) {
      report.Add(0, fmt::format("rack: \"{}\" is not one of {}", part, fmt::join(kParts, ", ")));
    }
  }
  if (scenario.steps.empty()) report.Add(0, "steps: a scenario needs at least one");
}

LoadedScenarioFile Read(const std::optional<YamlNode>& root, Report& report) {
  ScenarioFile scenario;
  scenario.file = report.file();
  scenario.name = std::filesystem::path(report.file()).stem().string();
  std::vector<std::string> boards;
  const Table table = {
      {"about", Need::kRequired, rackconfig::Text(&scenario.about), "one sentence: the fault and what is to happen"},
      {"boards", Need::kOptional, rackconfig::TextList(&boards, 1), "native (default), ast1030"},
      {"pending", Need::kOptional, rackconfig::Text(&scenario.pending), "why it cannot pass yet"},
      {"rack", Need::kOptional, Patterns(&scenario.rack), "parts of the rack's config"},
      {"start_faults", Need::kOptional, rackconfig::TextList(&scenario.start_faults), "before the first instruction"},
      {"on", Need::kOptional, rackconfig::TextList(&scenario.on), "slots leased and switched on before"},
      {"steps", Need::kRequired, Steps(&scenario.steps), "what is done and expected, in order"}};
  if (root) ReadMap(*root, table, report);
  if (!boards.empty()) scenario.boards = boards;
  if (root && report.errors() == 0) CheckNames(scenario, report);
  LoadedScenarioFile loaded;
  loaded.mistakes = report.TakeMistakes();
  if (root && Usable(loaded.mistakes)) loaded.scenario = std::move(scenario);
  return loaded;
}

}  // namespace

bool ScenarioFile::RunsOn(const std::string& board) const { return std::ranges::find(boards, board) != boards.end(); }

LoadedScenarioFile LoadScenarioFile(const std::string& path) {
  Report report(path);
  return Read(rackconfig::LoadYaml(report), report);
}

LoadedScenarioFile ParseScenarioFile(const std::string& text, const std::string& file) {
  Report report(file);
  return Read(rackconfig::ParseYaml(text, report), report);
}

}  // namespace faraday::hil
