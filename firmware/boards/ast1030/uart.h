// UART5, a 16550 with 16-byte FIFOs: the MCU link at 460,800 baud. Interrupts move bytes between the FIFOs and two
// rings; what the line damaged is counted and passed on, the frames' CRC judges it. The handler looks for stop frames
// in what comes, so that a stop waits for no main loop.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "firmware/boards/ast1030/byte_ring.h"
#include "firmware/core/stop_watch.h"

namespace faraday::firmware::ast1030 {

class Uart {
 public:
  // Clock, 8N1, FIFOs on, interrupts on. Once, at start.
  void Start();
  // Main loop. Neither blocks; both return how many bytes were moved.
  size_t Read(std::span<uint8_t> in);
  size_t Write(std::span<const uint8_t> out);
  // The interrupt handler's body. True: a stop frame ended in what came.
  bool OnInterrupt();
  // ---- main loop: stop frames that the handler saw and the main loop did not ----
  // A stop frame was among the bytes that Read gave.
  void StopFrameTaken() { ++stops_taken_; }
  bool StopFrameWaits() const { return stops_seen_.load(std::memory_order_relaxed) != stops_taken_; }
  // Since start: bytes that found the FIFO or the ring full, bytes with a framing or parity error, breaks.
  uint32_t line_errors() const { return line_errors_.load(std::memory_order_relaxed); }

 private:
  uint32_t TakeLineStatus();
  void CountError() { line_errors_.store(line_errors() + 1, std::memory_order_relaxed); }
  bool Receive();
  void Transmit();

  ByteRing<4096> received_;               // three of the longest frames
  ByteRing<512> to_send_;                 // the core keeps whole frames, this only covers the time between two passes
  std::atomic<uint32_t> line_errors_{0};  // written by the interrupt handler
  StopWatch stop_watch_;                  // the interrupt handler's
  std::atomic<uint32_t> stops_seen_{0};   // written by the interrupt handler
  uint32_t stops_taken_ = 0;
};

}  // namespace faraday::firmware::ast1030
