#include "sim/board/paced_clock.h"

#include <gtest/gtest.h>

namespace faraday::sim {
namespace {

TEST(PacedClock, FollowsRealTimeAlsoOverTheWrap) {
  PacedClock clock(0xFFFFFFF0U);
  clock.Follow(0xFFFFFFFFU);
  clock.Follow(10);
  EXPECT_EQ(clock.now_ms(), 10U);
  EXPECT_EQ(clock.slipped_ms(), 0U);
}

TEST(PacedClock, StandsStillWhileTheSimulatorIsStarved) {
  PacedClock clock(1000);
  clock.Follow(4000);
  EXPECT_EQ(clock.now_ms(), 1000 + PacedClock::kMostMs);
  EXPECT_EQ(clock.slipped_ms(), 3000 - PacedClock::kMostMs);
  clock.Follow(4001);
  EXPECT_EQ(clock.now_ms(), 1001 + PacedClock::kMostMs);
}

}  // namespace
}  // namespace faraday::sim
