// The users and their keys at the keeper (the lab, or a controller without one), and the signed roster made of them.
//
// Every change is one durable step: `<state_dir>/users` holds the users and the newest signed roster and is replaced as
// a whole (write, fsync, rename, fsync of the folder) before the call returns; after an error nothing has changed. Each
// change makes one roster with a larger number; a number is never used twice. Secrets are returned once and stored
// nowhere: the file knows public keys only. One thread; a change costs two fsyncs.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/key.h"
#include "access/registry_book.h"
#include "access/role.h"
#include "access/roster.h"
#include "access/user.h"
#include "base/clock.h"
#include "base/result.h"

namespace faraday::access {

// What a change answers.
struct Change {
  User user;
  std::string secret;   // enrolment code or token, "" when none was made
  std::string note;     // what the admin should know, "" when nothing
  uint64_t roster = 0;  // number of the roster that says so
};

struct NewUser {
  std::string name;  // 1 to 64 of a-z 0-9 . _ -, beginning with a letter; people and machines share the names
  std::vector<Role> roles;
  std::vector<std::string> teams;
  std::chrono::seconds code_life{0};   // 0: kDefaultCodeLife
  std::chrono::seconds token_life{0};  // not 0: a token instead of a code
  std::string endpoint;                // role controller
};

struct UserEdit {
  std::string name;
  std::vector<Role> roles;         // empty: as they are
  std::vector<std::string> teams;  // empty: as they are
  bool clear_teams = false;
};

struct Rotation {
  std::string name;
  // Neither: the old keys go when the new one is enrolled; those that a token replaces, after kTokenOverlap.
  bool now = false;   // the old keys go at once
  bool keep = false;  // another key beside the old ones
  std::chrono::seconds code_life{0};
  std::chrono::seconds token_life{0};
  // The user itself asks, not an admin: then a new token ends when the newest old one does, and who has a token gets no
  // code.
  bool by_self = false;
};

class Registry {
 public:
  struct Options {
    std::string state_dir;             // `users`, `keys/signer.key` are in it; made when missing
    std::string keeper;                // "lab", or the rack's name
    Role keeper_role = Role::kLab;     // kLab or kController: of the keeper's own entry
    PublicKey server_key;              // the keeper's own, in every code and token
    std::string endpoint;              // where the keeper listens, "" when not known
    std::vector<PublicKey> forbidden;  // keys that nobody may enrol besides server_key: the break-glass key
  };

  // Makes an empty one with roster number 1 when there is none. A keeper whose server key or endpoint has changed makes
  // a new roster. Errors: kDataLoss: `users` is damaged, or one of `users` and `keys/signer.key` is missing, with what
  // to do; kFailedPrecondition: others may read a file; kUnavailable: a file cannot be read or written.
  static Result<std::unique_ptr<Registry>> Open(Options options, UtcTime now);

  // Called after each change, when it is durable and roster() is the new one.
  void OnChange(std::function<void()> on_change) { on_change_ = std::move(on_change); }

  const Roster& roster() const { return roster_; }
  const std::string& signed_roster() const { return book_.signed_roster; }  // v1::SignedRoster, serialised
  uint64_t number() const { return roster_.number; }
  const Options& options() const { return options_; }
  const PublicKey& signer() const { return book_.signer; }
  // The signed roster that a receiver which has number `have` is to get next, "" when it has the newest. Not always the
  // newest: rosters that introduce a new signer are kept, and whoever missed one gets it first. Ask again after each.
  const std::string& RosterAfter(uint64_t have) const;

  // Without the keeper itself, by name.
  std::vector<User> Users() const;
  // nullptr when there is none; valid until the next change.
  const User* FindUser(std::string_view name) const;

  // Errors of all changes: kInvalidArgument (a name, role, team or duration out of its range), kResourceExhausted (too
  // many keys or teams, roster too large: above 7/8 of kMaxRosterBytes it may grow no more, except for what takes
  // rights away), kUnavailable (not written: nothing changed), kUnknown (see ReplaceFile). kAlreadyExists for an
  // endpoint that the keeper or another enabled user has.

  // kAlreadyExists for a name that is taken. Role lab cannot be given; agent and controller stand alone; tokens are for
  // roles ci and viewer, and need a team.
  Result<Change> AddUser(const NewUser& user, UtcTime now);
  // kNotFound; kFailedPrecondition: person to machine or back, or roles that a live token may not have.
  Result<Change> SetUser(const UserEdit& edit, UtcTime now);
  // Keys and open codes stay with the user, and are refused while it is disabled. A change to what already is answers
  // OK without a new roster. kInvalidArgument without a reason; kNotFound.
  Result<Change> DisableUser(const std::string& name, const std::string& reason, UtcTime now);
  Result<Change> EnableUser(const std::string& name, UtcTime now);
  // kNotFound; kFailedPrecondition when the user is disabled, unless `now`: then the old keys go, and the new code
  // works once it is enabled; kPermissionDenied for by_self's bounds.
  Result<Change> RotateUser(const Rotation& rotation, UtcTime now);
  // Puts `key` in the place of the code whose key is `code`. The same again within kRetryLife answers the same. Errors:
  // kUnauthenticated: no such code, expired, or its user is disabled; kFailedPrecondition: the code has enrolled
  // another key; kAlreadyExists: the key is somebody's (also the same user's); kInvalidArgument: no valid key.
  Result<Change> Enrol(const PublicKey& code, const PublicKey& key, const std::string& endpoint, UtcTime now);
  // Where a controller is found, from the lab's config, which is right: another one there loses the endpoint. No new
  // roster when it is so already. kNotFound; kAlreadyExists when the keeper itself is there.
  Status FillEndpoint(const std::string& name, const std::string& endpoint, UtcTime now);

  // Makes a new signer: the roster of this step is signed by the old one and names the new; the next change is signed
  // by the new one. The old signer is forgotten then.
  Status RotateSigner(UtcTime now);
  // Lets the new signer take over now, with a roster of its own: the old one can sign nothing that is taken any more by
  // whoever has that. OK and no change when no new signer waits.
  Status RetireSigner(UtcTime now);
  // A receiver shows a roster signed by this keeper with a larger number than ours: `users` was restored from an older
  // copy. Numbers go on beyond it, and whom it disables is disabled. Users and keys that came after the copy are lost;
  // restored() says so. OK and no change when it is not newer; kPermissionDenied when another signer made it.
  Status SeeRoster(std::string_view signed_bytes, UtcTime now);
  // Within OnChange after SeeRoster: what must be told loudly, with both numbers; else "".
  const std::string& restored() const { return restored_; }

 private:
  enum class Room : uint8_t { kGrowth, kAll };  // what is left at the end is for taking rights away
  explicit Registry(Options options) : options_(std::move(options)) {}

  Status Begin(UtcTime now);  // an empty registry
  Status Resume(const std::string& bytes, UtcTime now);
  Status FindSeeds();
  // The durable step: the roster of `users`, signed, on disk, then in force. `introduced`: a new signer to name.
  Status Commit(UserTable users, UtcTime now, Room room = Room::kAll, const SecretKey* introduced = nullptr);
  Roster RosterOf(const UserTable& users, UtcTime now) const;
  Result<Change> CommitChange(
      UserTable users, const std::string& name, UtcTime now, Room room, std::string secret = {}, std::string note = {});
  Result<Change> Unchanged(const std::string& name) const;
  Result<User> Existing(std::string_view name) const;
  bool IsTaken(const PublicKey& key) const;
  // Whether `name` may be found at the endpoint.
  Status CheckFree(const std::string& endpoint, const std::string& name) const;
  std::string UsersPath() const { return options_.state_dir + "/users"; }
  std::string SignerPath() const { return options_.state_dir + "/keys/signer.key"; }
  std::string NextSignerPath() const { return options_.state_dir + "/keys/signer.next.key"; }

  Options options_;
  Book book_;                           // as it is on disk
  Roster roster_;                       // book_.signed_roster, opened
  SecretKey seed_;                      // of book_.signer
  std::optional<SecretKey> next_seed_;  // introduced; signs from the next change on
  uint64_t last_number_ = 0;            // of steps that failed too: no number is used twice
  std::string restored_;
  std::function<void()> on_change_;
};

}  // namespace faraday::access
