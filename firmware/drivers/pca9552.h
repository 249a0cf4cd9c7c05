// PCA9552: sixteen open-drain outputs with LED selectors (NXP data sheet, section 7.3). Eight of them are one slot's.
// A selector of 00 pulls its pin low, 01 releases it; after reset all are released. Wired so that low means on.
// A LED driver as output expander, because its reset state is "all released" and its RESET# needs no I2C.
#pragma once

#include <array>
#include <cstdint>

#include "firmware/drivers/board.h"

namespace faraday::firmware {

template <typename Bus>
class Pca9552 {
 public:
  Pca9552(Bus& bus, const ExpanderPin& pin) : bus_(bus), pin_(pin) {}

  // Bit n on: pin first_pin + n pulled low.
  Status Write(uint8_t outputs) {
    const std::array<uint8_t, 3> bytes = {Register(pin_), Selectors(outputs & 0xFU), Selectors(outputs >> 4)};
    return bus_.Write(pin_.address, bytes);
  }

  // The upper four of them only.
  Status WriteUpper(uint8_t outputs) {
    const std::array<uint8_t, 2> bytes = {static_cast<uint8_t>(Register(pin_) + 1), Selectors(outputs >> 4)};
    return bus_.Write(pin_.address, bytes);
  }

  // What the selectors hold. The INPUT registers would show the pins, but QEMU 7.2 inverts them against the part.
  static RegisterRead ReadBack(const ExpanderPin& pin) {
    return {.bus = pin.bus, .address = pin.address, .reg = Register(pin), .in = {}, .status = {}};
  }
  static uint8_t Outputs(const RegisterRead& read) {
    return static_cast<uint8_t>(Pins(read.in[0]) | Pins(read.in[1]) << 4);
  }

 private:
  static constexpr uint8_t kLs0 = 0x06;
  static constexpr uint8_t kAutoIncrement = 0x10;
  static constexpr uint8_t kOn = 0b00, kReleased = 0b01;

  static uint8_t Register(const ExpanderPin& pin) {
    return static_cast<uint8_t>(kAutoIncrement | (kLs0 + pin.first_pin / 4));
  }
  static uint8_t Selectors(unsigned pins) {
    unsigned selectors = 0;
    for (unsigned n = 0; n < 4; ++n) selectors |= unsigned{(pins >> n & 1U) != 0 ? kOn : kReleased} << (2 * n);
    return static_cast<uint8_t>(selectors);
  }
  // Anything but released counts as on: a blinking selector is never taken for off.
  static uint8_t Pins(unsigned selectors) {
    unsigned pins = 0;
    for (unsigned n = 0; n < 4; ++n) pins |= unsigned{(selectors >> (2 * n) & 3U) != kReleased} << n;
    return static_cast<uint8_t>(pins);
  }

  Bus& bus_;
  const ExpanderPin pin_;
};

}  // namespace faraday::firmware
