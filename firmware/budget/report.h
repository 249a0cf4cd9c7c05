// The budget as a table for people and as lines for programs. Pure. Host only.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/budget/rules.h"
#include "firmware/budget/sizes.h"
#include "firmware/budget/stack.h"

namespace faraday::firmware::budget {

struct Budget {
  Sizes sizes;
  StackNeed stack;
};

// Lines of "name value unit", e.g. "stack_worst 2412 B".
std::string Figures(const Budget& budget);
// Back from Figures; lines of other forms are skipped.
std::map<std::string, long> ReadFigures(std::string_view text);

// `before` are the figures of the build before, empty for none: what changed is marked.
std::string Report(const std::string& image,
                   const Budget& budget,
                   const Rules& rules,
                   const std::map<std::string, long>& before);

}  // namespace faraday::firmware::budget
