// A listening unix stream socket at a path: made, refused when another process serves there, and removed again.
#pragma once

#include <string>

#include "base/result.h"

namespace faraday::sim {

// Listens, not blocking, close-on-exec; makes the folder; replaces a socket file that nobody serves any more.
// Returns the descriptor. Errors: kInvalidArgument the path is too long (107 bytes), kFailedPrecondition otherwise.
Result<int> ListenUnix(const std::string& path);
// Connects, blocking. Errors: kInvalidArgument the path is too long, kUnavailable nobody serves there.
Result<int> ConnectUnix(const std::string& path);

}  // namespace faraday::sim
