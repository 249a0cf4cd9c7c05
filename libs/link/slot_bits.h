// The bits of Telemetry.state / CommandDone.state and Telemetry.faults. Freestanding.
#pragma once

#include <cstdint>

namespace faraday::link {

enum class DataPath : uint8_t { kOpen = 0, kCharge = 1, kHost = 2, kUnknown = 3 };  // kUnknown: measured only
enum class RelaySense : uint8_t { kIsolated = 0, kCoupled = 1, kMoving = 2, kUnknown = 3 };

// One slot's commanded and measured state in 32 bits.
struct SlotBits {
  bool vbus_commanded = false;      // bit 0
  bool vbus_measured_on = false;    // bit 1: 4750 to 5500 mV at the slot
  bool vbus_measured_off = false;   // bit 2: below 800 mV (neither: settling or wrong)
  DataPath data_commanded = {};     // bits 3-4
  uint8_t data_commanded_host = 0;  // bits 5-7: host index
  DataPath data_measured = {};      // bits 8-9: the switch's control lines as read back
  uint8_t data_measured_host = 0;   // bits 10-12
  bool couple_commanded = false;    // bit 13
  RelaySense relay_sense = {};      // bits 14-15
  bool tripped = false;             // bit 16
  uint8_t trip_reason = 0;          // bits 17-19: TripReason
  bool pending = false;             // bit 20: a turn-on waits for stagger or budget
  bool leased = false;              // bit 21: not care
  bool monitor_fresh = false;       // bit 22: voltage and current read within the last 3 scans
  bool temperature_fresh = false;   // bit 23
  bool read_back_mismatch = false;  // bit 24: an expander reads back otherwise than written
  bool part_missing = false;        // bit 25
  bool relay_stuck = false;         // bit 26
  bool back_feed = false;           // bit 27: voltage without current while off
  bool switch_shorted = false;      // bit 28: current flows while off
  bool no_discharge = false;        // bit 29: VBUS decays too slowly
  bool nvm_lost = false;            // bit 30: the slot's epoch is in doubt
  bool wrong_part = false;          // bit 31: the monitor is not the part that the board table names; not measured

  bool operator==(const SlotBits&) const = default;
};

constexpr uint32_t Pack(const SlotBits& s) {
  const auto bit = [](bool on, int at) { return on ? uint32_t{1} << at : 0U; };
  const auto field = [](auto value, uint32_t mask, int at) { return (static_cast<uint32_t>(value) & mask) << at; };
  return bit(s.vbus_commanded, 0) | bit(s.vbus_measured_on, 1) | bit(s.vbus_measured_off, 2) |
         field(s.data_commanded, 3, 3) | field(s.data_commanded_host, 7, 5) | field(s.data_measured, 3, 8) |
         field(s.data_measured_host, 7, 10) | bit(s.couple_commanded, 13) | field(s.relay_sense, 3, 14) |
         bit(s.tripped, 16) | field(s.trip_reason, 7, 17) | bit(s.pending, 20) | bit(s.leased, 21) |
         bit(s.monitor_fresh, 22) | bit(s.temperature_fresh, 23) | bit(s.read_back_mismatch, 24) |
         bit(s.part_missing, 25) | bit(s.relay_stuck, 26) | bit(s.back_feed, 27) | bit(s.switch_shorted, 28) |
         bit(s.no_discharge, 29) | bit(s.nvm_lost, 30) | bit(s.wrong_part, 31);
}

constexpr SlotBits Unpack(uint32_t w) {
  const auto bit = [w](int at) { return ((w >> at) & 1U) != 0; };
  const auto field = [w](uint32_t mask, int at) { return static_cast<uint8_t>((w >> at) & mask); };
  SlotBits s;
  s.vbus_commanded = bit(0);
  s.vbus_measured_on = bit(1);
  s.vbus_measured_off = bit(2);
  s.data_commanded = static_cast<DataPath>(field(3, 3));
  s.data_commanded_host = field(7, 5);
  s.data_measured = static_cast<DataPath>(field(3, 8));
  s.data_measured_host = field(7, 10);
  s.couple_commanded = bit(13);
  s.relay_sense = static_cast<RelaySense>(field(3, 14));
  s.tripped = bit(16);
  s.trip_reason = field(7, 17);
  s.pending = bit(20);
  s.leased = bit(21);
  s.monitor_fresh = bit(22);
  s.temperature_fresh = bit(23);
  s.read_back_mismatch = bit(24);
  s.part_missing = bit(25);
  s.relay_stuck = bit(26);
  s.back_feed = bit(27);
  s.switch_shorted = bit(28);
  s.no_discharge = bit(29);
  s.nvm_lost = bit(30);
  s.wrong_part = bit(31);
  return s;
}

// Bits of Telemetry.faults: conditions of the whole board.
inline constexpr uint32_t kFaultHostSilent = 1U << 0;
inline constexpr uint32_t kFaultNotConfigured = 1U << 1;
inline constexpr uint32_t kFaultI2cBus = 1U << 2;
inline constexpr uint32_t kFaultRailSag = 1U << 3;
inline constexpr uint32_t kFaultStopped = 1U << 4;  // the stop output is asserted, latched
inline constexpr uint32_t kFaultNvmLost = 1U << 5;
inline constexpr uint32_t kFaultNvmReadOnly = 1U << 6;
inline constexpr uint32_t kFaultPsu = 1U << 7;         // PSU-OK of a rail in use is gone
inline constexpr uint32_t kFaultAlert = 1U << 8;       // ALERT# stays low although every monitor of its bus was asked
inline constexpr uint32_t kFaultStopButton = 1U << 9;  // the stop button is pressed
inline constexpr uint32_t kFaultFlash = 1U << 10;      // the firmware's SPI flash does not answer
inline constexpr uint32_t kFaultAlarm = 1U << 11;      // the alarm output is on
inline constexpr uint32_t kFaultHotShelf = 1U << 12;   // a shelf is off and blocked by a thermal trip (shelves_hot)
inline constexpr uint32_t kFaultInput = 1U << 13;      // a rack input blocks turn-ons, or made a rail safe
inline constexpr uint32_t kFaultRailDown = 1U << 14;   // rails_down is not 0
inline constexpr uint32_t kFaultLog = 1U << 15;        // the board's log takes no record

// Bits of Telemetry.marks: what else is to say of one slot.
struct SlotMarks {
  bool under_voltage = false;    // bit 0: on, and VBUS below 4750 mV for a second, though its rail is good
  bool over_voltage = false;     // bit 1: VBUS above 5500 mV
  bool tray_warm = false;        // bit 2: tray air at or above the warning
  bool hot_shelf = false;        // bit 3: off and blocked: a slot on its shelf has a thermal trip
  bool relay_worn = false;       // bit 4
  bool locating = false;         // bit 5: its LED blinks for somebody who looks for it
  bool rail_down = false;        // bit 6: off and blocked: its rail's supply is not good, or an input made it safe
  bool bus_lost = false;         // bit 7: its monitor's bus does not work
  bool shed = false;             // bit 8: its charging pauses for a sagging rail or another slot's budget
  bool resting = false;          // bit 9: in a safe state
  bool kept_off = false;         // bit 10: stopped; only ClearTrip lets it be energised
  bool over_soft_limit = false;  // bit 11: above its soft limit; it will trip

  bool operator==(const SlotMarks&) const = default;
};

constexpr uint32_t Pack(const SlotMarks& m) {
  const auto bit = [](bool on, int at) { return on ? uint32_t{1} << at : 0U; };
  return bit(m.under_voltage, 0) | bit(m.over_voltage, 1) | bit(m.tray_warm, 2) | bit(m.hot_shelf, 3) |
         bit(m.relay_worn, 4) | bit(m.locating, 5) | bit(m.rail_down, 6) | bit(m.bus_lost, 7) | bit(m.shed, 8) |
         bit(m.resting, 9) | bit(m.kept_off, 10) | bit(m.over_soft_limit, 11);
}

constexpr SlotMarks UnpackMarks(uint32_t w) {
  const auto bit = [w](int at) { return ((w >> at) & 1U) != 0; };
  return {bit(0), bit(1), bit(2), bit(3), bit(4), bit(5), bit(6), bit(7), bit(8), bit(9), bit(10), bit(11)};
}

// What an active rack input does.
enum class InputAction : uint8_t { kReport = 0, kBlockTurnOn = 1, kSafeRail = 2, kStop = 3 };

// One row of the rack inputs' table, as Configure.input_rules carries it.
struct InputRule {
  uint8_t input = 0;                          // bits 0-4: which of the board's 32
  bool active_high = false;                   // bit 5
  InputAction action = InputAction::kReport;  // bits 6-7
  uint8_t rails = 0;                          // bits 8-15: of kSafeRail, bit n is rail n; 0: all
  uint16_t debounce_ms = 30;                  // bits 16-28: 1 to 8191
  bool alarm = false;  // bit 29: the alarm output follows it. kStop and kSafeRail always raise it

  bool operator==(const InputRule&) const = default;
};

constexpr uint32_t Pack(const InputRule& r) {
  return (r.input & 31U) | (r.active_high ? 1U << 5 : 0U) | (static_cast<uint32_t>(r.action) & 3U) << 6 |
         uint32_t{r.rails} << 8 | (r.debounce_ms & 0x1FFFU) << 16 | (r.alarm ? 1U << 29 : 0U);
}

constexpr InputRule UnpackRule(uint32_t w) {
  return {.input = static_cast<uint8_t>(w & 31U),
          .active_high = ((w >> 5) & 1U) != 0,
          .action = static_cast<InputAction>((w >> 6) & 3U),
          .rails = static_cast<uint8_t>(w >> 8),
          .debounce_ms = static_cast<uint16_t>((w >> 16) & 0x1FFFU),
          .alarm = ((w >> 29) & 1U) != 0};
}

}  // namespace faraday::link
