// The latches that only a person clears, kept over resets: the rack's stop, stopped slots, trips with their reasons.
//
//   copy (32 bytes, one page, at 0x300 and 0x320, little endian) :=
//     number u32 | stopped slots u32 | the rack's stop u32 | trip reasons, 3 bits a slot, 12 bytes | 4 bytes 0 |
//     CRC of the 28 bytes before u32
//
// The valid copy with the larger number counts, the other one is written: only on a change, at most ten times a second.
// Pure, main loop only.
#pragma once

#include <array>
#include <cstdint>

#include "firmware/core/epoch_store.h"

namespace faraday::firmware {

struct Latches {
  uint32_t stopped_slots = 0;  // bit n: slot n (from 0) was stopped by itself
  bool rack_stopped = false;
  std::array<uint8_t, link::kMaxSlots * 3 / 8> reasons{};
  bool operator==(const Latches&) const = default;

  link::TripReason reason(size_t slot) const;
  // REQUIRES: reason(slot) is kNone.
  void SetReason(size_t slot, link::TripReason reason);
};

class LatchStore {
 public:
  // `store` knows the part and whether it failed.
  explicit LatchStore(EpochStore& store) : store_(store) {}

  // What the last run left; nothing where the part is blank. Once, after EpochStore::Load.
  const Latches& Load();
  // Writes what changed. What the part did not take is tried again a second later.
  void Keep(const Latches& now, uint32_t dt);

 private:
  static constexpr uint32_t kApartMs = 100;   // chosen: a write takes 5 ms, a shelf trips at once
  static constexpr uint32_t kRetryMs = 1000;  // chosen
  using Copy = std::array<uint8_t, 32>;
  static Copy CopyOf(uint32_t number, const Latches& latches);

  EpochStore& store_;
  Latches kept_;
  uint32_t number_ = 0;
  uint32_t wait_ms_ = 0;
};

}  // namespace faraday::firmware
