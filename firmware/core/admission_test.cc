// What lets a slot turn on and what does not: budgets, order, shedding, rails, buses, inputs, silence.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "firmware/core/test_host.h"

namespace faraday::firmware {
namespace {

using link::BlockCause;
using link::CancelCause;
using link::DoneCode;
using link::Verdict;

struct AdmissionTest : testing::Test {
  AdmissionTest() { host.Ready(); }
  void Budget(uint32_t rail_ma) {
    auto config = TestHost::Config();
    config.rail_budget_ma[0] = rail_ma;
    ASSERT_EQ(host.Do(config).verdict, Verdict::kOk);
  }
  void Rule(const link::InputRule& rule) {
    auto config = TestHost::Config();
    config.input_rules.push_back(link::Pack(rule));
    ASSERT_EQ(host.Do(config).verdict, Verdict::kOk);
  }
  link::Reply On(uint32_t slot) { return host.Do(link::SetVbus{.slot = slot, .epoch = 1, .on = true}); }
  link::Reply Off(uint32_t slot) { return host.Do(link::SetVbus{.slot = slot, .epoch = 1, .on = false}); }
  void Rest(uint32_t slot) {
    ASSERT_EQ(host.Do(link::SetLease{.slot = slot, .epoch = 1, .to_safe_state = true}).verdict, Verdict::kOk);
  }
  void TurnOn(uint32_t slot) {
    ASSERT_EQ(On(slot).verdict, Verdict::kAccepted);
    ASSERT_TRUE(host.Await());
    ASSERT_TRUE(host.VbusOn(slot));
  }
  void ExpectBlocked(uint32_t slot, BlockCause cause, uint32_t which) {
    const auto reply = On(slot);
    EXPECT_EQ(reply.verdict, Verdict::kBlocked);
    EXPECT_EQ(reply.value, static_cast<uint32_t>(cause));
    EXPECT_EQ(reply.limit, which);
  }
  // Off, then a turn-on that its minimum times hold back; its command's id.
  uint32_t Pending(uint32_t slot) {
    TurnOn(slot);
    Off(slot);
    host.Await();
    EXPECT_EQ(On(slot).verdict, Verdict::kAccepted);
    host.Run(5);
    return host.id;
  }
  void ExpectDiscarded(uint32_t id, CancelCause cause) {
    ASSERT_TRUE(host.Done(id));
    EXPECT_EQ(host.Done(id)->code, DoneCode::kCancelled);
    EXPECT_EQ(host.Done(id)->cause, cause);
  }
  bool Told(link::Condition condition, bool active, uint32_t which) const {
    for (const auto& change : host.Events<link::ConditionChanged>()) {
      if (change.condition == condition && change.active == active && change.limit == which) return true;
    }
    return false;
  }
  bool Marked(uint32_t slot, bool link::SlotMarks::*mark) const {
    return slot <= host.telemetry.marks.size() && link::UnpackMarks(host.telemetry.marks[slot - 1]).*mark;
  }
  FakeNvm nvm;
  TestHost host{nvm};
};

// ---- budgets and order ----

TEST_F(AdmissionTest, CommandTakesTheBudgetOfTheNewestCharging) {
  Budget(4000);
  Rest(2);
  host.Run(200);
  Rest(3);
  host.Run(1000);
  ASSERT_TRUE(host.VbusOn(2) && host.VbusOn(3));
  const auto reply = On(1);
  ASSERT_EQ(reply.verdict, Verdict::kAccepted);
  const uint32_t asked = host.now_ms;
  ASSERT_TRUE(host.Await());
  EXPECT_EQ(host.Done(host.id)->code, DoneCode::kOk);
  EXPECT_LE(host.now_ms - asked, reply.wait_ms);
  EXPECT_TRUE(host.VbusOn(1) && host.VbusOn(2));
  EXPECT_FALSE(host.VbusOn(3));
  host.Run(200);
  EXPECT_TRUE(Marked(3, &link::SlotMarks::shed));
  EXPECT_FALSE(Marked(2, &link::SlotMarks::shed));
  Off(1);
  host.Run(2000);
  EXPECT_TRUE(host.VbusOn(3)) << "its duty goes on when there is room";
}

TEST_F(AdmissionTest, ChargeDutyNeverTakesACommandsBudget) {
  Budget(4000);
  TurnOn(1);
  TurnOn(2);
  Rest(3);
  host.Run(3000);
  EXPECT_FALSE(host.VbusOn(3));
  EXPECT_EQ(On(4).verdict, Verdict::kOverBudget);
}

TEST_F(AdmissionTest, BudgetIsHeldUntilVbusIsSeenToBeGone) {
  Budget(4000);
  TurnOn(1);
  TurnOn(2);
  host.parts[0].feeds_back = true;  // VBUS stays up
  Off(1);
  host.Run(10);
  ASSERT_EQ(On(3).verdict, Verdict::kAccepted) << "commands leave room";
  host.Run(500);
  EXPECT_FALSE(host.VbusOn(3));
  host.parts[0].feeds_back = false;
  host.Run(5);
  EXPECT_TRUE(host.VbusOn(3));
}

TEST_F(AdmissionTest, PositionAndWaitAreHonest) {
  struct Asked {
    uint32_t id, slot, position, due_ms;
  };
  std::vector<Asked> all;
  for (uint32_t slot = 1; slot <= 6; ++slot) {
    const auto reply = On(slot);
    ASSERT_EQ(reply.verdict, Verdict::kAccepted);
    all.push_back({host.id, slot, reply.queue_position, host.now_ms + reply.wait_ms});
  }
  std::vector<uint32_t> order;
  host.on_pass = [&] {
    for (const Asked& asked : all) {
      if (host.VbusOn(asked.slot) && std::find(order.begin(), order.end(), asked.slot) == order.end()) {
        order.push_back(asked.slot);
      }
      EXPECT_TRUE(host.now_ms < asked.due_ms || host.Done(asked.id)) << asked.slot;
    }
  };
  host.Run(3000);
  ASSERT_EQ(order.size(), all.size());
  for (const Asked& asked : all) EXPECT_EQ(order[asked.position], asked.slot);
}

TEST_F(AdmissionTest, TighterBudget_TakesTheNewestOff) {
  TurnOn(1);
  TurnOn(2);
  TurnOn(3);
  Budget(4000);
  EXPECT_TRUE(host.VbusOn(1) && host.VbusOn(2));
  EXPECT_FALSE(host.VbusOn(3));
}

// Whatever is asked in whatever order, what may be drawn is within both budgets in every pass, and turn-ons of a rail
// are a stagger apart.
TEST(AdmissionProperty, BudgetsAndStaggerHoldAtEveryInstant) {
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    std::mt19937 engine(seed);
    const auto random = [&engine] { return static_cast<uint32_t>(engine()); };
    FakeNvm nvm;
    TestHost host(nvm);
    host.Ready();
    auto config = TestHost::Config();
    for (size_t i = 0; i < 32; ++i) config.current_limit_ma[i] = 1000 + 500 * (random() % 3);
    for (size_t i = 0; i < 8; ++i) config.rail[i] = i % 2;
    config.rail_budget_ma[0] = 4000;
    config.rail_budget_ma[1] = 5000;
    config.rack_budget_ma = 7000;
    ASSERT_EQ(host.Do(config).verdict, Verdict::kOk);
    std::array<bool, 8> was{};
    std::array<uint32_t, 2> last_on{};
    host.on_pass = [&] {
      std::array<uint32_t, 2> rail_ma{};
      for (uint32_t slot = 1; slot <= 8; ++slot) {
        const size_t rail = (slot - 1) % 2;
        const bool on = host.VbusOn(slot);
        if (on) rail_ma[rail] += config.current_limit_ma[slot - 1];
        if (on && !was[slot - 1]) {
          EXPECT_GE(host.now_ms - last_on[rail], config.stagger_ms) << "seed " << seed;
          last_on[rail] = host.now_ms;
        }
        was[slot - 1] = on;
      }
      EXPECT_LE(rail_ma[0], 4000U) << "seed " << seed;
      EXPECT_LE(rail_ma[1], 5000U) << "seed " << seed;
      EXPECT_LE(rail_ma[0] + rail_ma[1], 7000U) << "seed " << seed;
    };
    for (int step = 0; step < 150 && !testing::Test::HasFailure(); ++step) {
      const uint32_t slot = random() % 8 + 1;
      switch (random() % 6) {
        case 0:
        case 1:
          host.Do(link::SetVbus{.slot = slot, .epoch = 1, .on = true});
          break;
        case 2:
          host.Do(link::SetVbus{.slot = slot, .epoch = 1, .on = false});
          break;
        case 3:
          host.Do(link::CycleVbus{.slot = slot, .epoch = 1, .off_ms = 600});
          break;
        case 4:
          host.Do(link::SetLease{.slot = slot, .epoch = 1, .to_safe_state = true});
          break;
        default:
          host.core->OnRailVoltage(0, random() % 2 == 0 ? 4800 : 5000);
      }
      host.Run(random() % 300);
    }
  }
}

// ---- rails ----

TEST_F(AdmissionTest, SupplyThatIsGone_TakesItsRailOffAndComesBackByItself) {
  TurnOn(1);
  Rest(2);
  host.Run(500);
  ASSERT_TRUE(host.VbusOn(2));
  host.core->OnPsuOk(0xFE);
  host.Run(15);
  EXPECT_TRUE(host.VbusOn(1)) << "a glitch";
  host.Run(10);
  EXPECT_FALSE(host.VbusOn(1) || host.VbusOn(2));
  EXPECT_TRUE(Told(link::Condition::kRailDown, true, 0));
  ExpectBlocked(3, BlockCause::kRail, 0);
  host.Run(200);
  EXPECT_EQ(host.telemetry.rails_down, 1U);
  EXPECT_TRUE(Marked(1, &link::SlotMarks::rail_down));
  host.core->OnPsuOk(0xFF);
  host.Run(900);
  EXPECT_FALSE(host.VbusOn(2));
  host.Run(1000);
  EXPECT_TRUE(host.VbusOn(2)) << "the charge duty goes on";
  EXPECT_FALSE(host.VbusOn(1)) << "a commanded slot waits for somebody to ask anew";
  EXPECT_TRUE(Told(link::Condition::kRailDown, false, 0));
}

TEST_F(AdmissionTest, SaggingRail_ShedsChargingOneByOneAndHoldsCommandsBack) {
  TurnOn(1);
  for (uint32_t slot = 2; slot <= 4; ++slot) {
    Rest(slot);
    host.Run(200);
  }
  host.Run(1000);
  host.core->OnRailVoltage(0, 4899);
  host.Run(45);
  ASSERT_TRUE(host.VbusOn(4));
  host.Run(20);
  EXPECT_FALSE(host.VbusOn(4)) << "the newest first";
  EXPECT_TRUE(host.VbusOn(3));
  host.Run(100);
  EXPECT_FALSE(host.VbusOn(3));
  EXPECT_TRUE(host.VbusOn(2));
  host.Run(100);
  EXPECT_FALSE(host.VbusOn(2));
  EXPECT_TRUE(host.VbusOn(1)) << "a commanded slot stays";
  EXPECT_TRUE(Told(link::Condition::kRailSag, true, 0));
  const auto asked = On(5);
  EXPECT_EQ(asked.verdict, Verdict::kAccepted);
  host.Run(100);
  EXPECT_FALSE(host.VbusOn(5));
  EXPECT_EQ(host.telemetry.rails_sagging, 1U);
  host.core->OnRailVoltage(0, 4960);
  host.Run(3000);
  EXPECT_TRUE(host.VbusOn(2) && host.VbusOn(3) && host.VbusOn(4));
}

// ---- buses ----

TEST_F(AdmissionTest, LostBus_TakesItsSlotsOffAfterTheGrace) {
  TurnOn(1);
  host.core->OnBusLost(0, true);
  host.Run(1990);
  EXPECT_TRUE(host.VbusOn(1));
  host.Run(20);
  EXPECT_FALSE(host.VbusOn(1));
  EXPECT_EQ(host.Events<link::Tripped>().size(), 0U);
  ExpectBlocked(2, BlockCause::kBusLost, 0);
  EXPECT_TRUE(Told(link::Condition::kBusLost, true, 0));
  host.core->OnBusLost(0, false);
  host.Run(1000);
  EXPECT_TRUE(Told(link::Condition::kBusLost, false, 0));
  EXPECT_FALSE(host.VbusOn(1));
  TurnOn(2);
}

// ---- inputs ----

TEST_F(AdmissionTest, BlockingInput_HoldsTurnOnsBackAndTakesNothingOff) {
  Rule({.input = 3, .active_high = true, .action = link::InputAction::kBlockTurnOn});
  TurnOn(2);
  const uint32_t pending = Pending(1);
  host.core->OnRackInputs(0b1000);
  host.Run(40);
  ExpectDiscarded(pending, CancelCause::kInput);
  EXPECT_TRUE(host.VbusOn(2));
  ExpectBlocked(1, BlockCause::kInput, 3);
  Rest(4);
  host.Run(2000);
  EXPECT_FALSE(host.VbusOn(4)) << "nor does the charge duty turn on";
  EXPECT_NE(host.telemetry.faults & link::kFaultInput, 0U);
  host.core->OnRackInputs(0);
  host.Run(1000);
  EXPECT_TRUE(host.VbusOn(4));
}

TEST_F(AdmissionTest, StoppingInput_StopsAndHoldsTheStop) {
  Rule({.input = 5, .active_high = true, .action = link::InputAction::kStop});
  TurnOn(1);
  host.core->OnRackInputs(0b100000);
  host.Run(40);
  EXPECT_TRUE(host.core->StopAsserted());
  EXPECT_TRUE(host.core->AlarmOn());
  const auto reply = host.Do(link::ClearTrip{});
  EXPECT_EQ(reply.verdict, Verdict::kBlocked);
  EXPECT_EQ(reply.value, static_cast<uint32_t>(BlockCause::kInput));
  EXPECT_EQ(reply.limit, 5U);
  host.core->OnRackInputs(0);
  host.Run(40);
  EXPECT_TRUE(host.core->StopAsserted()) << "latched";
  EXPECT_EQ(host.Do(link::ClearTrip{}).verdict, Verdict::kOk);
  EXPECT_FALSE(host.core->StopAsserted());
}

TEST_F(AdmissionTest, InputMakesARailSafe) {
  Rule({.input = 1, .active_high = true, .action = link::InputAction::kSafeRail, .rails = 0b1});
  TurnOn(1);
  host.core->OnRackInputs(0b10);
  host.Run(40);
  EXPECT_FALSE(host.VbusOn(1));
  EXPECT_TRUE(host.core->AlarmOn());
  ExpectBlocked(2, BlockCause::kRail, 0);
  EXPECT_EQ(host.Do(link::SetLease{.slot = 9, .epoch = 1}).verdict, Verdict::kOk);
  EXPECT_EQ(On(9).verdict, Verdict::kAccepted) << "another rail";
}

// ---- heat ----

TEST_F(AdmissionTest, HotSlot_TakesItsShelfOffUntilItIsCleared) {
  TurnOn(1);
  TurnOn(2);
  host.parts[0].deci_c = 505;
  host.Run(1500);
  EXPECT_FALSE(host.VbusOn(1) || host.VbusOn(2));
  EXPECT_TRUE(host.core->AlarmOn());
  ExpectBlocked(3, BlockCause::kHotShelf, 0);
  host.parts[0].deci_c = 250;
  host.Run(61'000);
  host.Do(link::ClearSilence{});
  EXPECT_EQ(host.Do(link::ClearTrip{.slot = 1}).verdict, Verdict::kOk);
  host.Run(5);
  EXPECT_FALSE(host.core->AlarmOn());
  TurnOn(3);
}

// ---- what a pending turn-on dies of ----

TEST_F(AdmissionTest, DiscardedTurnOn_SaysWhy) {
  uint32_t id = Pending(1);
  Off(1);
  host.Run(5);
  ExpectDiscarded(id, CancelCause::kNewerCommand);
  host.Run(2000);

  id = Pending(2);
  host.Do(link::StopSlot{.slot = 2});
  host.Run(5);
  ExpectDiscarded(id, CancelCause::kStop);

  id = Pending(3);
  host.Do(link::SetLease{.slot = 3, .epoch = 2});
  host.Run(5);
  ExpectDiscarded(id, CancelCause::kHandOver);

  id = Pending(4);
  host.Do(link::SetLease{.slot = 4, .epoch = 1, .duration_ms = 50});
  host.Run(100);
  ExpectDiscarded(id, CancelCause::kLeaseEnd);

  id = Pending(5);
  host.core->OnPsuOk(0xFE);
  host.Run(30);
  ExpectDiscarded(id, CancelCause::kRail);
}

// The first frame after a silence may be the one that clears it.
TEST_F(AdmissionTest, SilenceIsClearedByTheFirstFrameAfterIt) {
  host.Run(11'000);
  EXPECT_EQ(host.Do(link::ClearSilence{}).verdict, Verdict::kOk);
  host.Run(200);
  EXPECT_EQ(host.telemetry.faults & link::kFaultHostSilent, 0U);
  TurnOn(1);
}

}  // namespace
}  // namespace faraday::firmware
