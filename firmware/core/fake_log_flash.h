// A LogFlash in memory that can be cut in the middle of a write or an erase, be silent, or take nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "firmware/core/log_flash.h"

namespace faraday::firmware {

class FakeLogFlash final : public LogFlash {
 public:
  Status Read(uint32_t at, std::span<uint8_t> in) override {
    if (silent || busy_looks > 0) return {Code::kUnavailable, "no flash"};
    std::copy_n(bytes.begin() + at, in.size(), in.begin());
    return OkStatus();
  }
  Status Program(uint32_t at, std::span<const uint8_t> out) override {
    if (silent || busy_looks > 0) return {Code::kUnavailable, "no flash"};
    crossed_page = crossed_page || at / kPageSize != (at + out.size() - 1) / kPageSize;
    if (failing_programs > 0 && failing_programs-- > 0) return OkStatus();
    for (size_t i = 0; i < out.size() && Spend(1); ++i) bytes[at + i] &= out[i];
    return OkStatus();
  }
  Status BeginErase(uint32_t at) override {
    if (silent || busy_looks > 0) return {Code::kUnavailable, "no flash"};
    ++erases;
    for (uint32_t i = 0; i < kSectorSize && Spend(1); ++i) bytes[at + i] = 0xFF;
    busy_looks = erase_looks;
    return OkStatus();
  }
  bool Busy() override { return busy_looks > 0 && busy_looks-- > 0; }

  std::vector<uint8_t> bytes = std::vector<uint8_t>(kSize, 0xFF);
  size_t bytes_until_cut = SIZE_MAX;  // then the power is gone: nothing more changes
  bool silent = false;
  int failing_programs = 0;  // so many change nothing
  int erase_looks = 3;       // how often it says busy after an erase
  int busy_looks = 0;
  int erases = 0;
  bool crossed_page = false;

 private:
  bool Spend(size_t n) {
    if (bytes_until_cut < n) return false;
    bytes_until_cut -= n;
    return true;
  }
};

}  // namespace faraday::firmware
