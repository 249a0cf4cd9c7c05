// CRC-32 of IEEE 802.3 (reflected 0xEDB88320, init and xor-out 0xFFFFFFFF), as chunks carry it; the one of zlib and zip.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace faraday::lab {

inline constexpr auto kCrc32Table = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
    table[byte] = crc;
  }
  return table;
}();

constexpr uint32_t Crc32(std::string_view bytes) {
  uint32_t crc = 0xFFFFFFFFU;
  for (const char c : bytes) crc = (crc >> 8) ^ kCrc32Table[(crc ^ static_cast<unsigned char>(c)) & 0xFFU];
  return ~crc;
}

// The published check value.
static_assert(Crc32("123456789") == 0xCBF43926U);

}  // namespace faraday::lab
