// What an image takes of flash and RAM, in all and by module. Pure. Host only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/budget/image.h"
#include "firmware/budget/rules.h"

namespace faraday::firmware::budget {

struct ModuleSize {
  std::string name;
  uint32_t flash = 0;
  uint32_t ram = 0;
};

struct Sizes {
  uint32_t flash = 0;
  uint32_t ram = 0;
  uint32_t stack = 0;               // of `ram`, what the stack may use
  std::vector<ModuleSize> modules;  // in the rules' order; the last is what no rule names, and alignment
};

// `map` is GNU ld's. Goes to `problems`: limits exceeded, forbidden symbols, stack symbols missing.
Sizes Measure(const Image& image, std::string_view map, const Rules& rules, std::vector<std::string>& problems);

}  // namespace faraday::firmware::budget
