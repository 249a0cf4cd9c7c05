// Finds stop frames in the line's bytes ahead of whoever executes them: a stop must not wait for the commands before
// it. Header-only, no state but the last bytes; one context.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "link/frame.h"

namespace faraday::firmware {

class StopWatch {
 public:
  // True: a stop frame, whole and with a valid CRC, ends at this byte.
  bool Feed(uint8_t byte) {
    if (byte != 0) {
      if (length_ < kLength) bytes_[length_] = byte;
      length_ += length_ <= kLength ? 1 : 0;
      return false;
    }
    link::FrameView frame;
    const bool stop = length_ == kLength &&
                      link::FrameDecoder::Decode(bytes_, frame) == link::FrameDecoder::Outcome::kFrame &&
                      link::IsStopFrame(frame);
    length_ = 0;
    return stop;
  }

 private:
  static constexpr size_t kLength = link::kHeaderSize + link::kStopMagic.size() + 4 + 1;  // CRC, COBS overhead
  std::array<uint8_t, kLength> bytes_{};
  size_t length_ = 0;  // kLength + 1: longer than any stop frame
};

}  // namespace faraday::firmware
