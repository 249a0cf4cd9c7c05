#include "firmware/core/lease_table.h"

namespace faraday::firmware {

LeaseTable::Given LeaseTable::Give(size_t slot, uint32_t epoch, uint32_t duration_ms) {
  if (epoch == 0) return Given::kInvalid;
  if (epoch < store_.epoch(slot)) return Given::kFenced;
  const bool same = store_.known(slot) && epoch == store_.epoch(slot);
  if (!same) (void)store_.SaveEpoch(slot, epoch);
  states_[slot] = duration_ms == 0 ? State::kCare : State::kLeased;
  left_ms_[slot] = duration_ms;
  return same ? Given::kRenewed : Given::kHandedOver;
}

bool LeaseTable::Advance(size_t slot, uint32_t dt) {
  if (states_[slot] != State::kLeased) return false;
  left_ms_[slot] = Sink(left_ms_[slot], dt);
  if (left_ms_[slot] > 0) return false;
  states_[slot] = State::kEnded;
  return true;
}

bool LeaseTable::Holds(size_t slot, uint32_t epoch) const {
  const bool given = states_[slot] == State::kCare || states_[slot] == State::kLeased;
  return given && epoch != 0 && epoch == store_.epoch(slot);
}

}  // namespace faraday::firmware
