// Who holds each slot, as the firmware needs it: an epoch and how long it still counts. The fence of every command.
#pragma once

#include <array>
#include <cstdint>

#include "firmware/core/age.h"
#include "firmware/core/epoch_store.h"
#include "link/messages.h"

namespace faraday::firmware {

class LeaseTable {
 public:
  enum class Given : uint8_t {
    kInvalid,    // epoch 0
    kFenced,     // older than the slot's
    kRenewed,    // same holder, new remaining time
    kHandedOver  // larger epoch: another holder
  };

  explicit LeaseTable(EpochStore& store) : store_(store) {}

  // duration_ms 0: care. Another holder's epoch is in NVM when this returns.
  Given Give(size_t slot, uint32_t epoch, uint32_t duration_ms);
  // True when the slot's lease ran out in these `dt` ms.
  bool Advance(size_t slot, uint32_t dt);

  uint32_t epoch(size_t slot) const { return store_.epoch(slot); }
  // The epoch is the slot's and was given, renewed or made care's since boot, and has not run out.
  bool Holds(size_t slot, uint32_t epoch) const;
  // Given to somebody since boot, care or not, ended or not.
  bool given(size_t slot) const { return states_[slot] != State::kNone; }
  bool leased(size_t slot) const { return states_[slot] == State::kLeased; }
  uint32_t left_ms(size_t slot) const { return left_ms_[slot]; }

 private:
  enum class State : uint8_t { kNone, kCare, kLeased, kEnded };

  EpochStore& store_;
  std::array<State, link::kMaxSlots> states_{};
  std::array<uint32_t, link::kMaxSlots> left_ms_{};
};

}  // namespace faraday::firmware
