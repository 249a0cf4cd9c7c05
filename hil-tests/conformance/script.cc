#include "hil-tests/conformance/script.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/result.h"
#include "hil-tests/conformance/words.h"
#include "link/human.h"

namespace faraday::hil {
namespace {

using rackconfig::Choice;
using rackconfig::Duration;
using rackconfig::Need;
using rackconfig::Report;
using rackconfig::Setter;
using rackconfig::Table;
using rackconfig::YamlNode;

constexpr rackconfig::Range kWaits{1, 120'000, "ms"};

struct ActionRow {
  std::string_view key;
  Action action;
  std::string_view modifiers;  // those that it takes, in words
  std::string_view doc;
};
constexpr std::array kActions = {
    ActionRow{"hello", Action::kHello, "as refused", "opens a host term; words of the answer"},
    ActionRow{"configure", Action::kConfigure, "reply", "changes to the standard configuration"},
    ActionRow{"do", Action::kDo, "reply done refused from", "a command in the link's human form"},
    ActionRow{"again", Action::kAgain, "reply", "the last command's frame once more"},
    ActionRow{"damaged", Action::kDamaged, "", "a command's frame with one bit wrong"},
    ActionRow{"stop", Action::kStop, "", "the stop frame"},
    ActionRow{"event", Action::kEvent, "at_least", "the next event"},
    ActionRow{"refusal", Action::kRefusal, "", "the next refusal"},
    ActionRow{"state", Action::kState, "hold at_least", "slot=N and words of its telemetry"},
    ActionRow{"board", Action::kBoard, "hold at_least", "words of the board's telemetry"},
    ActionRow{"truth", Action::kTruth, "hold at_least", "slot=N or board=N and words of faraday-sim ctl state"},
    ActionRow{"ctl", Action::kCtl, "refused", "a command of faraday-sim ctl"},
    ActionRow{"quiet", Action::kQuiet, "", "the host says nothing for that long"},
    ActionRow{"away", Action::kAway, "", "the host announces an absence of that long"},
    ActionRow{"wait", Action::kWait, "", "time passes"},
    ActionRow{"reading", Action::kReading, "", "off: the host stops reading until the line is full; on"},
    ActionRow{"connect", Action::kConnect, "", "the host opens the line again"},
};

const ActionRow& RowOf(Action action) { return *std::ranges::find(kActions, action, &ActionRow::action); }

bool IsTime(Action action) { return action == Action::kQuiet || action == Action::kAway || action == Action::kWait; }

// ---- checks of one step, with its line ----

Status CheckSentence(const std::string& text) {
  const auto frame = link::ParseHuman("-> command id=1 " + PutEpochs(text, 0));
  return frame.ok() ? OkStatus() : frame.status();
}

Status NeedsWord(const Step& step, std::initializer_list<std::string_view> keys) {
  const Words words = SplitWords(step.text);
  const bool named =
      std::any_of(keys.begin(), keys.end(), [&](std::string_view key) { return ValueOf(words, key).has_value(); });
  if (named) return OkStatus();
  return {Code::kInvalidArgument, fmt::format("must name {}=N", fmt::join(keys, "=N or "))};
}

Status CheckText(const Step& step) {
  switch (step.action) {
    case Action::kDo:
    case Action::kDamaged:
      return CheckSentence(step.text);
    case Action::kConfigure:
      return ConfigureSentence(step.text).status();
    case Action::kState:
      return NeedsWord(step, {"slot"});
    case Action::kTruth:
      return NeedsWord(step, {"slot", "board"});
    case Action::kReading:
      if (step.text == "on" || step.text == "off") return OkStatus();
      return {Code::kInvalidArgument, fmt::format("\"{}\" is neither on nor off", step.text)};
    case Action::kCtl:
    case Action::kEvent:
    case Action::kRefusal:
    case Action::kBoard:
      if (!step.text.empty()) return OkStatus();
      return {Code::kInvalidArgument, "needs words"};
    default:
      return OkStatus();
  }
}

void CheckModifiers(const Step& step, const std::vector<std::string>& given, Report& report) {
  const ActionRow& row = RowOf(step.action);
  const Words allowed = SplitWords(row.modifiers);
  for (const std::string& key : given) {
    if (std::find(allowed.begin(), allowed.end(), key) != allowed.end()) continue;
    report.AddAt(step.line,
                 "",
                 fmt::format("{} does not go with {} (it takes {})",
                             key,
                             row.key,
                             allowed.empty() ? "nothing else" : fmt::format("{}", fmt::join(allowed, ", "))));
  }
}

// ---- reading one step ----

Setter ActionSetter(const ActionRow& row, Step* step, int* actions) {
  return [&row, step, actions](std::string_view key, const YamlNode& node, Report& report) {
    ++*actions;
    step->action = row.action;
    if (IsTime(row.action)) {
      return Duration(&step->ms, kWaits)(key, node, report);
    }
    if (node.kind != YamlNode::Kind::kScalar && node.kind != YamlNode::Kind::kNull) {
      return report.Add(node.line, fmt::format("{}: must be words", key));
    }
    step->text = JoinWords(SplitWords(node.text));
  };
}

Setter OptionalWords(std::optional<std::string>* target) {
  return [target](std::string_view key, const YamlNode& node, Report& report) {
    if (node.kind != YamlNode::Kind::kScalar && node.kind != YamlNode::Kind::kNull) {
      return report.Add(node.line, fmt::format("{}: must be words", key));
    }
    *target = JoinWords(SplitWords(node.text));
  };
}

Table StepTable(Step& step, int* actions) {
  Table table = {
      {"reply", Need::kOptional, OptionalWords(&step.reply), "words of the reply; default: ok or accepted"},
      {"done", Need::kOptional, OptionalWords(&step.done), "words of the command's end, the next event"},
      {"refused", Need::kOptional, OptionalWords(&step.refused), "words of the refusal that comes instead"},
      {"as", Need::kOptional, rackconfig::Text(&step.as), "hello: another rack's name"},
      {"from",
       Need::kOptional,
       Choice(&step.from,
              std::vector<std::pair<std::string, From>>{
                  {"old-term", From::kOldTerm}, {"other-session", From::kOtherSession}, {"ahead", From::kAhead}}),
       "whose frame the command comes as"},
      {"hold", Need::kOptional, Duration(&step.hold_ms, kWaits), "stays so for that long"},
      {"at_least", Need::kOptional, Duration(&step.at_least_ms, kWaits), "not before, since the last command"}};
  for (const ActionRow& row : kActions) {
    table.push_back({std::string(row.key), Need::kOptional, ActionSetter(row, &step, actions), std::string(row.doc)});
  }
  return table;
}

void CheckStep(const Step& step, const YamlNode& node, int actions, Report& report) {
  if (actions != 1) {
    std::vector<std::string_view> keys;
    for (const ActionRow& row : kActions) keys.push_back(row.key);
    return report.Add(node.line, fmt::format("a step has one of {}; this one has {}", fmt::join(keys, ", "), actions));
  }
  if (const Status status = CheckText(step); !status.ok()) {
    report.Add(node.line, fmt::format("{}: {}", RowOf(step.action).key, status.message()));
  }
  std::vector<std::string> modifiers;
  for (const auto& entry : node.map) {
    const bool action = std::ranges::find(kActions, entry.key, &ActionRow::key) != kActions.end();
    if (!action) modifiers.push_back(entry.key);
  }
  CheckModifiers(step, modifiers, report);
}

Setter Steps(std::vector<Step>* steps) {
  return rackconfig::ListOfMaps("step", [steps](const YamlNode& node, Report& report) {
    Step step;
    step.line = node.line;
    int actions = 0;
    const size_t before = report.errors();
    ReadMap(node, StepTable(step, &actions), report);
    if (report.errors() == before) CheckStep(step, node, actions, report);
    steps->push_back(std::move(step));
  });
}

Setter Tolerances(std::map<std::string, int>* target) {
  return [target](std::string_view key, const YamlNode& node, Report& report) {
    if (node.kind != YamlNode::Kind::kMap) {
      return report.Add(node.line, fmt::format("{}: must be a map: vbus_mv: 60", key));
    }
    for (const auto& entry : node.map) {
      rackconfig::Integer({0, 100'000, ""}, [&](int64_t value) { (*target)[entry.key] = static_cast<int>(value); })(
          entry.key, entry.value, report);
    }
  };
}

bool Known(const std::string& board) {
  return std::any_of(std::begin(kBoards), std::end(kBoards), [&](const char* known) { return board == known; });
}

void CheckBoards(const Script& script, Report& report) {
  for (const std::string& board : script.boards) {
    if (!Known(board)) report.Add(1, fmt::format("boards: \"{}\" is none of {}", board, fmt::join(kBoards, ", ")));
  }
  for (const char* board : kBoards) {
    const bool why = script.missing.contains(board);
    if (script.For(board) == why) {
      report.Add(1,
                 why ? fmt::format("missing: {} is among the boards", board)
                     : fmt::format("missing: must say why {} is not among the boards", board));
    }
  }
}

Table RootTable(Script& script) {
  return {{"about", Need::kRequired, rackconfig::Text(&script.about), "one sentence: what it shows"},
          {"boards", Need::kRequired, rackconfig::TextList(&script.boards, 1), "native, ast1030"},
          {"missing", Need::kOptional, rackconfig::TextMap(&script.missing), "board: why the script is not for it"},
          {"tolerance", Need::kOptional, Tolerances(&script.tolerance), "measured value: how far boards may differ"},
          {"start_faults",
           Need::kOptional,
           rackconfig::TextList(&script.start_faults),
           "what is wrong before the MCU's first instruction"},
          {"blank", Need::kOptional, rackconfig::Boolean(&script.blank), "needs a board with a blank memory"},
          {"fresh", Need::kOptional, rackconfig::Boolean(&script.fresh), "needs an MCU that has just started"},
          {"steps", Need::kRequired, Steps(&script.steps), "what happens"}};
}

LoadedScript Read(const std::optional<YamlNode>& root, Report& report) {
  LoadedScript loaded;
  Script script;
  script.file = report.file();
  script.name = std::filesystem::path(report.file()).stem().string();
  if (root) {
    ReadMap(*root, RootTable(script), report);
    CheckBoards(script, report);
  }
  loaded.mistakes = report.TakeMistakes();
  if (root && Usable(loaded.mistakes)) loaded.script = std::move(script);
  return loaded;
}

// ---- the standard configuration ----

constexpr std::string_view kStandard =
    "rack_budget_ma=64000 stagger_ms=100 min_off_ms=500 host_silent_ms=10000 host_silent_max_ms=600000 "
    "charge_on_ms=1200000 charge_period_ms=7200000";

struct Column {
  std::string_view name;
  std::string_view each;
  size_t count;
};
constexpr std::array kColumns = {Column{"current_limit_ma", "2000", link::kMaxSlots},
                                 Column{"safe_state", "2", link::kMaxSlots},
                                 Column{"rail", "0", link::kMaxSlots},
                                 Column{"rail_budget_ma", "20000", 1}};

struct Draft {
  std::map<std::string, std::vector<std::string>, std::less<>> columns;
  std::map<std::string, std::string, std::less<>> scalars;
};

Draft StandardDraft() {
  Draft draft;
  for (const Column& column : kColumns) {
    draft.columns[std::string(column.name)].assign(column.count, std::string(column.each));
  }
  for (const std::string& word : SplitWords(kStandard)) {
    draft.scalars[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
  }
  return draft;
}

Status Change(Draft& draft, const std::string& word) {
  const Status wrong{Code::kInvalidArgument, fmt::format("\"{}\": write name=value or name[slot]=value", word)};
  const size_t equals = word.find('=');
  if (equals == word.npos) return wrong;
  const std::string value = word.substr(equals + 1);
  std::string name = word.substr(0, equals);
  const size_t bracket = name.find('[');
  if (bracket == name.npos) {
    if (draft.columns.contains(name))
      std::ranges::fill(draft.columns[name], value);
    else
      draft.scalars[name] = value;
    return OkStatus();
  }
  const auto index = NumberOf(std::string_view(name).substr(bracket + 1, name.size() - bracket - 2));
  name.resize(bracket);
  const auto column = draft.columns.find(name);
  if (!index || column == draft.columns.end() || *index < 1 || *index > static_cast<int64_t>(link::kMaxSlots))
    return wrong;
  column->second.resize(std::max(column->second.size(), static_cast<size_t>(*index)), "0");
  column->second[static_cast<size_t>(*index) - 1] = value;
  return OkStatus();
}

}  // namespace

bool Script::For(const std::string& board) const {
  return std::find(boards.begin(), boards.end(), board) != boards.end();
}

Result<std::string> ConfigureSentence(const std::string& changes) {
  Draft draft = StandardDraft();
  for (const std::string& word : SplitWords(changes)) FARADAY_TRY(Change(draft, word));
  std::string sentence = "configure";
  for (const auto& [name, values] : draft.columns) sentence += fmt::format(" {}=[{}]", name, fmt::join(values, ","));
  for (const auto& [name, value] : draft.scalars) sentence += fmt::format(" {}={}", name, value);
  FARADAY_TRY(CheckSentence(sentence));
  return sentence;
}

LoadedScript LoadScript(const std::string& path) {
  Report report(path);
  return Read(rackconfig::LoadYaml(report), report);
}

LoadedScript ParseScript(const std::string& text, const std::string& file) {
  Report report(file);
  return Read(rackconfig::ParseYaml(text, report), report);
}

}  // namespace faraday::hil
