// What people see at the rack: each slot's LED, and locating one. Header-only, pure, main loop only.
//
//   free off | leased on | trouble 1 Hz | located 4 Hz, half the time each; the most urgent wins
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "firmware/core/age.h"
#include "link/messages.h"

namespace faraday::firmware {

class Indicators {
 public:
  static constexpr uint32_t kMostLocateMs = 3'600'000;

  // The slot's LED (from 0) blinks fast for `duration_ms`, at most an hour; 0: no more.
  void Locate(size_t slot, uint32_t duration_ms) { locate_ms_[slot] = std::min(duration_ms, kMostLocateMs); }
  bool locating(size_t slot) const { return locate_ms_[slot] > 0; }
  void Advance(uint32_t dt) {
    phase_ms_ = (phase_ms_ + dt) % kSlowMs;
    for (uint32_t& left_ms : locate_ms_) left_ms = Sink(left_ms, dt);
  }
  // `trouble`: tripped, stopped, or a condition that quarantines.
  bool Lit(size_t slot, bool leased, bool trouble) const {
    if (locating(slot)) return phase_ms_ % kFastMs < kFastMs / 2;
    return trouble ? phase_ms_ < kSlowMs / 2 : leased;
  }

 private:
  static constexpr uint32_t kSlowMs = 1000, kFastMs = 250;
  std::array<uint32_t, link::kMaxSlots> locate_ms_{};
  uint32_t phase_ms_ = 0;
};

}  // namespace faraday::firmware
