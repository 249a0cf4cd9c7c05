#include "lab/zmq/racks.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "lab/protobuf/convert.h"
#include "model/slot_id.h"
#include "rpc/server.h"

namespace faraday::lab {
namespace {

constexpr Milliseconds kPollTimeout{2000};
constexpr Milliseconds kPollWaiting{500};
constexpr Milliseconds kPollIdle{1000};
// Events come in bursts; one question answers them all.
constexpr Milliseconds kAfterEvent{30};
// How often a controller's audit head is noted, at most (issue 4).
constexpr Milliseconds kNoteEvery{60'000};
// A grant needs the line's round trip (1.5 s at most) and a commit.
constexpr Milliseconds kOrderTimeout{5000};

// Two fsyncs, on a slow disk.
constexpr Milliseconds kRosterTimeout{5000};

Status StatusOf(const Result<v1::Reply>& reply) { return reply.ok() ? rpc::GetStatus(*reply) : reply.status(); }

v1::Request ToRequest(const AcquireOrder& order) {
  v1::Request request;
  request.set_idempotency_key(order.key);
  request.set_trace_id(order.trace.empty() ? order.reservation : order.trace);
  auto* acquire = request.mutable_acquire();
  acquire->set_slot(model::ToString(order.slot));
  acquire->set_purpose(static_cast<v1::Purpose>(order.purpose));
  acquire->set_duration_ms(order.duration_ms);
  *acquire->mutable_on_behalf_of() = ToProto(order.on_behalf_of);
  acquire->set_reservation(order.reservation);
  acquire->set_note(order.note);
  return request;
}

Result<LeaseFacts> LeaseOf(const model::SlotId& slot, const Result<v1::Reply>& reply, BootTime asked) {
  FARADAY_TRY(StatusOf(reply));
  FARADAY_TRY(CheckLease(model::ToString(slot), reply->acquire().lease()));
  // The remaining time counts from the sending of the answer; from before the question is the safe side.
  return FromProto(reply->acquire().lease(), Now{asked, UtcNow()});
}

}  // namespace

Now ReadClocks() { return {BootClock::now(), UtcNow()}; }

RackLink::RackLink(evloop::Loop& loop,
                   zmq::context_t& context,
                   rpc::Guard& guard,
                   RackAddress address,
                   std::function<bool()> anyone_waits,
                   OnFacts on_facts)
    : loop_(loop),
      context_(context),
      guard_(guard),
      address_(std::move(address)),
      anyone_waits_(std::move(anyone_waits)),
      on_facts_(std::move(on_facts)),
      polls_(loop, context, address_.controller, AsLab()),
      orders_(loop, context, address_.controller, AsLab()),
      rosters_(loop, context, address_.controller, AsLab()) {
  timer_ = loop_.AddTimer("poll " + address_.rack, BootClock::now(), [this] { Poll(); });
}

// The controller's key is looked up anew at each connect: it may enrol at any time.
rpc::Credentials RackLink::AsLab() const {
  const auto server_key = [this](const std::string&) -> Result<access::PublicKey> {
    if (const access::PublicKey* key = guard_.ControllerKey(address_.rack)) return *key;
    return Status(
        Code::kUnauthenticated,
        fmt::format("it is not enrolled here: faraday-lab --config FILE user add {0} --role controller, then on "
                    "the rack, with the code on standard input: faraday-controller --config {0}.yaml --enrol "
                    "tcp://THIS-LAB:PORT",
                    address_.rack));
  };
  return guard_.As("lab", server_key);
}

void RackLink::Subscribe() {
  if (address_.events.empty() || (events_ && events_->status().ok())) return;
  events_.reset();
  events_ = std::make_unique<rpc::Subscriber>(
      loop_, context_, address_.events, AsLab(), std::vector<std::string>{"slot/", "board/"}, [this](const v1::Event&) {
        PollSoon();
      });
}

RackLink::~RackLink() { loop_.Remove(timer_); }

void RackLink::PollSoon() {
  if (asking_) {
    ask_again_ = true;
    return;
  }
  loop_.Remove(timer_);
  timer_ = loop_.AddTimer("poll " + address_.rack, BootClock::now() + kAfterEvent, [this] { Poll(); });
}

void RackLink::Poll() {
  timer_ = 0;
  asking_ = true;
  v1::Request request;
  request.mutable_get_rack();
  polls_.Call(std::move(request), kPollTimeout, [this, asked = BootClock::now()](Result<v1::Reply> reply) {
    OnAnswer(asked, std::move(reply));
  });
}

Status RackLink::CheckAnswer(const Result<v1::Reply>& reply) const {
  const Status status = StatusOf(reply);
  if (status.code() == Code::kUnauthenticated && guard_.ControllerKey(address_.rack) != nullptr) {
    return {status.code(),
            fmt::format("{} does not let this lab in, or is not the controller that enrolled here: on the rack, "
                        "faraday-controller --enrol with a code of faraday-lab user rotate {} ({})",
                        address_.controller,
                        address_.rack,
                        status.message())};
  }
  FARADAY_TRY(status);
  const std::string& named = reply->get_rack().rack().rack();
  if (named == address_.rack) return OkStatus();
  return {
      Code::kFailedPrecondition,
      fmt::format(
          "{} serves rack '{}', not '{}': mend the lab's list of racks", address_.controller, named, address_.rack)};
}

void RackLink::OnAnswer(BootTime asked, Result<v1::Reply> reply) {
  asking_ = false;
  const Status status = CheckAnswer(reply);
  if (status.ok() != reachable_) {
    log::Info("rack {} {}", address_.rack, status.ok() ? "answers" : "does not answer: " + status.message());
  }
  reachable_ = status.ok();
  reason_ = status.message();
  RackFacts facts;
  if (reachable_) {
    state_ = std::move(*reply->mutable_get_rack()->mutable_rack());
    const std::string foreign = DropForeign(address_.rack, &state_);
    if (!foreign.empty() && foreign_.empty()) {
      log::Error("rack {} speaks of what is not its own, which is not believed: {}", address_.rack, foreign);
    }
    foreign_ = foreign;
    const Now now = ReadClocks();
    seen_ = now.boot;
    facts = FromProto(state_, asked, now);
    Subscribe();
    roster_ = state_.roster();
    BringRoster();
    NoteAuditHead();
  }
  facts.rack = address_.rack;
  facts.reachable = reachable_;
  facts.reason = reason_;
  on_facts_(std::move(facts));
  PollAgain();
}

// The end of the controller's audit chain goes into the lab's own, so that history rewritten over there is noticed:
// faraday audit verify compares them.
void RackLink::NoteAuditHead() {
  if (state_.audit_head().empty() || state_.audit_head() == audit_head_ || seen_ < next_note_) return;
  audit_head_ = state_.audit_head();
  next_note_ = seen_ + kNoteEvery;
  guard_.audit().Note("anchor", address_.rack, std::to_string(state_.audit_records()), audit_head_);
}

// ---- the roster -----------------------------------------------------------------------------------------------------

void RackLink::BringRoster() {
  if (!reachable_ || rosters_.in_flight() > 0 || guard_.plain()) return;
  if (roster_ > guard_.roster_number()) return AskForNewerRoster();
  const std::string& next = guard_.RosterAfter(refused_.After(roster_, BootClock::now()));
  v1::Request request;
  v1::SignedRoster* brought = request.mutable_put_roster()->mutable_roster();
  v1::Roster roster;
  if (next.empty() || !brought->ParseFromString(next) || !roster.ParseFromString(brought->roster())) return;
  rosters_.Call(std::move(request), kRosterTimeout, [this, number = roster.number()](const Result<v1::Reply>& reply) {
    OnRosterBrought(number, reply);
  });
}

void RackLink::OnRosterBrought(uint64_t number, const Result<v1::Reply>& reply) {
  const Status status = StatusOf(reply);
  // The next poll tells the number it has, and brings again what is missing.
  if (!status.ok() && status.message() != roster_trouble_) {
    log::Warn("rack {} does not take the roster: {}", address_.rack, status.message());
  }
  roster_trouble_ = status.message();
  if (status.code() == Code::kPermissionDenied) refused_.Refused(number, BootClock::now());
  if (!status.ok()) return;
  roster_ = reply->put_roster().number();
  log::Info("rack {} has roster {}", address_.rack, roster_);
  BringRoster();
}

// This lab's users were restored from an older copy; numbers must go on beyond what is in force at its controllers.
void RackLink::AskForNewerRoster() {
  v1::Request request;
  request.mutable_who_am_i();
  rosters_.Call(std::move(request), kRosterTimeout, [this](const Result<v1::Reply>& reply) {
    Status status = StatusOf(reply);
    if (status.ok()) {
      const uint64_t own = guard_.roster_number();
      const v1::SignedRoster& seen = reply->who_am_i().signed_roster();
      status = guard_.registry()->SeeRoster(seen.SerializeAsString(), UtcNow());
      if (status.ok() && guard_.roster_number() > own) TellOlderUsers(own, seen);
    }
    if (!status.ok() && status.message() != roster_trouble_) {
      log::Warn("rack {} has a newer roster than this lab: {}", address_.rack, status.message());
    }
    roster_trouble_ = status.message();
  });
}

// Whoever was removed or disabled since that copy may be back: a person must look.
void RackLink::TellOlderUsers(uint64_t own, const v1::SignedRoster& seen) {
  v1::Roster roster;
  (void)roster.ParseFromString(seen.roster());
  const std::string what =
      fmt::format("this lab's users are an older copy: its roster was number {}, rack {} has {} of the same signer",
                  own,
                  address_.rack,
                  roster.number());
  const std::string result = fmt::format("went on as roster {}: check faraday user list for who was removed since then",
                                         guard_.roster_number());
  log::Error("{}; {}", what, result);
  guard_.audit().Note("older_users", address_.rack, what, result);
}

void RackLink::PollAgain() {
  const Milliseconds pause = ask_again_ ? kAfterEvent : anyone_waits_() ? kPollWaiting : kPollIdle;
  ask_again_ = false;
  loop_.Remove(timer_);
  timer_ = loop_.AddTimer("poll " + address_.rack, BootClock::now() + pause, [this] { Poll(); });
}

void Racks::Start(const std::vector<RackAddress>& addresses, Listener listener) {
  listener_ = std::move(listener);
  for (const RackAddress& address : addresses) {
    links_[address.rack] =
        std::make_unique<RackLink>(loop_, context_, guard_, address, listener_.anyone_waits, listener_.on_facts);
  }
}

void Racks::BringRoster() {
  for (const auto& [name, link] : links_) link->BringRoster();
}

const RackLink* Racks::Find(const std::string& rack) const {
  const auto found = links_.find(rack);
  return found == links_.end() ? nullptr : found->second.get();
}

void Racks::Acquire(const AcquireOrder& order) {
  const auto link = links_.find(order.slot.rack);
  if (link == links_.end()) {
    return AnswerLater([this, order] {
      listener_.on_acquired(order.slot, order.key, Status(Code::kNotFound, "no such rack: " + order.slot.rack));
    });
  }
  link->second->orders().Call(
      ToRequest(order), kOrderTimeout, [this, order, asked = BootClock::now()](const Result<v1::Reply>& reply) {
        listener_.on_acquired(order.slot, order.key, LeaseOf(order.slot, reply, asked));
        links_.at(order.slot.rack)->PollSoon();
      });
}

void Racks::Release(const std::string& lease, const std::string& reason, const std::string& trace) {
  const auto id = model::ParseLeaseId(lease);
  const auto link = id.ok() ? links_.find(id->slot.rack) : links_.end();
  if (link == links_.end()) {
    return AnswerLater(
        [this, lease] { listener_.on_released(lease, Status(Code::kNotFound, "no such rack: " + lease)); });
  }
  v1::Request request;
  request.set_trace_id(trace);
  request.mutable_release()->set_lease(lease);
  request.mutable_release()->set_reason(reason);
  link->second->orders().Call(
      std::move(request), kOrderTimeout, [this, lease, rack = link->first](const Result<v1::Reply>& reply) {
        listener_.on_released(lease, StatusOf(reply));
        links_.at(rack)->PollSoon();
      });
}

}  // namespace faraday::lab
