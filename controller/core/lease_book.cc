#include "controller/core/lease_book.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"

namespace faraday::controller {
namespace {

// Care's tenure that follows `ended`, with the next epoch.
Tenure CareAfter(const Tenure& ended, uint32_t witness) {
  Tenure care;
  care.slot = ended.slot;
  care.epoch = EpochAfter(std::max(ended.epoch, witness));
  care.health = ended.health;
  care.health_reason = ended.health_reason;
  return care;
}

std::optional<OnceRecord> Record(const OnceKey& once, const Tenure& held, Now now) {
  if (once.key.empty()) return std::nullopt;
  return OnceRecord{once.user, once.key, once.request_hash, once.reply(held), now.utc};
}

}  // namespace

LeaseBook::LeaseBook(const rackconfig::RackConfig& config, LeaseStore& store, std::string boot_id)
    : config_(config), store_(store), boot_id_(std::move(boot_id)) {}

Status LeaseBook::Load(Now now) {
  FARADAY_TRY_ASSIGN(const std::vector<Tenure> stored, store_.Load());
  FARADAY_TRY_ASSIGN(stop_, store_.LoadStop());
  std::map<int, Tenure> by_slot;
  for (const Tenure& tenure : stored) by_slot[tenure.slot] = tenure;
  std::vector<Tenure> changed;
  for (const rackconfig::SlotConfig& slot : config_.slots) {
    const auto it = by_slot.find(slot.number);
    if (it != by_slot.end() && it->second.phase != Phase::kGranting) {
      Adopt(it->second, now);
      continue;
    }
    Tenure fresh;
    fresh.slot = slot.number;
    changed.push_back(CareAfter(it == by_slot.end() ? fresh : it->second, 0));
  }
  return changed.empty() ? OkStatus() : Put(std::move(changed), std::nullopt, {}, now);
}

void LeaseBook::Adopt(Tenure tenure, Now now) {
  Resolve(tenure, now);
  since_[tenure.slot] = now.boot;
  tenures_[tenure.slot] = std::move(tenure);
}

void LeaseBook::Resolve(const Tenure& tenure, Now now) {
  from_utc_.erase(tenure.slot);
  if (tenure.end.boot_id == boot_id_) {
    ends_[tenure.slot] = tenure.end.boot_time;
    return;
  }
  const Milliseconds left = tenure.end.utc.since_epoch - now.utc.since_epoch;
  ends_[tenure.slot] = now.boot + std::clamp(left, Milliseconds(0), tenure.end.granted);
  from_utc_[tenure.slot] = true;
}

StoredEnd LeaseBook::EndAfter(Milliseconds duration, Now now) const {
  return {boot_id_, now.boot + duration, UtcTime{now.utc.since_epoch + duration}, duration};
}

Milliseconds LeaseBook::LeftOf(int slot, Now now) const {
  if (!IsUsers(at(slot))) return Milliseconds(0);
  return std::max(Milliseconds(0), EndOf(slot) - now.boot);
}

Status LeaseBook::Put(std::vector<Tenure> changed,
                      std::optional<OnceRecord> once,
                      std::vector<AuditLine> audit,
                      Now now) {
  FARADAY_TRY(store_.Commit({changed, std::move(once), std::move(audit)}));
  for (Tenure& tenure : changed) {
    const auto before = tenures_.find(tenure.slot);
    if (before == tenures_.end() || before->second.epoch != tenure.epoch) since_[tenure.slot] = now.boot;
    // An end the MCU or UTC gave stays unless this change sets a new one.
    if (before == tenures_.end() || !(before->second.end == tenure.end)) Resolve(tenure, now);
    tenures_[tenure.slot] = std::move(tenure);
  }
  return OkStatus();
}

Status LeaseBook::BeginGrant(int slot, const GrantRequest& request, uint32_t witness, Now now) {
  FARADAY_CHECK(at(slot).phase == Phase::kCare);
  if (std::max(at(slot).epoch, witness) == UINT32_MAX) {
    return {Code::kResourceExhausted, "the slot's epochs are used up; erase the board's epoch table and the store"};
  }
  Tenure next = CareAfter(at(slot), witness);
  next.phase = Phase::kGranting;
  next.purpose = request.purpose;
  next.holder = request.holder.user;
  next.team = request.holder.team;
  next.granted_by = request.granted_by;
  next.end = EndAfter(request.duration, now);
  next.total = request.duration;
  next.agent = request.agent;
  next.reservation = request.reservation;
  next.note = request.note;
  return Put({next}, std::nullopt, {}, now);
}

Status LeaseBook::FinishGrant(int slot, const OnceKey& once, Now now) {
  FARADAY_CHECK(at(slot).phase == Phase::kGranting);
  Tenure next = at(slot);
  next.phase = Phase::kLeased;
  AuditLine line{now.utc,
                 next.granted_by,
                 "",
                 "acquire",
                 slot,
                 fmt::format("epoch {} to {} for {} ms", next.epoch, next.holder, next.end.granted.count())};
  return Put({next}, Record(once, next, now), {std::move(line)}, now);
}

Status LeaseBook::VoidGrant(int slot, uint32_t witness, Now now) {
  FARADAY_CHECK(at(slot).phase == Phase::kGranting);
  return Put({CareAfter(at(slot), witness)}, std::nullopt, {}, now);
}

Status LeaseBook::End(int slot, uint32_t witness, const OnceKey& once, const AuditLine& why, Now now) {
  const Tenure& ended = at(slot);
  FARADAY_CHECK(ended.phase == Phase::kLeased);
  Tenure next = CareAfter(ended, witness);
  if (!ended.agent.empty()) {
    next.phase = Phase::kCleaning;
    next.agent = ended.agent;
    next.clearing_epoch = ended.epoch;
  }
  return Put({next}, Record(once, ended, now), {why}, now);
}

Status LeaseBook::Renew(int slot, Milliseconds duration, const OnceKey& once, Now now) {
  Tenure next = at(slot);
  FARADAY_CHECK(next.phase == Phase::kLeased);
  next.total += (now.boot + duration) - EndOf(slot);
  next.end = EndAfter(duration, now);
  return Put({next}, Record(once, next, now), {}, now);
}

Status LeaseBook::Cleared(int slot, uint32_t epoch, Now now) {
  const Tenure& tenure = at(slot);
  if (tenure.phase != Phase::kCleaning || epoch < tenure.clearing_epoch) return OkStatus();
  Tenure next = tenure;
  next.phase = Phase::kCare;
  next.agent.clear();
  next.clearing_epoch = 0;
  return Put({next}, std::nullopt, {}, now);
}

Status LeaseBook::RaiseCareEpoch(int slot, uint32_t epoch, Now now) {
  FARADAY_CHECK(!IsUsers(at(slot)));
  Tenure next = at(slot);
  next.epoch = std::max(next.epoch, epoch);
  return Put({next}, std::nullopt, {}, now);
}

Status LeaseBook::SetHealth(int slot, Health health, const std::string& reason, const AuditLine& why, Now now) {
  Tenure next = at(slot);
  next.health = health;
  next.health_reason = reason;
  return Put({next}, std::nullopt, {why}, now);
}

Status LeaseBook::SetWanted(int slot, const Wanted& wanted, Now now) {
  FARADAY_CHECK(at(slot).phase == Phase::kLeased);
  if (at(slot).wanted == wanted) return OkStatus();
  Tenure next = at(slot);
  next.wanted = wanted;
  return Put({next}, std::nullopt, {}, now);
}

Status LeaseBook::SetStop(std::optional<StopRecord> stop, const AuditLine& why) {
  Change change;
  change.audit = {why};
  change.stop = stop.value_or(StopRecord{});
  if (stop) stop_ = stop;  // in force whatever the store says: the safe direction waits for nothing
  FARADAY_TRY(store_.Commit(change));
  stop_ = std::move(stop);
  return OkStatus();
}

Status LeaseBook::Note(const AuditLine& line) { return store_.Commit({{}, std::nullopt, {line}}); }

void LeaseBook::OverrideEnd(int slot, Milliseconds left, Now now) {
  ends_[slot] = now.boot + left;
  from_utc_.erase(slot);
}

}  // namespace faraday::controller
