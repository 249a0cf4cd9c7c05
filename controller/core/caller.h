// Who makes a call.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace faraday::controller {

enum class Role : uint8_t { kNone, kViewer, kUser, kCi, kTech, kAdmin, kAgent, kController, kLab };

inline constexpr std::array<std::string_view, 9> kRoleNames = {
    "", "viewer", "user", "ci", "tech", "admin", "agent", "controller", "lab"};

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

}  // namespace faraday::controller
