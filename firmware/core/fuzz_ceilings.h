// The board's ceilings as link.proto and docs say them, restated by hand: what the fuzz targets hold the firmware to
// does not come from the firmware's own tables. Host test builds only.
#pragma once

#include <algorithm>
#include <cstdint>

#include "link/messages.h"

namespace faraday::firmware {

template <size_t N>
uint32_t EntryOf(const link::FixedVector<uint32_t, N>& column, size_t i) {
  return i < column.size() ? column[i] : 0;
}
inline uint32_t OrDefault(uint32_t value, uint32_t when_zero) { return value != 0 ? value : when_zero; }
inline bool IsZeroOrIn(uint32_t value, uint32_t least, uint32_t most) {
  return value == 0 || (value >= least && value <= most);
}

// 3 A a slot (USB-C without power delivery), 20 A a rail, 8 rails; known safe states; rails that have a budget.
inline bool SlotsWithinCeilings(const link::Configure& wanted, size_t slots) {
  const size_t longest = std::max(
      {wanted.current_limit_ma.size(), wanted.safe_state.size(), wanted.rail.size(), wanted.soft_limit_ma.size()});
  if (longest > slots) return false;
  for (size_t i = 0; i < slots; ++i) {
    const uint32_t limit_ma = EntryOf(wanted.current_limit_ma, i);
    if (limit_ma == 0) continue;  // not fitted
    if (EntryOf(wanted.soft_limit_ma, i) > limit_ma) return false;
    if (limit_ma > 3000 || EntryOf(wanted.safe_state, i) > 2) return false;
    if (EntryOf(wanted.rail, i) >= wanted.rail_budget_ma.size()) return false;
  }
  return std::all_of(
      wanted.rail_budget_ma.begin(), wanted.rail_budget_ma.end(), [](uint32_t ma) { return ma <= 20'000; });
}

// Rules of rack inputs: an input once, a debounce of 1 ms to 8.191 s, no bits that mean nothing.
inline bool RulesSound(const link::Configure& wanted) {
  uint32_t named = 0;
  for (const uint32_t rule : wanted.input_rules) {
    const uint32_t bit = uint32_t{1} << (rule & 31U);
    if ((named & bit) != 0 || (rule >> 16 & 0x1FFFU) == 0 || rule >> 30 != 0) return false;
    named |= bit;
  }
  return true;
}

inline bool WithinCeilings(const link::Configure& wanted, size_t slots) {
  return SlotsWithinCeilings(wanted, slots) && RulesSound(wanted) && wanted.tray_warn_deci_c <= 400 &&
         wanted.tray_trip_deci_c <= 500 && IsZeroOrIn(wanted.min_on_ms, 200, 60'000) &&
         wanted.rack_budget_ma <= 160'000 && wanted.stagger_ms >= 50 && wanted.stagger_ms <= 60'000 &&
         wanted.min_off_ms >= 500 && wanted.min_off_ms <= 60'000 && IsZeroOrIn(wanted.host_silent_ms, 1000, 60'000) &&
         IsZeroOrIn(wanted.host_silent_max_ms, 1000, 3'600'000) && wanted.charge_on_ms <= 0x7FFF'FFFF &&
         IsZeroOrIn(wanted.charge_period_ms, 1000, 0x7FFF'FFFF);
}

}  // namespace faraday::firmware
