// How often each slot's RF relay has moved, kept over resets in a ring of EEPROM records.
//
//   record (128 bytes, little endian, number n at 0x1000 + n % 32 * 128) :=
//     moves of slots 0 to 31, u24 each | 20 bytes 0 | number u32 from 1 | 4 bytes 0 | crc32 u32 over the 124 bytes
//     before
//
// The valid record with the largest number counts; one that a power cut tore is ignored, and at most what came since
// the one before is lost. A record is due after 16 moves, or an hour after a move: below 4000 writes of a page in ten
// years of moves that are rarer, and 10^6 writes a page (AT24C64 data sheet) x 32 records x 16 moves are 512 million
// moves of the board's relays, hundreds of times what the relays last. Pure, main loop only.
#pragma once

#include <array>
#include <cstdint>

#include "firmware/core/age.h"
#include "firmware/core/nvm.h"
#include "link/messages.h"

namespace faraday::firmware {

class WearStore {
 public:
  static constexpr uint32_t kMostMoves = 0xFF'FFFF;  // counting stays there
  static constexpr uint32_t kMovesARecord = 16;      // chosen
  static constexpr uint32_t kRecordAfterMs = 3'600'000;

  explicit WearStore(Nvm& nvm) : nvm_(nvm) {}

  // At boot. Where the part does not answer all count from 0 for now, nothing is written, and Advance tries again: what
  // it holds is added then.
  void Load();
  // Which relays' coils are on now, bit n is slot n; a bit that changed is a move. After boot all are off.
  void OnCoils(uint32_t on);
  // A tech fitted another relay, which has made `moves`; written at the next Advance. REQUIRES: moves <= kMostMoves.
  void Set(size_t slot, uint32_t moves);
  // Writes a record when one is due: four pages, 20 ms of the part's time.
  void Advance(uint32_t dt);

  // `slot` from 0.
  uint32_t moves(size_t slot) const { return moves_[slot]; }

 private:
  static constexpr uint32_t kBytes = 128;
  static constexpr uint32_t kRecords = 32;
  using Bytes = std::array<uint8_t, kBytes>;
  bool LoadRecord(uint32_t place);
  void Save();

  Nvm& nvm_;
  std::array<uint32_t, link::kMaxSlots> moves_{};
  uint32_t coils_ = 0;
  uint32_t number_ = 0;   // of the newest record
  uint32_t unsaved_ = 0;  // moves since then
  Age unsaved_age_{0};
  uint32_t rest_ms_ = 0;  // after a transfer that failed
  uint32_t set_ = 0;      // bit n: slot n's number was set before the records were read
  bool loaded_ = false;
};

}  // namespace faraday::firmware
