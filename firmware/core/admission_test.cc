// What lets a slot turn on and what does not: budgets, order, shedding, rails, buses, inputs, silence.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
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
  // From now on, measured in each pass.
  void RailIs(size_t rail, uint32_t mv) {
    host.on_pass = [this, rail, mv] { host.core->OnRailVoltage(rail * 8, mv); };
  }
  void RunWithHost(uint32_t ms) {
    for (uint32_t i = 0; i < ms; ++i) {
      if (i % 1000 == 0) host.Keepalive();
      host.Pass();
    }
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

TEST_F(AdmissionTest, DroppedSlot_HoldsItsBudgetUntilVbusIsGone) {
  Budget(4000);
  TurnOn(1);
  TurnOn(2);
  host.parts[0].feeds_back = true;
  auto config = TestHost::Config();
  config.rail_budget_ma[0] = 4000;
  config.current_limit_ma[0] = 0;
  ASSERT_EQ(host.Do(config).verdict, Verdict::kOk);
  EXPECT_FALSE(host.VbusOn(1));
  ASSERT_EQ(On(3).verdict, Verdict::kAccepted);
  host.Run(800);
  EXPECT_FALSE(host.VbusOn(3));
  host.parts[0].feeds_back = false;
  host.Run(5);
  EXPECT_TRUE(host.VbusOn(3));
}

TEST_F(AdmissionTest, OffThatIsNotProven_LeavesNoRoomAndSaysSo) {
  Budget(4000);
  TurnOn(1);
  TurnOn(2);
  host.parts[0].feeds_back = true;
  Off(1);
  host.Run(kOffSettleMs + 10);
  const auto reply = On(3);
  EXPECT_EQ(reply.verdict, Verdict::kOverBudget);
  EXPECT_EQ(reply.value, 6000U);
  EXPECT_EQ(reply.limit, 4000U);
}

TEST_F(AdmissionTest, StaggerCountsFromTheWrite) {
  On(1);
  On(2);
  host.core->Tick(++host.now_ms);
  ASSERT_TRUE(host.VbusOn(1));
  host.core->Tick(host.now_ms += 160);  // its part was written at the end of this pass
  EXPECT_FALSE(host.VbusOn(2));
  host.core->OnVbusWritten(0);  // or only now
  host.core->Tick(host.now_ms += 90);
  const uint32_t written_ms = host.now_ms;
  while (!host.VbusOn(2)) host.Pass();
  EXPECT_GE(host.now_ms - written_ms, TestHost::Config().stagger_ms);
  EXPECT_LE(host.now_ms - written_ms, TestHost::Config().stagger_ms + 2);
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
  RailIs(0, 4899);
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
  RailIs(0, 4960);
  RunWithHost(3000);
  EXPECT_TRUE(host.VbusOn(5));
  EXPECT_FALSE(host.VbusOn(2) || host.VbusOn(3) || host.VbusOn(4));
  RunWithHost(kSagPauseMs);
  EXPECT_EQ(host.VbusOn(2) + host.VbusOn(3) + host.VbusOn(4), 1) << "one at a time";
  RunWithHost(2 * kSagPauseMs);
  EXPECT_TRUE(host.VbusOn(2) && host.VbusOn(3) && host.VbusOn(4));
}

TEST_F(AdmissionTest, WeakRail_TakesOneBackAfterGrowingPauses) {
  for (uint32_t slot = 2; slot <= 5; ++slot) Rest(slot);
  uint32_t rises = 0;
  uint32_t was = 0;
  host.on_pass = [&] {
    uint32_t now = 0;
    for (uint32_t slot = 2; slot <= 5; ++slot) now |= static_cast<uint32_t>(host.VbusOn(slot)) << slot;
    rises += static_cast<uint32_t>(std::popcount(now & ~was));
    was = now;
    host.core->OnRailVoltage(0, std::popcount(now) > 3 ? 4880 : 5000);
  };
  RunWithHost(5000);
  EXPECT_EQ(rises, 4U);
  EXPECT_EQ(std::popcount(was), 3);
  RunWithHost(16 * kSagPauseMs);
  EXPECT_GE(rises, 7U);
  EXPECT_LE(rises, 8U) << "after 1, 2, 4 and 8 minutes";
}

TEST_F(AdmissionTest, OneLowSampleIsNoSagAndAnOldOneIsNotJudged) {
  host.core->OnRailVoltage(0, 4800);
  host.Run(400);
  EXPECT_EQ(host.core->rails().sagging(), 0U);
  RailIs(0, 4800);
  host.Run(60);
  EXPECT_EQ(host.core->rails().sagging(), 1U);
  host.on_pass = nullptr;
  host.Run(kRailUnseenMs + kRailBackMs + 10);
  EXPECT_EQ(host.core->rails().sagging(), 0U);
}

TEST_F(AdmissionTest, GlitchBeforeALongPass_TakesNothingOff) {
  Rule({.input = 3, .active_high = true, .action = link::InputAction::kStop});
  TurnOn(1);
  host.core->OnPsuOk(0xFE);
  host.core->OnRackInputs(0b1000);
  host.core->Tick(host.now_ms += 45);
  host.core->OnPsuOk(0xFF);
  host.core->OnRackInputs(0);
  host.Run(5);
  EXPECT_TRUE(host.VbusOn(1));
  EXPECT_FALSE(host.core->StopAsserted());
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
  host.Run(4 * kBusGraceMs + 10);
  host.Do(link::ClearSilence{});
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

// ---- latches ----

TEST_F(AdmissionTest, EndOfTheRacksStop_LeavesTripsAndSlotsStopsLatched) {
  host.parts[0].deci_c = 600;
  host.Run(5);
  host.Do(link::StopSlot{.slot = 2});
  host.StopFrame();
  host.Run(5);
  EXPECT_EQ(host.Do(link::ClearTrip{.slot = 0}).verdict, Verdict::kOk);
  EXPECT_FALSE(host.core->StopAsserted());
  EXPECT_TRUE(host.core->slot(0).tripped());
  EXPECT_TRUE(host.core->slot(1).barred());
  EXPECT_FALSE(host.core->slot(2).barred());
  EXPECT_EQ(host.Do(link::ClearTrip{.slot = 2}).verdict, Verdict::kOk);
  EXPECT_FALSE(host.core->slot(1).barred());
}

TEST_F(AdmissionTest, LatchesOutliveAResetUntilTheyAreCleared) {
  host.parts[0].deci_c = 600;
  host.Run(5);
  host.Do(link::StopSlot{.slot = 2});
  host.StopFrame();
  host.Run(300);
  const int writes = nvm.writes;
  host.Run(2000);
  EXPECT_EQ(nvm.writes, writes) << "on a change only";
  TestHost again(nvm, 78);
  EXPECT_TRUE(again.core->StopAsserted()) << "from the first instant on";
  EXPECT_TRUE(again.core->AlarmOn());
  EXPECT_EQ(again.core->slot(0).trip_reason(), link::TripReason::kOverTemperature);
  again.Hello(5);
  again.Do(link::ClearTrip{});
  for (uint32_t slot = 1; slot <= 2; ++slot) {
    again.Do(link::SetLease{.slot = slot, .epoch = 1, .to_safe_state = true});
  }
  again.Run(2000);
  EXPECT_FALSE(again.AnyOn());
  EXPECT_TRUE(again.Bits(1).tripped);
  again.Do(link::ClearTrip{.slot = 1});
  again.Do(link::ClearTrip{.slot = 2});
  again.Run(10);
  TestHost third(nvm, 79);
  EXPECT_FALSE(third.core->StopAsserted() || third.core->slot(0).barred() || third.core->slot(1).barred());
}

TEST_F(AdmissionTest, TornLatchRecord_LeavesTheOneBefore) {
  host.Do(link::StopSlot{.slot = 2});
  host.Run(200);
  nvm.bytes_until_cut = 20;
  host.Do(link::StopSlot{.slot = 3});
  host.Run(200);
  nvm.bytes_until_cut = SIZE_MAX;
  TestHost again(nvm, 78);
  EXPECT_TRUE(again.core->slot(1).barred());
  EXPECT_FALSE(again.core->slot(2).barred());
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
