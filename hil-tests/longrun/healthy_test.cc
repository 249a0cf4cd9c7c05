// Healthy phones are never accused, and a month of everything breaks no promise. FARADAY_LONGRUN=whole: 10,000
// slot-days and 30 days; FARADAY_LONGRUN_DAYS=N: that many days of the board in each; FARADAY_LONGRUN_SEED=N: another
// story.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

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

uint64_t Seed(uint64_t usual) {
  const char* seed = std::getenv("FARADAY_LONGRUN_SEED");
  return seed != nullptr ? std::strtoull(seed, nullptr, 10) : usual;
}

void Report(const Rig& rig, uint64_t from_ms) {
  fmt::print("{:.2f} days of 32 slots, {} passes:", static_cast<double>(rig.now_ms() - from_ms) / kDay, rig.passes());
  for (const auto& [what, times] : rig.judge.all_seen()) fmt::print(" {} {},", times, what);
  fmt::print("\n");
  std::fflush(stdout);
}

// Passes as long as the firmware's own rules allow where nothing goes on; a spell that everybody leaves the rack alone.
void BeQuiet(Rig& rig, uint64_t ms) {
  rig.Step("a quiet spell");
  if (rig.judge.broken().empty()) rig.Run(ms);
}

// A day is told once.
class Days {
 public:
  explicit Days(const Rig& rig) : rig_(rig), from_ms_(rig.now_ms()) {}
  uint64_t from_ms() const { return from_ms_; }
  void Tell() {
    const uint64_t days = (rig_.now_ms() - from_ms_) / (10 * kDay);
    if (days != std::exchange(told_, days)) Report(rig_, from_ms_);
  }

 private:
  const Rig& rig_;
  uint64_t from_ms_ = 0;
  uint64_t told_ = 0;
};

// Full, empty, limited, booting, unplugged and plugged phones in normal use: on, off, cycle, data, couple, the charge
// duty. Busy spells of two minutes between hours in which nobody asks for anything.
TEST(HealthyTest, NobodyIsAccused) {
  Rig rig(Seed(7));
  rig.busy_ms = 8;
  rig.lazy_ms = 400;
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
  Days days(rig);
  const uint64_t until = days.from_ms() + Span(313, 3 * kHour);
  while (rig.now_ms() < until && rig.judge.broken().empty()) {
    driver.Run(2 * kMinute);
    BeQuiet(rig, rig.chance.Between(60, 360) * kMinute / 2);
    days.Tell();
  }
  Report(rig, days.from_ms());
  EXPECT_TRUE(rig.judge.broken().empty()) << rig.Story();
  EXPECT_EQ(rig.judge.seen("trips"), 0);
  EXPECT_EQ(rig.judge.seen("accusations"), 0);
  for (const char* what : {"turn-ons",
                           "turn-ons of charge duties",
                           "cycles",
                           "connections",
                           "coupled",
                           "phones plugged",
                           "phones unplugged",
                           "phones booting",
                           "full phones",
                           "empty phones"}) {
    EXPECT_GT(rig.judge.seen(what), 0) << what;
  }
  EXPECT_EQ(rig.board.boots(), 1);
}

// Random jobs, faults, host outages and resets.
TEST(MonthTest, NothingBreaksAPromise) {
  const uint64_t span = Span(30, kHour);
  Rig rig(Seed(11));
  rig.busy_ms = 8;
  rig.lazy_ms = 400;
  Driver driver(rig, {.configures = 1, .silences = 2, .bus_faults = 1});
  driver.longest_wait_ms = 10'000;
  driver.duty_times = 60;  // of minutes, as in life; SafeState storms with short ones
  driver.Begin();
  Days days(rig);
  while (rig.now_ms() < days.from_ms() + span && rig.judge.broken().empty()) {
    driver.Run(3 * kMinute);
    BeQuiet(rig, rig.chance.Between(5, 90) * kMinute);
    days.Tell();
  }
  Report(rig, days.from_ms());
  EXPECT_TRUE(rig.judge.broken().empty()) << rig.Story();
}

}  // namespace
}  // namespace faraday::longrun
