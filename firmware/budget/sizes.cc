#include "firmware/budget/sizes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "firmware/budget/text.h"

namespace faraday::firmware::budget {
namespace {

constexpr std::string_view kRest = "stack, alignment";

// One input section that the linker placed.
struct Placed {
  std::string output;  // section of the image
  std::string section;
  std::string object;
  uint32_t size = 0;
};

// " .text.name  0x0000  0x3e  path/object", the name perhaps alone in the line before.
class MapReader {
 public:
  std::optional<Placed> Read(std::string_view line) {
    if (line.empty()) return std::nullopt;
    if (line[0] != ' ') {
      output_ = std::string(line.substr(0, line.find(' ')));
      return std::nullopt;
    }
    auto words = Words(line);
    if (words.empty()) return std::nullopt;
    if (line[1] != ' ') {
      section_ = std::string(words[0]);
      words.erase(words.begin());
    }
    return PlacedOf(words);
  }

 private:
  std::optional<Placed> PlacedOf(const std::vector<std::string_view>& words) {
    if (words.size() != 3 || section_.empty() || section_[0] == '*') return std::nullopt;
    const auto size = Number(words[1], 16);
    if (!words[0].starts_with("0x") || !words[1].starts_with("0x") || !size) return std::nullopt;
    return Placed{output_, std::exchange(section_, {}), std::string(words[2]), *size};
  }

  std::string output_;
  std::string section_;
};

std::vector<Placed> ReadMap(std::string_view map) {
  constexpr std::string_view kBegin = "Linker script and memory map";
  const size_t begin = map.find(kBegin);
  map.remove_prefix(begin == std::string_view::npos ? map.size() : begin + kBegin.size());
  std::vector<Placed> all;
  MapReader reader;
  while (!map.empty()) {
    if (auto placed = reader.Read(TakeLine(map))) all.push_back(std::move(*placed));
  }
  return all;
}

bool Belongs(const ModuleRule& rule, const std::string& what) {
  return std::any_of(
      rule.patterns.begin(), rule.patterns.end(), [&](const std::string& pattern) { return Matches(pattern, what); });
}

class Table {
 public:
  Table(const Image& image, const Rules& rules) : rules_(rules) {
    for (const Section& section : image.sections) sections_[section.name] = &section;
    for (const ModuleRule& rule : rules.modules) Row(rule.name);
  }

  void Add(const Placed& placed) {
    const auto section = sections_.find(placed.output);
    if (section == sections_.end()) return;
    const std::string what = placed.object + " " + placed.section;
    for (const ModuleRule& rule : rules_.modules) {
      if (Belongs(rule, what)) return AddTo(Row(rule.name), *section->second, placed.size);
    }
  }

  // The rows, and one with what is missing to the whole.
  std::vector<ModuleSize> Rows(uint32_t flash, uint32_t ram) {
    ModuleSize rest{std::string(kRest), flash, ram};
    for (const ModuleSize& row : rows_) {
      rest.flash -= std::min(row.flash, rest.flash);
      rest.ram -= std::min(row.ram, rest.ram);
    }
    rows_.push_back(rest);
    return rows_;
  }

 private:
  ModuleSize& Row(const std::string& name) {
    for (ModuleSize& row : rows_) {
      if (row.name == name) return row;
    }
    return rows_.emplace_back(ModuleSize{name, 0, 0});
  }
  static void AddTo(ModuleSize& row, const Section& section, uint32_t size) {
    if (section.InFlash()) row.flash += size;
    if (section.InRam()) row.ram += size;
  }

  const Rules& rules_;
  std::map<std::string, const Section*> sections_;
  std::vector<ModuleSize> rows_;
};

void CheckLimit(std::string_view what, uint32_t used, uint32_t limit, std::vector<std::string>& problems) {
  if (used > limit)
    problems.push_back(fmt::format("{} is {} bytes, {} more than its limit of {}", what, used, used - limit, limit));
}

void CheckForbidden(const Image& image, const Rules& rules, std::vector<std::string>& problems) {
  for (const auto& [symbol, address] : image.symbols) {
    const std::string name = Readable(symbol);
    for (const NamedRule& rule : rules.forbidden) {
      if (Matches(rule.pattern, name) || Matches(rule.pattern, symbol))
        problems.push_back(fmt::format("{} is in the image: {}", name, rule.reason));
    }
  }
}

uint32_t StackBytes(const Image& image, const Rules& rules, std::vector<std::string>& problems) {
  const auto bottom = image.symbols.find(rules.stack_bottom);
  const auto top = image.symbols.find(rules.stack_top);
  if (bottom != image.symbols.end() && top != image.symbols.end() && top->second > bottom->second)
    return top->second - bottom->second;
  problems.push_back(
      fmt::format("the stack's symbols {} and {} are not in the image", rules.stack_bottom, rules.stack_top));
  return 0;
}

}  // namespace

Sizes Measure(const Image& image, std::string_view map, const Rules& rules, std::vector<std::string>& problems) {
  Sizes sizes;
  for (const Section& section : image.sections) {
    if (section.InFlash()) sizes.flash += section.size;
    if (section.InRam()) sizes.ram += section.size;
  }
  sizes.stack = StackBytes(image, rules, problems);
  CheckLimit("flash", sizes.flash, rules.flash, problems);
  CheckLimit("static RAM, stack included,", sizes.ram, rules.ram, problems);
  CheckForbidden(image, rules, problems);
  Table table(image, rules);
  for (const Placed& placed : ReadMap(map)) table.Add(placed);
  sizes.modules = table.Rows(sizes.flash, sizes.ram);
  return sizes;
}

}  // namespace faraday::firmware::budget
