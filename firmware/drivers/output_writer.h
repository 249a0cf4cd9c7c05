// What the core wants of the slots' outputs, written to their expanders, and what these read back. Switches first;
// LEDs only when nothing else is left to write, few a pass, and without the switches' registers. Main loop only.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "firmware/core/limits.h"
#include "firmware/core/rack_core.h"
#include "firmware/drivers/board.h"
#include "firmware/drivers/bus_care.h"
#include "firmware/drivers/pca9552.h"

namespace faraday::firmware {

template <Board B>
class OutputWriter {
  using BusRef = decltype(std::declval<B&>().Bus(size_t{}));
  using Expander = Pca9552<std::remove_reference_t<BusRef>>;

 public:
  OutputWriter(B& board, RackCore& core, BusCare<B>& buses) : board_(board), core_(core), buses_(buses) {}

  // The stop pin resets every expander, or lets go of it: what they were told is gone.
  void Forget(bool stopped) {
    stopped_ = stopped;
    states_ = {};
    for (State& state : states_) state.synced = false;
  }
  // Writes what the core wants otherwise than the expanders were told. Not while stopped.
  void Write() {
    if (stopped_) return;
    bool switched = false;
    for (size_t i = 0; i < core_.slots(); ++i) {
      if (states_[i].synced && ((states_[i].written ^ core_.DesiredOutputs(i)) & ~kLed) == 0) continue;
      WriteAll(i);
      if (((states_[i].written ^ core_.DesiredOutputs(i)) & kPath) != 0) core_.OnPathUnwritten(i);
      switched = true;
    }
    if (!switched) WriteLeds();
  }
  void WriteAll(size_t slot) {
    if (!SettleVbus(slot)) return;
    const uint8_t outputs = core_.DesiredOutputs(slot);
    const ExpanderPin& pin = board_.Slots()[slot].outputs;
    const bool off = (states_[slot].written & ~outputs & ~kLed) != 0;  // does not wait for a bus to rest
    const Status status = buses_.Try(
        pin.bus, [&](auto& bus) { return Pca9552(bus, pin).Write(outputs); }, off);
    if (status.ok() && (outputs & ~states_[slot].written & kVbusOn) != 0) core_.OnVbusWritten(slot);
    if (status.ok()) states_[slot] = {.written = outputs, .synced = true};
    if (!stopped_) Count(slot, status);
  }

  static RegisterRead ReadBackOf(const SlotWiring& wiring) { return Expander::ReadBack(wiring.outputs); }
  // An output that is on against the core's will is told at once to be off; one that is off by itself stays off,
  // reported. While stopped the expanders are in reset and need not answer; one that does and drives an output has lost
  // its reset line, and the bus is the second way to turn it off.
  void TakeReadBack(size_t slot, const RegisterRead& read) {
    if (!stopped_) Count(slot, read.status);
    if (!read.status.ok()) return;
    const uint8_t outputs = Expander::Outputs(read);
    core_.OnReadBack(slot, outputs);
    if ((outputs & ~core_.DesiredOutputs(slot) & ~kLed) != 0) WriteAll(slot);
  }

 private:
  static constexpr uint8_t kVbusOn = 1U << static_cast<unsigned>(Output::kVbus);
  static constexpr uint8_t kPath = 1U << static_cast<unsigned>(Output::kDataEnable) |
                                   1U << static_cast<unsigned>(Output::kDataSelect) |
                                   1U << static_cast<unsigned>(Output::kChargeMode);
  static constexpr uint8_t kLed = 1U << static_cast<unsigned>(Output::kLed);
  static constexpr uint8_t kMissingAfter = 3;  // failed transfers in a row, chosen
  static constexpr int kLedsAPass = 2;         // chosen: 100 us each
  struct State {
    uint8_t written = 0;  // what the expander was last told
    bool synced = true;   // false: tell it again
    uint8_t failures = 0;
  };

  // A write sends all eight outputs, so that one for another of them could turn VBUS on: long after its turn, or again
  // although the part lost it. One read that fails accuses nobody: the write waits for the next pass. False: it cannot
  // be known now.
  bool SettleVbus(size_t slot) {
    const bool on = (core_.DesiredOutputs(slot) & kVbusOn) != 0;
    if (!on || core_.slot(slot).vbus().since_ms() <= kGrantFreshMs) return true;
    if ((states_[slot].written & kVbusOn) == 0) {
      core_.OnTurnOnLate(slot);
      return true;
    }
    RegisterRead read = ReadBackOf(board_.Slots()[slot]);
    read.status = buses_.Read(read, true);
    if (!read.status.ok()) {
      Count(slot, read.status);
      return false;
    }
    if ((Expander::Outputs(read) & kVbusOn) == 0) core_.OnVbusLost(slot);
    return true;
  }
  // In turns: a sick bus must not keep the others' LEDs waiting. A failure accuses nobody; the read-backs do.
  void WriteLeds() {
    int left = kLedsAPass;
    for (size_t n = 0; n < core_.slots() && left > 0; ++n) {
      led_at_ = led_at_ + 1 < core_.slots() ? led_at_ + 1 : 0;
      const uint8_t outputs = core_.DesiredOutputs(led_at_);
      const ExpanderPin& pin = board_.Slots()[led_at_].outputs;
      if (outputs == states_[led_at_].written || buses_.Resting(pin.bus) || buses_.Hung(pin.bus)) continue;
      --left;
      const Status status = buses_.Try(pin.bus, [&](auto& bus) { return Pca9552(bus, pin).WriteUpper(outputs); });
      if (status.ok()) states_[led_at_].written = outputs;
    }
  }
  void Count(size_t slot, const Status& status) {
    uint8_t& failures = states_[slot].failures;
    if (status.ok()) failures = 0;
    if (BusCare<B>::PartIsSilent(status) && failures < kMissingAfter) ++failures;
    if (failures >= kMissingAfter) core_.OnExpanderMissing(slot);
  }

  B& board_;
  RackCore& core_;
  BusCare<B>& buses_;
  std::array<State, link::kMaxSlots> states_{};
  size_t led_at_ = 0;
  bool stopped_ = false;
};

}  // namespace faraday::firmware
