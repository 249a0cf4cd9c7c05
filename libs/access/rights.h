// Who may make which call: the table rights.table (call x role x ownership), compiled in. Plain data and lookups; the
// owner of the fact asks CheckRight when a request executes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "access/rights_table.h"  // made from rights.table: enum Call, kCallRows
#include "access/role.h"
#include "base/status.h"

namespace faraday::access {

enum class Right : uint8_t {
  kDenied,
  kAllowed,
  kWithReason,  // allowed beyond ownership: needs a reason
};

// REQUIRES: call is not kNone.
const CallRow& RowOf(Call call);
// kNone for a number that is no call (faraday.v1.Request's field numbers).
Call CallOfNumber(int field_number);

Right RightOf(Call call, Role role, Ownership ownership);
// Whether the role may make the call in any relation to its object, with a reason where one is needed.
bool MayEver(Call call, Role role);

// OK, or kPermissionDenied that names the caller, the call, who may, and `about` (who holds the slot).
// kInvalidArgument when a reason is needed and missing.
Status CheckRight(
    Call call, const Caller& caller, Ownership ownership, const std::string& reason, const std::string& about);

}  // namespace faraday::access
