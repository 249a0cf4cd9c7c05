// The controller's calls on the ROUTER: one table row a call, each maps faraday.v1 to the core and back. Decides
// nothing. Loop's thread.
#pragma once

#include <deque>
#include <functional>
#include <string>

#include "controller/core/rack.h"
#include "controller/zmq/once_calls.h"
#include "controller/zmq/sync_polls.h"
#include "evloop/loop.h"
#include "rpc/publisher.h"
#include "rpc/server.h"

namespace faraday::controller {

class RackService {
 public:
  struct Options {
    std::string version;
    std::string run;  // differs from run to run
    // Adds what is not the rack's own: security, roster, audit. May be empty.
    std::function<void(v1::RackState*)> tell_more;
  };
  // All must outlive the service.
  RackService(evloop::Loop& loop, Rack& rack, LeaseStore& store, rpc::Publisher& publisher, Options options);
  ~RackService();

  rpc::HandlerTable Table();
  // What Acquire names as the controller.
  void SetEndpoint(const std::string& endpoint) { endpoint_ = endpoint; }
  // Parked polls look again, once, after the current callback.
  void OnSyncChange();
  // To be called with Rack::OnTime.
  void OnTime(Now now);

 private:
  using Member = void (RackService::*)(const rpc::CallPtr&, Now);
  void GetRack(const rpc::CallPtr& call, Now now);
  void Acquire(const rpc::CallPtr& call, Now now);
  void Renew(const rpc::CallPtr& call, Now now);
  void Release(const rpc::CallPtr& call, Now now);
  void Power(const rpc::CallPtr& call, Now now);
  void Shield(const rpc::CallPtr& call, Now now);
  void Usb(const rpc::CallPtr& call, Now now);
  void StopSlot(const rpc::CallPtr& call, Now now);
  void ClearSlot(const rpc::CallPtr& call, Now now);
  // Of the whole rack, and upkeep: rack_service_upkeep.cc.
  void StopRack(const rpc::CallPtr& call, Now now);
  void ResumeRack(const rpc::CallPtr& call, Now now);
  void Blink(const rpc::CallPtr& call, Now now);
  void ReadBoardLog(const rpc::CallPtr& call, Now now);
  void FitRelay(const rpc::CallPtr& call, Now now);
  Answer<RackOutcome> RackAnswer(const rpc::CallPtr& call);
  void Report(const rpc::CallPtr& call, Now now);
  void Sync(const rpc::CallPtr& call, Now now);
  void Snapshot(const rpc::CallPtr& call, Now now);
  void Ping(const rpc::CallPtr& call, Now now);

  static Now Time();
  // The call ends at its deadline with the outcome unknown, whatever still runs.
  void Watch(const rpc::CallPtr& call);
  // `reply_of` makes the stored reply's bytes.
  CallContext ContextOf(const rpc::CallPtr& call, std::function<v1::Reply(const Tenure&)> reply_of) const;
  // Both tell the audit what the slot measured before and after.
  Answer<SlotView> SlotAnswer(const rpc::CallPtr& call, const std::string& slot);
  void Measure(const std::string& slot, std::string* text, Now now) const;
  // Who has the slot, for the audit's before and after of a lease's calls. `name`: a slot's or a lease's.
  void TellHolder(const std::string& name, std::string* text, Now now) const;
  void Switch(const rpc::CallPtr& call, SwitchRequest request, Now now);
  void Cycle(const rpc::CallPtr& call, SwitchRequest request, Now now);
  v1::Reply AcquireReply(const LeaseView& lease) const;
  void RefreshLease(v1::Reply* reply, Now now) const;

  evloop::Loop& loop_;
  Rack& rack_;
  LeaseStore& store_;
  rpc::Publisher& publisher_;
  Options options_;
  std::string endpoint_;
  OnceCalls once_;
  SyncPolls polls_;
  std::deque<rpc::CallPtr> watched_;
  evloop::Handle check_ = 0;
  BootTime next_check_;
};

}  // namespace faraday::controller
