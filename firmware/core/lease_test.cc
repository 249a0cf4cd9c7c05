// Fencing, lease ends, safe states, host silence, epochs over a reset.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "firmware/core/test_host.h"

namespace faraday::firmware {
namespace {

using link::DataPath;
using link::DoneCode;
using link::SafeState;
using link::Verdict;

struct LeaseTest : testing::Test {
  LeaseTest() { host.Ready(); }
  // Slot 1 on, data to host 0, coupled.
  void UseSlot1() {
    host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
    host.Await();
    host.Do(link::SetData{.slot = 1, .epoch = 1, .path = DataPath::kHost});
    host.Await();
    host.Do(link::SetShield{.slot = 1, .epoch = 1, .couple = true});
    host.Await();
    ASSERT_EQ(host.Outputs(1), 0b10011);
  }
  void SetSafeState(SafeState state) {
    auto config = TestHost::Config();
    for (size_t i = 0; i < config.safe_state.size(); ++i) config.safe_state[i] = static_cast<uint32_t>(state);
    ASSERT_EQ(host.Do(config).verdict, Verdict::kOk);
  }
  // Time with a keepalive each second.
  void RunHeard(uint32_t ms) {
    for (uint32_t i = 0; i < ms; i += 1000) {
      host.Keepalive();
      host.Run(std::min(ms - i, 1000U));
    }
  }
  FakeNvm nvm;
  TestHost host{nvm};
};

TEST_F(LeaseTest, OtherEpochs_AreFenced) {
  host.Do(link::SetLease{.slot = 1, .epoch = 5, .duration_ms = 60'000});
  for (uint32_t epoch : {0U, 1U, 4U, 6U}) {
    for (bool on : {true, false}) {
      const auto reply = host.Do(link::SetVbus{.slot = 1, .epoch = epoch, .on = on});
      EXPECT_EQ(reply.verdict, Verdict::kFenced) << epoch;
      EXPECT_EQ(reply.epoch, 5U);
    }
    EXPECT_EQ(host.Do(link::SetShield{.slot = 1, .epoch = epoch, .couple = true}).verdict, Verdict::kFenced);
    EXPECT_EQ(host.Do(link::SetData{.slot = 1, .epoch = epoch}).verdict, Verdict::kFenced);
    EXPECT_EQ(host.Do(link::CycleVbus{.slot = 1, .epoch = epoch, .off_ms = 600}).verdict, Verdict::kFenced);
  }
  EXPECT_EQ(host.Do(link::SetVbus{.slot = 1, .epoch = 5, .on = true}).verdict, Verdict::kAccepted);
}

TEST_F(LeaseTest, UnknownSlots_AreNamed) {
  for (uint32_t slot : {0U, 33U, 4'000'000'000U}) {
    EXPECT_EQ(host.Do(link::SetVbus{.slot = slot, .epoch = 1, .on = true}).verdict, Verdict::kNoSuchSlot);
    EXPECT_EQ(host.Do(link::SetLease{.slot = slot, .epoch = 1}).verdict, Verdict::kNoSuchSlot);
  }
}

TEST_F(LeaseTest, SmallerEpoch_IsFencedAndZeroIsInvalid) {
  host.Do(link::SetLease{.slot = 1, .epoch = 5});
  EXPECT_EQ(host.Do(link::SetLease{.slot = 1, .epoch = 4}).verdict, Verdict::kFenced);
  EXPECT_EQ(host.Do(link::SetLease{.slot = 1, .epoch = 0}).verdict, Verdict::kInvalid);
  EXPECT_EQ(host.Do(link::SetLease{.slot = 1, .epoch = 5}).verdict, Verdict::kOk);
}

TEST_F(LeaseTest, HandOver_CancelsWhatWaitsAndKeepsOutputs) {
  UseSlot1();
  host.Do(link::SetLease{.slot = 1, .epoch = 2, .duration_ms = 60'000});
  EXPECT_EQ(host.Outputs(1), 0b10011);
  host.Do(link::CycleVbus{.slot = 1, .epoch = 2, .off_ms = 5000});
  const uint32_t cycle = host.id;
  host.Run(700);
  host.Do(link::SetLease{.slot = 1, .epoch = 3, .duration_ms = 60'000});
  host.Run(10);
  ASSERT_TRUE(host.Done(cycle));
  EXPECT_EQ(host.Done(cycle)->code, DoneCode::kCancelled);
  RunHeard(10'000);
  EXPECT_FALSE(host.VbusOn(1));
}

TEST_F(LeaseTest, SameEpoch_SetsTheRemainingTimeAnew) {
  host.Do(link::SetLease{.slot = 1, .epoch = 1, .duration_ms = 5000});
  RunHeard(4000);
  host.Do(link::SetLease{.slot = 1, .epoch = 1, .duration_ms = 5000});
  RunHeard(4000);
  EXPECT_TRUE(host.Events<link::LeaseEnded>().empty());
  EXPECT_NEAR(host.telemetry.lease_left_ms[0], 1000, 150);
  RunHeard(2000);
  EXPECT_EQ(host.Events<link::LeaseEnded>().size(), 1U);
}

TEST_F(LeaseTest, End_GoesToTheSafeStateAndFencesTheHolder) {
  UseSlot1();
  host.Do(link::SetLease{.slot = 1, .epoch = 1, .duration_ms = 2000});
  RunHeard(2500);
  const auto ended = host.Events<link::LeaseEnded>();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0], (link::LeaseEnded{.slot = 1, .epoch = 1}));
  EXPECT_EQ(host.Outputs(1), 0b00001) << "charge: data open, isolated, VBUS by duty";
  EXPECT_EQ(host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = false}).verdict, Verdict::kFenced);
  EXPECT_FALSE(host.Bits(1).leased);
}

TEST_F(LeaseTest, SafeStateHold_KeepsOutputs) {
  SetSafeState(SafeState::kHold);
  UseSlot1();
  host.Do(link::SetLease{.slot = 1, .epoch = 2, .to_safe_state = true});
  RunHeard(2000);
  EXPECT_EQ(host.Outputs(1), 0b10011);
}

TEST_F(LeaseTest, SafeStateOff_TurnsEverythingOff) {
  SetSafeState(SafeState::kOff);
  UseSlot1();
  host.Do(link::SetLease{.slot = 1, .epoch = 2, .to_safe_state = true});
  EXPECT_EQ(host.Outputs(1), 0);
}

TEST_F(LeaseTest, SafeStateCharge_RunsItsDutyStaggered) {
  auto config = TestHost::Config();
  config.charge_on_ms = 5000;
  config.charge_period_ms = 20'000;
  host.Do(config);
  for (uint32_t slot = 1; slot <= 8; ++slot) host.Do(link::SetLease{.slot = slot, .epoch = 9, .to_safe_state = true});
  uint32_t last_change = 0;
  int on_before = 0;
  host.on_pass = [&] {
    int on = 0;
    for (size_t slot = 1; slot <= 8; ++slot) on += host.VbusOn(slot);
    if (on > on_before) {
      EXPECT_EQ(on, on_before + 1) << "one turn-on at a time on a rail";
      EXPECT_TRUE(last_change == 0 || host.now_ms - last_change >= 100);
      last_change = host.now_ms;
    }
    on_before = on;
  };
  RunHeard(1000);
  EXPECT_EQ(on_before, 8);
  RunHeard(6000);
  EXPECT_EQ(on_before, 0);
  RunHeard(12'000);
  EXPECT_EQ(on_before, 0);
  last_change = 0;
  RunHeard(3000);
  EXPECT_EQ(on_before, 8);
}

TEST_F(LeaseTest, ConfigureThatEndsARestingSlotsDuty_TurnsItOff) {
  for (const SafeState state : {SafeState::kOff, SafeState::kHold}) {
    auto config = TestHost::Config();
    ASSERT_EQ(host.Do(config).verdict, Verdict::kOk);
    host.Do(link::SetLease{.slot = 1, .epoch = state == SafeState::kOff ? 2U : 3U, .to_safe_state = true});
    RunHeard(2000);
    ASSERT_TRUE(host.VbusOn(1));
    config.safe_state[0] = static_cast<uint32_t>(state);
    ASSERT_EQ(host.Do(config).verdict, Verdict::kOk);
    RunHeard(300);
    EXPECT_FALSE(host.VbusOn(1));
    RunHeard(10'000);
    EXPECT_FALSE(host.VbusOn(1));
  }
}

// What a holder left on stays on in a hold, until a Configure wants another safe state.
TEST_F(LeaseTest, ConfigureThatEndsAHold_SendsTheSlotToItsSafeState) {
  for (const SafeState state : {SafeState::kOff, SafeState::kCharge}) {
    const uint32_t epoch = state == SafeState::kOff ? 2 : 4;
    SetSafeState(SafeState::kHold);
    host.Do(link::SetLease{.slot = 1, .epoch = epoch, .duration_ms = 60'000});
    RunHeard(1000);
    ASSERT_EQ(host.Do(link::SetVbus{.slot = 1, .epoch = epoch, .on = true}).verdict, Verdict::kAccepted);
    RunHeard(2000);
    ASSERT_EQ(host.Do(link::SetData{.slot = 1, .epoch = epoch, .path = link::DataPath::kHost}).verdict,
              Verdict::kAccepted);
    RunHeard(2000);
    host.Do(link::SetLease{.slot = 1, .epoch = epoch, .duration_ms = 0, .to_safe_state = true});
    RunHeard(1000);
    ASSERT_EQ(host.Outputs(1), 0b00011) << "held";
    SetSafeState(state);
    RunHeard(300);
    EXPECT_EQ(host.Outputs(1), state == SafeState::kCharge ? 0b00001 : 0);
  }
}

// A rail that feeds two of its eight: those that wait keep their time, and each gets it in its turn.
TEST_F(LeaseTest, SafeStateCharge_ServesEverySlotOfASmallBudget) {
  auto config = TestHost::Config();
  config.charge_on_ms = 5000;
  config.charge_period_ms = 20'000;
  config.rail_budget_ma[0] = 4000;
  host.Do(config);
  for (uint32_t slot = 1; slot <= 8; ++slot) host.Do(link::SetLease{.slot = slot, .epoch = 9, .to_safe_state = true});
  std::array<uint32_t, 9> on_ms{};
  host.on_pass = [&] {
    for (size_t slot = 1; slot <= 8; ++slot) on_ms[slot] += host.VbusOn(slot) ? 1 : 0;
  };
  RunHeard(30'000);
  for (size_t slot = 1; slot <= 8; ++slot) EXPECT_GE(on_ms[slot], 5000U) << slot;
  RunHeard(120'000);
  const auto [least, most] = std::minmax_element(on_ms.begin() + 1, on_ms.end());
  EXPECT_LE(*most, *least + 5100) << "nobody is a turn behind";
}

TEST_F(LeaseTest, HolderTakesTheSlotOutOfItsDuty) {
  auto config = TestHost::Config();
  config.charge_on_ms = 2000;
  config.charge_period_ms = 4000;
  host.Do(config);
  host.Do(link::SetLease{.slot = 1, .epoch = 2, .to_safe_state = true});
  RunHeard(1000);
  ASSERT_TRUE(host.VbusOn(1));
  host.Do(link::SetLease{.slot = 1, .epoch = 3, .duration_ms = 60'000});
  RunHeard(10'000);
  EXPECT_TRUE(host.VbusOn(1)) << "nobody but the holder switches now";
}

TEST_F(LeaseTest, SilentHost_CareSlotsGoSafeLeasedOnesStay) {
  UseSlot1();
  host.Do(link::SetVbus{.slot = 2, .epoch = 1, .on = true});
  host.Await();
  host.Do(link::SetShield{.slot = 2, .epoch = 1, .couple = true});
  host.Await();
  host.Do(link::SetLease{.slot = 1, .epoch = 1, .duration_ms = 3'000'000});
  host.Run(10'300);
  EXPECT_EQ(host.Events<link::HostSilent>().size(), 1U);
  EXPECT_EQ(host.telemetry.faults & link::kFaultHostSilent, link::kFaultHostSilent);
  EXPECT_EQ(host.Outputs(1), 0b10011);
  EXPECT_EQ(host.Outputs(2), 0b00001);
  host.Keepalive();
  host.Run(200);
  EXPECT_EQ(host.telemetry.faults & link::kFaultHostSilent, link::kFaultHostSilent) << "until the host says it saw it";
  const auto reply = host.Do(link::SetVbus{.slot = 3, .epoch = 1, .on = true});
  EXPECT_EQ(reply.verdict, link::Verdict::kBlocked);
  EXPECT_EQ(reply.value, static_cast<uint32_t>(link::BlockCause::kHostSilent));
  EXPECT_EQ(host.Do(link::ClearSilence{}).verdict, link::Verdict::kOk);
  host.Run(200);
  EXPECT_EQ(host.telemetry.faults & link::kFaultHostSilent, 0U);
  EXPECT_EQ(host.Do(link::SetVbus{.slot = 3, .epoch = 1, .on = true}).verdict, link::Verdict::kAccepted);
}

TEST_F(LeaseTest, HostSilentForTooLong_LeasedSlotsGoSafeToo) {
  auto config = TestHost::Config();
  config.host_silent_ms = 2000;
  config.host_silent_max_ms = 5000;
  host.Do(config);
  UseSlot1();
  host.Run(4900);
  EXPECT_EQ(host.Outputs(1), 0b10011);
  host.Run(400);
  EXPECT_EQ(host.Outputs(1), 0b00001);
}

TEST_F(LeaseTest, AnnouncedAbsence_IsNoSilence) {
  host.Do(link::SetVbus{.slot = 2, .epoch = 1, .on = true});
  host.Await();
  host.Do(link::SetShield{.slot = 2, .epoch = 1, .couple = true});
  host.Await();
  host.Keepalive(30'000);
  host.Run(29'000);
  EXPECT_TRUE(host.Events<link::HostSilent>().empty());
  EXPECT_EQ(host.Outputs(2), 0b10001);
  host.Run(2000);
  EXPECT_EQ(host.Events<link::HostSilent>().size(), 1U);
}

TEST_F(LeaseTest, RefusedFramesAreNotAHost) {
  host.Do(link::SetLease{.slot = 1, .epoch = 1, .duration_ms = 3'000'000});
  const uint32_t good = host.session;
  for (int i = 0; i < 11; ++i) {
    host.session = good + 1;
    host.Keepalive();
    host.Run(1000);
  }
  EXPECT_EQ(host.Events<link::HostSilent>().size(), 1U);
}

TEST_F(LeaseTest, AfterAReset_EpochsStandAndNothingIsOnByItself) {
  host.Do(link::SetLease{.slot = 1, .epoch = 42, .duration_ms = 60'000});
  TestHost again(nvm, 78);
  const auto reply = again.Hello(9);
  EXPECT_EQ(reply->epochs[0], 42U);
  EXPECT_EQ(reply->lease_left_ms[0], 0U);
  EXPECT_TRUE(reply->nvm_lost) << "slots 9 to 32 were never given";
  again.Do(TestHost::Config());
  again.Run(2000);
  EXPECT_FALSE(again.AnyOn());
  EXPECT_EQ(again.Do(link::SetVbus{.slot = 1, .epoch = 42, .on = true}).verdict, Verdict::kFenced)
      << "the lease must be given again after a reset";
  EXPECT_EQ(again.Do(link::SetLease{.slot = 1, .epoch = 41}).verdict, Verdict::kFenced);
  EXPECT_EQ(again.Do(link::SetLease{.slot = 1, .epoch = 42, .duration_ms = 1000}).verdict, Verdict::kOk);
  EXPECT_EQ(again.Do(link::SetVbus{.slot = 1, .epoch = 42, .on = true}).verdict, Verdict::kAccepted);
}

TEST_F(LeaseTest, SlotWhoseEpochWasLost_IsDeadUntilSeeded) {
  const auto reply = host.Do(link::SetVbus{.slot = 20, .epoch = 0, .on = true});
  EXPECT_EQ(reply.verdict, Verdict::kNvmLost);
  EXPECT_EQ(host.Do(link::SetLease{.slot = 20, .epoch = 700, .duration_ms = 60'000}).verdict, Verdict::kOk);
  EXPECT_EQ(host.Do(link::SetVbus{.slot = 20, .epoch = 700, .on = true}).verdict, Verdict::kAccepted);
}

TEST_F(LeaseTest, RenewalsDoNotWearTheMemory) {
  const int before = nvm.writes;
  for (int i = 0; i < 100; ++i) host.Do(link::SetLease{.slot = 1, .epoch = 1, .duration_ms = 60'000});
  EXPECT_EQ(nvm.writes, before);
  host.Do(link::SetLease{.slot = 1, .epoch = 2, .duration_ms = 60'000});
  EXPECT_EQ(nvm.writes, before + 1);
}

TEST_F(LeaseTest, MemoryThatTakesNoWrites_IsReportedAndTheRackWorks) {
  nvm.read_only = true;
  EXPECT_EQ(host.Do(link::SetLease{.slot = 1, .epoch = 2, .duration_ms = 60'000}).verdict, Verdict::kOk);
  EXPECT_EQ(host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true}).verdict, Verdict::kFenced);
  host.Run(200);
  EXPECT_EQ(host.telemetry.faults & link::kFaultNvmReadOnly, link::kFaultNvmReadOnly);
  const uint32_t before = host.term;
  EXPECT_EQ(host.Hello(9)->term, before + 1) << "an older host is fenced all the same";
  EXPECT_EQ(host.Hello(10)->term, before + 2);
  nvm.read_only = false;
  EXPECT_EQ(host.Do(link::SetLease{.slot = 1, .epoch = 3, .duration_ms = 60'000}).verdict, Verdict::kOk);
  host.Run(200);
  EXPECT_EQ(host.telemetry.faults & link::kFaultNvmReadOnly, link::kFaultNvmReadOnly) << "remembered";
}

TEST_F(LeaseTest, PlacesThatTheConfigurationLeavesOut_AreNotLost) {
  host.Run(200);
  EXPECT_NE(host.telemetry.faults & link::kFaultNvmLost, 0U);
  auto config = TestHost::Config();
  for (size_t i = 8; i < TestHost::kSlots; ++i) config.current_limit_ma[i] = 0;
  host.Do(config);
  host.Run(200);
  EXPECT_EQ(host.telemetry.faults & link::kFaultNvmLost, 0U);
  EXPECT_FALSE(host.Hello(9)->nvm_lost);
}

TEST_F(LeaseTest, StoppedSlot_StaysOffWhenTheHostIsGone) {
  host.Do(link::SetLease{.slot = 1, .epoch = 1, .duration_ms = 5000});
  host.Do(link::StopSlot{.slot = 1});
  host.Do(link::StopSlot{.slot = 2});
  host.Run(30'000);
  EXPECT_EQ(host.Events<link::LeaseEnded>().size(), 1U);
  EXPECT_EQ(host.Events<link::HostSilent>().size(), 1U);
  EXPECT_EQ(host.Outputs(1), 0) << "lease end";
  EXPECT_EQ(host.Outputs(2), 0) << "silence";
  EXPECT_TRUE(host.VbusOn(3)) << "one that nobody stopped charges";
  host.Do(link::SetLease{.slot = 1, .epoch = 2, .to_safe_state = true});
  RunHeard(1000);
  EXPECT_EQ(host.Outputs(1), 0) << "nor by a hand-over";
  host.Do(link::ClearTrip{.slot = 1});
  RunHeard(1000);
  EXPECT_EQ(host.Outputs(1), 0) << "clearing switches nothing";
  host.Do(link::SetLease{.slot = 1, .epoch = 3, .to_safe_state = true});
  RunHeard(1000);
  EXPECT_TRUE(host.VbusOn(1));
}

TEST_F(LeaseTest, CycleOfALeasedSlot_OutlivesItsHost) {
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  host.Await();
  host.Do(link::CycleVbus{.slot = 1, .epoch = 1, .off_ms = 15'000});
  host.Run(12'000);
  EXPECT_EQ(host.Events<link::HostSilent>().size(), 1U);
  EXPECT_FALSE(host.VbusOn(1));
  const auto done = host.Await(6000);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, DoneCode::kOk);
  EXPECT_TRUE(host.VbusOn(1));
}

}  // namespace
}  // namespace faraday::firmware
