#include "rpc/enrolment.h"

#include <fmt/core.h>
#include <sodium.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "access/credential.h"
#include "access/membership.h"
#include "rpc/client.h"

namespace faraday::rpc {
namespace {

constexpr size_t kMostCodeBytes = 1000;

std::string HowToGetOne(const EnrolMachine& machine) {
  return fmt::format("get one at the server: user add {} --role {} (or user rotate {})",
                     machine.name,
                     access::RoleName(machine.role),
                     machine.name);
}

Credentials AsCode(const access::Credential& code) {
  Credentials who;
  who.keys = std::make_shared<const access::KeyPair>(code.keys);
  who.server_key = [key = code.server_key](const std::string&) -> Result<access::PublicKey> { return key; };
  return who;
}

// The server refuses the code's key in the handshake: tell it as what it means here.
Status InWordsOfCodes(const Status& status, const EnrolMachine& machine) {
  if (status.code() == Code::kDeadlineExceeded || status.code() == Code::kUnavailable) {
    return {status.code(),
            fmt::format("{} does not answer: is it running and reachable? ({})", machine.server, status.message())};
  }
  if (status.code() != Code::kUnauthenticated) return status;
  return {Code::kUnauthenticated,
          fmt::format("{} does not take this code: it is used, expired, of another server, or its user is disabled; {}",
                      machine.server,
                      HowToGetOne(machine))};
}

Status CheckName(const std::string& user, const EnrolMachine& machine) {
  if (user == machine.name) return OkStatus();
  return {Code::kFailedPrecondition,
          fmt::format("this code is for '{}', and this is '{}'; {}", user, machine.name, HowToGetOne(machine))};
}

Status CheckRole(const v1::User& user, const EnrolMachine& machine) {
  const auto& roles = user.roles();
  const std::string wanted(access::RoleName(machine.role));
  if (std::find(roles.begin(), roles.end(), wanted) != roles.end()) return OkStatus();
  return {Code::kFailedPrecondition,
          fmt::format("'{}' does not have role {} at the server: user role {} {}, then user rotate {} for a new code",
                      user.name(),
                      wanted,
                      user.name(),
                      wanted,
                      user.name())};
}

// Ana's code at the rack's keyboard must not be used up, so the name is asked for first.
Result<v1::EnrolResult> Ask(BlockingClient& client, const EnrolMachine& machine, const access::PublicKey& key) {
  v1::Request who;
  who.mutable_who_am_i();
  const auto owner = client.Call(std::move(who), machine.timeout);
  if (!owner.ok()) return InWordsOfCodes(owner.status(), machine);
  FARADAY_TRY(CheckName(owner->who_am_i().user(), machine));
  v1::Request request;
  request.mutable_enrol()->set_key(std::string(key.bytes.begin(), key.bytes.end()));
  request.mutable_enrol()->set_endpoint(machine.own_endpoint);
  auto reply = client.Call(std::move(request), machine.timeout);
  if (!reply.ok()) return InWordsOfCodes(reply.status(), machine);
  FARADAY_TRY(CheckRole(reply->enrol().user(), machine));
  return std::move(*reply->mutable_enrol());
}

}  // namespace

Result<std::string> Enrol(zmq::context_t& context, const EnrolMachine& machine, std::string_view text) {
  FARADAY_TRY_ASSIGN(const access::Credential code, access::ParseCredential(text));
  if (code.kind != access::Credential::Kind::kCode) {
    return Status(Code::kInvalidArgument,
                  "this is a token; machines enrol with a one-time code: " + HowToGetOne(machine));
  }
  access::RosterDirectory directory;
  FARADAY_TRY_ASSIGN(const auto membership, access::Membership::Open(machine.state_dir, directory));
  const std::string key_file = machine.state_dir + "/" + machine.key_file;
  const std::string what = fmt::format("{} ({})", machine.name, access::RoleName(machine.role));
  FARADAY_TRY_ASSIGN(const access::SecretKey secret, access::ReadOrMakeSecret(key_file, what));
  const access::PublicKey key = access::KeyPairOf(secret).public_key;
  BlockingClient client(context, machine.server, AsCode(code));
  FARADAY_TRY_ASSIGN(const v1::EnrolResult enrolled, Ask(client, machine, key));
  const access::KnownServer server{machine.server, code.server_key, machine.key_file, machine.name};
  const std::string roster = machine.takes_roster ? enrolled.roster().SerializeAsString() : "";
  FARADAY_TRY(membership->Join(server, roster));
  return fmt::format("{} is enrolled at {} (its key {}), with key {} in {}",
                     what,
                     machine.server,
                     access::Fingerprint(code.server_key),
                     access::Fingerprint(key),
                     key_file);
}

Result<std::string> ReadCodeFromStdin() {
  if (::isatty(STDIN_FILENO) != 0) fmt::print(stderr, "enrolment code: ");
  std::string text;
  char byte = 0;
  while (text.size() < kMostCodeBytes && ::read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n') text += byte;
  if (!text.empty()) return text;
  return Status(Code::kInvalidArgument,
                "no enrolment code on standard input; give it as one line, for example: ... --enrol ... < code-file");
}

}  // namespace faraday::rpc
