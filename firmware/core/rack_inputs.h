// The rack inputs' table: pin levels in, debounced; which are active by their rules, and what these do. An input that
// no rule names is active when high, debounced for kInputDebounceMs, reported and does nothing. Rules hold by level: an
// input that is active when its rule comes, or at boot, acts as if it had just become active. Pure, main loop only.
#pragma once

#include <array>
#include <cstdint>

#include "link/messages.h"

namespace faraday::firmware {

class RackInputs {
 public:
  static constexpr size_t kInputs = 32;

  RackInputs();

  // Replaces the table. Rules that do not fit (an input twice: the last) are the business of whoever checked them.
  void SetRules(const link::InputColumn& rules);
  // Pin levels, bit n is input n; undebounced. The first call counts as settled.
  void OnLevels(uint32_t levels);
  // Returns which inputs became active or ceased to be since the last call, by debounced levels or by new rules.
  uint32_t Advance(uint32_t dt);

  // Bit n: input n is active.
  uint32_t active() const { return active_; }
  // Debounced levels of the pins.
  uint32_t levels() const { return levels_; }
  // Active inputs by what they do.
  uint32_t blocking() const { return active_ & of_action_[static_cast<size_t>(link::InputAction::kBlockTurnOn)]; }
  uint32_t stopping() const { return active_ & of_action_[static_cast<size_t>(link::InputAction::kStop)]; }
  uint32_t making_safe() const { return active_ & of_action_[static_cast<size_t>(link::InputAction::kSafeRail)]; }
  // Bit n: rail n is to be safe.
  uint8_t safe_rails() const;
  // The alarm output is to be on.
  bool alarm() const { return (active_ & alarming_) != 0; }

 private:
  struct Row {
    uint16_t debounce_ms;
    uint16_t age_ms;  // since the level differs from the debounced one
    uint8_t rails;
  };

  std::array<Row, kInputs> rows_{};
  std::array<uint32_t, 4> of_action_{};
  uint32_t active_high_ = 0xFFFF'FFFF;
  uint32_t alarming_ = 0;
  uint32_t raw_ = 0;
  uint32_t levels_ = 0;
  uint32_t active_ = 0;
  bool known_ = false;
};

}  // namespace faraday::firmware
