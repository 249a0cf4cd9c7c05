// The far end of a native board's UART: where its bytes go to and come from. The simulator's pty or socket is one, a
// test's memory another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace faraday::firmware {

class SerialLine {
 public:
  virtual ~SerialLine() = default;
  // Moves what is there and returns how many bytes; never waits. 0: nothing there, or nobody at the far end.
  virtual size_t Read(std::span<uint8_t> in) = 0;
  // Moves what fits and returns how many bytes; never waits. Like a UART, a line without a far end takes everything.
  virtual size_t Write(std::span<const uint8_t> out) = 0;
};

}  // namespace faraday::firmware
