// The lab's side of its racks' controllers: asks each for its state again and again, listens to its events to ask
// earlier, and carries the core's orders. Each rack has connections of its own, so a hung one delays no other.
// In the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "base/clock.h"
#include "evloop/loop.h"
#include "faraday/v1/rack.pb.h"
#include "lab/core/facts.h"
#include "lab/core/lease_desk.h"
#include "lab/core/refused_roster.h"
#include "rpc/client.h"
#include "rpc/guard.h"
#include "rpc/publisher.h"

namespace faraday::lab {

struct RackAddress {
  std::string rack;
  std::string controller;
  std::string events;
};

// Both clocks of this machine.
Now ReadClocks();

// One controller. `on_facts` gets every answer and every failure to answer. Brings the controller each newer roster.
class RackLink {
 public:
  using OnFacts = std::function<void(RackFacts)>;
  // `anyone_waits` says whether to ask every 500 ms instead of every second. `guard` keeps the users; the controller's
  // key is in its roster, under the rack's name.
  RackLink(evloop::Loop& loop,
           zmq::context_t& context,
           rpc::Guard& guard,
           RackAddress address,
           std::function<bool()> anyone_waits,
           OnFacts on_facts);
  ~RackLink();

  // Asks now, or as soon as the question under way is answered.
  void PollSoon();
  // The roster has changed: brings it at once, when the controller answers.
  void BringRoster();
  // For orders; a channel of its own, so that a poll that times out takes no order with it.
  rpc::Channel& orders() { return orders_; }

  const RackAddress& address() const { return address_; }
  bool reachable() const { return reachable_; }
  const std::string& reason() const { return reason_; }
  // The last state seen, and when.
  const v1::RackState& state() const { return state_; }
  BootTime seen() const { return seen_; }

 private:
  void Poll();
  void OnAnswer(BootTime asked, Result<v1::Reply> reply);
  void PollAgain();
  Status CheckAnswer(const Result<v1::Reply>& reply) const;
  rpc::Credentials AsLab() const;
  void Subscribe();
  void NoteAuditHead();
  void OnRosterBrought(uint64_t number, const Result<v1::Reply>& reply);
  void AskForNewerRoster();
  void TellOlderUsers(uint64_t own, const v1::SignedRoster& seen);

  evloop::Loop& loop_;
  zmq::context_t& context_;
  rpc::Guard& guard_;
  RackAddress address_;
  std::function<bool()> anyone_waits_;
  OnFacts on_facts_;
  rpc::Channel polls_;
  rpc::Channel orders_;
  rpc::Channel rosters_;
  std::unique_ptr<rpc::Subscriber> events_;
  evloop::Handle timer_ = 0;
  bool asking_ = false;
  bool ask_again_ = false;
  bool reachable_ = false;
  std::string reason_ = "has not answered yet";
  std::string foreign_;  // what it said of slots that are not its own, as last told
  uint64_t roster_ = 0;  // number of the controller's
  RefusedRoster refused_;
  std::string roster_trouble_;
  std::string audit_head_;  // as last noted
  BootTime next_note_;
  v1::RackState state_;
  BootTime seen_;
};

// All racks; the core's LeaseDesk.
class Racks : public LeaseDesk {
 public:
  struct Listener {
    std::function<void(RackFacts)> on_facts;
    std::function<void(const model::SlotId&, const std::string& key, Result<LeaseFacts>)> on_acquired;
    std::function<void(const std::string& lease, const Status&)> on_released;
    std::function<bool()> anyone_waits;
  };

  Racks(evloop::Loop& loop, zmq::context_t& context, rpc::Guard& guard)
      : loop_(loop), context_(context), guard_(guard) {}

  // Begins to ask. Call once, after the listener's owner stands.
  void Start(const std::vector<RackAddress>& addresses, Listener listener);

  void Acquire(const AcquireOrder& order) override;
  void Release(const std::string& lease, const std::string& reason, const std::string& trace) override;

  // To every controller.
  void BringRoster();

  const RackLink* Find(const std::string& rack) const;
  const std::map<std::string, std::unique_ptr<RackLink>>& all() const { return links_; }

 private:
  void AnswerLater(evloop::Loop::Callback callback) { loop_.Post(std::move(callback)); }

  evloop::Loop& loop_;
  zmq::context_t& context_;
  rpc::Guard& guard_;
  Listener listener_;
  std::map<std::string, std::unique_ptr<RackLink>> links_;
};

}  // namespace faraday::lab
