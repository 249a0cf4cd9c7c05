#include "hil-tests/scenarios/facts.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "rackconfig/yaml_reader.h"

namespace faraday::hil {
namespace {

using rackconfig::YamlNode;

void Flatten(const std::string& prefix, const YamlNode& node, Facts& facts) {
  if (node.kind == YamlNode::Kind::kScalar) facts.emplace(prefix, node.text);
  for (const YamlNode& item : node.list) Flatten(prefix, item, facts);
  for (const YamlNode::Entry& entry : node.map) {
    Flatten(prefix.empty() ? entry.key : prefix + "." + entry.key, entry.value, facts);
  }
}

std::optional<double> Number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

// JSON is YAML.
Facts FactsOf(const std::string& json) {
  rackconfig::Report report("answer");
  Facts facts;
  const auto root = rackconfig::ParseYaml(json, report, [](const std::string&) { return std::string(); });
  if (root) Flatten("", *root, facts);
  return facts;
}

bool Matches(const std::string& pattern, const std::string& value) {
  if (const size_t dots = pattern.find(".."); dots != std::string::npos) {
    const auto low = Number(std::string_view(pattern).substr(0, dots));
    const auto high = Number(std::string_view(pattern).substr(dots + 2));
    if (low && high) {
      const auto number = Number(value);
      return number && *low <= *number && *number <= *high;
    }
  }
  return ::fnmatch(pattern.c_str(), value.c_str(), 0) == 0;
}

bool Says(const std::string& text, const std::string& pattern) { return Matches("*" + pattern + "*", text); }

namespace {

bool IsNothing(const std::string& value) { return value.empty() || value == "false" || value == "0"; }

bool Meets(const Facts& facts, const std::string& field, const std::string& pattern) {
  const auto [first, last] = facts.equal_range(field);
  if (pattern == "none") return std::all_of(first, last, [](const auto& fact) { return IsNothing(fact.second); });
  for (auto fact = first; fact != last; ++fact) {
    if (Matches(pattern, fact->second)) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> Unmet(const std::map<std::string, std::string>& wanted, const Facts& facts) {
  std::vector<std::string> unmet;
  for (const auto& [field, pattern] : wanted) {
    if (Meets(facts, field, pattern)) continue;
    std::string seen;
    const auto [first, last] = facts.equal_range(field);
    for (auto fact = first; fact != last; ++fact) seen += fmt::format(" \"{}\"", fact->second);
    unmet.push_back(fmt::format("{} is{}, not \"{}\"", field, seen.empty() ? " not there" : seen, pattern));
  }
  return unmet;
}

std::vector<std::string> Met(const std::map<std::string, std::string>& unwanted, const Facts& facts) {
  std::vector<std::string> met;
  for (const auto& [field, pattern] : unwanted) {
    if (Meets(facts, field, pattern)) met.push_back(fmt::format("{} must not be \"{}\"", field, pattern));
  }
  return met;
}

std::vector<std::string> SplitCommand(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool quoted = false;
  bool some = false;
  for (const char c : text) {
    if (c == '\'') {
      quoted = !quoted;
      some = true;
    } else if (c == ' ' && !quoted) {
      if (some) words.push_back(word);
      word.clear();
      some = false;
    } else {
      word += c;
      some = true;
    }
  }
  if (some) words.push_back(word);
  return words;
}

}  // namespace faraday::hil
