// What must outlive a reset: the host term, each slot's epoch, the rack's identity.
//
//   cell := two copies of (value u32, check u32), little endian       a change goes to the copy with the smaller value
//   0x000 term cell | 0x010 + 16 n  epoch cell of slot n (0 to 31) | 0x210 rack: two of (15 bytes, length, crc u32)
//
// Values only grow, so the larger valid copy counts, and a write cut by a power loss leaves the one before: the change
// was not acknowledged yet. One page write a change; at 2 changes a job and 10^6 writes a cell (AT24 data sheet, two
// cells in turn) a slot lasts a million jobs.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "firmware/core/nvm.h"
#include "link/messages.h"

namespace faraday::firmware {

class EpochStore {
 public:
  explicit EpochStore(Nvm& nvm) : nvm_(nvm) {}

  // Reads everything. Once, at boot.
  void Load();

  uint32_t term() const { return term_.value; }
  uint32_t epoch(size_t slot) const { return epochs_[slot].value; }
  // False: the slot's cell was blank or damaged at boot and nobody gave it an epoch since.
  bool known(size_t slot) const { return epochs_[slot].known; }
  std::string_view rack() const { return rack_.view(); }
  // A transfer failed since boot, retries included. Stays: what could not be stored once is in doubt.
  bool failed() const { return failed_; }

  // False: the part took no write, the value lives in RAM until the reset, and failed() says so. REQUIRES: larger than
  // the value before (an unknown epoch takes any).
  bool SaveTerm(uint32_t term);
  bool SaveEpoch(size_t slot, uint32_t epoch);
  // Binds the rack at least until the reset.
  void SaveRack(std::string_view rack);

  // Any bytes of the part, with retries. False: it does not answer, or takes no write (failed() says so then).
  bool Read(uint32_t at, std::span<uint8_t> bytes);
  bool Write(uint32_t at, std::span<const uint8_t> bytes);

 private:
  struct Cell {
    uint32_t value = 0;
    uint8_t newest = 0;  // copy that holds `value`
    bool known = false;
  };
  Cell LoadCell(size_t cell);
  bool SaveCell(size_t cell, Cell& state, uint32_t value);
  void LoadRack();
  template <typename Transfer>
  bool Retry(Transfer transfer);

  Nvm& nvm_;
  Cell term_;
  std::array<Cell, link::kMaxSlots> epochs_{};
  link::FixedString<15> rack_;
  bool answers_ = true;  // the last transfer, retries included
  bool failed_ = false;
};

}  // namespace faraday::firmware
