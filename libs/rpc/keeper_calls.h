// The calls of whoever keeps the users (the lab, or a controller without one), as rows of its server's table: enrol,
// add_user, list_users, set_user, disable_user, rotate_user; and who_am_i, which every server answers. In the loop's
// thread; each change waits for the disk (two fsyncs).
#pragma once

#include <functional>
#include <string>

#include "access/registry.h"
#include "access/roster_directory.h"
#include "rpc/rate_limits.h"
#include "rpc/server.h"

namespace faraday::rpc {

// What a server tells about itself.
struct ServerFacts {
  std::string name;      // "lab", "r01"
  std::string security;  // "CURVE", "plain text, loopback only"
};

// Answers who_am_i: the caller's user, roles, teams, key, and the signed roster in force (not to enrolment codes).
// `directory` and what `signed_roster` returns outlive the handler.
Handler WhoAmIHandler(const access::RosterDirectory& directory,
                      ServerFacts facts,
                      std::function<const std::string&()> signed_roster);

class KeeperCalls {
 public:
  // How often a user may rotate its own keys, each of which is a roster to every server (chosen): five at once, then
  // one in 10 min. Beyond: kResourceExhausted with the time. Admins are not bounded.
  static constexpr RateTable kOwnRotations{.people = {1.0 / 600, 5}};
  // Both outlive it. The owner keeps `directory` up to date: registry.OnChange(... directory.SetRoster(...)).
  KeeperCalls(access::Registry& registry, const access::RosterDirectory& directory, ServerFacts facts)
      : registry_(registry), directory_(directory), facts_(std::move(facts)), own_rotations_(kOwnRotations) {}

  // Adds the seven rows; the object outlives the server.
  void AddTo(HandlerTable* table);

 private:
  Result<v1::Reply> Enrol(Call& call);
  Result<v1::Reply> AddUser(Call& call);
  Result<v1::Reply> ListUsers(Call& call);
  Result<v1::Reply> SetUser(Call& call);
  Result<v1::Reply> DisableUser(Call& call);
  Result<v1::Reply> RotateUser(Call& call);

  access::Registry& registry_;
  const access::RosterDirectory& directory_;
  ServerFacts facts_;
  RateLimits own_rotations_;  // by user
};

}  // namespace faraday::rpc
