// The main loop's body of every board: bytes and sensors to the core, the core's wishes to the chips.
//
// A pass is bounded: what a sensor scan may read is counted by elapsed milliseconds, so all currents are seen every
// 7 ms whether a pass takes 100 us or 5 ms. Reads of different buses go on at the same time where the board can. A bus
// that hangs is left alone for 200 ms. ALERT# of the monitors and the stop button come before the scan. Main loop
// only.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "firmware/core/rack_core.h"
#include "firmware/core/stop_watch.h"
#include "firmware/drivers/adm127x.h"
#include "firmware/drivers/board.h"
#include "firmware/drivers/pca9552.h"
#include "firmware/drivers/tmp105.h"

namespace faraday::firmware {

template <Board B>
class RackApp {
 public:
  explicit RackApp(B& board)
      : board_(board), nvm_(*this), scale_(board.Scale()), core_(FactsOf(board), nvm_, nullptr) {}

  // Everything off and read once, then the stop pin is released. Once.
  void Boot();
  // One turn of the main loop; call it again within a few ms.
  void Pass();
  const RackCore& core() const { return core_; }

 private:
  static constexpr uint32_t kCurrentsPerMs = 5;        // 32 slots in 7 ms: 3 ms of room for a long pass within 10 ms
  static constexpr uint32_t kVoltagesEveryMs = 2;      // two of them: all in 32 ms
  static constexpr uint32_t kReadBackEveryMs = 2;      // all expanders in 64 ms
  static constexpr uint32_t kTemperatureEveryMs = 16;  // all trays in half a second: air is slow
  static constexpr uint32_t kMostMs = 8;               // after a long pass, read each sensor once, not the arrears
  static constexpr uint32_t kAbortMemoryMs = 100;      // chosen: another hang within it is no accident
  static constexpr uint32_t kShortRestMs = 50;         // chosen: 8 % of the time for a bus that hangs and is freed
  static constexpr uint8_t kMissingAfter = 3;          // failed transfers in a row, chosen
  static constexpr uint32_t kBusRestMs = 200;          // chosen: a hang costs 4 ms, so 2 % of the time
  static_assert(4 * kBusRestMs <= kStaleMs, "one hang of a monitor bus must trip nobody");
  static constexpr uint32_t kAlertEveryMs = 5;         // chosen: a look takes 2 ms
  static constexpr uint32_t kAlertStaysEveryMs = 100;  // chosen: a line that nobody lets go must not cost the scan
  static constexpr uint8_t kAlertStaysAfter = 3;       // looks, chosen
  static constexpr size_t kMostBuses = 16;
  static constexpr uint8_t kVbusOn = 1U << static_cast<unsigned>(Output::kVbus);
  static constexpr size_t kLineBytes = 512;  // chosen: a window of commands is 300

  // The board's memory for the core. While the part writes, the currents go on being watched.
  class BoardNvm final : public Nvm {
   public:
    explicit BoardNvm(RackApp& app) : app_(app) {}
    Status Read(uint32_t at, std::span<uint8_t> in) override { return app_.board_.NvmRead(at, in); }
    Status Write(uint32_t at, std::span<const uint8_t> out) override {
      if constexpr (IdlesInNvmWrite<B>)
        return app_.board_.NvmWrite(at, out, [this] { app_.WatchCurrents(); });
      else
        return app_.board_.NvmWrite(at, out);
    }

   private:
    RackApp& app_;
  };

  struct SlotState {
    uint8_t written = 0;      // what the expander was last told
    bool synced = true;       // false: tell it again
    bool monitor_ok = false;  // identified and set up since it last answered
    bool wrong_part = false;  // another part answered in its place
    uint8_t monitor_failures = 0;
    uint8_t expander_failures = 0;
    uint32_t sampled_ms = 0;  // the current
    bool sampled = false;
  };

  // What the scan reads of a slot.
  enum class What : uint8_t { kCurrent, kVoltage, kStatus, kTemperature, kOutputs };
  struct Job {
    What what = What::kCurrent;
    uint8_t slot = 0;
  };

  static BoardFacts FactsOf(B& board) {
    BoardFacts facts = {.name = board.Name(),
                        .session = board.NewSession(),
                        .boot_reason = board.BootCause(),
                        .slots = board.Slots().size()};
    if constexpr (HasFlash<B>) {
      facts.flash_id = board.FlashId();
      facts.flash_silent = facts.flash_id == 0;
    }
    return facts;
  }
  const SlotWiring& wiring(size_t slot) const { return board_.Slots()[slot]; }
  size_t slots() const { return core_.slots(); }

  void OrderSlots();
  void ReadLine();
  void PumpIn();
  void PumpOut();
  void ApplyStop();
  void WriteOutputs();
  void WriteOutput(size_t slot);
  // Takes a VBUS from the core that a write would turn on out of its turn. False: that cannot be known now.
  bool SettleVbus(size_t slot);
  void LookAtSignals();
  void LookAtAlerts(uint32_t dt);
  void Scan(uint32_t dt);
  void WatchCurrents();
  void ReadNext(What what, size_t& cursor);
  void Add(What what, size_t slot);
  void RunReads();
  RegisterRead ReadOf(What what, size_t slot) const;
  void Take(What what, size_t slot, const RegisterRead& read);
  void TakeCurrent(size_t slot, const RegisterRead& read);
  void TakeVoltage(size_t slot, const RegisterRead& read);
  void TakeStatus(size_t slot, const RegisterRead& read);
  void TakeTemperature(size_t slot, const RegisterRead& read);
  void TakeOutputs(size_t slot, const RegisterRead& read);
  void ReadInputs();
  // Runs `transfer` on a bus that works; kUnavailable when it rests. An urgent one tries a resting bus too. Once it
  // hung there is no more of it in this pass.
  template <typename Transfer>
  Status Try(uint8_t bus, Transfer transfer, bool urgent = false);
  void NoteBus(uint8_t bus, const Status& status);
  bool Hung(uint8_t bus) const { return (hung_ >> bus & 1U) != 0; }
  void SetUpMonitor(size_t slot);
  // True: what was read is a measurement of the right part, set up before it.
  bool CountMonitor(size_t slot, bool ok);
  void CountExpander(size_t slot, bool ok);
  void RestBuses(uint32_t dt);

  using BusRef = decltype(std::declval<B&>().Bus(size_t{}));
  using Expander = Pca9552<std::remove_reference_t<BusRef>>;

  B& board_;
  BoardNvm nvm_;
  const Adm127xScale scale_;
  RackCore core_;
  std::array<SlotState, link::kMaxSlots> states_{};
  std::array<uint8_t, link::kMaxSlots> order_{};  // slots, the monitors' buses taking turns
  std::array<uint32_t, kMostBuses> bus_rest_ms_{};
  uint16_t stuck_buses_ = 0;                    // by their last transfer
  std::array<uint8_t, kMostBuses> abort_ms_{};  // left of kAbortMemoryMs
  uint16_t hung_ = 0;                           // buses that hung in this pass, freed or not
  std::array<RegisterRead, kMostReads> reads_{};
  std::array<Job, kMostReads> jobs_{};
  size_t queued_ = 0;
  StopWatch stop_watch_;
  std::array<uint8_t, kLineBytes> line_{};  // read and not yet taken by the core
  size_t line_bytes_ = 0;
  uint32_t now_ms_ = 0;
  uint32_t odd_ms_ = 0;
  uint32_t watched_ms_ = 0;
  bool stop_applied_ = false;
  uint16_t alert_buses_ = 0;
  uint32_t alert_rest_ms_ = 0;
  uint8_t alert_looks_ = 0;  // in a row, without the line let go
  size_t current_at_ = 0, voltage_at_ = 0, temperature_at_ = 0, read_back_at_ = 0;
};

template <Board B>
void RackApp<B>::Boot() {
  now_ms_ = board_.NowMs();
  OrderSlots();
  std::array<SlotFacts, link::kMaxSlots> places{};
  for (size_t i = 0; i < slots(); ++i) {
    places[i] = {.capabilities = wiring(i).capabilities,
                 .shelf = static_cast<uint8_t>(i / 8),
                 .monitor_bus = wiring(i).monitor.bus};
  }
  core_.Boot(std::span<const SlotFacts>(places).first(slots()), now_ms_);
  board_.FeedWatchdog();
  LookAtSignals();
  stop_applied_ = core_.StopAsserted();
  board_.SetStopPin(stop_applied_);
  for (size_t i = 0; i < slots(); ++i) {
    hung_ = 0;
    SetUpMonitor(i);
    states_[i].synced = false;
    if (!stop_applied_) WriteOutput(i);
    for (const What what : {What::kCurrent, What::kVoltage, What::kTemperature}) Add(what, i);
    RunReads();
  }
  ReadInputs();
  board_.FeedWatchdog();
}

// Neighbours in the order are on different buses where there are several, so that a batch of reads shares their time.
template <Board B>
void RackApp<B>::OrderSlots() {
  size_t placed = 0;
  for (size_t rank = 0; placed < slots(); ++rank) {
    for (size_t i = 0; i < slots(); ++i) {
      size_t before = 0;
      for (size_t j = 0; j < i; ++j) before += wiring(j).monitor.bus == wiring(i).monitor.bus;
      if (before == rank) order_[placed++] = static_cast<uint8_t>(i);
    }
  }
}

template <Board B>
void RackApp<B>::Pass() {
  const uint32_t now_ms = board_.NowMs();
  const uint32_t dt = now_ms - now_ms_;
  now_ms_ = now_ms;
  watched_ms_ = now_ms;
  hung_ = 0;
  core_.Tick(now_ms);
  RestBuses(dt);
  LookAtSignals();
  PumpIn();
  PumpOut();  // answers do not wait for the scan
  LookAtAlerts(dt);
  Scan(dt);
  ReadInputs();
  WriteOutputs();
  if constexpr (requires { board_.StackHighWaterBytes(); }) core_.OnStackHighWater(board_.StackHighWaterBytes());
  if constexpr (CountsLineErrors<B>) core_.OnLineErrors(board_.LineErrors());
  PumpOut();
  board_.FeedWatchdog();
}

// Takes what has come. A stop frame moves the stop pin now, whatever stands before it.
template <Board B>
void RackApp<B>::ReadLine() {
  const std::span<uint8_t> room = std::span(line_).subspan(line_bytes_);
  const size_t n = room.empty() ? 0 : board_.UartRead(room);
  for (const uint8_t byte : room.first(n)) {
    if (stop_watch_.Feed(byte)) core_.OnStopFrame();
  }
  line_bytes_ += n;
  ApplyStop();
}

// More may be read behind the bytes that the core is taking, while it writes the memory.
template <Board B>
void RackApp<B>::PumpIn() {
  for (int rounds = 0; rounds < 2; ++rounds) {
    ReadLine();
    const size_t n = line_bytes_;
    core_.OnBytes(std::span<const uint8_t>(line_).first(n));
    std::copy(line_.begin() + n, line_.begin() + line_bytes_, line_.begin());
    line_bytes_ -= n;
    ApplyStop();
  }
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
  for (SlotState& state : states_) {
    state.written = 0;
    state.synced = false;
  }
}

template <Board B>
void RackApp<B>::WriteOutputs() {
  if (stop_applied_) return;
  for (size_t i = 0; i < slots(); ++i) {
    if (!states_[i].synced || states_[i].written != core_.DesiredOutputs(i)) WriteOutput(i);
  }
}

// A write sends all eight outputs, so that one for another of them could turn VBUS on: long after its turn, or again
// although the part lost it. One read that fails accuses nobody: the write waits for the next pass.
template <Board B>
bool RackApp<B>::SettleVbus(size_t slot) {
  const bool on = (core_.DesiredOutputs(slot) & kVbusOn) != 0;
  if (!on || core_.slot(slot).vbus().since_ms() <= kGrantFreshMs) return true;
  if ((states_[slot].written & kVbusOn) == 0) {
    core_.OnTurnOnLate(slot);
    return true;
  }
  RegisterRead read = ReadOf(What::kOutputs, slot);
  read.status = Try(
      read.bus,
      [&](auto& bus) { return bus.WriteRead(read.address, std::span<const uint8_t>(&read.reg, 1), read.in); },
      true);
  if (!read.status.ok()) return false;
  if ((Expander::Outputs(read) & kVbusOn) == 0) core_.OnVbusLost(slot);
  return true;
}

// Off does not wait for a bus to rest.
template <Board B>
void RackApp<B>::WriteOutput(size_t slot) {
  if (!SettleVbus(slot)) return CountExpander(slot, false);
  const uint8_t outputs = core_.DesiredOutputs(slot);
  const ExpanderPin& pin = wiring(slot).outputs;
  const bool off = (states_[slot].written & ~outputs) != 0;
  const Status status = Try(
      pin.bus, [&](auto& bus) { return Pca9552(bus, pin).Write(outputs); }, off);
  if (status.ok()) {
    states_[slot].written = outputs;
    states_[slot].synced = true;
  }
  if (!stop_applied_) CountExpander(slot, status.ok());
}

// The stop button has already moved the stop pin where the board can; here the core learns of it.
template <Board B>
void RackApp<B>::LookAtSignals() {
  const Signals signals = board_.TakeSignals();
  core_.OnStopButton(signals.stop_button);
  core_.OnPsuOk(signals.psu_ok);
  alert_buses_ = signals.alert_buses;
}

// Asks every monitor of the bus what is the matter; one that has something to say is sampled now. A line that stays low
// is looked at less often.
template <Board B>
void RackApp<B>::LookAtAlerts(uint32_t dt) {
  alert_rest_ms_ = Sink(alert_rest_ms_, dt);
  if (alert_buses_ == 0) {
    alert_looks_ = 0;
    return core_.OnAlertsGone();
  }
  if (alert_rest_ms_ > 0) return;
  for (size_t n = 0; n < slots(); ++n) {
    const size_t slot = order_[n];
    if ((alert_buses_ >> wiring(slot).monitor.bus & 1U) != 0) Add(What::kStatus, slot);
  }
  RunReads();
  const bool stays = alert_looks_ >= kAlertStaysAfter;
  if (!stays) ++alert_looks_;
  alert_rest_ms_ = stays ? kAlertStaysEveryMs : kAlertEveryMs;
  core_.OnAlert(stays);
}

template <Board B>
void RackApp<B>::TakeStatus(size_t slot, const RegisterRead& read) {
  if (!read.status.ok() || !Adm127xReads::InTrouble(read)) return;
  RegisterRead current = ReadOf(What::kCurrent, slot);
  current.status = Try(current.bus, [&](auto& bus) {
    return bus.WriteRead(current.address, std::span<const uint8_t>(&current.reg, 1), current.in);
  });
  TakeCurrent(slot, current);
  const ChipAddress& chip = wiring(slot).monitor;
  (void)Try(chip.bus, [&](auto& bus) { return Adm127x(bus, chip.address, scale_).ClearFaults(); });
}

template <Board B>
void RackApp<B>::Scan(uint32_t dt) {
  const uint32_t ms = dt < kMostMs ? dt : kMostMs;
  for (uint32_t n = 0; n < ms; ++n) {
    ++odd_ms_;
    for (uint32_t i = 0; i < kCurrentsPerMs; ++i) ReadNext(What::kCurrent, current_at_);
    for (uint32_t i = 0; i < 2 && odd_ms_ % kVoltagesEveryMs == 0; ++i) {
      ReadNext(What::kVoltage, voltage_at_);
    }
    if (odd_ms_ % kReadBackEveryMs == 0) ReadNext(What::kOutputs, read_back_at_);
    if (odd_ms_ % kTemperatureEveryMs == 0) ReadNext(What::kTemperature, temperature_at_);
    RunReads();
  }
}

// Inside a slow write of the memory: what protects the slots goes on. The core is in the middle of a command; samples
// and outputs do not depend on it.
template <Board B>
void RackApp<B>::WatchCurrents() {
  const uint32_t now_ms = board_.NowMs();
  const uint32_t dt = now_ms - watched_ms_;
  watched_ms_ = now_ms;
  if (dt > 0) hung_ = 0;
  ReadLine();
  for (uint32_t n = 0; n < (dt < kMostMs ? dt : kMostMs) * kCurrentsPerMs; ++n) {
    ReadNext(What::kCurrent, current_at_);
  }
  RunReads();
  WriteOutputs();
}

template <Board B>
void RackApp<B>::ReadNext(What what, size_t& cursor) {
  cursor = cursor + 1 < slots() ? cursor + 1 : 0;
  Add(what, order_[cursor]);
}

template <Board B>
RegisterRead RackApp<B>::ReadOf(What what, size_t slot) const {
  const SlotWiring& wired = wiring(slot);
  switch (what) {
    case What::kCurrent:
      return Adm127xReads::Current(wired.monitor);
    case What::kVoltage:
      return Adm127xReads::Voltage(wired.monitor);
    case What::kStatus:
      return Adm127xReads::Status(wired.monitor);
    case What::kTemperature:
      return Tmp105::Temperature(wired.temperature);
    case What::kOutputs:
      return Expander::ReadBack(wired.outputs);
  }
  return {};
}

template <Board B>
void RackApp<B>::Take(What what, size_t slot, const RegisterRead& read) {
  switch (what) {
    case What::kCurrent:
      return TakeCurrent(slot, read);
    case What::kVoltage:
      return TakeVoltage(slot, read);
    case What::kStatus:
      return TakeStatus(slot, read);
    case What::kTemperature:
      return TakeTemperature(slot, read);
    case What::kOutputs:
      return TakeOutputs(slot, read);
  }
}

// A read on a resting bus fails without the wire; on one that hung in this pass it is left for the next.
template <Board B>
void RackApp<B>::Add(What what, size_t slot) {
  if (queued_ == kMostReads) RunReads();
  RegisterRead read = ReadOf(what, slot);
  if (Hung(read.bus)) return;
  if (bus_rest_ms_[read.bus] > 0) {
    read.status = Status(Code::kUnavailable, "the bus rests");
    return Take(what, slot, read);
  }
  reads_[queued_] = read;
  jobs_[queued_] = {.what = what, .slot = static_cast<uint8_t>(slot)};
  ++queued_;
}

template <Board B>
void RackApp<B>::RunReads() {
  const size_t count = queued_;
  queued_ = 0;
  const std::span<RegisterRead> reads = std::span(reads_).first(count);
  if constexpr (ReadsTogether<B>) {
    board_.ReadTogether(reads);
    for (RegisterRead& read : reads) NoteBus(read.bus, read.status);
  } else {
    for (RegisterRead& read : reads) {
      read.status = Try(read.bus, [&](auto& bus) {
        return bus.WriteRead(read.address, std::span<const uint8_t>(&read.reg, 1), read.in);
      });
    }
  }
  for (size_t i = 0; i < count; ++i) Take(jobs_[i].what, jobs_[i].slot, reads[i]);
}

template <Board B>
void RackApp<B>::TakeCurrent(size_t slot, const RegisterRead& read) {
  SlotState& state = states_[slot];
  if (!CountMonitor(slot, read.status.ok())) return;
  const uint32_t now_ms = board_.NowMs();
  if (state.sampled) core_.OnCurrentGap(now_ms - state.sampled_ms);
  state.sampled_ms = now_ms;
  state.sampled = true;
  core_.OnCurrent(slot, scale_.Milliamps(Adm127xReads::Code(read)));
}

template <Board B>
void RackApp<B>::TakeVoltage(size_t slot, const RegisterRead& read) {
  if (!CountMonitor(slot, read.status.ok())) return;
  core_.OnVoltage(slot, scale_.Millivolts(Adm127xReads::Code(read)));
}

template <Board B>
void RackApp<B>::TakeTemperature(size_t slot, const RegisterRead& read) {
  if (read.status.ok()) core_.OnTemperature(slot, Tmp105::DeciCelsius(read));
}

// An output that is on against the core's will is told at once to be off; one that is off by itself stays off,
// reported. While stopped the expanders are in reset and need not answer; one that does and drives an output has lost
// its reset line, and the bus is the second way to turn it off.
template <Board B>
void RackApp<B>::TakeOutputs(size_t slot, const RegisterRead& read) {
  if (!stop_applied_) CountExpander(slot, read.status.ok());
  if (!read.status.ok()) return;
  const uint8_t outputs = Expander::Outputs(read);
  core_.OnReadBack(slot, outputs);
  if ((outputs & ~core_.DesiredOutputs(slot)) != 0) WriteOutput(slot);
}

template <Board B>
void RackApp<B>::ReadInputs() {
  const uint64_t inputs = board_.ReadInputs();
  for (size_t i = 0; i < slots(); ++i) core_.OnRelaySense(i, (inputs >> wiring(i).relay_sense_input & 1) != 0);
  core_.OnRackInputs(static_cast<uint32_t>(inputs >> kFirstRackInput));
}

template <Board B>
template <typename Transfer>
Status RackApp<B>::Try(uint8_t bus, Transfer transfer, bool urgent) {
  if (Hung(bus) || (bus_rest_ms_[bus] > 0 && !urgent)) return {Code::kUnavailable, "the bus rests"};
  auto&& wire = board_.Bus(bus);
  const Status status = transfer(wire);
  NoteBus(bus, status);
  return status;
}

// Any other answer than "stuck" ends the bus's rest.
template <Board B>
void RackApp<B>::NoteBus(uint8_t bus, const Status& status) {
  const bool stuck = status.code() == Code::kDeadlineExceeded;
  const auto bit = static_cast<uint16_t>(1U << bus);
  if (stuck || status.code() == Code::kAborted) {
    if (Hung(bus)) return;  // the same hang ended the batch's other reads
    core_.OnBusRecovery();
    hung_ = static_cast<uint16_t>(hung_ | bit);
    bus_rest_ms_[bus] = stuck ? kBusRestMs : abort_ms_[bus] > 0 ? kShortRestMs : 0;
    abort_ms_[bus] = kAbortMemoryMs;
  } else {
    bus_rest_ms_[bus] = 0;
  }
  stuck_buses_ = static_cast<uint16_t>(stuck ? stuck_buses_ | bit : stuck_buses_ & ~bit);
  core_.OnBusLost(bus, stuck);
}

// Numbers of a part that is not the one of the board table would be wrong numbers: none are taken from it.
template <Board B>
void RackApp<B>::SetUpMonitor(size_t slot) {
  const ChipAddress& chip = wiring(slot).monitor;
  SlotState& state = states_[slot];
  const Status identity = Try(chip.bus, [&](auto& bus) { return Adm127x(bus, chip.address, scale_).CheckIdentity(); });
  state.wrong_part = identity.code() == Code::kFailedPrecondition;
  if (state.wrong_part) core_.OnWrongPart(slot);
  if (!identity.ok()) return;
  state.monitor_ok = Try(chip.bus, [&](auto& bus) { return Adm127x(bus, chip.address, scale_).Configure(); }).ok();
}

// A part that comes back, if only from a moment's silence, may have lost its set-up, or be another one.
template <Board B>
bool RackApp<B>::CountMonitor(size_t slot, bool ok) {
  SlotState& state = states_[slot];
  const bool was_ok = state.monitor_ok;
  if (ok) {
    state.monitor_failures = 0;
    if (!was_ok && !state.wrong_part) SetUpMonitor(slot);
    return was_ok;
  }
  state.monitor_ok = false;
  if (state.monitor_failures < kMissingAfter) ++state.monitor_failures;
  if (state.monitor_failures < kMissingAfter) return false;
  state.wrong_part = false;
  core_.OnMonitorMissing(slot);
  return false;
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
  for (uint32_t& rest_ms : bus_rest_ms_) rest_ms = Sink(rest_ms, dt);
  for (uint8_t& abort_ms : abort_ms_) abort_ms = static_cast<uint8_t>(Sink(abort_ms, dt));
}

}  // namespace faraday::firmware
