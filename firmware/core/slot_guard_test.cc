// The trips' curves, the conditions' debouncing and the buses' grace, by themselves, in virtual time.
#include "firmware/core/slot_guard.h"

#include <gtest/gtest.h>

#include <cmath>

#include "firmware/core/shelf_watch.h"
#include "firmware/core/slot_truth.h"

namespace faraday::firmware {
namespace {

using link::Condition;
using link::TripReason;

struct GuardTest : testing::Test {
  GuardTest() {
    vbus.Want(true, 1);
    vbus.Grant();
    vbus.Advance(1000);
  }
  Finding Sample(uint32_t ma) { return guard.OnCurrent(ma, 10, vbus, slot, kCeilings); }
  // ms of `ma`, a sample each 10 ms, until it trips; 0: not within `most_ms`.
  uint32_t TripsAfter(uint32_t ma, uint32_t most_ms) {
    for (uint32_t ms = 10; ms <= most_ms; ms += 10) {
      last = Sample(ma);
      if (last.reason != TripReason::kNone) return ms;
    }
    return 0;
  }
  // The tray's air by seconds, two samples a second.
  template <typename Air>
  Finding Warm(uint32_t seconds, Air air) {
    for (uint32_t ms = 0; ms < seconds * 1000; ms += 500) {
      (void)guard.Advance(50, false, uptime_ms += 500);
      const Finding found = guard.OnTemperature(static_cast<int32_t>(std::lround(air(ms / 1000.0) * 10)), 500);
      if (found.reason != TripReason::kNone) return found;
    }
    return {};
  }
  SlotGuard guard;
  VbusSwitch vbus;
  SlotConfig slot{.limit_ma = 3000, .soft_limit_ma = 1000};
  Finding last;
  uint32_t uptime_ms = 0;
};

TEST_F(GuardTest, HardLimit_TripsAtTheFirstSampleAboveIt) {
  EXPECT_EQ(Sample(3000).reason, TripReason::kNone);
  const Finding found = Sample(3001);
  EXPECT_EQ(found.reason, TripReason::kOverCurrent);
  EXPECT_EQ(found.value, 3001U);
  EXPECT_EQ(found.limit, 3000U);
}

// t = 10 s / ((I/S)^2 - 1), within 2 % and never later.
TEST_F(GuardTest, SoftLimit_FollowsItsCurve) {
  for (uint32_t ma : {1100U, 1200U, 1500U, 2000U, 2500U, 3000U}) {
    guard = {};
    const double ratio = ma / 1000.0;
    const double due_ms = 10'000 / (ratio * ratio - 1);
    const uint32_t tripped_ms = TripsAfter(ma, 100'000);
    EXPECT_LE(tripped_ms, due_ms + 10) << ma;
    EXPECT_GE(tripped_ms, due_ms * 0.98 - 10) << ma;
    EXPECT_EQ(last.reason, TripReason::kOverCurrent);
    EXPECT_EQ(last.limit, 1000U);
  }
}

TEST_F(GuardTest, SoftLimit_IsNeverReachedAtIt) { EXPECT_EQ(TripsAfter(1000, 3'600'000), 0U); }

TEST_F(GuardTest, SoftLimit_IsSaidWhileAboveIt) {
  (void)Sample(1001);
  EXPECT_TRUE(guard.over_soft_limit());
  (void)Sample(1000);
  EXPECT_FALSE(guard.over_soft_limit());
}

// Half of the way to the trip, then as long at no current: forgotten.
TEST_F(GuardTest, SoftLimit_CoolsBelowIt) {
  EXPECT_EQ(TripsAfter(1500, 4000), 0U);
  EXPECT_EQ(TripsAfter(0, 6000), 0U);
  EXPECT_EQ(TripsAfter(1500, 7900), 0U);
  EXPECT_NE(TripsAfter(1500, 200), 0U);
}

TEST_F(GuardTest, SoftLimit_WithoutOneOnlyTheHardOneTrips) {
  slot = {.limit_ma = 2000, .soft_limit_ma = 2000};
  EXPECT_EQ(TripsAfter(2000, 600'000), 0U);
  EXPECT_FALSE(guard.over_soft_limit());
}

TEST_F(GuardTest, HeatNeverWraps) {
  for (int i = 0; i < 20'000; ++i)
    EXPECT_EQ(guard.OnCurrent(3000, 300, vbus, slot, kCeilings).reason == TripReason::kNone, i < 4) << i;
}

TEST_F(GuardTest, Unwatched_IsNoStaleSensor) {
  EXPECT_EQ(guard.Advance(900, true, 0).reason, TripReason::kNone);
  EXPECT_EQ(guard.Advance(50, false, 0).reason, TripReason::kNone) << "the bus hung";
  EXPECT_EQ(guard.Advance(900, true, 0).reason, TripReason::kNone);
  EXPECT_EQ(guard.Advance(100, true, 0).reason, TripReason::kStaleSensor);
}

TEST_F(GuardTest, FirstReasonIsKept) {
  EXPECT_TRUE(guard.Latch(TripReason::kFastRise));
  EXPECT_FALSE(guard.Latch(TripReason::kOverCurrent));
  EXPECT_TRUE(guard.thermal());
  EXPECT_TRUE(guard.Clear(450, 500));
  EXPECT_FALSE(guard.tripped());
}

TEST_F(GuardTest, HeatAfterAnotherTrip_IsNewsOnceAndHoldsTheClear) {
  EXPECT_TRUE(guard.Latch(TripReason::kOverCurrent));
  EXPECT_FALSE(guard.thermal());
  EXPECT_TRUE(guard.Latch(TripReason::kOverTemperature));
  EXPECT_FALSE(guard.Latch(TripReason::kFastRise));
  EXPECT_EQ(guard.reason(), TripReason::kOverCurrent);
  EXPECT_TRUE(guard.thermal());
  EXPECT_FALSE(guard.Clear(451, 500));
  EXPECT_TRUE(guard.Clear(450, 500));
  EXPECT_FALSE(guard.thermal());
}

TEST_F(GuardTest, OneOddColdTemperature_TripsNothing) {
  Warm(100, [](double) { return 25.0; });
  EXPECT_EQ(guard.OnTemperature(0, 500).reason, TripReason::kNone);
  EXPECT_EQ(Warm(100, [](double) { return 25.0; }).reason, TripReason::kNone);
}

TEST_F(GuardTest, HeatIsNotClearedAboveItsHysteresis) {
  for (const TripReason reason : {TripReason::kFastRise, TripReason::kOverTemperature}) {
    guard.Latch(reason);
    EXPECT_FALSE(guard.Clear(451, 500));
    EXPECT_TRUE(guard.Clear(450, 500));
  }
  guard.Latch(TripReason::kOverCurrent);
  EXPECT_TRUE(guard.Clear(490, 500));
}

// 3 A at 5 V, 2 K/W, 300 s: the steepest that a sound phone does, from every start of the minute.
TEST_F(GuardTest, HottestLawfulLoad_IsNoFastRise) {
  for (uint32_t start = 0; start < 80; start += 7) {
    guard = {};
    uptime_ms = 0;
    EXPECT_EQ(Warm(100 + start, [](double) { return 15.0; }).reason, TripReason::kNone);
    const auto load = [](double s) { return 15 + 30 * (1 - std::exp(-s / 300)); };
    EXPECT_EQ(Warm(1800, load).reason, TripReason::kNone) << start;
  }
}

TEST_F(GuardTest, TenKelvinInAMinute_IsAFastRise) {
  for (uint32_t start = 0; start < 80; start += 7) {
    guard = {};
    uptime_ms = 0;
    Warm(100 + start, [](double) { return 20.0; });
    const Finding found = Warm(62, [](double s) { return 20 + s / 6; });
    EXPECT_EQ(found.reason, TripReason::kFastRise) << start;
    EXPECT_GE(found.value, 100U);
    EXPECT_EQ(found.limit, 100U);
  }
}

TEST_F(GuardTest, OneOddTemperature_TripsNothing) {
  Warm(100, [](double) { return 20.0; });
  EXPECT_EQ(guard.OnTemperature(400, 500).reason, TripReason::kNone);
  EXPECT_EQ(guard.OnTemperature(200, 500).reason, TripReason::kNone);
  EXPECT_EQ(guard.OnTemperature(400, 500).reason, TripReason::kNone);
  EXPECT_EQ(guard.OnTemperature(400, 500).reason, TripReason::kFastRise);
}

TEST_F(GuardTest, SensorThatWasSilentForMinutes_StartsAnew) {
  Warm(100, [](double) { return 20.0; });
  (void)guard.Advance(50, false, uptime_ms += 120'000);
  EXPECT_EQ(Warm(10, [](double) { return 40.0; }).reason, TripReason::kNone);
}

TEST_F(GuardTest, TightenedLimit_HoldsForTheTray) {
  EXPECT_EQ(guard.OnTemperature(299, 300).reason, TripReason::kNone);
  EXPECT_EQ(guard.OnTemperature(300, 300).reason, TripReason::kOverTemperature);
}

// ---- conditions ----

constexpr Conditions kStuck = BitOf(Condition::kRelayStuck), kFeed = BitOf(Condition::kBackFeed);

TEST(Truth, ThirdJudgementInARow_ComesAndGoes) {
  SlotTruth truth;
  EXPECT_EQ(truth.Judge(kStuck, 0), 0);
  EXPECT_EQ(truth.Judge(kStuck | kFeed, 0), 0);
  EXPECT_EQ(truth.Judge(kStuck | kFeed, 0), kStuck);
  EXPECT_EQ(truth.Judge(kStuck, 0), 0);
  EXPECT_EQ(truth.Judge(kStuck | kFeed, 0), 0) << "interrupted: counts anew";
  EXPECT_EQ(truth.Judge(0, 0), 0);
  EXPECT_EQ(truth.Judge(0, 0), 0);
  EXPECT_EQ(truth.Judge(0, 0), kStuck);
  EXPECT_EQ(truth.active(), 0);
}

TEST(Truth, WhatFlaps_IsNeverACondition) {
  SlotTruth truth;
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(truth.Judge(i % 3 == 0 ? 0 : kStuck, 0), 0);
}

TEST(Truth, WhatWasCountedElsewhere_IsTakenAtOnce) {
  SlotTruth truth;
  EXPECT_EQ(truth.Judge(kStuck, kStuck), kStuck);
}

TEST(Truth, IsJudgedTenTimesASecond) {
  SlotTruth truth;
  int judged = 0;
  for (int ms = 0; ms < 1000; ++ms) judged += truth.Advance(1);
  EXPECT_EQ(judged, 10);
}

// ---- buses ----

struct BusTest : testing::Test {
  void Run(uint32_t ms) {
    for (uint32_t i = 0; i < ms; ++i) watch.Advance(1, events);
  }
  EventLog events;
  BusWatch watch;
};

TEST_F(BusTest, BusThatIsLost_IsToldThenTakesItsSlotsOff) {
  watch.OnBus(3, true);
  EXPECT_TRUE(watch.failing(3)) << "nobody is accused from the first moment on";
  Run(kBusLostMs - 1);
  EXPECT_EQ(watch.lost(), 0U);
  Run(1);
  EXPECT_EQ(watch.lost(), 1U << 3);
  ASSERT_NE(events.Next(), nullptr);
  EXPECT_EQ(std::get<link::ConditionChanged>(events.Next()->kind),
            (link::ConditionChanged{.slot = 0, .condition = Condition::kBusLost, .active = true, .limit = 3}));
  Run(kBusGraceMs - kBusLostMs - 1);
  EXPECT_FALSE(watch.off(3));
  Run(1);
  EXPECT_TRUE(watch.off(3));
  EXPECT_FALSE(watch.off(2));
  watch.OnBus(3, false);
  Run(4 * kBusGraceMs - 1);
  EXPECT_TRUE(watch.off(3));
  Run(1);
  EXPECT_FALSE(watch.off(3) || watch.failing(3));
  EXPECT_EQ(watch.lost(), 0U);
}

TEST_F(BusTest, HangThatIsFreed_IsNoCondition) {
  for (int i = 0; i < 20; ++i) {
    watch.OnBus(0, true);
    Run(100);
    watch.OnBus(0, false);
    Run(900);
  }
  EXPECT_EQ(watch.lost(), 0U);
  EXPECT_EQ(events.size(), 0U);
}

TEST_F(BusTest, BusThatComesAndGoes_GoesOffAllTheSame) {
  for (int i = 0; i < 20; ++i) {
    watch.OnBus(0, true);
    Run(200);
    watch.OnBus(0, false);
    Run(70);
  }
  EXPECT_TRUE(watch.off(0));
  EXPECT_EQ(events.size(), 1U) << "told once";
}

}  // namespace
}  // namespace faraday::firmware
