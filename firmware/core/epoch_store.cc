#include "firmware/core/epoch_store.h"

#include <algorithm>

#include "link/frame.h"

namespace faraday::firmware {
namespace {

constexpr uint32_t kCopySize = 8;
constexpr uint32_t kCellSize = 2 * kCopySize;
constexpr uint32_t kRackAt = kCellSize * (1 + link::kMaxSlots);
constexpr uint32_t kRackCopySize = 20;
constexpr uint8_t kMark = 0xA0;
constexpr int kTries = 3;  // chosen: a disturbance on the bus is over by then

void Put32(std::span<uint8_t> out, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) out[i] = static_cast<uint8_t>(value >> (8 * i));
}
uint32_t Get32(std::span<const uint8_t> in) {
  return uint32_t{in[0]} | uint32_t{in[1]} << 8 | uint32_t{in[2]} << 16 | uint32_t{in[3]} << 24;
}

// The check carries the cell's number, so that bytes in the wrong place do not pass. The mark keeps blank memory out:
// the CRC-32 of 0xFF 0xFF 0xFF 0xFF 0x00 is 0xFFFFFFFF.
std::array<uint8_t, kCopySize> CopyBytes(size_t cell, uint32_t value) {
  std::array<uint8_t, kCopySize> copy{};
  Put32(copy, value);
  copy[4] = static_cast<uint8_t>(kMark + cell);
  const uint32_t check = link::Crc32(std::span<const uint8_t>(copy).first(5));
  Put32(std::span<uint8_t>(copy).subspan(4), check);
  return copy;
}

std::array<uint8_t, kRackCopySize> RackBytes(std::string_view rack) {
  std::array<uint8_t, kRackCopySize> copy{};
  std::copy(rack.begin(), rack.end(), copy.begin());
  copy[15] = static_cast<uint8_t>(rack.size());
  Put32(std::span<uint8_t>(copy).subspan(16), link::Crc32(std::span<const uint8_t>(copy).first(16)));
  return copy;
}

}  // namespace

void EpochStore::Load() {
  term_ = LoadCell(0);
  for (size_t slot = 0; slot < epochs_.size(); ++slot) epochs_[slot] = LoadCell(slot + 1);
  LoadRack();
}

EpochStore::Cell EpochStore::LoadCell(size_t cell) {
  Cell state;
  for (uint8_t n = 0; n < 2; ++n) {
    std::array<uint8_t, kCopySize> copy{};
    if (!Read(static_cast<uint32_t>(cell) * kCellSize + n * kCopySize, copy)) continue;
    const uint32_t value = Get32(copy);
    if (copy != CopyBytes(cell, value) || (state.known && value < state.value)) continue;
    state = {.value = value, .newest = n, .known = true};
  }
  return state;
}

// After a failed write the same copy is due again: it may be torn, the other one holds the value before. RAM takes the
// new value all the same: a hand-over, care's above all, must not depend on the part, and the host's store is the
// second witness after a reset.
bool EpochStore::SaveCell(size_t cell, Cell& state, uint32_t value) {
  const auto older = static_cast<uint8_t>(1 - state.newest);
  const bool stored = Write(static_cast<uint32_t>(cell) * kCellSize + older * kCopySize, CopyBytes(cell, value));
  state = {.value = value, .newest = stored ? older : state.newest, .known = true};
  return stored;
}

void EpochStore::LoadRack() {
  for (uint32_t n = 0; n < 2; ++n) {
    std::array<uint8_t, kRackCopySize> copy{};
    if (!Read(kRackAt + n * kRackCopySize, copy) || copy[15] == 0 || copy[15] > 15) continue;
    const std::string_view text(reinterpret_cast<const char*>(copy.data()), copy[15]);
    if (copy == RackBytes(text)) rack_.assign(text);
  }
}

bool EpochStore::SaveTerm(uint32_t term) { return SaveCell(0, term_, term); }
bool EpochStore::SaveEpoch(size_t slot, uint32_t epoch) { return SaveCell(slot + 1, epochs_[slot], epoch); }

void EpochStore::SaveRack(std::string_view rack) {
  rack_.assign(rack);
  for (uint32_t n = 0; n < 2; ++n) (void)Write(kRackAt + n * kRackCopySize, RackBytes(rack_.view()));
}

// A part that is gone is asked once a transfer, so that a boot without it stays shorter than the watchdog.
template <typename Transfer>
bool EpochStore::Retry(Transfer transfer) {
  const int tries = answers_ ? kTries : 1;
  answers_ = false;
  for (int n = 0; n < tries && !answers_; ++n) answers_ = transfer().ok();
  failed_ = failed_ || !answers_;
  return answers_;
}

bool EpochStore::Read(uint32_t at, std::span<uint8_t> bytes) {
  return Retry([&] { return nvm_.Read(at, bytes); });
}
bool EpochStore::Write(uint32_t at, std::span<const uint8_t> bytes) {
  return Retry([&] { return nvm_.Write(at, bytes); });
}

}  // namespace faraday::firmware
