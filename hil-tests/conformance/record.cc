#include "hil-tests/conformance/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "hil-tests/conformance/words.h"

namespace faraday::hil {
namespace {

constexpr size_t kBefore = 4;  // rows shown before a difference
constexpr size_t kAfter = 3;
constexpr size_t kWidth = 70;

std::string_view KeyOf(std::string_view word) { return word.substr(0, std::min(word.find('='), word.size())); }

bool SameWord(const std::string& a, const std::string& b, const std::map<std::string, int>& tolerance) {
  if (a == b) return true;
  if (KeyOf(a) != KeyOf(b)) return false;
  const auto allowed = tolerance.find(std::string(KeyOf(a)));
  if (allowed == tolerance.end()) return false;
  const auto first = NumberOf(std::string_view(a).substr(KeyOf(a).size() + 1));
  const auto second = NumberOf(std::string_view(b).substr(KeyOf(b).size() + 1));
  return first && second && std::abs(*first - *second) <= allowed->second;
}

// A measured 0 is left out of the human form: the word may be on one side only.
Words WithTolerated(Words words, const std::map<std::string, int>& tolerance) {
  std::erase_if(words, [&](const std::string& word) { return tolerance.contains(std::string(KeyOf(word))); });
  return words;
}

bool SameMeasured(const Words& a, const Words& b, const std::map<std::string, int>& tolerance) {
  return std::all_of(tolerance.begin(), tolerance.end(), [&](const auto& entry) {
    const std::string& key = entry.first;
    return SameWord(key + "=" + ValueOf(a, key).value_or("0"), key + "=" + ValueOf(b, key).value_or("0"), tolerance);
  });
}

bool SameRow(const Record::Row& a, const Record::Row& b, const std::map<std::string, int>& tolerance) {
  const Words first = SplitWords(a.text);
  const Words second = SplitWords(b.text);
  return a.line == b.line && WithTolerated(first, tolerance) == WithTolerated(second, tolerance) &&
         SameMeasured(first, second, tolerance);
}

std::vector<std::string> Wrap(const std::string& text) {
  std::vector<std::string> lines(1);
  for (const std::string& word : SplitWords(text)) {
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > kWidth) lines.emplace_back("   ");
    lines.back() += (lines.back().empty() || lines.back() == "   " ? "" : " ") + word;
  }
  return lines;
}

std::string RowText(const Record& record, size_t row) {
  if (row >= record.rows.size()) return record.passed ? "(ends, passed)" : "(ends, failed)";
  return fmt::format("{}: {}", record.rows[row].line, record.rows[row].text);
}

std::string SideBySide(const Record& left, const Record& right, size_t row, char mark) {
  const auto a = Wrap(RowText(left, row));
  const auto b = Wrap(RowText(right, row));
  std::string text;
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    text += fmt::format("{} {:<{}} | {}\n", mark, i < a.size() ? a[i] : "", kWidth, i < b.size() ? b[i] : "");
  }
  return text;
}

std::string Show(const Record& left, const Record& right, size_t at) {
  std::string text =
      fmt::format("script {}: the boards differ\n  {:<{}} | {}\n", left.script, left.board, kWidth, right.board);
  const size_t last = std::min(std::max(left.rows.size(), right.rows.size()), at + 1 + kAfter);
  for (size_t row = at > kBefore ? at - kBefore : 0; row < std::max(last, at + 1); ++row) {
    text += SideBySide(left, right, row, row == at ? '>' : ' ');
  }
  return text;
}

}  // namespace

std::string ToText(const Record& record) {
  std::string text = fmt::format("script {}\nboard {}\ntolerance", record.script, record.board);
  for (const auto& [key, value] : record.tolerance) text += fmt::format(" {}={}", key, value);
  text += "\n";
  for (const Record::Row& row : record.rows) text += fmt::format("{} {}\n", row.line, row.text);
  return text + fmt::format("end {}\n", record.passed ? "passed" : "failed");
}

Result<Record> ParseRecord(const std::string& text) {
  Record record;
  std::istringstream lines(text);
  bool ended = false;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const std::string head = line.substr(0, line.find(' '));
    const std::string rest = head.size() < line.size() ? line.substr(head.size() + 1) : "";
    if (head == "script") {
      record.script = rest;
    } else if (head == "board") {
      record.board = rest;
    } else if (head == "tolerance") {
      for (const std::string& word : SplitWords(rest)) {
        const auto value = NumberOf(std::string_view(word).substr(KeyOf(word).size() + 1));
        record.tolerance[std::string(KeyOf(word))] = static_cast<int>(value.value_or(0));
      }
    } else if (head == "end") {
      ended = true;
      record.passed = rest == "passed";
    } else if (const auto at = NumberOf(head)) {
      record.rows.push_back({static_cast<int>(*at), rest});
    } else {
      return Status{Code::kDataLoss, fmt::format("line {} is no row of a record: {}", number, line)};
    }
  }
  if (!ended) return Status{Code::kDataLoss, "the record has no end: its run was cut short"};
  return record;
}

std::string Difference(const Record& left, const Record& right) {
  const size_t rows = std::min(left.rows.size(), right.rows.size());
  for (size_t row = 0; row < rows; ++row) {
    if (!SameRow(left.rows[row], right.rows[row], left.tolerance)) return Show(left, right, row);
  }
  if (left.rows.size() == right.rows.size() && left.passed == right.passed) return {};
  return Show(left, right, rows);
}

}  // namespace faraday::hil
