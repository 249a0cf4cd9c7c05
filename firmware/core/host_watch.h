// Whether the host is still there. Silence is latched until the host says that it saw it (ClearSilence); it is judged
// only once a host had opened a term. Header-only, pure, main loop only.
#pragma once

#include <algorithm>
#include <cstdint>

#include "firmware/core/age.h"
#include "firmware/core/board_config.h"

namespace faraday::firmware {

class HostWatch {
 public:
  // What began in a pass.
  struct Edge {
    bool silent = false;    // host_silent_ms without a frame
    bool too_long = false;  // host_silent_max_ms
  };

  // A frame of the host came. `away_ms`: the absence that it announces.
  void Heard(uint32_t away_ms) {
    armed_ = true;
    silent_ = too_long_ = false;
    heard_.Restart();
    away_ms_ = away_ms;
  }
  // An announced absence stretches the first limit, never the second. Bytes that came during a long pass wait unread,
  // so it counts as a short one.
  Edge Advance(uint32_t dt, const BoardConfig& config) {
    heard_.Advance(std::min(dt, kLongestPassMs));
    const uint32_t patience_ms = std::max(config.host_silent_ms, std::min(away_ms_, config.host_silent_max_ms));
    const bool silent = armed_ && heard_.ms() > patience_ms;
    const bool too_long = armed_ && heard_.ms() > config.host_silent_max_ms;
    const Edge edge = {.silent = silent && !silent_, .too_long = too_long && !too_long_};
    silent_ = silent;
    too_long_ = too_long;
    latched_ = latched_ || silent;
    return edge;
  }
  // The host has seen it: a frame of its own says so.
  void Clear() { latched_ = false; }

  // Silent now, or since the last Clear.
  bool latched() const { return latched_; }
  uint32_t silent_ms() const { return heard_.ms(); }

 private:
  bool armed_ = false;
  bool silent_ = false;
  bool too_long_ = false;
  bool latched_ = false;
  Age heard_{0};
  uint32_t away_ms_ = 0;
};

}  // namespace faraday::firmware
