#include "rpc/door.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "base/log.h"
#include "rpc/audit_trail.h"
#include "rpc/audit_words.h"
#include "rpc/local_address.h"
#include "rpc/server.h"

namespace faraday::rpc {
namespace {

// Trace ids go into logs and files: short, plain names. Anything else is replaced.
void SetTrace(Call& call) {
  constexpr size_t kMost = 64;
  const std::string& trace = call.request().trace_id();
  const bool plain =
      trace.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == std::string::npos;
  if (!trace.empty() && trace.size() <= kMost && plain) return;
  std::array<uint8_t, 8> random{};
  randombytes_buf(random.data(), random.size());
  call.SetTrace(access::ToHex(random));
}

std::string Names(const std::vector<access::Role>& roles) {
  std::string names;
  for (const access::Role role : roles) names += (names.empty() ? "" : ", ") + std::string(RoleName(role));
  return names;
}

bool WithReasonOnly(access::Call call, access::Role role) {
  return RightOf(call, role, access::Ownership::kOther) == access::Right::kWithReason;
}

bool OnAnything(access::Call call, access::Role role) {
  return RightOf(call, role, access::Ownership::kOther) == access::Right::kAllowed;
}

Status MayNot(const std::string& user, access::Role role, access::Call call) {
  return CheckRight(call, {user, role, ""}, access::Ownership::kOther, "", "");
}

Result<std::string> ChooseTeam(const access::Identity& who, const std::string& wished) {
  if (wished.empty()) return who.teams.empty() ? std::string() : who.teams.front();
  if (std::find(who.teams.begin(), who.teams.end(), wished) != who.teams.end()) return wished;
  return Status(Code::kPermissionDenied, fmt::format("{} is not in team '{}'", who.user, wished));
}

}  // namespace

Result<access::Role> ChooseRole(const access::Identity& who,
                                const std::string& wished,
                                access::Call call,
                                bool has_reason) {
  if (!wished.empty()) {
    const access::Role role = access::ParseRole(wished);
    if (std::find(who.roles.begin(), who.roles.end(), role) == who.roles.end()) {
      return Status(Code::kPermissionDenied,
                    fmt::format("{} does not have role '{}'; it has: {}", who.user, wished, Names(who.roles)));
    }
    if (!MayEver(call, role)) return MayNot(who.user, role, call);
    return role;
  }
  std::vector<access::Role> able;
  std::copy_if(who.roles.begin(), who.roles.end(), std::back_inserter(able), [call](access::Role role) {
    return MayEver(call, role);
  });
  if (able.empty()) return MayNot(who.user, who.roles.front(), call);
  std::sort(able.begin(), able.end());
  const auto with_reason =
      std::find_if(able.begin(), able.end(), [call](access::Role role) { return WithReasonOnly(call, role); });
  if (has_reason && with_reason != able.end()) return *with_reason;
  const auto for_anything =
      std::find_if(able.begin(), able.end(), [call](access::Role role) { return OnAnything(call, role); });
  return for_anything != able.end() ? *for_anything : able.front();
}

bool Door::Admits(const access::PublicKey& key) {
  return options_.directory != nullptr && options_.directory->Find(key, UtcNow()).ok();
}

std::string Door::OwnerOf(const access::PublicKey& key) const {
  const auto who = options_.directory == nullptr ? Result<access::Identity>(Status(Code::kNotFound, ""))
                                                 : options_.directory->Find(key, UtcNow());
  return who.ok() ? "user " + who->user : access::ToHex(key);
}

Result<v1::Caller> Door::CallerOf(Call& call, access::Call what) const {
  const v1::Caller& wish = call.caller();
  if (options_.plain) {
    const access::Role role = access::ParseRole(wish.role());
    if (!MayEver(what, role)) return MayNot(wish.user(), role, what);
    return wish;
  }
  if (!call.peer_key()) {
    return Status(Code::kUnauthenticated, "this connection has proved no key: faraday login");
  }
  FARADAY_TRY_ASSIGN(const access::Identity who, options_.directory->Find(*call.peer_key(), UtcNow()));
  call.audit().proven = who.user;
  call.audit().break_glass = who.break_glass;
  if (who.break_glass && !IsThisMachine(call.peer_address())) {
    return Status(Code::kPermissionDenied,
                  fmt::format("the break-glass key works on this machine only, not from {}: log in there, or use a key "
                              "of your own (faraday login)",
                              call.peer_address()));
  }
  if (!wish.user().empty() && wish.user() != who.user) {
    return Status(Code::kPermissionDenied,
                  fmt::format("this key belongs to {}, not to '{}': nobody speaks for another", who.user, wish.user()));
  }
  const bool has_reason = !ReasonOf(call.request()).empty();
  FARADAY_TRY_ASSIGN(const access::Role role, ChooseRole(who, wish.role(), what, has_reason));
  v1::Caller caller;
  caller.set_user(who.user);
  caller.set_role(std::string(RoleName(role)));
  FARADAY_TRY_ASSIGN(*caller.mutable_team(), ChooseTeam(who, wish.team()));
  return caller;
}

// Refused calls count too, as people's: their role is not known.
Status Door::Limit(const Call& call, access::Call what, const Result<v1::Caller>& caller) {
  const bool never_limited = RowOf(what).kind == access::Kind::kSafe || what == access::Call::kPutRoster;
  if (caller.ok() && never_limited) return OkStatus();
  const std::string& name = caller.ok() ? caller->user() : call.caller().user();
  const auto& key = call.peer_key();
  // By user: people make themselves keys at will.
  const std::string& proven = call.audit().proven;
  const std::string identity = key && proven.empty() ? std::string(key->bytes.begin(), key->bytes.end())
                               : key                 ? "user " + proven
                                                     : name;
  const access::Role role = caller.ok() ? access::ParseRole(caller->role()) : access::Role::kNone;
  return limits_.Take(identity, name.empty() ? "this caller" : name, RateClassOf(role), BootClock::now());
}

Status Door::Enter(Call& call) {
  const access::Call what = access::CallOfNumber(static_cast<int>(call.request().call_case()));
  if (what == access::Call::kNone) return {Code::kUnimplemented, "no such call"};
  SetTrace(call);
  auto found = CallerOf(call, what);
  FARADAY_TRY(Limit(call, what, found));
  FARADAY_TRY_ASSIGN(v1::Caller caller, std::move(found));
  call.SetCaller(std::move(caller));
  call.audit().let_in = true;
  if (call.audit().break_glass) {
    log::Warn(
        "BREAK-GLASS key used: {} from {}, trace {}", RowOf(what).name, call.peer_address(), call.request().trace_id());
  }
  return options_.audit == nullptr ? OkStatus() : options_.audit->Asked(call, what);
}

void Door::Leave(const Call& call, const v1::Reply& reply, std::function<void()> send) {
  if (options_.audit == nullptr) return send();
  options_.audit->Done(call, reply, std::move(send));
}

}  // namespace faraday::rpc
