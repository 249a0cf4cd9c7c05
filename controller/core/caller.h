// Who makes a call, as the core names it.
#pragma once

#include "access/role.h"

namespace faraday::controller {

using access::Caller;
using access::ParseRole;
using access::Role;
using access::RoleName;

}  // namespace faraday::controller
