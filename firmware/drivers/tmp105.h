// TMP105: tray air temperature, 1/16 degC in the upper bits of a big-endian word (TI data sheet, 7.5.2).
#pragma once

#include <array>
#include <cstdint>

#include "firmware/drivers/board.h"

namespace faraday::firmware {

template <typename Bus>
class Tmp105 {
 public:
  Tmp105(Bus& bus, uint8_t address) : bus_(bus), address_(address) {}

  Status ReadDeciCelsius(int32_t& deci_c) {
    const std::array<uint8_t, 1> out = {0x00};
    std::array<uint8_t, 2> in{};
    FARADAY_TRY(bus_.WriteRead(address_, out, in));
    const auto raw = static_cast<int16_t>(in[0] << 8 | in[1]);
    deci_c = raw * 10 / 256;
    return OkStatus();
  }

 private:
  Bus& bus_;
  const uint8_t address_;
};

}  // namespace faraday::firmware
