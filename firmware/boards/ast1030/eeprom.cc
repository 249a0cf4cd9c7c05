#include "firmware/boards/ast1030/eeprom.h"

#include <algorithm>
#include <array>

#include "firmware/boards/ast1030/i2c.h"
#include "firmware/boards/ast1030/timer.h"
#include "firmware/boards/ast1030/wiring.h"

namespace faraday::firmware::ast1030 {
namespace {

constexpr size_t kPage = 32;
constexpr uint32_t kWriteLimitUs = 10'000;  // twice the datasheet's 5 ms

constexpr std::array<uint8_t, 2> AddressBytes(uint32_t at) {
  return {static_cast<uint8_t>(at >> 8), static_cast<uint8_t>(at)};
}

Status CheckRange(uint32_t at, size_t size) {
  if (at > Eeprom::kBytes || size > Eeprom::kBytes - at) return {Code::kOutOfRange, "beyond the end of the EEPROM"};
  return OkStatus();
}

// While the part writes a page it does not acknowledge its address.
Status WaitUntilWritten(const I2cMaster& bus) {
  const uint32_t started = Timer::Micros();
  while (true) {
    const bool late = Timer::Micros() - started > kWriteLimitUs;
    const Status answer = bus.Write(kEepromAddress, {});
    if (answer.ok() || late) return answer;
  }
}

Status WritePage(const I2cMaster& bus, uint32_t at, std::span<const uint8_t> bytes) {
  std::array<uint8_t, 2 + kPage> message{};
  std::ranges::copy(AddressBytes(at), message.begin());
  std::ranges::copy(bytes, message.begin() + 2);
  FARADAY_TRY(bus.Write(kEepromAddress, std::span(message).first(2 + bytes.size())));
  return WaitUntilWritten(bus);
}

}  // namespace

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

Status Eeprom::Write(uint32_t at, std::span<const uint8_t> out) const {
  FARADAY_TRY(CheckRange(at, out.size()));
  const I2cMaster bus(kEepromBus);
  while (!out.empty()) {
    const size_t count = std::min<size_t>(out.size(), kPage - at % kPage);
    FARADAY_TRY(WritePage(bus, at, out.first(count)));
    at += static_cast<uint32_t>(count);
    out = out.subspan(count);
  }
  return OkStatus();
}

}  // namespace faraday::firmware::ast1030
