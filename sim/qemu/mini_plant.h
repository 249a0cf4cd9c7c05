// The physics behind the chips of the emulated board, as little as the first test needs: a VBUS switch that gives
// 5 V and a load's current, a relay with its sense contact, the stop pin that resets the expanders.
//
// Outputs come as trace events, inputs go out as QMP qom-set: only what changed, one after another, paced. Runs in a
// thread of its own; the public calls are for any thread. After a reset of the MCU (which resets the modelled chips
// to their own defaults, 12 V and 25 A among them) it stops the machine, writes every input anew, and continues.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "base/result.h"
#include "firmware/drivers/board.h"
#include "sim/qemu/qmp_client.h"
#include "sim/qemu/trace_feed.h"

namespace faraday::sim::qemu {

// The inputs' values as the outputs and loads make them; no I/O. Used by MiniPlant under its lock.
class RackPhysics {
 public:
  static constexpr size_t kSlots = 32;
  static constexpr int kVbusMv = 5050;  // at the slot; chosen

  void Apply(const TraceEvent& event);
  // REQUIRES: slot is 1 to 32.
  void SetLoad(int slot, int milliamps) { load_ma_[Index(slot)] = milliamps; }
  void SetRelayStuck(int slot, bool stuck) { relay_stuck_[Index(slot)] = stuck; }
  bool Driven(int slot, firmware::Output output) const;
  bool stopped() const { return stopped_; }

  // Every input of the machine: (QOM path, property) -> JSON value.
  using Inputs = std::map<std::pair<std::string, std::string>, std::string>;
  Inputs Evaluate() const;
  // Expander pins that are driven although the stop pin holds the expanders in reset.
  Inputs ForcedPins() const;

 private:
  static size_t Index(int slot) { return static_cast<size_t>(slot - 1); }
  void OnGpio(const GpioWritten& written);
  void Reset();  // expanders and pins lose what they drove

  std::set<std::pair<std::string, uint32_t>> asserted_;  // (expander, pin)
  std::array<int, kSlots> load_ma_{};
  std::array<bool, kSlots> relay_stuck_{};
  uint32_t stop_data_ = 0;
  uint32_t stop_direction_ = 0;
  bool stopped_ = true;
};

class MiniPlant {
 public:
  // Writes every input (REQUIRES: the machine is stopped, as at its start) and begins to follow the trace.
  static Result<std::unique_ptr<MiniPlant>> Start(QmpClient qmp, TraceFeed trace);
  ~MiniPlant();

  void SetLoad(int slot, int milliamps);
  void SetRelayStuck(int slot, bool stuck);
  bool Driven(int slot, firmware::Output output) const;
  bool stopped() const;
  // Resets of the MCU and watchdog bites seen.
  int resets() const { return resets_; }
  int watchdog_bites() const { return watchdog_bites_; }
  // Why the plant ended by itself; OK while it runs. (QEMU gone is not an error.)
  Status status() const;

 private:
  MiniPlant(QmpClient qmp, TraceFeed trace) : qmp_(std::move(qmp)), trace_(std::move(trace)) {}
  void Run();
  Status Step();
  bool TakeTrace();
  void CountEvents();
  Status SendNext();
  Status WriteEveryInput();
  Status RestartAfterReset();
  Status Set(const RackPhysics::Inputs::value_type& input);

  QmpClient qmp_;
  TraceFeed trace_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> resets_{0};
  std::atomic<int> watchdog_bites_{0};

  mutable std::mutex mutex_;
  RackPhysics physics_;  // guarded by mutex_
  Status status_;        // guarded by mutex_

  // The plant's thread only.
  RackPhysics::Inputs sent_;
  BootTime next_send_{};
};

}  // namespace faraday::sim::qemu
