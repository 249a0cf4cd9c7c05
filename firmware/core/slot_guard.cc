#include "firmware/core/slot_guard.h"

#include <algorithm>

namespace faraday::firmware {

using link::TripReason;

// Once found shorted it stays so until a person clears it.
Finding SlotGuard::JudgeOff(uint32_t ma, uint32_t off_ms) {
  if (shorted()) return {};
  const bool flows = ma > kShortedMa && off_ms >= kOffSettleMs;
  shorted_samples_ = flows ? static_cast<uint8_t>(shorted_samples_ + 1) : uint8_t{0};
  if (!shorted()) return {};
  return {TripReason::kSwitchShorted, ma, kShortedMa};
}

// IEC 60255-151's extremely inverse form, t = 10 s / ((I/S)^2 - 1), summed up sample by sample; below S it cools by the
// same law. Rounded towards sooner. 9 A^2 x kFreshMs fits in 32 bits.
void SlotGuard::Heat(uint32_t ma, uint32_t gap_ms, uint32_t soft_ma) {
  const uint32_t own = std::min(ma, kCeilings.slot_ma) * std::min(ma, kCeilings.slot_ma);
  const uint32_t soft = soft_ma * soft_ma;
  const uint32_t ms = std::min(gap_ms, kFreshMs);
  if (own > soft)
    heat_ = std::min(heat_ + ((own - soft) * ms + kHeatUnit - 1) / kHeatUnit, kMostHeat);
  else
    heat_ = Sink(heat_, (soft - own) * ms / kHeatUnit);
}

Finding SlotGuard::OnCurrent(
    uint32_t ma, uint32_t gap_ms, const VbusSwitch& vbus, const SlotConfig& slot, const Ceilings& most) {
  unseen_ms_ = 0;
  const uint32_t soft_ma = slot.soft_limit_ma;
  Heat(ma, gap_ms, soft_ma);
  over_soft_ = vbus.out() && ma > soft_ma && soft_ma < slot.limit_ma;
  if (!vbus.out()) return JudgeOff(ma, vbus.since_ms());
  if (!shorted()) shorted_samples_ = 0;
  const uint32_t limit = vbus.since_ms() < kInrushMs ? most.slot_ma : slot.limit_ma;
  if (ma > limit) return {TripReason::kOverCurrent, ma, limit};
  if (over_soft_ && heat_ >= soft_ma * soft_ma / kHeatUnit * kSoftTripMs)
    return {TripReason::kOverCurrent, ma, soft_ma};
  return {};
}

int32_t SlotGuard::RiseDeciK(int32_t deci_c) const { return deci_c - *std::ranges::min_element(coldest_); }

// One sample is enough for the limit; a rise takes two, and so does what it counts from, for one odd sample, warm or
// cold, would stop a shelf.
Finding SlotGuard::OnTemperature(int32_t deci_c, uint32_t trip_deci_c) {
  coldest_[0] = static_cast<int16_t>(std::min<int32_t>(coldest_[0], std::max<int32_t>(last_deci_c_, deci_c)));
  last_deci_c_ = static_cast<int16_t>(deci_c);
  const int32_t rise = RiseDeciK(deci_c);
  const bool fast = rise >= kFastRiseDeciK;
  rise_samples_ = fast ? static_cast<uint8_t>(std::min(rise_samples_ + 1, int{kRiseSamples})) : uint8_t{0};
  if (deci_c >= static_cast<int32_t>(trip_deci_c)) {
    return {TripReason::kOverTemperature, static_cast<uint32_t>(deci_c), trip_deci_c};
  }
  if (rise_samples_ < kRiseSamples) return {};
  return {TripReason::kFastRise, static_cast<uint32_t>(rise), static_cast<uint32_t>(kFastRiseDeciK)};
}

// The coldest of the last 60 to 80 s. A sensor that was silent for that long starts anew.
void SlotGuard::MoveWindow(uint32_t uptime_ms) {
  const auto window = static_cast<uint16_t>(uptime_ms / kRiseWindowMs);
  for (size_t i = 0; i < coldest_.size() && window_ != window; ++i) {
    std::copy_backward(coldest_.begin(), coldest_.end() - 1, coldest_.end());
    coldest_[0] = kNone;
    ++window_;
  }
  window_ = window;
}

Finding SlotGuard::Advance(uint32_t dt, bool watched, uint32_t uptime_ms) {
  MoveWindow(uptime_ms);
  unseen_ms_ = watched ? static_cast<uint16_t>(std::min(unseen_ms_ + dt, kStaleMs)) : uint16_t{0};
  if (unseen_ms_ < kStaleMs) return {};
  return {TripReason::kStaleSensor, 0, kStaleReads};
}

bool SlotGuard::Latch(TripReason reason) {
  const bool heat = reason == TripReason::kOverTemperature || reason == TripReason::kFastRise;
  const bool first = !tripped();
  const bool news = first || (heat && !hot_);
  if (first) reason_ = reason;
  hot_ = hot_ || heat;
  return news;
}

bool SlotGuard::Clear(int32_t deci_c, uint32_t trip_deci_c) {
  if (thermal() && deci_c > static_cast<int32_t>(trip_deci_c) - kTrayHysteresisDeciK) return false;
  reason_ = TripReason::kNone;
  hot_ = false;
  shorted_samples_ = rise_samples_ = 0;
  coldest_.fill(kNone);  // a rise counts from here
  last_deci_c_ = kNone;
  return true;
}

}  // namespace faraday::firmware
