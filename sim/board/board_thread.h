// Runs one Machine in real time on a thread of its own, so that a slow phone or client never slows the firmware.
// Everything crosses by messages: Post() in, the slot callback out.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/status.h"
#include "sim/board/machine.h"
#include "sim/phone/slot_side.h"

namespace faraday::sim {

class BoardThread {
 public:
  // Called on the board's thread whenever what a slot's phone feels has changed; the index counts from 0.
  using OnSlotChange = std::function<void(size_t slot_index, const SlotSide& side)>;

  BoardThread(std::unique_ptr<Machine> machine, OnSlotChange on_change);
  ~BoardThread();
  BoardThread(const BoardThread&) = delete;
  BoardThread& operator=(const BoardThread&) = delete;

  // Plugs the line and, when that succeeded, starts the machine and the thread.
  Status Start();
  // Runs `call` between two passes, in order, from any thread: after a few ms, or once a machine in trouble stands
  // again. What was posted before Stop() still runs.
  void Post(std::function<void(Machine&)> call);
  // Ends the thread and unplugs the line.
  void Stop();

  // Before Start(): the plant's starting state (phones, batteries).
  Machine& machine() { return *machine_; }

 private:
  void Run();
  void RunPosted();
  void ReportChanges();
  void Wait();
  void Wake();

  std::unique_ptr<Machine> machine_;
  OnSlotChange on_change_;
  std::vector<SlotSide> reported_;
  uint32_t reported_at_ms_ = 0;
  std::vector<pollfd> watch_;
  int wake_fd_ = -1;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::deque<std::function<void(Machine&)>> posted_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace faraday::sim
