#include "firmware/core/latch_store.h"

#include <algorithm>

#include "link/frame.h"

namespace faraday::firmware {
namespace {

constexpr uint32_t kFirstAt = 0x300;
constexpr uint32_t kCopySize = 32;
constexpr size_t kReasonsAt = 12;
constexpr uint32_t kHotAt = 24;
constexpr size_t kCheckAt = 28;
static_assert(static_cast<uint32_t>(link::TripReason::kFastRise) < 8);

void Put32(std::span<uint8_t> out, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) out[i] = static_cast<uint8_t>(value >> (8 * i));
}
uint32_t Get32(std::span<const uint8_t> in) {
  return uint32_t{in[0]} | uint32_t{in[1]} << 8 | uint32_t{in[2]} << 16 | uint32_t{in[3]} << 24;
}

}  // namespace

link::TripReason Latches::reason(size_t slot) const {
  unsigned reason = 0;
  for (size_t bit = 0; bit < 3; ++bit) {
    const size_t at = slot * 3 + bit;
    reason |= (reasons[at / 8] >> at % 8 & 1U) << bit;
  }
  return static_cast<link::TripReason>(reason);
}

void Latches::SetReason(size_t slot, link::TripReason reason) {
  for (size_t bit = 0; bit < 3; ++bit) {
    const size_t at = slot * 3 + bit;
    reasons[at / 8] = static_cast<uint8_t>(reasons[at / 8] | (static_cast<unsigned>(reason) >> bit & 1U) << at % 8);
  }
}

// The number is never 0, so that blank or zeroed memory is no copy.
LatchStore::Copy LatchStore::CopyOf(uint32_t number, const Latches& latches) {
  Copy copy{};
  const std::span<uint8_t> out(copy);
  Put32(out, number);
  Put32(out.subspan(4), latches.stopped_slots);
  Put32(out.subspan(8), latches.rack_stopped ? 1 : 0);
  std::copy(latches.reasons.begin(), latches.reasons.end(), copy.begin() + kReasonsAt);
  Put32(out.subspan(kHotAt), latches.hot_slots);
  Put32(out.subspan(kCheckAt), link::Crc32(std::span<const uint8_t>(copy).first(kCheckAt)));
  return copy;
}

const Latches& LatchStore::Load() {
  for (uint32_t n = 0; n < 2; ++n) {
    Copy copy{};
    if (!store_.Read(kFirstAt + n * kCopySize, copy)) continue;
    const std::span<const uint8_t> in(copy);
    const uint32_t number = Get32(in);
    Latches found{.stopped_slots = Get32(in.subspan(4)), .rack_stopped = Get32(in.subspan(8)) != 0};
    std::copy_n(copy.begin() + kReasonsAt, found.reasons.size(), found.reasons.begin());
    found.hot_slots = Get32(in.subspan(kHotAt));
    if (number <= number_ || copy != CopyOf(number, found)) continue;
    kept_ = found;
    number_ = number;
  }
  return kept_;
}

bool LatchStore::Adds(const Latches& now) const {
  if ((now.stopped_slots & ~kept_.stopped_slots) != 0 || (now.hot_slots & ~kept_.hot_slots) != 0) return true;
  if (now.rack_stopped && !kept_.rack_stopped) return true;
  for (size_t i = 0; i < now.reasons.size(); ++i) {
    if ((now.reasons[i] & ~kept_.reasons[i]) != 0) return true;
  }
  return false;
}

// A copy's place follows from its number, so the one that counts is never the one written.
void LatchStore::Keep(const Latches& now, uint32_t dt) {
  wait_ms_ = wait_ms_ > dt ? wait_ms_ - dt : 0;
  if (now == kept_ || (wait_ms_ > 0 && (refused_ || !Adds(now)))) return;
  const uint32_t next = number_ + 1;
  const bool kept = store_.Write(kFirstAt + next % 2 * kCopySize, CopyOf(next, now));
  refused_ = !kept;
  wait_ms_ = kept ? kApartMs : kRetryMs;
  if (!kept) return;
  kept_ = now;
  number_ = next;
}

}  // namespace faraday::firmware
