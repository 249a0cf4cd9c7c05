// The queue: wishes in, orders out, refusals and time limits.
#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "lab/core/attempt.h"
#include "lab/core/lab.h"

namespace faraday::lab {
namespace {

// How long a slot whose acquire failed is passed over (chosen: long enough not to hammer, short for people).
constexpr Milliseconds kRefusedPause{2000};
// After an unknown outcome: the lease may still appear in the rack's facts, and is then adopted or given back.
constexpr Milliseconds kUnknownPause{5000};

// Naming the place (or asking for an absent phone) means the place is wanted, phone or not.
bool NamesThePlace(const model::Selector& selector) {
  return std::ranges::any_of(selector.terms(), [](const auto& term) {
    return (term.key == "slot" && term.op == model::Selector::Op::kEqual) || term.key == "adb";
  });
}

// The request itself is wrong: another slot would refuse it just the same.
bool RequestIsWrong(Code code) { return code == Code::kInvalidArgument || code == Code::kOutOfRange; }

bool OutcomeUnknown(Code code) {
  return code == Code::kDeadlineExceeded || code == Code::kUnknown || code == Code::kInternal;
}

}  // namespace

Status Lab::CheckRoom() const {
  if (queue_.size() < kMaxWaiting) return OkStatus();
  return {Code::kResourceExhausted,
          fmt::format("{} wishes are waiting, the most this lab queues; try again later", queue_.size())};
}

Status Lab::Enqueue(const Reservation& reservation, Milliseconds left, Now now) {
  FARADAY_TRY_ASSIGN(auto selector, model::Selector::Parse(reservation.selector));
  const bool needs_phone = !NamesThePlace(selector);
  Wish wish{reservation.arrival, std::move(selector), needs_phone, false};
  queue_[reservation.arrival] = {std::move(wish), Kind::kReservation, reservation.number, now.boot + left, {}};
  return OkStatus();
}

Status Lab::Enqueue(const Job& job, Milliseconds left, Now now) {
  FARADAY_TRY_ASSIGN(auto selector, model::Selector::Parse(job.spec.selector));
  Wish wish{job.arrival, std::move(selector), true, true};
  queue_[job.arrival] = {std::move(wish), Kind::kJob, job.number, now.boot + left, {}};
  return OkStatus();
}

void Lab::Tick(Now now) {
  std::erase_if(back_off_, [&](const auto& entry) { return entry.second.until <= now.boot; });
  Step(now);
}

void Lab::Step(Now now) {
  EndSilentAttempts(now);
  PlaceAll(now);
}

void Lab::PlaceAll(Now now) {
  std::vector<uint64_t> arrivals;
  std::vector<const Wish*> wishes;
  for (const auto& [arrival, waiting] : queue_) {
    if (waiting.ordered) continue;
    arrivals.push_back(arrival);
    wishes.push_back(&waiting.wish);
  }
  if (wishes.empty()) return;
  const std::vector<Verdict> verdicts = Place(wishes, Candidates(now), UnseenRacks());
  for (size_t i = 0; i < arrivals.size(); ++i) {
    Waiting& waiting = queue_.at(arrivals[i]);
    switch (verdicts[i].kind) {
      case Verdict::Kind::kPlace:
        SendOrder(waiting, verdicts[i].slot);
        break;
      case Verdict::Kind::kNever:
        FailWish(waiting, verdicts[i].reason, now);
        break;
      case Verdict::Kind::kWait:
        EndWhenOverdue(waiting, now);
        break;
    }
  }
}

void Lab::SendOrder(Waiting& waiting, const model::SlotId& slot) {
  AcquireOrder order;
  order.slot = slot;
  if (waiting.kind == Kind::kReservation) {
    const Reservation& reservation = reservations_.at(waiting.number);
    order.purpose = Purpose::kPerson;
    order.duration_ms = reservation.duration_s * 1000;
    order.on_behalf_of = reservation.person;
    order.reservation = ReservationName(reservation.number);
    order.note = reservation.note;
    order.trace = reservation.trace;
  } else {
    const Job& job = jobs_.at(waiting.number);
    order.purpose = Purpose::kJob;
    order.on_behalf_of = job.person;
    order.reservation = AttemptName(job.number, job.attempts.size() + 1);
    order.note = job.spec.note;
    order.trace = job.trace;
  }
  order.key = fmt::format("{}@{}#{}.{}", order.reservation, model::ToString(slot), run_, ++last_order_);
  waiting.ordered = slot;
  orders_[slot] = {waiting.wish.arrival, order.key};
  desk_.Acquire(order);
}

void Lab::EndWhenOverdue(const Waiting& waiting, Now now) {
  if (waiting.deadline > now.boot) return;
  const uint32_t wait_s = waiting.kind == Kind::kJob ? jobs_.at(waiting.number).spec.queue_timeout_s
                                                     : reservations_.at(waiting.number).wait_s;
  const std::string reason = WaitingReason(waiting, now);
  FailWish(waiting,
           wait_s == 0 ? "nothing is free now: " + reason : fmt::format("not within {} s: {}", wait_s, reason),
           now);
}

void Lab::FailWish(const Waiting& waiting, const std::string& reason, Now now) {
  if (waiting.kind == Kind::kReservation) {
    Reservation next = reservations_.at(waiting.number);
    next.state = ReservationState::kFailed;
    next.reason = reason;
    SaveOrLog(std::move(next));
  } else {
    Job next = jobs_.at(waiting.number);
    FinishJob(Outcome::kNoDevice, reason, now.utc, &next);
    SaveOrLog(std::move(next));
  }
}

std::vector<Candidate> Lab::Candidates(Now now) const {
  std::vector<Candidate> candidates;
  for (const auto& [name, rack] : racks_) {
    for (const SlotFacts& slot : rack.slots) {
      Candidate candidate;
      candidate.slot = slot.slot;
      candidate.attributes = AttributesOf(slot);
      candidate.facts = &slot;
      candidate.hold = HoldOf(rack, slot);
      if (candidate.hold.kind == Hold::Kind::kNone) candidate.hold = OwnHold(slot.slot, rack, now);
      candidate.has_phone = HasPhone(slot);
      const auto used = last_used_.find(model::ToString(slot.slot));
      candidate.last_used = used == last_used_.end() ? 0 : used->second;
      candidates.push_back(std::move(candidate));
    }
  }
  return candidates;
}

// What the lab itself knows beyond the facts: its own orders under way and grants newer than the facts.
Hold Lab::OwnHold(const model::SlotId& slot, const RackFacts& rack, Now now) const {
  if (orders_.contains(slot)) return {Hold::Kind::kOther, "being granted to an earlier wish", {}};
  if (const auto learned = learned_.find(slot); learned != learned_.end() && rack.asked <= learned->second.when) {
    return LeasedHold(learned->second.lease);
  }
  const auto back_off = back_off_.find(slot);
  if (back_off == back_off_.end() || back_off->second.until <= now.boot) return {};
  return {Hold::Kind::kOther, back_off->second.text, {}};
}

std::vector<std::string> Lab::UnseenRacks() const {
  std::vector<std::string> unseen;
  for (const auto& [name, rack] : racks_) {
    if (!rack.ever_seen) unseen.push_back(name);
  }
  return unseen;
}

std::string Lab::WaitingReason(const Waiting& waiting, Now now) const {
  if (waiting.ordered) return fmt::format("being granted on {}", model::ToString(*waiting.ordered));
  const Verdict verdict = Judge(waiting.wish, Candidates(now), UnseenRacks());
  return verdict.kind == Verdict::Kind::kPlace ? "next in turn" : verdict.reason;
}

const Lab::Waiting* Lab::FindWaiting(Kind kind, uint64_t number, uint32_t* position) const {
  *position = 0;
  uint32_t place = 0;
  for (const auto& [arrival, waiting] : queue_) {
    ++place;
    if (waiting.kind != kind || waiting.number != number) continue;
    *position = place;
    return &waiting;
  }
  return nullptr;
}

void Lab::Forget(Kind kind, uint64_t number) {
  std::erase_if(queue_, [&](const auto& entry) { return entry.second.kind == kind && entry.second.number == number; });
}

// The waiting wish that a lease's reservation text belongs to, or nullptr.
Lab::Waiting* Lab::WaitingOf(const std::string& reservation) {
  for (auto& [arrival, waiting] : queue_) {
    const std::string name = waiting.kind == Kind::kReservation
                                 ? ReservationName(waiting.number)
                                 : AttemptName(waiting.number, jobs_.at(waiting.number).attempts.size() + 1);
    if (name == reservation) return &waiting;
  }
  return nullptr;
}

void Lab::OnAcquired(const model::SlotId& slot, const std::string& key, Result<LeaseFacts> lease, Now now) {
  const auto order = orders_.find(slot);
  if (order == orders_.end() || order->second.key != key) return;
  const uint64_t arrival = order->second.arrival;
  orders_.erase(order);
  const auto waiting = queue_.find(arrival);
  if (waiting != queue_.end()) waiting->second.ordered.reset();
  if (lease.ok()) {
    learned_[slot] = {*lease, now.boot};
    if (waiting == queue_.end()) {
      ReleaseOnce(lease->id, "its wish was cancelled meanwhile", "", now);
    } else if (const Status granted = Grant(waiting->second, *lease, now); !granted.ok()) {
      log::Error("{} granted but not stored, will be taken up again: {}", lease->id, ToString(granted));
      waiting->second.ordered = slot;
    }
    return Step(now);
  }
  const Status& status = lease.status();
  log::Warn("acquire {} failed: {}", model::ToString(slot), ToString(status));
  if (RequestIsWrong(status.code()) && waiting != queue_.end()) {
    FailWish(waiting->second, "refused by the controller: " + status.message(), now);
  } else {
    const Milliseconds pause = OutcomeUnknown(status.code()) ? kUnknownPause : kRefusedPause;
    back_off_[slot] = {now.boot + pause, "refused by its controller: " + status.message()};
  }
  Step(now);
}

Status Lab::Grant(Waiting& waiting, const LeaseFacts& lease, Now now) {
  return waiting.kind == Kind::kReservation ? GrantReservation(waiting.number, lease)
                                            : GrantJob(waiting.number, lease, now);
}

Status Lab::GrantReservation(uint64_t number, const LeaseFacts& lease) {
  Reservation next = reservations_.at(number);
  next.state = ReservationState::kGranted;
  next.reason.clear();
  next.lease = lease;
  FARADAY_TRY(Save(std::move(next), {}, SlotUse{lease.slot, last_use_ + 1}));
  last_used_[lease.slot] = ++last_use_;
  return OkStatus();
}

Status Lab::GrantJob(uint64_t number, const LeaseFacts& lease, Now now) {
  Job next = jobs_.at(number);
  Attempt attempt;
  attempt.id = AttemptName(number, next.attempts.size() + 1);
  attempt.slot = lease.slot;
  attempt.lease = lease.id;
  attempt.epoch = lease.epoch;
  attempt.agent = lease.agent;
  attempt.state = AttemptState::kAssigned;
  attempt.started = now.utc;
  attempt.step = "waiting for agent " + lease.agent;
  next.attempts.push_back(std::move(attempt));
  next.state = JobState::kRunning;
  next.reason.clear();
  FARADAY_TRY(Save(std::move(next), {}, SlotUse{lease.slot, last_use_ + 1}));
  last_used_[lease.slot] = ++last_use_;
  watches_[number] = {std::nullopt, now.boot};
  return OkStatus();
}

}  // namespace faraday::lab
