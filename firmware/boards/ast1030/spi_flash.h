// The firmware's own SPI NOR flash at the FMC, chip select 0: identity, status, reading. In the controller's user mode:
// the commands are bytes through the flash window (Linux drivers/spi/spi-aspeed-smc.c, U-Boot's aspeed SPI driver).
// Read only; nothing here can program or erase. Main loop only, before or between passes.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"

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

}  // namespace faraday::firmware::ast1030
