// One test a point of the issue: random command orders, times and faults, judged at the pins (judge.h). Each also says
// that its promise was put to the test. FARADAY_LONGRUN=whole runs more seeds; FARADAY_LONGRUN_SEED=N that one alone.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>

#include "hil-tests/longrun/driver.h"

namespace faraday::longrun {
namespace {

bool Whole() {
  const char* value = std::getenv("FARADAY_LONGRUN");
  return value != nullptr && std::string_view(value) == "whole";
}

class PropertyTest : public ::testing::Test {
 protected:
  // `ms` of virtual time a seed; each seed ends at its first broken promise.
  void Storm(Mix mix,
             uint64_t ms,
             std::initializer_list<const char*> put_to_the_test,
             const std::function<void(Rig&, Driver&)>& prepare = {}) {
    std::map<std::string, int64_t> seen;
    const char* one = std::getenv("FARADAY_LONGRUN_SEED");
    const uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
    const uint64_t seeds = one != nullptr ? 1 : Whole() ? 100 : 1;
    for (uint64_t seed = first; seed < first + seeds; ++seed) {
      Rig rig(seed);
      Driver driver(rig, mix);
      if (prepare) prepare(rig, driver);
      driver.Begin();
      driver.Run(ms);
      ASSERT_TRUE(rig.judge.broken().empty()) << "ended by " << ToString(rig.judge.broken().front().property) << "\n"
                                              << rig.Story();
      for (const auto& [what, times] : rig.judge.all_seen()) seen[what] += times;
    }
    std::string figures;
    for (const auto& [what, times] : seen) figures += fmt::format("{} {}, ", times, what);
    fmt::print("{}\n", figures);
    for (const char* what : put_to_the_test) EXPECT_GT(seen[what], 0) << what;
  }
};

constexpr uint64_t kMinute = 60'000;

TEST_F(PropertyTest, Ceilings) {
  Storm({.commands = 60, .configures = 20, .resets = 2}, 2 * kMinute, {"turn-ons", "configured while on", "refusals"});
}

TEST_F(PropertyTest, Budget) {
  Storm({.commands = 80, .leases = 4, .faults = 0, .loads = 0},
        2 * kMinute,
        {"turn-ons", "full rails"},
        [](Rig&, Driver& driver) {
          for (size_t rail = 0; rail < 4; ++rail) driver.config().rail_budget_ma[rail] = 6400;  // three slots of 2 A
          driver.config().rack_budget_ma = 20'000;
        });
}

TEST_F(PropertyTest, Trips) {
  Storm({.commands = 60, .clears = 20, .faults = 20, .loads = 30},
        2 * kMinute,
        {"over-currents cut", "trips", "soft trips", "hot shelves"},
        [](Rig&, Driver& driver) {
          for (size_t i = 0; i < kSlots; ++i) driver.config().soft_limit_ma.push_back(1200);
        });
}

TEST_F(PropertyTest, Truth) {
  Storm({.commands = 40, .clears = 10, .faults = 20, .bus_faults = 2, .people = 10},
        3 * kMinute,
        {"telemetries", "faults told", "missing parts told"});
}

TEST_F(PropertyTest, BreakBeforeMake) {
  Storm({.commands = 100, .leases = 5, .waits = 5, .faults = 1}, 2 * kMinute, {"connections", "turn-ons"});
}

TEST_F(PropertyTest, Fencing) {
  Storm({.commands = 30, .leases = 30, .hostile = 30, .hellos = 3, .resets = 3},
        2 * kMinute,
        {"refusals", "turn-ons", "coupled"});
}

TEST_F(PropertyTest, Silence) {
  Storm({.commands = 40, .silences = 10}, 20 * kMinute, {"long silences"}, [](Rig&, Driver& driver) {
    driver.config().min_off_ms = 4000;  // turn-ons that wait outlast the first limit
    driver.config().host_silent_ms = 2000;
    driver.config().host_silent_max_ms = 20'000;
  });
}

TEST_F(PropertyTest, SafeState) {
  Storm({.commands = 10, .leases = 20, .waits = 20, .configures = 0, .faults = 2},
        10 * kMinute,
        {"rests", "turn-ons"},
        [](Rig&, Driver& driver) {
          driver.longest_wait_ms = 30'000;
          driver.config().charge_on_ms = 5000;
          driver.config().charge_period_ms = 30'000;
        });
}

TEST_F(PropertyTest, Stop) {
  Storm({.commands = 40, .stops = 10, .stop_frames = 20, .bus_faults = 3}, 2 * kMinute, {"passes while stopped"});
}

// ---- stop: to the pin within 10 ms, whatever the buses do ----

TEST_F(PropertyTest, Stop_ReachesThePinWhileEveryBusHangs) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Rig rig(seed);
    Driver driver(rig, {});
    driver.Begin();
    for (uint32_t slot = 1; slot <= 8; ++slot) {
      (void)rig.host().Do(link::SetLease{.slot = slot, .epoch = 1, .duration_ms = 60'000});
      (void)rig.host().Do(link::SetVbus{.slot = slot, .epoch = 1, .on = true});
    }
    rig.Run(2000);
    const bool stretch = rig.chance.OneIn(2);
    for (int bus = 2; bus <= 10; ++bus) {
      if (stretch)
        rig.Stretch(bus, 4);
      else
        rig.StickBus(bus, true);
    }
    rig.Run(rig.chance.Between(1, 300));
    const uint64_t at_ms = rig.board_ms() + rig.chance.Below(40);
    rig.SendStopFrame(at_ms);
    uint64_t read_ms = 0;
    while (read_ms == 0 && rig.now_ms() < at_ms + 300) {
      rig.Pass(1);
      if (rig.board.board().stopped()) read_ms = rig.judge.claims().stop_frame_ms();
    }
    ASSERT_TRUE(rig.board.board().stopped()) << rig.Story();
    EXPECT_LE(read_ms, at_ms + 10) << "seed " << seed << ", stretch " << stretch;
    for (size_t i = 0; i < kSlots; ++i) EXPECT_FALSE(rig.slot(i).outputs().vbus) << i;
  }
}

// ---- watchdog ----

enum class Misery { kNoHost, kNotReading, kAllBusesFail };

class WatchdogTest : public ::testing::TestWithParam<Misery> {};

// An hour of it: in the nightly run with a pass each millisecond, in CI one each 40 ms.
TEST_P(WatchdogTest, AnHourOfMiseryResetsNothing) {
  Rig rig(1);
  Driver driver(rig, {});
  if (GetParam() != Misery::kNoHost) driver.Begin();
  if (GetParam() == Misery::kNotReading) rig.line.reading = false;
  if (GetParam() == Misery::kAllBusesFail) {
    for (int bus = 2; bus <= 10; ++bus) rig.StickBus(bus, true);
  }
  if (GetParam() == Misery::kNoHost) rig.alive = false;
  if (Whole()) rig.coarse_ms = 1;
  rig.Run(3'600'000);
  EXPECT_EQ(rig.board.watchdog_bites(), 0) << rig.Story();
  EXPECT_EQ(rig.board.boots(), 1);
}
INSTANTIATE_TEST_SUITE_P(PropertyTest,
                         WatchdogTest,
                         ::testing::Values(Misery::kNoHost, Misery::kNotReading, Misery::kAllBusesFail));

TEST_F(PropertyTest, Watchdog) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    Rig rig(seed);
    Driver driver(rig, {.stops = 0, .stop_frames = 0, .resets = 0, .faults = 0});
    driver.Begin();
    driver.Run(10'000);
    ASSERT_TRUE(rig.judge.broken().empty()) << rig.Story();
    rig.board.Hang();
    const uint64_t hung_ms = rig.now_ms();
    while (rig.board.boots() == 1 && rig.now_ms() < hung_ms + 5000) rig.Pass(1);
    EXPECT_EQ(rig.board.watchdog_bites(), 1);
    EXPECT_LE(rig.now_ms() - hung_ms, 2100U);
    for (size_t i = 0; i < kSlots; ++i) EXPECT_EQ(sim::ToBits(rig.slot(i).outputs()) & 0x7F, 0) << i;
    rig.alive = false;
    rig.Run(30'000);  // nobody asked: nothing comes on
    for (size_t i = 0; i < kSlots; ++i) EXPECT_EQ(sim::ToBits(rig.slot(i).outputs()) & 0x7F, 0) << i;
    EXPECT_TRUE(rig.judge.broken().empty()) << rig.Story();
  }
}

}  // namespace
}  // namespace faraday::longrun
