#include "sim/plant/nor_flash.h"

#include <algorithm>

#include "base/check.h"
#include "base/result.h"

namespace faraday::sim {

Status NorFlash::Check(size_t at, size_t size, uint32_t now_ms) const {
  if (at > kSize || size > kSize - at) return {Code::kOutOfRange, "beyond the log's part of the flash"};
  if (missing_) return {Code::kUnavailable, "no SPI flash answers"};
  if (Busy(now_ms)) return {Code::kUnavailable, "the SPI flash is busy"};
  return OkStatus();
}

Status NorFlash::Read(size_t at, std::span<uint8_t> in, uint32_t now_ms) const {
  FARADAY_TRY(Check(at, in.size(), now_ms));
  std::copy_n(memory_.begin() + static_cast<ptrdiff_t>(at), in.size(), in.begin());
  return OkStatus();
}

Status NorFlash::Program(size_t at, std::span<const uint8_t> out, uint32_t now_ms) {
  FARADAY_TRY(Check(at, out.size(), now_ms));
  if (read_only_) return OkStatus();
  for (size_t i = 0; i < out.size(); ++i) memory_[at + i] &= out[i];
  if (on_change_) on_change_(at, out.size());
  return OkStatus();
}

Status NorFlash::Erase(size_t at, uint32_t now_ms) {
  FARADAY_TRY(Check(at, 1, now_ms));
  const size_t sector = at / kSector * kSector;
  erasing_ = true;
  erase_began_ms_ = now_ms;
  if (read_only_) return OkStatus();
  std::fill_n(memory_.begin() + static_cast<ptrdiff_t>(sector), kSector, uint8_t{0xFF});
  if (on_change_) on_change_(sector, kSector);
  return OkStatus();
}

void NorFlash::LoadContents(std::span<const uint8_t> bytes) {
  FARADAY_CHECK(bytes.size() == kSize);
  memory_.assign(bytes.begin(), bytes.end());
}

}  // namespace faraday::sim
