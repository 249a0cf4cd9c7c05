// What a linked image is made of, as GNU objdump tells it: sections, symbols, who calls whom, whose address is taken.
// Text in, structs out; runs no program and opens no file. Host only.
//
// The image must be linked with --emit-relocs: only relocations tell an address from a number that looks like one.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace faraday::firmware::budget {

struct Section {
  std::string name;
  uint32_t address = 0;
  uint32_t load_address = 0;
  uint32_t size = 0;
  bool allocated = false;  // takes memory at run time
  bool loaded = false;     // its bytes are in the image

  bool InFlash() const { return allocated && loaded; }
  // Not loaded, or copied at start from elsewhere.
  bool InRam() const { return allocated && (!loaded || address != load_address); }
};

struct Function {
  std::string name;  // as linked (mangled); the first of its symbols
  uint32_t address = 0;
  uint32_t size = 0;
  uint32_t pushed = 0;          // bytes, every push and `sub sp` added up
  bool moves_stack = false;     // sets the stack pointer from a register
  uint32_t indirect_calls = 0;  // calls and jumps through a register or a table of functions
  std::set<uint32_t> calls;     // addresses of functions, jumps to them included
};

struct Image {
  std::vector<Section> sections;
  std::map<std::string, uint32_t> symbols;  // defined ones
  std::map<uint32_t, Function> functions;   // by address
  std::set<uint32_t> addresses_taken;       // functions named by data or literals, apart from the vector table
  std::vector<uint32_t> vectors;            // functions of section .vectors, in order from the reset handler

  // The function with `address` inside, nullptr when there is none.
  const Function* Containing(uint32_t address) const;
};

// `objdump -h -t -r`. Sections, symbols and relocations are added to `image`.
void ReadHeaders(std::string_view text, Image& image);
// `objdump -d --no-show-raw-insn`, after ReadHeaders. Thumb code.
void ReadDisassembly(std::string_view text, Image& image);

// As a person reads it: demangled where it is mangled.
std::string Readable(const std::string& name);

}  // namespace faraday::firmware::budget
