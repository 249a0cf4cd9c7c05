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
constexpr int kBackFeedMv = 4200;                  // chosen
constexpr int kAttachMv = 4400;                    // USB 2.0 7.2.2: a device works down to 4.40 V
constexpr int kUsbHostMa = 500;                    // USB 2.0: a configured high-power device
constexpr int kChargePortMa = 1500;                // Battery Charging 1.2: charging port
constexpr int kFloatingMa = 500;                   // data lines open: most phones stay careful; chosen
constexpr int kTrickleMa = 60;                     // at 100 %: replaces what the pack loses; chosen
constexpr int kTaperFromPercent = 80;              // constant voltage begins; chosen
constexpr int kOperateMs = 10;                     // coil on to contact: RF relays 5 to 20 ms (rfessentials)
constexpr int kReleaseMs = 5;                      // Omron G5V-1 and G5LE: release at most 5 ms
constexpr int64_t kAmbientNanoC = 24'000'000'000;  // chosen
constexpr int64_t kNanoCPerMilliwatt = 2'000'000;  // tray air over ambient: 2 K per W; chosen
constexpr int64_t kTrayTauMs = 300'000;            // chosen
constexpr int64_t kHotNanoC = 65'000'000'000;      // chosen: beyond every limit
constexpr int64_t kHotNanoCPerMs = 2'000'000;      // 2 K/s; chosen
// A pack's mAh are at about 3.85 V; the plant counts at 5 V and the charger loses some: 0.77 / 0.9.
constexpr int64_t kPackPermille = 855;

constexpr std::array<std::string_view, kSlotFaults> kFaultNames = {
    "short", "switch-shorted", "back-feed", "no-discharge", "relay-stuck", "hot-tray"};

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

SlotPhysics::SlotPhysics(const Battery& battery) : tray_nano_c_(kAmbientNanoC) { SetBattery(battery); }

void SlotPhysics::SetBattery(const Battery& battery) {
  battery_ = battery;
  battery_full_ma_ms_ = int64_t{battery.capacity_mah} * 3'600'000 * kPackPermille / 1000;
  // Half a percent more, so that it reads as asked for a while; 0 and 100 are exact.
  const int64_t permille = battery.percent == 0 ? 0 : std::min(battery.percent * 10 + 5, 1000);
  battery_ma_ms_ = battery_full_ma_ms_ * permille / 1000;
}

void SlotPhysics::SetFault(SlotFault fault, bool on) {
  const uint32_t mask = 1U << static_cast<unsigned>(fault);
  faults_ = on ? faults_ | mask : faults_ & ~mask;
}

bool SlotPhysics::HasFault(SlotFault fault) const { return ((faults_ >> static_cast<unsigned>(fault)) & 1U) != 0; }

bool SlotPhysics::Conducts() const { return outputs_.vbus || HasFault(SlotFault::kSwitchShorted); }

int SlotPhysics::battery_percent() const {
  const int percent = static_cast<int>(battery_ma_ms_ * 100 / battery_full_ma_ms_);
  return percent == 0 && battery_ma_ms_ > 0 ? 1 : percent;  // 0 means empty and nothing else
}

SlotSide SlotPhysics::Side() const {
  const bool to_host = outputs_.data_enable && !outputs_.charge_mode;
  return {.present = present_,
          .vbus = vbus_mv() >= kAttachMv,
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
  if (!present_ || vbus_mv() < kAttachMv) return 0;
  return std::min(InputLimitMa(), draw_.system_ma + ChargeLimitMa());
}

int SlotPhysics::LoadMa() const { return PhoneCurrentMa() + (vbus_mv() >= kAttachMv ? test_load_ma_ : 0); }

void SlotPhysics::StepVbus(int dt_ms, int rail_mv) {
  if (!Conducts()) {
    vbus_ma_ = 0;
    const bool shorted = HasFault(SlotFault::kShort);
    const int64_t floor = HasFault(SlotFault::kBackFeed) && !shorted ? kBackFeedMv * 1000 : 0;
    const int64_t slew = HasFault(SlotFault::kNoDischarge) ? kNoBleedUvPerMs : kBleedUvPerMs;
    vbus_uv_ =
        shorted ? 0 : MoveTowards(vbus_uv_, floor, vbus_uv_ < floor ? int64_t{kRiseUvPerMs} * dt_ms : slew * dt_ms);
    return;
  }
  if (HasFault(SlotFault::kShort)) {
    vbus_ma_ = std::min(kSwitchLimitMa, rail_mv * 1000 / (kSwitchAndCableMilliohm + kShortMilliohm));
    vbus_uv_ = int64_t{vbus_ma_} * kShortMilliohm;
    return;
  }
  vbus_ma_ = std::min(LoadMa(), kSwitchLimitMa);
  const int64_t target = int64_t{rail_mv} * 1000 - int64_t{vbus_ma_} * kSwitchAndCableMilliohm;
  vbus_uv_ = MoveTowards(vbus_uv_, std::max<int64_t>(target, 0), int64_t{kRiseUvPerMs} * dt_ms);
}

void SlotPhysics::StepBattery(int dt_ms) {
  const int used = present_ && draw_.running ? draw_.system_ma : 0;
  const int fed = HasFault(SlotFault::kShort) ? 0 : std::max(vbus_ma_ - test_load_ma_, 0);
  charge_ma_ = fed - used;
  battery_ma_ms_ = std::clamp<int64_t>(battery_ma_ms_ + int64_t{charge_ma_} * dt_ms, 0, battery_full_ma_ms_);
}

void SlotPhysics::StepRelay(int dt_ms) {
  if (HasFault(SlotFault::kRelayStuck)) return;
  const auto wanted = outputs_.rf_relay ? RelayPosition::kCoupled : RelayPosition::kIsolated;
  if (relay_ != RelayPosition::kMoving ? relay_ == wanted : relay_target_coupled_ == outputs_.rf_relay) {
    if (relay_ != RelayPosition::kMoving) return;
    relay_left_ms_ -= dt_ms;
    if (relay_left_ms_ > 0) return;
    relay_ = wanted;
    ++relay_moves_;
    return;
  }
  relay_ = RelayPosition::kMoving;
  relay_target_coupled_ = outputs_.rf_relay;
  relay_left_ms_ = outputs_.rf_relay ? kOperateMs : kReleaseMs;
}

void SlotPhysics::StepTray(int dt_ms) {
  if (HasFault(SlotFault::kHotTray)) {
    tray_nano_c_ = MoveTowards(tray_nano_c_, kHotNanoC, kHotNanoCPerMs * dt_ms);
    return;
  }
  const int64_t milliwatts = int64_t{vbus_mv()} * vbus_ma_ / 1000;
  const int64_t target = kAmbientNanoC + milliwatts * kNanoCPerMilliwatt;
  tray_nano_c_ += (target - tray_nano_c_) * dt_ms / kTrayTauMs;
}

void SlotPhysics::Step(int dt_ms, int rail_mv) {
  StepVbus(dt_ms, rail_mv);
  StepBattery(dt_ms);
  StepRelay(dt_ms);
  StepTray(dt_ms);
}

}  // namespace faraday::sim
