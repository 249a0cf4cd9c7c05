// What the fuzz targets share: reading ops out of an input, and the promise that ends the run when it is broken.
// Host test builds only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

// Ends the program, naming the promise in words and where it is written down. libFuzzer then keeps the input.
#define FARADAY_PROMISE(condition, words)                                                              \
  do {                                                                                                 \
    if (!(condition)) {                                                                                \
      std::fprintf(stderr, "%s:%d: broken promise: %s (%s)\n", __FILE__, __LINE__, words, #condition); \
      std::abort();                                                                                    \
    }                                                                                                  \
  } while (false)

namespace faraday {

// A fuzz input as a stream of small numbers; past its end it gives zeros.
class FuzzInput {
 public:
  explicit FuzzInput(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  bool done() const { return bytes_.empty(); }
  uint8_t Byte() {
    if (bytes_.empty()) return 0;
    const uint8_t byte = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return byte;
  }
  // 0 to n - 1. REQUIRES: 1 <= n <= 256
  uint32_t Below(uint32_t n) { return Byte() % n; }
  bool Flip() { return (Byte() & 1U) != 0; }
  // Little endian.
  uint32_t Word(int width) {
    uint32_t value = 0;
    for (int i = 0; i < width; ++i) value |= uint32_t{Byte()} << (8 * i);
    return value;
  }
  // One of `choices`.
  template <typename T, size_t N>
  T Of(const T (&choices)[N]) {
    return choices[Below(N)];
  }
  // At most `n` bytes.
  std::span<const uint8_t> Bytes(size_t n) {
    const auto taken = bytes_.first(std::min(n, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }

 private:
  std::span<const uint8_t> bytes_;
};

}  // namespace faraday
