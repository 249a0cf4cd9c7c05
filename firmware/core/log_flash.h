// Port: the flash that the board's log lives in. Implemented over the board's SPI flash by drivers, and by tests with
// faults. Main loop only.
#pragma once

#include <cstdint>
#include <span>

#include "base/status.h"

namespace faraday::firmware {

class LogFlash {
 public:
  // Addresses of this port run from 0 to kSize; where that lies in the part is the board's business.
  static constexpr uint32_t kSize = 64 * 1024;
  static constexpr uint32_t kSectorSize = 4 * 1024;  // W25Q64 data sheet: the smallest erase
  static constexpr uint32_t kPageSize = 256;         // a program stays inside one

  // Errors of all: kUnavailable the part does not answer, or is busy.
  virtual Status Read(uint32_t at, std::span<uint8_t> in) = 0;
  // At most 32 bytes, inside one page, into erased bytes (0xFF). Waits until the part has done it: below 1 ms.
  virtual Status Program(uint32_t at, std::span<const uint8_t> out) = 0;
  // Starts to erase the sector at `at` (a multiple of kSectorSize) and returns; Busy() until it is over.
  virtual Status BeginErase(uint32_t at) = 0;
  virtual bool Busy() = 0;

 protected:
  ~LogFlash() = default;
};

}  // namespace faraday::firmware
