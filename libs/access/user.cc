#include "access/user.h"

#include <fmt/core.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <set>

namespace faraday::access {
namespace {

constexpr std::array<std::string_view, 3> kReserved = {"care", "lab", "break-glass"};

Status Bad(std::string text) { return {Code::kInvalidArgument, std::move(text)}; }

bool IsNameLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

// A text of others, fit for a message: printable and short.
std::string Shown(std::string_view text) {
  constexpr size_t kMost = 80;
  std::string shown;
  for (const char c : text.substr(0, kMost)) shown += c >= 0x20 && c < 0x7f ? c : '?';
  return text.size() > kMost ? shown + "..." : shown;
}

}  // namespace

bool HasRole(const User& user, Role role) {
  return std::find(user.roles.begin(), user.roles.end(), role) != user.roles.end();
}

bool IsMachine(const std::vector<Role>& roles) {
  return std::any_of(roles.begin(), roles.end(), [](Role r) { return r == Role::kAgent || r == Role::kController; });
}

bool IsLive(const UserKey& key, UtcTime now) { return key.expires == UtcTime{} || now < key.expires; }

bool HasLiveToken(const User& user, UtcTime now) {
  return std::any_of(user.keys.begin(), user.keys.end(), [now](const UserKey& key) {
    return key.kind == UserKey::Kind::kToken && IsLive(key, now);
  });
}

Status CheckName(std::string_view what, std::string_view name) {
  const bool good = !name.empty() && name.size() <= kMaxNameBytes && name[0] >= 'a' && name[0] <= 'z' &&
                    std::all_of(name.begin(), name.end(), IsNameLetter);
  if (good) return OkStatus();
  return Bad(fmt::format(
      "'{}' is no {} name: 1 to {} of a-z 0-9 . _ -, beginning with a letter", Shown(name), what, kMaxNameBytes));
}

Status CheckUserName(std::string_view name) {
  FARADAY_TRY(CheckName("user", name));
  if (std::find(kReserved.begin(), kReserved.end(), name) == kReserved.end()) return OkStatus();
  return Bad(fmt::format("'{}' is a name that Faraday uses itself: choose another", name));
}

Status CheckRoles(const std::vector<Role>& roles) {
  if (roles.empty()) {
    return Bad("a user needs a role: viewer, user, ci, tech, admin; or agent or controller for a machine");
  }
  for (const Role role : roles) {
    if (role == Role::kLab) return Bad("role lab is the lab's own and cannot be given");
    if (role == Role::kNone || role == Role::kCode) {
      return Bad("no such role: viewer, user, ci, tech, admin; or agent or controller for a machine");
    }
  }
  if (std::set<Role>(roles.begin(), roles.end()).size() != roles.size()) return Bad("a role is named twice");
  if (IsMachine(roles) && roles.size() > 1) {
    return Bad("roles agent and controller stand alone: a machine has no other role, a person neither of them");
  }
  return OkStatus();
}

Status CheckTeams(const std::vector<std::string>& teams) {
  if (teams.size() > kMaxTeams) return Bad(fmt::format("{} teams, at most {}", teams.size(), kMaxTeams));
  for (const std::string& team : teams) FARADAY_TRY(CheckName("team", team));
  if (std::set<std::string>(teams.begin(), teams.end()).size() != teams.size()) return Bad("a team is named twice");
  return OkStatus();
}

Status CheckTokenUser(const std::vector<Role>& roles, const std::vector<std::string>& teams) {
  const bool fit = std::all_of(roles.begin(), roles.end(), [](Role r) { return r == Role::kCi || r == Role::kViewer; });
  if (!fit) return Bad("a token is for roles ci and viewer only: others make a key of their own with a code");
  if (teams.empty()) return Bad("a token belongs to a team: --team NAME");
  return OkStatus();
}

Status CheckEndpoint(std::string_view endpoint) {
  const bool good = endpoint.size() <= kMaxEndpointBytes && std::all_of(endpoint.begin(), endpoint.end(), [](char c) {
                      return c > 0x20 && c < 0x7f && c != ';';
                    });
  if (good) return OkStatus();
  return Bad(
      fmt::format("'{}' is no endpoint: such as tcp://r01:7720, at most {} bytes", Shown(endpoint), kMaxEndpointBytes));
}

Status CheckLife(std::string_view what, std::chrono::seconds life, std::chrono::seconds most) {
  if (life >= kMinLife && life <= most) return OkStatus();
  return Bad(fmt::format("a {} lives {} to {} s, not {}", what, kMinLife.count(), most.count(), life.count()));
}

Status CheckKey(const PublicKey& key) {
  std::array<unsigned char, crypto_scalarmult_BYTES> shared{};
  const SecretKey any = NewSecret();
  const bool good = crypto_scalarmult(shared.data(), any.bytes().data(), key.bytes.data()) == 0;
  sodium_memzero(shared.data(), shared.size());
  return good ? OkStatus() : Bad("these 32 bytes are no public key");
}

}  // namespace faraday::access
