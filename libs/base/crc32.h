// CRC-32 of IEEE 802.3 (reflected 0xEDB88320, start and final xor 0xFFFFFFFF), the one of zlib and zip: in the frames
// of the MCU line and in the chunks of logs and artefacts. Freestanding, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace faraday {

inline constexpr uint32_t kCrc32Start = 0xFFFFFFFFU;

// Sixteen entries, a nibble at a time: 64 bytes of flash in place of 1 KiB, fast enough for 1 MBaud (chosen).
inline constexpr std::array<uint32_t, 16> kCrc32Table = [] {
  std::array<uint32_t, 16> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 4; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
    table[i] = crc;
  }
  return table;
}();

// One byte more. Begin with kCrc32Start, invert (~) at the end.
constexpr uint32_t Crc32Step(uint32_t crc, uint8_t byte) {
  crc ^= byte;
  crc = (crc >> 4) ^ kCrc32Table[crc & 0xFU];
  return (crc >> 4) ^ kCrc32Table[crc & 0xFU];
}

constexpr uint32_t Crc32(std::span<const uint8_t> bytes) {
  uint32_t crc = kCrc32Start;
  for (const uint8_t byte : bytes) crc = Crc32Step(crc, byte);
  return ~crc;
}

constexpr uint32_t Crc32(std::string_view text) {
  uint32_t crc = kCrc32Start;
  for (const char c : text) crc = Crc32Step(crc, static_cast<uint8_t>(c));
  return ~crc;
}

// The published check value.
static_assert(Crc32("123456789") == 0xCBF43926U);

}  // namespace faraday
