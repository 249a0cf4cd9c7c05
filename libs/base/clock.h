// The two clocks of the host programs. Code that decides takes `now` as an argument; only main loops read.
//
// Boot time (CLOCK_BOOTTIME) runs through suspend and never steps: every duration and deadline uses it.
// UTC is for display and for ends that must outlive a reboot.
#pragma once

#include <chrono>
#include <ctime>

namespace faraday {

struct BootClock {
  using duration = std::chrono::milliseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;

  static time_point now() {
    timespec ts{};
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return time_point(
        std::chrono::duration_cast<duration>(std::chrono::seconds(ts.tv_sec) + std::chrono::nanoseconds(ts.tv_nsec)));
  }
};

using BootTime = BootClock::time_point;
using Milliseconds = std::chrono::milliseconds;
// Milliseconds since 1970-01-01T00:00Z.
struct UtcTime {
  std::chrono::milliseconds since_epoch{0};
  auto operator<=>(const UtcTime&) const = default;
};

inline UtcTime UtcNow() {
  return {std::chrono::duration_cast<Milliseconds>(std::chrono::system_clock::now().time_since_epoch())};
}

}  // namespace faraday
