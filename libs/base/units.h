// Electrical and thermal quantities as types, so that a milliamp never meets a millivolt. Freestanding.
#pragma once

#include <compare>
#include <cstdint>

namespace faraday {

// An integer count of one unit. Explicit to build, ordered, added and subtracted within its own unit.
template <typename Tag>
struct Quantity {
  int32_t count = 0;

  constexpr Quantity() = default;
  constexpr explicit Quantity(int32_t n) : count(n) {}
  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity operator+(Quantity other) const { return Quantity(count + other.count); }
  constexpr Quantity operator-(Quantity other) const { return Quantity(count - other.count); }
};

using Millivolts = Quantity<struct MillivoltTag>;
using Milliamps = Quantity<struct MilliampTag>;
using DeciCelsius = Quantity<struct DeciCelsiusTag>;  // 0.1 degC

}  // namespace faraday
