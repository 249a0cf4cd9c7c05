// Healthy phones are never accused, and a month of everything breaks no promise. FARADAY_LONGRUN=whole: 10,000
// slot-days and 30 days; FARADAY_LONGRUN_DAYS=N: that many days of the board in each.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>

#include "hil-tests/longrun/driver.h"

namespace faraday::longrun {
namespace {

constexpr uint64_t kMinute = 60'000;
constexpr uint64_t kHour = 60 * kMinute;
constexpr uint64_t kDay = 24 * kHour;

uint64_t Span(uint64_t whole_days, uint64_t share_ms) {
  if (const char* days = std::getenv("FARADAY_LONGRUN_DAYS")) return std::strtoull(days, nullptr, 10) * kDay;
  const char* value = std::getenv("FARADAY_LONGRUN");
  return value != nullptr && std::string_view(value) == "whole" ? whole_days * kDay : share_ms;
}

void Report(const Rig& rig, uint64_t from_ms) {
  fmt::print("{:.2f} days of 32 slots, {} passes:", static_cast<double>(rig.now_ms() - from_ms) / kDay, rig.passes());
  for (const auto& [what, times] : rig.judge.all_seen()) fmt::print(" {} {},", times, what);
  fmt::print("\n");
}

// Full, empty, limited, booting, unplugged and plugged phones in normal use: on, off, cycle, data, couple, the charge
// duty. Busy spells of two minutes between hours in which nobody asks for anything.
TEST(HealthyTest, NobodyIsAccused) {
  Rig rig(7);
  rig.judge.ExpectNoAccusation();
  Driver driver(rig,
                {.configures = 0,
                 .clears = 0,
                 .stops = 0,
                 .stop_frames = 0,
                 .hostile = 0,
                 .hellos = 0,
                 .resets = 0,
                 .faults = 0,
                 .loads = 0,
                 .people = 15});
  driver.Begin();
  const uint64_t from_ms = rig.now_ms();
  const uint64_t until = from_ms + Span(313, 3 * kHour);
  while (rig.now_ms() < until && rig.judge.broken().empty()) {
    driver.Run(2 * kMinute);
    rig.Step("a quiet spell");
    if (rig.judge.broken().empty()) rig.Run(rig.chance.Between(60, 360) * kMinute / 2);
  }
  Report(rig, from_ms);
  EXPECT_TRUE(rig.judge.broken().empty()) << rig.Story();
  EXPECT_EQ(rig.judge.seen("trips"), 0);
  EXPECT_EQ(rig.board.boots(), 1);
}

// Random jobs, faults, host outages and resets.
TEST(MonthTest, NothingBreaksAPromise) {
  const uint64_t span = Span(30, kHour);
  Rig rig(11);
  Driver driver(rig, {.configures = 1, .silences = 2, .bus_faults = 1});
  driver.longest_wait_ms = 2 * 60'000;
  driver.Begin();
  const uint64_t from_ms = rig.now_ms();
  while (rig.now_ms() < from_ms + span && rig.judge.broken().empty()) {
    driver.Run(3 * kMinute);
    rig.Step("a quiet spell");
    if (rig.judge.broken().empty()) rig.Run(rig.chance.Between(5, 90) * kMinute);
  }
  Report(rig, from_ms);
  EXPECT_TRUE(rig.judge.broken().empty()) << rig.Story();
}

}  // namespace
}  // namespace faraday::longrun
