// Bounded containers for messages on the MCU: no heap, size known at compile time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace faraday::link {

// Up to N bytes of text. Assigning more keeps the first N.
template <size_t N>
class FixedString {
 public:
  static constexpr size_t kCapacity = N;
  constexpr FixedString() = default;
  constexpr FixedString(std::string_view text) { assign(text); }               // NOLINT: implicit by design
  constexpr FixedString(const char* text) { assign(std::string_view(text)); }  // NOLINT

  constexpr void assign(std::string_view text) {
    size_ = text.size() < N ? text.size() : N;
    for (size_t i = 0; i < size_; ++i) bytes_[i] = text[i];
  }
  constexpr std::string_view view() const { return {bytes_.data(), size_}; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr bool operator==(const FixedString& other) const { return view() == other.view(); }

 private:
  std::array<char, N> bytes_{};
  size_t size_ = 0;
};

// Up to N numbers, in order.
template <typename T, size_t N>
class FixedVector {
 public:
  static constexpr size_t kCapacity = N;
  constexpr FixedVector() = default;

  // Returns false, changing nothing, when full.
  constexpr bool push_back(T value) {
    if (size_ == N) return false;
    items_[size_++] = value;
    return true;
  }
  // Grows with zeros or shrinks; to N at most.
  constexpr void resize(size_t size) {
    if (size > N) size = N;
    for (size_t i = size_; i < size; ++i) items_[i] = T{};
    size_ = size;
  }
  constexpr void clear() { size_ = 0; }
  constexpr size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr T& operator[](size_t i) { return items_[i]; }
  constexpr const T& operator[](size_t i) const { return items_[i]; }
  constexpr const T* begin() const { return items_.data(); }
  constexpr const T* end() const { return items_.data() + size_; }
  constexpr bool operator==(const FixedVector& other) const {
    if (size_ != other.size_) return false;
    for (size_t i = 0; i < size_; ++i) {
      if (!(items_[i] == other.items_[i])) return false;
    }
    return true;
  }

 private:
  std::array<T, N> items_{};
  size_t size_ = 0;
};

}  // namespace faraday::link
