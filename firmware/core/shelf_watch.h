// What is wrong with more than one slot: a shelf that a thermal trip made hot, an I2C bus that does not work.
// Which slots that takes off is RackCore's doing. Header-only, pure, main loop only, 40 bytes.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "firmware/core/event_log.h"
#include "firmware/core/limits.h"

namespace faraday::firmware {

inline constexpr size_t kMaxBuses = 16;

// A set of shelves, rails or buses, told as events when it changes.
class BoardCondition {
 public:
  explicit BoardCondition(link::Condition name) : name_(name) {}
  void Tell(uint32_t now, EventLog& events) {
    for (uint32_t left = now ^ told_; left != 0; left &= left - 1) {
      const auto which = static_cast<uint32_t>(std::countr_zero(left));
      const bool active = (now >> which & 1) != 0;
      events.Latch(link::ConditionChanged{.slot = 0, .condition = name_, .active = active, .limit = which});
    }
    told_ = now;
  }
  uint32_t told() const { return told_; }

 private:
  link::Condition name_;
  uint32_t told_ = 0;
};

// A bus that fails counts as lost after kBusLostMs, its slots go off after kBusGraceMs. Work takes from that count a
// quarter as fast as failing adds, so that a bus that mostly fails is lost too, and one that was lost is well when it
// worked for four times as long as it failed, 8 s at most.
class BusWatch {
 public:
  void OnBus(size_t bus, bool lost) {
    const uint32_t bit = uint32_t{1} << bus;
    failing_ = lost ? failing_ | bit : failing_ & ~bit;
  }
  void Advance(uint32_t dt, EventLog& events) {
    uint32_t lost = 0;
    off_ = 0;
    for (size_t bus = 0; bus < parts_.size(); ++bus) {
      const uint32_t bit = uint32_t{1} << bus;
      const uint32_t was = parts_[bus];
      const bool known = (lost_.told() & bit) != 0;
      const bool fails = (failing_ & bit) != 0;
      const uint32_t count = fails ? std::min(was + dt * kPart, kBusGraceMs * kPart) : Sink(was, dt);
      parts_[bus] = static_cast<uint16_t>(count);
      const bool is_off = count >= kBusGraceMs * kPart || (known && (was_off_ & bit) != 0 && count > 0);
      if (count >= kBusLostMs * kPart || (known && count > 0)) lost |= bit;
      if (is_off) off_ |= bit;
    }
    was_off_ = off_;
    lost_.Tell(lost, events);
  }
  // Fails now: whose parts are on it is not to be accused.
  bool failing(size_t bus) const { return ((failing_ | lost_.told()) >> bus & 1) != 0; }
  bool any() const { return (failing_ | lost_.told()) != 0; }
  // Telemetry.buses_lost.
  uint32_t lost() const { return lost_.told(); }
  // The slots whose monitors are on it are off and blocked.
  bool off(size_t bus) const { return (off_ >> bus & 1) != 0; }

 private:
  static constexpr uint32_t kPart = 4;

  uint32_t failing_ = 0;
  uint32_t off_ = 0;
  uint32_t was_off_ = 0;
  std::array<uint16_t, kMaxBuses> parts_{};  // quarters of a ms
  BoardCondition lost_{link::Condition::kBusLost};
};

}  // namespace faraday::firmware
