// A user (person or machine) and its keys as the keeper knows them, and the rules for names, roles, teams and
// durations. Plain data and checks. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "access/key.h"
#include "access/role.h"
#include "base/clock.h"
#include "base/result.h"

namespace faraday::access {

inline constexpr std::chrono::seconds kDefaultCodeLife{86'400};
inline constexpr std::chrono::seconds kMinLife{60};  // of codes and tokens
inline constexpr std::chrono::seconds kMaxCodeLife{604'800};
inline constexpr std::chrono::seconds kMaxTokenLife{31'622'400};
// A used code may enrol the same key again for so long: the first answer may have been lost (chosen).
inline constexpr std::chrono::seconds kRetryLife{600};
// A token that was replaced works on for so long, unless rotated `now`: whoever uses it must get the new one (chosen).
inline constexpr std::chrono::seconds kTokenOverlap{86'400};
// An expired token is still listed for so long (chosen).
inline constexpr std::chrono::seconds kExpiredShown{2'592'000};
inline constexpr size_t kMaxNameBytes = 64;
inline constexpr size_t kMaxEndpointBytes = 256;
inline constexpr size_t kMaxReasonBytes = 1024;
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
  UtcTime expires;       // zero: never
  bool leaving = false;  // goes when a code that replaces is used
  // kCode only.
  bool replaces = false;  // using it removes the leaving keys
  PublicKey enrolled;     // what it has enrolled; zero: still open
  bool is_used() const { return enrolled != PublicKey{}; }
};

struct User {
  std::string name;
  std::vector<Role> roles;
  std::vector<std::string> teams;
  bool disabled = false;
  std::string reason;  // why disabled
  std::vector<UserKey> keys;
  std::string endpoint;  // of a controller
};

using UserTable = std::map<std::string, User, std::less<>>;  // by name

bool HasRole(const User& user, Role role);
// Agent or controller.
bool IsMachine(const std::vector<Role>& roles);
bool IsLive(const UserKey& key, UtcTime now);
bool HasLiveToken(const User& user, UtcTime now);

// All of these: kInvalidArgument with the allowed form.
// 1 to 64 of a-z 0-9 . _ -, beginning with a letter.
Status CheckName(std::string_view what, std::string_view name);
// CheckName, and none of the names that mean something else: care, lab, break-glass.
Status CheckUserName(std::string_view name);
// At least one, none twice, no lab or code; agent and controller stand alone.
Status CheckRoles(const std::vector<Role>& roles);
Status CheckTeams(const std::vector<std::string>& teams);
// Tokens are for roles ci and viewer, with a team.
Status CheckTokenUser(const std::vector<Role>& roles, const std::vector<std::string>& teams);
// "" is fine; printable, no white space or ';', at most kMaxEndpointBytes.
Status CheckEndpoint(std::string_view endpoint);
Status CheckLife(std::string_view what, std::chrono::seconds life, std::chrono::seconds most);
// A key that a peer can prove: no point of small order.
Status CheckKey(const PublicKey& key);

}  // namespace faraday::access
