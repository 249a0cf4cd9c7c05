#include "firmware/budget/rules.h"

#include <fmt/format.h>

#include <array>
#include <optional>

#include "firmware/budget/text.h"

namespace faraday::firmware::budget {
namespace {

struct Reading {
  Rules rules;
  int line = 0;
  std::vector<std::string>* problems;

  void Complain(std::string_view what) { problems->push_back(fmt::format("budget file, line {}: {}", line, what)); }
};

// "PATTERN : REASON"; a rule without a reason is not accepted.
std::optional<NamedRule> NamedRuleOf(Reading& reading, std::string_view rest) {
  const size_t colon = rest.find(" : ");
  if (colon == std::string_view::npos || Trim(rest.substr(colon + 3)).empty()) {
    reading.Complain("wants `PATTERN : REASON`");
    return std::nullopt;
  }
  return NamedRule{reading.line, std::string(Trim(rest.substr(0, colon))), std::string(Trim(rest.substr(colon + 3)))};
}

void ReadLimit(Reading& reading, std::string_view rest, uint32_t& limit) {
  const auto bytes = Number(rest, 10);
  if (!bytes || *bytes == 0) return reading.Complain("wants a number of bytes above 0");
  limit = *bytes;
}

void ReadFlash(Reading& reading, std::string_view rest) { ReadLimit(reading, rest, reading.rules.flash); }
void ReadRam(Reading& reading, std::string_view rest) { ReadLimit(reading, rest, reading.rules.ram); }

void ReadStack(Reading& reading, std::string_view rest) {
  const auto words = Words(rest);
  if (words.size() != 2) return reading.Complain("wants the symbols of the stack's lowest and highest end");
  reading.rules.stack_bottom = words[0];
  reading.rules.stack_top = words[1];
}

void ReadForbid(Reading& reading, std::string_view rest) {
  if (const auto rule = NamedRuleOf(reading, rest)) reading.rules.forbidden.push_back(*rule);
}
void ReadOwnStack(Reading& reading, std::string_view rest) {
  if (const auto rule = NamedRuleOf(reading, rest)) reading.rules.own_stack.push_back(*rule);
}

void ReadIndirect(Reading& reading, std::string_view rest) {
  const size_t space = rest.find(' ');
  const auto calls = Number(rest.substr(0, space), 10);
  if (!calls || *calls == 0 || space == std::string_view::npos)
    return reading.Complain("wants `indirect COUNT PATTERN : REASON`");
  const auto rule = NamedRuleOf(reading, rest.substr(space));
  if (rule) reading.rules.indirect.push_back({reading.line, *calls, rule->pattern, rule->reason, {}, false});
}

void ReadCallee(Reading& reading, std::string_view pattern) {
  if (reading.rules.indirect.empty()) return reading.Complain("an indented line belongs under `indirect`");
  IndirectRule& rule = reading.rules.indirect.back();
  if (pattern == "nothing")
    rule.nothing = true;
  else
    rule.callees.push_back({reading.line, std::string(pattern), rule.reason});
}

void ReadModule(Reading& reading, std::string_view rest) {
  const auto words = Words(rest);
  if (words.size() < 2) return reading.Complain("wants `module NAME PATTERN...`");
  reading.rules.modules.push_back({std::string(words[0]), {words.begin() + 1, words.end()}});
}

struct Keyword {
  std::string_view name;
  void (*read)(Reading&, std::string_view);
};
constexpr std::array<Keyword, 7> kKeywords = {{{"flash", ReadFlash},
                                               {"ram", ReadRam},
                                               {"stack", ReadStack},
                                               {"forbid", ReadForbid},
                                               {"own-stack", ReadOwnStack},
                                               {"indirect", ReadIndirect},
                                               {"module", ReadModule}}};

// # within a word belongs to it: lambdas are numbered so.
std::string_view WithoutComment(std::string_view line) {
  if (line.starts_with('#')) return {};
  return line.substr(0, line.find(" #"));
}

void ReadLine(Reading& reading, std::string_view line) {
  if (line.starts_with("  ")) return ReadCallee(reading, Trim(line));
  const size_t space = line.find(' ');
  for (const Keyword& keyword : kKeywords) {
    if (line.substr(0, space) != keyword.name) continue;
    return keyword.read(reading, space == std::string_view::npos ? std::string_view() : Trim(line.substr(space)));
  }
  reading.Complain(fmt::format("'{}' is no keyword", line.substr(0, space)));
}

void CheckWhole(Reading& reading) {
  if (reading.rules.flash == 0) reading.problems->push_back("budget file: `flash` is missing");
  if (reading.rules.ram == 0) reading.problems->push_back("budget file: `ram` is missing");
  if (reading.rules.stack_bottom.empty()) reading.problems->push_back("budget file: `stack` is missing");
  for (const IndirectRule& rule : reading.rules.indirect) {
    reading.line = rule.line;
    if (rule.nothing == !rule.callees.empty()) reading.Complain("wants callees, or `nothing`, in the lines below");
  }
}

}  // namespace

Rules ReadRules(std::string_view text, std::vector<std::string>& problems) {
  Reading reading{.rules = {}, .line = 0, .problems = &problems};
  while (!text.empty()) {
    std::string_view line = TakeLine(text);
    ++reading.line;
    line = WithoutComment(line);
    if (!Trim(line).empty()) ReadLine(reading, line);
  }
  CheckWhole(reading);
  return reading.rules;
}

}  // namespace faraday::firmware::budget
