// Build tool: reads rights.table, checks it against faraday.v1.Request, writes the table as C++ and as a docs page.
// Usage: generate_rights TABLE HEADER PAGE. Exit 1 with every mistake when a call has no row or a row no call.
#include <fmt/core.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "access/role.h"
#include "faraday/v1/envelope.pb.h"

namespace faraday::access {
namespace {

struct Row {
  std::string call, at, kind;
  std::vector<std::string> cells;  // viewer .. code
  int line = 0;
};

constexpr size_t kCells = kRoleNames.size() - 1;
const std::map<std::string, std::string> kAt = {
    {"controller", "kController"}, {"lab", "kLab"}, {"both", "kBoth"}, {"keeper", "kKeeper"}};
const std::map<std::string, std::string> kKind = {
    {"read", "kRead"}, {"once", "kOnce"}, {"level", "kLevel"}, {"safe", "kSafe"}, {"feed", "kFeed"}};

int mistakes = 0;

void Mistake(const std::string& where, const std::string& text) {
  fmt::print(stderr, "{}: error: {}\n", where, text);
  ++mistakes;
}

std::vector<Row> Read(const std::string& path) {
  std::vector<Row> rows;
  std::ifstream file(path);
  if (!file) Mistake(path, "cannot be read");
  std::string text;
  for (int number = 1; std::getline(file, text); ++number) {
    std::istringstream words(text.substr(0, text.find('#')));
    Row row;
    row.line = number;
    if (!(words >> row.call)) continue;
    words >> row.at >> row.kind;
    for (std::string cell; words >> cell;) row.cells.push_back(cell);
    const std::string where = fmt::format("{}:{}", path, number);
    if (!kAt.contains(row.at)) Mistake(where, fmt::format("'{}' is no place: controller, lab, both, keeper", row.at));
    if (!kKind.contains(row.kind))
      Mistake(where, fmt::format("'{}' is no kind: read, once, level, safe, feed", row.kind));
    if (row.cells.size() != kCells) Mistake(where, fmt::format("{} cells, {} are needed", row.cells.size(), kCells));
    for (const std::string& cell : row.cells) {
      if (cell.find_first_not_of("-*hagor") != std::string::npos) Mistake(where, fmt::format("'{}' is no cell", cell));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

// Every call has one row, every row one call.
std::map<std::string, int> CheckSchema(const std::string& path, const std::vector<Row>& rows) {
  std::map<std::string, int> numbers;
  std::set<std::string> seen;
  const auto* calls = v1::Request::descriptor()->FindOneofByName("call");
  for (int i = 0; i < calls->field_count(); ++i) numbers[calls->field(i)->name()] = calls->field(i)->number();
  for (const Row& row : rows) {
    const std::string where = fmt::format("{}:{}", path, row.line);
    if (!numbers.contains(row.call)) Mistake(where, fmt::format("'{}' is no call of faraday.v1.Request", row.call));
    if (!seen.insert(row.call).second) Mistake(where, fmt::format("'{}' has two rows", row.call));
  }
  for (const auto& [call, number] : numbers) {
    if (!seen.contains(call))
      Mistake(path, fmt::format("call '{}' of faraday.v1.Request has no row: say who may make it", call));
  }
  return numbers;
}

std::string CamelCase(const std::string& call) {
  std::string name;
  bool upper = true;
  for (const char c : call) {
    if (c == '_') {
      upper = true;
      continue;
    }
    name += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = false;
  }
  return name;
}

int Ownerships(const std::string& cell) {
  int bits = 0;
  for (const char c : cell) {
    if (c == '*') bits |= 15;
    if (const auto at = std::string("hago").find(c); at != std::string::npos) bits |= 1 << at;
  }
  return bits;
}

std::string Words(std::string call) {
  for (char& c : call) c = c == '_' ? ' ' : c;
  return call;
}

std::string Header(const std::vector<Row>& rows, const std::map<std::string, int>& numbers) {
  std::string text =
      "// Made from libs/access/rights.table by the build. Do not edit.\n#pragma once\n\n"
      "#include <array>\n#include <cstdint>\n#include <string_view>\n\n#include \"access/role.h\"\n\n"
      "namespace faraday::access {\n\n"
      "// What the caller is to the lease, job, reservation or user that a call is about.\n"
      "enum class Ownership : uint8_t {\n"
      "  kHolder,   // its holder: who leased, submitted or reserved; the user itself\n"
      "  kAgent,    // role agent, and the agent named in it\n"
      "  kGranter,  // role lab, and it asked for it\n"
      "  kOther,    // none of these, or the call is about nothing owned\n};\n\n"
      "enum class At : uint8_t { kController, kLab, kBoth, kKeeper };\n"
      "enum class Kind : uint8_t { kRead, kOnce, kLevel, kSafe, kFeed };\n\n"
      "struct Cell {\n  uint8_t ownerships = 0;  // bit n: Ownership n may\n  bool with_reason = false;\n};\n\n"
      "struct CallRow {\n  std::string_view name;   // the field's name in faraday.v1.Request\n"
      "  std::string_view words;  // for people\n  int number = 0;          // the field's number\n"
      "  At at = At::kBoth;\n  Kind kind = Kind::kRead;\n  std::array<Cell, kRoleNames.size()> cells = {};\n};\n\n"
      "enum class Call : uint8_t {\n  kNone,\n";
  for (const Row& row : rows) text += fmt::format("  k{},\n", CamelCase(row.call));
  text += fmt::format("}};\n\ninline constexpr std::array<CallRow, {}> kCallRows = {{{{\n    {{}},\n", rows.size() + 1);
  for (const Row& row : rows) {
    text += fmt::format("    {{\"{}\", \"{}\", {}, At::{}, Kind::{}, {{{{{{}}",
                        row.call,
                        Words(row.call),
                        numbers.at(row.call),
                        kAt.at(row.at),
                        kKind.at(row.kind));
    for (const std::string& cell : row.cells) {
      text += fmt::format(", {{{}, {}}}", Ownerships(cell), cell.find('r') != std::string::npos);
    }
    text += "}}},\n";
  }
  return text + "}};\n\n}  // namespace faraday::access\n";
}

std::string Page(const std::vector<Row>& rows) {
  std::string text =
      "# Rights: who may make which call\n\n"
      "Printed from [`libs/access/rights.table`](../../libs/access/rights.table), which the servers are built from; do "
      "not edit here.\nA call that is not in the table fails the build; a cell that is not in it is a refusal.\n\n"
      "`h` the holder (of the lease, job, reservation; the user itself), `a` the agent named in it, `g` the lab that "
      "asked "
      "for it,\n`o` anybody else of that role, `*` all of these, `r` also beyond that with a reason (audited), `-` "
      "nobody. "
      "`code` is an unused enrolment code.\n\n"
      "Kinds: `read` changes nothing; `once` is audited on disk before the answer; `level` within 1 s; `safe` is never "
      "held "
      "up;\n`feed` is an agent's stream, of which only refusals are audited.\n\n| call | served by | kind |";
  for (size_t i = 1; i < kRoleNames.size(); ++i) text += fmt::format(" {} |", kRoleNames[i]);
  text += "\n|---|---|---|";
  for (size_t i = 0; i < kCells; ++i) text += "---|";
  text += "\n";
  for (const Row& row : rows) {
    text += fmt::format("| `{}` | {} | {} |", row.call, row.at, row.kind);
    for (const std::string& cell : row.cells) text += cell == "-" ? " |" : fmt::format(" `{}` |", cell);
    text += "\n";
  }
  return text;
}

int Main(int argc, char** argv) {
  if (argc != 4) return fmt::print(stderr, "usage: generate_rights TABLE HEADER PAGE\n"), 2;
  const std::vector<Row> rows = Read(argv[1]);
  const auto numbers = CheckSchema(argv[1], rows);
  if (mistakes > 0) return 1;
  std::ofstream(argv[2]) << Header(rows, numbers);
  std::ofstream(argv[3]) << Page(rows);
  return 0;
}

}  // namespace
}  // namespace faraday::access

int main(int argc, char** argv) { return faraday::access::Main(argc, argv); }
