// The most stack that an image can need, added up along its call graph. Pure. Host only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "firmware/budget/call_graph.h"
#include "firmware/budget/image.h"
#include "firmware/budget/rules.h"

namespace faraday::firmware::budget {

// What the core pushes when it takes an exception: eight words, and one that aligns them (ARMv7-M, B1.5.7). No
// floating point registers: the images are built for none.
inline constexpr uint32_t kExceptionFrame = 36;

enum class EntryKind : uint8_t {
  kReset,      // start-up and main loop
  kInterrupt,  // on top of whatever runs
  kOwnStack,   // sets the stack pointer anew
};

struct Entry {
  std::string name;  // readable
  EntryKind kind = EntryKind::kReset;
  uint32_t bytes = 0;  // its deepest path, without an exception frame
  struct Step {
    std::string name;
    uint32_t bytes = 0;
  };
  std::vector<Step> path;  // of that depth, outermost first
};

struct StackNeed {
  std::vector<Entry> entries;  // the vector table's, each once
  // Main loop, every interrupt on top of it as if each could interrupt all others, and a fault's frame. What a
  // handler with its own stack needs is no part of it, unless it is more.
  uint32_t worst = 0;
  uint32_t functions = 0;
  uint32_t indirect_calls = 0;
};

// Goes to `problems`: unlisted and stale indirect calls, functions whose address is taken and that no rule reaches,
// recursion, frames without a fixed or known size.
StackNeed AddUpStack(const Image& image,
                     const CallGraph& graph,
                     const Rules& rules,
                     std::vector<std::string>& problems);

}  // namespace faraday::firmware::budget
