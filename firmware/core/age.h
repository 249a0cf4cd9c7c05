// A duration that counts up and stays at its top, so that nothing wraps after weeks.
#pragma once

#include <cstdint>

namespace faraday::firmware {

class Age {
 public:
  static constexpr uint32_t kTop = 0xFFFF'FFFF;
  // Starts at the top: "never" is the oldest.
  constexpr Age() = default;
  constexpr explicit Age(uint32_t ms) : ms_(ms) {}

  constexpr void Advance(uint32_t dt) { ms_ = ms_ > kTop - dt ? kTop : ms_ + dt; }
  constexpr void Restart() { ms_ = 0; }
  constexpr uint32_t ms() const { return ms_; }

 private:
  uint32_t ms_ = kTop;
};

// `left` less `dt`, not below 0.
constexpr uint32_t Sink(uint32_t left, uint32_t dt) { return left > dt ? left - dt : 0; }

}  // namespace faraday::firmware
