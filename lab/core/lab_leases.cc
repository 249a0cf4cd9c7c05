// What the controllers' facts mean for the lab's records: leases alive, ended, adopted, given back.
#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "lab/core/attempt.h"
#include "lab/core/attributes.h"
#include "lab/core/lab.h"

namespace faraday::lab {
namespace {

constexpr Milliseconds kReleaseRetry{3000};
// After the controller has said that the lab may not: asking on and on would only use up the lab's refusals there.
constexpr Milliseconds kReleaseRetryRefused{600'000};
// An end that moved less than this was not renewed: two clocks were read (chosen).
constexpr Milliseconds kEndMoved{2000};
// Facts asked for this long after a grant must show it; an older epoch then means lost records.
constexpr Milliseconds kSettle{1000};

const SlotFacts* FindSlot(const RackFacts& rack, const std::string& slot) {
  const auto found = std::ranges::find(rack.slots, slot, [](const SlotFacts& s) { return model::ToString(s.slot); });
  return found == rack.slots.end() ? nullptr : &*found;
}

std::string LostReason(const Attempt& attempt) {
  if (attempt.state == AttemptState::kAssigned) {
    return fmt::format(
        "agent lost: the lease on {} ended and agent '{}' never began; safe to retry", attempt.slot, attempt.agent);
  }
  return fmt::format("agent lost: the lease on {} ended and agent '{}' said nothing for {} s; safe to retry",
                     attempt.slot,
                     attempt.agent,
                     kAgentSilence.count() / 1000);
}

}  // namespace

void Lab::OnRackFacts(RackFacts facts, Now now) {
  const auto rack = racks_.find(facts.rack);
  if (rack == racks_.end()) return;
  RackFacts& known = rack->second;
  if (facts.reachable) {
    facts.ever_seen = true;
    known = std::move(facts);
    CheckReservations(known, now);
    CheckAttempts(known, now);
    CheckStrays(known, now);
  } else {
    known.reachable = false;
    known.reason = facts.reason;
  }
  Step(now);
}

// Epochs only grow, so the slot's present one tells the fate of an older lease whatever the order of messages was.
Lab::LeaseFate Lab::FateOf(const RackFacts& rack,
                           const std::string& slot,
                           uint32_t epoch,
                           const SlotFacts** seen) const {
  *seen = FindSlot(rack, slot);
  if (*seen == nullptr) return LeaseFate::kEnded;
  const LeaseFacts& lease = (*seen)->lease;
  if (lease.epoch > epoch) return LeaseFate::kEnded;
  if (lease.epoch == epoch) return lease.purpose == Purpose::kCare ? LeaseFate::kEnded : LeaseFate::kAlive;
  const auto learned = learned_.find((*seen)->slot);
  const BootTime since = learned == learned_.end() ? started_ : learned->second.when;
  return rack.asked > since + kSettle ? LeaseFate::kEnded : LeaseFate::kUnknown;
}

void Lab::CheckReservations(const RackFacts& rack, Now now) {
  std::vector<Reservation> granted;
  for (const auto& [number, reservation] : reservations_) {
    if (reservation.lease && RackOf(reservation.lease->slot) == rack.rack) granted.push_back(reservation);
  }
  for (const Reservation& reservation : granted) {
    const SlotFacts* seen = nullptr;
    switch (FateOf(rack, reservation.lease->slot, reservation.lease->epoch, &seen)) {
      case LeaseFate::kAlive:
        RefreshLease(reservation, seen->lease);
        if (reservation.cancel_asked) ReleaseOnce(reservation.lease->id, reservation.reason, reservation.trace, now);
        break;
      case LeaseFate::kEnded: {
        const bool ran_out = now.utc >= reservation.lease->end_utc;
        EndReservation(reservation, ran_out ? "ran out at " + ClockText(reservation.lease->end_utc) : "released");
        break;
      }
      case LeaseFate::kUnknown:
        break;
    }
  }
}

void Lab::RefreshLease(const Reservation& reservation, const LeaseFacts& seen) {
  Reservation next = reservation;
  next.lease = seen;
  const auto moved = seen.end_utc.since_epoch - reservation.lease->end_utc.since_epoch;
  if (moved > kEndMoved || moved < -kEndMoved) return SaveOrLog(std::move(next));
  next.lease->end_utc = reservation.lease->end_utc;
  reservations_[next.number] = std::move(next);
}

void Lab::EndReservation(const Reservation& reservation, const std::string& reason) {
  Reservation next = reservation;
  next.state = next.cancel_asked ? ReservationState::kCancelled : ReservationState::kEnded;
  if (!next.cancel_asked) next.reason = reason;
  SaveOrLog(std::move(next));
}

void Lab::CheckAttempts(const RackFacts& rack, Now now) {
  for (const auto& [number, job] : jobs_) {
    const Attempt* attempt = job.current();
    if (attempt == nullptr || RackOf(attempt->slot) != rack.rack) continue;
    Watch& watch = watches_[number];
    if (watch.lease_ended) continue;
    const SlotFacts* seen = nullptr;
    const LeaseFate fate = FateOf(rack, attempt->slot, attempt->epoch, &seen);
    if (fate == LeaseFate::kEnded) watch.lease_ended = now.boot;
    const bool nobody_began = job.cancel_asked && attempt->state == AttemptState::kAssigned;
    if (fate == LeaseFate::kAlive && nobody_began) ReleaseOnce(attempt->lease, job.cancel_reason, job.trace, now);
  }
}

void Lab::EndSilentAttempts(Now now) {
  std::vector<Job> lost;
  for (const auto& [number, job] : jobs_) {
    const auto watch = watches_.find(number);
    if (job.state != JobState::kRunning || watch == watches_.end() || !watch->second.lease_ended) continue;
    const bool cancelled_unbegun = job.cancel_asked && job.current()->state == AttemptState::kAssigned;
    const BootTime silent_since = std::max(*watch->second.lease_ended, watch->second.last_word);
    if (cancelled_unbegun || now.boot >= silent_since + kAgentSilence) lost.push_back(job);
  }
  for (Job& job : lost) {
    const Outcome outcome = job.cancel_asked ? Outcome::kCancelled : Outcome::kInfrastructure;
    EndAttempt(outcome, job.cancel_asked ? job.cancel_reason : LostReason(*job.current()), now.utc, job.current());
    FinishWithAttempt(now.utc, &job);
    SaveOrLog(std::move(job));
  }
}

// Leases at the controllers that carry an id of ours: each belongs to a record here or is given back.
void Lab::CheckStrays(const RackFacts& rack, Now now) {
  std::erase_if(releasing_, [&](const auto& entry) { return entry.second <= now.boot; });
  for (const SlotFacts& slot : rack.slots) {
    const LeaseFacts& lease = slot.lease;
    const bool ours = ParseReservationName(lease.reservation) || JobOfAttemptName(lease.reservation);
    if (slot.allocation != Allocation::kLeased || lease.purpose == Purpose::kCare || !ours) continue;
    if (!Wanted(slot, now)) ReleaseOnce(lease.id, "no record of the lab needs it", "", now);
  }
  ForgetLostGrants(rack);
}

// A grant that could not be stored was taken up again above if it still stands; else its wish is free to be placed.
void Lab::ForgetLostGrants(const RackFacts& rack) {
  for (auto& [arrival, waiting] : queue_) {
    if (!waiting.ordered || waiting.ordered->rack != rack.rack || orders_.contains(*waiting.ordered)) continue;
    const SlotFacts* slot = FindSlot(rack, model::ToString(*waiting.ordered));
    if (slot == nullptr || WaitingOf(slot->lease.reservation) != &waiting) waiting.ordered.reset();
  }
}

bool Lab::Wanted(const SlotFacts& slot, Now now) {
  const LeaseFacts& lease = slot.lease;
  if (orders_.contains(slot.slot)) return true;  // the order's own answer decides
  if (Waiting* waiting = WaitingOf(lease.reservation); waiting != nullptr) {
    if (waiting->ordered && *waiting->ordered != slot.slot) return false;  // it is being granted elsewhere
    if (!Fits(*waiting, slot)) {
      log::Error("lease {} of {} names {}, and is not what was asked for", lease.id, lease.holder, lease.reservation);
      return false;
    }
    Adopt(*waiting, slot, now);
    return true;
  }
  if (const auto number = ParseReservationName(lease.reservation)) {
    const auto found = reservations_.find(*number);
    return found != reservations_.end() && found->second.lease && found->second.lease->id == lease.id;
  }
  const auto found = jobs_.find(*JobOfAttemptName(lease.reservation));
  return found != jobs_.end() && found->second.current() != nullptr && found->second.current()->lease == lease.id;
}

// Only what the lab would have asked for is its wish's grant, whatever name a lease carries. The agent is the
// controller's choice; the lab does not know it before.
bool Lab::Fits(const Waiting& waiting, const SlotFacts& slot) const {
  const bool is_job = waiting.kind == Kind::kJob;
  const Person& person = is_job ? jobs_.at(waiting.number).person : reservations_.at(waiting.number).person;
  const LeaseFacts& lease = slot.lease;
  return lease.holder == person.user && lease.purpose == (is_job ? Purpose::kJob : Purpose::kPerson) &&
         (!is_job || !lease.agent.empty()) && waiting.wish.selector.Matches(AttributesOf(slot));
}

void Lab::Adopt(Waiting& waiting, const SlotFacts& slot, Now now) {
  const LeaseFacts& lease = slot.lease;
  const bool is_job = waiting.kind == Kind::kJob;
  const uint64_t number = waiting.number;
  const std::string trace = is_job ? jobs_.at(number).trace : reservations_.at(number).trace;
  log::Info("{} adopts lease {}", lease.reservation, lease.id);
  learned_[slot.slot] = {lease, now.boot};
  if (const Status granted = Grant(waiting, lease, now); !granted.ok()) {
    log::Error("not stored: {}", ToString(granted));
  } else if (notices_.acted) {
    notices_.acted({"lease_adopted",
                    is_job ? JobName(number) : ReservationName(number),
                    fmt::format("{}'s lease {} as {}", lease.holder, lease.id, lease.reservation),
                    "the answer that granted it was lost",
                    trace});
  }
}

void Lab::ReleaseOnce(const std::string& lease, const std::string& reason, const std::string& trace, Now now) {
  BootTime& next_try = releasing_[lease];
  if (next_try > now.boot) return;
  next_try = now.boot + kReleaseRetry;
  log::Info("giving back lease {}: {}", lease, reason);
  desk_.Release(lease, reason, trace);
}

void Lab::OnReleased(const std::string& lease, const Status& status, Now now) {
  if (!status.ok()) {
    log::Warn("release {}: {}", lease, ToString(status));
    if (status.code() == Code::kPermissionDenied) releasing_[lease] = now.boot + kReleaseRetryRefused;
    return;
  }
  std::vector<Reservation> ended;
  for (const auto& [number, reservation] : reservations_) {
    if (reservation.lease && reservation.lease->id == lease) ended.push_back(reservation);
  }
  for (const auto& reservation : ended) EndReservation(reservation, "released");
  for (const auto& [number, job] : jobs_) {
    if (job.current() != nullptr && job.current()->lease == lease) watches_[number].lease_ended = now.boot;
  }
  Step(now);
}

}  // namespace faraday::lab
