// Time of the board: one free-running 1 MHz hardware counter. Not SysTick, whose ticks are lost under load.
#pragma once

#include <cstdint>

#include "firmware/boards/ast1030/registers.h"

namespace faraday::firmware::ast1030 {

// Main loop only. Counts down from 2^32 - 1 microseconds (71 min) and reloads; NowMs() must be called at least
// once in that time, which the main loop does a thousand times a second.
class Timer {
 public:
  void Start() {
    WriteRegister(kTimer + 0x04, 0xFFFFFFFF);  // reload value of timer 1
    WriteRegister(kTimer + 0x00, 0xFFFFFFFF);
    SetBits(kTimer + 0x30, 0x3);  // enable, 1 MHz external clock, no interrupt
    last_ = Micros();
  }

  // Microseconds, wraps after 71 min. For short waits.
  static uint32_t Micros() { return ~ReadRegister(kTimer); }

  // Milliseconds since Start(), wraps after 49 days.
  uint32_t NowMs() {
    const uint32_t now = Micros();
    left_us_ += now - last_;
    last_ = now;
    ms_ += left_us_ / 1000;
    left_us_ %= 1000;
    return ms_;
  }

 private:
  uint32_t last_ = 0;
  uint32_t left_us_ = 0;  // below 1000 between calls
  uint32_t ms_ = 0;
};

}  // namespace faraday::firmware::ast1030
