// What the firmware drives: expander pins and the stop pin, followed from trace events. Pure; one owner.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/plant/slot_physics.h"
#include "sim/qemu/trace_feed.h"

namespace faraday::sim::qemu {

inline constexpr size_t kExpanders = 16;
inline constexpr size_t kExpanderPins = 16;

// A part's QOM path: "/machine/peripheral/exp3".
std::string PartPath(std::string_view kind, size_t number);
inline constexpr const char* kGpioPath = "/machine/soc/gpio";
// The property of the pin that holds every expander in reset: "gpioM0".
std::string StopPinProperty();

class DrivenPins {
 public:
  void Apply(const TraceEvent& event);
  // What was read back from a machine whose events were missed.
  void SetPin(size_t expander, size_t pin, bool asserted);
  void SetStopPin(bool level);
  void Reset();

  // The stop pin is low (or an input still): every expander is in reset, the relay coils have no supply.
  bool stopped() const { return stopped_; }
  // The alarm output is high.
  bool alarm() const { return alarm_; }
  // As the rack feels them. REQUIRES: slot_index < 32.
  SlotOutputs Outputs(size_t slot_index) const;
  // An expander's registers as the firmware left them, bit n is pin n. REQUIRES: expander < kExpanders.
  uint16_t asserted(size_t expander) const { return pins_[expander]; }
  static size_t ExpanderOf(size_t slot_index) { return slot_index / 2; }

 private:
  void OnGpio(const GpioWritten& written);

  std::array<uint16_t, kExpanders> pins_{};
  uint32_t stop_data_ = 0;
  uint32_t stop_direction_ = 0;
  bool stopped_ = true;
  bool alarm_ = false;
};

}  // namespace faraday::sim::qemu
