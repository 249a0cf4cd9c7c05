// libFuzzer: bytes of a peer through the desk and the door, without a socket. The first byte chooses who sends them,
// the second how they lie in the envelope; the rest is the request. What must hold is stated here anew, from the rights
// table and the headers, not taken from the code under test.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include <google/protobuf/stubs/logging.h>

#include "rpc/door.h"
#include "rpc/server.h"

namespace faraday::rpc {
namespace {

using access::Role;

access::PublicKey KeyOf(uint8_t who) {
  access::PublicKey key;
  key.bytes.fill(who);
  return key;
}

// 0: no key. 1 to 4: these. Others: keys that nobody knows.
const std::array<std::vector<Role>, 5> kRoles = {
    {{}, {Role::kUser, Role::kTech}, {Role::kAgent}, {Role::kAdmin}, {Role::kViewer, Role::kCi}}};

class Directory : public access::Directory {
 public:
  Result<access::Identity> Find(const access::PublicKey& key, UtcTime) const override {
    const uint8_t who = key.bytes[0];
    if (who == 0 || who >= kRoles.size()) return Status(Code::kUnauthenticated, "unknown key");
    return access::Identity{key, "user" + std::to_string(who), kRoles[who], {"apps"}};
  }
};

struct Outcome {
  int answers = 0;
  int handled = 0;
  v1::Reply reply;
};

void Must(bool holds) {
  if (!holds) std::abort();
}

void CheckHandled(const Call& call, uint8_t who, size_t bytes) {
  Must(who > 0 && who < kRoles.size());
  Must(call.caller().user() == "user" + std::to_string(who));
  const Role role = access::ParseRole(call.caller().role());
  Must(std::find(kRoles[who].begin(), kRoles[who].end(), role) != kRoles[who].end());
  const int number = static_cast<int>(call.request().call_case());
  Must(access::MayEver(access::CallOfNumber(number), role));
  Must(bytes <= MostBytes(number));
}

HandlerTable TableOf(uint8_t who, size_t bytes, Outcome* outcome) {
  HandlerTable table;
  const auto* fields = v1::Request::descriptor()->FindOneofByName("call");
  for (int i = 0; i < fields->field_count(); ++i) {
    table[static_cast<v1::Request::CallCase>(fields->field(i)->number())] = [=](const CallPtr& call) {
      ++outcome->handled;
      CheckHandled(*call, who, bytes);
      if (call->request().id() % 2 == 0) call->Answer({});  // else it is dropped
    };
  }
  return table;
}

void Serve(uint8_t who, std::string_view body) {
  static const Directory directory;
  static Door door({.directory = &directory, .rates = {.people = {1e12, 1e12}, .machines = {1e12, 1e12}}});
  Outcome outcome;
  const Desk desk(TableOf(who, body.size(), &outcome), &door);
  Arrival from;
  from.connection = "peer";
  if (who != 0) from.peer_key = KeyOf(who);
  from.body = body;
  const Status served = desk.Serve(std::move(from), BootTime(), [&](const Call&, v1::Reply reply) {
    ++outcome.answers;
    outcome.reply = std::move(reply);
  });
  Must(outcome.answers == 1);
  Must(outcome.handled == (served.ok() ? 1 : 0));
  v1::Request request;
  if (!request.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    Must(served.code() == Code::kInvalidArgument);
  } else {
    Must(outcome.reply.id() == request.id());
    const std::string& named = request.caller().user();
    if (!named.empty() && named != "user" + std::to_string(who)) Must(outcome.handled == 0);
  }
}

void Envelopes(uint8_t form, std::string_view body) {
  std::vector<std::string_view> parts(form % 8, "part");
  if (form & 0x10 && parts.size() > 1) parts[1] = "";
  if (!parts.empty()) parts.back() = body;
  const auto envelope = OpenEnvelope(parts);
  const bool ours = parts.size() == 2 || (parts.size() == 3 && parts[1].empty());
  Must(envelope.has_value() == ours);
  if (envelope) Must(envelope->body == parts.size() - 1 && envelope->delimiter == (parts.size() == 3));
}

}  // namespace
}  // namespace faraday::rpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  google::protobuf::SetLogHandler(nullptr);
  const std::string_view body(reinterpret_cast<const char*>(data) + 2, size - 2);
  faraday::rpc::Envelopes(data[1], body);
  faraday::rpc::Serve(data[0], body);
  return 0;
}
