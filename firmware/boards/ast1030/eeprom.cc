#include "firmware/boards/ast1030/eeprom.h"

#include "firmware/boards/ast1030/i2c.h"
#include "firmware/boards/ast1030/wiring.h"

namespace faraday::firmware::ast1030 {
namespace {

constexpr std::array<uint8_t, 2> AddressBytes(uint32_t at) {
  return {static_cast<uint8_t>(at >> 8), static_cast<uint8_t>(at)};
}

}  // namespace

Status Eeprom::CheckRange(uint32_t at, size_t size) {
  if (at > kBytes || size > kBytes - at) return {Code::kOutOfRange, "beyond the end of the EEPROM"};
  return OkStatus();
}

Status Eeprom::SendPage(uint32_t at, std::span<const uint8_t> bytes) {
  std::array<uint8_t, 2 + kPage> message{};
  std::ranges::copy(AddressBytes(at), message.begin());
  std::ranges::copy(bytes, message.begin() + 2);
  return I2cMaster(kEepromBus).Write(kEepromAddress, std::span(message).first(2 + bytes.size()));
}

Status Eeprom::Ask() { return I2cMaster(kEepromBus).Write(kEepromAddress, {}); }

Status Eeprom::CheckPage(uint32_t at, std::span<const uint8_t> bytes) const {
  std::array<uint8_t, kPage> now{};
  const std::span<uint8_t> read = std::span(now).first(bytes.size());
  FARADAY_TRY(Read(at, read));
  if (std::ranges::equal(read, bytes)) return OkStatus();
  return {Code::kUnavailable, "the EEPROM took no write: protected or worn"};
}

Status Eeprom::Read(uint32_t at, std::span<uint8_t> in) const {
  FARADAY_TRY(CheckRange(at, in.size()));
  const I2cMaster bus(kEepromBus);
  while (!in.empty()) {
    const size_t count = std::min<size_t>(in.size(), kPage);  // keeps one transfer below the bus's time limit
    FARADAY_TRY(bus.WriteRead(kEepromAddress, AddressBytes(at), in.first(count)));
    at += static_cast<uint32_t>(count);
    in = in.subspan(count);
  }
  return OkStatus();
}

}  // namespace faraday::firmware::ast1030
