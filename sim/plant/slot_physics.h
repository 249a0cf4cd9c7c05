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
  kShort,          // 0.2 ohm (chosen) across VBUS at the connector
  kSwitchShorted,  // the VBUS switch conducts whatever its pin says
  kBackFeed,       // something on the phone's side holds VBUS up while the switch is off
  kNoDischarge,    // the bleeder is gone: VBUS decays over seconds
  kRelayStuck,     // the relay stays where it is
  kHotTray,        // the tray's air heats to 65 degC (chosen)
};
inline constexpr int kSlotFaults = 6;
// "short", "switch-shorted", "back-feed", "no-discharge", "relay-stuck", "hot-tray".
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

  // Lets `dt_ms` (0 to 1000) pass with the rail at `rail_mv`.
  void Step(int dt_ms, int rail_mv);

  const SlotOutputs& outputs() const { return outputs_; }
  int vbus_mv() const { return static_cast<int>(vbus_uv_ / 1000); }
  // Through the switch, towards the phone.
  int vbus_ma() const { return vbus_ma_; }
  int tray_deci_c() const { return static_cast<int>(tray_nano_c_ / 100'000'000); }
  RelayPosition relay() const { return relay_; }
  // The sense contact: closed while the relay rests isolated.
  bool relay_rests_isolated() const { return relay_ == RelayPosition::kIsolated; }
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
};

}  // namespace faraday::sim
