// A board for tests, at the level of messages: takes Commands, gives Replies, Events and Telemetry as the firmware
// does where the controller can see it. No time, no physics: a switch has acted when Take returns.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "link/messages.h"

namespace faraday::controller {

class FakeBoard {
 public:
  struct Slot {
    uint32_t epoch = 0;
    uint32_t left_ms = 0;
    bool vbus = false;
    link::DataPath data = link::DataPath::kOpen;
    uint8_t host = 0;
    bool couple = false;
    bool tripped = false;
    bool relay_stuck = false;
    bool part_missing = false;
    bool vbus_sticks = false;                                  // VBUS does not fall
    link::TripReason reason = link::TripReason::kOverCurrent;  // while tripped
    link::SlotMarks marks;
    uint32_t relay_moves = 0;
    bool safe = false;  // the last SetLease sent it to its safe state
  };
  explicit FakeBoard(int slot_count) : slots(static_cast<size_t>(slot_count)) {}

  link::HelloReply Hello(uint32_t nonce) {
    link::HelloReply hello;
    hello.board = "fake";
    hello.firmware_version = "1";
    hello.slots = static_cast<uint32_t>(slots.size());
    hello.config_crc = config_crc;
    hello.term = ++term;
    hello.session = session;
    hello.nonce = nonce;
    hello.nvm_lost = nvm_lost;
    hello.uptime_ms = uptime_ms;
    hello.boot_number = boot_number;
    for (size_t i = 0; i < slots.size(); ++i) hello.capabilities.push_back(capabilities);
    for (const Slot& slot : slots) {
      hello.epochs.push_back(slot.epoch);
      hello.lease_left_ms.push_back(slot.left_ms);
    }
    return hello;
  }
  // The MCU starts again: outputs in the reset state, nothing remembered but the epochs.
  void Reset() {
    ++session;
    ++boot_number;
    stopped = false;
    faults = 0;
    uptime_ms = 0;
    config_crc = 0;
    next_event = 1;
    events.clear();
    for (Slot& slot : slots) {
      const uint32_t epoch = slot.epoch;
      slot = Slot{};
      slot.epoch = epoch;
    }
  }
  // Stands for the CRC of a Configure; the byte-level fake puts the real one here.
  std::function<uint32_t(const link::Configure&)> crc_of = [](const link::Configure& configure) {
    return 1 + configure.stagger_ms + static_cast<uint32_t>(configure.current_limit_ma.size());
  };
  link::Reply Take(const link::Command& command);
  link::Telemetry Telemetry() {
    link::Telemetry telemetry;
    telemetry.number = ++telemetry_number;
    for (const Slot& slot : slots) {
      telemetry.vbus_mv.push_back(slot.vbus ? 5050 : 12);
      telemetry.vbus_ma.push_back(slot.vbus ? 480 : 0);
      telemetry.tray_deci_c.push_back(245);
      telemetry.state.push_back(State(slot));
      telemetry.marks.push_back(link::Pack(slot.marks));
    }
    telemetry.faults = faults | (stopped ? link::kFaultStopped : 0U);
    telemetry.inputs = inputs;
    telemetry.rails_down = rails_down;
    telemetry.shelves_hot = shelves_hot;
    telemetry.uptime_ms = uptime_ms;
    return telemetry;
  }
  // As the firmware does at the stop frame, the button and StopSlot 0.
  void StopFrame() {
    stopped = true;
    for (Slot& slot : slots) {
      slot.vbus = slot.couple = false;
      slot.data = link::DataPath::kOpen;
    }
  }
  Slot& At(uint32_t slot) { return slots.at(slot - 1); }

  std::vector<Slot> slots;
  uint32_t session = 77;
  uint32_t term = 0;
  uint32_t config_crc = 0;
  bool nvm_lost = false;
  uint32_t telemetry_number = 0;
  uint32_t next_event = 1;
  std::deque<link::Event> events;    // not delivered yet
  std::vector<link::Command> taken;  // all, in order
  std::deque<link::LogPage> pages;   // not delivered yet
  std::vector<link::LogPage> log;    // a record each, from record log_oldest on
  uint32_t log_oldest = 0;
  int lose_pages = 0;  // so many are lost on the line
  uint32_t faults = 0;
  uint32_t inputs = 0;
  uint32_t rails_down = 0;
  uint32_t shelves_hot = 0;
  uint32_t uptime_ms = 0;
  uint32_t boot_number = 1;
  uint32_t capabilities = 0;
  bool stopped = false;
  bool keeps_trips = false;                 // ClearTrip of a slot changes nothing: the cause is still there
  std::vector<link::Configure> configured;  // all, in order
  // What a Configure is answered with instead of being taken, first to last.
  std::deque<link::Reply> configure_replies;
  bool mute_done = false;                     // accepted commands never end
  link::Verdict refuse = link::Verdict::kOk;  // what every switch is refused with

 private:
  static uint32_t State(const Slot& slot) {
    link::SlotBits bits;
    bits.vbus_commanded = slot.vbus;
    bits.vbus_measured_on = slot.vbus || slot.vbus_sticks;
    bits.vbus_measured_off = !bits.vbus_measured_on;
    bits.data_commanded = bits.data_measured = slot.data;
    bits.data_commanded_host = bits.data_measured_host = slot.host;
    bits.couple_commanded = slot.couple;
    bits.relay_sense = slot.couple && !slot.relay_stuck ? link::RelaySense::kCoupled : link::RelaySense::kIsolated;
    bits.relay_stuck = slot.relay_stuck;
    bits.tripped = slot.tripped;
    bits.part_missing = slot.part_missing;
    bits.trip_reason = slot.tripped ? static_cast<uint8_t>(slot.reason) : uint8_t{0};
    bits.leased = slot.left_ms != 0;
    bits.monitor_fresh = bits.temperature_fresh = true;
    return link::Pack(bits);
  }
  // The commands that are no switch; nullopt: it is one.
  std::optional<link::Reply> TakeUpkeep(const link::Command& command, link::Reply reply);
  link::Reply ReadLog(const link::ReadLog& read, link::Reply reply);
  link::Reply Lease(const link::SetLease& lease, link::Reply reply);
  link::Reply Switched(uint32_t number, uint32_t id, link::Reply reply);
};

}  // namespace faraday::controller
