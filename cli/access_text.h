// Users, keys and oneself as people read them. Pure: time is an argument.
#pragma once

#include <cstdint>
#include <string>

#include "faraday/v1/access.pb.h"

namespace faraday::cli {

// Who one is to the server at `endpoint`; `server_key` is its fingerprint, empty on a plain socket.
std::string RenderWhoAmI(const v1::WhoAmIResult& who,
                         const std::string& endpoint,
                         const std::string& server_key,
                         int64_t now_utc_ms);
// A table, one row a user.
std::string RenderUsers(const v1::ListUsersResult& users, int64_t now_utc_ms);
// "9f3a-77c1-0b2e-44d0 since 3d", "code until 14:20", "token 9f3a-... until 24 Feb 14:20".
std::string KeyWords(const v1::User::Key& key, int64_t now_utc_ms);
// "enabled", "disabled: left", "has not logged in yet".
std::string StateWords(const v1::User& user);

}  // namespace faraday::cli
