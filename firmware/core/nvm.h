// Port: the board's non-volatile bytes. Implemented by drivers/rack_app.h over the board and by tests with faults.
#pragma once

#include <cstdint>
#include <span>

#include "base/status.h"

namespace faraday::firmware {

class Nvm {
 public:
  // Errors of both: kUnavailable part missing, or read-only for Write. A write cut by a power loss may leave any bytes
  // in its own range, none outside.
  virtual Status Read(uint32_t at, std::span<uint8_t> in) = 0;
  virtual Status Write(uint32_t at, std::span<const uint8_t> out) = 0;

 protected:
  ~Nvm() = default;
};

}  // namespace faraday::firmware
