// faraday-firmware-budget: reads a linked image, its map and GCC's call graphs, prints what the image takes of flash,
// RAM and stack, and fails when it is more than the board has or cannot be known. Run by the image's build.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "firmware/budget/report.h"

namespace faraday::firmware::budget {
namespace {

constexpr char kUsage[] =
    "faraday-firmware-budget --elf IMAGE --map MAP --rules FILE --objdump PROGRAM --figures FILE --callgraph "
    "FOLDER...\n"
    "  --figures    written when everything is in order: lines of `name value unit`\n"
    "  --callgraph  folders with GCC's .ci files (-fcallgraph-info=su), searched with all below them\n";

struct Arguments {
  std::string elf, map, rules, objdump, figures;
  std::vector<std::string> call_graphs;
};

bool Parse(const std::vector<std::string>& words, Arguments& arguments) {
  const std::map<std::string, std::string*> single = {{"--elf", &arguments.elf},
                                                      {"--map", &arguments.map},
                                                      {"--rules", &arguments.rules},
                                                      {"--objdump", &arguments.objdump},
                                                      {"--figures", &arguments.figures}};
  for (size_t i = 0; i + 1 < words.size(); i += 2) {
    const auto found = single.find(words[i]);
    if (found != single.end())
      *found->second = words[i + 1];
    else if (words[i] == "--callgraph")
      arguments.call_graphs.push_back(words[i + 1]);
    else
      return false;
  }
  for (const auto& [name, value] : single) {
    if (value->empty()) return false;
  }
  return words.size() % 2 == 0 && !arguments.call_graphs.empty();
}

using Problems = std::vector<std::string>;

std::string ReadFile(const std::string& path, Problems& problems) {
  std::ifstream file(path, std::ios::binary);
  if (!file) problems.push_back(fmt::format("cannot read {}", path));
  return {std::istreambuf_iterator<char>(file), {}};
}

// In single quotes for the shell.
std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string OutputOf(const std::string& command, Problems& problems) {
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) {
    problems.push_back(fmt::format("cannot run {}", command));
    return output;
  }
  char buffer[4096];
  for (size_t got = 0; (got = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) output.append(buffer, got);
  if (pclose(pipe) != 0) problems.push_back(fmt::format("{} failed", command));
  return output;
}

Image ReadImage(const Arguments& arguments, Problems& problems) {
  const std::string objdump = Quoted(arguments.objdump);
  const std::string elf = Quoted(arguments.elf);
  Image image;
  ReadHeaders(OutputOf(fmt::format("{} -h -t -r {}", objdump, elf), problems), image);
  ReadDisassembly(OutputOf(fmt::format("{} -d --no-show-raw-insn {}", objdump, elf), problems), image);
  if (image.functions.empty()) problems.push_back(fmt::format("{} has no functions", arguments.elf));
  return image;
}

CallGraph ReadCallGraphs(const Arguments& arguments, Problems& problems) {
  namespace fs = std::filesystem;
  CallGraph graph;
  for (const std::string& folder : arguments.call_graphs) {
    std::error_code error;
    size_t files = 0;
    for (const auto& file : fs::recursive_directory_iterator(folder, error)) {
      if (file.path().extension() != ".ci") continue;
      ReadCallGraph(ReadFile(file.path(), problems), graph);
      ++files;
    }
    if (files == 0) problems.push_back(fmt::format("no .ci file in {}: compiled with -fcallgraph-info=su?", folder));
  }
  return graph;
}

int Run(const Arguments& arguments) {
  Problems problems;
  const Rules rules = ReadRules(ReadFile(arguments.rules, problems), problems);
  const Image image = ReadImage(arguments, problems);
  const CallGraph graph = ReadCallGraphs(arguments, problems);
  Budget budget;
  budget.sizes = Measure(image, ReadFile(arguments.map, problems), rules, problems);
  budget.stack = AddUpStack(image, graph, rules, problems);
  if (budget.stack.worst > budget.sizes.stack)
    problems.push_back(fmt::format("the stack may need {} bytes of {}", budget.stack.worst, budget.sizes.stack));

  Problems none;  // no figures yet is no problem
  const auto before = ReadFigures(ReadFile(arguments.figures, none));
  const std::string name = std::filesystem::path(arguments.elf).stem();
  fmt::print("{}", Report(name, budget, rules, before));
  for (const std::string& problem : problems) fmt::print("budget: {}\n", problem);
  if (!problems.empty()) {
    fmt::print("budget: {} problems; the rules are in {}\n", problems.size(), arguments.rules);
    return 1;
  }
  std::ofstream(arguments.figures) << Figures(budget);
  return 0;
}

}  // namespace
}  // namespace faraday::firmware::budget

int main(int argc, char** argv) {
  faraday::firmware::budget::Arguments arguments;
  if (!faraday::firmware::budget::Parse({argv + 1, argv + argc}, arguments)) {
    fmt::print(stderr, "{}", faraday::firmware::budget::kUsage);
    return 2;
  }
  return faraday::firmware::budget::Run(arguments);
}
