#include "cli/access_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cli/slot_text.h"
#include "cli/text.h"

namespace faraday::cli {
namespace {

std::string Fact(std::string_view name, const std::string& value) { return fmt::format("  {:<10}{}\n", name, value); }

template <typename Texts>
std::string Listed(const Texts& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ",") + Printable(text);
  return out.empty() ? "-" : out;
}

std::string Until(int64_t utc_ms, int64_t now_utc_ms) {
  const bool over = utc_ms <= now_utc_ms;
  return (over ? "expired " : "until ") + FormatClock(utc_ms, now_utc_ms);
}

}  // namespace

std::string RenderWhoAmI(const v1::WhoAmIResult& who,
                         const std::string& endpoint,
                         const std::string& server_key,
                         int64_t now_utc_ms) {
  std::string out = fmt::format("{} at {} ({})\n", Printable(who.user()), Printable(who.server()), Printable(endpoint));
  out += Fact("roles", Listed(who.roles()));
  out += Fact("teams", Listed(who.teams()));
  if (!who.fingerprint().empty()) {
    const std::string until = who.expires_utc_ms() == 0 ? "does not expire" : Until(who.expires_utc_ms(), now_utc_ms);
    out += Fact("your key", fmt::format("{}, {}", Printable(who.fingerprint()), until));
  }
  if (!server_key.empty()) out += Fact("its key", Printable(server_key));
  if (who.break_glass()) out += "  the break-glass key: everything done with it is audited loudly\n";
  if (who.roster() != 0) out += Fact("roster", fmt::format("{}", who.roster()));
  return out + SecurityWords(who.server(), who.security());
}

std::string KeyWords(const v1::User::Key& key, int64_t now_utc_ms) {
  if (key.enrols()) return "open code " + Until(key.expires_utc_ms(), now_utc_ms);
  std::string words = (key.token() ? "token " : "") + Printable(key.fingerprint());
  if (key.since_utc_ms() != 0) words += " since " + FormatAge(now_utc_ms - key.since_utc_ms());
  if (key.expires_utc_ms() != 0) words += ", " + Until(key.expires_utc_ms(), now_utc_ms);
  return words;
}

std::string StateWords(const v1::User& user) {
  if (user.disabled()) return user.reason().empty() ? "disabled" : "disabled: " + Printable(user.reason());
  const bool has_key =
      std::any_of(user.keys().begin(), user.keys().end(), [](const auto& key) { return !key.enrols(); });
  return has_key ? "enabled" : "has not logged in yet";
}

std::string RenderUsers(const v1::ListUsersResult& users, int64_t now_utc_ms) {
  std::vector<std::vector<std::string>> rows;
  for (const v1::User& user : users.users()) {
    std::string keys;
    for (const v1::User::Key& key : user.keys()) keys += (keys.empty() ? "" : "; ") + KeyWords(key, now_utc_ms);
    rows.push_back({Printable(user.name()),
                    Listed(user.roles()),
                    Listed(user.teams()),
                    StateWords(user),
                    keys.empty() ? "-" : keys});
  }
  return RenderTable({{"USER"}, {"ROLES"}, {"TEAMS"}, {"STATE"}, {"KEYS"}}, rows);
}

}  // namespace faraday::cli
