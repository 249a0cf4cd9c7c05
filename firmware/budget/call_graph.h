// What GCC says of each function with -fcallgraph-info=su: bytes of stack, and whom it calls. Host only.
//
// The .ci files know what a disassembly cannot: that a frame has no fixed size. Functions from assembler and
// libraries have none; theirs are read from the image (image.h).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace faraday::firmware::budget {

struct Frame {
  uint32_t bytes = 0;
  bool dynamic = false;
};

// By symbol. Functions of one name in several files are taken together: the largest frame, all calls.
struct CallGraph {
  std::map<std::string, Frame> frames;
  std::map<std::string, std::set<std::string>> calls;
  std::set<std::string> indirect;  // functions with a call that GCC could not name
};

// Adds one .ci file (VCG text).
void ReadCallGraph(std::string_view text, CallGraph& graph);

}  // namespace faraday::firmware::budget
