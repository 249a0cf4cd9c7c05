// Who is behind a key, from the roster in force. Lookup is a binary search. One thread.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "access/directory.h"
#include "access/roster.h"

namespace faraday::access {

// The user that the server's own local admin key acts as.
inline constexpr std::string_view kBreakGlassUser = "break-glass";

class RosterDirectory : public Directory {
 public:
  // Puts it in force; a key named twice belongs to its first entry.
  void SetRoster(Roster roster);
  const Roster& roster() const { return roster_; }
  // The server's own admin key: role admin, user "break-glass", also without a roster.
  void SetBreakGlass(const PublicKey& key) { break_glass_ = key; }
  // The lab's server key as learnt at enrolment: role lab while the roster in force names no lab (none yet, or
  // damaged), so that the lab can bring a new one.
  void SetLab(const PublicKey& key) { lab_ = key; }

  // Errors: kUnauthenticated: unknown, disabled or expired, with what the owner can do.
  Result<Identity> Find(const PublicKey& key, UtcTime now) const override;

  // nullptr when there is none; valid until the next SetRoster.
  const Entry* FindKey(const PublicKey& key) const;
  // An enabled entry of the user, not of a code; of several the last one. For the public key of a rack, agent or lab.
  const Entry* FindUser(std::string_view user) const;
  // The enabled controller or lab at the endpoint (compared as text), its last key. nullptr too when two are there.
  const Entry* FindEndpoint(std::string_view endpoint) const;

  // OK while the user has a key that is let in; else kUnauthenticated: "user ana is disabled", "user ana has no key",
  // "the key of user ana has expired". For ending what such a user holds.
  Status Standing(std::string_view user, UtcTime now) const;

 private:
  Roster roster_;
  std::vector<std::pair<PublicKey, size_t>> by_key_;  // sorted; index into roster_.entries
  bool names_lab_ = false;
  std::optional<PublicKey> break_glass_;
  std::optional<PublicKey> lab_;
};

}  // namespace faraday::access
