// Keeps one Sync long poll open at one server: asks anew as soon as it is answered, after a growing pause when the
// server does not answer. Says once that a server is away and once that it is back. Loop's thread.
//
// A server that was killed and restarted has forgotten the poll, and its socket says nothing of it: every 2 s the
// server's publisher_run (Snapshot) is compared, and the poll asked anew when it has changed.
#pragma once

#include <functional>
#include <memory>
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
  SyncLoop(evloop::Loop& loop,
           zmq::context_t& context,
           std::string what,
           const std::string& endpoint,
           rpc::Credentials who,
           v1::SyncCall call,
           OnResult on_result);
  ~SyncLoop();
  // The number of the roster that the next questions say the agent has.
  void SetRoster(uint64_t number) { call_.set_roster(number); }

 private:
  void Ask();
  void AskAnew();
  void Compare();
  void OnRun(const std::string& publisher_run);
  void OnAnswer(Result<v1::Reply> reply, BootTime asked);
  void OnTrouble(const Status& status);

  evloop::Loop& loop_;
  std::string what_;
  std::string endpoint_;
  rpc::Credentials who_;
  zmq::context_t& context_;
  std::unique_ptr<rpc::Channel> channel_;
  rpc::Channel compare_;
  std::string publisher_run_;  // empty: not known yet
  uint64_t question_ = 0;      // answers to older ones do not count
  v1::SyncCall call_;
  OnResult on_result_;
  evloop::Handle retry_ = 0;
  evloop::Handle comparer_ = 0;
  Milliseconds pause_;
  bool away_ = false;
};

}  // namespace faraday::agent
