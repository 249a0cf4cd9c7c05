// How long the guest's tests wait for a condition: several times what a machine with busy cores needs.
#pragma once

#include "base/clock.h"

namespace faraday::hil {

inline constexpr Milliseconds kGenerous{30'000};
inline constexpr Milliseconds kBoot{90'000};  // 5 s on an idle machine

}  // namespace faraday::hil
