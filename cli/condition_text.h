// What is wrong with slots and boards, as people read it: what, since when, what to do next. Pure: time is an argument.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "faraday/v1/rack.pb.h"

namespace faraday::cli {

// Whether a condition of this slot is its trip: SlotState.trip begins with the condition's name.
bool IsTrip(const v1::SlotState& slot, const v1::Condition& condition);
// "relay-stuck since 14:03:11", of a trip "over-current 2.41 A > 2.00 A at 14:03:11". No time when it is not known.
std::string ConditionWords(const v1::Condition& condition, bool trip, int64_t now_utc_ms);

// The rack's alerts, a line each: boards that are away and their conditions, then slots that are tripped or
// quarantined, then the slots' other conditions.
//   r01/07 tripped: over-current 2.41 A > 2.00 A at 14:03:11; inspect the cable, then: faraday slot clear r01/07
// In a rack that is stopped the stop is one alert, not one a slot.
std::vector<std::string> AlertsOf(const v1::RackState& rack, int64_t now_utc_ms);
// The first `most` under a title, and how many more there are; empty when there are none. `more`: what shows the rest.
std::string RenderAlerts(const std::vector<std::string>& alerts, const std::string& more, size_t most = 10);

}  // namespace faraday::cli
