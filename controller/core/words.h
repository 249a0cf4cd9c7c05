// Plain words for people: states, refusals and faults, each with what to do next.
#pragma once

#include <cstdint>
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
// "14:03:11" today, else "2026-03-01 14:03:11", in the machine's time zone.
std::string MomentText(UtcTime at, UtcTime now);
// "over-current", "stale-sensor".
std::string_view TripName(link::TripReason reason);
// "over-current 2.41 A > 2.00 A". Values of 0 are left out (not known after a restart).
std::string TripText(link::TripReason reason, uint32_t value, uint32_t limit);
// What a person does next, "inspect the cable, then: faraday slot clear r01/07".
std::string TripNext(link::TripReason reason, const std::string& slot);
// "VBUS 5012 mV (on), data to host 0, isolated" as the hardware says.
std::string MeasuredText(uint32_t vbus_mv, uint32_t vbus_ma, const link::SlotBits& bits);
// A verdict other than kOk and kAccepted as the caller's status. `what` begins the message ("r01/07: power on").
// For BLOCKED `blocked` says by what, see BlockedText.
Status VerdictStatus(const std::string& what, const link::Reply& reply, const std::string& blocked = "");
// Why turn-ons are blocked and what ends it. `which` is the input, rail, shelf or bus by name; `rack` the rack's.
std::string BlockedText(link::BlockCause cause, const std::string& which, const std::string& rack);
// What a CommandDone other than kOk means to the caller, with the measured state.
Status DoneStatus(const std::string& what, const link::CommandDone& done);
std::string_view BootReasonText(link::BootReason reason);

}  // namespace faraday::controller
