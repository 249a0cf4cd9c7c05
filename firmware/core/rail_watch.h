// Each rail's supply: down (not good, or made safe by an input) and sagging (below its least voltage under load).
// Down takes its slots off, sagging sheds charging slots (turn_on_queue). Both end by themselves. One look stands for
// kLongestSampleMs at most, and a voltage for kRailUnseenMs. Header-only, pure, main loop only.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "firmware/core/limits.h"

namespace faraday::firmware {

class RailWatch {
 public:
  // The rail before a slot's switch, as the slot's monitor measures it.
  void OnVoltage(size_t rail, uint32_t mv) {
    rails_[rail].mv = static_cast<uint16_t>(std::min<uint32_t>(mv, 0xFFFF));
    rails_[rail].sampled = true;
  }
  // `ok`: bit n, the supply of rail n says power good. `made_safe`: bit n, an input wants rail n off. `used`: rails
  // that have a slot; others are never down or sagging. `least_mv`: below it a rail sags.
  void Advance(uint32_t dt, uint32_t ok, uint32_t made_safe, uint32_t used, uint32_t least_mv) {
    down_ = sagging_ = low_ = 0;
    for (size_t n = 0; n < rails_.size(); ++n) {
      const uint32_t bit = uint32_t{1} << n;
      Rail& rail = rails_[n];
      AdvanceDown(rail, dt, (used & ~ok & bit) != 0, (used & made_safe & bit) != 0);
      CountSamples(rail, dt, least_mv);
      const bool judged = (used & bit) != 0 && rail.unseen_ms < kRailUnseenMs && !rail.down;
      AdvanceSag(rail, std::min(dt, kLongestSampleMs), judged, least_mv);
      if (rail.down) down_ |= bit;
      if (rail.sags) sagging_ |= bit;
      if (rail.sags && rail.low_ms >= kRailSagMs) low_ |= bit;
    }
  }

  // Bit n: rail n.
  uint32_t down() const { return down_; }
  uint32_t sagging() const { return sagging_; }
  // Of those that sag, the ones still below their least voltage: what was shed is not enough.
  uint32_t low() const { return low_; }
  // The last measurement in mV; 0: none yet.
  uint32_t mv(size_t rail) const { return rails_[rail].mv; }

 private:
  struct Rail {
    uint16_t mv = 0;
    uint16_t unseen_ms = kRailUnseenMs;  // since the last measurement, kRailUnseenMs at most
    uint8_t low_samples = 0;             // in a row below the least voltage
    bool sampled = false;                // since the last Advance
    bool down = false;
    bool sags = false;
    uint8_t bad_ms = 0;    // since PSU-OK is gone
    uint16_t good_ms = 0;  // since it is good again, while down
    uint8_t low_ms = 0;    // in a row below the least voltage
    uint16_t over_ms = 0;  // in a row well above it, while sagging
  };

  static void AdvanceDown(Rail& rail, uint32_t dt, bool bad, bool safe) {
    const uint32_t bad_ms = rail.bad_ms + std::min(dt, kLongestSampleMs);
    rail.bad_ms = bad ? static_cast<uint8_t>(std::min(bad_ms, kPsuLostMs)) : uint8_t{0};
    if (safe || rail.bad_ms >= kPsuLostMs) {
      rail.down = true;
      rail.good_ms = 0;
    }
    if (!rail.down) return;
    rail.good_ms = bad || safe
                       ? uint16_t{0}
                       : static_cast<uint16_t>(std::min(rail.good_ms + std::min(dt, kLongestPassMs), kRailBackMs));
    if (rail.good_ms >= kRailBackMs) rail.down = false;
  }
  static void CountSamples(Rail& rail, uint32_t dt, uint32_t least_mv) {
    if (!rail.sampled) {
      rail.unseen_ms = static_cast<uint16_t>(std::min(rail.unseen_ms + dt, kRailUnseenMs));
      return;
    }
    rail.sampled = false;
    rail.unseen_ms = 0;
    const bool low = rail.mv < least_mv;
    rail.low_samples =
        low ? std::min<uint8_t>(static_cast<uint8_t>(rail.low_samples + 1), kRailSagSamples) : uint8_t{0};
  }
  static void AdvanceSag(Rail& rail, uint32_t dt, bool judged, uint32_t least_mv) {
    const bool low = judged && rail.mv < least_mv;
    const bool over = !judged || rail.mv > least_mv + kRailSagOverMv;
    rail.low_ms = low ? static_cast<uint8_t>(std::min(rail.low_ms + dt, kRailSagMs)) : uint8_t{0};
    rail.over_ms = over ? static_cast<uint16_t>(std::min(rail.over_ms + dt, kRailBackMs)) : uint16_t{0};
    if (rail.low_ms >= kRailSagMs && rail.low_samples >= kRailSagSamples) rail.sags = true;
    if (rail.over_ms >= kRailBackMs) rail.sags = false;
  }

  std::array<Rail, link::kMaxRails> rails_{};
  uint32_t down_ = 0;
  uint32_t sagging_ = 0;
  uint32_t low_ = 0;
};

}  // namespace faraday::firmware
