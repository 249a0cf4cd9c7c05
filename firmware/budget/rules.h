// An image's budget file: limits, symbols that must not be there, who may be called through a pointer, and which
// object belongs to which module. Host only.
//
//   flash 65536                           bytes
//   ram 32768                             bytes, the stack included
//   stack stack_bottom stack_top          the symbols at its ends
//   forbid PATTERN : REASON               no such symbol in the image
//   own-stack PATTERN : REASON            this handler sets the stack pointer anew
//   indirect N PATTERN : REASON           N calls through pointers in this function; the lines below, indented by
//     PATTERN                             two spaces, are all they can reach, or
//     nothing                             no function can be there
//   module NAME PATTERN...                matched against "object section"; the first row that fits counts
//
// PATTERN is a demangled (or plain) name, * stands for any characters. # begins a comment.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace faraday::firmware::budget {

struct NamedRule {
  int line = 0;
  std::string pattern;
  std::string reason;
};

struct IndirectRule {
  int line = 0;
  uint32_t calls = 0;
  std::string caller;  // pattern
  std::string reason;
  std::vector<NamedRule> callees;  // their reason is the caller's
  bool nothing = false;
};

struct ModuleRule {
  std::string name;
  std::vector<std::string> patterns;
};

struct Rules {
  uint32_t flash = 0;
  uint32_t ram = 0;
  std::string stack_bottom;
  std::string stack_top;
  std::vector<NamedRule> forbidden;
  std::vector<NamedRule> own_stack;
  std::vector<IndirectRule> indirect;
  std::vector<ModuleRule> modules;
};

// What is wrong with the file goes to `problems` ("line 7: ...").
Rules ReadRules(std::string_view text, std::vector<std::string>& problems);

}  // namespace faraday::firmware::budget
