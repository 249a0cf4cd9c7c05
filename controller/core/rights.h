// What a caller is to a slot's lease; what follows of it is access/rights.table.
#pragma once

#include "access/rights.h"
#include "controller/core/caller.h"
#include "controller/core/tenure.h"

namespace faraday::controller {

using access::CheckRight;
using access::Ownership;
using access::Right;
using access::RightOf;

Ownership OwnershipOf(const Caller& caller, const Tenure& tenure);

}  // namespace faraday::controller
