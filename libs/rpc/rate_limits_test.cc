#include "rpc/rate_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace faraday::rpc {
namespace {

constexpr BootTime kStart{Milliseconds(1'000'000)};

class RateLimitsTest : public testing::Test {
 protected:
  // How many of `calls` at one moment are served.
  int Served(const std::string& who, int calls, BootTime now, RateClass of = RateClass::kPeople) {
    int served = 0;
    for (int i = 0; i < calls; ++i) served += limits_.Take(who, who, of, now).ok() ? 1 : 0;
    return served;
  }
  RateLimits limits_{{.people = {50, 200}, .machines = {1000, 2000}, .code = {1, 5}, .most = 10}};
};

TEST_F(RateLimitsTest, ABurstThenTheRate) {
  EXPECT_EQ(Served("ana", 1000, kStart), 200);
  EXPECT_EQ(Served("ana", 1000, kStart + Milliseconds(1000)), 50);
  EXPECT_EQ(Served("ana", 1000, kStart + Milliseconds(3'600'000)), 200) << "no more than a burst is saved up";
}

TEST_F(RateLimitsTest, TheAnswerSaysWhoAndWhenAgain) {
  Served("ana", 200, kStart);
  const Status refused = limits_.Take("ana", "ana", RateClass::kPeople, kStart);
  EXPECT_EQ(refused.code(), Code::kResourceExhausted);
  EXPECT_EQ(refused.message(), "ana made more than 50 calls a second; again in 20 ms");
  EXPECT_EQ(AskedToWait(refused), Milliseconds(20));
  EXPECT_TRUE(limits_.Take("ana", "ana", RateClass::kPeople, kStart + Milliseconds(20)).ok()) << "the time it said";
  EXPECT_EQ(AskedToWait({Code::kResourceExhausted, "the rail's budget is used up"}), std::nullopt);
  EXPECT_EQ(AskedToWait({Code::kUnavailable, refused.message()}), std::nullopt);
}

TEST_F(RateLimitsTest, OneDoesNotCountForAnother) {
  Served("ana", 1000, kStart);
  EXPECT_EQ(Served("bob", 1, kStart), 1);
  EXPECT_EQ(Served("h01", 3000, kStart, RateClass::kMachines), 2000);
  EXPECT_EQ(Served("code", 10, kStart, RateClass::kCode), 5);
}

TEST_F(RateLimitsTest, TheNumberOfBucketsIsBounded) {
  for (int i = 0; i < 1000; ++i) Served("p" + std::to_string(i), 1, kStart);
  EXPECT_LE(limits_.buckets(), 11U);
  // Those without a bucket share one, and get their own when others have been idle.
  EXPECT_EQ(Served("late", 1000, kStart), 0);
  EXPECT_EQ(Served("late", 1000, kStart + Milliseconds(5000)), 200);
}

TEST_F(RateLimitsTest, AClockThatStandsStillGivesNothing) {
  Served("ana", 200, kStart);
  EXPECT_EQ(Served("ana", 10, kStart - Milliseconds(5000)), 0);
}

}  // namespace
}  // namespace faraday::rpc
