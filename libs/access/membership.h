// A machine's place at the keeper of its users: whom it is enrolled at, and the newest roster from there, kept on disk
// so that it works on while the keeper is away. Of an agent, and of a controller that is enrolled at a lab.
//
//   <state_dir>/known_servers   the servers it is enrolled at
//   <state_dir>/roster          the newest signed roster
//
// One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/known_servers.h"
#include "access/roster.h"
#include "access/roster_directory.h"

namespace faraday::access {

class Membership {
 public:
  // Puts what is on disk in force in `directory`, which outlives it. Errors: kFailedPrecondition when others may read
  // or write a file, with the command that mends it; kDataLoss for a damaged one that does not mend itself.
  static Result<std::unique_ptr<Membership>> Open(const std::string& state_dir, RosterDirectory& directory);

  // OK when the files fit each other. kDataLoss: a roster is there, but no server that it is enrolled at; says what to
  // do. Such a controller must not fall back to the users of its own.
  Status Check() const;
  // The servers it is enrolled at, none: it is not.
  const std::vector<KnownServer>& servers() const { return servers_; }
  const RosterFile& roster() const { return roster_; }

  // After enrolment at `server`, over a connection that has proved its key. With a roster, that one is trusted from now
  // on, and `server` is the only keeper: lines of others go, and the users that it kept itself until now are moved
  // aside, so that they never come into force again (`users`, keys/signer*.key to *.before-enrolment).
  Status Join(const KnownServer& server, std::string_view signed_roster);
  // Takes a newer roster of the same keeper: on disk when it returns, then in force. Errors: RosterFile::Accept's;
  // nothing has changed then.
  Status Accept(std::string_view signed_roster);

  // The key of the keeper: the lab in the roster in force, else the line of `endpoint`, else the only line.
  Result<PublicKey> KeeperKey(const std::string& endpoint) const;
  // The key of the controller at `endpoint`: from the roster, else known_servers. kUnauthenticated says what to do.
  Result<PublicKey> ControllerKey(const std::string& endpoint) const;

 private:
  Membership(std::string state_dir, RosterFile roster, RosterDirectory& directory)
      : state_dir_(std::move(state_dir)),
        file_(state_dir_ + "/known_servers"),
        roster_(std::move(roster)),
        directory_(directory) {}
  Status MoveOwnUsersAside() const;
  Status ReadServers();
  const KnownServer* LineOf(const std::string& endpoint) const;

  std::string state_dir_;
  KnownServers file_;
  std::vector<KnownServer> servers_;
  RosterFile roster_;
  RosterDirectory& directory_;
};

}  // namespace faraday::access
