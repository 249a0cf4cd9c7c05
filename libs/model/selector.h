// Selectors in Kubernetes' style: "platform=android,model=pixel-8,os>=14,!rooted".
//
//   selector := term ("," term)*            all terms must hold; the empty selector matches everything
//   term     := key | "!" key | key op value | key ("in"|"notin") "(" value ("," value)* ")"
//   op       := "=" | "==" | "!=" | ">" | ">=" | "<" | "<="     ordering compares dotted versions: 14 < 14.1 < 15
//   key      := [A-Za-z0-9_./-]+      value := [A-Za-z0-9_./+:-]+
// "!=" and "notin" hold also where the key is absent (as in Kubernetes); ordering does not.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace faraday::model {

using Attributes = std::map<std::string, std::string>;

class Selector {
 public:
  enum class Op { kPresent, kAbsent, kEqual, kNotEqual, kIn, kNotIn, kGreater, kGreaterEqual, kLess, kLessEqual };
  struct Term {
    std::string text;  // as written
    std::string key;
    Op op;
    std::vector<std::string> values;
    bool Matches(const Attributes& attributes) const;
  };

  // Errors: kInvalidArgument that shows the text, points at the column, and gives an example.
  static Result<Selector> Parse(std::string_view text);

  bool Matches(const Attributes& attributes) const;
  // The first term that does not hold, or nullptr.
  const Term* FirstMismatch(const Attributes& attributes) const;
  const std::vector<Term>& terms() const { return terms_; }

 private:
  std::vector<Term> terms_;
};

// Dotted versions part by part, numbers as numbers: -1, 0, 1. "14" equals "14.0".
int CompareVersions(std::string_view a, std::string_view b);

}  // namespace faraday::model
