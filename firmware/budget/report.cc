#include "firmware/budget/report.h"

#include <fmt/format.h>

#include <utility>

#include "firmware/budget/text.h"

namespace faraday::firmware::budget {
namespace {

// "Write<Nvm::Run(int)::{lambda()#1}>" -> "Write<>": such names fill lines and say nothing more.
std::string WithoutLambdaArguments(std::string name) {
  const size_t lambda = name.find("{lambda");
  const size_t open = name.find('<');
  if (lambda == std::string::npos || open > lambda) return name;
  return name.substr(0, open) + "<>";
}

// "void faraday::link::Codec<int>::Run(int) const [clone .isra.0]" -> "link::Codec<int>::Run"
std::string Short(std::string name) {
  // Templates bring their result type along: what stands before the last space outside of brackets.
  int depth = 0;
  size_t begin = 0;
  size_t end = name.size();
  for (size_t i = 0; i < name.size(); ++i) {
    const bool anonymous = name.compare(i, 21, "(anonymous namespace)") == 0;
    if (anonymous) i += 20;
    if (anonymous) continue;
    if (name[i] == '(' && depth == 0 && i > 0) {
      end = i;
      break;
    }
    if (name[i] == '<') ++depth;
    if (name[i] == '>') --depth;
    if (name[i] == ' ' && depth == 0) begin = i + 1;
  }
  name = name.substr(begin, end - begin);
  name = WithoutLambdaArguments(std::move(name));
  for (const std::string_view prefix : {"faraday::", "firmware::", "(anonymous namespace)::"}) {
    for (size_t at = name.find(prefix); at != std::string::npos; at = name.find(prefix)) name.erase(at, prefix.size());
  }
  return name;
}

std::string FigureName(std::string name) {
  for (char& c : name) {
    if (c == ' ' || c == ',') c = '_';
  }
  return name;
}

using Before = std::map<std::string, long>;

// "+120" against the build before, or nothing.
std::string Change(const std::string& figure, uint32_t now, const Before& before) {
  const auto was = before.find(figure);
  if (was == before.end() || was->second == static_cast<long>(now)) return "";
  return fmt::format("{:+}", static_cast<long>(now) - was->second);
}

std::string Row(std::string_view what, uint32_t used, uint32_t limit, const std::string& change) {
  const uint32_t share = limit == 0 ? 0 : static_cast<uint32_t>(uint64_t{used} * 100 / limit);
  return fmt::format("  {:<34} {:>7} {:>7} {:>5} %  {}\n", what, used, limit, share, change);
}

std::string_view KindName(EntryKind kind) {
  switch (kind) {
    case EntryKind::kReset:
      return "start-up and main loop";
    case EntryKind::kInterrupt:
      return "interrupt, on top";
    case EntryKind::kOwnStack:
      return "on a stack of its own";
  }
  return "";
}

// Lines of at most kWidth characters, each led by `indent`.
std::string Wrapped(const std::vector<std::string>& words, const std::string& indent) {
  constexpr size_t kWidth = 118;
  std::string text;
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty() && indent.size() + line.size() + word.size() > kWidth)
      text += indent + std::exchange(line, {}) + "\n";
    line += (line.empty() ? "" : " ") + word;
  }
  return line.empty() ? text : text + indent + line + "\n";
}

std::string EntryRow(const Entry& entry) {
  const std::string frame = entry.kind == EntryKind::kInterrupt ? fmt::format("+ {}", kExceptionFrame) : "";
  std::vector<std::string> path;
  for (const Entry::Step& step : entry.path) {
    if (step.bytes > 0) path.push_back(fmt::format("{} {}", Short(step.name), step.bytes));
  }
  return fmt::format("    {:<32} {:>7} {:<6} {}\n", Short(entry.name), entry.bytes, frame, KindName(entry.kind)) +
         Wrapped(path, "      ");
}

std::string ModuleRow(const ModuleSize& module, const Before& before) {
  const std::string name = FigureName(module.name);
  return fmt::format("  {:<34} {:>7} {:>7}   {} {}\n",
                     module.name,
                     module.flash,
                     module.ram,
                     Change("flash_" + name, module.flash, before),
                     Change("ram_" + name, module.ram, before));
}

}  // namespace

std::string Figures(const Budget& budget) {
  std::string text;
  const auto add = [&text](const std::string& name, uint32_t value) {
    text += fmt::format("{} {} B\n", FigureName(name), value);
  };
  add("flash", budget.sizes.flash);
  add("ram", budget.sizes.ram);
  add("stack_size", budget.sizes.stack);
  add("stack_worst", budget.stack.worst);
  for (const Entry& entry : budget.stack.entries) add("stack_" + Short(entry.name), entry.bytes);
  for (const ModuleSize& module : budget.sizes.modules) {
    add("flash_" + module.name, module.flash);
    add("ram_" + module.name, module.ram);
  }
  return text;
}

std::map<std::string, long> ReadFigures(std::string_view text) {
  std::map<std::string, long> figures;
  while (!text.empty()) {
    const auto words = Words(TakeLine(text));
    if (words.size() != 3) continue;
    if (const auto value = Number(words[1], 10)) figures[std::string(words[0])] = *value;
  }
  return figures;
}

std::string Report(const std::string& image,
                   const Budget& budget,
                   const Rules& rules,
                   const std::map<std::string, long>& before) {
  const Sizes& sizes = budget.sizes;
  const StackNeed& stack = budget.stack;
  std::string text = fmt::format("{:<36} {:>7} {:>7}   share\n", image + ", bytes", "used", "limit");
  text += Row("flash", sizes.flash, rules.flash, Change("flash", sizes.flash, before));
  text += Row("static RAM, stack included", sizes.ram, rules.ram, Change("ram", sizes.ram, before));
  text += Row("stack, worst case", stack.worst, sizes.stack, Change("stack_worst", stack.worst, before));
  for (const Entry& entry : stack.entries) text += EntryRow(entry);
  text += fmt::format("    {:<32} {:>7}        whenever it comes\n", "a fault's frame", kExceptionFrame);
  text += fmt::format(
      "  {} functions, {} indirect calls, each listed; no recursion, no heap\n", stack.functions, stack.indirect_calls);
  text += "  by module                            flash     RAM\n";
  for (const ModuleSize& module : sizes.modules) text += ModuleRow(module, before);
  return text;
}

}  // namespace faraday::firmware::budget
