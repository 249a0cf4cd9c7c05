// The clock of a simulated MCU: real time, but it stands still while the simulator itself gets no processor. A real MCU
// is never starved by a busy host; without this a pause of a second would look to the firmware like a second without
// any sample, and it would rightly trip its slots. Pure; one thread.
#pragma once

#include <algorithm>
#include <cstdint>

namespace faraday::sim {

class PacedClock {
 public:
  // Longest time that passes between two passes; chosen: far below the firmware's freshness limits (300 ms), far above
  // a pass of a sanitizer build (5 ms).
  static constexpr uint32_t kMostMs = 50;

  // All times are free-running milliseconds that may wrap.
  explicit PacedClock(uint32_t real_ms) : now_ms_(real_ms), real_ms_(real_ms) {}

  // Once a pass.
  void Follow(uint32_t real_ms) {
    const uint32_t passed = real_ms - real_ms_;
    real_ms_ = real_ms;
    const uint32_t taken = std::min(passed, kMostMs);
    now_ms_ += taken;
    slipped_ms_ += passed - taken;
  }
  uint32_t now_ms() const { return now_ms_; }
  // Time that the MCU did not live through.
  uint64_t slipped_ms() const { return slipped_ms_; }

 private:
  uint32_t now_ms_;
  uint32_t real_ms_;
  uint64_t slipped_ms_ = 0;
};

}  // namespace faraday::sim
