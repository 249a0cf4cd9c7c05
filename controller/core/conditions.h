// What is wrong with slots and boards, as measured: one table row a condition, with its words and what ends it.
// Telemetry says what lasts; the board's events say since when, and with which value. Trips are among a slot's
// conditions. One thread, time as an argument.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/rack_parts.h"

namespace faraday::controller {

inline constexpr Milliseconds kQuarantineAfter{1'000};  // a condition must last that long to quarantine; chosen
inline constexpr Milliseconds kEventFirst{500};  // telemetry waits that long for the event with the value; chosen

struct ConditionView {
  std::string name;   // "over-current", "relay-stuck", "rail-sag"
  std::string place;  // "r01/07", "r01 board 0 rail A"
  std::string text;   // "over-current 2.41 A > 2.00 A"
  UtcTime since;      // 0: nobody knows
  std::string next;   // what to do: "inspect the cable, then: faraday slot clear r01/07"
  bool trip = false;
  bool latched = false;
  bool quarantines = false;
  bool suspect = false;  // the slot is not offered meanwhile
};

// "tripped: over-current 2.41 A > 2.00 A at 14:03:11; inspect the cable, then: ..."
std::string Sentence(const ConditionView& condition, UtcTime now);

class Conditions {
 public:
  explicit Conditions(RackParts& parts) : parts_(parts) {}

  // Both publish what came and went: slot.tripped, slot.condition, slot.condition_over, board.condition, ...
  void OnEvent(int board, const link::Event& event, Now now);
  void OnTelemetry(int board, Now now);

  // The trip first, then what lasts. Knows what was measured last, however old.
  std::vector<ConditionView> OfSlot(int slot) const;
  std::vector<ConditionView> OfBoard(int board) const;
  // Those that a quarantine is for, measured now: switch-shorted, relay-stuck, read-back-mismatch, part-missing.
  std::vector<ConditionView> Quarantining(int slot) const;
  // The first of them that has lasted for kQuarantineAfter.
  std::optional<ConditionView> QuarantineDue(int slot, Now now) const;
  // What of its board keeps this slot from being used: a stop, its shelf, its rail, its bus. Empty: nothing.
  std::optional<ConditionView> HoldingBack(int slot) const;

 private:
  struct Key {
    int board = 0;
    int board_slot = 0;  // 0: the board's
    link::Condition which{};
    int index = -1;  // rail, bus, shelf or input; -1: none, or not known which
    auto operator<=>(const Key&) const = default;
  };
  struct Track {
    UtcTime since;
    BootTime seen;
    uint32_t value = 0;
    uint32_t limit = 0;
    bool told = false;
  };
  void Came(const Key& key, const link::ConditionChanged& event, UtcTime at, Now now);
  void Judge(const Key& key, bool active, Now now);
  void JudgeBoard(int board, Now now);
  void JudgeIndexed(int board, link::Condition which, uint32_t mask, bool any, Now now);
  void Tell(const Key& key, bool active, Now now);
  ConditionView Render(const Key& key, const Track& track) const;
  std::string PlaceOf(const Key& key) const;
  ConditionView TripOf(int slot) const;
  std::vector<ConditionView> Of(int board, int board_slot) const;

  RackParts& parts_;
  std::map<Key, Track> tracks_;
};

}  // namespace faraday::controller
