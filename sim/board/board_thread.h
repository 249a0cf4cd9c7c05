// Runs one SimBoard in real time on a thread of its own: a pass each millisecond, and at once when bytes arrive on its
// line, so that a slow phone or client never slows the firmware. Everything crosses by messages: Call() in, the slot
// callback out.
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
#include "sim/board/line_port.h"
#include "sim/board/paced_clock.h"
#include "sim/board/sim_board.h"
#include "sim/phone/slot_side.h"

namespace faraday::sim {

class BoardThread {
 public:
  // Called on the board's thread whenever what a slot's phone feels has changed; the index counts from 0.
  using OnSlotChange = std::function<void(size_t slot_index, const SlotSide& side)>;

  BoardThread(std::unique_ptr<LinePort> line, const std::vector<int>& slot_rails, OnSlotChange on_change);
  ~BoardThread();
  BoardThread(const BoardThread&) = delete;
  BoardThread& operator=(const BoardThread&) = delete;

  // Plugs the line and, when that succeeded, boots the firmware and starts the thread.
  Status Start();
  // Runs `call` between two passes and returns when it is done (a few ms). From any thread but the board's.
  // REQUIRES: started, not stopped.
  void Call(const std::function<void(SimBoard&, LinePort&)>& call);
  // The same without waiting.
  void Post(std::function<void(SimBoard&, LinePort&)> call);
  // Ends the thread and unplugs the line.
  void Stop();

  // Real time that the board did not live through because this process was starved. On the board's thread (Call).
  uint64_t slipped_ms() const { return clock_.slipped_ms(); }
  // Before Start(): the plant's starting state (phones, batteries) and the EEPROM's contents.
  SimBoard& board() { return board_; }

 private:
  void Run();
  void RunPosted();
  void ReportChanges();
  void WaitForBytesOrTick();
  void Wake();

  PacedClock clock_;
  std::unique_ptr<LinePort> line_;
  SimBoard board_;
  OnSlotChange on_change_;
  std::vector<SlotSide> reported_;
  uint32_t reported_at_ms_ = 0;
  int wake_fd_ = -1;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::deque<std::function<void(SimBoard&, LinePort&)>> posted_;  // guarded by mutex_
  std::thread thread_;
};

// CLOCK_BOOTTIME in ms, wrapping.
uint32_t FreeRunningMs();

}  // namespace faraday::sim
