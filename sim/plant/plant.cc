#include "sim/plant/plant.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace faraday::sim {
namespace {

constexpr int kRailMv = 5150;         // unloaded: leaves room for the drop to the slot; chosen
constexpr int kRailMicroohm = 8'000;  // supply and bus bar; chosen
constexpr int kRailLimitMa = 30'000;  // beyond it the supply folds back; chosen
constexpr int kFoldedMv = 3000;       // chosen: below what a phone takes
constexpr int kSagMv = 300;           // chosen
constexpr int kOverMv = 500;          // chosen
constexpr uint32_t kStepMs = 100;     // chosen: battery and heat are linear within it

int RailMv(int load_ma) {
  if (load_ma > kRailLimitMa) return kFoldedMv;
  return kRailMv - load_ma * (kRailMicroohm / 1000) / 1000;
}

int Broken(int rail_mv, RailFault fault) {
  if (fault == RailFault::kSag) return rail_mv - kSagMv;
  if (fault == RailFault::kOver) return rail_mv + kOverMv;
  return fault == RailFault::kDead ? 0 : rail_mv;
}

}  // namespace

std::string_view ToString(RailFault fault) {
  constexpr std::array<std::string_view, kRailFaults> kNames = {"ok", "sag", "over", "dead", "psu-lost"};
  return kNames[static_cast<size_t>(fault)];
}

Plant::Plant(const std::vector<int>& slot_rails) : slots_(slot_rails.size()), slot_rails_(slot_rails) {
  int rails = 1;
  for (int rail : slot_rails) {
    FARADAY_CHECK(rail >= 0);
    rails = std::max(rails, rail + 1);
  }
  rail_mv_.assign(static_cast<size_t>(rails), kRailMv);
  rail_faults_.assign(static_cast<size_t>(rails), RailFault::kNone);
}

int Plant::rail_mv(size_t slot_index) const { return rail_mv_[static_cast<size_t>(slot_rails_[slot_index])]; }

void Plant::SetRailFault(size_t rail, RailFault fault) {
  FARADAY_CHECK(rail < rail_faults_.size());
  rail_faults_[rail] = fault;
}

bool Plant::psu_lost(size_t slot_index) const {
  return rail_faults_[static_cast<size_t>(slot_rails_[slot_index])] == RailFault::kPsuLost;
}

void Plant::SetAmbient(int celsius) {
  for (SlotPhysics& slot : slots_) slot.SetAmbient(celsius);
}

void Plant::SetInput(int pin, bool level) {
  FARADAY_CHECK(pin >= 0 && pin < 32);
  const uint32_t mask = 1U << static_cast<unsigned>(pin);
  inputs_ = level ? inputs_ | mask : inputs_ & ~mask;
}

uint32_t Plant::relay_senses() const {
  uint32_t senses = 0;
  for (size_t i = 0; i < slots_.size(); ++i) senses |= slots_[i].relay_rests_isolated() ? 1U << i : 0U;
  return senses;
}

void Plant::Step(int dt_ms) {
  std::vector<int>& loads = rail_mv_;  // first the loads, then what they leave
  std::fill(loads.begin(), loads.end(), 0);
  for (size_t i = 0; i < slots_.size(); ++i) loads[static_cast<size_t>(slot_rails_[i])] += slots_[i].vbus_ma();
  for (size_t i = 0; i < rail_mv_.size(); ++i) rail_mv_[i] = Broken(RailMv(rail_mv_[i]), rail_faults_[i]);
  for (size_t i = 0; i < slots_.size(); ++i) slots_[i].Step(dt_ms, rail_mv(i));
}

void Plant::AdvanceTo(uint32_t now_ms) {
  if (!started_) last_ms_ = now_ms;
  started_ = true;
  for (uint32_t left = now_ms - last_ms_; left > 0;) {
    const uint32_t dt = std::min(left, kStepMs);
    Step(static_cast<int>(dt));
    left -= dt;
  }
  last_ms_ = now_ms;
}

}  // namespace faraday::sim
