#include "sim/plant/plant.h"

#include <algorithm>

#include "base/check.h"

namespace faraday::sim {
namespace {

constexpr int kRailMv = 5150;         // unloaded: leaves room for the drop to the slot; chosen
constexpr int kRailMicroohm = 8'000;  // supply and bus bar; chosen
constexpr int kRailLimitMa = 30'000;  // beyond it the supply folds back; chosen
constexpr int kFoldedMv = 3000;       // chosen: below what a phone takes
constexpr uint32_t kStepMs = 100;     // chosen: battery and heat are linear within it

int RailMv(int load_ma) {
  if (load_ma > kRailLimitMa) return kFoldedMv;
  return kRailMv - load_ma * (kRailMicroohm / 1000) / 1000;
}

}  // namespace

Plant::Plant(const std::vector<int>& slot_rails) : slots_(slot_rails.size()), slot_rails_(slot_rails) {
  int rails = 1;
  for (int rail : slot_rails) {
    FARADAY_CHECK(rail >= 0);
    rails = std::max(rails, rail + 1);
  }
  rail_mv_.assign(static_cast<size_t>(rails), kRailMv);
}

int Plant::rail_mv(size_t slot_index) const { return rail_mv_[static_cast<size_t>(slot_rails_[slot_index])]; }

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
  for (int& rail : rail_mv_) rail = RailMv(rail);
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
