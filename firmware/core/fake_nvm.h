// An Nvm in memory that can be blank, read-only, or cut in the middle of a write.
#pragma once

#include <algorithm>
#include <array>
#include <functional>

#include "firmware/core/nvm.h"

namespace faraday::firmware {

class FakeNvm final : public Nvm {
 public:
  FakeNvm() { bytes.fill(0xFF); }

  Status Read(uint32_t at, std::span<uint8_t> in) override {
    if (missing || Fails()) return {Code::kUnavailable, "memory does not answer"};
    std::copy_n(bytes.begin() + at, in.size(), in.begin());
    return OkStatus();
  }
  Status Write(uint32_t at, std::span<const uint8_t> out) override {
    if (missing || read_only) return {Code::kUnavailable, "memory takes no writes"};
    ++writes;
    if (on_write) on_write();
    if (Fails()) {
      std::copy_n(out.begin(), out.size() / 2, bytes.begin() + at);
      return {Code::kUnavailable, "memory stopped in the middle"};
    }
    const size_t n = std::min(out.size(), bytes_until_cut);
    std::copy_n(out.begin(), n, bytes.begin() + at);
    bytes_until_cut -= n;
    return OkStatus();
  }

  std::array<uint8_t, 8192> bytes{};  // an AT24C64
  bool missing = false;
  bool read_only = false;
  int writes = 0;
  std::function<void()> on_write;     // meanwhile, as in a part that takes its time
  int failures = 0;                   // so many transfers fail next; a write leaves its first half
  size_t bytes_until_cut = SIZE_MAX;  // then the power is gone: nothing more is stored

 private:
  bool Fails() { return failures > 0 && failures-- > 0; }
};

}  // namespace faraday::firmware
