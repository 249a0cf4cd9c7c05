// Keeps one Sync long poll open at one server: asks anew as soon as it is answered, after a growing pause when the
// server does not answer. Says once that a server is away and once that it is back. Loop's thread.
#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "evloop/loop.h"
#include "rpc/client.h"

namespace faraday::agent {

class SyncLoop {
 public:
  // `asked`: boot time before the question that this answers. `fresh`: the first answer of all, or since the server was
  // away, so it may have been restarted.
  using OnResult = std::function<void(const v1::SyncResult& result, BootTime asked, bool fresh)>;
  // `what` names the server in the log: "controller", "lab".
  SyncLoop(evloop::Loop& loop, zmq::context_t& context, std::string what, const std::string& endpoint,
           v1::Caller caller, v1::SyncCall call, OnResult on_result);
  ~SyncLoop();

 private:
  void Ask();
  void OnAnswer(Result<v1::Reply> reply, BootTime asked);
  void OnTrouble(const Status& status);

  evloop::Loop& loop_;
  std::string what_;
  rpc::Channel channel_;
  v1::SyncCall call_;
  OnResult on_result_;
  evloop::Handle retry_ = 0;
  Milliseconds pause_;
  bool away_ = false;
};

}  // namespace faraday::agent
