// Tells each change of a board's conditions once: an event for the host, a record in the board's log. Header-only,
// pure, main loop only.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "firmware/core/event_log.h"

namespace faraday::firmware {

class BoardConditions {
 public:
  // One named condition; bit n of `active` is bus, rail, shelf, input n, which the event's `limit` says.
  struct Row {
    link::Condition condition = link::Condition::kNone;
    uint32_t active = 0;
    uint32_t value = 0;
  };
  static constexpr size_t kRows = 9;

  // The same conditions in the same order at each call.
  void Tell(std::span<const Row, kRows> rows, EventLog& events) {
    for (size_t i = 0; i < kRows; ++i) {
      for (uint32_t changed = told_[i] ^ rows[i].active; changed != 0; changed &= changed - 1) {
        const auto which = static_cast<uint32_t>(std::countr_zero(changed));
        const bool active = (rows[i].active >> which & 1U) != 0;
        events.Latch(link::ConditionChanged{
            .condition = rows[i].condition, .active = active, .value = rows[i].value, .limit = which});
      }
      told_[i] = rows[i].active;
    }
  }

 private:
  std::array<uint32_t, kRows> told_{};
};

}  // namespace faraday::firmware
