// The board's log: a ring of records in its flash that outlives resets and power cuts.
//
//   record (32 bytes, little endian) := number u32 | boot u32 | uptime_ms u32 | kind u8 | slot u8 | detail u16 |
//                                       value u32 | limit u32 | 0 u32 | crc32 u32 over the 28 bytes before
//   record `number` (from 1) lies at (number - 1) % 2048 * 32
//
// A record is written once, in order, and read back; one that a power cut tore, or that the flash did not take, keeps
// its number and reads as damaged. The sector ahead of the writer is erased in the background, so at least 1792
// records are kept. What is written waits in a queue of 16 while the part is busy; what finds that full is counted, and
// the count is written (kCondition, kLogLost) when there is room. Pure, main loop only.
//
// Wear: at 1000 records a day a sector is erased every two days; 100,000 erases (W25Q64 data sheet) last 500 years.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "firmware/core/age.h"
#include "firmware/core/log_flash.h"
#include "link/messages.h"

namespace faraday::firmware {

class FlashLog {
 public:
  static constexpr uint32_t kRecordBytes = 32;
  static constexpr uint32_t kRecords = LogFlash::kSize / kRecordBytes;
  static constexpr uint32_t kPerSector = LogFlash::kSectorSize / kRecordBytes;
  static constexpr size_t kQueue = 16;  // chosen: a shelf that trips says two things a slot

  // nullptr: no log; everything here does nothing then. `flash` outlives the log.
  explicit FlashLog(LogFlash* flash) : flash_(flash) {}

  // Finds where the ring goes on: reads the whole of it, below 300 ms. Once, while the part is not busy.
  void Mount();
  // Takes a record; never waits. `slot` from 1, 0: the board. `detail` keeps its low 16 bits.
  void Write(link::LogKind kind, uint32_t slot, uint32_t detail = 0, uint32_t value = 0, uint32_t limit = 0);
  // Each pass: at most one record goes out, or one erase begins; below 1 ms.
  void Advance(uint32_t dt);

  // Boots that the log counts, this one included; 0: no log.
  uint32_t boot_number() const { return boot_; }
  // The oldest record held and the next to be written; equal: none.
  uint32_t oldest() const { return oldest_; }
  uint32_t next() const { return next_; }
  // The part takes no record (three tries in a row). Ends by itself when it takes one again; a part that could not be
  // read at Mount stays failed.
  bool failed() const { return failed_; }
  // Fills `page` with at most `count` (up to link::kMaxLogRecords) records from `from` on, or from the oldest when that
  // is gone; empty when there is none. False: the part is busy or does not answer, ask again.
  bool Read(uint32_t from, uint32_t count, link::LogPage& page);

 private:
  using Bytes = std::array<uint8_t, kRecordBytes>;
  struct Record {
    uint32_t uptime_ms = 0;
    link::LogKind kind = link::LogKind::kNone;
    uint8_t slot = 0;
    uint16_t detail = 0;
    uint32_t value = 0;
    uint32_t limit = 0;
  };
  static uint32_t AddressOf(uint32_t number) { return (number - 1) % kRecords * kRecordBytes; }
  static bool Valid(const Bytes& bytes, uint32_t number);
  Bytes Encode(const Record& record) const;
  bool Load(uint32_t number, Bytes& bytes);
  void SkipTorn();
  bool ReadAt(uint32_t at, Bytes& bytes) { return flash_->Read(at, bytes).ok(); }
  void Push(const Record& record);
  void NoteDropped();
  void EraseAhead();
  void WriteFront();
  void Judge(bool worked);

  LogFlash* flash_;
  bool mounted_ = false;
  bool failed_ = false;
  bool erasing_ = false;
  uint8_t failures_ = 0;
  uint32_t rest_ms_ = 0;  // until the next try at a part that failed
  uint32_t uptime_ms_ = 0;
  uint32_t boot_ = 0;
  uint32_t oldest_ = 1;
  uint32_t next_ = 1;
  uint32_t erased_until_ = 1;  // records below it, from next_ on, have an erased place
  uint32_t dropped_ = 0;
  std::array<Record, kQueue> queue_{};
  size_t head_ = 0;
  size_t size_ = 0;
};

}  // namespace faraday::firmware
