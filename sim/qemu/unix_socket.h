// Connecting to QEMU's unix sockets, which appear some time after the process was started.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace faraday::sim::qemu {

// A connected stream socket, owned by the caller. Tries again until `deadline` while nobody listens and, when given,
// `alive()` holds.
// Errors: kInvalidArgument path too long for a unix socket, kUnavailable nobody listens.
Result<int> ConnectUnix(const std::string& path, BootTime deadline, const std::function<bool()>& alive = {});

// Errors: kUnavailable the peer has closed.
Status SendAll(int fd, std::string_view bytes);

}  // namespace faraday::sim::qemu
