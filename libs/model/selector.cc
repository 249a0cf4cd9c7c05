#include "model/selector.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace faraday::model {
namespace {

using Op = Selector::Op;

bool IsKeyChar(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '/' || c == '-';
}
bool IsValueChar(char c) { return IsKeyChar(c) || c == '+' || c == ':'; }

// A cursor over the text; every Take* skips blanks first and tells whether it took something.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  size_t position() {
    SkipBlanks();
    return at_;
  }
  bool AtEnd() { return position() == text_.size(); }
  bool Take(std::string_view token) {
    SkipBlanks();
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }
  // A whole word only: "in" is not taken from "inside".
  bool TakeWord(std::string_view word) {
    SkipBlanks();
    const size_t end = at_ + word.size();
    if (text_.substr(at_, word.size()) != word || (end < text_.size() && IsKeyChar(text_[end]))) return false;
    at_ = end;
    return true;
  }
  template <typename Predicate>
  std::string TakeWhile(Predicate predicate) {
    SkipBlanks();
    const size_t begin = at_;
    while (at_ < text_.size() && predicate(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  std::string Since(size_t begin) const {
    auto part = text_.substr(begin, at_ - begin);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    return std::string(part);
  }
  Status Error(std::string_view what) {
    return {Code::kInvalidArgument,
            fmt::format("selector '{}': {} at column {}; write for example "
                        "platform=android,model=pixel-8,os>=14,!rooted",
                        text_,
                        what,
                        position() + 1)};
  }

 private:
  void SkipBlanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  std::string_view text_;
  size_t at_ = 0;
};

struct OpToken {
  std::string_view token;
  Op op;
};
// Longer tokens first.
constexpr std::array<OpToken, 7> kOps = {{{"==", Op::kEqual},
                                          {"!=", Op::kNotEqual},
                                          {">=", Op::kGreaterEqual},
                                          {"<=", Op::kLessEqual},
                                          {"=", Op::kEqual},
                                          {">", Op::kGreater},
                                          {"<", Op::kLess}}};

Result<std::vector<std::string>> ParseSet(Scanner& scan) {
  if (!scan.Take("(")) return scan.Error("expected '(' and a list of values");
  std::vector<std::string> values;
  do {
    values.push_back(scan.TakeWhile(IsValueChar));
    if (values.back().empty()) return scan.Error("expected a value");
  } while (scan.Take(","));
  if (!scan.Take(")")) return scan.Error("expected ',' or ')'");
  return values;
}

Status ParseCondition(Scanner& scan, Selector::Term& term) {
  for (const auto& [word, op] : {OpToken{"notin", Op::kNotIn}, OpToken{"in", Op::kIn}}) {
    if (!scan.TakeWord(word)) continue;
    term.op = op;
    FARADAY_TRY_ASSIGN(term.values, ParseSet(scan));
    return OkStatus();
  }
  for (const auto& [token, op] : kOps) {
    if (!scan.Take(token)) continue;
    term.op = op;
    term.values = {scan.TakeWhile(IsValueChar)};
    return term.values[0].empty() ? scan.Error("expected a value") : OkStatus();
  }
  term.op = Op::kPresent;
  return OkStatus();
}

Result<Selector::Term> ParseTerm(Scanner& scan) {
  const size_t begin = scan.position();
  Selector::Term term{};
  const bool absent = scan.Take("!");
  term.key = scan.TakeWhile(IsKeyChar);
  if (term.key.empty()) return scan.Error("expected an attribute name");
  if (absent) {
    term.op = Op::kAbsent;
  } else {
    FARADAY_TRY(ParseCondition(scan, term));
  }
  term.text = scan.Since(begin);
  return term;
}

// The number at the front of one version part, and what follows it.
std::pair<std::optional<uint64_t>, std::string_view> SplitPart(std::string_view part) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
  if (error != std::errc()) return {std::nullopt, part};
  return {number, part.substr(static_cast<size_t>(end - part.data()))};
}

int CompareParts(std::string_view a, std::string_view b) {
  const auto [number_a, rest_a] = SplitPart(a.empty() ? "0" : a);
  const auto [number_b, rest_b] = SplitPart(b.empty() ? "0" : b);
  if (number_a != number_b) return number_a < number_b ? -1 : 1;
  const int order = rest_a.compare(rest_b);
  return order < 0 ? -1 : (order > 0 ? 1 : 0);
}

std::string_view TakePart(std::string_view& version) {
  const auto dot = version.find('.');
  const auto part = version.substr(0, dot);
  version = dot == std::string_view::npos ? std::string_view{} : version.substr(dot + 1);
  return part;
}

}  // namespace

int CompareVersions(std::string_view a, std::string_view b) {
  while (!a.empty() || !b.empty()) {
    const auto part_a = TakePart(a);
    const auto part_b = TakePart(b);
    if (const int order = CompareParts(part_a, part_b); order != 0) return order;
  }
  return 0;
}

bool Selector::Term::Matches(const Attributes& attributes) const {
  const auto found = attributes.find(key);
  const bool present = found != attributes.end();
  const auto is_value = [&](const std::string& value) { return present && found->second == value; };
  const auto order = [&] { return CompareVersions(found->second, values[0]); };
  switch (op) {
    case Op::kPresent:
      return present;
    case Op::kAbsent:
      return !present;
    case Op::kEqual:
    case Op::kIn:
      return std::any_of(values.begin(), values.end(), is_value);
    case Op::kNotEqual:
    case Op::kNotIn:
      return std::none_of(values.begin(), values.end(), is_value);
    case Op::kGreater:
      return present && order() > 0;
    case Op::kGreaterEqual:
      return present && order() >= 0;
    case Op::kLess:
      return present && order() < 0;
    case Op::kLessEqual:
      return present && order() <= 0;
  }
  return false;
}

Result<Selector> Selector::Parse(std::string_view text) {
  Selector selector;
  Scanner scan(text);
  if (scan.AtEnd()) return selector;
  do {
    FARADAY_TRY_ASSIGN(Term term, ParseTerm(scan));
    selector.terms_.push_back(std::move(term));
  } while (scan.Take(","));
  if (!scan.AtEnd()) return scan.Error("expected ',' or the end");
  return selector;
}

const Selector::Term* Selector::FirstMismatch(const Attributes& attributes) const {
  for (const auto& term : terms_) {
    if (!term.Matches(attributes)) return &term;
  }
  return nullptr;
}

bool Selector::Matches(const Attributes& attributes) const { return FirstMismatch(attributes) == nullptr; }

}  // namespace faraday::model
