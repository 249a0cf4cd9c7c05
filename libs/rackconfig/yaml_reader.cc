// Report, the table walk, and the words mistakes are told in. Parsing is yaml_parse.cc, the setters yaml_setters.cc.
#include "rackconfig/yaml_reader.h"

#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>

namespace faraday::rackconfig {
namespace {

// Text from a file must not steer the terminal that shows it.
std::string Printable(const std::string& text) {
  std::string out = text;
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return out;
}

std::string Counted(size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::vector<std::string> Keys(const Table& table) {
  std::vector<std::string> keys;
  for (const Row& row : table) keys.push_back(row.key);
  return keys;
}

const Row* FindRow(const Table& table, const std::string& key) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const Row& row) { return row.key == key; });
  return found == table.end() ? nullptr : &*found;
}

void ReportUnknownKey(const YamlNode::Entry& entry, const Table& table, Report& report) {
  const std::vector<std::string> keys = Keys(table);
  std::string hint = DidYouMean(entry.key, keys);
  if (hint.empty()) hint = fmt::format(": valid here: {}", fmt::join(keys, ", "));
  report.Add(entry.line, fmt::format("unknown key \"{}\"{}", entry.key, hint));
}

void ReportMissingKeys(const YamlNode& node, const Table& table, Report& report) {
  for (const Row& row : table) {
    const bool present = node.kind == YamlNode::Kind::kMap && node.Find(row.key) != nullptr;
    if (row.need == Need::kRequired && !present) {
      report.Add(node.line, fmt::format("key \"{}\" is missing{}{}", row.key, row.doc.empty() ? "" : ": ", row.doc));
    }
  }
}

// Optimal string alignment distance: insert, delete, change, swap of neighbours cost 1 each.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before;
  std::vector<size_t> last(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    std::vector<size_t> row(b.size() + 1);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = std::exchange(last, std::move(row));
  }
  return last[b.size()];
}

bool Begins(std::string_view longer, std::string_view shorter) {
  return shorter.size() >= 3 && longer.substr(0, shorter.size()) == shorter;
}

// One line that holds for 32 slots is one mistake: the first place named, the others counted.
std::vector<Mistake> Merged(std::vector<Mistake> sorted) {
  std::vector<Mistake> merged;
  std::map<std::tuple<int, std::string, bool>, std::pair<size_t, size_t>> seen;  // -> index in merged, how many more
  for (Mistake& mistake : sorted) {
    const auto [first, fresh] =
        seen.try_emplace({mistake.line, mistake.message, mistake.warning}, std::pair(merged.size(), size_t{0}));
    if (fresh) {
      merged.push_back(std::move(mistake));
    } else {
      ++first->second.second;
    }
  }
  for (const auto& [key, count] : seen) {
    if (count.second > 0) merged[count.first].where += fmt::format(" (and {} more)", count.second);
  }
  return merged;
}

}  // namespace

std::string ToString(const Mistake& mistake) {
  std::string out = mistake.file;
  if (mistake.line > 0) out += fmt::format(":{}", mistake.line);
  if (mistake.warning) out += ": warning";
  if (!mistake.where.empty()) out += ": " + mistake.where;
  return Printable(out + ": " + mistake.message);
}

std::string Describe(const std::vector<Mistake>& mistakes) {
  if (mistakes.empty()) return "";
  std::string out;
  for (const Mistake& mistake : mistakes) out += ToString(mistake) + "\n";
  const size_t warnings = static_cast<size_t>(
      std::count_if(mistakes.begin(), mistakes.end(), [](const Mistake& mistake) { return mistake.warning; }));
  const size_t errors = mistakes.size() - warnings;
  std::string count;
  if (errors > 0) count = Counted(errors, "mistake");
  if (warnings > 0) count += (count.empty() ? "" : " and ") + Counted(warnings, "warning");
  return out + Printable(fmt::format("{} in {}", count, mistakes.front().file)) + "\n";
}

bool Usable(const std::vector<Mistake>& mistakes) {
  return std::all_of(mistakes.begin(), mistakes.end(), [](const Mistake& mistake) { return mistake.warning; });
}

const YamlNode* YamlNode::Find(std::string_view key) const {
  const auto found = std::find_if(map.begin(), map.end(), [&](const Entry& entry) { return entry.key == key; });
  return found == map.end() ? nullptr : &found->value;
}

std::string Report::Where() const { return fmt::format("{}", fmt::join(where_, ", ")); }

void Report::Add(int line, std::string message) { AddAt(line, Where(), std::move(message)); }
void Report::Warn(int line, std::string message) { WarnAt(line, Where(), std::move(message)); }

void Report::AddAt(int line, std::string where, std::string message) {
  mistakes_.push_back({.file = file_, .line = line, .where = std::move(where), .message = std::move(message)});
}

void Report::WarnAt(int line, std::string where, std::string message) {
  AddAt(line, std::move(where), std::move(message));
  mistakes_.back().warning = true;
}

size_t Report::errors() const {
  return static_cast<size_t>(
      std::count_if(mistakes_.begin(), mistakes_.end(), [](const Mistake& mistake) { return !mistake.warning; }));
}

std::vector<Mistake> Report::TakeMistakes() {
  std::stable_sort(
      mistakes_.begin(), mistakes_.end(), [](const Mistake& a, const Mistake& b) { return a.line < b.line; });
  return Merged(std::exchange(mistakes_, {}));
}

void ReadMap(const YamlNode& node, const Table& table, Report& report) {
  if (node.kind != YamlNode::Kind::kMap && node.kind != YamlNode::Kind::kNull) {
    report.Add(node.line,
               fmt::format("must be keys with values (\"{}: ...\"), not {}",
                           table.empty() ? "key" : table.front().key,
                           node.kind == YamlNode::Kind::kList ? "a list" : "\"" + node.text + "\""));
    return;
  }
  for (const YamlNode::Entry& entry : node.map) {
    if (const Row* row = FindRow(table, entry.key)) {
      row->set(entry.key, entry.value, report);
    } else {
      ReportUnknownKey(entry, table, report);
    }
  }
  ReportMissingKeys(node, table, report);
}

std::vector<Mistake> ReadYamlFile(const std::string& path, const Table& table, const Environment& environment) {
  Report report(path);
  const std::optional<YamlNode> root = LoadYaml(report, environment);
  if (root) ReadMap(*root, table, report);
  return report.TakeMistakes();
}

std::string Nearest(std::string_view text, const std::vector<std::string>& names) {
  std::string best;
  size_t best_distance = std::max<size_t>(1, text.size() / 3) + 1;
  for (const std::string& name : names) {
    const bool stem = Begins(name, text) || Begins(text, name);
    const size_t distance = stem ? 1 : EditDistance(text, name);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

std::string DidYouMean(std::string_view text, const std::vector<std::string>& names) {
  const std::string near = Nearest(text.substr(0, 64), names);
  return near.empty() ? "" : fmt::format(" (did you mean \"{}\"?)", near);
}

}  // namespace faraday::rackconfig
