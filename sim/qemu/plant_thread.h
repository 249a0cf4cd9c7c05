// The plant of a test that talks to the image itself: sim/plant's physics for 32 empty slots at the machine's pins, in
// a thread of its own. The public calls are for any thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

#include "base/result.h"
#include "firmware/drivers/board.h"
#include "sim/plant/plant.h"
#include "sim/qemu/qemu_plant.h"
#include "sim/qemu/qemu_process.h"

namespace faraday::sim::qemu {

class PlantThread {
 public:
  // At a machine that has not run: writes every input. The machine stays halted.
  static Result<std::unique_ptr<PlantThread>> Prepare(const MachineFiles& files,
                                                      TraceFeed trace,
                                                      const MachineFaults& faults);
  // At a machine that runs, after another plant ended: the new one's rack is at rest but for what the pins say.
  static Result<std::unique_ptr<PlantThread>> Attach(const MachineFiles& files, const MachineFaults& faults);
  ~PlantThread();

  // An electronic load on the slot's VBUS. REQUIRES (all calls): slot is 1 to 32.
  void SetLoad(int slot, int milliamps);
  void SetRelayStuck(int slot, bool stuck);
  void SetFault(int slot, SlotFault fault, bool on);
  void SetInput(int pin, bool level);
  void PressStopButton(bool pressed);
  // The registers of the slot's expander are lost.
  void ResetExpander(int slot);
  bool Driven(int slot, firmware::Output output) const;
  int VbusMv(int slot) const;
  bool stopped() const;
  // The alarm output is high.
  bool alarm() const;
  // Resets of the MCU and watchdog bites seen.
  int resets() const;
  int watchdog_bites() const;
  // Inputs written since it was made.
  uint64_t sets() const;
  // Why the plant ended by itself; OK while it runs. (QEMU gone is not an error.)
  Status status() const;

 private:
  explicit PlantThread(const std::vector<int>& slot_rails) : plant_(slot_rails) {}
  static Result<std::unique_ptr<PlantThread>> Make(const MachineFiles& files,
                                                   Result<TraceFeed> trace,
                                                   const MachineFaults& faults);
  void Follow();
  void Run();
  SlotPhysics& Slot(int slot) { return plant_.slot(static_cast<size_t>(slot - 1)); }
  const SlotPhysics& Slot(int slot) const { return plant_.slot(static_cast<size_t>(slot - 1)); }

  mutable std::mutex mutex_;
  Plant plant_;                      // guarded by mutex_
  std::unique_ptr<QemuPlant> pins_;  // guarded by mutex_
  Status status_;                    // guarded by mutex_
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace faraday::sim::qemu
