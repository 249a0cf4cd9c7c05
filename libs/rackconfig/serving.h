// What every daemon's config says about its sockets and its audit log; plain structs.
#pragma once

#include <cstdint>

namespace faraday::rackconfig {

// How sockets are protected. Plain text is for loopback and ipc only, where a config says so.
enum class Security { kCurve, kPlain };

// How long audit records are kept: what is older, or beyond the size, is removed segment by segment.
struct AuditConfig {
  uint32_t keep_days = 400;
  uint32_t max_mb = 1024;  // MiB
};

}  // namespace faraday::rackconfig
