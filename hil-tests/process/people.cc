#include "hil-tests/process/people.h"

#include "access/credential.h"
#include "base/check.h"
#include "rpc/client.h"

namespace faraday::hil {
namespace {

constexpr Milliseconds kLimit{20'000};

}  // namespace

Result<rpc::Keys> People::KeysOf(const std::string& file) {
  FARADAY_TRY_ASSIGN(const access::SecretKey secret, access::ReadSecret(file));
  return std::make_shared<const access::KeyPair>(access::KeyPairOf(secret));
}

People::People(std::string keeper, const std::string& state_dir) : keeper_(std::move(keeper)) {
  const auto server = KeysOf(state_dir + "/keys/server.key");
  const auto admin = KeysOf(state_dir + "/keys/admin.key");
  FARADAY_CHECK(server.ok() && admin.ok());
  server_key_ = (*server)->public_key;
  admin_ = *admin;
}

Result<v1::Reply> People::Call(const std::string& endpoint,
                               const access::PublicKey& server,
                               const rpc::Keys& keys,
                               v1::Request request,
                               const std::string& role) {
  rpc::Credentials who;
  who.keys = keys;
  who.server_key = [server](const std::string&) { return server; };
  request.mutable_caller()->set_role(role);
  return rpc::CallOnce(context_, endpoint, std::move(request), kLimit, who);
}

Result<v1::Reply> People::AsAdmin(v1::Request request) {
  return Call(keeper_, server_key_, admin_, std::move(request));
}

Result<std::string> People::Add(const std::string& user, const std::vector<std::string>& roles) {
  v1::Request request;
  request.mutable_add_user()->set_name(user);
  for (const std::string& role : roles) request.mutable_add_user()->add_roles(role);
  FARADAY_TRY_ASSIGN(const v1::Reply reply, AsAdmin(std::move(request)));
  return reply.user().secret();
}

Status People::Join(const std::string& user, const std::vector<std::string>& roles) {
  if (joined_.contains(user)) return OkStatus();
  FARADAY_TRY_ASSIGN(const std::string code, Add(user, roles));
  FARADAY_TRY_ASSIGN(const access::Credential credential, access::ParseCredential(code));
  const auto keys = std::make_shared<const access::KeyPair>(access::NewKeyPair());
  v1::Request request;
  request.mutable_enrol()->set_key(keys->public_key.bytes.data(), keys->public_key.bytes.size());
  const auto temporary = std::make_shared<const access::KeyPair>(credential.keys);
  FARADAY_TRY(Call(keeper_, server_key_, temporary, std::move(request)).status());
  joined_[user] = keys;
  return OkStatus();
}

rpc::Keys People::Of(const std::string& user) const {
  const auto found = joined_.find(user);
  return found == joined_.end() ? nullptr : found->second;
}

Status People::Disable(const std::string& user, const std::string& reason) {
  v1::Request request;
  request.mutable_disable_user()->set_name(user);
  request.mutable_disable_user()->set_reason(reason);
  return AsAdmin(std::move(request)).status();
}

}  // namespace faraday::hil
