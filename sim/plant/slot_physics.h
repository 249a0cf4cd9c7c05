// What one slot of the rack does electrically, mechanically and thermally: VBUS behind its switch, the phone's battery
// and charge current, the RF relay with its sense contact, the data switch, the tray's air. It is the truth that the
// modelled chips measure; it knows no chip, no bus, no firmware and no clock (time comes as steps).
// Threads: none of its own; one owner.
//
// Numbers marked "chosen" are plausible and have no measured source; the others name theirs.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "sim/phone/slot_side.h"

namespace faraday::sim {

// The eight output pins of a slot as the firmware's wiring orders them (bit n of `bits`).
struct SlotOutputs {
  bool vbus = false;
  bool data_enable = false;
  bool data_select = false;  // false: host 0, true: host 1
  bool charge_mode = false;
  bool rf_relay = false;
  bool power_key = false;
  bool volume_key = false;
  bool led = false;
  bool operator==(const SlotOutputs&) const = default;
};
SlotOutputs OutputsFromBits(uint8_t bits);
uint8_t ToBits(const SlotOutputs& outputs);

// What can be wrong with a slot's hardware. Several may hold at once.
enum class SlotFault : uint8_t {
  kShort,           // 0.2 ohm (chosen) across VBUS at the connector
  kSwitchShorted,   // the VBUS switch conducts whatever its pin says
  kBackFeed,        // something on the phone's side holds VBUS up while the switch is off
  kNoDischarge,     // the bleeder is gone: VBUS decays over seconds
  kRelayStuck,      // the relay stays where it is
  kHotTray,         // the tray's air heats to 65 degC, 2 K/s (chosen)
  kShortAtTimes,    // the short for 60 ms of each second (chosen)
  kSwitchLeaking,   // 80 mA through the switch that is off, VBUS floats at 2 V (chosen)
  kOpenCable,       // nothing of the slot reaches the phone
  kThinCable,       // 1 ohm more between switch and connector (chosen)
  kCutsOff,         // the hot-swap part opens its switch by itself and stays so until its pin was off
  kRelaySlow,       // the relay travels for 800 ms (chosen)
  kSenseOpen,       // the sense contact never closes
  kSenseBouncing,   // the sense contact bounces for 15 ms after the relay arrived (chosen)
  kTrayFastRise,    // the tray's air heats to 48 degC, 1 K/s (chosen): below the limits, too fast
  kSensorStuck,     // the tray's sensor says what it said when the fault came
  kSensorDrifting,  // the tray's sensor says 0.08 K/s more (chosen: slower than a fast rise)
};
inline constexpr int kSlotFaults = 17;
// "short", "switch-shorted", "back-feed", "no-discharge", "relay-stuck", "hot-tray", "short-at-times" ...: the names
// above with hyphens.
std::string_view ToString(SlotFault fault);
std::optional<SlotFault> ParseSlotFault(std::string_view name);

enum class RelayPosition : uint8_t { kIsolated, kMoving, kCoupled };
std::string_view ToString(RelayPosition position);

// The phone's pack. Percent is of capacity.
struct Battery {
  int capacity_mah = 4500;  // chosen: phones of 2021 to 2024 have 4300 to 5000
  int percent = 70;
  int max_charge_ma = 1800;  // at VBUS 5 V, from empty to 80 %; chosen
};

class SlotPhysics {
 public:
  explicit SlotPhysics(const Battery& battery = {});

  void SetOutputs(SlotOutputs outputs) { outputs_ = outputs; }
  void SetFault(SlotFault fault, bool on);
  bool HasFault(SlotFault fault) const;
  // A phone plugged into the slot's cable, or not.
  void SetPhonePresent(bool present) { present_ = present; }
  // The pack of the phone that sits here from now on.
  void SetBattery(const Battery& battery);
  // What the phone's electronics do; holds until told otherwise.
  void SetDraw(PhoneDraw draw) { draw_ = draw; }

  // An electronic load across VBUS at the connector, besides the phone, in mA; 0: none. It holds off below the voltage
  // at which phones do.
  void SetTestLoad(int milliamps) { test_load_ma_ = milliamps; }
  int test_load_ma() const { return test_load_ma_; }
  // The air around the tray; the tray has it at once. REQUIRES: -20 to 80.
  void SetAmbient(int celsius);

  // Lets `dt_ms` (0 to 1000) pass with the rail at `rail_mv`.
  void Step(int dt_ms, int rail_mv);

  const SlotOutputs& outputs() const { return outputs_; }
  int vbus_mv() const { return static_cast<int>(vbus_uv_ / 1000); }
  // Through the switch, towards the phone.
  int vbus_ma() const { return vbus_ma_; }
  int tray_deci_c() const { return static_cast<int>(tray_nano_c_ / 100'000'000); }
  // What the tray's sensor says of it.
  int tray_reading_deci_c() const;
  // The hot-swap part has cut the slot by itself, latched until its pin was off.
  bool cut_off() const { return cut_off_; }
  RelayPosition relay() const { return relay_; }
  // The sense contact: closed while the relay rests isolated.
  bool relay_rests_isolated() const;
  int battery_percent() const;
  bool present() const { return present_; }
  // Into the pack (negative: out of it), referred to VBUS 5 V.
  int charge_ma() const { return charge_ma_; }
  // Times the relay arrived at a contact since construction.
  int64_t relay_moves() const { return relay_moves_; }
  // What the phone feels now.
  SlotSide Side() const;

 private:
  bool Conducts() const;
  bool Shorted() const;
  int CableMilliohm() const;
  void StepLatch(int dt_ms);
  void StepOff(int dt_ms);
  int ChargeLimitMa() const;
  int InputLimitMa() const;
  int PhoneCurrentMa() const;
  int LoadMa() const;
  void StepVbus(int dt_ms, int rail_mv);
  void StepBattery(int dt_ms);
  void StepRelay(int dt_ms);
  void StepTray(int dt_ms);

  SlotOutputs outputs_;
  uint32_t faults_ = 0;  // bit per SlotFault
  bool present_ = true;
  PhoneDraw draw_;
  int test_load_ma_ = 0;
  Battery battery_;
  int64_t battery_ma_ms_ = 0;  // charge in the pack, mA x ms referred to 5 V
  int64_t battery_full_ma_ms_ = 0;
  int64_t vbus_uv_ = 0;
  int vbus_ma_ = 0;
  int charge_ma_ = 0;
  RelayPosition relay_ = RelayPosition::kIsolated;
  bool relay_target_coupled_ = false;
  int relay_left_ms_ = 0;
  int64_t relay_moves_ = 0;
  int64_t tray_nano_c_ = 0;
  int64_t ambient_nano_c_ = 0;
  int64_t sensor_drift_nano_c_ = 0;
  int sensor_held_deci_c_ = 0;
  bool cut_off_ = false;
  int at_times_ms_ = 0;
  int bounce_left_ms_ = 0;
};

}  // namespace faraday::sim
