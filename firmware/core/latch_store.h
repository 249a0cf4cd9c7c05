// The latches that only a person clears, kept over resets: the rack's stop, stopped slots, trips with their reasons.
//
//   copy (32 bytes, one page, at 0x300 and 0x320, little endian) :=
//     number u32 | stopped slots u32 | the rack's stop u32 | trip reasons, 3 bits a slot, 12 bytes | hot slots u32 |
//     CRC of the 28 bytes before u32
//
// The valid copy with the larger number counts, the other one is written: only on a change. A new latch is written in
// the pass after it, for a reset may come next; what only takes latches away waits, ten times a second at most. So each
// latch costs two writes at most, and as many as there are slots can come between two that a person cleared. A clear
// that a reset follows within these 100 ms is forgotten: the latch stays, and somebody clears it again.
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
  uint32_t hot_slots = 0;  // bit n: slot n tripped for heat, first or later (0 in copies of older firmware)
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
  // Writes what changed, a new latch at once. What the part did not take is tried again a second later.
  void Keep(const Latches& now, uint32_t dt);

 private:
  static constexpr uint32_t kApartMs = 100;   // chosen: a write takes 5 ms, a shelf trips at once
  static constexpr uint32_t kRetryMs = 1000;  // chosen
  using Copy = std::array<uint8_t, 32>;
  // `now` has a latch, or a reason, that is not kept.
  bool Adds(const Latches& now) const;
  static Copy CopyOf(uint32_t number, const Latches& latches);

  EpochStore& store_;
  Latches kept_;
  uint32_t number_ = 0;
  uint32_t wait_ms_ = 0;
  bool refused_ = false;  // the last write
};

}  // namespace faraday::firmware
