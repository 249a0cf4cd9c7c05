// Configure: taken whole or refused whole.
#include <gtest/gtest.h>

#include "firmware/core/test_host.h"
#include "link/frame.h"

namespace faraday::firmware {
namespace {

using link::Verdict;

struct ConfigTest : testing::Test {
  ConfigTest() { host.Hello(1); }
  FakeNvm nvm;
  TestHost host{nvm};
};

TEST_F(ConfigTest, AnswerIsTheCrcOfItsBytes) {
  const auto config = TestHost::Config();
  std::array<uint8_t, 1024> bytes{};
  const auto length = link::EncodeMessage(config, bytes);
  const auto reply = host.Do(config);
  EXPECT_EQ(reply.verdict, Verdict::kOk);
  EXPECT_EQ(reply.value, link::Crc32(std::span<const uint8_t>(bytes).first(*length)));
  host.Run(200);
  EXPECT_EQ(host.telemetry.config_crc, reply.value);
  EXPECT_EQ(host.Hello(2)->config_crc, reply.value);
}

TEST_F(ConfigTest, NothingMovesBeforeIt) {
  host.Do(link::SetLease{.slot = 1, .epoch = 1, .duration_ms = 60'000});
  EXPECT_EQ(host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true}).verdict, Verdict::kNotConfigured);
  EXPECT_EQ(host.Do(link::CycleVbus{.slot = 1, .epoch = 1, .off_ms = 600}).verdict, Verdict::kNotConfigured);
  EXPECT_EQ(host.Do(link::SetData{.slot = 1, .epoch = 1, .path = link::DataPath::kCharge}).verdict,
            Verdict::kNotConfigured);
  EXPECT_EQ(host.Do(link::SetShield{.slot = 1, .epoch = 1, .couple = true}).verdict, Verdict::kNotConfigured);
  host.Do(link::SetLease{.slot = 2, .epoch = 1, .to_safe_state = true});
  host.Run(5000);
  EXPECT_FALSE(host.AnyOn());
}

struct Looser {
  const char* what;
  void (*change)(link::Configure&);
  Verdict verdict;
  uint32_t value;
  uint32_t limit;
};

TEST_F(ConfigTest, AnythingLooserThanTheCeilings_IsRefusedAndNamed) {
  const Looser kCases[] = {
      {"slot 3 above 3 A", [](auto& c) { c.current_limit_ma[2] = 3001; }, Verdict::kLooserThanCeiling, 3, 3000},
      {"rail above 20 A", [](auto& c) { c.rail_budget_ma[1] = 20'001; }, Verdict::kLooserThanCeiling, 0, 20'000},
      {"stagger of 49 ms", [](auto& c) { c.stagger_ms = 49; }, Verdict::kLooserThanCeiling, 0, 50},
      {"no stagger", [](auto& c) { c.stagger_ms = 0; }, Verdict::kLooserThanCeiling, 0, 50},
      {"off for 499 ms", [](auto& c) { c.min_off_ms = 499; }, Verdict::kLooserThanCeiling, 0, 500},
      {"silent for 61 s", [](auto& c) { c.host_silent_ms = 61'000; }, Verdict::kLooserThanCeiling, 0, 60'000},
      {"leased and silent for two hours",
       [](auto& c) { c.host_silent_max_ms = 7'200'000; },
       Verdict::kLooserThanCeiling,
       0,
       3'600'000},
      {"rack above all rails", [](auto& c) { c.rack_budget_ma = 160'001; }, Verdict::kLooserThanCeiling, 0, 160'000},
      {"safe state 3 in slot 4", [](auto& c) { c.safe_state[3] = 3; }, Verdict::kInvalid, 4, 2},
      {"slot 5 on rail 4 of 4", [](auto& c) { c.rail[4] = 4; }, Verdict::kInvalid, 5, 4},
  };
  for (const Looser& bad : kCases) {
    auto config = TestHost::Config();
    bad.change(config);
    const auto reply = host.Do(config);
    EXPECT_EQ(reply.verdict, bad.verdict) << bad.what;
    EXPECT_EQ(reply.value, bad.value) << bad.what;
    EXPECT_EQ(reply.limit, bad.limit) << bad.what;
    EXPECT_FALSE(host.core->config().accepted) << bad.what;
  }
}

TEST_F(ConfigTest, RefusedOneLeavesTheLastInForce) {
  const uint32_t crc = host.Do(TestHost::Config()).value;
  auto looser = TestHost::Config();
  looser.current_limit_ma[0] = 9000;
  host.Do(looser);
  EXPECT_EQ(host.core->config().crc, crc);
}

TEST_F(ConfigTest, SlotWithoutACurrentLimit_IsNotFitted) {
  auto config = TestHost::Config();
  config.current_limit_ma[1] = 0;
  host.Do(config);
  host.Do(link::SetLease{.slot = 2, .epoch = 1, .duration_ms = 60'000, .to_safe_state = true});
  EXPECT_EQ(host.Do(link::SetVbus{.slot = 2, .epoch = 1, .on = true}).verdict, Verdict::kNotFitted);
  host.Run(2000);
  EXPECT_EQ(host.Outputs(2), 0);
}

TEST_F(ConfigTest, SlotTakenOutOfTheConfiguration_GoesOff) {
  host.Ready();
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  host.Await();
  ASSERT_TRUE(host.VbusOn(1));
  auto config = TestHost::Config();
  config.current_limit_ma[0] = config.current_limit_ma[1] = 0;
  EXPECT_EQ(host.Do(config).verdict, Verdict::kOk);
  EXPECT_FALSE(host.VbusOn(1));
  host.Run(90'000);
  EXPECT_EQ(host.Outputs(1), 0) << "lease end";
  EXPECT_EQ(host.Outputs(2), 0) << "silence";
}

TEST_F(ConfigTest, StricterLimitHoldsAtOnce) {
  host.Ready();
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  host.Await();
  host.Run(kInrushMs);
  auto config = TestHost::Config();
  config.current_limit_ma[0] = 400;
  host.Do(config);
  host.Run(2);
  EXPECT_FALSE(host.VbusOn(1));
}

}  // namespace
}  // namespace faraday::firmware
