// Who makes a call: user, role, team.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace faraday::access {

// kCode is no role of people or machines: it is what a one-time enrolment code may do. In the order of what they may do
// among people: viewer, user, ci, tech, admin.
enum class Role : uint8_t { kNone, kViewer, kUser, kCi, kTech, kAdmin, kAgent, kController, kLab, kCode };

inline constexpr std::array<std::string_view, 10> kRoleNames = {
    "", "viewer", "user", "ci", "tech", "admin", "agent", "controller", "lab", "code"};

constexpr std::string_view RoleName(Role role) { return kRoleNames[static_cast<size_t>(role)]; }

// kNone for text that names no role.
constexpr Role ParseRole(std::string_view text) {
  for (size_t i = 1; i < kRoleNames.size(); ++i) {
    if (kRoleNames[i] == text) return static_cast<Role>(i);
  }
  return Role::kNone;
}

struct Caller {
  std::string user;
  Role role = Role::kNone;
  std::string team;
};

}  // namespace faraday::access
