// The RackCalls port by RPC: one Sync loop and one channel for calls to each controller, so that a hung controller
// delays neither the others nor its own long poll. Which controller has a slot is learned from the Syncs, of its own
// rack only (core/rack_owners.h). Loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/core/ports.h"
#include "agent/core/rack_owners.h"
#include "agent/zmq/sync_loop.h"
#include "evloop/loop.h"
#include "rpc/client.h"

namespace faraday::agent {

class Racks : public RackCalls {
 public:
  using OnSlots = std::function<void(int controller, const std::vector<SlotWish>& slots, bool fresh)>;
  // `who`: the agent, and the keys of the controllers. `rack_at`: as RackOwners wants it.
  Racks(evloop::Loop& loop,
        zmq::context_t& context,
        rpc::Credentials who,
        std::string agent,
        std::string host,
        std::function<std::string(const std::string& endpoint)> rack_at,
        OnSlots on_slots);
  // Starts asking `endpoint`.
  void Add(const std::string& endpoint);

  void Sample(const std::string& slot, std::function<void(Result<PowerSample>)> done) override;
  void PowerOn(const std::string& slot, uint32_t epoch, std::function<void(Status)> done) override;
  void SetData(const std::string& slot, uint32_t epoch, bool connect, std::function<void(Status)> done) override;
  void Renew(const std::string& slot, const std::string& lease, std::function<void(Result<BootTime>)> done) override;
  void Release(const std::string& slot, const std::string& lease, std::function<void(Status)> done) override;
  void SetTrace(const std::string& slot, const std::string& trace) override;
  void Report(int controller, const RackReport& report, std::function<void(Status)> done) override;

 private:
  struct Link {
    std::unique_ptr<SyncLoop> sync;
    std::unique_ptr<rpc::Channel> calls;
  };
  using Answered = std::function<void(Result<v1::Reply>)>;
  void OnSync(int controller, const v1::SyncResult& result, BootTime asked, bool fresh);
  // `done` with the reply when its own status is OK, else that status.
  void Call(const std::string& slot, v1::Request request, Milliseconds timeout, Answered done);

  evloop::Loop& loop_;
  zmq::context_t& context_;
  rpc::Credentials who_;
  std::string agent_;
  std::string host_;
  RackOwners owners_;
  OnSlots on_slots_;
  std::vector<Link> links_;
  std::map<std::string, int> controller_of_;
  std::map<std::string, std::string> trace_of_;  // by slot, of the attempt that has it
};

}  // namespace faraday::agent
