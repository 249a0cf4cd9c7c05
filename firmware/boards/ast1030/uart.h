// UART5, a 16550 with 16-byte FIFOs: the MCU link. Interrupts move bytes between the FIFOs and two rings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "firmware/boards/ast1030/byte_ring.h"

namespace faraday::firmware::ast1030 {

class Uart {
 public:
  // 8N1, FIFOs on, interrupts on. Once, at start.
  void Start();
  // Main loop. Neither blocks; both return how many bytes were moved.
  size_t Read(std::span<uint8_t> in);
  size_t Write(std::span<const uint8_t> out);
  // The interrupt handler's body.
  void OnInterrupt();
  // Bytes that found the receive ring full since start; the frames' CRC tells of them too.
  uint32_t overruns() const { return overruns_; }

 private:
  void Receive();
  void Transmit();

  ByteRing<4096> received_;  // three of the longest frames
  ByteRing<512> to_send_;    // the core keeps whole frames, this only covers the time between two passes
  uint32_t overruns_ = 0;    // written by the interrupt handler
};

}  // namespace faraday::firmware::ast1030
