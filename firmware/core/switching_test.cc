// The three switches: proof, waiting, order, cycle, data path, relay.
#include <gtest/gtest.h>

#include "firmware/core/test_host.h"

namespace faraday::firmware {
namespace {

using link::DataPath;
using link::DoneCode;
using link::Verdict;

struct SwitchingTest : testing::Test {
  SwitchingTest() { host.Ready(); }
  void TurnOn(uint32_t slot) {
    ASSERT_EQ(host.Do(link::SetVbus{.slot = slot, .epoch = 1, .on = true}).verdict, Verdict::kAccepted);
    ASSERT_EQ(host.Await()->code, DoneCode::kOk);
  }
  Verdict Path(uint32_t slot, DataPath path, uint32_t host_index) {
    return host.Do(link::SetData{.slot = slot, .epoch = 1, .path = path, .host_index = host_index}).verdict;
  }
  void Connect(uint32_t slot, uint32_t host_index) {
    ASSERT_EQ(Path(slot, DataPath::kHost, host_index), Verdict::kAccepted);
    ASSERT_EQ(host.Await()->code, DoneCode::kOk);
  }
  DoneCode LastCode() { return host.Await(5000).value_or(link::CommandDone{.code = DoneCode::kPartMissing}).code; }
  FakeNvm nvm;
  TestHost host{nvm};
};

TEST_F(SwitchingTest, VbusOn_IsProvenByItsVoltage) {
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  const auto done = host.Await();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, DoneCode::kOk);
  EXPECT_EQ(done->vbus_mv, 5000U);
  const auto bits = link::Unpack(done->state);
  EXPECT_TRUE(bits.vbus_commanded && bits.vbus_measured_on && !bits.vbus_measured_off);
}

TEST_F(SwitchingTest, VbusOutsideItsWindow_IsAMismatchWithin1500Ms) {
  for (uint32_t mv : {0U, 4749U, 5501U}) {
    host.parts[1].mv_on = mv;
    host.Do(link::SetVbus{.slot = 2, .epoch = 1, .on = true});
    const uint32_t asked = host.now_ms;
    EXPECT_EQ(LastCode(), DoneCode::kReadBackMismatch) << mv;
    EXPECT_LE(host.now_ms - asked, 1500U + 500U);  // minimum off time and proof
    EXPECT_EQ(host.Done(host.id)->vbus_mv, mv);
    host.Do(link::SetVbus{.slot = 2, .epoch = 1, .on = false});
    host.Await();
  }
}

TEST_F(SwitchingTest, VbusOnThatIsNotProven_GoesOffAgain) {
  host.parts[0].mv_on = 3000;
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  EXPECT_EQ(LastCode(), DoneCode::kReadBackMismatch);
  host.parts[0].mv_on = 5000;
  host.Run(2000);
  EXPECT_FALSE(host.VbusOn(1));
  EXPECT_FALSE(host.Bits(1).vbus_commanded);
  TurnOn(1);
}

TEST_F(SwitchingTest, CycleThatDoesNotComeBack_GoesOffAgain) {
  TurnOn(1);
  Connect(1, 0);
  host.parts[0].mv_on = 0;
  host.Do(link::CycleVbus{.slot = 1, .epoch = 1, .off_ms = 600});
  EXPECT_EQ(LastCode(), DoneCode::kReadBackMismatch);
  host.Run(2000);
  EXPECT_EQ(host.Outputs(1), 0) << "the data path too";
}

TEST_F(SwitchingTest, VbusThatThePartLost_StaysOffAndIsReportedUntilAskedAnew) {
  TurnOn(1);
  Connect(1, 0);
  host.Run(500);
  host.core->OnReadBack(0, 0);
  host.Run(200);
  EXPECT_TRUE(host.VbusOn(1)) << "one odd read-back is none";
  host.parts[0].lost_outputs = 0xFF;
  host.Run(200);
  EXPECT_EQ(host.Outputs(1), 0);
  host.parts[0].lost_outputs = 0;
  host.Run(2000);
  EXPECT_EQ(host.Outputs(1), 0);
  EXPECT_TRUE(host.Bits(1).read_back_mismatch && host.Bits(1).vbus_commanded && !host.Bits(1).pending);
  TurnOn(1);
  host.Run(500);
  EXPECT_FALSE(host.Bits(1).read_back_mismatch);
}

// Two odd read-backs of the last time on, a stop before they were judged, and an expander that is not read since.
TEST_F(SwitchingTest, ReadBacksOfTheLastTimeOn_DoNotCount) {
  TurnOn(1);
  host.Run(500);
  host.core->OnReadBack(0, 0);
  host.core->OnReadBack(0, 0);
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  host.parts[0].dead_expander = true;
  host.Run(600);
  TurnOn(1);
  EXPECT_TRUE(host.VbusOn(1));
}

TEST_F(SwitchingTest, VbusLostBeforeItsProof_IsNoSuccess) {
  host.parts[0].mv_on = 0;
  host.parts[0].lost_outputs = 1;
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  EXPECT_EQ(LastCode(), DoneCode::kReadBackMismatch);
  EXPECT_FALSE(host.VbusOn(1));
}

TEST_F(SwitchingTest, ChargeDuty_DoesNotBringBackWhatThePartLost) {
  host.Do(link::SetLease{.slot = 3, .epoch = 2, .to_safe_state = true});
  host.Run(1000);
  ASSERT_TRUE(host.VbusOn(3));
  host.parts[2].lost_outputs = 0xFF;
  host.Run(200);
  host.parts[2].lost_outputs = 0;
  host.Run(3000);
  EXPECT_FALSE(host.VbusOn(3));
  host.Do(link::SetLease{.slot = 3, .epoch = 3, .to_safe_state = true});
  host.Run(1000);
  EXPECT_TRUE(host.VbusOn(3)) << "asked anew";
}

TEST_F(SwitchingTest, BlindSlot_IsNotTurnedOn) {
  host.parts[0].dead_monitor = true;
  host.Run(400);
  bool was_on = false;
  host.on_pass = [&] { was_on = was_on || host.VbusOn(1); };
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  EXPECT_EQ(LastCode(), DoneCode::kPartMissing);
  host.Run(2000);
  EXPECT_FALSE(was_on);
  host.parts[0].dead_monitor = false;
  host.Run(2);
  TurnOn(1);
}

TEST_F(SwitchingTest, BlindSlot_ChargesWhenItsMonitorIsBack) {
  host.parts[2].dead_monitor = true;
  host.Run(400);
  host.Do(link::SetLease{.slot = 3, .epoch = 2, .to_safe_state = true});
  host.Run(3000);
  EXPECT_FALSE(host.VbusOn(3));
  EXPECT_TRUE(host.Events<link::Tripped>().empty());
  host.parts[2].dead_monitor = false;
  host.Run(200);
  EXPECT_TRUE(host.VbusOn(3));
}

TEST_F(SwitchingTest, SlotWithoutAMonitor_TurnsOn) {
  FakeNvm blank;
  TestHost plain(blank);
  const auto cause = link::BootReason::kPowerOn;
  plain.core.emplace(BoardFacts{.name = "fake", .session = 1, .boot_reason = cause, .slots = 32}, blank, nullptr);
  plain.core->Boot(std::vector<SlotFacts>(32, {TestHost::kAll & ~link::capability::kMonitor, 0, 0}), plain.now_ms);
  for (FakeSlot& part : plain.parts) part.dead_monitor = true;
  plain.Ready();
  plain.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  ASSERT_TRUE(plain.Await());
  EXPECT_EQ(plain.Done(plain.id)->code, DoneCode::kOk);
  EXPECT_TRUE(plain.VbusOn(1));
}

TEST_F(SwitchingTest, CommandDone_SaysStateAsTelemetryDoes) {
  TurnOn(1);
  EXPECT_TRUE(link::Unpack(host.Done(host.id)->state).leased);
  host.Do(link::SetVbus{.slot = 2, .epoch = 1, .on = true});
  EXPECT_FALSE(link::Unpack(host.Await()->state).leased);
}

TEST_F(SwitchingTest, VbusThatStays_IsAMismatchOfOff) {
  TurnOn(1);
  host.parts[0].feeds_back = true;
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  EXPECT_EQ(LastCode(), DoneCode::kReadBackMismatch);
  EXPECT_FALSE(host.VbusOn(1));
}

TEST_F(SwitchingTest, SilentMonitor_IsPartMissing) {
  host.parts[0].dead_monitor = true;
  host.Run(5);
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  EXPECT_EQ(LastCode(), DoneCode::kPartMissing);
}

TEST_F(SwitchingTest, SameLevelAgain_IsVerifiedAndAnswered) {
  TurnOn(1);
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  EXPECT_EQ(LastCode(), DoneCode::kOk);
  host.parts[0].mv_on = 3000;
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  EXPECT_EQ(LastCode(), DoneCode::kReadBackMismatch);
}

TEST_F(SwitchingTest, TurnOnsOfARailAreStaggeredInTheOrderAsked) {
  std::vector<size_t> order;
  std::vector<uint32_t> times;
  host.on_pass = [&] {
    for (size_t slot = 1; slot <= 8; ++slot) {
      if (!host.VbusOn(slot) || std::find(order.begin(), order.end(), slot) != order.end()) continue;
      order.push_back(slot);
      times.push_back(host.now_ms);
    }
  };
  std::vector<uint32_t> ids, waits;
  for (uint32_t slot : {5U, 3U, 8U, 1U}) {
    const auto reply = host.Do(link::SetVbus{.slot = slot, .epoch = 1, .on = true});
    EXPECT_EQ(reply.queue_position, ids.size());
    ids.push_back(host.id);
    waits.push_back(host.now_ms + reply.wait_ms);
  }
  host.Run(1000);
  EXPECT_EQ(order, (std::vector<size_t>{5, 3, 8, 1}));
  for (size_t i = 1; i < times.size(); ++i) EXPECT_GE(times[i] - times[i - 1], 100U);
  for (size_t i = 0; i < ids.size(); ++i) {
    ASSERT_TRUE(host.Done(ids[i]));
    EXPECT_LE(host.now_ms - 1000 + times[i] - times[0], waits[i]) << "the promised wait was honest";
  }
}

TEST_F(SwitchingTest, RailsDoNotWaitForEachOther) {
  host.Do(link::SetLease{.slot = 9, .epoch = 1, .duration_ms = 60'000});
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  host.Do(link::SetVbus{.slot = 9, .epoch = 1, .on = true});
  host.Run(2);
  EXPECT_TRUE(host.VbusOn(1));
  EXPECT_TRUE(host.VbusOn(9));
}

TEST_F(SwitchingTest, OffLastsItsMinimum) {
  TurnOn(1);
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  host.Await();
  const auto reply = host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  EXPECT_GT(reply.wait_ms, kAnswerMs);
  host.Run(600);
  EXPECT_FALSE(host.VbusOn(1)) << "two turn-ons are the minimum on and off times apart";
  host.Run(100);
  EXPECT_TRUE(host.VbusOn(1));
}

TEST_F(SwitchingTest, OffCancelsAWaitingOn) {
  TurnOn(1);
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  host.Await();
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  const uint32_t waiting = host.id;
  host.Run(100);
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  EXPECT_EQ(LastCode(), DoneCode::kOk);
  EXPECT_EQ(host.Done(waiting)->code, DoneCode::kCancelled);
  host.Run(2000);
  EXPECT_FALSE(host.VbusOn(1));
}

TEST_F(SwitchingTest, FullRail_IsRefusedWithTheFigures) {
  auto config = TestHost::Config();
  config.rail_budget_ma[0] = 4000;
  host.Do(config);
  for (uint32_t slot : {1U, 2U}) {
    host.parts[slot - 1].ma = 600;  // far below what each may draw
    host.Do(link::SetVbus{.slot = slot, .epoch = 1, .on = true});
  }
  host.Run(4000);
  EXPECT_TRUE(host.VbusOn(1) && host.VbusOn(2));
  const auto reply = host.Do(link::SetVbus{.slot = 3, .epoch = 1, .on = true});
  EXPECT_EQ(reply.verdict, Verdict::kOverBudget);
  EXPECT_EQ(reply.limit, 4000U);
  EXPECT_EQ(reply.value, 6000U);
}

TEST_F(SwitchingTest, CycleRunsToItsEndAlone) {
  TurnOn(1);
  Connect(1, 0);
  const auto reply = host.Do(link::CycleVbus{.slot = 1, .epoch = 1, .off_ms = 2000});
  ASSERT_EQ(reply.verdict, Verdict::kAccepted);
  EXPECT_GE(reply.wait_ms, 2000U + kAnswerMs);
  host.Run(1);
  EXPECT_EQ(host.Outputs(1), 0) << "data opens with VBUS";
  host.Run(1900);
  EXPECT_FALSE(host.VbusOn(1));
  const auto done = host.Await(5000);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, DoneCode::kOk);
  host.Run(kDataOpenMs);
  EXPECT_EQ(host.Outputs(1), 0b00011) << "the data path comes back";
}

TEST_F(SwitchingTest, CycleOfAWrongLength_IsInvalid) {
  EXPECT_EQ(host.Do(link::CycleVbus{.slot = 1, .epoch = 1, .off_ms = 499}).verdict, Verdict::kInvalid);
  EXPECT_EQ(host.Do(link::CycleVbus{.slot = 1, .epoch = 1, .off_ms = 600'001}).verdict, Verdict::kInvalid);
}

TEST_F(SwitchingTest, CycleThatNeverGoesOff_IsAMismatchAndStaysOff) {
  TurnOn(1);
  host.parts[0].feeds_back = true;
  host.Do(link::CycleVbus{.slot = 1, .epoch = 1, .off_ms = 600});
  EXPECT_EQ(LastCode(), DoneCode::kReadBackMismatch);
  host.Run(3000);
  EXPECT_FALSE(host.VbusOn(1));
}

TEST_F(SwitchingTest, DataIsOpenHalfASecondBetweenHosts) {
  TurnOn(1);
  Connect(1, 0);
  EXPECT_EQ(host.Outputs(1), 0b00011);
  host.Do(link::SetData{.slot = 1, .epoch = 1, .path = DataPath::kHost, .host_index = 1});
  const uint32_t asked = host.now_ms;
  EXPECT_EQ(host.Outputs(1) & 0b0010, 0) << "open at once";
  uint32_t connected = 0;
  host.on_pass = [&] {
    if (connected == 0 && (host.Outputs(1) & 0b0010) != 0) connected = host.now_ms;
  };
  EXPECT_EQ(LastCode(), DoneCode::kOk);
  EXPECT_GE(connected - asked, kDataOpenMs);
  EXPECT_EQ(host.Outputs(1), 0b00111);
}

TEST_F(SwitchingTest, HostNeedsVbus) {
  EXPECT_EQ(host.Do(link::SetData{.slot = 1, .epoch = 1, .path = DataPath::kHost}).verdict, Verdict::kVbusOff);
  EXPECT_EQ(host.Do(link::SetData{.slot = 1, .epoch = 1, .path = DataPath::kCharge}).verdict, Verdict::kAccepted);
  EXPECT_EQ(LastCode(), DoneCode::kOk);
  EXPECT_EQ(host.Outputs(1), 0b01000);
}

TEST_F(SwitchingTest, OffOpensTheData) {
  TurnOn(1);
  Connect(1, 0);
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  EXPECT_EQ(host.Outputs(1), 0);
  EXPECT_EQ(LastCode(), DoneCode::kOk);
}

TEST_F(SwitchingTest, DataOfAnotherReadBack_IsAMismatch) {
  host.parts[0].stuck_outputs = 0b1000;
  host.Do(link::SetData{.slot = 1, .epoch = 1, .path = DataPath::kOpen});
  EXPECT_EQ(LastCode(), DoneCode::kReadBackMismatch);
  host.Run(200);
  EXPECT_TRUE(host.Bits(1).read_back_mismatch);
  EXPECT_EQ(host.Bits(1).data_measured, DataPath::kCharge);
}

TEST_F(SwitchingTest, SilentExpander_IsPartMissing) {
  host.parts[0].dead_expander = true;
  host.Do(link::SetData{.slot = 1, .epoch = 1, .path = DataPath::kCharge});
  EXPECT_EQ(LastCode(), DoneCode::kPartMissing);
  host.Run(200);
  EXPECT_TRUE(host.Bits(1).part_missing);
  EXPECT_EQ(host.Bits(1).data_measured, DataPath::kUnknown);
}

TEST_F(SwitchingTest, VbusBehindASilentExpander_IsPartMissingUnlessItIsMeasured) {
  host.parts[0].dead_expander = true;
  host.parts[0].mv_on = 0;
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  EXPECT_EQ(LastCode(), DoneCode::kPartMissing);
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  EXPECT_EQ(LastCode(), DoneCode::kOk);
}

TEST_F(SwitchingTest, DataOfUnknownHosts_IsInvalid) {
  TurnOn(1);
  EXPECT_EQ(Path(1, DataPath::kHost, 2), Verdict::kInvalid);
  EXPECT_EQ(Path(1, DataPath::kHost, 256), Verdict::kInvalid);
  EXPECT_EQ(Path(1, DataPath::kOpen, 1), Verdict::kInvalid);
}

TEST_F(SwitchingTest, BouncingContact_ProvesNothing) {
  host.parts[0].stuck_relay = true;
  host.Do(link::SetShield{.slot = 1, .epoch = 1, .couple = true});
  for (int i = 0; i < 20; ++i) {
    host.Run(4);
    host.parts[0].isolated = !host.parts[0].isolated;
    host.Run(1);
    host.parts[0].isolated = !host.parts[0].isolated;
  }
  EXPECT_FALSE(host.Done(host.id)) << "a pulse";
  host.parts[0].isolated = false;
  host.Run(20);
  EXPECT_EQ(host.core->slot(0).Bits().relay_sense, link::RelaySense::kMoving);
  host.Run(20);
  EXPECT_EQ(host.core->slot(0).Bits().relay_sense, link::RelaySense::kCoupled);
  EXPECT_EQ(LastCode(), DoneCode::kOk);
}

TEST_F(SwitchingTest, RelayIsProvenByItsContact) {
  host.Do(link::SetShield{.slot = 1, .epoch = 1, .couple = true});
  EXPECT_EQ(LastCode(), DoneCode::kOk);
  host.Run(200);
  EXPECT_EQ(host.Bits(1).relay_sense, link::RelaySense::kCoupled);
  host.parts[0].stuck_relay = true;
  host.Do(link::SetShield{.slot = 1, .epoch = 1, .couple = false});
  EXPECT_EQ(LastCode(), DoneCode::kReadBackMismatch);
  host.Run(200);
  EXPECT_TRUE(host.Bits(1).relay_stuck);
  EXPECT_EQ(host.Outputs(1) & 16, 0);
}

TEST_F(SwitchingTest, UnfinishedCommandOfAnotherKind_IsBusyButTheSafeDirectionIsNot) {
  TurnOn(1);
  Connect(1, 0);
  host.Do(link::SetData{.slot = 1, .epoch = 1, .path = DataPath::kHost, .host_index = 1});
  const uint32_t data = host.id;
  EXPECT_EQ(host.Do(link::SetShield{.slot = 1, .epoch = 1, .couple = true}).verdict, Verdict::kBusy);
  EXPECT_EQ(host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = false}).verdict, Verdict::kAccepted);
  host.Run(5);
  EXPECT_EQ(host.Done(data)->code, DoneCode::kCancelled);
  EXPECT_EQ(host.Outputs(1), 0);
}

TEST_F(SwitchingTest, StopSlot_NeedsNoEpochAndStaysOff) {
  host.Do(link::SetLease{.slot = 3, .epoch = 2, .to_safe_state = true});
  host.Run(500);
  ASSERT_TRUE(host.VbusOn(3));
  EXPECT_EQ(host.Do(link::StopSlot{.slot = 3}).verdict, Verdict::kOk);
  EXPECT_EQ(host.Outputs(3), 0);
  host.Run(3000);
  EXPECT_EQ(host.Outputs(3), 0) << "not even the charge duty";
  EXPECT_EQ(host.Do(link::StopSlot{.slot = 33}).verdict, Verdict::kNoSuchSlot);
}

// Found by fuzz_core: the holder's epoch outlives StopSlot until the controller's hand-over.
TEST_F(SwitchingTest, StopSlot_BarsItsHolderUntilClearTrip) {
  host.Do(link::StopSlot{.slot = 1});
  host.Run(600);
  EXPECT_EQ(host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true}).verdict, Verdict::kTripped);
  EXPECT_EQ(host.Do(link::CycleVbus{.slot = 1, .epoch = 1, .off_ms = 1000}).verdict, Verdict::kTripped);
  EXPECT_EQ(host.Do(link::SetShield{.slot = 1, .epoch = 1, .couple = true}).verdict, Verdict::kTripped);
  EXPECT_EQ(host.Do(link::SetData{.slot = 1, .epoch = 1, .path = link::DataPath::kCharge}).verdict, Verdict::kTripped);
  EXPECT_EQ(host.Outputs(1), 0);
  EXPECT_EQ(host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = false}).verdict, Verdict::kAccepted);
  host.Await();
  EXPECT_EQ(host.Do(link::ClearTrip{.slot = 1}).verdict, Verdict::kOk);
  EXPECT_EQ(host.Do(link::SetShield{.slot = 1, .epoch = 1, .couple = true}).verdict, Verdict::kAccepted);
}

}  // namespace
}  // namespace faraday::firmware
