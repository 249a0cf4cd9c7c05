// The UART between host and firmware with a listener on it. Bytes to the firmware arrive at their own millisecond of
// board time, so that some come in the middle of a slow pass. Virtual time, one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "firmware/boards/native/serial_line.h"
#include "link/frame.h"

namespace faraday::longrun {

class TappedLine : public firmware::SerialLine {
 public:
  // What passes, as the firmware reads and writes it: whole frames with a valid CRC.
  std::function<void(const link::FrameView&)> on_host_frame;
  std::function<void(const link::FrameView&)> on_mcu_frame;
  // Board time, asked when the firmware reads.
  std::function<uint64_t()> now_ms = [] { return uint64_t{0}; };
  // False: the far end takes nothing.
  bool reading = true;

  void Send(std::span<const uint8_t> bytes, uint64_t at_ms) {
    for (const uint8_t byte : bytes) to_mcu_.push_back({at_ms, byte});
  }
  std::vector<uint8_t> Take() { return std::exchange(to_host_, {}); }
  void Clear() { to_mcu_.clear(); }

  size_t Read(std::span<uint8_t> in) override {
    if (to_mcu_.empty()) return 0;
    const uint64_t now = now_ms();
    size_t count = 0;
    for (; count < in.size() && !to_mcu_.empty() && to_mcu_.front().at_ms <= now; ++count) {
      in[count] = to_mcu_.front().byte;
      to_mcu_.pop_front();
      if (from_host_.Feed(in[count]) == link::FrameDecoder::Outcome::kFrame) on_host_frame(from_host_.frame());
    }
    return count;
  }
  size_t Write(std::span<const uint8_t> out) override {
    if (!reading) return 0;
    for (const uint8_t byte : out) {
      if (from_mcu_.Feed(byte) == link::FrameDecoder::Outcome::kFrame) on_mcu_frame(from_mcu_.frame());
    }
    to_host_.insert(to_host_.end(), out.begin(), out.end());
    return out.size();
  }

 private:
  struct Arrival {
    uint64_t at_ms = 0;
    uint8_t byte = 0;
  };
  std::deque<Arrival> to_mcu_;
  std::vector<uint8_t> to_host_;
  link::FrameDecoder from_host_;
  link::FrameDecoder from_mcu_;
};

}  // namespace faraday::longrun
