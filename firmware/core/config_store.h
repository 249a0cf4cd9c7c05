// The last accepted Configure, kept over resets: two copies in the board's memory, written in turn.
//
//   copy (1 KiB, at 0x400 and 0x800, little endian) :=
//     number u32 | length u32 | CRC of the bytes u32 | CRC of the rack's name u32 | CRC of the 16 bytes before u32 |
//     12 bytes 0 | Configure's bytes
//
// The valid copy with the larger number counts. Bytes go out before their header, so that a write that a power loss
// cut leaves the copy before. A configuration of another rack is no configuration. Pure, main loop only.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "firmware/core/epoch_store.h"

namespace faraday::firmware {

class ConfigStore {
 public:
  static constexpr size_t kMostBytes = 1024 - 32;

  // `store` knows the part, the rack's name and whether the part failed.
  explicit ConfigStore(EpochStore& store) : store_(store) {}

  // How many bytes of `room` the kept configuration takes; 0: none of this rack. Once, after EpochStore::Load.
  size_t Load(std::span<uint8_t> room);
  // REQUIRES: at most kMostBytes. False: the part took no write; what was kept before is kept still.
  bool Save(std::span<const uint8_t> bytes);

 private:
  static constexpr size_t kCopies = 2;
  using Header = std::array<uint8_t, 32>;
  struct Kept {
    uint32_t number = 0;  // 0: no valid copy
    uint32_t length = 0;
    uint32_t crc = 0;
  };
  Kept LoadHeader(size_t copy);
  Header HeaderOf(const Kept& kept) const;

  EpochStore& store_;
  uint32_t number_ = 0;
};

}  // namespace faraday::firmware
