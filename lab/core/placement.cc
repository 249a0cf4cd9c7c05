#include "lab/core/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/check.h"
#include "lab/core/mismatch.h"

namespace faraday::lab {
namespace {

// Telemetry comes ten times a second; five seconds without any is a board that does not answer (chosen).
constexpr Milliseconds kStale{5000};

std::string WithReason(const char* word, const std::string& reason) {
  return reason.empty() ? word : fmt::format("{}: {}", word, reason);
}

std::string HealthText(const SlotFacts& slot) {
  switch (slot.health) {
    case Health::kSuspect:
      return WithReason("suspect", slot.health_reason);
    case Health::kRepairing:
      return WithReason("being repaired", slot.health_reason);
    case Health::kQuarantined:
      return WithReason("quarantined", slot.health_reason);
    case Health::kMaintenance:
      return WithReason("in maintenance", slot.health_reason);
    case Health::kGood:
      return "";
    case Health::kUnknown:
      break;
  }
  return WithReason("of unknown health", slot.health_reason);
}

Hold Other(std::string text) { return {Hold::Kind::kOther, std::move(text), {}}; }

// The hold of this slot for this wish, the wish's own needs included.
Hold HoldFor(const Wish& wish, const Candidate& candidate) {
  if (candidate.hold.kind != Hold::Kind::kNone) return candidate.hold;
  if (wish.needs_phone && !candidate.has_phone) {
    return Other(candidate.facts->device.never_seen ? "not yet seen by an agent" : "without a phone");
  }
  if (wish.needs_host && candidate.facts->hosts.empty()) return Other("connected to no host computer");
  return {};
}

bool IsFreeFor(const Wish& wish, const Candidate& candidate) {
  return candidate.hold.kind == Hold::Kind::kNone && (!wish.needs_phone || candidate.has_phone) &&
         (!wish.needs_host || !candidate.facts->hosts.empty());
}

bool Better(const Candidate& a, const Candidate& b) {
  const auto rank = [](const Candidate& c) {
    return std::make_tuple(c.facts->device.never_seen, c.last_used, std::cref(c.slot));
  };
  return rank(a) < rank(b);
}

// Every term that fails now is about something that may still change.
bool MayMatchLater(const model::Selector& selector, const Candidate& candidate) {
  return std::ranges::all_of(selector.terms(), [&](const auto& term) {
    return term.Matches(candidate.attributes) || MayChange(*candidate.facts, term.key);
  });
}

// Counts holds by their text, in the order met; leased ones together with the first end.
std::string WaitReason(const Wish& wish, const std::vector<const Candidate*>& matching) {
  std::vector<std::pair<std::string, int>> groups;
  int leased = 0;
  UtcTime first_end;
  for (const Candidate* candidate : matching) {
    const Hold hold = HoldFor(wish, *candidate);
    if (hold.kind == Hold::Kind::kLeased) {
      first_end = leased++ == 0 ? hold.until : std::min(first_end, hold.until);
      continue;
    }
    const auto group = std::ranges::find(groups, hold.text, &std::pair<std::string, int>::first);
    if (group == groups.end()) {
      groups.emplace_back(hold.text, 1);
    } else {
      ++group->second;
    }
  }
  std::string text = fmt::format("{} match{}: ", matching.size(), matching.size() == 1 ? "es" : "");
  std::string separator;
  if (leased > 0) {
    text += fmt::format("{} leased{} {}", leased, leased == 1 ? " until" : ", the first until", ClockText(first_end));
    separator = ", ";
  }
  for (const auto& [hold, count] : groups) {
    text += fmt::format("{}{} {}", separator, count, hold);
    separator = ", ";
  }
  return text;
}

std::string LaterText(size_t later) {
  return fmt::format("0 match now; {} may once an agent has reported its phone", later);
}

std::string UnseenText(const std::vector<std::string>& unseen_racks) {
  return fmt::format("nothing known matches; rack {} has not answered yet", fmt::join(unseen_racks, ", "));
}

Verdict Decide(const Wish& wish,
               const std::vector<Candidate>& candidates,
               const std::vector<std::string>& unseen_racks,
               bool explain_wait) {
  const Candidate* best = nullptr;
  std::vector<const Candidate*> matching;
  size_t later = 0;
  for (const Candidate& candidate : candidates) {
    if (!wish.selector.Matches(candidate.attributes)) {
      later += MayMatchLater(wish.selector, candidate) ? 1 : 0;
      continue;
    }
    matching.push_back(&candidate);
    if (!IsFreeFor(wish, candidate)) continue;
    if (best == nullptr || Better(candidate, *best)) best = &candidate;
  }
  if (best != nullptr) return {Verdict::Kind::kPlace, best->slot, ""};
  const bool never = matching.empty() && unseen_racks.empty() && later == 0;
  if (never) return {Verdict::Kind::kNever, {}, ExplainMismatch(wish.selector, candidates)};
  if (!explain_wait) return {};
  if (!matching.empty()) return {Verdict::Kind::kWait, {}, WaitReason(wish, matching)};
  return {Verdict::Kind::kWait, {}, unseen_racks.empty() ? LaterText(later) : UnseenText(unseen_racks)};
}

}  // namespace

std::string ClockText(UtcTime utc) {
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(utc.since_epoch).count();
  return fmt::format("{:02}:{:02} UTC", minutes / 60 % 24, minutes % 60);
}

Hold LeasedHold(const LeaseFacts& lease) {
  if (lease.purpose == Purpose::kJob) return Other("running a job");
  return {Hold::Kind::kLeased, "", lease.end_utc};
}

Hold HoldOf(const RackFacts& rack, const SlotFacts& slot) {
  if (!rack.reachable) return Other(fmt::format("on rack {} that does not answer", rack.rack));
  if (slot.health != Health::kGood) return Other(HealthText(slot));
  if (!slot.trip.empty()) return Other("tripped: " + slot.trip);
  if (slot.measured_age > kStale) return Other(WithReason("not answering", slot.reason));
  switch (slot.allocation) {
    case Allocation::kFree:
      return {};
    case Allocation::kLeased:
      return LeasedHold(slot.lease);
    case Allocation::kCleaning:
      return Other("being cleaned after the last holder");
    case Allocation::kUnknown:
      break;
  }
  return Other(WithReason("not ready", slot.reason));
}

Verdict Judge(const Wish& wish,
              const std::vector<Candidate>& candidates,
              const std::vector<std::string>& unseen_racks) {
  return Decide(wish, candidates, unseen_racks, true);
}

std::vector<Verdict> Place(const std::vector<const Wish*>& wishes,
                           std::vector<Candidate> candidates,
                           const std::vector<std::string>& unseen_racks) {
  std::vector<Verdict> verdicts;
  uint64_t last_arrival = 0;
  for (const Wish* wish : wishes) {
    FARADAY_CHECK(wish->arrival >= last_arrival);
    last_arrival = wish->arrival;
    verdicts.push_back(Decide(*wish, candidates, unseen_racks, false));
    if (verdicts.back().kind != Verdict::Kind::kPlace) continue;
    const auto taken = std::ranges::find(candidates, verdicts.back().slot, &Candidate::slot);
    taken->hold = Other("being granted to an earlier wish");
  }
  return verdicts;
}

}  // namespace faraday::lab
