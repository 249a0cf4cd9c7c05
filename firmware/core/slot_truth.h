// One slot's named conditions, judged ten times a second: what three judgements in a row found came or went. Faster
// than any of them each part was read anew. Definitions: docs/reference/protection.md. Pure, main loop only, 8 bytes.
#pragma once

#include <cstdint>

#include "firmware/core/limits.h"
#include "link/messages.h"

namespace faraday::firmware {

// Bit n is Condition n.
using Conditions = uint16_t;
constexpr Conditions BitOf(link::Condition condition, bool on = true) {
  return static_cast<Conditions>(on ? 1U << static_cast<unsigned>(condition) : 0U);
}

class SlotTruth {
 public:
  // True: a judgement is due.
  bool Advance(uint32_t dt) {
    age_ms_ = static_cast<uint8_t>(age_ms_ + dt < kJudgeEveryMs ? age_ms_ + dt : kJudgeEveryMs);
    if (age_ms_ < kJudgeEveryMs) return false;
    age_ms_ = 0;
    return true;
  }
  // `found`: what the parts say now. `at_once`: those that have been counted elsewhere. Returns what changed.
  Conditions Judge(Conditions found, Conditions at_once) {
    const auto differs = static_cast<Conditions>(found ^ active_);
    const auto third = static_cast<Conditions>((differs & second_) | (differs & at_once));
    second_ = static_cast<Conditions>(differs & first_ & ~third);
    first_ = static_cast<Conditions>(differs & ~third);
    active_ ^= third;
    return third;
  }
  bool Has(link::Condition condition) const { return (active_ & BitOf(condition)) != 0; }
  Conditions active() const { return active_; }

 private:
  Conditions active_ = 0;
  Conditions first_ = 0;   // differed in the last judgement
  Conditions second_ = 0;  // and in the one before
  uint8_t age_ms_ = 0;
};

}  // namespace faraday::firmware
