#include "access/registry.h"

#include <fmt/core.h>
#include <sodium.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "access/credential.h"
#include "access/durable_file.h"

namespace faraday::access {
namespace {

using std::chrono::seconds;

// A receiver that missed more replacements of the signer than this must enrol again (chosen).
constexpr size_t kMaxBridges = 8;
// Beyond this a roster may not grow: the rest is for what takes rights away (chosen).
constexpr size_t kFullRosterBytes = kMaxRosterBytes / 8 * 7;
// Numbers and times of the roster itself may take a byte more.
constexpr size_t kGrowthOfHead = 4;

// What to do about one of the keeper's two files when it is gone or damaged.
std::string Mend(const std::string& lost, const std::string& other) {
  return fmt::format(
      "restore {} from a copy; or, to begin anew, remove it and {}: everybody and every machine must then "
      "enrol again (docs/operate/rotate-keys.md)",
      lost,
      other);
}

Status Bad(std::string text) { return {Code::kInvalidArgument, std::move(text)}; }

bool Exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

UtcTime After(UtcTime now, seconds life) { return {now.since_epoch + life}; }

// Zero is "never".
UtcTime Sooner(UtcTime a, UtcTime b) {
  if (a == UtcTime{} || b == UtcTime{}) return std::max(a, b);
  return std::min(a, b);
}

bool IsCode(const UserKey& key) { return key.kind == UserKey::Kind::kCode; }

void Prune(User* user, UtcTime now) {
  std::erase_if(user->keys, [now](const UserKey& key) {
    if (IsLive(key, now)) return false;
    return IsCode(key) || After(key.expires, kExpiredShown) <= now;
  });
}

bool HasAdmin(const UserTable& users) {
  return std::any_of(users.begin(), users.end(), [](const auto& row) {
    return !row.second.disabled && HasRole(row.second, Role::kAdmin);
  });
}

std::string NoteOfAdmins(const UserTable& before, const UserTable& after) {
  if (!HasAdmin(before) || HasAdmin(after)) return "";
  return "no enabled admin is left: only the server's own admin key can change users now";
}

Entry EntryOf(const User& user, const UserKey& key) {
  Entry entry{key.key, user.name, user.roles, user.teams, key.expires, user.disabled, IsCode(key), user.endpoint};
  // Whoever is disabled has no use of these, and taking rights away shall never need more room.
  if (user.disabled) entry.expires = {};
  if (!entry.enrols && !user.disabled) return entry;
  entry.roles.clear();
  entry.teams.clear();
  entry.endpoint.clear();
  return entry;
}

bool Same(const Entry& a, const Entry& b) {
  return a.key == b.key && a.user == b.user && a.roles == b.roles && a.endpoint == b.endpoint;
}

UserKey CodeOf(const PublicKey& key, UtcTime now, seconds life, bool replaces) {
  UserKey code;
  code.kind = UserKey::Kind::kCode;
  code.key = key;
  code.since = now;
  code.expires = After(now, life);
  code.replaces = replaces;
  return code;
}

UserKey TokenOf(const PublicKey& key, UtcTime now, UtcTime expires) {
  UserKey token;
  token.kind = UserKey::Kind::kToken;
  token.key = key;
  token.since = now;
  token.expires = expires;
  return token;
}

seconds CodeLife(seconds wished) { return wished == seconds(0) ? kDefaultCodeLife : wished; }

// Of a wished code or token: exactly one is made.
Status CheckLives(seconds code_life, seconds token_life) {
  if (token_life == seconds(0)) return CheckLife("code", CodeLife(code_life), kMaxCodeLife);
  if (code_life != seconds(0)) return Bad("either a code or a token: a lifetime was given for both");
  return CheckLife("token", token_life, kMaxTokenLife);
}

Status CheckRoom(const User& user) {
  if (user.keys.size() < kMaxKeysOfUser) return OkStatus();
  return {Code::kResourceExhausted,
          fmt::format("{} has {} keys and open codes, at most {}: rotate without keep first",
                      user.name,
                      user.keys.size(),
                      kMaxKeysOfUser)};
}

// When the newest of the user's tokens ends; zero: it has none.
UtcTime TokensEnd(const User& user, UtcTime now) {
  UtcTime end;
  for (const UserKey& key : user.keys) {
    if (key.kind == UserKey::Kind::kToken && IsLive(key, now)) end = std::max(end, key.expires);
  }
  return end;
}

// A token's end is an admin's decision: who holds one makes neither a longer one nor a key without an end of it.
Status CheckSelf(const User& user, const Rotation& rotation, UtcTime now) {
  const bool has_token = HasLiveToken(user, now);
  const bool wants_token = rotation.token_life != seconds(0);
  if (!rotation.by_self || has_token == wants_token) return OkStatus();
  return {Code::kPermissionDenied,
          has_token ? fmt::format("{} has a token: without an admin it may only be rotated to another token", user.name)
                    : fmt::format("{} has no token: only an admin makes the first one", user.name)};
}

void RetireForCode(User* user, const Rotation& rotation) {
  if (rotation.keep) return;
  std::erase_if(user->keys, [&](const UserKey& key) { return IsCode(key) || rotation.now; });
  for (UserKey& key : user->keys) key.leaving = true;
}

// The note for the admin.
std::string RetireForToken(User* user, const Rotation& rotation, UtcTime now) {
  if (rotation.keep) return "";
  std::erase_if(user->keys, [&](const UserKey& key) { return IsCode(key) || rotation.now; });
  for (UserKey& key : user->keys) key.expires = Sooner(key.expires, After(now, kTokenOverlap));
  if (user->keys.empty()) return "";
  return fmt::format(
      "the old keys of {} end in {} h: give out the new token before; rotate with 'now' ends them at once",
      user->name,
      std::chrono::duration_cast<std::chrono::hours>(kTokenOverlap).count());
}

const UserKey* KeyIn(const User& user, const PublicKey& key) {
  const auto found = std::find_if(user.keys.begin(), user.keys.end(), [&](const UserKey& k) { return k.key == key; });
  return found == user.keys.end() ? nullptr : &*found;
}

Status CheckCode(const User& user, const UserKey& code, UtcTime now) {
  if (user.disabled) {
    return {Code::kUnauthenticated, fmt::format("user {} is disabled: ask an admin of the lab", user.name)};
  }
  if (IsLive(code, now)) return OkStatus();
  return {
      Code::kUnauthenticated,
      fmt::format("this enrolment code of {} was used or has expired: ask an admin for a new one (faraday user rotate "
                  "{})",
                  user.name,
                  user.name)};
}

Status NoRoom(size_t bytes) {
  return {
      Code::kResourceExhausted,
      fmt::format("the roster would have {} bytes; beyond {} of {} it only takes what removes rights: disable users "
                  "who have left, and rotate them with 'now', so that their keys go",
                  bytes,
                  kFullRosterBytes,
                  kMaxRosterBytes)};
}

Status UsedForAnother(const User& user, const UserKey& code) {
  return {Code::kFailedPrecondition,
          fmt::format("this enrolment code of {} was already used, for the key {}: ask an admin for a new one (faraday "
                      "user rotate {}); if it was not you who used it, tell the admin so",
                      user.name,
                      Fingerprint(code.enrolled),
                      user.name)};
}

void UseCode(User* user, const PublicKey& code, const PublicKey& key, UtcTime now) {
  for (UserKey& entry : user->keys) {
    if (entry.key != code) continue;
    const bool replaces = entry.replaces;
    entry.replaces = false;
    entry.enrolled = key;
    entry.expires = std::min(entry.expires, After(now, kRetryLife));
    if (replaces) std::erase_if(user->keys, [](const UserKey& old) { return old.leaving; });
    break;
  }
  UserKey fresh;
  fresh.key = key;
  fresh.since = now;
  user->keys.push_back(fresh);
}

}  // namespace

// ---- start ----

Result<std::unique_ptr<Registry>> Registry::Open(Options options, UtcTime now) {
  if (sodium_init() < 0) return Status(Code::kInternal, "libsodium does not start");
  std::unique_ptr<Registry> registry(new Registry(std::move(options)));
  auto bytes = ReadPrivateFile(registry->UsersPath(), kMaxBookBytes);
  if (bytes.ok()) {
    FARADAY_TRY(registry->Resume(*bytes, now));
  } else if (bytes.status().code() == Code::kNotFound) {
    FARADAY_TRY(registry->Begin(now));
  } else {
    return bytes.status();
  }
  return registry;
}

// `users` comes first: a signer without it means that somebody removed it.
Status Registry::Begin(UtcTime now) {
  if (Exists(SignerPath())) {
    return {
        Code::kDataLoss,
        fmt::format("{} is missing, but {} is there: {}", UsersPath(), SignerPath(), Mend(UsersPath(), SignerPath()))};
  }
  seed_ = NewSecret();
  FARADAY_TRY(Commit({}, now));
  return WriteSecret(SignerPath(), seed_, options_.keeper + " (signer of its rosters)");
}

Status Registry::Resume(const std::string& bytes, UtcTime now) {
  auto book = DecodeBook(bytes);
  auto roster =
      book.ok() ? OpenRoster(book->signed_roster, std::span(&book->signer, 1)) : Result<Roster>(book.status());
  if (!roster.ok()) {
    return {
        Code::kDataLoss,
        fmt::format("{} is damaged ({}): {}", UsersPath(), roster.status().message(), Mend(UsersPath(), SignerPath()))};
  }
  // A first start that was cut short: nobody has seen its roster, and its signer is lost.
  if (roster->number == 1 && book->users.empty() && !Exists(SignerPath())) return Begin(now);
  book_ = std::move(*book);
  roster_ = std::move(*roster);
  last_number_ = roster_.number;
  FARADAY_TRY(FindSeeds());
  const Roster fresh = RosterOf(book_.users, now);
  const bool same = roster_.keeper == fresh.keeper && !roster_.entries.empty() &&
                    Same(roster_.entries.front(), fresh.entries.front());
  return same ? OkStatus() : Commit(book_.users, now);
}

// A crash may have come between the new signer's first roster and the renaming of its file.
Status Registry::FindSeeds() {
  auto seed = ReadSecret(SignerPath());
  auto next = ReadSecret(NextSignerPath());
  for (const auto* read : {&seed, &next}) {
    if (!read->ok() && read->status().code() != Code::kNotFound) return read->status();
  }
  if (next.ok() && SignerOf(*next) == book_.signer) {
    if (std::rename(NextSignerPath().c_str(), SignerPath().c_str()) != 0) {
      return {Code::kUnavailable, fmt::format("cannot rename {}: {}", NextSignerPath(), std::strerror(errno))};
    }
    seed_ = *next;
    return OkStatus();
  }
  if (!seed.ok() || SignerOf(*seed) != book_.signer) {
    return {Code::kDataLoss,
            fmt::format("{} {}: {}",
                        SignerPath(),
                        seed.ok() ? "is not the signer of " + UsersPath() : "is missing",
                        Mend(SignerPath(), UsersPath()))};
  }
  seed_ = *seed;
  // A replacement whose key is lost is not made: the old signer goes on.
  if (next.ok() && SignerOf(*next) == book_.next_signer) next_seed_ = *next;
  return OkStatus();
}

// ---- the durable step ----

Roster Registry::RosterOf(const UserTable& users, UtcTime now) const {
  Roster roster;
  roster.keeper = options_.keeper;
  roster.issued = now;
  Entry self;
  self.key = options_.server_key;
  self.user = options_.keeper;
  self.roles = {options_.keeper_role};
  self.endpoint = options_.endpoint;
  roster.entries.push_back(std::move(self));
  for (const auto& [name, user] : users) {
    for (const UserKey& key : user.keys) roster.entries.push_back(EntryOf(user, key));
  }
  return roster;
}

Status Registry::Commit(UserTable users, UtcTime now, Room room, const SecretKey* introduced) {
  for (auto& [name, user] : users) Prune(&user, now);
  const SecretKey signing = next_seed_ ? *next_seed_ : seed_;
  Roster roster = RosterOf(users, now);
  roster.number = ++last_number_;
  roster.signers = {SignerOf(signing)};
  if (introduced != nullptr) roster.signers.push_back(SignerOf(*introduced));
  FARADAY_TRY_ASSIGN(std::string signed_roster, SignRoster(roster, signing));
  const bool grows = signed_roster.size() > book_.signed_roster.size() + kGrowthOfHead;
  if (room == Room::kGrowth && grows && signed_roster.size() > kFullRosterBytes) return NoRoom(signed_roster.size());

  Book book{std::move(users), std::move(signed_roster), SignerOf(signing), {}, book_.bridges};
  if (introduced != nullptr) {
    book.next_signer = SignerOf(*introduced);
    book.bridges.push_back({roster.number, book.signed_roster});
    if (book.bridges.size() > kMaxBridges) book.bridges.erase(book.bridges.begin());
  }
  const std::string bytes = EncodeBook(book);
  if (bytes.size() > kMaxBookBytes) {
    return {Code::kResourceExhausted,
            fmt::format("{} would have {} bytes, at most {}", UsersPath(), bytes.size(), kMaxBookBytes)};
  }
  FARADAY_TRY(ReplaceFile(UsersPath(), bytes));

  book_ = std::move(book);
  roster_ = std::move(roster);
  if (next_seed_) {
    seed_ = *next_seed_;
    next_seed_.reset();
    (void)std::rename(NextSignerPath().c_str(), SignerPath().c_str());  // should it fail, the next start does it
  }
  if (introduced != nullptr) next_seed_ = *introduced;
  if (on_change_) on_change_();
  return OkStatus();
}

Result<Change> Registry::Unchanged(const std::string& name) const {
  const User* user = FindUser(name);
  return Change{user == nullptr ? User{} : *user, "", "", number()};
}

Result<Change> Registry::CommitChange(
    UserTable users, const std::string& name, UtcTime now, Room room, std::string secret, std::string note) {
  const std::string admins = NoteOfAdmins(book_.users, users);
  FARADAY_TRY(Commit(std::move(users), now, room));
  FARADAY_TRY_ASSIGN(Change change, Unchanged(name));
  change.secret = std::move(secret);
  change.note = std::move(note);
  if (!admins.empty()) change.note += (change.note.empty() ? "" : "; ") + admins;
  return change;
}

// ---- questions ----

const std::string& Registry::RosterAfter(uint64_t have) const {
  static const std::string kNothing;
  for (const Bridge& bridge : book_.bridges) {
    if (bridge.number > have) return bridge.signed_roster;
  }
  return have < roster_.number ? book_.signed_roster : kNothing;
}

std::vector<User> Registry::Users() const {
  std::vector<User> users;
  for (const auto& [name, user] : book_.users) users.push_back(user);
  return users;
}

const User* Registry::FindUser(std::string_view name) const {
  const auto found = book_.users.find(name);
  return found == book_.users.end() ? nullptr : &found->second;
}

Result<User> Registry::Existing(std::string_view name) const {
  const User* user = FindUser(name);
  if (user != nullptr) return *user;
  FARADAY_TRY(CheckName("user", name));
  return Status(Code::kNotFound, fmt::format("no user '{}': faraday user list", name));
}

bool Registry::IsTaken(const PublicKey& key) const {
  const auto& forbidden = options_.forbidden;
  if (key == options_.server_key || std::find(forbidden.begin(), forbidden.end(), key) != forbidden.end()) return true;
  return std::any_of(
      book_.users.begin(), book_.users.end(), [&](const auto& row) { return KeyIn(row.second, key) != nullptr; });
}

// A disabled controller holds no place: another may stand in it.
Status Registry::CheckFree(const std::string& endpoint, const std::string& name) const {
  if (endpoint.empty()) return OkStatus();
  std::string owner = endpoint == options_.endpoint ? options_.keeper : "";
  for (const auto& [other, user] : book_.users) {
    if (other != name && !user.disabled && user.endpoint == endpoint) owner = other;
  }
  if (owner.empty()) return OkStatus();
  return {Code::kAlreadyExists,
          fmt::format("{} is where {} is found: every server has an endpoint of its own; correct it, or disable {}",
                      endpoint,
                      owner,
                      owner)};
}

// ---- changes ----

Result<Change> Registry::AddUser(const NewUser& user, UtcTime now) {
  FARADAY_TRY(CheckUserName(user.name));
  FARADAY_TRY(CheckRoles(user.roles));
  FARADAY_TRY(CheckTeams(user.teams));
  FARADAY_TRY(CheckEndpoint(user.endpoint));
  FARADAY_TRY(CheckLives(user.code_life, user.token_life));
  const bool token = user.token_life != seconds(0);
  if (token) FARADAY_TRY(CheckTokenUser(user.roles, user.teams));
  User fresh{user.name, user.roles, user.teams, false, "", {}, user.endpoint};
  if (!user.endpoint.empty() && !HasRole(fresh, Role::kController)) return Bad("only a controller has an endpoint");
  FARADAY_TRY(CheckFree(user.endpoint, user.name));
  if (user.name == options_.keeper || FindUser(user.name) != nullptr) {
    return Status(
        Code::kAlreadyExists,
        fmt::format("'{}' is there already: people and machines share the names (faraday user list)", user.name));
  }
  NewCredential made = token ? NewToken(options_.server_key) : NewCode(options_.server_key);
  fresh.keys.push_back(token ? TokenOf(made.key, now, After(now, user.token_life))
                             : CodeOf(made.key, now, CodeLife(user.code_life), true));
  UserTable users = book_.users;
  users[user.name] = std::move(fresh);
  return CommitChange(std::move(users), user.name, now, Room::kGrowth, std::move(made.text));
}

Result<Change> Registry::SetUser(const UserEdit& edit, UtcTime now) {
  FARADAY_TRY_ASSIGN(const User before, Existing(edit.name));
  if (edit.clear_teams && !edit.teams.empty()) return Bad("either new teams or none: both were asked for");
  User user = before;
  if (!edit.roles.empty()) user.roles = edit.roles;
  if (!edit.teams.empty() || edit.clear_teams) user.teams = edit.teams;
  FARADAY_TRY(CheckRoles(user.roles));
  FARADAY_TRY(CheckTeams(user.teams));
  if ((IsMachine(before.roles) || IsMachine(user.roles)) && user.roles != before.roles) {
    return Status(
        Code::kFailedPrecondition,
        fmt::format("{} has role {} and stays so: a machine's role and a person's do not turn into each other; "
                    "add another user",
                    user.name,
                    RoleName(before.roles.front())));
  }
  if (HasLiveToken(user, now)) {
    const Status fit = CheckTokenUser(user.roles, user.teams);
    if (!fit.ok()) {
      return Status(
          Code::kFailedPrecondition,
          fmt::format("{} has a token; {}; rotate {} to a code with 'now' first", user.name, fit.message(), user.name));
    }
  }
  if (user.roles == before.roles && user.teams == before.teams) return Unchanged(edit.name);
  UserTable users = book_.users;
  users[edit.name] = std::move(user);
  return CommitChange(std::move(users), edit.name, now, Room::kGrowth);
}

Result<Change> Registry::DisableUser(const std::string& name, const std::string& reason, UtcTime now) {
  if (reason.empty()) return Bad("disabling a user needs a reason: --reason TEXT");
  if (reason.size() > kMaxReasonBytes) return Bad(fmt::format("a reason has at most {} bytes", kMaxReasonBytes));
  FARADAY_TRY_ASSIGN(const User before, Existing(name));
  if (before.disabled && before.reason == reason) return Unchanged(name);
  UserTable users = book_.users;
  users[name].disabled = true;
  users[name].reason = reason;
  return CommitChange(std::move(users), name, now, Room::kAll);
}

Result<Change> Registry::EnableUser(const std::string& name, UtcTime now) {
  FARADAY_TRY_ASSIGN(const User before, Existing(name));
  if (!before.disabled) return Unchanged(name);
  FARADAY_TRY(CheckFree(before.endpoint, name));
  UserTable users = book_.users;
  users[name].disabled = false;
  users[name].reason.clear();
  return CommitChange(std::move(users), name, now, Room::kGrowth);
}

Result<Change> Registry::RotateUser(const Rotation& rotation, UtcTime now) {
  FARADAY_TRY_ASSIGN(User user, Existing(rotation.name));
  if (rotation.now && rotation.keep) return Bad("either 'now' or 'keep': the old keys cannot go and stay");
  FARADAY_TRY(CheckLives(rotation.code_life, rotation.token_life));
  if (user.disabled && !rotation.now) {
    return Status(
        Code::kFailedPrecondition,
        fmt::format("{} is disabled: enable it first, or rotate with 'now' to end its old keys before", user.name));
  }
  FARADAY_TRY(CheckSelf(user, rotation, now));
  const bool token = rotation.token_life != seconds(0);
  if (token) FARADAY_TRY(CheckTokenUser(user.roles, user.teams));
  const UtcTime newest = TokensEnd(user, now);
  Prune(&user, now);
  std::string note;
  if (token) note = RetireForToken(&user, rotation, now);
  if (!token) RetireForCode(&user, rotation);
  FARADAY_TRY(CheckRoom(user));
  NewCredential made = token ? NewToken(options_.server_key) : NewCode(options_.server_key);
  UtcTime end = After(now, rotation.token_life);
  if (rotation.by_self) end = std::min(end, newest);
  user.keys.push_back(token ? TokenOf(made.key, now, end)
                            : CodeOf(made.key, now, CodeLife(rotation.code_life), !rotation.keep));
  UserTable users = book_.users;
  users[rotation.name] = std::move(user);
  const Room room = rotation.now && !rotation.by_self ? Room::kAll : Room::kGrowth;
  return CommitChange(std::move(users), rotation.name, now, room, std::move(made.text), std::move(note));
}

Result<Change> Registry::Enrol(const PublicKey& code, const PublicKey& key, const std::string& endpoint, UtcTime now) {
  const auto owner = std::find_if(book_.users.begin(), book_.users.end(), [&](const auto& row) {
    const UserKey* found = KeyIn(row.second, code);
    return found != nullptr && IsCode(*found);
  });
  if (owner == book_.users.end()) {
    return Status(Code::kUnauthenticated, "no such enrolment code: ask an admin for one (faraday user add, or rotate)");
  }
  User user = owner->second;
  const UserKey used = *KeyIn(user, code);
  FARADAY_TRY(CheckCode(user, used, now));
  if (used.is_used()) {
    if (used.enrolled == key && KeyIn(user, key) != nullptr) return Unchanged(user.name);
    return UsedForAnother(user, used);
  }
  FARADAY_TRY(CheckKey(key));
  FARADAY_TRY(CheckEndpoint(endpoint));
  if (IsTaken(key)) {
    return Status(
        Code::kAlreadyExists,
        fmt::format("the key {} is enrolled already, and a key belongs to one user: make a new one", Fingerprint(key)));
  }
  UseCode(&user, code, key, now);
  if (user.keys.size() > kMaxKeysOfUser) FARADAY_TRY(CheckRoom(user));
  const std::string name = user.name;
  if (!endpoint.empty() && HasRole(user, Role::kController)) {
    FARADAY_TRY(CheckFree(endpoint, name));
    user.endpoint = endpoint;
  }
  UserTable users = book_.users;
  users[name] = std::move(user);
  return CommitChange(std::move(users), name, now, Room::kGrowth);
}

Status Registry::FillEndpoint(const std::string& name, const std::string& endpoint, UtcTime now) {
  FARADAY_TRY_ASSIGN(const User before, Existing(name));
  FARADAY_TRY(CheckEndpoint(endpoint));
  if (!HasRole(before, Role::kController)) return Bad(fmt::format("{} is no controller: it has no endpoint", name));
  if (before.endpoint == endpoint) return OkStatus();
  if (!endpoint.empty() && endpoint == options_.endpoint) FARADAY_TRY(CheckFree(endpoint, name));
  UserTable users = book_.users;
  for (auto& [other, user] : users) {
    if (user.endpoint == endpoint) user.endpoint.clear();
  }
  users[name].endpoint = endpoint;
  return Commit(std::move(users), now);
}

// ---- signers and numbers ----

Status Registry::RotateSigner(UtcTime now) {
  if (next_seed_) FARADAY_TRY(Commit(book_.users, now));  // the one before takes over first
  const SecretKey fresh = NewSecret();
  ::unlink(NextSignerPath().c_str());
  FARADAY_TRY(WriteSecret(NextSignerPath(), fresh, options_.keeper + " (next signer of its rosters)"));
  return Commit(book_.users, now, Room::kAll, &fresh);
}

Status Registry::RetireSigner(UtcTime now) {
  return next_seed_ ? Commit(book_.users, now, Room::kAll, nullptr) : OkStatus();
}

Status Registry::SeeRoster(std::string_view signed_bytes, UtcTime now) {
  const std::array<PublicKey, 2> ours = {book_.signer, next_seed_ ? SignerOf(*next_seed_) : book_.signer};
  FARADAY_TRY_ASSIGN(const Roster seen, OpenRoster(signed_bytes, ours));
  if (seen.number <= roster_.number) return OkStatus();
  last_number_ = std::max(last_number_, seen.number);
  UserTable users = book_.users;
  size_t disabled = 0;
  for (const Entry& entry : seen.entries) {
    const auto found = users.find(entry.user);
    if (!entry.disabled || found == users.end() || found->second.disabled) continue;
    found->second.disabled = true;
    found->second.reason = fmt::format("disabled in roster {}, seen after an older copy was restored", seen.number);
    ++disabled;
  }
  restored_ = fmt::format(
      "{} is an older copy: roster {} was in it, roster {} is in force elsewhere. Users and keys made between are "
      "lost, "
      "old keys may be let in again; {} users were disabled as that roster says. Look through: faraday user list",
      UsersPath(),
      roster_.number,
      seen.number,
      disabled);
  const Status done = Commit(std::move(users), now, Room::kAll);
  restored_.clear();
  return done;
}

}  // namespace faraday::access
