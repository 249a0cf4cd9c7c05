// Port: who is behind a key right now. Asked for every call, so that a disabled key is refused at once.
// Implementations: the roster (roster_directory.h) and fakes in tests.
#pragma once

#include <string>
#include <vector>

#include "access/key.h"
#include "access/role.h"
#include "base/clock.h"
#include "base/result.h"

namespace faraday::access {

struct Identity {
  PublicKey key;
  std::string user;
  std::vector<Role> roles;  // never empty
  std::vector<std::string> teams;
  bool break_glass = false;  // the server's own local admin key: its use is audited loudly
};

class Directory {
 public:
  virtual ~Directory() = default;
  // Errors: kUnauthenticated: a key that is unknown, disabled or expired, with what its owner can do.
  virtual Result<Identity> Find(const PublicKey& key, UtcTime now) const = 0;
};

}  // namespace faraday::access
