#include "controller/core/grants.h"

#include <fmt/core.h>

#include <algorithm>

#include "controller/core/rights.h"
#include "controller/core/words.h"
#include "model/slot_id.h"

namespace faraday::controller {
namespace {

constexpr Milliseconds kStoreRetry{1'000};  // chosen
constexpr Milliseconds kShortestLease{1'000};

AuditLine Line(const CallContext& context, const std::string& call, int slot, std::string text, Now now) {
  return {now.utc, context.caller.user, std::string(RoleName(context.caller.role)), call, slot, std::move(text)};
}

uint32_t Count(Milliseconds duration) {
  return static_cast<uint32_t>(std::clamp<int64_t>(duration.count(), 0, UINT32_MAX));
}

}  // namespace

// ---- acquire ------------------------------------------------------------------------------------------------------

Result<Milliseconds> Grants::CheckDuration(const AcquireRequest& request) const {
  if (request.purpose == Purpose::kJob) return kJobLease;
  if (request.purpose != Purpose::kPerson) {
    return Status{Code::kInvalidArgument, "acquire: purpose must be PERSON or JOB"};
  }
  const Milliseconds longest(parts_.config.controller.lease_max_ms);
  if (request.duration.count() == 0) return Milliseconds(parts_.config.controller.lease_default_ms);
  if (request.duration >= kShortestLease && request.duration <= longest) return request.duration;
  return Status{Code::kInvalidArgument,
                fmt::format("acquire {}: duration_ms {} is outside 1000 to {} ms ({})",
                            request.slot,
                            request.duration.count(),
                            longest.count(),
                            DurationText(longest))};
}

Result<std::string> Grants::CheckAgent(int slot, const std::string& agent) const {
  if (agent.empty()) return parts_.FirstAgentOf(slot);
  std::string known;
  for (const auto& host : parts_.SlotOf(slot).hosts) {
    const std::string name = parts_.AgentOfHost(host.host);
    if (name == agent) return name;
    known += (known.empty() ? "" : ", ") + name;
  }
  return Status{Code::kInvalidArgument,
                fmt::format("acquire {}: agent {} cannot reach it; agents that can: {}",
                            parts_.NameOf(slot),
                            agent,
                            known.empty() ? "none" : known)};
}

Status Grants::CheckOffered(int slot, Purpose purpose, Now now) const {
  const std::string name = parts_.NameOf(slot);
  if (parts_.book.at(slot).phase != Phase::kCare) {
    return {Code::kFailedPrecondition, fmt::format("{} is {}", name, parts_.HeldTextOf(slot, now))};
  }
  if (const Status ready = parts_.BoardOf(slot).CheckReady(); !ready.ok()) {
    return {ready.code(), fmt::format("{} cannot be leased now: {}", name, ready.message())};
  }
  if (const HealthView health = views_.HealthOf(slot, now); health.health != Health::kGood) {
    return {Code::kFailedPrecondition, fmt::format("{} is not offered: {}", name, health.reason)};
  }
  const std::string agent = parts_.FirstAgentOf(slot);
  if (purpose != Purpose::kJob || agent.empty() || parts_.agents.LastWord(agent)) return OkStatus();
  return {Code::kUnavailable,
          fmt::format("{} cannot run jobs yet: agent {} has not reported since the controller started", name, agent)};
}

Result<GrantRequest> Grants::CheckAcquire(const CallContext& context,
                                          const AcquireRequest& request,
                                          int slot,
                                          Now now) const {
  const Caller& caller = context.caller;
  FARADAY_TRY(CheckRight(access::Call::kAcquire, caller, Ownership::kOther, "", parts_.NameOf(slot)));
  if (caller.user.empty()) return Status{Code::kInvalidArgument, "acquire: the caller has no user name"};
  const bool plain_user = caller.role == Role::kUser || caller.role == Role::kCi;
  if (plain_user && !parts_.config.controller.grants_users) {
    return Status{Code::kPermissionDenied,
                  fmt::format("{}: a lab places leases on this rack; reserve through it", parts_.NameOf(slot))};
  }
  if (request.on_behalf_of && caller.role != Role::kLab) {
    return Status{Code::kPermissionDenied, "acquire: only role lab may acquire on behalf of somebody"};
  }
  if (!request.reservation.empty() && caller.role != Role::kLab) {
    return Status{
        Code::kInvalidArgument,
        fmt::format("acquire {}: reservation {} is a lab's to say, not role {}'s; leave it out, or write a note",
                    request.slot,
                    request.reservation,
                    RoleName(caller.role))};
  }
  GrantRequest grant;
  FARADAY_TRY_ASSIGN(grant.duration, CheckDuration(request));
  FARADAY_TRY_ASSIGN(grant.agent, CheckAgent(slot, request.agent));
  FARADAY_TRY(CheckOffered(slot, request.purpose, now));
  grant.purpose = request.purpose;
  grant.holder = request.on_behalf_of.value_or(caller);
  if (grant.holder.user.empty()) return Status{Code::kInvalidArgument, "acquire: on_behalf_of has no user name"};
  grant.granted_by = caller.user;
  grant.reservation = request.reservation;
  grant.note = request.note;
  return grant;
}

void Grants::Acquire(const CallContext& context, const AcquireRequest& request, Answer<LeaseView> answer, Now now) {
  const auto found = parts_.FindSlot(request.slot);
  if (!found.ok()) return answer(found.status(), now);
  const int slot = *found;
  ExpireDue(now);
  const auto grant = CheckAcquire(context, request, slot, now);
  if (!grant.ok()) return answer(grant.status(), now);
  const uint32_t witness = parts_.Witness(slot);
  if (JumpsTooFar(witness, parts_.book.at(slot).epoch)) {
    const std::string why =
        fmt::format("epoch lost: stored {}, seen {}; tech confirms it with clear", parts_.book.at(slot).epoch, witness);
    (void)parts_.book.SetHealth(slot, Health::kMaintenance, why, Line({}, "epoch_lost", slot, why, now), now);
    return answer(Status{Code::kFailedPrecondition, parts_.NameOf(slot) + ": " + why}, now);
  }
  if (const Status begun = parts_.book.BeginGrant(slot, *grant, witness, now); !begun.ok()) {
    return answer(Status{begun.code(), fmt::format("{}: not granted: {}", parts_.NameOf(slot), begun.message())}, now);
  }
  care_.Drop(slot);
  granting_.insert(slot);
  const uint32_t epoch = parts_.book.at(slot).epoch;
  const Status sent = parts_.BoardOf(slot).Give(
      LeaseFor(slot, false, now),
      [this, slot, epoch, context, answer](const Outcome& outcome, Now at) {
        OnAcknowledged(slot, epoch, context, outcome, answer, at);
      },
      now);
  if (sent.ok()) return context.Sent(parts_.BoardOf(slot));
  Void(slot, now);
  answer(sent, now);
}

void Grants::OnAcknowledged(int slot,
                            uint32_t epoch,
                            const CallContext& context,
                            const Outcome& outcome,
                            const Answer<LeaseView>& answer,
                            Now now) {
  const Tenure& tenure = parts_.book.at(slot);
  if (tenure.epoch != epoch || tenure.phase != Phase::kGranting) {
    granting_.erase(slot);
    return answer(Status{Code::kAborted, fmt::format("{}: the grant was overtaken; try again", parts_.NameOf(slot))},
                  now);
  }
  Status status = outcome.status;
  // The grant is void in any case, so an unknown outcome is safe to try again.
  if (outcome.unknown) status = {Code::kUnavailable, outcome.status.message() + "; not granted"};
  if (status.ok() && parts_.book.stop()) status = {Code::kFailedPrecondition, "the rack was stopped meanwhile"};
  if (status.ok()) status = parts_.book.FinishGrant(slot, context.once, now);
  if (!status.ok()) {
    Void(slot, now);
    return answer(Status{status.code(), fmt::format("{}: not granted: {}", parts_.NameOf(slot), status.message())},
                  now);
  }
  granting_.erase(slot);
  traces_[slot] = {epoch, context.trace};
  const LeaseView lease = views_.LeaseOf(slot, now);
  parts_.events.OnSlot(slot,
                       "lease.granted",
                       fmt::format("{} for {}", parts_.HeldTextOf(slot, now), DurationText(tenure.end.granted)),
                       context.trace,
                       now);
  parts_.events.OnSyncChange();
  answer(lease, now);
}

void Grants::Void(int slot, Now now) {
  granting_.erase(slot);
  Reconcile(slot, now);
}

// ---- renew and release --------------------------------------------------------------------------------------------

Result<int> Grants::FindLease(const std::string& text, Now now) const {
  FARADAY_TRY_ASSIGN(const model::LeaseId id, model::ParseLeaseId(text));
  FARADAY_TRY_ASSIGN(const int slot, parts_.FindSlot(model::ToString(id.slot)));
  const Tenure& tenure = parts_.book.at(slot);
  if (tenure.phase == Phase::kLeased && tenure.epoch == id.epoch && !IsOver(slot, now)) return slot;
  return Status{
      Code::kNotFound,
      fmt::format("lease {} is not in force; {} is {}", text, parts_.NameOf(slot), parts_.HeldTextOf(slot, now))};
}

Result<LeaseView> Grants::Renew(const CallContext& context, const std::string& lease, Milliseconds duration, Now now) {
  ExpireDue(now);
  FARADAY_TRY_ASSIGN(const int slot, FindLease(lease, now));
  const Tenure& tenure = parts_.book.at(slot);
  FARADAY_TRY(CheckRight(access::Call::kRenew,
                         context.caller,
                         OwnershipOf(context.caller, tenure),
                         "",
                         fmt::format("{} is {}", parts_.NameOf(slot), parts_.HeldTextOf(slot, now))));
  if (tenure.purpose == Purpose::kJob) {
    duration = kJobLease;
  } else {
    if (duration.count() == 0) duration = Milliseconds(parts_.config.controller.lease_default_ms);
    const Milliseconds held = tenure.total - parts_.book.LeftOf(slot, now);
    const Milliseconds longest = Milliseconds(parts_.config.controller.lease_max_ms) - held;
    if (duration < kShortestLease || duration > longest) {
      return Status{
          Code::kInvalidArgument,
          fmt::format("renew {}: duration_ms {} is outside 1000 to {} ms (hard maximum {} from the grant, {} of "
                      "it used)",
                      lease,
                      duration.count(),
                      std::max<int64_t>(0, longest.count()),
                      DurationText(Milliseconds(parts_.config.controller.lease_max_ms)),
                      DurationText(held))};
    }
  }
  FARADAY_TRY(parts_.book.Renew(slot, duration, context.once, now));
  Board& board = parts_.BoardOf(slot);
  // Without a line the board is told at the next handshake.
  if (board.ready() && board.Give(LeaseFor(slot, false, now), nullptr, now).ok()) context.Sent(board);
  if (tenure.purpose == Purpose::kPerson) {
    parts_.events.OnSlot(slot, "lease.renewed", parts_.HeldTextOf(slot, now), context.trace, now);
  }
  parts_.events.OnSyncChange();
  return views_.LeaseOf(slot, now);
}

Result<LeaseView> Grants::Release(const CallContext& context, const ReleaseRequest& request, Now now) {
  ExpireDue(now);
  FARADAY_TRY_ASSIGN(const int slot, FindLease(request.lease, now));
  const Tenure held = parts_.book.at(slot);
  const Ownership ownership = OwnershipOf(context.caller, held);
  const std::string about = fmt::format("{} is {}", parts_.NameOf(slot), parts_.HeldTextOf(slot, now));
  FARADAY_TRY(CheckRight(access::Call::kRelease, context.caller, ownership, request.reason, about));
  const bool forced = RightOf(access::Call::kRelease, context.caller.role, ownership) == Right::kWithReason;
  if (forced && !request.force) {
    return Status{Code::kFailedPrecondition, about + "; to end somebody else's lease set force and a reason"};
  }
  const std::string why = forced ? fmt::format("ended by {}: {}", context.caller.user, request.reason)
                                 : fmt::format("released by {}", context.caller.user);
  FARADAY_TRY(End(slot, context, "release", why, now));
  return views_.LeaseOf(held, Milliseconds(0), now);
}

Status Grants::End(int slot, const CallContext& context, const std::string& call, const std::string& why, Now now) {
  const Tenure held = parts_.book.at(slot);
  FARADAY_TRY(parts_.book.End(slot, parts_.Witness(slot), context.once, Line(context, call, slot, why, now), now));
  care_.Drop(slot);
  if (parts_.book.at(slot).phase == Phase::kCare) care_.Due(slot);
  Reconcile(slot, now, context);
  parts_.events.OnSlot(
      slot,
      "lease.ended",
      fmt::format("{}'s lease {} is over: {}", held.holder, views_.LeaseOf(held, Milliseconds(0), now).id, why),
      context.trace,
      now);
  parts_.events.OnSyncChange();
  if (context.caller.user.empty()) TellOwnEnd(slot, held, why, now);
  return OkStatus();
}

void Grants::TellOwnEnd(int slot, const Tenure& held, const std::string& why, Now now) const {
  if (!on_own_end_) return;
  const auto trace = traces_.find(slot);
  const bool known = trace != traces_.end() && trace->second.first == held.epoch;
  on_own_end_({parts_.NameOf(slot),
               views_.LeaseOf(held, Milliseconds(0), now).id,
               held.holder,
               held.reservation,
               why,
               known ? trace->second.second : ""});
}

void Grants::EndOfGone(const std::function<std::string(const std::string& holder)>& why_gone, Now now) {
  for (const auto& config : parts_.config.slots) {
    const Tenure& tenure = parts_.book.at(config.number);
    if (tenure.phase != Phase::kLeased) continue;  // a grant under way ends at the next call
    const std::string why = why_gone(tenure.holder);
    if (!why.empty()) (void)End(config.number, {}, "holder_gone", why, now);
  }
}

bool Grants::IsOver(int slot, Now now) const {
  return parts_.book.at(slot).phase == Phase::kLeased && parts_.book.LeftOf(slot, now).count() == 0;
}

void Grants::ExpireDue(Now now) {
  if (now.boot < store_retry_) return;
  for (const auto& config : parts_.config.slots) {
    if (!IsOver(config.number, now)) continue;
    if (End(config.number, {}, "expire", "it has run out", now).ok()) continue;
    store_retry_ = now.boot + kStoreRetry;
    return;
  }
}

// ---- the board's knowledge ----------------------------------------------------------------------------------------

link::SetLease Grants::LeaseFor(int slot, bool to_safe_state, Now now) const {
  const Tenure& tenure = parts_.book.at(slot);
  const uint32_t board_slot = parts_.BoardSlotOf(slot);
  if (!IsUsers(tenure)) return {board_slot, tenure.epoch, 0, to_safe_state && tenure.health != Health::kMaintenance};
  return {board_slot, tenure.epoch, Count(parts_.book.LeftOf(slot, now) + kFirmwareBackstop), false};
}

void Grants::Reconcile(int slot, Now now, const CallContext& context) {
  const Tenure& tenure = parts_.book.at(slot);
  if (tenure.phase == Phase::kGranting) {
    if (granting_.count(slot) != 0 || now.boot < store_retry_) return;
    if (!parts_.book.VoidGrant(slot, parts_.Witness(slot), now).ok()) {
      store_retry_ = now.boot + kStoreRetry;
      return;
    }
    care_.Due(slot);
  }
  Board& board = parts_.BoardOf(slot);
  if (!board.ready() || board.Told(parts_.SlotOf(slot).board_slot, tenure.epoch)) return;
  if (board.Give(LeaseFor(slot, true, now), nullptr, now).ok()) context.Sent(board);
}

}  // namespace faraday::controller
