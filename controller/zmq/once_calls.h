// Idempotency of calls that act once: the same (user, key) with the same request gets the first call's reply, also
// while that call is still under way. Loop's thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "controller/core/lease_book.h"
#include "controller/core/lease_store.h"
#include "rpc/server.h"

namespace faraday::controller {

class OnceCalls {
 public:
  // `store` must outlive it.
  explicit OnceCalls(LeaseStore& store) : store_(store) {}

  // True: the caller goes on, answers through Answer(), and a successful effect stores Key() with itself.
  // False: it is answered, or will be with the call under way.
  bool Begin(const rpc::CallPtr& call, Now now);
  // Answers the call and everyone who waits for the same key.
  void Answer(const rpc::CallPtr& call, v1::Reply reply);
  // The parts of OnceKey that do not depend on the effect; empty key for a call without one.
  static OnceKey Key(const v1::Request& request);
  // How a stored reply is refreshed before it is sent again (a lease's time has passed since).
  void SetRefresh(std::function<void(v1::Reply*, Now)> refresh) { refresh_ = std::move(refresh); }

 private:
  using Scope = std::pair<std::string, std::string>;
  struct UnderWay {
    std::string request_hash;
    std::vector<rpc::CallPtr> others;
  };
  LeaseStore& store_;
  std::map<Scope, UnderWay> under_way_;
  std::function<void(v1::Reply*, Now)> refresh_;
};

}  // namespace faraday::controller
