// The board's AT24C64 EEPROM (8 KiB, 32-byte pages, two address bytes): the non-volatile bytes. Main loop only.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"

namespace faraday::firmware::ast1030 {

class Eeprom {
 public:
  static constexpr uint32_t kBytes = 8192;

  // Errors: kOutOfRange beyond the part's end, kUnavailable no answer, kDeadlineExceeded the bus is stuck.
  Status Read(uint32_t at, std::span<uint8_t> in) const;
  // Page by page; each page takes the part up to 5 ms (datasheet tWR), waited for here. A power cut leaves whole
  // pages, old or new, apart from the one being written.
  Status Write(uint32_t at, std::span<const uint8_t> out) const;
};

}  // namespace faraday::firmware::ast1030
