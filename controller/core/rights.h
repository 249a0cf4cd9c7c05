// Who may make which call: one table, call x role x ownership.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "controller/core/caller.h"
#include "controller/core/tenure.h"

namespace faraday::controller {

enum class CallKind : uint8_t { kAcquire, kRenew, kRelease, kSwitch, kStopSlot, kClearSlot, kReport, kSync };

// What the caller is to the lease in question.
enum class Ownership : uint8_t {
  kHolder,   // the user who holds it
  kAgent,    // role agent, and the agent named in the lease
  kGranter,  // role lab, and it asked for this lease
  kOther,
};

Ownership OwnershipOf(const Caller& caller, const Tenure& tenure);

enum class Right : uint8_t {
  kDenied,
  kAllowed,
  kWithReason,  // allowed beyond ownership: needs a reason, is audited
};

Right RightOf(CallKind call, Role role, Ownership ownership);

// OK, or kPermissionDenied that names the caller, the call, the roles that may, and `about` (who holds the slot).
// kInvalidArgument when a reason is needed and missing.
Status CheckRight(
    CallKind call, const Caller& caller, Ownership ownership, const std::string& reason, const std::string& about);

}  // namespace faraday::controller
