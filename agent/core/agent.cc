#include "agent/core/agent.h"

#include <algorithm>
#include <set>

#include "base/log.h"

namespace faraday::agent {

Agent::Agent(std::string host, const Ports& ports) : host_(std::move(host)), ports_(ports) {}

void Agent::TakeUp(std::vector<AttemptRecord> records, std::map<std::string, uint32_t> epochs, BootTime now) {
  now_ = now;
  epochs_ = std::move(epochs);
  for (AttemptRecord& record : records) {
    log::Info("attempt {} on {}: taken up from the journal ({})",
              record.wish.attempt,
              record.wish.slot,
              PhaseText(record.phase));
    const std::string id = record.wish.attempt;
    auto& attempt = attempts_[id] = std::make_unique<Attempt>(std::move(record), ports_);
    attempt->TakeUp(now);
  }
}

bool Agent::SeeEpoch(const std::string& slot, uint32_t epoch) {
  uint32_t& seen = epochs_[slot];
  if (epoch <= seen) return false;
  seen = epoch;
  return true;
}

void Agent::OnRackSync(int controller, const std::vector<SlotWish>& slots, BootTime now) {
  now_ = now;
  controllers_[controller];
  std::set<std::string> named;
  bool news = false;
  for (const SlotWish& wish : slots) news |= SeeEpoch(wish.slot, wish.epoch);
  if (news) ports_.journal.KeepEpochs(epochs_);  // once, and before anything is done with them
  for (const SlotWish& wish : slots) {
    named.insert(wish.slot);
    SlotEntry& entry = slots_[wish.slot];
    entry.wish = wish;
    entry.controller = controller;
    entry.cleared_said = false;
    for (auto& [id, attempt] : attempts_) {
      if (attempt->record().wish.slot == wish.slot) attempt->OnSlot(wish, now);
    }
    ReconcileSlot(entry, now);
  }
  std::erase_if(slots_, [&](const auto& item) {
    if (item.second.controller != controller || named.contains(item.first)) return false;
    ports_.phones.End(item.first);
    return true;
  });
}

void Agent::OnLabSync(const std::vector<AttemptWish>& attempts, BootTime now) {
  now_ = now;
  std::set<std::string> named;
  for (const AttemptWish& wish : attempts) {
    named.insert(wish.attempt);
    if (attempts_.contains(wish.attempt) || std::ranges::count(ended_, wish.attempt) > 0) continue;
    log::Info("attempt {} on {}: taken ({}, lease {})", wish.attempt, wish.slot, wish.user, wish.lease);
    AttemptRecord record;
    record.wish = wish;
    ports_.journal.Keep(record);
    auto& attempt = attempts_[wish.attempt] = std::make_unique<Attempt>(std::move(record), ports_);
    attempt->TakeUp(now);
    if (SeeEpoch(wish.slot, wish.epoch)) ports_.journal.KeepEpochs(epochs_);
    if (const auto slot = slots_.find(wish.slot); slot != slots_.end()) attempt->OnSlot(slot->second.wish, now);
  }
  for (auto& [id, attempt] : attempts_) {
    if (!named.contains(id)) attempt->Cancel("the lab has taken the attempt back", now);
  }
}

void Agent::OnFacts(const std::string& slot, const Facts& facts, BootTime now) {
  now_ = now;
  const auto entry = slots_.find(slot);
  if (entry != slots_.end()) {
    const bool news = !entry->second.facts.SameAs(facts);
    entry->second.facts = facts;
    entry->second.facts_unsaid |= news;
    controllers_[entry->second.controller].dirty |= news;
  }
  if (Attempt* attempt = AttemptOn(slot)) attempt->OnFacts(facts, now);
}

void Agent::OnRunEnded(const std::string& attempt, const RunEnd& end, BootTime now) {
  now_ = now;
  if (const auto found = attempts_.find(attempt); found != attempts_.end()) found->second->OnRunEnded(end, now);
}

Attempt* Agent::AttemptOn(const std::string& slot) {
  Attempt* newest = nullptr;
  for (auto& [id, attempt] : attempts_) {
    if (attempt->record().wish.slot != slot || !attempt->holds_slot()) continue;
    if (newest == nullptr || attempt->record().wish.epoch > newest->record().wish.epoch) newest = attempt.get();
  }
  return newest;
}

const Attempt* Agent::FindAttempt(const std::string& attempt) const {
  const auto found = attempts_.find(attempt);
  return found == attempts_.end() ? nullptr : found->second.get();
}

std::set<std::string> Agent::SlotsInUse() const {
  std::set<std::string> slots;
  for (const auto& [id, attempt] : attempts_) {
    if (attempt->wants_session()) slots.insert(attempt->record().wish.slot);
  }
  return slots;
}

bool Agent::WantsSession(const SlotEntry& entry) {
  if (const Attempt* attempt = AttemptOn(entry.wish.slot)) return attempt->wants_session();
  if (entry.wish.needs_clearing) return false;
  return entry.wish.discover && entry.wish.data == DataPath::kHost && entry.wish.data_host == host_;
}

void Agent::ReconcileSlot(SlotEntry& entry, BootTime now) {
  const std::string& slot = entry.wish.slot;
  if (entry.wish.needs_clearing) {
    Attempt* attempt = AttemptOn(slot);
    if (attempt != nullptr && attempt->record().wish.epoch <= entry.wish.clearing_epoch) {
      attempt->LoseLease("the lease has ended at the controller", now);
    }
    controllers_[entry.controller].dirty |= !entry.cleared_said && Cleared(entry);
  }
  if (WantsSession(entry)) {
    ports_.phones.Start(slot, {entry.wish.adb_address, entry.wish.usb_path});
  } else {
    ports_.phones.End(slot);
  }
}

bool Agent::Cleared(const SlotEntry& entry) {
  if (!entry.wish.needs_clearing || ports_.phones.Active(entry.wish.slot)) return false;
  return std::ranges::none_of(attempts_, [&](const auto& item) {
    const AttemptRecord& record = item.second->record();
    return record.wish.slot == entry.wish.slot && record.wish.epoch <= entry.wish.clearing_epoch &&
           item.second->holds_slot();
  });
}

void Agent::Tick(BootTime now, UtcTime utc) {
  now_ = now;
  for (auto& [id, attempt] : attempts_) attempt->Tick(now, utc);
  DropEnded();
  for (auto& [slot, entry] : slots_) ReconcileSlot(entry, now);
  for (auto& [controller, entry] : controllers_) SendReport(controller, entry, now);
}

void Agent::DropEnded() {
  std::erase_if(attempts_, [this](const auto& item) {
    if (!item.second->gone()) return false;
    ended_.push_back(item.first);
    if (ended_.size() > kEndedKept) ended_.pop_front();
    return true;
  });
}

void Agent::SendReport(int controller, ControllerEntry& entry, BootTime now) {
  if (entry.reporting || now < entry.not_before || (!entry.dirty && now < entry.regular_at)) return;
  const RackReport report = BuildReport(controller);
  entry.reporting = true;
  entry.dirty = false;
  entry.regular_at = now + kReportEvery;
  for (const auto& [slot, facts] : report.facts) slots_[slot].facts_unsaid = false;
  for (const auto& [slot, epoch] : report.cleared) slots_[slot].cleared_said = true;
  ports_.rack.Report(controller, report, [this, controller](Status status) { OnReported(controller, status); });
}

void Agent::OnRackBack(int controller) {
  controllers_[controller].dirty = true;
  for (auto& [slot, item] : slots_) {
    if (item.controller == controller) item.facts_unsaid |= item.facts.measured != BootTime{};
  }
}

void Agent::OnReported(int controller, const Status& status) {
  ControllerEntry& entry = controllers_[controller];
  entry.reporting = false;
  if (status.ok()) return;
  entry.not_before = now_ + kReportRetry;
  OnRackBack(controller);
  for (auto& [slot, item] : slots_) item.cleared_said &= item.controller != controller;
}

RackReport Agent::BuildReport(int controller) {
  RackReport report;
  // Only what it has named: a controller refuses reports on another's slots.
  for (auto& [slot, entry] : slots_) {
    if (entry.controller != controller) continue;
    if (const auto seen = epochs_.find(slot); seen != epochs_.end()) report.epochs_seen[slot] = seen->second;
    const bool known = entry.facts.measured != BootTime{};
    if (entry.facts_unsaid || (known && ports_.phones.Active(slot))) report.facts.emplace_back(slot, entry.facts);
    if (Cleared(entry)) report.cleared.emplace_back(slot, entry.wish.clearing_epoch);
  }
  return report;
}

}  // namespace faraday::agent
