#include "sim/plant/slot_physics.h"

#include <algorithm>
#include <array>

namespace faraday::sim {
namespace {

constexpr int kSwitchAndCableMilliohm = 120;       // chosen: switch 20, cable and contacts 100
constexpr int kSwitchLimitMa = 3500;               // what the switch gives into a short; chosen
constexpr int kShortMilliohm = 200;                // chosen
constexpr int kRiseUvPerMs = 1'000'000;            // 5 V in 5 ms (soft start); chosen
constexpr int kBleedUvPerMs = 50'000;              // 5 V in 100 ms: below 0.8 V well within the 1 s allowed; chosen
constexpr int kNoBleedUvPerMs = 1'250;             // 5 V in 4 s: the phone's own leakage alone; chosen
constexpr int kThinCableMilliohm = 1000;           // chosen: a worn connector; 4.59 V at 500 mA
constexpr int kLeakMa = 80;                        // chosen: a switch that is half broken
constexpr int kLeakMv = 2000;                      // chosen: what that leaves over the bleeder
constexpr int kAtTimesMs = 60;                     // chosen
constexpr int kAtTimesPeriodMs = 1000;             // chosen
constexpr int kBackFeedMv = 4200;                  // chosen
constexpr int kAttachMv = 4400;                    // USB 2.0 7.2.2: a device works down to 4.40 V
constexpr int kUsbHostMa = 500;                    // USB 2.0: a configured high-power device
constexpr int kChargePortMa = 1500;                // Battery Charging 1.2: charging port
constexpr int kFloatingMa = 500;                   // data lines open: most phones stay careful; chosen
constexpr int kTrickleMa = 60;                     // at 100 %: replaces what the pack loses; chosen
constexpr int kTaperFromPercent = 80;              // constant voltage begins; chosen
constexpr int kOperateMs = 10;                     // coil on to contact: RF relays 5 to 20 ms (rfessentials)
constexpr int kSlowMs = 800;                       // chosen: a weak coil or a worn armature
constexpr int kBounceMs = 15;                      // chosen: three times a small relay's (G5V-1: about 5 ms)
constexpr int kReleaseMs = 5;                      // Omron G5V-1 and G5LE: release at most 5 ms
constexpr int64_t kAmbientNanoC = 24'000'000'000;  // chosen
constexpr int64_t kNanoCPerMilliwatt = 2'000'000;  // tray air over ambient: 2 K per W; chosen
constexpr int64_t kTrayTauMs = 300'000;            // chosen
constexpr int64_t kHotNanoC = 65'000'000'000;      // chosen: beyond every limit
constexpr int64_t kHotNanoCPerMs = 2'000'000;      // 2 K/s; chosen
constexpr int64_t kWarmNanoC = 48'000'000'000;     // chosen: below the trip at 50 degC
constexpr int64_t kFastNanoCPerMs = 1'000'000;     // 1 K/s; chosen
constexpr int64_t kDriftNanoCPerMs = 80'000;       // 0.08 K/s, 4.8 K/min; chosen
// A pack's mAh are at about 3.85 V; the plant counts at 5 V and the charger loses some: 0.77 / 0.9.
constexpr int64_t kPackPermille = 855;

constexpr std::array<std::string_view, kSlotFaults> kFaultNames = {"short",
                                                                   "switch-shorted",
                                                                   "back-feed",
                                                                   "no-discharge",
                                                                   "relay-stuck",
                                                                   "hot-tray",
                                                                   "short-at-times",
                                                                   "switch-leaking",
                                                                   "open-cable",
                                                                   "thin-cable",
                                                                   "cuts-off",
                                                                   "relay-slow",
                                                                   "sense-open",
                                                                   "sense-bouncing",
                                                                   "tray-fast-rise",
                                                                   "sensor-stuck",
                                                                   "sensor-drifting"};

int64_t MoveTowards(int64_t from, int64_t to, int64_t most) {
  return from < to ? std::min(from + most, to) : std::max(from - most, to);
}

}  // namespace

SlotOutputs OutputsFromBits(uint8_t bits) {
  const auto bit = [bits](int at) { return ((bits >> at) & 1) != 0; };
  return {bit(0), bit(1), bit(2), bit(3), bit(4), bit(5), bit(6), bit(7)};
}

uint8_t ToBits(const SlotOutputs& o) {
  const std::array<bool, 8> pins = {
      o.vbus, o.data_enable, o.data_select, o.charge_mode, o.rf_relay, o.power_key, o.volume_key, o.led};
  unsigned bits = 0;
  for (size_t i = 0; i < pins.size(); ++i) bits |= pins[i] ? 1U << i : 0U;
  return static_cast<uint8_t>(bits);
}

std::string_view ToString(SlotFault fault) { return kFaultNames[static_cast<size_t>(fault)]; }

std::optional<SlotFault> ParseSlotFault(std::string_view name) {
  const auto found = std::find(kFaultNames.begin(), kFaultNames.end(), name);
  if (found == kFaultNames.end()) return std::nullopt;
  return static_cast<SlotFault>(found - kFaultNames.begin());
}

std::string_view ToString(RelayPosition position) {
  constexpr std::array<std::string_view, 3> kNames = {"isolated", "moving", "coupled"};
  return kNames[static_cast<size_t>(position)];
}

SlotPhysics::SlotPhysics(const Battery& battery) : tray_nano_c_(kAmbientNanoC), ambient_nano_c_(kAmbientNanoC) {
  SetBattery(battery);
}

void SlotPhysics::SetAmbient(int celsius) { ambient_nano_c_ = tray_nano_c_ = int64_t{celsius} * 1'000'000'000; }

void SlotPhysics::SetBattery(const Battery& battery) {
  battery_ = battery;
  battery_full_ma_ms_ = int64_t{battery.capacity_mah} * 3'600'000 * kPackPermille / 1000;
  // Half a percent more, so that it reads as asked for a while; 0 and 100 are exact.
  const int64_t permille = battery.percent == 0 ? 0 : std::min(battery.percent * 10 + 5, 1000);
  battery_ma_ms_ = battery_full_ma_ms_ * permille / 1000;
}

void SlotPhysics::SetFault(SlotFault fault, bool on) {
  const uint32_t mask = 1U << static_cast<unsigned>(fault);
  if (fault == SlotFault::kSensorStuck) sensor_held_deci_c_ = tray_deci_c();
  if (fault == SlotFault::kSensorDrifting) sensor_drift_nano_c_ = 0;
  if (fault == SlotFault::kShortAtTimes) at_times_ms_ = 0;
  faults_ = on ? faults_ | mask : faults_ & ~mask;
}

bool SlotPhysics::HasFault(SlotFault fault) const { return ((faults_ >> static_cast<unsigned>(fault)) & 1U) != 0; }

bool SlotPhysics::Conducts() const { return (outputs_.vbus && !cut_off_) || HasFault(SlotFault::kSwitchShorted); }

bool SlotPhysics::Shorted() const {
  return HasFault(SlotFault::kShort) || (HasFault(SlotFault::kShortAtTimes) && at_times_ms_ < kAtTimesMs);
}

int SlotPhysics::CableMilliohm() const {
  return kSwitchAndCableMilliohm + (HasFault(SlotFault::kThinCable) ? kThinCableMilliohm : 0);
}

bool SlotPhysics::relay_rests_isolated() const {
  if (HasFault(SlotFault::kSenseOpen) || relay_ != RelayPosition::kIsolated) return false;
  return !HasFault(SlotFault::kSenseBouncing) || bounce_left_ms_ % 2 == 0;
}

int SlotPhysics::tray_reading_deci_c() const {
  if (HasFault(SlotFault::kSensorStuck)) return sensor_held_deci_c_;
  return static_cast<int>((tray_nano_c_ + sensor_drift_nano_c_) / 100'000'000);
}

int SlotPhysics::battery_percent() const {
  const int percent = static_cast<int>(battery_ma_ms_ * 100 / battery_full_ma_ms_);
  return percent == 0 && battery_ma_ms_ > 0 ? 1 : percent;  // 0 means empty and nothing else
}

SlotSide SlotPhysics::Side() const {
  const bool cable = !HasFault(SlotFault::kOpenCable);
  const bool to_host = outputs_.data_enable && !outputs_.charge_mode && cable;
  return {.present = present_,
          .vbus = vbus_mv() >= kAttachMv && cable,
          .data_host = to_host ? (outputs_.data_select ? 1 : 0) : -1,
          .charge_port = outputs_.charge_mode,
          .battery_percent = battery_percent()};
}

int SlotPhysics::InputLimitMa() const {
  if (outputs_.charge_mode) return kChargePortMa;
  return outputs_.data_enable ? kUsbHostMa : kFloatingMa;
}

// What the pack takes: constant current up to 80 %, then falling in a straight line.
int SlotPhysics::ChargeLimitMa() const {
  const int permille = static_cast<int>(battery_ma_ms_ * 1000 / battery_full_ma_ms_);
  const int over = permille - kTaperFromPercent * 10;
  if (over <= 0) return battery_.max_charge_ma;
  const int span = 1000 - kTaperFromPercent * 10;
  return std::max(kTrickleMa, battery_.max_charge_ma * (span - over) / span);
}

int SlotPhysics::PhoneCurrentMa() const {
  if (!present_ || vbus_mv() < kAttachMv || HasFault(SlotFault::kOpenCable)) return 0;
  return std::min(InputLimitMa(), draw_.system_ma + ChargeLimitMa());
}

int SlotPhysics::LoadMa() const { return PhoneCurrentMa() + (vbus_mv() >= kAttachMv ? test_load_ma_ : 0); }

// A latch of the part itself: only its pin ends it.
void SlotPhysics::StepLatch(int dt_ms) {
  if (!outputs_.vbus) cut_off_ = false;
  if (outputs_.vbus && HasFault(SlotFault::kCutsOff)) cut_off_ = true;
  at_times_ms_ = (at_times_ms_ + dt_ms) % kAtTimesPeriodMs;
}

void SlotPhysics::StepOff(int dt_ms) {
  const bool leaks = HasFault(SlotFault::kSwitchLeaking);
  vbus_ma_ = leaks ? kLeakMa : 0;
  int64_t floor = leaks ? kLeakMv * 1000 : 0;
  if (HasFault(SlotFault::kBackFeed)) floor = kBackFeedMv * 1000;
  const int64_t fall = HasFault(SlotFault::kNoDischarge) ? kNoBleedUvPerMs : kBleedUvPerMs;
  vbus_uv_ = Shorted() ? 0 : MoveTowards(vbus_uv_, floor, (vbus_uv_ < floor ? int64_t{kRiseUvPerMs} : fall) * dt_ms);
}

void SlotPhysics::StepVbus(int dt_ms, int rail_mv) {
  if (!Conducts()) return StepOff(dt_ms);
  if (Shorted()) {
    vbus_ma_ = std::min(kSwitchLimitMa, rail_mv * 1000 / (CableMilliohm() + kShortMilliohm));
    vbus_uv_ = int64_t{vbus_ma_} * kShortMilliohm;
    return;
  }
  vbus_ma_ = std::min(LoadMa(), kSwitchLimitMa);
  const int64_t target = int64_t{rail_mv} * 1000 - int64_t{vbus_ma_} * CableMilliohm();
  vbus_uv_ = MoveTowards(vbus_uv_, std::max<int64_t>(target, 0), int64_t{kRiseUvPerMs} * dt_ms);
}

void SlotPhysics::StepBattery(int dt_ms) {
  const int used = present_ && draw_.running ? draw_.system_ma : 0;
  const int fed =
      Shorted() || !Conducts() || HasFault(SlotFault::kOpenCable) ? 0 : std::max(vbus_ma_ - test_load_ma_, 0);
  charge_ma_ = fed - used;
  battery_ma_ms_ = std::clamp<int64_t>(battery_ma_ms_ + int64_t{charge_ma_} * dt_ms, 0, battery_full_ma_ms_);
}

void SlotPhysics::StepRelay(int dt_ms) {
  bounce_left_ms_ = std::max(bounce_left_ms_ - dt_ms, 0);
  if (HasFault(SlotFault::kRelayStuck)) return;
  const auto wanted = outputs_.rf_relay ? RelayPosition::kCoupled : RelayPosition::kIsolated;
  if (relay_ != RelayPosition::kMoving ? relay_ == wanted : relay_target_coupled_ == outputs_.rf_relay) {
    if (relay_ != RelayPosition::kMoving) return;
    relay_left_ms_ -= dt_ms;
    if (relay_left_ms_ > 0) return;
    relay_ = wanted;
    bounce_left_ms_ = kBounceMs;
    ++relay_moves_;
    return;
  }
  relay_ = RelayPosition::kMoving;
  relay_target_coupled_ = outputs_.rf_relay;
  relay_left_ms_ = outputs_.rf_relay ? kOperateMs : kReleaseMs;
  if (HasFault(SlotFault::kRelaySlow)) relay_left_ms_ = kSlowMs;
}

void SlotPhysics::StepTray(int dt_ms) {
  if (HasFault(SlotFault::kSensorDrifting)) sensor_drift_nano_c_ += kDriftNanoCPerMs * dt_ms;
  if (HasFault(SlotFault::kHotTray)) {
    tray_nano_c_ = MoveTowards(tray_nano_c_, kHotNanoC, kHotNanoCPerMs * dt_ms);
    return;
  }
  if (HasFault(SlotFault::kTrayFastRise)) {
    tray_nano_c_ = MoveTowards(tray_nano_c_, kWarmNanoC, kFastNanoCPerMs * dt_ms);
    return;
  }
  const int64_t milliwatts = int64_t{vbus_mv()} * vbus_ma_ / 1000;
  const int64_t target = ambient_nano_c_ + milliwatts * kNanoCPerMilliwatt;
  tray_nano_c_ += (target - tray_nano_c_) * dt_ms / kTrayTauMs;
}

void SlotPhysics::Step(int dt_ms, int rail_mv) {
  StepLatch(dt_ms);
  StepVbus(dt_ms, rail_mv);
  StepBattery(dt_ms);
  StepRelay(dt_ms);
  StepTray(dt_ms);
}

}  // namespace faraday::sim
