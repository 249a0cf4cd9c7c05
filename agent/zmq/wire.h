// faraday.v1 <-> the core's plain structs. Pure functions.
#pragma once

#include <string>

#include "agent/core/ports.h"
#include "agent/core/wishes.h"
#include "base/result.h"
#include "faraday/v1/envelope.pb.h"

namespace faraday::agent {

// `asked`: boot time before the Sync was sent; the lease's end counts from it.
SlotWish FromWire(const v1::SyncResult::Slot& slot, BootTime asked);
// kInvalidArgument for ids that cannot name a folder and for attempts without a command.
Result<AttemptWish> FromWire(const v1::SyncResult::Attempt& attempt);
v1::SyncResult::Attempt ToWire(const AttemptWish& wish);

// The attempt as the lab hears it.
v1::Attempt ToWire(const AttemptRecord& record, const std::string& agent);
// What the message holds of a record; wish and phase are the caller's.
AttemptRecord FromWire(const v1::Attempt& attempt);

v1::Device ToWire(const Facts& facts, const std::string& agent, BootTime now);
v1::ReportCall ToWire(const RackReport& report, const std::string& agent, const std::string& host, BootTime now);

}  // namespace faraday::agent
