// Carries bytes between QEMU's UART socket and the board's line. Bounded both ways: when the host does not read, the
// pump stops reading QEMU, whose UART then stays busy, and the firmware sees a full transmitter; when the firmware does
// not read, the host's bytes stay in the line. One thread; never waits.
#pragma once

#include <poll.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "sim/board/line_port.h"

namespace faraday::sim::qemu {

class UartPump {
 public:
  static constexpr size_t kBuffer = 4096;  // each way; chosen: three of the longest frames

  // Takes a connected stream socket, owned from here on. The line outlives this.
  UartPump(int fd, LinePort& line);
  ~UartPump();
  UartPump(const UartPump&) = delete;
  UartPump& operator=(const UartPump&) = delete;

  // Moves what there is room for. Errors: kUnavailable QEMU has closed its end.
  Status Pass(uint32_t now_ms);
  // What to poll(2) for. Returns the longest wait in ms. QEMU writes single bytes: after some came it is left alone for
  // a millisecond, so that a telemetry frame costs a few wake-ups and not a thousand.
  int Watch(std::vector<pollfd>& watch, uint32_t now_ms) const;

 private:
  Status FromQemu(uint32_t now_ms);
  Status ToQemu();

  int fd_;
  LinePort& line_;
  std::vector<uint8_t> to_host_;
  std::vector<uint8_t> to_qemu_;
  uint32_t took_ms_ = 0;
};

}  // namespace faraday::sim::qemu
