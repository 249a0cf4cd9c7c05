// Feeds the watchdog only when each task of the pass ran in it, and the pass was short enough: what came of a task's
// work does not matter, that it ran does. Header-only, pure, main loop only.
#pragma once

#include <cstdint>

namespace faraday::firmware {

class PassWatch {
 public:
  enum class Task : uint8_t { kTimers, kLine, kSensors, kOutputs, kInputs };
  static constexpr uint32_t kLongestMs = 1000;  // chosen: half the watchdog's time

  void Begin(uint32_t now_ms) {
    began_ms_ = now_ms;
    ran_ = 0;
  }
  void Ran(Task task) { ran_ |= Bit(task); }
  // True: feed the watchdog.
  bool End(uint32_t now_ms) const { return ran_ == kAll && now_ms - began_ms_ < kLongestMs; }

 private:
  static constexpr uint32_t Bit(Task task) { return 1U << static_cast<unsigned>(task); }
  static constexpr uint32_t kAll = (2U << static_cast<unsigned>(Task::kInputs)) - 1;
  uint32_t began_ms_ = 0;
  uint32_t ran_ = 0;
};

}  // namespace faraday::firmware
