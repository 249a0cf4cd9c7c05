#include "firmware/core/flash_log.h"

#include <algorithm>

#include "base/crc32.h"

namespace faraday::firmware {
namespace {

constexpr uint8_t kTries = 3;        // chosen
constexpr uint32_t kRetryMs = 1000;  // chosen: a part that is gone costs a millisecond a second
constexpr size_t kChecked = 28;      // bytes that the CRC covers
constexpr uint8_t kErased = 0xFF;

void Put32(std::span<uint8_t> out, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) out[i] = static_cast<uint8_t>(value >> (8 * i));
}
uint32_t Get32(std::span<const uint8_t> in) {
  return uint32_t{in[0]} | uint32_t{in[1]} << 8 | uint32_t{in[2]} << 16 | uint32_t{in[3]} << 24;
}
bool Blank(std::span<const uint8_t> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == kErased; });
}

}  // namespace

FlashLog::Bytes FlashLog::Encode(const Record& record) const {
  Bytes bytes{};
  const std::span<uint8_t> out(bytes);
  Put32(out, next_);
  Put32(out.subspan(4), boot_);
  Put32(out.subspan(8), record.uptime_ms);
  bytes[12] = static_cast<uint8_t>(record.kind);
  bytes[13] = record.slot;
  bytes[14] = static_cast<uint8_t>(record.detail);
  bytes[15] = static_cast<uint8_t>(record.detail >> 8);
  Put32(out.subspan(16), record.value);
  Put32(out.subspan(20), record.limit);
  Put32(out.subspan(kChecked), Crc32(out.first(kChecked)));
  return bytes;
}

bool FlashLog::Valid(const Bytes& bytes, uint32_t number) {
  const std::span<const uint8_t> in(bytes);
  return Get32(in) == number && Get32(in.subspan(kChecked)) == Crc32(in.first(kChecked));
}

// Every place is looked at: behind a torn record, or a sector whose erase was cut, good ones may follow.
void FlashLog::Mount() {
  if (flash_ == nullptr) return;
  uint32_t newest = 0;
  uint32_t oldest = UINT32_MAX;
  uint32_t boot = 0;
  Bytes bytes{};
  for (uint32_t place = 0; place < kRecords; ++place) {
    if (!ReadAt(place * kRecordBytes, bytes)) {
      failed_ = true;
      return;
    }
    const uint32_t number = Get32(bytes);
    if (number == 0 || (number - 1) % kRecords != place || !Valid(bytes, number)) continue;
    oldest = std::min(oldest, number);
    if (number < newest) continue;
    newest = number;
    boot = Get32(std::span<const uint8_t>(bytes).subspan(4));
  }
  mounted_ = true;
  boot_ = boot + 1;
  next_ = newest + 1;
  SkipTorn();
  oldest_ = newest == 0 ? next_ : std::max(oldest, next_ > kRecords ? next_ - kRecords : 1);
}

// The rest of the newest record's sector is erased, but for what a power cut tore. A sector that begins here may be
// half erased: it is erased anew, whatever it looks like.
void FlashLog::SkipTorn() {
  Bytes bytes{};
  while ((next_ - 1) % kPerSector != 0 && !(ReadAt(AddressOf(next_), bytes) && Blank(bytes))) ++next_;
  erased_until_ = next_;
  while ((erased_until_ - 1) % kPerSector != 0) ++erased_until_;
}

void FlashLog::Write(link::LogKind kind, uint32_t slot, uint32_t detail, uint32_t value, uint32_t limit) {
  if (!mounted_) return;
  Push({.uptime_ms = uptime_ms_,
        .kind = kind,
        .slot = static_cast<uint8_t>(slot),
        .detail = static_cast<uint16_t>(detail),
        .value = value,
        .limit = limit});
}

void FlashLog::Push(const Record& record) {
  if (size_ == kQueue)
    ++dropped_;
  else
    queue_[(head_ + size_++) % kQueue] = record;
}

void FlashLog::NoteDropped() {
  if (dropped_ == 0 || size_ > 0) return;
  const uint32_t dropped = dropped_;
  dropped_ = 0;
  Write(link::LogKind::kCondition, 0, static_cast<uint32_t>(link::Condition::kLogLost), dropped);
}

void FlashLog::Advance(uint32_t dt) {
  uptime_ms_ += dt;
  rest_ms_ = Sink(rest_ms_, dt);
  if (!mounted_ || rest_ms_ > 0 || flash_->Busy()) return;
  if (erasing_) {
    erasing_ = false;
    erased_until_ += kPerSector;
  }
  NoteDropped();
  const bool room = next_ < erased_until_;
  const bool ahead = erased_until_ - next_ >= kPerSector;
  if (!ahead && (size_ == 0 || !room)) return EraseAhead();
  if (size_ > 0 && room) WriteFront();
}

void FlashLog::EraseAhead() {
  const bool begun = flash_->BeginErase(AddressOf(erased_until_)).ok();
  Judge(begun);
  if (!begun) return;
  erasing_ = true;
  const uint32_t gone_until = erased_until_ + kPerSector;
  if (gone_until > kRecords) oldest_ = std::max(oldest_, gone_until - kRecords);
}

// A place that did not take its record is left behind, damaged: what stands there cannot be written over.
void FlashLog::WriteFront() {
  const Bytes bytes = Encode(queue_[head_]);
  Bytes now{};
  const bool written = flash_->Program(AddressOf(next_), bytes).ok();
  const bool read = ReadAt(AddressOf(next_), now);
  if (read && !Blank(now)) ++next_;
  const bool kept = written && read && now == bytes;
  Judge(kept);
  if (!kept) return;
  head_ = (head_ + 1) % kQueue;
  --size_;
}

void FlashLog::Judge(bool worked) {
  if (worked) {
    failures_ = 0;
    failed_ = false;
    return;
  }
  if (failures_ < kTries) ++failures_;
  failed_ = failed_ || failures_ >= kTries;
  if (failed_) rest_ms_ = kRetryMs;
}

bool FlashLog::Load(uint32_t number, Bytes& bytes) {
  if (!ReadAt(AddressOf(number), bytes)) return false;
  if (!Valid(bytes, number)) bytes = {};
  return true;
}

bool FlashLog::Read(uint32_t from, uint32_t count, link::LogPage& page) {
  page = {};
  if (!mounted_) return true;
  page.first = std::max(from, oldest_);
  if (flash_->Busy()) return false;
  count = std::min<uint32_t>(count, link::kMaxLogRecords);
  Bytes bytes{};
  for (uint32_t number = page.first; number < next_ && number - page.first < count; ++number) {
    if (!Load(number, bytes)) return false;
    const std::span<const uint8_t> in(bytes);
    page.boot.push_back(Get32(in.subspan(4)));
    page.uptime_ms.push_back(Get32(in.subspan(8)));
    page.kind.push_back(bytes[12]);
    page.slot.push_back(bytes[13]);
    page.detail.push_back(bytes[14] | uint32_t{bytes[15]} << 8);
    page.value.push_back(Get32(in.subspan(16)));
    page.limit.push_back(Get32(in.subspan(20)));
  }
  return true;
}

}  // namespace faraday::firmware
