// Bytes waiting for the line: whole frames or nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace faraday::firmware {

class TxRing {
 public:
  static constexpr size_t kCapacity = 4096;  // chosen: 40 ms of a 921600 line, six telemetry frames

  size_t room() const { return kCapacity - size_; }
  bool Push(std::span<const uint8_t> frame) {
    if (frame.size() > room()) return false;
    for (uint8_t byte : frame) bytes_[(head_ + size_++) % kCapacity] = byte;
    return true;
  }
  // The oldest bytes that lie in one piece; Pop them after they were taken.
  std::span<const uint8_t> Front() const {
    const size_t straight = kCapacity - head_;
    return {bytes_.data() + head_, size_ < straight ? size_ : straight};
  }
  // REQUIRES: n <= Front().size()
  void Pop(size_t n) {
    head_ = (head_ + n) % kCapacity;
    size_ -= n;
  }

 private:
  std::array<uint8_t, kCapacity> bytes_{};
  size_t head_ = 0;
  size_t size_ = 0;
};

}  // namespace faraday::firmware
