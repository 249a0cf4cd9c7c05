// The board's pins: inputs with interrupts on both edges, the stop and alarm outputs, the EEPROM's write protect.
//
// The interrupt handler latches every edge, so that a pulse shorter than a pass of the main loop is seen, and drives
// the stop pin itself when the stop button moves. Pulses below 100 us are glitches: the hardware debouncer drops them
// (not modelled in QEMU). Pins: wiring.h.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "firmware/boards/ast1030/registers.h"
#include "firmware/boards/ast1030/wiring.h"
#include "firmware/drivers/board.h"

namespace faraday::firmware::ast1030 {

class Gpio {
 public:
  // Inputs, edge interrupts, stop asserted, write protect on. Once, at start.
  void Start();
  // The interrupt handler's body.
  void OnInterrupt();
  // Asserts the stop pin from another interrupt handler of the same priority.
  void StopFromHandler() { Drive(kStopPin.Mask(), false); }

  // ---- main loop ----
  // Bits 0-31 relay senses, as they are now; 32-63 rack inputs: one that moved and came back since the last call shows
  // moved once.
  uint64_t TakeInputs();
  Signals TakeSignals();
  // True: low at the pin, every expander in reset, coils without supply. False takes effect only while the stop button
  // is not pressed and has not moved since TakeSignals(), and `may_release()` says so while no handler can run.
  template <typename MayRelease>
  void SetStop(bool stop, MayRelease may_release) {
    if (stop) return SetPin(kStopPin, false);
    const InterruptLock lock;
    if (!ButtonMoved() && may_release()) Drive(kStopPin.Mask(), true);
  }
  void SetStop(bool stop) {
    SetStop(stop, [] { return true; });
  }
  void SetAlarm(bool on) {
    if (((outputs_ & kAlarmPin.Mask()) != 0) != on) SetPin(kAlarmPin, on);
  }
  void SetWriteProtect(bool on);

 private:
  static constexpr size_t kGroups = 3;  // A to D, E to H, I to L
  static constexpr size_t kRelays = 0, kRackInputs = 1, kLines = 2;

  // REQUIRES: the handler does not run meanwhile.
  void Drive(uint32_t mask, bool high);
  void SetPin(const GpioPin& pin, bool high);
  uint32_t TakeRackInputs();
  bool ButtonMoved() const;

  std::array<std::atomic<uint32_t>, kGroups> edges_{};  // set by the handler, taken by the main loop
  uint32_t levels_ = 0;                                 // of the rack inputs, as last taken
  uint32_t alerts_ = 0;                                 // levels of the lines, as last taken
  uint32_t outputs_ = 0;                                // as driven; the register reads the line, not what was written
};

}  // namespace faraday::firmware::ast1030
