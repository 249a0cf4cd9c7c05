// One board's share of the rack: its supply rails, its slots and its rack inputs (door, smoke ...). Advances them in
// steps of at most 100 ms and is cheap enough to be called each millisecond. Pure: no clock, no chip. One owner, one
// thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/plant/slot_physics.h"

namespace faraday::sim {

// What can be wrong with a supply. One at a time.
enum class RailFault : uint8_t {
  kNone,
  kSag,      // 0.3 V less (chosen): below 4.9 V, power still good
  kOver,     // 0.5 V more (chosen): above vSafe5V's 5.5 V
  kDead,     // gives nothing
  kPsuLost,  // gives what it should, but says that its power is not good
};
inline constexpr int kRailFaults = 5;
// "ok", "sag", "over", "dead", "psu-lost".
std::string_view ToString(RailFault fault);

class Plant {
 public:
  // `slot_rails`: for each slot the index of its rail.
  explicit Plant(const std::vector<int>& slot_rails);

  // Lets time pass up to `now_ms` (any free-running counter; the first call sets the start).
  void AdvanceTo(uint32_t now_ms);

  size_t slots() const { return slots_.size(); }
  // `index` counts from 0. REQUIRES: index < slots().
  SlotPhysics& slot(size_t index) { return slots_[index]; }
  const SlotPhysics& slot(size_t index) const { return slots_[index]; }
  int rail_mv(size_t slot_index) const;
  // REQUIRES: rail (index, from 0) is one that a slot hangs on.
  void SetRailFault(size_t rail, RailFault fault);
  size_t rails() const { return rail_mv_.size(); }
  // The supply says so itself, whatever it gives.
  bool psu_lost(size_t slot_index) const;
  // Of every slot.
  void SetAmbient(int celsius);

  // Rack inputs as pin levels, bit n is pin n.
  void SetInput(int pin, bool level);
  uint32_t inputs() const { return inputs_; }
  // Relay sense contacts, bit n is slot n + 1: 1 rests isolated.
  uint32_t relay_senses() const;

 private:
  void Step(int dt_ms);

  std::vector<SlotPhysics> slots_;
  std::vector<int> slot_rails_;
  std::vector<int> rail_mv_;
  std::vector<RailFault> rail_faults_;
  uint32_t inputs_ = 0;
  uint32_t last_ms_ = 0;
  bool started_ = false;
};

}  // namespace faraday::sim
