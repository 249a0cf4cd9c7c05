// What turns one slot off by itself and stays latched: over-current, inverse time, short, heat, fast rise, a monitor
// that says nothing, the hot-swap part's own cut. It judges; Slot acts. Curves and numbers:
// docs/reference/protection.md.
//
// Pure, main loop only, 28 bytes a slot.
#pragma once

#include <array>
#include <cstdint>

#include "firmware/core/board_config.h"
#include "firmware/core/outputs.h"

namespace faraday::firmware {

// Why to trip, in the fields of Tripped; reason kNone: nothing found.
struct Finding {
  link::TripReason reason = link::TripReason::kNone;
  uint32_t value = 0;
  uint32_t limit = 0;
};

class SlotGuard {
 public:
  // Samples in mA and 0.1 degC. `gap_ms`: since the current sample before.
  Finding OnCurrent(uint32_t ma, uint32_t gap_ms, const VbusSwitch& vbus, const SlotConfig& slot, const Ceilings& most);
  Finding OnTemperature(int32_t deci_c, uint32_t trip_deci_c);
  // The monitor failed three reads in a row, or is another part.
  static Finding OnMonitorMissing() { return {link::TripReason::kStaleSensor, kStaleReads, kStaleReads}; }
  static Finding OnHotSwapOff(uint32_t status) { return {link::TripReason::kHotSwap, status, 0}; }
  // `watched`: on, with a monitor, and its bus works. Else nobody is to blame for missing samples.
  Finding Advance(uint32_t dt, bool watched, uint32_t uptime_ms);

  // The first reason is kept, and heat besides whatever the first was. False: nothing new.
  bool Latch(link::TripReason reason);
  // False: the cause is still there (tray too hot).
  bool Clear(int32_t deci_c, uint32_t trip_deci_c);

  link::TripReason reason() const { return reason_; }
  bool tripped() const { return reason_ != link::TripReason::kNone; }
  // Heat: not one slot's matter, its whole shelf's.
  bool thermal() const { return hot_; }
  bool shorted() const { return shorted_samples_ == kShortedSamples; }
  bool over_soft_limit() const { return over_soft_; }

 private:
  static constexpr int16_t kNone = 0x7FFF;
  Finding JudgeOff(uint32_t ma, uint32_t off_ms);
  void Heat(uint32_t ma, uint32_t gap_ms, uint32_t soft_ma);
  int32_t RiseDeciK(int32_t deci_c) const;
  void MoveWindow(uint32_t uptime_ms);

  uint32_t heat_ = 0;                                                      // sum of (I^2 - S^2) dt in kHeatUnit mA^2 ms
  std::array<int16_t, kRiseWindows> coldest_{kNone, kNone, kNone, kNone};  // 0.1 degC; this window's first
  int16_t last_deci_c_ = kNone;
  uint16_t window_ = 0;
  uint16_t unseen_ms_ = 0;  // watched, without a current sample
  link::TripReason reason_ = link::TripReason::kNone;
  uint8_t shorted_samples_ = 0;
  uint8_t rise_samples_ = 0;
  bool over_soft_ = false;
  bool hot_ = false;
};

}  // namespace faraday::firmware
