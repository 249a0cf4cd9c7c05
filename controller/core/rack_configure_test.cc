// What a board is configured with, and a board that keeps a value for a slot that is on.
#include "controller/core/configure.h"
#include "controller/core/rack_fixture.h"

namespace faraday::controller {
namespace {

using link::Verdict;

class RackConfigureTest : public RackTest {
 protected:
  static link::Reply Looser(uint32_t slot, uint32_t field, uint32_t limit) {
    link::Reply reply;
    reply.verdict = Verdict::kLooserWhileOn;
    reply.value = slot;
    reply.queue_position = field;
    reply.limit = limit;
    return reply;
  }
};

TEST_F(RackConfigureTest, EveryKeyReachesTheBoard) {
  config.slots[2].soft_limit = Milliamps(1500);
  config.tray_warn_celsius = 38;
  config.tray_trip_celsius = 45;
  config.relay_warn_count = 500'000;
  config.min_on_ms = 400;
  config.rails[0].push_back({"B", Milliamps(16000)});
  config.inputs = {{"smoke", 0, 1, false, 30, rackconfig::InputAction::kSafeRail, {"B"}, false},
                   {"fan", 0, 4, true, 0, rackconfig::InputAction::kReport, {}, true}};
  Connect();
  const link::Configure& sent = board.configured.at(0);
  EXPECT_EQ(sent.soft_limit_ma[2], 1500u);
  EXPECT_EQ(sent.soft_limit_ma[0], 0u);
  EXPECT_EQ(sent.tray_warn_deci_c, 380u);
  EXPECT_EQ(sent.tray_trip_deci_c, 450u);
  EXPECT_EQ(sent.relay_warn_count, 500'000u);
  EXPECT_EQ(sent.min_on_ms, 400u);
  ASSERT_EQ(sent.input_rules.size(), 2u);
  EXPECT_EQ(link::UnpackRule(sent.input_rules[0]),
            (link::InputRule{1, false, link::InputAction::kSafeRail, 2, 30, false}));
  EXPECT_EQ(link::UnpackRule(sent.input_rules[1]), (link::InputRule{4, true, link::InputAction::kReport, 0, 1, true}));
}

TEST_F(RackConfigureTest, LooserWhileOn_KeepsThatValueAndTakesTheRest) {
  Connect();
  const auto lease = Acquire("r01/03", "ana");
  ASSERT_TRUE(Power("r01/03", lease->tenure.epoch, As("ana")).ok());
  Kill();
  config.slots[2].current_limit = Milliamps(3000);
  config.stagger_ms = 200;
  board.configured.clear();
  board.configure_replies = {Looser(3, 1, 2000), Looser(3, 6, 250)};
  Start("boot-1");
  Connect();
  ASSERT_TRUE(rack->board(0).ready()) << rack->board(0).reason();
  ASSERT_EQ(board.configured.size(), 3u);
  EXPECT_EQ(board.configured[2].current_limit_ma[2], 2000u);
  EXPECT_EQ(board.configured[2].stagger_ms, 250u);
  Advance(seconds(2));
  EXPECT_EQ(board.configured.size(), 3u) << "the slot is on: no second try";
  const auto conditions = rack->views().BoardOf(0).conditions;
  ASSERT_EQ(conditions.size(), 1u);
  EXPECT_EQ(conditions[0].text, "config waits: stagger stays 250 while r01/03 is on");
  ASSERT_TRUE(Power("r01/03", lease->tenure.epoch, As("ana"), false).ok());
  Advance(seconds(2));
  ASSERT_EQ(board.configured.size(), 4u);
  EXPECT_EQ(board.configured[3].current_limit_ma[2], 3000u);
  EXPECT_EQ(rack->board(0).config_waits(), "");
  EXPECT_TRUE(rack->board(0).ready());
}

TEST_F(RackConfigureTest, LooserWhileOn_WhatCannotBeKeptLeavesTheOldConfig) {
  board.configure_replies = {Looser(3, 99, 0)};
  board.At(3).vbus_sticks = true;
  Connect();
  EXPECT_TRUE(rack->board(0).ready()) << rack->board(0).reason();
  EXPECT_EQ(rack->board(0).config_waits(), "the board keeps the config it has while r01/03 is on");
}

TEST_F(RackConfigureTest, BoardThatAlwaysSaysLooser_IsAskedABoundedNumberOfTimes) {
  for (uint32_t i = 0; i < 300; ++i) board.configure_replies.push_back(Looser(3, 1, 100 + i));
  board.At(3).vbus_sticks = true;
  Connect();
  EXPECT_TRUE(rack->board(0).ready());
  EXPECT_LE(board.configured.size(), static_cast<size_t>(kConfigureTries) + 1);
}

TEST_F(RackConfigureTest, ConfigKeptOverAReset_IsNotSentAgain) {
  Connect();
  const uint32_t crc = board.config_crc;
  board.Reset();
  board.config_crc = crc;
  board.configured.clear();
  line->Down("the board has reset", now);
  Connect();
  EXPECT_TRUE(rack->board(0).ready());
  EXPECT_THAT(board.configured, IsEmpty());
}

TEST(KeepInForce, KeepsTheRuleOfAnInput) {
  const uint32_t in_force = link::Pack(link::InputRule{.input = 1, .action = link::InputAction::kStop});
  link::Configure configure;
  configure.input_rules.push_back(link::Pack(link::InputRule{.input = 1}));
  link::Reply reply;
  reply.value = 2;
  reply.queue_position = 16;
  reply.limit = in_force;
  std::string waits;
  EXPECT_TRUE(KeepInForce(reply, "r01/02", &configure, &waits));
  EXPECT_EQ(configure.input_rules.size(), 1u);
  EXPECT_EQ(configure.input_rules[0], in_force);
  EXPECT_FALSE(KeepInForce(reply, "r01/02", &configure, &waits)) << "it has that rule: no way on";
  configure.input_rules.clear();
  EXPECT_TRUE(KeepInForce(reply, "r01/02", &configure, &waits));
  EXPECT_EQ(configure.input_rules[0], in_force);
}

TEST(KeepInForce, PutsTheRailsBudgetOfTheSlot) {
  link::Configure configure;
  for (int i = 0; i < 2; ++i) configure.current_limit_ma.push_back(2000);
  for (uint32_t i = 0; i < 2; ++i) configure.rail.push_back(i);
  for (int i = 0; i < 2; ++i) configure.rail_budget_ma.push_back(16000);
  link::Reply reply;
  reply.value = 2;
  reply.queue_position = 4;
  reply.limit = 8000;
  std::string waits;
  EXPECT_TRUE(KeepInForce(reply, "r01/02", &configure, &waits));
  EXPECT_EQ(configure.rail_budget_ma[1], 8000u);
  EXPECT_EQ(waits, "budget_ma of the rail stays 8000 while r01/02 is on");
  EXPECT_FALSE(KeepInForce(reply, "r01/02", &configure, &waits)) << "it has that value: no way on";
}

}  // namespace
}  // namespace faraday::controller
