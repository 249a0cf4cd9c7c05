// TMP105: tray air temperature, 1/16 degC in the upper bits of a big-endian word (TI data sheet, 7.5.2). Its reset
// state converts nine bits, 0.5 degC, continuously, which is what is read here.
#pragma once

#include <cstdint>

#include "firmware/drivers/board.h"

namespace faraday::firmware {

struct Tmp105 {
  static RegisterRead Temperature(const ChipAddress& chip) {
    return {.bus = chip.bus, .address = chip.address, .reg = 0x00, .in = {}, .status = {}};
  }
  static int32_t DeciCelsius(const RegisterRead& read) {
    const auto raw = static_cast<int16_t>(read.in[0] << 8 | read.in[1]);
    return raw * 10 / 256;
  }
};

}  // namespace faraday::firmware
