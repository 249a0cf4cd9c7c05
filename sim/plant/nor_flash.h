// The part of a W25Q64 SPI flash that holds the board's log: bytes that a program can only clear and an erase of a
// sector sets, which takes its time. Pure; the caller gives the time. One owner, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/status.h"

namespace faraday::sim {

class NorFlash {
 public:
  static constexpr size_t kSize = 64 * 1024;
  static constexpr size_t kSector = 4096;
  static constexpr uint32_t kEraseMs = 45;  // W25Q64 data sheet, tSE typical

  NorFlash() : memory_(kSize, 0xFF) {}

  // Errors: kOutOfRange; kUnavailable missing, or busy at `now_ms` (any free-running counter).
  Status Read(size_t at, std::span<uint8_t> in, uint32_t now_ms) const;
  Status Program(size_t at, std::span<const uint8_t> out, uint32_t now_ms);
  // The sector that holds `at`; the bytes are gone at once, the part is busy for kEraseMs.
  Status Erase(size_t at, uint32_t now_ms);
  bool Busy(uint32_t now_ms) const { return erasing_ && now_ms - erase_began_ms_ < kEraseMs; }

  // The reset that the firmware went through outlasted an erase.
  void FinishErase() { erasing_ = false; }

  // The memory, for the file that keeps it between runs. REQUIRES of Load: kSize bytes.
  const std::vector<uint8_t>& contents() const { return memory_; }
  void LoadContents(std::span<const uint8_t> bytes);
  // Called after each change with its offset and size.
  void OnChange(std::function<void(size_t at, size_t size)> callback) { on_change_ = std::move(callback); }
  // Fault: it does not answer.
  void SetMissing(bool missing) { missing_ = missing; }
  // Fault: it acknowledges programs and erases and changes nothing (protected, or worn).
  void SetReadOnly(bool read_only) { read_only_ = read_only; }

 private:
  Status Check(size_t at, size_t size, uint32_t now_ms) const;

  std::vector<uint8_t> memory_;
  bool missing_ = false;
  bool read_only_ = false;
  bool erasing_ = false;
  uint32_t erase_began_ms_ = 0;
  std::function<void(size_t, size_t)> on_change_;
};

}  // namespace faraday::sim
