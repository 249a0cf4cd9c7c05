// The main loop's body of every board: bytes and sensors to the core, the core's wishes to the chips.
//
// A pass is bounded: what a sensor scan may read is counted by elapsed milliseconds, so all currents are seen every
// 8 ms whether a pass takes 100 us or 5 ms. A bus that hangs is left alone for a second. Main loop only.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "firmware/core/rack_core.h"
#include "firmware/drivers/adm1272.h"
#include "firmware/drivers/board.h"
#include "firmware/drivers/pca9552.h"
#include "firmware/drivers/tmp105.h"

namespace faraday::firmware {

template <Board B>
class BoardNvm final : public Nvm {
 public:
  explicit BoardNvm(B& board) : board_(board) {}
  Status Read(uint32_t at, std::span<uint8_t> in) override { return board_.NvmRead(at, in); }
  Status Write(uint32_t at, std::span<const uint8_t> out) override { return board_.NvmWrite(at, out); }

 private:
  B& board_;
};

template <Board B>
class RackApp {
 public:
  explicit RackApp(B& board) : board_(board), nvm_(board), scale_(board.Scale()), core_(FactsOf(board), nvm_) {}

  // Everything off and read once, then the stop pin is released. Once.
  void Boot();
  // One turn of the main loop; call it again within a few ms.
  void Pass();
  const RackCore& core() const { return core_; }

 private:
  static constexpr uint32_t kCurrentsPerMs = 4;        // 32 slots in 8 ms: an over-current is seen within 10 ms
  static constexpr uint32_t kReadBackEveryMs = 2;      // all expanders in 64 ms
  static constexpr uint32_t kTemperatureEveryMs = 16;  // all trays in half a second: air is slow
  static constexpr uint32_t kMostMs = 8;               // after a long pass, read each sensor once, not the arrears
  static constexpr uint8_t kMissingAfter = 3;          // failed transfers in a row, chosen
  static constexpr uint32_t kBusRestMs = 1000;         // chosen
  static constexpr size_t kMostBuses = 16;
  static constexpr size_t kChunk = 128;

  struct SlotState {
    uint8_t written = 0;  // what the expander was last told
    bool synced = true;   // false: tell it again
    uint8_t monitor_failures = 0;
    uint8_t expander_failures = 0;
  };

  static BoardFacts FactsOf(B& board) {
    return {.name = board.Name(),
            .session = board.NewSession(),
            .boot_reason = board.BootCause(),
            .slots = board.Slots().size()};
  }
  const SlotWiring& wiring(size_t slot) const { return board_.Slots()[slot]; }
  size_t slots() const { return core_.slots(); }

  void PumpIn();
  void PumpOut();
  void ApplyStop();
  void WriteOutputs();
  void WriteOutput(size_t slot);
  void Scan(uint32_t dt);
  void ReadCurrent(size_t slot);
  void ReadVoltage(size_t slot);
  void ReadTemperature(size_t slot);
  void ReadBack(size_t slot);
  void ReadInputs();
  size_t Next(size_t& cursor) {
    cursor = cursor + 1 < slots() ? cursor + 1 : 0;
    return cursor;
  }
  // Runs `transfer` on a bus that works; false when it failed. An urgent one tries a resting bus too, but once it hung
  // no more in this pass.
  template <typename Transfer>
  bool Try(uint8_t bus, Transfer transfer, bool urgent = false);
  void CountMonitor(size_t slot, bool ok);
  void CountExpander(size_t slot, bool ok);
  void RestBuses(uint32_t dt);

  B& board_;
  BoardNvm<B> nvm_;
  const Adm1272Scale scale_;
  RackCore core_;
  std::array<SlotState, link::kMaxSlots> states_{};
  std::array<uint32_t, kMostBuses> bus_rest_ms_{};
  std::array<bool, kMostBuses> hung_{};  // while outputs are written in this pass
  uint32_t now_ms_ = 0;
  uint32_t odd_ms_ = 0;
  bool stop_applied_ = false;
  size_t current_at_ = 0, voltage_at_ = 0, temperature_at_ = 0, read_back_at_ = 0;
};

template <Board B>
void RackApp<B>::Boot() {
  now_ms_ = board_.NowMs();
  std::array<uint32_t, link::kMaxSlots> capabilities{};
  for (size_t i = 0; i < slots(); ++i) capabilities[i] = wiring(i).capabilities;
  core_.Boot(std::span<const uint32_t>(capabilities).first(slots()), now_ms_);
  board_.FeedWatchdog();
  board_.SetStopPin(false);
  for (size_t i = 0; i < slots(); ++i) {
    Try(wiring(i).monitor.bus, [&](auto& bus) { return Adm1272(bus, wiring(i).monitor.address).Configure(); });
    states_[i].synced = false;
    WriteOutput(i);
    ReadCurrent(i);
    ReadVoltage(i);
    ReadTemperature(i);
  }
  ReadInputs();
  board_.FeedWatchdog();
}

template <Board B>
void RackApp<B>::Pass() {
  const uint32_t now_ms = board_.NowMs();
  const uint32_t dt = now_ms - now_ms_;
  now_ms_ = now_ms;
  core_.Tick(now_ms);
  PumpIn();
  PumpOut();  // answers do not wait for the scan
  RestBuses(dt);
  Scan(dt);
  ReadInputs();
  WriteOutputs();
  if constexpr (requires { board_.StackHighWaterBytes(); }) core_.OnStackHighWater(board_.StackHighWaterBytes());
  PumpOut();
  board_.FeedWatchdog();
}

// The stop pin moves between two chunks of bytes, not after all work is done.
template <Board B>
void RackApp<B>::PumpIn() {
  std::array<uint8_t, kChunk> bytes;
  for (int chunks = 0; chunks < 8; ++chunks) {
    const size_t n = board_.UartRead(bytes);
    if (n == 0) break;
    core_.OnBytes(std::span<const uint8_t>(bytes).first(n));
    ApplyStop();
  }
  ApplyStop();
}

template <Board B>
void RackApp<B>::PumpOut() {
  for (int pieces = 0; pieces < 2; ++pieces) {
    const auto front = core_.tx().Front();
    if (front.empty()) return;
    core_.tx().Pop(board_.UartWrite(front));
  }
}

// The pin resets every expander: what they were told is gone.
template <Board B>
void RackApp<B>::ApplyStop() {
  const bool stop = core_.StopAsserted();
  if (stop == stop_applied_) return;
  stop_applied_ = stop;
  board_.SetStopPin(stop);
  for (SlotState& state : states_) state = {.written = 0, .synced = !stop};
  if (stop) return;
  for (size_t i = 0; i < slots(); ++i) states_[i].synced = false;
}

template <Board B>
void RackApp<B>::WriteOutputs() {
  if (stop_applied_) return;
  hung_ = {};
  for (size_t i = 0; i < slots(); ++i) {
    if (!states_[i].synced || states_[i].written != core_.DesiredOutputs(i)) WriteOutput(i);
  }
}

// Off does not wait for a bus to rest.
template <Board B>
void RackApp<B>::WriteOutput(size_t slot) {
  const uint8_t outputs = core_.DesiredOutputs(slot);
  const ExpanderPin& pin = wiring(slot).outputs;
  const bool off = (states_[slot].written & ~outputs) != 0;
  const bool ok = Try(
      pin.bus, [&](auto& bus) { return Pca9552(bus, pin).Write(outputs); }, off);
  if (ok) {
    states_[slot].written = outputs;
    states_[slot].synced = true;
  }
  CountExpander(slot, ok);
}

template <Board B>
void RackApp<B>::Scan(uint32_t dt) {
  const uint32_t ms = dt < kMostMs ? dt : kMostMs;
  for (uint32_t n = 0; n < ms; ++n) {
    ++odd_ms_;
    for (uint32_t i = 0; i < kCurrentsPerMs; ++i) ReadCurrent(Next(current_at_));
    ReadVoltage(Next(voltage_at_));
    if (odd_ms_ % kReadBackEveryMs == 0) ReadBack(Next(read_back_at_));
    if (odd_ms_ % kTemperatureEveryMs == 0) ReadTemperature(Next(temperature_at_));
  }
}

template <Board B>
void RackApp<B>::ReadCurrent(size_t slot) {
  const ChipAddress& chip = wiring(slot).monitor;
  uint32_t raw = 0;
  const bool ok = Try(chip.bus, [&](auto& bus) { return Adm1272(bus, chip.address).ReadCurrent(raw); });
  CountMonitor(slot, ok);
  if (ok) core_.OnCurrent(slot, scale_.Milliamps(raw));
}

template <Board B>
void RackApp<B>::ReadVoltage(size_t slot) {
  const ChipAddress& chip = wiring(slot).monitor;
  uint32_t raw = 0;
  const bool ok = Try(chip.bus, [&](auto& bus) { return Adm1272(bus, chip.address).ReadVoltage(raw); });
  CountMonitor(slot, ok);
  if (ok) core_.OnVoltage(slot, Adm1272Scale::Millivolts(raw));
}

template <Board B>
void RackApp<B>::ReadTemperature(size_t slot) {
  const ChipAddress& chip = wiring(slot).temperature;
  int32_t deci_c = 0;
  if (Try(chip.bus, [&](auto& bus) { return Tmp105(bus, chip.address).ReadDeciCelsius(deci_c); })) {
    core_.OnTemperature(slot, deci_c);
  }
}

// An output that is on against the core's will is told again to be off; one that is off by itself stays off, reported.
template <Board B>
void RackApp<B>::ReadBack(size_t slot) {
  if (stop_applied_) return;
  const ExpanderPin& pin = wiring(slot).outputs;
  uint8_t outputs = 0;
  const bool ok = Try(pin.bus, [&](auto& bus) { return Pca9552(bus, pin).Read(outputs); });
  CountExpander(slot, ok);
  if (!ok) return;
  core_.OnReadBack(slot, outputs);
  if ((outputs & ~core_.DesiredOutputs(slot)) != 0) states_[slot].synced = false;
}

template <Board B>
void RackApp<B>::ReadInputs() {
  const uint64_t inputs = board_.ReadInputs();
  for (size_t i = 0; i < slots(); ++i) core_.OnRelaySense(i, (inputs >> wiring(i).relay_sense_input & 1) != 0);
  core_.OnRackInputs(static_cast<uint32_t>(inputs >> kFirstRackInput));
}

template <Board B>
template <typename Transfer>
bool RackApp<B>::Try(uint8_t bus, Transfer transfer, bool urgent) {
  if (bus_rest_ms_[bus] > 0 && (!urgent || hung_[bus])) return false;
  auto&& wire = board_.Bus(bus);
  const Status status = transfer(wire);
  if (status.code() == Code::kDeadlineExceeded) {
    bus_rest_ms_[bus] = kBusRestMs;
    hung_[bus] = true;
  }
  return status.ok();
}

template <Board B>
void RackApp<B>::CountMonitor(size_t slot, bool ok) {
  uint8_t& failures = states_[slot].monitor_failures;
  if (ok && failures >= kMissingAfter) {
    Try(wiring(slot).monitor.bus, [&](auto& bus) { return Adm1272(bus, wiring(slot).monitor.address).Configure(); });
  }
  if (ok)
    failures = 0;
  else if (failures < kMissingAfter)
    ++failures;
  if (failures >= kMissingAfter) core_.OnMonitorMissing(slot);
}

template <Board B>
void RackApp<B>::CountExpander(size_t slot, bool ok) {
  uint8_t& failures = states_[slot].expander_failures;
  if (ok)
    failures = 0;
  else if (failures < kMissingAfter)
    ++failures;
  if (failures >= kMissingAfter) core_.OnExpanderMissing(slot);
}

template <Board B>
void RackApp<B>::RestBuses(uint32_t dt) {
  bool resting = false;
  for (uint32_t& rest_ms : bus_rest_ms_) {
    rest_ms = Sink(rest_ms, dt);
    resting = resting || rest_ms > 0;
  }
  core_.OnBusFault(resting);
}

}  // namespace faraday::firmware
