// Reads YAML configs by tables and collects *every* mistake with file:line, so that a person mends a file in one go.
// Used for the rack's, the agent's, the lab's and the scenarios' files. yaml-cpp stays behind this header.
//
//   AgentConfig config;
//   std::vector<Mistake> mistakes = ReadYamlFile("agent.yaml", Table{
//       {"agent", Need::kRequired, Text(&config.agent), "the agent's name"},
//       {"poll", Need::kOptional, Duration(&config.poll_ms, {100, 60'000}), "time between two looks at the phones"},
//       {"controllers", Need::kRequired, TextList(&config.controllers, 1), "endpoints, tcp://HOST:PORT"},
//       {"state_dir", Need::kOptional, Path(&config.state_dir), "where the journal lives"},
//       {"racks", Need::kRequired, ListOf<RackRow>(&config.racks, "rack", RackTable), "..."}});
//   if (!Usable(mistakes)) { fmt::print(stderr, "{}", Describe(mistakes)); return 2; }
//
// "${NAME}" in a value is replaced by that environment variable, "${NAME:-text}" by text when it is unset or empty;
// unset without default is a mistake; "$${" stands for "${". Everything runs in the caller's thread; nothing throws.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/units.h"
#include "rackconfig/serving.h"

namespace faraday::rackconfig {

struct Mistake {
  std::string file;
  int line = 0;          // from 1; 0: the file as a whole
  std::string where;     // "slot r01/07", "board 0, rail A"; empty: the top level
  std::string message;   // field, what is wrong, allowed range with unit, what to do
  bool warning = false;  // the file works as it is
  bool operator==(const Mistake&) const = default;
};

// "r01.yaml:12: slot r01/07: current_limit_ma: 5000 mA is out of range, allowed 100 to 3000 mA"
std::string ToString(const Mistake& mistake);
// All of them, in file order, a line each, and a last line that counts them. Empty when there are none.
std::string Describe(const std::vector<Mistake>& mistakes);
// True when there are at most warnings.
bool Usable(const std::vector<Mistake>& mistakes);

// One node of the file, with its line. Plain data; a map keeps the file's order.
struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Entry;
  Kind kind = Kind::kNull;
  int line = 0;
  std::string text;            // kScalar, environment already put in
  bool quoted = false;         // kScalar
  std::vector<YamlNode> list;  // kList
  std::vector<Entry> map;      // kMap

  // The value of `key`, or nullptr. REQUIRES: kMap.
  const YamlNode* Find(std::string_view key) const;
};
struct YamlNode::Entry {
  std::string key;
  int line = 0;
  YamlNode value;
};

// Looks up an environment variable; tests pass their own.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment ProcessEnvironment();

// Collects mistakes, and knows where in the file's structure the reader stands.
class Report {
 public:
  explicit Report(std::string file) : file_(std::move(file)) {}

  void Add(int line, std::string message);
  void Warn(int line, std::string message);
  // For checks after reading, when the scopes are gone.
  void AddAt(int line, std::string where, std::string message);
  void WarnAt(int line, std::string where, std::string message);
  const std::string& file() const { return file_; }
  // In file order; the same words at the same line (a template's 32 slots) are one, the others counted.
  std::vector<Mistake> TakeMistakes();
  // Mistakes so far, warnings not counted.
  size_t errors() const;

  // While it lives, mistakes say that they are in `where`.
  class Scope {
   public:
    Scope(Report& report, std::string where) : report_(report) { report_.where_.push_back(std::move(where)); }
    ~Scope() { report_.where_.pop_back(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Report& report_;
  };

 private:
  std::string Where() const;

  std::string file_;
  std::vector<std::string> where_;
  std::vector<Mistake> mistakes_;
};

// Takes one value into its place, or reports what is wrong with it. `key` is for messages.
using Setter = std::function<void(std::string_view key, const YamlNode& node, Report& report)>;

enum class Need { kOptional, kRequired };
struct Row {
  std::string key;
  Need need = Need::kOptional;
  Setter set;
  std::string doc;  // one line for people; shown when a required key is missing
};
using Table = std::vector<Row>;

// Reads a map by its table: unknown keys (with the nearest valid one), doubled keys, missing keys, and what the rows
// themselves find.
void ReadMap(const YamlNode& node, const Table& table, Report& report);

// The text as nodes. nullopt, with a mistake, for a syntax error, text deeper than 32 levels, larger than 4 MiB or
// with more than 200,000 nodes (anchors counted where they are used). An empty text is an empty map.
std::optional<YamlNode> ParseYaml(std::string_view text,
                                  Report& report,
                                  const Environment& environment = ProcessEnvironment());
// The same from report.file(); a file that cannot be read is a mistake that names the path and what to do.
std::optional<YamlNode> LoadYaml(Report& report, const Environment& environment = ProcessEnvironment());

// LoadYaml and ReadMap in one.
std::vector<Mistake> ReadYamlFile(const std::string& path,
                                  const Table& table,
                                  const Environment& environment = ProcessEnvironment());

// ---- setters ------------------------------------------------------------------------------------------------------

// Allowed values, both ends included. `unit` is for messages: "mA".
struct Range {
  int64_t min = INT64_MIN;
  int64_t max = INT64_MAX;
  std::string unit = "";
};

Setter Integer(Range range, std::function<void(int64_t)> set);
Setter Text(std::function<void(std::string)> set);
// "500ms", "2s", "1.5s", "30m", "8h", "1h30m" as milliseconds; the range is in milliseconds. A number without unit is a
// mistake.
Setter Duration(Range range, std::function<void(int64_t)> set);
// true, false (yes, no, on, off are refused with the spelling to use).
Setter Boolean(std::function<void(bool)> set);
// A number with a point.
Setter Number(double min, double max, std::string unit, std::function<void(double)> set);

namespace internal {
// Assigns a number to integers, Quantity<> and optionals of them.
template <typename Target>
void Assign(Target* target, int64_t value) {
  if constexpr (requires { target->count; }) {
    *target = Target(static_cast<int32_t>(value));
  } else if constexpr (requires { target->emplace(); }) {
    Assign(&target->emplace(), value);
  } else if constexpr (requires { target->count(); }) {
    *target = Target(static_cast<typename Target::rep>(value));
  } else {
    *target = static_cast<Target>(value);
  }
}
}  // namespace internal

// The target outlives the read.
template <typename Target>
Setter Integer(Target* target, Range range) {
  return Integer(std::move(range), [target](int64_t value) { internal::Assign(target, value); });
}
// The target takes milliseconds: an integer or std::chrono::milliseconds.
template <typename Target>
Setter Duration(Target* target, Range range) {
  return Duration(std::move(range), [target](int64_t value) { internal::Assign(target, value); });
}
template <typename Target>
Setter Text(Target* target) {
  return Text(std::function<void(std::string)>([target](std::string value) { *target = std::move(value); }));
}
template <typename Target>
Setter Boolean(Target* target) {
  return Boolean(std::function<void(bool)>([target](bool value) { *target = value; }));
}
template <typename Target>
Setter Number(Target* target, double min, double max, std::string unit) {
  return Number(min, max, std::move(unit), [target](double value) { *target = static_cast<Target>(value); });
}

// A file or folder; a relative one is taken from the config file's own folder and given absolute.
Setter Path(std::string* target);
// "tcp://127.0.0.1:7700", "tcp://lab.example:7710" or "ipc:///path". `allow_port_0` for addresses that are bound: port
// 0 takes a free one, host * every interface.
Setter Endpoint(std::string* target, bool allow_port_0 = false);
Setter TextList(std::vector<std::string>* target, size_t min_count = 0);
Setter EndpointList(std::vector<std::string>* target, size_t min_count = 0);
// A map of texts, keys as the file gives them: labels, environment.
template <typename Target>
Setter TextMap(Target* target) {
  return [target](std::string_view key, const YamlNode& node, Report& report) {
    if (node.kind != YamlNode::Kind::kMap) {
      report.Add(node.line, std::string(key) + ": must be a map of names to texts");
      return;
    }
    for (const YamlNode::Entry& entry : node.map) {
      Text([target, &entry](std::string value) { (*target)[entry.key] = std::move(value); })(
          entry.key, entry.value, report);
    }
  };
}
// One of the named values; a mistake lists them and the nearest.
Setter ChoiceIndex(std::vector<std::string> names, std::function<void(size_t)> set);
template <typename Target, typename Value>
Setter Choice(Target* target, std::vector<std::pair<std::string, Value>> choices) {
  std::vector<std::string> names;
  for (const auto& choice : choices) names.push_back(choice.first);
  return ChoiceIndex(std::move(names), [target, choices](size_t index) { *target = choices[index].second; });
}

// A map with a table of its own. `where` names it in messages; empty: the key.
Setter MapOf(Table table, std::string where = "");
// A list of maps: one T is appended per item, read by `make_table(item)`; `where` "rack" makes "rack 0" in messages.
// make_table: (T&) -> Table, whose setters point into that item.
Setter ListOfMaps(std::string where, std::function<void(const YamlNode& item, Report& report)> read);
template <typename T, typename MakeTable>
Setter ListOf(std::vector<T>* target, std::string where, MakeTable make_table) {
  return ListOfMaps(std::move(where), [target, make_table](const YamlNode& item, Report& report) {
    T value{};
    ReadMap(item, make_table(value), report);
    target->push_back(std::move(value));
  });
}
// Also notes the value's line, for cross checks after reading.
Setter NotingLine(int* line, Setter setter);

// ---- keys that several daemons' files have ------------------------------------------------------------------------

// security: curve | plain
Row SecurityRow(Security* security);
// keep_days, max_mb
Table AuditTable(AuditConfig* audit);
// An endpoint of the file; line 0: its default, or a line of the file that is not known.
struct NamedEndpoint {
  std::string key;
  std::string endpoint;  // may be empty
  int line = 0;
};
// Reports endpoints that other machines can reach (or that lie on other machines) where the sockets are plain text.
void CheckPlain(Security security,
                const std::vector<NamedEndpoint>& endpoints,
                const std::string& where,
                Report& report);

// The valid name nearest to `text`, or empty when none is near (at most a third of its letters differ).
std::string Nearest(std::string_view text, const std::vector<std::string>& names);
// " (did you mean \"x\"?)" or nothing.
std::string DidYouMean(std::string_view text, const std::vector<std::string>& names);
// "500ms" and so on as milliseconds; nullopt when it is no duration.
std::optional<int64_t> ParseDuration(std::string_view text);
// Milliseconds as people write them: "500ms", "30m", "1h30m".
std::string FormatDuration(int64_t milliseconds);

}  // namespace faraday::rackconfig
