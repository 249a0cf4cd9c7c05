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
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "access/key.h"
#include "access/role.h"
#include "access/roster.h"
#include "base/clock.h"
#include "base/result.h"

namespace faraday::access {

inline constexpr std::chrono::seconds kDefaultCodeLife{86'400};
inline constexpr std::chrono::seconds kMinCodeLife{60};
inline constexpr std::chrono::seconds kMaxCodeLife{604'800};
inline constexpr std::chrono::seconds kMinTokenLife{60};
inline constexpr std::chrono::seconds kMaxTokenLife{31'622'400};
// A used code may enrol the same key again for so long: the first answer may have been lost (chosen).
inline constexpr std::chrono::seconds kRetryLife{600};
// A token that was replaced works on for so long, unless rotated `now`: whoever uses it must get the new one (chosen).
inline constexpr std::chrono::seconds kTokenOverlap{86'400};
inline constexpr size_t kMaxNameBytes = 64;
inline constexpr size_t kMaxTeams = 16;       // of one user
inline constexpr size_t kMaxKeysOfUser = 16;  // open codes included

struct UserKey {
  enum class Kind : uint8_t {
    kEnrolled,  // made by its owner, enrolled with a code
    kToken,     // made by the keeper, expires
    kCode,      // of an open or just used enrolment code
  };
  Kind kind = Kind::kEnrolled;
  PublicKey key;
  UtcTime since;
  UtcTime expires;  // zero: never
  // kCode only.
  bool replaces = false;    // enrolling with it removes the user's other keys
  std::set<PublicKey> old;  // those that were there when it was made
  PublicKey enrolled;       // what it has enrolled; zero: still open
  bool used() const { return enrolled != PublicKey{}; }
};

struct User {
  std::string name;
  std::vector<Role> roles;
  std::vector<std::string> teams;
  bool disabled = false;
  std::string reason;  // why disabled
  std::vector<UserKey> keys;
  std::string endpoint;
};

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
  const std::string& signed_roster() const { return signed_; }  // v1::SignedRoster, serialised
  uint64_t number() const { return roster_.number; }
  const Options& options() const { return options_; }
  PublicKey signer() const { return SignerOf(seed_); }
  // The signed roster that a receiver which has number `have` is to get next, "" when it has the newest. Not always the
  // newest: rosters that introduce a new signer are kept, and whoever missed one gets it first. Ask again after each.
  const std::string& RosterAfter(uint64_t have) const;

  // Without the keeper itself, by name.
  std::vector<User> Users() const;
  // nullptr when there is none; valid until the next change.
  const User* FindUser(std::string_view name) const;

  // Errors of all changes: kInvalidArgument (a name, role, team or duration out of its range), kResourceExhausted (too
  // many keys or teams, roster too large), kUnavailable (not written: nothing changed), kUnknown (see ReplaceFile).

  // kAlreadyExists for a name that is taken. Role lab cannot be given; agent and controller stand alone; tokens are for
  // roles ci and viewer, and need a team.
  Result<Change> AddUser(const NewUser& user, UtcTime now);
  // kNotFound; kFailedPrecondition: person to machine or back, or roles that a live token may not have.
  Result<Change> SetUser(const UserEdit& edit, UtcTime now);
  // Keys and open codes stay with the user, and are refused while it is disabled. A change to what already is answers
  // OK without a new roster. kInvalidArgument without a reason; kNotFound.
  Result<Change> DisableUser(const std::string& name, const std::string& reason, UtcTime now);
  Result<Change> EnableUser(const std::string& name, UtcTime now);
  // kNotFound; kFailedPrecondition when the user is disabled; kPermissionDenied for by_self's bounds.
  Result<Change> RotateUser(const Rotation& rotation, UtcTime now);
  // Puts `key` in the place of the code whose key is `code`. The same again within kRetryLife answers the same. Errors:
  // kUnauthenticated: no such code, expired, or its user is disabled; kFailedPrecondition: the code has enrolled
  // another key; kAlreadyExists: the key is somebody's (also the same user's); kInvalidArgument: no valid key.
  Result<Change> Enrol(const PublicKey& code, const PublicKey& key, const std::string& endpoint, UtcTime now);
  // Where a controller is found, from the lab's config; no new roster when it is so already. kNotFound.
  Status FillEndpoint(const std::string& name, const std::string& endpoint, UtcTime now);

  // Makes a new signer: the roster of this step is signed by the old one and names the new; the next change is signed
  // by the new one. The old signer is forgotten then.
  Status RotateSigner(UtcTime now);
  // A receiver shows a roster signed by this keeper with a larger number than ours: `users` was restored from an older
  // copy. Numbers go on beyond it. Users and keys that came after the copy are lost. OK and no change when it is not
  // newer; kPermissionDenied when another signer made it.
  Status SeeRoster(std::string_view signed_bytes, UtcTime now);

 private:
  struct State;  // what the file holds
  explicit Registry(Options options);

  Options options_;
  std::unique_ptr<State> state_;
  SecretKey seed_;
  Roster roster_;
  std::string signed_;
  uint64_t last_number_ = 0;  // also of steps that failed
  std::function<void()> on_change_;

  friend struct RegistrySteps;

 public:
  ~Registry();
};

}  // namespace faraday::access
