#include "firmware/core/wear_store.h"

#include <algorithm>

#include "base/crc32.h"

namespace faraday::firmware {
namespace {

constexpr uint32_t kAt = 0x1000;
constexpr size_t kNumberAt = 116;
constexpr size_t kChecked = 124;
constexpr uint32_t kRetryMs = 60'000;  // chosen: the part's own fault is reported by the epochs' store

void Put(std::span<uint8_t> out, uint32_t value) {
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<uint8_t>(value >> (8 * i));
}
uint32_t Get(std::span<const uint8_t> in) {
  uint32_t value = 0;
  for (size_t i = 0; i < in.size(); ++i) value |= uint32_t{in[i]} << (8 * i);
  return value;
}

}  // namespace

void WearStore::Load() {
  const auto counted = moves_;
  bool answered = true;
  for (uint32_t place = 0; place < kRecords && answered; ++place) answered = LoadRecord(place);
  loaded_ = answered;
  if (!answered) {
    moves_ = counted;
    number_ = 0;
    rest_ms_ = kRetryMs;
    return;
  }
  for (size_t slot = 0; slot < moves_.size(); ++slot) {
    const bool set = (set_ >> slot & 1U) != 0;
    moves_[slot] = set ? counted[slot] : std::min(moves_[slot] + counted[slot], kMostMoves);
  }
}

// False: the part does not answer. A failed read of one record is tried once more.
bool WearStore::LoadRecord(uint32_t place) {
  Bytes bytes{};
  const uint32_t at = kAt + place * kBytes;
  if (!nvm_.Read(at, bytes).ok() && !nvm_.Read(at, bytes).ok()) return false;
  const std::span<const uint8_t> in(bytes);
  const uint32_t number = Get(in.subspan(kNumberAt, 4));
  const bool valid = Get(in.subspan(kChecked)) == Crc32(in.first(kChecked)) && number % kRecords == place;
  if (!valid || number <= number_) return true;
  number_ = number;
  for (size_t slot = 0; slot < moves_.size(); ++slot) moves_[slot] = Get(in.subspan(slot * 3, 3));
  return true;
}

void WearStore::OnCoils(uint32_t on) {
  uint32_t moved = on ^ coils_;
  coils_ = on;
  if (moved != 0 && unsaved_ == 0) unsaved_age_.Restart();
  for (size_t slot = 0; moved != 0; ++slot, moved >>= 1) {
    if ((moved & 1U) == 0) continue;
    moves_[slot] = std::min(moves_[slot] + 1, kMostMoves);
    ++unsaved_;
  }
}

void WearStore::Set(size_t slot, uint32_t moves) {
  moves_[slot] = moves;
  if (!loaded_) set_ |= uint32_t{1} << slot;
  unsaved_ += kMovesARecord;
}

void WearStore::Advance(uint32_t dt) {
  unsaved_age_.Advance(dt);
  rest_ms_ = Sink(rest_ms_, dt);
  if (!loaded_ && rest_ms_ == 0) Load();
  if (!loaded_ || unsaved_ == 0 || rest_ms_ > 0) return;
  if (unsaved_ >= kMovesARecord || unsaved_age_.ms() >= kRecordAfterMs) Save();
}

// A write that failed may have torn the place it went to: the next try takes the same, the newest record is elsewhere.
void WearStore::Save() {
  Bytes bytes{};
  const std::span<uint8_t> out(bytes);
  for (size_t slot = 0; slot < moves_.size(); ++slot) Put(out.subspan(slot * 3, 3), moves_[slot]);
  const uint32_t number = number_ + 1;
  Put(out.subspan(kNumberAt, 4), number);
  Put(out.subspan(kChecked), Crc32(out.first(kChecked)));
  const uint32_t saved = unsaved_;
  if (!nvm_.Write(kAt + number % kRecords * kBytes, bytes).ok()) {
    rest_ms_ = kRetryMs;
    return;
  }
  number_ = number;
  unsaved_ -= saved;
  unsaved_age_.Restart();
}

}  // namespace faraday::firmware
