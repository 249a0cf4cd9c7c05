// The accepted electrical configuration, and the check of a new one against the compiled-in ceilings.
#pragma once

#include <array>
#include <cstdint>

#include "firmware/core/limits.h"
#include "link/messages.h"

namespace faraday::firmware {

struct SlotConfig {
  uint16_t limit_ma = 0;       // 0: not fitted
  uint16_t soft_limit_ma = 0;  // 1 to limit_ma; above it the slot trips in inverse time
  link::SafeState safe_state = link::SafeState::kCharge;
  uint8_t rail = 0;
};

struct BoardConfig {
  bool accepted = false;
  uint32_t crc = 0;
  std::array<SlotConfig, link::kMaxSlots> slots{};
  std::array<uint32_t, link::kMaxRails> rail_budget_ma{};
  uint32_t rack_budget_ma = 0;
  uint32_t stagger_ms = kCeilings.stagger_min_ms;
  uint32_t min_off_ms = kCeilings.min_off_ms;
  uint32_t host_silent_ms = kDefaultHostSilentMs;
  uint32_t host_silent_max_ms = kDefaultHostSilentMaxMs;
  uint32_t charge_on_ms = kDefaultChargeOnMs;
  uint32_t charge_period_ms = kDefaultChargePeriodMs;
  uint32_t min_on_ms = kCeilings.min_on_ms;
  uint32_t tray_warn_deci_c = kCeilings.tray_warn_deci_c;
  uint32_t tray_trip_deci_c = kCeilings.tray_trip_deci_c;
  uint32_t relay_warn_count = kDefaultRelayWarnCount;
  link::InputColumn input_rules;  // Pack(link::InputRule)
};

// Why a Configure is refused, in Reply's fields.
struct ConfigFault {
  link::Verdict verdict = link::Verdict::kOk;
  uint32_t value = 0;  // the slot (from 1), 0: a value of the whole board
  uint32_t limit = 0;  // what is allowed, or what is in force
  uint32_t field = 0;  // number of Configure's field; 0: not one alone
};

// Against the board's own limits. `slots` is how many the board has.
ConfigFault CheckConfigure(const link::Configure& wanted, size_t slots, const Ceilings& ceilings);
// REQUIRES: CheckConfigure found nothing.
BoardConfig ApplyConfigure(const link::Configure& wanted, uint32_t crc, const Ceilings& ceilings);
// The first thing that `next` would loosen for a slot that is on: its limits, its rail's and the rack's budgets,
// stagger, minimum times, tray limits, silence times, input rules. `on`: bit n is slot n (from 0). Its rail must stay.
ConfigFault FindLooserWhileOn(const BoardConfig& in_force, const BoardConfig& next, uint32_t on);

}  // namespace faraday::firmware
