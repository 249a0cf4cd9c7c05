// The roster: whom each key belongs to, signed and numbered by the keeper of the users; and the file in which every
// other daemon keeps the newest one. Form on the wire: faraday/v1/access.proto. Any thread; a RosterFile is one
// thread's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "access/key.h"
#include "access/role.h"
#include "base/clock.h"
#include "base/result.h"

namespace faraday::access {

struct Entry {
  PublicKey key;
  std::string user;
  std::vector<Role> roles;  // of an enrolment code's key: empty
  std::vector<std::string> teams;
  UtcTime expires;  // zero: never
  bool disabled = false;
  bool enrols = false;   // the key that a one-time code makes: it may enrol, nothing else
  std::string endpoint;  // of a controller or lab; "" when not known
};

struct Roster {
  uint64_t number = 0;  // only grows; 0: there is none yet
  std::string keeper;   // who signs: "lab", or the rack without one
  UtcTime issued;
  std::vector<Entry> entries;      // one a key
  std::vector<PublicKey> signers;  // whose signature the next rosters may carry
};

// A signed roster as bytes: a serialised v1::SignedRoster.
// At most this many (chosen: well within one message of 1 MiB, some 4000 keys).
inline constexpr size_t kMaxRosterBytes = 512 << 10;

// kResourceExhausted when it would be larger than kMaxRosterBytes.
Result<std::string> SignRoster(const Roster& roster, const SecretKey& seed);

// The roster, when one of `trusted` signed it. Errors: kDataLoss: no roster, too large, or changed since it was signed
// (bad signature); kPermissionDenied: signed by a key that is not trusted, named by its fingerprint. A role that this
// program does not know gives no right: the entry stays without it.
Result<Roster> OpenRoster(std::string_view signed_bytes, std::span<const PublicKey> trusted);
// The key that the bytes say signed them, not verified. kDataLoss when they are no signed roster.
Result<PublicKey> SignerIn(std::string_view signed_bytes);

// The newest roster of a daemon that does not keep the users: `path`, and beside it `path`.signers, whom it trusts (so
// that a damaged roster can be replaced by a fresh one of the same signers). Both are mode 0600.
class RosterFile {
 public:
  // No file: number 0, accepts nothing until Adopt. A damaged roster is renamed to `path`.damaged, note() says so, and
  // number 0 is in force until the next is accepted. Errors: kFailedPrecondition when others may write the file;
  // kDataLoss when `path`.signers is damaged (says what to do); kUnavailable when a file cannot be read.
  static Result<RosterFile> Load(std::string path);

  // What somebody must be told about the start; empty when all is well.
  const std::string& note() const { return note_; }
  const Roster& roster() const { return roster_; }
  uint64_t number() const { return roster_.number; }
  // As received, for handing on; empty when number() is 0.
  const std::string& signed_bytes() const { return signed_bytes_; }
  // Whose next rosters are accepted.
  const std::vector<PublicKey>& trusted() const { return trusted_; }

  // Takes a roster that one of trusted() or `more_trusted` signed; on disk when it returns, in force only then. Errors
  // (nothing changed): those of OpenRoster; kFailedPrecondition when it is not newer than the one in force, or nothing
  // is trusted yet; kUnavailable when it cannot be written.
  Status Accept(std::string_view signed_bytes, std::span<const PublicKey> more_trusted = {});
  // Takes a roster that came from the keeper itself over a connection that has proved the keeper's key (enrolment):
  // trusts its signer from now on, and replaces whatever was there, whatever its number.
  Status Adopt(std::string_view signed_bytes);

 private:
  explicit RosterFile(std::string path) : path_(std::move(path)) {}
  Status LoadSigners();
  Status LoadRoster();
  Status Put(Roster roster, std::string_view signed_bytes);
  Status PutSigners(std::vector<PublicKey> signers);

  std::string path_;
  std::string note_;
  Roster roster_;
  std::string signed_bytes_;
  std::vector<PublicKey> trusted_;
};

}  // namespace faraday::access
