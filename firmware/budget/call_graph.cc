#include "firmware/budget/call_graph.h"

#include <algorithm>

#include "firmware/budget/text.h"

namespace faraday::firmware::budget {
namespace {

// The text in quotes behind `key`, empty when there is none.
std::string_view Quoted(std::string_view line, std::string_view key) {
  const size_t at = line.find(key);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = line.substr(at + key.size());
  return rest.substr(0, rest.find('"'));
}

// A function that its file keeps to itself is titled "path/file.cc:symbol".
std::string SymbolOf(std::string_view title) {
  const size_t colon = title.rfind(':');
  return std::string(colon == std::string_view::npos ? title : title.substr(colon + 1));
}

// label: "name\nfile:line:column\n88 bytes (static)"
void ReadNode(std::string_view line, CallGraph& graph) {
  constexpr std::string_view kBytes = " bytes (";
  const std::string_view label = Quoted(line, "label: \"");
  const size_t bytes = label.rfind(kBytes);
  if (bytes == std::string_view::npos) return;  // only called here, made elsewhere
  const size_t digits = label.find_last_not_of("0123456789", bytes - 1) + 1;
  Frame& frame = graph.frames[SymbolOf(Quoted(line, "title: \""))];
  frame.bytes = std::max(frame.bytes, Number(label.substr(digits, bytes - digits), 10).value_or(0));
  frame.dynamic = frame.dynamic || label.substr(bytes + kBytes.size()).starts_with("dynamic");
}

void ReadEdge(std::string_view line, CallGraph& graph) {
  const std::string from = SymbolOf(Quoted(line, "sourcename: \""));
  const std::string to = SymbolOf(Quoted(line, "targetname: \""));
  if (to == "__indirect_call")
    graph.indirect.insert(from);
  else
    graph.calls[from].insert(to);
}

}  // namespace

void ReadCallGraph(std::string_view text, CallGraph& graph) {
  while (!text.empty()) {
    const std::string_view line = TakeLine(text);
    if (line.starts_with("node:")) ReadNode(line, graph);
    if (line.starts_with("edge:")) ReadEdge(line, graph);
  }
}

}  // namespace faraday::firmware::budget
