#include "controller/core/rights.h"

namespace faraday::controller {

Ownership OwnershipOf(const Caller& caller, const Tenure& tenure) {
  if (!IsUsers(tenure)) return Ownership::kOther;
  if (caller.role == Role::kAgent) return caller.user == tenure.agent ? Ownership::kAgent : Ownership::kOther;
  if (!caller.user.empty() && caller.user == tenure.holder) return Ownership::kHolder;
  if (caller.role == Role::kLab && caller.user == tenure.granted_by) return Ownership::kGranter;
  return Ownership::kOther;
}

}  // namespace faraday::controller
