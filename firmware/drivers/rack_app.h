// The main loop's body of every board: bytes and sensors to the core, the core's wishes to the chips.
//
//   line, signals ─▶ core ─▶ outputs     sensor_scan.h reads, output_writer.h writes, bus_care.h rests sick buses
//
// A pass is bounded. ALERT# of the monitors and the stop button come before the scan. The watchdog is fed when each
// task of the pass ran in time, whatever came of it. Main loop only.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "firmware/core/pass_watch.h"
#include "firmware/core/rack_core.h"
#include "firmware/core/stop_watch.h"
#include "firmware/drivers/board.h"
#include "firmware/drivers/bus_care.h"
#include "firmware/drivers/output_writer.h"
#include "firmware/drivers/sensor_scan.h"

namespace faraday::firmware {

template <Board B>
class RackApp {
 public:
  explicit RackApp(B& board)
      : board_(board),
        nvm_(*this),
        log_(board),
        core_(FactsOf(board), nvm_, LogOf(log_)),
        buses_(board, core_),
        outputs_(board, core_, buses_),
        scan_(board, core_, buses_, outputs_) {}

  // Everything off and read once, then the stop pin is released. Once.
  void Boot();
  // One turn of the main loop; call it again within a few ms.
  void Pass();
  const RackCore& core() const { return core_; }

 private:
  using Task = PassWatch::Task;
  static constexpr size_t kLineBytes = 512;     // chosen: a window of commands is 300
  static constexpr uint32_t kLogEraseMs = 500;  // W25Q64 data sheet: an erase takes at most 400 ms

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

  // The log's part of the board's flash.
  class BoardLog final : public LogFlash {
   public:
    explicit BoardLog(B& board) : board_(board) {}
    Status Read(uint32_t at, std::span<uint8_t> in) override { return board_.LogRead(at, in); }
    Status Program(uint32_t at, std::span<const uint8_t> out) override { return board_.LogProgram(at, out); }
    Status BeginErase(uint32_t at) override { return board_.LogBeginErase(at); }
    bool Busy() override { return board_.LogBusy(); }

   private:
    B& board_;
  };
  struct NoLog {
    explicit NoLog(B&) {}
  };
  using Log = std::conditional_t<HasLogFlash<B>, BoardLog, NoLog>;
  static LogFlash* LogOf(Log& log) {
    if constexpr (HasLogFlash<B>)
      return &log;
    else
      return nullptr;
  }

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

  void AwaitLog();
  void BootCore();
  void ReadLine();
  void PumpIn();
  void PumpOut();
  void ApplyStop();
  void LookAtSignals();
  void ReadInputs();
  void WatchCurrents();
  void Report();

  B& board_;
  BoardNvm nvm_;
  Log log_;
  RackCore core_;
  BusCare<B> buses_;
  OutputWriter<B> outputs_;
  SensorScan<B> scan_;
  PassWatch watch_;
  StopWatch stop_watch_;
  std::array<uint8_t, kLineBytes> line_{};  // read and not yet taken by the core
  size_t line_bytes_ = 0;
  uint32_t now_ms_ = 0;
  uint32_t watched_ms_ = 0;
  uint16_t alert_buses_ = 0;
  bool stop_applied_ = false;
};

template <Board B>
void RackApp<B>::Boot() {
  AwaitLog();
  now_ms_ = board_.NowMs();
  BootCore();
  board_.FeedWatchdog();
  LookAtSignals();
  stop_applied_ = core_.StopAsserted();
  outputs_.Forget(stop_applied_);
  board_.SetStopPin(stop_applied_);
  for (size_t i = 0; i < core_.slots(); ++i) {
    buses_.ForgetHangs();
    if (!stop_applied_) outputs_.WriteAll(i);
    scan_.ReadFirst(i);
  }
  ReadInputs();
  now_ms_ = board_.NowMs();
  board_.FeedWatchdog();
}

// A reset may have come in the middle of an erase, which the part carries on with.
template <Board B>
void RackApp<B>::AwaitLog() {
  if constexpr (HasLogFlash<B>) {
    const uint32_t began_ms = board_.NowMs();
    while (board_.LogBusy() && board_.NowMs() - began_ms < kLogEraseMs) continue;
  }
}

template <Board B>
void RackApp<B>::BootCore() {
  std::array<SlotFacts, link::kMaxSlots> places{};
  for (size_t i = 0; i < core_.slots(); ++i) {
    const SlotWiring& wiring = board_.Slots()[i];
    places[i] = {.capabilities = wiring.capabilities, .shelf = wiring.shelf, .monitor_bus = wiring.monitor.bus};
  }
  core_.Boot(std::span<const SlotFacts>(places).first(core_.slots()), now_ms_);
}

template <Board B>
void RackApp<B>::Pass() {
  const uint32_t now_ms = board_.NowMs();
  const uint32_t dt = now_ms - now_ms_;
  now_ms_ = now_ms;
  watched_ms_ = now_ms;
  watch_.Begin(now_ms);
  buses_.BeginPass(dt);
  core_.Tick(now_ms);
  watch_.Ran(Task::kTimers);
  LookAtSignals();
  PumpIn();
  PumpOut();  // answers do not wait for the scan
  scan_.LookAtAlerts(alert_buses_, dt);
  scan_.Scan(dt);
  watch_.Ran(Task::kSensors);
  ReadInputs();
  ApplyStop();
  outputs_.Write();
  board_.SetAlarmPin(core_.AlarmOn());
  watch_.Ran(Task::kOutputs);
  Report();
  PumpOut();
  watch_.Ran(Task::kLine);
  if (watch_.End(board_.NowMs())) board_.FeedWatchdog();
}

template <Board B>
void RackApp<B>::Report() {
  if constexpr (requires { board_.StackHighWaterBytes(); }) core_.OnStackHighWater(board_.StackHighWaterBytes());
  if constexpr (CountsLineErrors<B>) core_.OnLineErrors(board_.LineErrors());
}

// Takes what has come. A stop frame moves the stop pin now, whatever stands before it; where the board's receive path
// has moved it already, the core learns of it here.
template <Board B>
void RackApp<B>::ReadLine() {
  const std::span<uint8_t> room = std::span(line_).subspan(line_bytes_);
  const size_t n = room.empty() ? 0 : board_.UartRead(room);
  for (const uint8_t byte : room.first(n)) {
    if (!stop_watch_.Feed(byte)) continue;
    if constexpr (SeesStopFrames<B>) board_.StopFrameTaken();
    core_.OnStopFrame();
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

template <Board B>
void RackApp<B>::ApplyStop() {
  const bool stop = core_.StopAsserted();
  if (stop == stop_applied_) return;
  stop_applied_ = stop;
  board_.SetStopPin(stop);
  outputs_.Forget(stop);
}

// The stop button has already moved the stop pin where the board can; here the core learns of it.
template <Board B>
void RackApp<B>::LookAtSignals() {
  const Signals signals = board_.TakeSignals();
  core_.OnStopButton(signals.stop_button);
  if (signals.stop_frame) core_.OnStopFrame();
  core_.OnPsuOk(signals.psu_ok);
  alert_buses_ = signals.alert_buses;
}

template <Board B>
void RackApp<B>::ReadInputs() {
  const uint64_t inputs = board_.ReadInputs();
  for (size_t i = 0; i < core_.slots(); ++i) {
    core_.OnRelaySense(i, (inputs >> board_.Slots()[i].relay_sense_input & 1) != 0);
  }
  core_.OnRackInputs(static_cast<uint32_t>(inputs >> kFirstRackInput));
  watch_.Ran(Task::kInputs);
}

// Inside a slow write of the memory. The core is in the middle of a command; samples and outputs do not depend on it.
template <Board B>
void RackApp<B>::WatchCurrents() {
  const uint32_t now_ms = board_.NowMs();
  const uint32_t dt = now_ms - watched_ms_;
  watched_ms_ = now_ms;
  if (dt > 0) buses_.ForgetHangs();
  ReadLine();
  scan_.ScanCurrents(dt);
  outputs_.Write();
}

}  // namespace faraday::firmware
