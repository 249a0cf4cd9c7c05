// Plain words for people: states, refusals and faults, each with what to do next.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "controller/core/now.h"
#include "controller/core/tenure.h"
#include "link/messages.h"

namespace faraday::controller {

// "14:20" today, else "2026-03-01 14:20", in the machine's time zone.
std::string ClockText(UtcTime at, UtcTime now);
// "90 s", "12 min", "2 h 5 min"; at least "0 s".
std::string DurationText(Milliseconds duration);
// "leased by ana until 14:20 (lease r01-07-42)"; care's phases say so. `slot` is "r01/07".
std::string HeldText(const std::string& slot, const Tenure& tenure, Milliseconds left, Now now);
// Who has it, for the audit: "care", "ana until 14:20, epoch 12".
std::string HolderText(const Tenure& tenure, Milliseconds left, Now now);
// "over-current 2410 mA > 2000 mA". Values of 0 are left out (not known after a restart).
std::string TripText(link::TripReason reason, uint32_t value, uint32_t limit);
// "VBUS 5012 mV (on), data to host 0, isolated" as the hardware says.
std::string MeasuredText(uint32_t vbus_mv, uint32_t vbus_ma, const link::SlotBits& bits);
// The conditions among the bits by name, e.g. "relay-stuck".
struct Condition {
  bool link::SlotBits::*bit;
  std::string_view name;
  bool suspect;  // the slot is not offered while it lasts
  std::string_view words;
};
std::span<const Condition> Conditions();
// A verdict other than kOk and kAccepted as the caller's status. `what` begins the message ("r01/07: power on").
Status VerdictStatus(const std::string& what, const link::Reply& reply);
// What a CommandDone other than kOk means to the caller, with the measured state.
Status DoneStatus(const std::string& what, const link::CommandDone& done);
std::string_view BootReasonText(link::BootReason reason);

}  // namespace faraday::controller
