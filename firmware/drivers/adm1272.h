// ADM1272: hot-swap monitor, here for VBUS voltage (at VOUT) and current. PMBus direct format (data sheet, table 8):
//   X = (Y * 10^-R - b) / m      voltage, 100 V range: m 4062, b 0, R -2
//                                current, 30 mV range: m 663 * Rs[mOhm], b 20480, R -1
// With a 5 mOhm shunt a current step is 3 mA and a voltage step 24.6 mV.
#pragma once

#include <array>
#include <cstdint>

#include "firmware/drivers/board.h"

namespace faraday::firmware {

class Adm1272Scale {
 public:
  constexpr explicit Adm1272Scale(MonitorScale scale) : current_m_((663 * scale.shunt_microohm + 500) / 1000) {}

  // Rounded to the nearest; raw is 12 bits.
  static constexpr uint32_t Millivolts(uint32_t raw) { return (raw * 100'000 + kVoltageM / 2) / kVoltageM; }
  // Below zero (offset error, reverse current) reads 0.
  constexpr uint32_t Milliamps(uint32_t raw) const {
    const uint32_t tenfold = raw * 10;
    return tenfold <= kCurrentB ? 0 : ((tenfold - kCurrentB) * 1000 + current_m_ / 2) / current_m_;
  }

 private:
  static constexpr uint32_t kVoltageM = 4062;
  static constexpr uint32_t kCurrentB = 20480;
  uint32_t current_m_;
};

template <typename Bus>
class Adm1272 {
 public:
  Adm1272(Bus& bus, uint8_t address) : bus_(bus), address_(address) {}

  // Continuous conversion of VIN and VOUT, 100 V range, 30 mV range: the scales above.
  Status Configure() {
    const std::array<uint8_t, 3> bytes = {0xD4, 0x27, 0x00};  // PMON_CONFIG: VRANGE, VIN_EN, VOUT_EN, IRANGE
    return bus_.Write(address_, bytes);
  }
  Status ReadVoltage(uint32_t& raw) { return ReadWord(0x8B, raw); }  // READ_VOUT
  Status ReadCurrent(uint32_t& raw) { return ReadWord(0x8C, raw); }  // READ_IOUT

 private:
  Status ReadWord(uint8_t command, uint32_t& raw) {
    const std::array<uint8_t, 1> out = {command};
    std::array<uint8_t, 2> in{};
    FARADAY_TRY(bus_.WriteRead(address_, out, in));
    raw = (uint32_t{in[0]} | uint32_t{in[1]} << 8) & 0xFFFU;
    return OkStatus();
  }

  Bus& bus_;
  const uint8_t address_;
};

}  // namespace faraday::firmware
