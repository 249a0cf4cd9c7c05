// The gate of a daemon: who is behind the key (Directory), in which role, and whether that role may make this call at
// all (access/rights.table). What depends on the object of the call is decided by the object's owner.
//
// Nothing is remembered between calls: a key that is disabled now is refused now.
#pragma once

#include <string>

#include "access/directory.h"
#include "access/rights.h"
#include "rpc/rate_limits.h"
#include "rpc/security.h"

namespace faraday::rpc {

class AuditTrail;

class Door : public Gate {
 public:
  // `plain`: the sockets are plain text, callers are believed. `directory` outlives the door; REQUIRED unless plain.
  struct Options {
    const access::Directory* directory = nullptr;
    bool plain = false;
    RateTable rates = {};
    AuditTrail* audit = nullptr;  // null: nothing is recorded. Outlives the door
  };
  explicit Door(Options options) : options_(options), limits_(options.rates) {}

  bool Admits(const access::PublicKey& key) override;
  std::string OwnerOf(const access::PublicKey& key) const override;
  // Errors: kUnauthenticated (key unknown, disabled, expired), kPermissionDenied (another user's name, a role or team
  // that the key does not have, a role that may not, the break-glass key from another machine), kUnimplemented (no
  // row), kResourceExhausted (called too often; calls of kind `safe` and put_roster never are), those of
  // AuditTrail::Asked.
  Status Enter(Call& call) override;
  void Leave(const Call& call, const v1::Reply& reply, std::function<void()> send) override;

 private:
  Result<v1::Caller> CallerOf(Call& call, access::Call what) const;

  Status Limit(const Call& call, access::Call what, const Result<v1::Caller>& caller);

  Options options_;
  RateLimits limits_;
};

// The role a call is made in: the wished one; else, of the caller's roles that may make it at all, the least that may
// beyond its own things: with a reason when the request carries one, without where no reason is needed; else the least.
// kPermissionDenied names the roles that may.
Result<access::Role> ChooseRole(const access::Identity& who,
                                const std::string& wished,
                                access::Call call,
                                bool has_reason);

}  // namespace faraday::rpc
