#include "firmware/core/rack_inputs.h"

#include <algorithm>

#include "firmware/core/limits.h"

namespace faraday::firmware {

using link::InputAction;

RackInputs::RackInputs() { SetRules({}); }

void RackInputs::SetRules(const link::InputColumn& rules) {
  for (Row& row : rows_) row.debounce_ms = kInputDebounceMs;
  of_action_ = {};
  active_high_ = 0xFFFF'FFFF;
  alarming_ = 0;
  for (const uint32_t packed : rules) {
    const link::InputRule rule = link::UnpackRule(packed);
    const uint32_t bit = uint32_t{1} << rule.input;
    Row& row = rows_[rule.input];
    row.debounce_ms = rule.debounce_ms;
    row.rails = rule.rails == 0 ? uint8_t{0xFF} : rule.rails;
    for (uint32_t& inputs : of_action_) inputs &= ~bit;
    of_action_[static_cast<size_t>(rule.action)] |= bit;
    active_high_ = rule.active_high ? active_high_ | bit : active_high_ & ~bit;
    const bool alarms = rule.alarm || rule.action == InputAction::kStop || rule.action == InputAction::kSafeRail;
    alarming_ = alarms ? alarming_ | bit : alarming_ & ~bit;
  }
}

void RackInputs::OnLevels(uint32_t levels) {
  raw_ = levels;
  if (!known_) levels_ = levels;
  known_ = true;
}

uint32_t RackInputs::Advance(uint32_t dt) {
  if (!known_) return 0;
  for (size_t i = 0; i < kInputs; ++i) {
    const uint32_t bit = uint32_t{1} << i;
    Row& row = rows_[i];
    if (((raw_ ^ levels_) & bit) == 0) {
      row.age_ms = 0;
      continue;
    }
    row.age_ms = static_cast<uint16_t>(std::min(row.age_ms + std::min(dt, kLongestSampleMs), uint32_t{0x1FFF}));
    if (row.age_ms < row.debounce_ms) continue;
    levels_ ^= bit;
    row.age_ms = 0;
  }
  const uint32_t before = active_;
  active_ = ~(levels_ ^ active_high_);
  return before ^ active_;
}

uint8_t RackInputs::safe_rails() const {
  uint8_t rails = 0;
  for (uint32_t i = 0, left = making_safe(); left != 0; ++i, left >>= 1) {
    if ((left & 1U) != 0) rails |= rows_[i].rails;
  }
  return rails;
}

}  // namespace faraday::firmware
