// A person's word for a lease - its id, or the slot it is on - as what the calls need.
#pragma once

#include <string>

#include "cli/session.h"
#include "model/slot_id.h"

namespace faraday::cli {

struct SlotTarget {
  model::SlotId slot;
  std::string name;        // "r01/07"
  std::string controller;  // endpoint
  v1::SlotState state;     // as the controller sees it now
};

// Parses a slot, finds its controller, reads its state. Errors: kInvalidArgument, kNotFound, and the calls'.
Result<SlotTarget> FindSlot(Session& session, const std::string& text);

struct LeaseTarget {
  std::string lease;  // "r01-07-42"
  std::string controller;
};
// "r01-07-42", or a slot: its present lease.
Result<LeaseTarget> FindLease(Session& session, const std::string& text);

}  // namespace faraday::cli
