// Bytes between one interrupt handler and the main loop: one writer, one reader, no lock. Freestanding.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faraday::firmware::ast1030 {

// Holds N bytes. REQUIRES: N is a power of two.
template <size_t N>
class ByteRing {
  static_assert((N & (N - 1)) == 0);

 public:
  // Writer only. False, changing nothing, when full.
  bool Put(uint8_t byte) {
    const uint32_t head = head_.load(std::memory_order_relaxed);
    if (head - tail_.load(std::memory_order_acquire) == N) return false;
    bytes_[head % N] = byte;
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

  // Reader only. False when empty.
  bool Take(uint8_t& byte) {
    const uint32_t tail = tail_.load(std::memory_order_relaxed);
    if (head_.load(std::memory_order_acquire) == tail) return false;
    byte = bytes_[tail % N];
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  bool empty() const { return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire); }

 private:
  std::array<uint8_t, N> bytes_{};
  std::atomic<uint32_t> head_{0};
  std::atomic<uint32_t> tail_{0};
};

}  // namespace faraday::firmware::ast1030
