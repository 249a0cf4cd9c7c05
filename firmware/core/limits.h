// The numbers that protect phones and people, in one place. The host can only tighten the ceilings.
#pragma once

#include <cstdint>

#include "link/messages.h"

namespace faraday::firmware {

// What a Configure may at most (or at least) ask for.
struct Ceilings {
  uint32_t slot_ma = 3000;    // USB-C without power delivery: 5 V, 3 A
  uint32_t rail_ma = 20'000;  // chosen: one 100 W supply at 5 V
  uint32_t rack_ma = 20'000 * link::kMaxRails;
  uint32_t stagger_min_ms = 50;             // chosen: an inrush of a few ms, with room
  uint32_t min_off_ms = 500;                // chosen: VBUS bleeds below 0.8 V before it comes back
  uint32_t host_silent_ms = 60'000;         // chosen
  uint32_t host_silent_max_ms = 3'600'000;  // chosen
  uint32_t timer_max_ms = 0x7FFF'FFFF;      // the charge duty's longest times
  uint32_t min_on_ms = 200;                 // USB 2.0 7.1.7.3: attach debounce is 100 ms, so the host saw it
  uint32_t tray_warn_deci_c = 400;          // design section 10
  uint32_t host_silent_min_ms = 1000;       // chosen: keepalives come each second
  uint32_t wait_max_ms = 60'000;            // chosen: the longest stagger and minimum times
  uint32_t rail_least_mv = 4900;            // chosen: below it a rail sags
  uint32_t tray_trip_deci_c = 500;          // design section 10
};
inline constexpr Ceilings kCeilings;

inline constexpr uint32_t kDefaultRelayWarnCount = 1'000'000;  // chosen: a tenth of a small relay's mechanical life

// What a Configure means by 0 where 0 makes no sense.
inline constexpr uint32_t kDefaultHostSilentMs = 10'000;
inline constexpr uint32_t kDefaultHostSilentMaxMs = 600'000;
inline constexpr uint32_t kDefaultChargeOnMs = 20 * 60'000;
inline constexpr uint32_t kDefaultChargePeriodMs = 120 * 60'000;

// VBUS truth: USB 2.0 7.2.2 (high-power port 4.75 V) and Type-C vSafe5V (5.5 V), vSafe0V (0.8 V).
inline constexpr uint32_t kVbusOnMinMv = 4750;
inline constexpr uint32_t kVbusOnMaxMv = 5500;
inline constexpr uint32_t kVbusOffMaxMv = 800;
constexpr bool IsOn(uint32_t mv) { return mv >= kVbusOnMinMv && mv <= kVbusOnMaxMv; }
constexpr bool IsOff(uint32_t mv) { return mv < kVbusOffMaxMv; }

inline constexpr uint32_t kVerifyMs = 1200;     // chosen: the answer is due 1500 ms after acting; off takes up to 1000
inline constexpr uint32_t kAnswerMs = 1500;     // the promise of a CommandDone after acting
inline constexpr uint32_t kOffSettleMs = 1000;  // off means below 0.8 V within 1 s
inline constexpr uint32_t kDataOpenMs = 500;    // data lines open between two paths, so that a host sees the unplug
inline constexpr uint32_t kGrantFreshMs = 10;   // chosen: a turn-on that reaches its part later has lost its turn
inline constexpr uint32_t kInrushMs = 20;       // chosen: the slot's own limit is judged from here on
inline constexpr uint32_t kShortedMa = 50;      // current while off that is no measuring error (3 mA a step)
inline constexpr uint8_t kShortedSamples = 3;   // chosen: one odd sample is not a fault
inline constexpr uint32_t kBackFeedMv = 4000;   // chosen: above it something feeds the line, below it decays
inline constexpr uint32_t kBackFeedMs = 5000;   // chosen: no bleeder takes that long
inline constexpr int32_t kTrayHysteresisDeciK = 50;  // design section 10
inline constexpr int32_t kFastRiseDeciK = 100;       // chosen: 3 A at 2 K/W and 300 s warm the tray by 7.0 K in 80 s
inline constexpr size_t kRiseWindows = 4;            // within 60 to 80 s
inline constexpr uint32_t kRiseWindowMs = 20'000;
inline constexpr uint8_t kRiseSamples = 2;          // chosen: one odd sample does not take a shelf off
inline constexpr uint32_t kSoftTripMs = 10'000;     // chosen: t = 10 s / ((I/S)^2 - 1), IEC 60255-151 extremely inverse
inline constexpr uint32_t kHeatUnit = 256;          // mA^2 ms, so that the sum fits in 32 bits
inline constexpr uint32_t kMostHeat = 400'000'000;  // above S = 3 A's trip
inline constexpr uint32_t kStaleReads = 3;          // failed reads of the monitor in a row: drivers/rack_app.h
inline constexpr uint32_t kJudgeEveryMs = 100;      // chosen: voltages are read in 32 ms, expanders in 64 ms
inline constexpr uint8_t kLowJudgements = 8;        // and two more: VBUS is low for a second before it is called so
inline constexpr uint32_t kRelayMoveMs = 100;       // chosen: travel and bounce of a small relay is below 20 ms
inline constexpr uint32_t kRelayStuckMs = 500;      // chosen
inline constexpr uint32_t kStaleMs = 1000;          // chosen: on without a current sample for this long is a trip
inline constexpr uint32_t kFreshMs = 300;           // three full scans of voltages
inline constexpr uint32_t kTemperatureFreshMs = 3000;
inline constexpr uint32_t kLongestSampleMs = 10;    // chosen: one look at a pin or a rail stands for no more
inline constexpr uint32_t kLongestPassMs = 50;      // chosen: a pass takes a few ms; longer ones saw no sensor, no byte
inline constexpr uint32_t kReadBackSettleMs = 100;  // chosen: a write reaches the part within one pass
inline constexpr uint8_t kLostReadBacks = 2;        // chosen: one odd read-back does not turn VBUS off
inline constexpr uint32_t kReadBackFreshMs =
    1000;                                        // chosen: all parts are read in 64 ms, unless the stop pin holds them
inline constexpr uint32_t kPsuLostMs = 20;       // chosen: a supply holds up longer than a glitch on the line
inline constexpr uint32_t kRailBackMs = 1000;    // chosen: good for this long is good again
inline constexpr uint32_t kRailSagMs = 50;       // chosen: inrush is over by then
inline constexpr uint32_t kRailSagOverMv = 50;   // chosen hysteresis
inline constexpr uint32_t kShedEveryMs = 100;    // chosen: a rail's voltage shows what the last one brought
inline constexpr uint32_t kSagPauseMs = 60'000;  // chosen: until a rail that sagged takes one back; doubles a sag
inline constexpr uint32_t kSagPauseMaxMs = 600'000;
inline constexpr uint32_t kSagWaitMs = 5000;    // chosen: shed four charging slots, and good for a second again
inline constexpr uint8_t kMostSags = 5;         // 1, 2, 4, 8, 10 min
inline constexpr uint32_t kRailUnseenMs = 500;  // chosen: a rail is measured several times a second
inline constexpr uint8_t kRailSagSamples = 2;   // chosen: one odd sample is no sag
inline constexpr uint32_t kBusLostMs = 500;     // chosen: a hang that a recovery frees is no condition
inline constexpr uint32_t kBusGraceMs = 2000;   // chosen: slots on a lost bus stay on this long, unwatched
inline constexpr uint32_t kCycleOffMaxMs = 600'000;
inline constexpr uint32_t kInputDebounceMs = 30;  // chosen
inline constexpr uint32_t kTelemetryMs = 100;
inline constexpr uint8_t kBriefTelemetries = 10;  // chosen: what passed is told so often at least, telemetry gets lost
inline constexpr size_t kFirstRackInput = 32;     // bits 0-31 of the inputs are relay senses

}  // namespace faraday::firmware
