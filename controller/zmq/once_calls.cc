#include "controller/zmq/once_calls.h"

#include <fmt/core.h>

#include <cstdint>

namespace faraday::controller {
namespace {

constexpr size_t kLongestKey = 200;  // bytes; chosen

// FNV-1a 64 over the call alone: it tells a client's mistake (one key, two requests), not an attack.
std::string HashOf(const v1::Request& request) {
  v1::Request bare = request;
  bare.clear_id();
  bare.clear_timeout_ms();
  bare.clear_trace_id();
  bare.clear_caller();
  uint64_t hash = 14695981039346656037ULL;
  for (const char c : bare.SerializeAsString()) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return fmt::format("{:016x}", hash);
}

Status OtherRequest(const std::string& key) {
  return {Code::kInvalidArgument, fmt::format("idempotency_key {} was used for another request; take a new key", key)};
}

}  // namespace

OnceKey OnceCalls::Key(const v1::Request& request) {
  if (request.idempotency_key().empty()) return {};
  return {request.caller().user(), request.idempotency_key(), HashOf(request), nullptr};
}

bool OnceCalls::Begin(const rpc::CallPtr& call, Now now) {
  const OnceKey key = Key(call->request());
  if (key.key.empty()) return true;
  if (key.key.size() > kLongestKey) {
    call->Fail(
        {Code::kInvalidArgument, fmt::format("idempotency_key has {} bytes, at most {}", key.key.size(), kLongestKey)});
    return false;
  }
  const Scope scope{key.user, key.key};
  if (const auto it = under_way_.find(scope); it != under_way_.end()) {
    if (it->second.request_hash == key.request_hash) {
      it->second.others.push_back(call);
    } else {
      call->Fail(OtherRequest(key.key));
    }
    return false;
  }
  auto found = store_.FindOnce(key.user, key.key, now.utc);
  if (!found.ok()) {
    call->Fail(found.status());
    return false;
  }
  if (!found->has_value()) {
    under_way_[scope] = {key.request_hash, {}};
    return true;
  }
  v1::Reply reply;
  if ((*found)->request_hash != key.request_hash) {
    call->Fail(OtherRequest(key.key));
  } else if (!reply.ParseFromString((*found)->reply)) {
    call->Fail({Code::kDataLoss, fmt::format("the stored reply of idempotency_key {} is damaged", key.key)});
  } else {
    if (refresh_) refresh_(&reply, now);
    call->Answer(std::move(reply));
  }
  return false;
}

void OnceCalls::Answer(const rpc::CallPtr& call, v1::Reply reply) {
  const Scope scope{call->caller().user(), call->request().idempotency_key()};
  std::vector<rpc::CallPtr> others;
  if (const auto it = under_way_.find(scope); it != under_way_.end()) {
    others = std::move(it->second.others);
    under_way_.erase(it);
  }
  for (const rpc::CallPtr& other : others) other->Answer(reply);
  call->Answer(std::move(reply));
}

}  // namespace faraday::controller
