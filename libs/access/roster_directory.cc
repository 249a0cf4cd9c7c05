#include "access/roster_directory.h"

#include <fmt/core.h>

#include <algorithm>

namespace faraday::access {
namespace {

bool IsPast(UtcTime end, UtcTime now) { return end != UtcTime{} && end <= now; }

bool Has(const Entry& entry, Role role) {
  return std::find(entry.roles.begin(), entry.roles.end(), role) != entry.roles.end();
}

Status Refused(std::string text) { return {Code::kUnauthenticated, std::move(text)}; }

Status CheckEntry(const Entry& entry, UtcTime now) {
  if (entry.disabled) return Refused(fmt::format("user {} is disabled: ask an admin of the lab", entry.user));
  if (IsPast(entry.expires, now)) {
    return Refused(
        entry.enrols ? fmt::format("this enrolment code of {} was used or has expired: ask an admin for a new one "
                                   "(faraday user rotate {})",
                                   entry.user,
                                   entry.user)
                     : fmt::format("the key {} of {} has expired: ask an admin for a new one (faraday user rotate {})",
                                   Fingerprint(entry.key),
                                   entry.user,
                                   entry.user));
  }
  if (!entry.enrols && entry.roles.empty()) {
    return Refused(fmt::format("user {} has no role that this server knows: ask an admin of the lab", entry.user));
  }
  return OkStatus();
}

}  // namespace

void RosterDirectory::SetRoster(Roster roster) {
  roster_ = std::move(roster);
  by_key_.clear();
  for (size_t i = 0; i < roster_.entries.size(); ++i) by_key_.emplace_back(roster_.entries[i].key, i);
  std::sort(by_key_.begin(), by_key_.end());
  names_lab_ = std::any_of(roster_.entries.begin(), roster_.entries.end(), [](const Entry& entry) {
    return Has(entry, Role::kLab) && !entry.disabled;
  });
}

const Entry* RosterDirectory::FindKey(const PublicKey& key) const {
  const auto found = std::lower_bound(by_key_.begin(), by_key_.end(), std::pair<PublicKey, size_t>(key, 0));
  return found == by_key_.end() || found->first != key ? nullptr : &roster_.entries[found->second];
}

Result<Identity> RosterDirectory::Find(const PublicKey& key, UtcTime now) const {
  if (break_glass_ == key) return Identity{key, std::string(kBreakGlassUser), {Role::kAdmin}, {}, true};
  const Entry* entry = FindKey(key);
  if (entry != nullptr) {
    FARADAY_TRY(CheckEntry(*entry, now));
    return Identity{key, entry->user, entry->enrols ? std::vector<Role>{Role::kCode} : entry->roles, entry->teams};
  }
  if (!names_lab_ && lab_ == key) return Identity{key, "lab", {Role::kLab}, {}};
  return Refused(
      fmt::format("the key {} is not known here: ask an admin for an enrolment code (faraday user add, or "
                  "rotate when you had one), then: faraday login",
                  Fingerprint(key)));
}

const Entry* RosterDirectory::FindUser(std::string_view user) const {
  const Entry* found = nullptr;
  for (const Entry& entry : roster_.entries) {
    if (entry.user == user && !entry.disabled && !entry.enrols) found = &entry;
  }
  return found;
}

const Entry* RosterDirectory::FindEndpoint(std::string_view endpoint) const {
  const Entry* found = nullptr;
  for (const Entry& entry : roster_.entries) {
    const bool serves = Has(entry, Role::kController) || Has(entry, Role::kLab);
    if (endpoint.empty() || entry.endpoint != endpoint || !serves || entry.disabled || entry.enrols) continue;
    if (found != nullptr && found->user != entry.user) return nullptr;  // whose it is, nobody can say
    found = &entry;
  }
  return found;
}

Status RosterDirectory::Standing(std::string_view user, UtcTime now) const {
  if (user == kBreakGlassUser && break_glass_) return OkStatus();
  Status why = Refused(fmt::format("user {} has no key", user));
  for (const Entry& entry : roster_.entries) {
    if (entry.user != user) continue;
    if (entry.disabled) return Refused(fmt::format("user {} is disabled", user));
    if (entry.enrols) continue;
    if (!IsPast(entry.expires, now)) return OkStatus();
    why = Refused(fmt::format("the key of user {} has expired", user));
  }
  return why;
}

}  // namespace faraday::access
