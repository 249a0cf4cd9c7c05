#include "agent/core/rack_owners.h"

#include "base/log.h"
#include "model/slot_id.h"

namespace faraday::agent {
namespace {

constexpr size_t kShown = 40;  // chosen: of a name that is no slot

// "" for a name that is not exactly as slots are written.
std::string RackOfSlot(const std::string& name) {
  const auto slot = model::ParseSlotId(name);
  return slot.ok() && model::ToString(*slot) == name ? slot->rack : "";
}

}  // namespace

int RackOwners::Add(const std::string& endpoint) {
  controllers_.push_back({endpoint, "", false});
  return static_cast<int>(controllers_.size()) - 1;
}

bool RackOwners::IsOfAnother(int controller, const std::string& rack) const {
  for (size_t i = 0; i < controllers_.size(); ++i) {
    if (static_cast<int>(i) == controller) continue;
    const std::string listed = rack_at_(controllers_[i].endpoint);
    if ((listed.empty() ? controllers_[i].rack : listed) == rack) return true;
  }
  return false;
}

std::string RackOwners::RackOf(int controller, const std::string& named) {
  Controller& own = controllers_[static_cast<size_t>(controller)];
  const std::string listed = rack_at_(own.endpoint);
  if (!listed.empty()) return own.rack = listed;
  if (own.rack.empty()) own.rack = named;
  if (IsOfAnother(controller, own.rack)) own.rack.clear();
  return own.rack;
}

std::vector<SlotWish> RackOwners::OwnOf(int controller, std::vector<SlotWish> slots) {
  const std::string rack = RackOf(controller, slots.empty() ? "" : RackOfSlot(slots.front().slot));
  std::vector<SlotWish> own;
  std::string first_out;
  for (SlotWish& slot : slots) {
    if (!rack.empty() && own.size() < kMostSlotsASync && RackOfSlot(slot.slot) == rack) {
      own.push_back(std::move(slot));
    } else if (first_out.empty()) {
      first_out = "'" + slot.slot.substr(0, kShown) + "'";
    }
  }
  Controller& by = controllers_[static_cast<size_t>(controller)];
  if (first_out.empty() || by.said) return own;
  by.said = true;
  log::Error(
      "controller {}: slot {} and whatever else is not of {} is not believed; check that controller and the "
      "lab's list of racks",
      by.endpoint,
      first_out,
      rack.empty() ? "a rack of its own" : "its rack " + rack);
  return own;
}

}  // namespace faraday::agent
