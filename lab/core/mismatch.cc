#include "lab/core/mismatch.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace faraday::lab {
namespace {

using Term = model::Selector::Term;
using Op = model::Selector::Op;

// How many slots have each value of `key`.
std::map<std::string, int> ValuesOf(const std::string& key, const std::vector<Candidate>& candidates) {
  std::map<std::string, int> values;
  for (const Candidate& candidate : candidates) {
    if (const auto found = candidate.attributes.find(key); found != candidate.attributes.end()) ++values[found->second];
  }
  return values;
}

template <typename Names>
std::string NearestName(const std::string& wanted, const Names& names) {
  return *std::ranges::min_element(names, {}, [&](const auto& name) { return EditDistance(wanted, name); });
}

std::string NearestKey(const std::string& key, const std::vector<Candidate>& candidates) {
  std::set<std::string> keys;
  for (const Candidate& candidate : candidates) {
    for (const auto& [name, value] : candidate.attributes) keys.insert(name);
  }
  return keys.empty() ? "" : NearestName(key, keys);
}

// The end of the known values that lies towards the limit: largest for >=, smallest for <=.
std::string NearestVersion(Op op, const std::map<std::string, int>& values) {
  std::vector<std::string> names;
  for (const auto& [value, count] : values) names.push_back(value);
  const auto less = [](const auto& a, const auto& b) { return model::CompareVersions(a, b) < 0; };
  const bool wants_more = op == Op::kGreater || op == Op::kGreaterEqual;
  return wants_more ? *std::ranges::max_element(names, less) : *std::ranges::min_element(names, less);
}

bool IsOrdering(Op op) {
  return op == Op::kGreater || op == Op::kGreaterEqual || op == Op::kLess || op == Op::kLessEqual;
}

std::string Count(int slots) { return fmt::format("{} slot{}", slots, slots == 1 ? "" : "s"); }

// Phones do not always call themselves what the config calls them: "SM-S911B" where it says galaxy-s23.
std::string ExpectedHint(const Term& term, const std::vector<Candidate>& candidates) {
  if (term.key != "model" || term.values.empty()) return "";
  for (const Candidate& candidate : candidates) {
    const DeviceFacts& device = candidate.facts->device;
    if (device.expected != term.values.front() || device.model.empty()) continue;
    return fmt::format("; {} should hold a {}, its phone says model={}: expected={} finds it",
                       model::ToString(candidate.slot),
                       device.expected,
                       device.model,
                       device.expected);
  }
  return "";
}

// A term that no slot meets by itself.
std::string ExplainTerm(const Term& term, const std::vector<Candidate>& candidates) {
  const auto values = ValuesOf(term.key, candidates);
  if (values.empty()) {
    const std::string near = NearestKey(term.key, candidates);
    return fmt::format(
        "no known slot has the attribute '{}' (term {}); the nearest that exists is '{}'", term.key, term.text, near);
  }
  if (term.op == Op::kAbsent || term.op == Op::kNotEqual || term.op == Op::kNotIn) {
    const auto [value, count] = *values.begin();
    return fmt::format(
        "every known slot is excluded by {}: e.g. {} has {}={}", term.text, Count(count), term.key, value);
  }
  const std::string wanted = term.values.empty() ? "" : term.values.front();
  const std::string near = IsOrdering(term.op) ? NearestVersion(term.op, values) : [&] {
    std::vector<std::string> names;
    for (const auto& [value, count] : values) names.push_back(value);
    return NearestName(wanted, names);
  }();
  return fmt::format("no known slot has {}; the nearest that exists is {}={} ({}){}",
                     term.text,
                     term.key,
                     near,
                     Count(values.at(near)),
                     ExpectedHint(term, candidates));
}

// Each term is met somewhere, but not all in one slot: show the slot that meets the most.
std::string ExplainCombination(const model::Selector& selector, const std::vector<Candidate>& candidates) {
  const auto met = [&](const Candidate& candidate) {
    return std::ranges::count_if(selector.terms(),
                                 [&](const Term& term) { return term.Matches(candidate.attributes); });
  };
  const Candidate& best = *std::ranges::max_element(candidates, {}, met);
  const Term& term = *selector.FirstMismatch(best.attributes);
  const auto value = best.attributes.find(term.key);
  const std::string has =
      value == best.attributes.end() ? fmt::format("no '{}'", term.key) : fmt::format("{}={}", term.key, value->second);
  return fmt::format("no known slot meets all terms at once; {} meets all but {} (it has {})",
                     model::ToString(best.slot),
                     term.text,
                     has);
}

}  // namespace

size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string ExplainMismatch(const model::Selector& selector, const std::vector<Candidate>& candidates) {
  if (candidates.empty()) return "no slot is known: the lab's list of racks is empty, or its racks have no slots";
  for (const Term& term : selector.terms()) {
    const bool met = std::ranges::any_of(candidates, [&](const Candidate& c) { return term.Matches(c.attributes); });
    if (!met) return ExplainTerm(term, candidates);
  }
  return ExplainCombination(selector, candidates);
}

}  // namespace faraday::lab
