// The optional capture of one line: "<ms> -> <hex>" a frame sent, "<- " a frame received (damaged ones too), with
// the wire bytes as they were; `faraday link decode` prints it. Milliseconds are of boot time.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace faraday::controller {

class Capture {
 public:
  // Appends to `path`. Errors: kInvalidArgument naming the file and the cause.
  static Result<std::unique_ptr<Capture>> Open(const std::string& path);
  ~Capture();
  // Written through at once, so that a killed controller leaves whole lines.
  void Sent(std::span<const uint8_t> wire, BootTime at) { Line("->", wire, at); }
  void Received(std::span<const uint8_t> wire, BootTime at) { Line("<-", wire, at); }

 private:
  explicit Capture(std::FILE* file) : file_(file) {}
  void Line(const char* arrow, std::span<const uint8_t> wire, BootTime at);
  std::FILE* file_;
};

}  // namespace faraday::controller
