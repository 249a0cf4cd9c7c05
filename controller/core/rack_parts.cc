#include "controller/core/rack_parts.h"

#include <fmt/core.h>

#include <algorithm>

#include "controller/core/words.h"
#include "model/slot_id.h"

namespace faraday::controller {

std::string RackParts::NameOf(int slot) const { return model::ToString(model::SlotId{config.rack, slot}); }

uint32_t RackParts::Witness(int slot) const {
  return std::max(BoardOf(slot).firmware_epoch(SlotOf(slot).board_slot), agents.EpochSeen(slot));
}

std::string RackParts::HeldTextOf(int slot, Now now) const {
  return HeldText(NameOf(slot), book.at(slot), book.LeftOf(slot, now), now);
}

std::string RackParts::AgentOfHost(const std::string& host) const {
  for (const auto& known : config.hosts) {
    if (known.name == host) return known.agent.empty() ? known.name : known.agent;
  }
  return {};
}

std::string RackParts::FirstAgentOf(int slot) const {
  const auto& hosts = SlotOf(slot).hosts;
  return hosts.empty() ? std::string() : AgentOfHost(hosts.front().host);
}

int RackParts::SlotAt(int board, int board_slot) const {
  for (const auto& slot : config.slots) {
    if (slot.board == board && slot.board_slot == board_slot) return slot.number;
  }
  return 0;
}

Result<int> RackParts::FindSlot(const std::string& name) const {
  FARADAY_TRY_ASSIGN(const model::SlotId id, model::ParseSlotId(name));
  const int count = static_cast<int>(config.slots.size());
  if (id.rack == config.rack && id.number >= 1 && id.number <= count) return id.number;
  return Status{Code::kNotFound,
                fmt::format("no slot {} here: this controller has {} to {}", name, NameOf(1), NameOf(count))};
}

}  // namespace faraday::controller
