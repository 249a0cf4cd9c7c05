// Who gets which slot: first come, first served, on free matching slots. Pure: facts in, verdicts out.
//
// A later wish passes an earlier one only when the earlier one matches nothing that is free now. Among free matching
// slots those whose phone was seen come first, then the least recently used, then the lowest slot id.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lab/core/attributes.h"
#include "lab/core/facts.h"
#include "model/selector.h"

namespace faraday::lab {

// Why a slot cannot be placed on now. `text` is what people read after the count: "quarantined: relay stuck".
struct Hold {
  enum class Kind { kNone, kLeased, kOther };
  Kind kind = Kind::kNone;
  std::string text;
  UtcTime until;  // kLeased
};

// A slot as placement sees it.
struct Candidate {
  model::SlotId slot;
  model::Attributes attributes;
  const SlotFacts* facts = nullptr;  // outlives the candidate
  Hold hold;                         // for every wish
  bool has_phone = false;
  uint64_t last_used = 0;  // grows with use; 0: never
};

struct Wish {
  uint64_t arrival = 0;
  model::Selector selector;
  bool needs_phone = true;
  bool needs_host = false;  // jobs: a computer must reach it
};

struct Verdict {
  enum class Kind { kPlace, kWait, kNever };
  Kind kind = Kind::kWait;
  model::SlotId slot;  // kPlace
  std::string reason;  // kNever, and kWait when asked for: plain words
};

// Of a slot that this lease holds.
Hold LeasedHold(const LeaseFacts& lease);

// What the facts alone say about a slot; `rack` is its rack.
Hold HoldOf(const RackFacts& rack, const SlotFacts& slot);

// The verdict on one wish. `unseen_racks` names the racks that never answered: while there is one, nothing is "never".
Verdict Judge(const Wish& wish, const std::vector<Candidate>& candidates, const std::vector<std::string>& unseen_racks);

// Chooses for every wish in turn (REQUIRES: sorted by arrival); a slot given to one is held for the later ones.
// Returns verdicts in the order of `wishes`; why one waits is not worked out here, Judge() says it when asked.
std::vector<Verdict> Place(const std::vector<const Wish*>& wishes,
                           std::vector<Candidate> candidates,
                           const std::vector<std::string>& unseen_racks);

// "14:20 UTC": the day is left out, leases last hours.
std::string ClockText(UtcTime utc);

}  // namespace faraday::lab
