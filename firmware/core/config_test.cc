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
      {"soft limit above the limit",
       [](auto& c) {
         for (int i = 0; i < 6; ++i) c.soft_limit_ma.push_back(i == 5 ? 2001 : 0);
       },
       Verdict::kLooserThanCeiling,
       6,
       2000},
      {"trip above 50 degC", [](auto& c) { c.tray_trip_deci_c = 501; }, Verdict::kLooserThanCeiling, 0, 500},
      {"warning above 40 degC", [](auto& c) { c.tray_warn_deci_c = 401; }, Verdict::kLooserThanCeiling, 0, 400},
      {"on for 199 ms", [](auto& c) { c.min_on_ms = 199; }, Verdict::kLooserThanCeiling, 0, 200},
      {"rule without a debounce",
       [](auto& c) { c.input_rules.push_back(link::Pack(link::InputRule{.input = 1, .debounce_ms = 0})); },
       Verdict::kInvalid,
       0,
       1},
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

struct WhileOn {
  const char* what;
  void (*change)(link::Configure&);
  uint32_t field;
  uint32_t in_force;
};

link::Configure Tight() {
  auto config = TestHost::Config();
  config.current_limit_ma[0] = 1500;
  for (size_t i = 0; i < TestHost::kSlots; ++i) config.soft_limit_ma.push_back(1000);
  config.rail_budget_ma[0] = 8000;
  config.min_off_ms = 600;
  config.host_silent_ms = 5000;
  config.host_silent_max_ms = 300'000;
  config.tray_warn_deci_c = 380;
  config.tray_trip_deci_c = 480;
  config.min_on_ms = 300;
  config.input_rules.push_back(
      link::Pack(link::InputRule{.input = 2, .action = link::InputAction::kStop, .debounce_ms = 30}));
  return config;
}

TEST_F(ConfigTest, NothingGetsLooserForASlotThatIsOn) {
  host.Ready();
  host.core->OnRackInputs(0b100);  // the stopping input is active low
  host.Run(2 * kInputDebounceMs);
  const uint32_t crc = host.Do(Tight()).value;
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  ASSERT_TRUE(host.Await());
  ASSERT_TRUE(host.VbusOn(1));
  const WhileOn kCases[] = {
      {"limit", [](auto& c) { c.current_limit_ma[0] = 1501; }, 1, 1500},
      {"another rail", [](auto& c) { c.rail[0] = 1; }, 3, 0},
      {"its rail's budget", [](auto& c) { c.rail_budget_ma[0] = 8001; }, 4, 8000},
      {"rack budget", [](auto& c) { c.rack_budget_ma = 80'001; }, 5, 80'000},
      {"stagger", [](auto& c) { c.stagger_ms = 99; }, 6, 100},
      {"minimum off", [](auto& c) { c.min_off_ms = 599; }, 7, 600},
      {"silence", [](auto& c) { c.host_silent_ms = 5001; }, 8, 5000},
      {"long silence", [](auto& c) { c.host_silent_max_ms = 0; }, 9, 300'000},
      {"soft limit", [](auto& c) { c.soft_limit_ma[0] = 1001; }, 12, 1000},
      {"tray warning", [](auto& c) { c.tray_warn_deci_c = 381; }, 13, 380},
      {"tray trip", [](auto& c) { c.tray_trip_deci_c = 0; }, 14, 480},
      {"minimum on", [](auto& c) { c.min_on_ms = 299; }, 17, 300},
      {"no stopping input", [](auto& c) { c.input_rules.clear(); }, 16, Tight().input_rules[0]},
  };
  for (const WhileOn& looser : kCases) {
    auto config = Tight();
    looser.change(config);
    const auto reply = host.Do(config);
    EXPECT_EQ(reply.verdict, Verdict::kLooserWhileOn) << looser.what;
    EXPECT_EQ(reply.value, 1U) << looser.what;
    EXPECT_EQ(reply.queue_position, looser.field) << looser.what;
    EXPECT_EQ(reply.limit, looser.in_force) << looser.what;
    EXPECT_EQ(host.core->config().crc, crc) << looser.what;
  }
  auto other = Tight();
  other.current_limit_ma[1] = 3000;  // a slot that is off
  other.rail_budget_ma[1] = 20'000;
  EXPECT_EQ(host.Do(other).verdict, Verdict::kOk);
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  host.Await();
  host.Run(10);
  EXPECT_EQ(host.Do(TestHost::Config()).verdict, Verdict::kOk) << "off: anything within the ceilings";
}

TEST_F(ConfigTest, RulesOfInputsDoNotGetLooser) {
  using link::InputAction;
  struct Change {
    link::InputRule from, to;
    Verdict verdict;
  };
  const auto rule = [](InputAction action, uint8_t rails) {
    return link::InputRule{.input = 3, .active_high = true, .action = action, .rails = rails};
  };
  const Change kCases[] = {
      {rule(InputAction::kBlockTurnOn, 0), rule(InputAction::kSafeRail, 0x80), Verdict::kLooserWhileOn},
      {rule(InputAction::kBlockTurnOn, 0), rule(InputAction::kSafeRail, 0), Verdict::kOk},
      {rule(InputAction::kSafeRail, 0), rule(InputAction::kSafeRail, 0x80), Verdict::kLooserWhileOn},
      {rule(InputAction::kSafeRail, 0xFF), rule(InputAction::kSafeRail, 0), Verdict::kOk},
      {rule(InputAction::kSafeRail, 0x81), rule(InputAction::kStop, 0), Verdict::kOk},
      {rule(InputAction::kSafeRail, 0x01), rule(InputAction::kSafeRail, 0x03), Verdict::kOk},
  };
  for (const Change& change : kCases) {
    FakeNvm memory;
    TestHost other(memory);
    other.Ready();
    auto config = TestHost::Config();
    config.input_rules.push_back(link::Pack(change.from));
    ASSERT_EQ(other.Do(config).verdict, Verdict::kOk);
    other.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
    ASSERT_TRUE(other.Await());
    config.input_rules[0] = link::Pack(change.to);
    EXPECT_EQ(other.Do(config).verdict, change.verdict) << config.input_rules[0];
  }
}

TEST_F(ConfigTest, OneThatTheMemoryDidNotTake_IsWrittenWithTheNext) {
  nvm.read_only = true;
  const uint32_t crc = host.Do(Tight()).value;
  nvm.read_only = false;
  EXPECT_EQ(host.Do(Tight()).verdict, Verdict::kOk);
  TestHost again(nvm, 78);
  EXPECT_EQ(again.Hello(2)->config_crc, crc);
}

TEST_F(ConfigTest, OutlivesAResetAndEnergisesNothingByItself) {
  const uint32_t crc = host.Do(Tight()).value;
  host.Do(link::SetLease{.slot = 1, .epoch = 7});
  TestHost again(nvm, 78);
  const auto hello = again.Hello(2);
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->config_crc, crc);
  EXPECT_EQ(again.core->config().slots[0].limit_ma, 1500U);
  again.Run(5000);
  EXPECT_FALSE(again.AnyOn());
  EXPECT_EQ(again.Do(link::SetVbus{.slot = 1, .epoch = 7, .on = true}).verdict, Verdict::kFenced)
      << "not before a lease was given anew";
}

TEST_F(ConfigTest, TheSameAgain_IsNotWritten) {
  host.Do(Tight());
  const int writes = nvm.writes;
  EXPECT_EQ(host.Do(Tight()).verdict, Verdict::kOk);
  EXPECT_EQ(nvm.writes, writes);
}

TEST_F(ConfigTest, CutWrite_LeavesTheOneBefore) {
  const uint32_t crc = host.Do(Tight()).value;
  std::array<uint8_t, 1024> bytes{};
  const size_t length = *link::EncodeMessage(TestHost::Config(), bytes);
  for (const size_t cut : {size_t{1}, length - 1, length, length + 10, length + 19}) {
    FakeNvm copy = nvm;
    TestHost other(copy, 79);
    other.Hello(5);
    copy.bytes_until_cut = cut;
    other.Do(TestHost::Config());
    copy.bytes_until_cut = SIZE_MAX;
    TestHost again(copy, 80);
    EXPECT_EQ(again.Hello(2)->config_crc, crc) << cut;
  }
}

TEST_F(ConfigTest, DamagedByte_IsNoConfiguration) {
  host.Do(Tight());
  for (uint32_t at : {0x800U, 0x808U, 0x820U, 0x850U}) {
    FakeNvm copy = nvm;
    copy.bytes[at - 0x400] ^= 1;
    copy.bytes[at] ^= 1;
    TestHost again(copy, 78);
    EXPECT_EQ(again.Hello(2)->config_crc, 0U) << at;
  }
}

TEST_F(ConfigTest, LooserThanThisFirmwaresCeilings_IsNotLoaded) {
  host.Do(TestHost::Config());
  TestHost again(nvm, 78);
  BoardFacts facts{.name = "small", .session = 79, .slots = TestHost::kSlots};
  facts.ceilings.slot_ma = 1999;
  again.core.emplace(facts, nvm, nullptr);
  again.core->Boot(TestHost::Places(), again.now_ms);
  EXPECT_FALSE(again.core->config().accepted);
  again.Hello(3);
  const auto reply = again.Do(TestHost::Config());
  EXPECT_EQ(reply.verdict, Verdict::kLooserThanCeiling);
  EXPECT_EQ(reply.limit, 1999U) << "the board's own";
}

}  // namespace
}  // namespace faraday::firmware
