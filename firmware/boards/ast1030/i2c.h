// One I2C bus as master: the controller's legacy register mode, byte by byte, polled, every wait bounded.
//
// Implements the I2cBus concept of drivers/board.h. Main loop only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "firmware/boards/ast1030/registers.h"

namespace faraday::firmware::ast1030 {

class I2cMaster {
 public:
  // REQUIRES: bus is 0 to 13.
  constexpr explicit I2cMaster(size_t bus) : base_(kI2c + 0x80 + 0x80 * bus) {}

  // Master function on, 100 kHz. Repeating it is harmless.
  void Start() const;
  // 37 bytes, the longest transfer here, take 3.4 ms at 100 kHz; a transfer is given up after 5 ms (chosen).
  // Errors: kUnavailable not acknowledged, kDeadlineExceeded the bus is stuck (the controller is reset then).
  Status Write(uint8_t address, std::span<const uint8_t> out) const;
  Status WriteRead(uint8_t address, std::span<const uint8_t> out, std::span<uint8_t> in) const;

 private:
  Status Run(uint32_t command, uint32_t started_us) const;
  Status Send(uint8_t address, std::span<const uint8_t> out, uint32_t started_us) const;
  Status Receive(uint8_t address, std::span<uint8_t> in, uint32_t started_us) const;
  Status Stop(Status result, uint32_t started_us) const;

  uintptr_t base_;
};

}  // namespace faraday::firmware::ast1030
