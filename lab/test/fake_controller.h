// A rack's controller as the lab sees it: a real rpc::Server in a thread of its own, leases in memory, faults on
// demand. Not the product's controller. Public functions are for the test's thread.
#pragma once

#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "evloop/loop.h"
#include "faraday/v1/envelope.pb.h"
#include "rpc/guard.h"
#include "rpc/server.h"

namespace faraday::lab {

class FakeController {
 public:
  FakeController(std::string rack, int slots);
  // With the controller's own guard (keys, roster, CURVE), whose files are in `state_dir`.
  FakeController(std::string rack, int slots, std::string state_dir, const std::string& endpoint);
  ~FakeController();

  const std::string& endpoint() const { return endpoint_; }
  // While it hangs it answers nothing, and forgets what it was asked.
  void Hang(bool on);
  // What a release, a run-out or a forced release do: care takes the next epoch.
  void EndLease(const std::string& slot);
  v1::Lease LeaseOf(const std::string& slot);
  // Slots that are leased now.
  int leased();
  int acquires();
  void Change(const std::string& slot, const std::function<void(v1::SlotState*)>& change);

 private:
  void Run(const std::string& endpoint, std::promise<std::string> ready);
  v1::Reply Serve(const v1::Request& request);
  v1::Reply Acquire(const v1::Request& request);
  v1::Reply Release(const v1::Request& request);
  void GiveToCare(v1::SlotState* slot);

  std::string rack_;
  std::string state_dir_;  // empty: plain
  std::string endpoint_;
  std::mutex mutex_;
  bool hangs_ = false;
  int acquires_ = 0;
  std::map<std::string, v1::SlotState> slots_;
  std::map<std::string, v1::Reply> done_;  // by idempotency key
  zmq::context_t context_;
  evloop::Loop loop_;
  std::unique_ptr<rpc::Guard> guard_;
  std::vector<rpc::CallPtr> unanswered_;
  std::thread thread_;
};

}  // namespace faraday::lab
