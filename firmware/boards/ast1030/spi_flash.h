// The firmware's own SPI NOR flash at the FMC, chip select 0: identity, status, reading, and the log's region, the only
// one that can be programmed or erased: no address outside it can be said. In the controller's user mode: the commands
// are bytes through the flash window (Linux drivers/spi/spi-aspeed-smc.c, U-Boot's aspeed SPI driver). Main loop only.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "firmware/boards/ast1030/wiring.h"

namespace faraday::firmware::ast1030 {

class SpiFlash {
 public:
  // Manufacturer, type, capacity: 0xEF4017 is a W25Q64. Errors: kUnavailable no part answers (all ones or all zeros),
  // kDeadlineExceeded it stays busy (a reset came in the middle of an erase).
  Result<uint32_t> ReadId() const;
  // Errors: as ReadId; kOutOfRange beyond 16 MiB, which three address bytes reach. 4 us a byte at the reset clock.
  Status Read(uint32_t at, std::span<uint8_t> in) const;

 private:
  Status WaitWhileBusy() const;
};

// The log's region, firmware/core/log_flash.h; addresses from 0 to kBytes, below 1 ms a call.
// Errors of all: kOutOfRange, kUnavailable no part answers or it is busy; Program also kDeadlineExceeded.
class LogRegion {
 public:
  static constexpr uint32_t kBytes = 64 * 1024;
  static constexpr uint32_t kSectorBytes = 4096;
  static constexpr uint32_t kPageBytes = 256;
  static constexpr size_t kMostProgram = 32;
  static_assert(kLogAt % kSectorBytes == 0 && kLogAt + kBytes == 0x800000, "the end of a W25Q64");

  Status Read(uint32_t at, std::span<uint8_t> in) const;
  // At most kMostProgram bytes in one page; waits until the part took them.
  Status Program(uint32_t at, std::span<const uint8_t> out) const;
  // 4 KiB sector erase, 45 ms, at most 400 ms (W25Q64 data sheet, tSE).
  Status BeginErase(uint32_t at) const;
  // Also true for a part that does not answer.
  bool Busy() const;

 private:
  Status Ready(uint32_t at, size_t size) const;
};

}  // namespace faraday::firmware::ast1030
