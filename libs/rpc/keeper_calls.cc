#include "rpc/keeper_calls.h"

#include <fmt/core.h>

#include <utility>

#include "access/rights.h"

namespace faraday::rpc {
namespace {

using std::chrono::seconds;

std::string Bytes(const access::PublicKey& key) { return {key.bytes.begin(), key.bytes.end()}; }

void ToWire(const access::UserKey& key, v1::User::Key* wire) {
  wire->set_fingerprint(access::Fingerprint(key.key));
  wire->set_since_utc_ms(key.since.since_epoch.count());
  wire->set_expires_utc_ms(key.expires.since_epoch.count());
  wire->set_enrols(key.kind == access::UserKey::Kind::kCode);
  wire->set_token(key.kind == access::UserKey::Kind::kToken);
}

// Used codes are kept for a lost answer's sake only and shown to nobody.
void ToWire(const access::User& user, v1::User* wire) {
  wire->set_name(user.name);
  for (const access::Role role : user.roles) wire->add_roles(std::string(RoleName(role)));
  for (const std::string& team : user.teams) wire->add_teams(team);
  wire->set_disabled(user.disabled);
  wire->set_reason(user.reason);
  for (const access::UserKey& key : user.keys) {
    if (!key.is_used()) ToWire(key, wire->add_keys());
  }
  wire->set_endpoint(user.endpoint);
}

v1::Reply ToReply(access::Change change) {
  v1::Reply reply;
  v1::UserResult* result = reply.mutable_user();
  ToWire(change.user, result->mutable_user());
  result->set_secret(std::move(change.secret));
  result->set_note(std::move(change.note));
  result->set_roster(change.roster);
  return reply;
}

Result<std::vector<access::Role>> RolesOf(const google::protobuf::RepeatedPtrField<std::string>& names) {
  std::vector<access::Role> roles;
  for (const std::string& name : names) {
    roles.push_back(access::ParseRole(name));
    if (roles.back() != access::Role::kNone && roles.back() != access::Role::kCode) continue;
    return Status(Code::kInvalidArgument,
                  "no such role: viewer, user, ci, tech, admin; or agent or controller for a machine");
  }
  return roles;
}

std::vector<std::string> TeamsOf(const google::protobuf::RepeatedPtrField<std::string>& teams) {
  return {teams.begin(), teams.end()};
}

access::Caller CallerOf(const Call& call) {
  return {call.caller().user(), access::ParseRole(call.caller().role()), call.caller().team()};
}

// The caller against the user that the call is about.
Status CheckAbout(access::Call what, const Call& call, const std::string& user) {
  const auto ownership = call.caller().user() == user ? access::Ownership::kHolder : access::Ownership::kOther;
  return CheckRight(what, CallerOf(call), ownership, "", "user " + user);
}

Status CheckAny(access::Call what, const Call& call) {
  return CheckRight(what, CallerOf(call), access::Ownership::kOther, "", "");
}

v1::WhoAmIResult Believed(const v1::Caller& caller) {
  v1::WhoAmIResult result;
  result.set_user(caller.user());
  if (!caller.role().empty()) result.add_roles(caller.role());
  if (!caller.team().empty()) result.add_teams(caller.team());
  return result;
}

Result<v1::WhoAmIResult> Proved(const access::RosterDirectory& directory, const access::PublicKey& key) {
  FARADAY_TRY_ASSIGN(const access::Identity who, directory.Find(key, UtcNow()));
  v1::WhoAmIResult result;
  result.set_user(who.user);
  for (const access::Role role : who.roles) result.add_roles(std::string(RoleName(role)));
  for (const std::string& team : who.teams) result.add_teams(team);
  result.set_fingerprint(access::Fingerprint(key));
  result.set_break_glass(who.break_glass);
  const access::Entry* entry = directory.FindKey(key);
  if (entry != nullptr) result.set_expires_utc_ms(entry->expires.since_epoch.count());
  return result;
}

// For the audit log: what a change is about, without any secret.
std::string Words(const access::User* user) {
  if (user == nullptr) return "";
  std::string roles;
  for (const access::Role role : user->roles) roles += (roles.empty() ? "" : ",") + std::string(RoleName(role));
  std::string teams;
  for (const std::string& team : user->teams) teams += (teams.empty() ? "" : ",") + team;
  size_t codes = 0;
  std::string keys;
  for (const access::UserKey& key : user->keys) {
    const bool is_code = key.kind == access::UserKey::Kind::kCode;
    if (is_code && !key.is_used()) ++codes;
    if (!is_code) keys += " " + access::Fingerprint(key.key);
  }
  return fmt::format("{}, roles {}, teams {}, {} open codes, keys{}",
                     user->disabled ? "disabled" : "enabled",
                     roles,
                     teams.empty() ? "none" : teams,
                     codes,
                     keys.empty() ? " none" : keys);
}

Status TooManyRotations(const std::string& user, const Status& limited) {
  const auto wait = AskedToWait(limited).value_or(Milliseconds(0));
  constexpr Milliseconds kMinute{60'000};
  return {Code::kResourceExhausted,
          fmt::format("{} has rotated its own keys too often; again in {} min, or ask an admin",
                      user,
                      (wait + kMinute - Milliseconds(1)) / kMinute)};
}

bool IsCode(const v1::WhoAmIResult& result) {
  return result.roles_size() == 1 && result.roles(0) == RoleName(access::Role::kCode);
}

}  // namespace

Handler WhoAmIHandler(const access::RosterDirectory& directory,
                      ServerFacts facts,
                      std::function<const std::string&()> signed_roster) {
  return [&directory, facts = std::move(facts), signed_roster = std::move(signed_roster)](const CallPtr& call) {
    auto result = call->peer_key() ? Proved(directory, *call->peer_key()) : Believed(call->caller());
    if (!result.ok()) return call->Fail(result.status());
    result->set_server(facts.name);
    result->set_security(facts.security);
    result->set_roster(directory.roster().number);
    if (!IsCode(*result)) result->mutable_signed_roster()->ParseFromString(signed_roster());
    v1::Reply reply;
    *reply.mutable_who_am_i() = std::move(*result);
    call->Answer(std::move(reply));
  };
}

void KeeperCalls::AddTo(HandlerTable* table) {
  using Row = Result<v1::Reply> (KeeperCalls::*)(Call&);
  const std::pair<v1::Request::CallCase, Row> rows[] = {
      {v1::Request::kEnrol, &KeeperCalls::Enrol},
      {v1::Request::kAddUser, &KeeperCalls::AddUser},
      {v1::Request::kListUsers, &KeeperCalls::ListUsers},
      {v1::Request::kSetUser, &KeeperCalls::SetUser},
      {v1::Request::kDisableUser, &KeeperCalls::DisableUser},
      {v1::Request::kRotateUser, &KeeperCalls::RotateUser},
  };
  for (const auto& [number, row] : rows) {
    (*table)[number] = [this, answer = row](const CallPtr& call) {
      auto reply = (this->*answer)(*call);
      if (reply.ok()) return call->Answer(std::move(*reply));
      call->Fail(reply.status());
    };
  }
  (*table)[v1::Request::kWhoAmI] =
      WhoAmIHandler(directory_, facts_, [this]() -> const std::string& { return registry_.signed_roster(); });
}

Result<v1::Reply> KeeperCalls::Enrol(Call& call) {
  if (!call.peer_key()) {
    return Status(Code::kFailedPrecondition,
                  "this connection is plain text and proves no code: enrol over an encrypted one (security: curve)");
  }
  const v1::EnrolCall& ask = call.request().enrol();
  FARADAY_TRY(CheckRight(access::Call::kEnrol, CallerOf(call), access::Ownership::kHolder, "", ""));
  FARADAY_TRY_ASSIGN(const access::PublicKey key, access::PublicKeyOfBytes(ask.key()));
  FARADAY_TRY_ASSIGN(const access::Change change, registry_.Enrol(*call.peer_key(), key, ask.endpoint(), UtcNow()));
  v1::Reply reply;
  v1::EnrolResult* result = reply.mutable_enrol();
  ToWire(change.user, result->mutable_user());
  result->set_server_key(Bytes(registry_.options().server_key));
  result->mutable_roster()->ParseFromString(registry_.signed_roster());
  result->set_server(facts_.name);
  return reply;
}

Result<v1::Reply> KeeperCalls::AddUser(Call& call) {
  FARADAY_TRY(CheckAny(access::Call::kAddUser, call));
  const v1::AddUserCall& ask = call.request().add_user();
  FARADAY_TRY_ASSIGN(std::vector<access::Role> roles, RolesOf(ask.roles()));
  const access::NewUser user{ask.name(),
                             std::move(roles),
                             TeamsOf(ask.teams()),
                             seconds(ask.code_s()),
                             seconds(ask.token_s()),
                             ask.endpoint()};
  FARADAY_TRY_ASSIGN(access::Change change, registry_.AddUser(user, UtcNow()));
  return ToReply(std::move(change));
}

Result<v1::Reply> KeeperCalls::ListUsers(Call& call) {
  FARADAY_TRY(CheckAny(access::Call::kListUsers, call));
  v1::Reply reply;
  for (const access::User& user : registry_.Users()) ToWire(user, reply.mutable_list_users()->add_users());
  reply.mutable_list_users()->set_roster(registry_.number());
  return reply;
}

Result<v1::Reply> KeeperCalls::SetUser(Call& call) {
  FARADAY_TRY(CheckAny(access::Call::kSetUser, call));
  const v1::SetUserCall& ask = call.request().set_user();
  FARADAY_TRY_ASSIGN(std::vector<access::Role> roles, RolesOf(ask.roles()));
  const access::UserEdit edit{ask.name(), std::move(roles), TeamsOf(ask.teams()), ask.clear_teams()};
  call.audit().before = Words(registry_.FindUser(ask.name()));
  FARADAY_TRY_ASSIGN(access::Change change, registry_.SetUser(edit, UtcNow()));
  call.audit().after = Words(&change.user);
  return ToReply(std::move(change));
}

Result<v1::Reply> KeeperCalls::DisableUser(Call& call) {
  FARADAY_TRY(CheckAny(access::Call::kDisableUser, call));
  const v1::DisableUserCall& ask = call.request().disable_user();
  call.audit().before = Words(registry_.FindUser(ask.name()));
  auto change = ask.enable() ? registry_.EnableUser(ask.name(), UtcNow())
                             : registry_.DisableUser(ask.name(), ask.reason(), UtcNow());
  if (!change.ok()) return change.status();
  call.audit().after = Words(&change->user);
  return ToReply(std::move(*change));
}

Result<v1::Reply> KeeperCalls::RotateUser(Call& call) {
  const v1::RotateUserCall& ask = call.request().rotate_user();
  FARADAY_TRY(CheckAbout(access::Call::kRotateUser, call, ask.name()));
  access::Rotation rotation{ask.name(), ask.now(), ask.keep(), seconds(ask.code_s()), seconds(ask.token_s()), false};
  rotation.by_self = CallerOf(call).role != access::Role::kAdmin;
  if (rotation.by_self) {
    const Status limited = own_rotations_.Take(ask.name(), ask.name(), RateClass::kPeople, BootClock::now());
    if (!limited.ok()) return TooManyRotations(ask.name(), limited);
  }
  call.audit().before = Words(registry_.FindUser(ask.name()));
  FARADAY_TRY_ASSIGN(access::Change change, registry_.RotateUser(rotation, UtcNow()));
  call.audit().after = Words(&change.user);
  return ToReply(std::move(change));
}

}  // namespace faraday::rpc
