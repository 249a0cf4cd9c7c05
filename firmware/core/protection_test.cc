// Trips, conditions, stop, rack inputs; and that nothing energises without a current epoch, whatever comes.
#include <gtest/gtest.h>

#include <random>

#include "firmware/core/test_host.h"

namespace faraday::firmware {
namespace {

using link::Condition;
using link::DataPath;
using link::DoneCode;
using link::TripReason;
using link::Verdict;

struct ProtectionTest : testing::Test {
  ProtectionTest() { host.Ready(); }
  void TurnOn(uint32_t slot) {
    host.Do(link::SetVbus{.slot = slot, .epoch = 1, .on = true});
    ASSERT_EQ(host.Await()->code, DoneCode::kOk);
    host.Run(50);
  }
  std::optional<link::Tripped> LastTrip() const {
    const auto trips = host.Events<link::Tripped>();
    if (trips.empty()) return {};
    return trips.back();
  }
  // What was told of the slot's conditions.
  std::vector<link::ConditionChanged> ConditionsOf(uint32_t slot) const {
    auto told = host.Events<link::ConditionChanged>();
    std::erase_if(told, [&](const auto& changed) { return changed.slot != slot; });
    return told;
  }
  FakeNvm nvm;
  TestHost host{nvm};
};

TEST_F(ProtectionTest, OverCurrent_TurnsOffAtOnceAndKeepsTheReason) {
  TurnOn(1);
  host.core->OnCurrent(0, 2001);
  EXPECT_FALSE(host.VbusOn(1));
  host.Run(200);
  EXPECT_EQ(LastTrip(), (link::Tripped{.slot = 1, .reason = TripReason::kOverCurrent, .value = 2001, .limit = 2000}));
  EXPECT_TRUE(host.Bits(1).tripped);
  EXPECT_EQ(host.Bits(1).trip_reason, static_cast<uint8_t>(TripReason::kOverCurrent));
  EXPECT_EQ(host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true}).verdict, Verdict::kTripped);
  EXPECT_EQ(host.Do(link::ClearTrip{.slot = 1}).verdict, Verdict::kOk);
  EXPECT_FALSE(host.VbusOn(1)) << "clearing switches nothing";
  host.Run(600);
  TurnOn(1);
}

// The expander is told in the next pass: until then it shows what was.
TEST_F(ProtectionTest, ReadBackBeforeTheOutputsWereWritten_IsNoMismatch) {
  TurnOn(1);
  host.Run(1000);
  host.core->OnCurrent(0, 2500);
  ASSERT_FALSE(host.VbusOn(1));
  host.core->OnReadBack(0, 1);
  EXPECT_FALSE(host.core->slot(0).Bits().read_back_mismatch);
  host.parts[0].stuck_outputs = 1;
  host.Run(500);
  EXPECT_TRUE(host.core->slot(0).Bits().read_back_mismatch) << "written, and still on";
}

// A configuration that takes a slot out while the rack's name is being stored: the samples in between find it off.
TEST_F(ProtectionTest, ConfigureThatTakesASlotOut_IsNoOverCurrent) {
  FakeNvm blank;
  TestHost fresh(blank);
  fresh.Hello(1, "");
  fresh.Do(TestHost::Config());
  fresh.Do(link::SetLease{.slot = 1, .epoch = 1, .duration_ms = 60'000});
  fresh.Run(600);
  fresh.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  ASSERT_EQ(fresh.Await()->code, DoneCode::kOk);
  fresh.Run(100);
  fresh.Hello(2, "r01");
  int writes = 0;
  blank.on_write = [&] {
    ++writes;
    fresh.core->OnCurrent(0, 500);
  };
  auto config = TestHost::Config();
  config.current_limit_ma[0] = 0;
  fresh.Do(config);
  EXPECT_GT(writes, 0);
  EXPECT_FALSE(fresh.VbusOn(1));
  EXPECT_FALSE(fresh.core->slot(0).tripped());
}

TEST_F(ProtectionTest, TripThatASilentExpanderDoesNotObey_StopsTheRack) {
  TurnOn(1);
  host.parts[0].dead_expander = host.parts[0].disobeys = true;
  host.parts[0].ma = 2500;
  host.Run(100);
  ASSERT_TRUE(host.core->slot(0).tripped());
  EXPECT_FALSE(host.core->StopAsserted()) << "VBUS has a second to fall";
  host.Run(1100);
  EXPECT_TRUE(host.core->StopAsserted());
  host.Run(200);
  EXPECT_EQ(LastTrip(), (link::Tripped{.slot = 0, .reason = TripReason::kStop}));
}

TEST_F(ProtectionTest, TripThatIsNotObeyed_StopsNobodyWhileItsExpanderAnswers) {
  TurnOn(1);
  host.parts[0].disobeys = true;
  host.parts[0].ma = 2500;
  host.Run(3000);
  EXPECT_TRUE(host.core->slot(0).tripped());
  EXPECT_FALSE(host.core->StopAsserted()) << "a switch that is broken itself: the pin would not help";
}

TEST_F(ProtectionTest, OffThatIsNotObeyedAtALawfulCurrent_StopsNobody) {
  TurnOn(1);
  host.parts[0].dead_expander = host.parts[0].disobeys = true;
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  host.Run(3000);
  EXPECT_TRUE(host.Bits(1).switch_shorted);
  EXPECT_FALSE(host.core->StopAsserted());
}

TEST_F(ProtectionTest, AtTheLimit_IsNoTrip) {
  TurnOn(1);
  host.core->OnCurrent(0, 2000);
  EXPECT_TRUE(host.VbusOn(1));
}

TEST_F(ProtectionTest, Inrush_IsForgivenBelowTheCeilingOnly) {
  host.parts[0].ma = 2900;
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  host.Run(10);
  EXPECT_TRUE(host.VbusOn(1));
  host.Run(20);
  EXPECT_FALSE(host.VbusOn(1));
  host.parts[1].ma = 3100;
  host.Do(link::SetVbus{.slot = 2, .epoch = 1, .on = true});
  host.Run(105);
  EXPECT_FALSE(host.VbusOn(2));
  EXPECT_EQ(LastTrip()->limit, 3000U);
}

TEST_F(ProtectionTest, TripEndsTheUnfinishedCommand) {
  host.parts[0].mv_on = 4000;
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  host.Run(200);
  host.core->OnCurrent(0, 2500);
  EXPECT_EQ(host.Await()->code, DoneCode::kTripped);
}

TEST_F(ProtectionTest, TripDiscardsAWaitingOn) {
  TurnOn(1);
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  host.Await();
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  host.parts[0].deci_c = 510;
  EXPECT_EQ(host.Await()->code, DoneCode::kTripped);
  host.parts[0].deci_c = 300;
  host.Run(5);
  host.Do(link::ClearTrip{.slot = 1});
  host.Run(2000);
  EXPECT_FALSE(host.VbusOn(1));
}

TEST_F(ProtectionTest, HotTray_TripsAndStaysUntilCooler) {
  TurnOn(1);
  host.parts[0].deci_c = 500;
  host.Run(2);
  EXPECT_FALSE(host.VbusOn(1));
  EXPECT_EQ(LastTrip(), (link::Tripped{.slot = 1, .reason = TripReason::kOverTemperature, .value = 500, .limit = 500}));
  host.parts[0].deci_c = 460;
  host.Run(2);
  EXPECT_EQ(host.Do(link::ClearTrip{.slot = 1}).verdict, Verdict::kTripped);
  host.parts[0].deci_c = 440;
  host.Run(2);
  EXPECT_EQ(host.Do(link::ClearTrip{.slot = 1}).verdict, Verdict::kOk);
}

TEST_F(ProtectionTest, CurrentWhileOff_IsAShortedSwitch) {
  host.parts[0].shorted = true;
  host.parts[0].ma = 51;
  host.Run(1200);
  EXPECT_EQ(LastTrip(), (link::Tripped{.slot = 1, .reason = TripReason::kSwitchShorted, .value = 51, .limit = 50}));
  host.Run(200);
  EXPECT_TRUE(host.Bits(1).switch_shorted);
}

TEST_F(ProtectionTest, OddSampleWhileOff_IsNoFault) {
  host.Run(1200);
  host.core->OnCurrent(0, 500);
  host.core->OnCurrent(0, 500);
  host.core->OnCurrent(0, 0);
  host.core->OnCurrent(0, 500);
  EXPECT_FALSE(LastTrip());
}

TEST_F(ProtectionTest, MonitorGoneWhileOn_TurnsOffAtItsThirdFailedRead) {
  TurnOn(1);
  host.parts[0].dead_monitor = true;
  host.Run(1);
  EXPECT_FALSE(host.VbusOn(1));
  host.Run(500);
  EXPECT_EQ(LastTrip(), (link::Tripped{.slot = 1, .reason = TripReason::kStaleSensor, .value = 3, .limit = 3}));
  EXPECT_TRUE(host.Bits(1).part_missing);
  EXPECT_FALSE(host.Bits(1).monitor_fresh);
  EXPECT_FALSE(host.Bits(1).vbus_measured_off) << "unknown, not no";
}

// Nobody failed, but nobody was asked either.
TEST_F(ProtectionTest, NoSampleForASecondWhileOn_IsAStaleSensorToo) {
  TurnOn(1);
  const auto quiet = [&](uint32_t ms) {
    for (uint32_t i = 0; i < ms; ++i) host.core->Tick(++host.now_ms);
  };
  quiet(998);
  EXPECT_TRUE(host.VbusOn(1));
  quiet(10);
  EXPECT_FALSE(host.VbusOn(1));
}

TEST_F(ProtectionTest, LostBus_TripsAndAccusesNobodyAndTakesItsSlotsOffAfterItsGrace) {
  TurnOn(1);
  host.core->OnBusLost(0, true);
  for (size_t i = 0; i < 16; ++i) host.parts[i].dead_monitor = true;
  host.Run(kBusGraceMs - 50);
  EXPECT_TRUE(host.VbusOn(1));
  host.Run(100);
  EXPECT_FALSE(host.VbusOn(1));
  host.Run(3000);
  EXPECT_FALSE(LastTrip());
  EXPECT_FALSE(host.Bits(1).part_missing);
  EXPECT_EQ(host.telemetry.buses_lost, 1U);
  EXPECT_TRUE(link::UnpackMarks(host.telemetry.marks[0]).bus_lost);
  EXPECT_EQ(host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true}).verdict, Verdict::kBlocked);
  host.core->OnBusLost(0, false);
  for (size_t i = 0; i < 16; ++i) host.parts[i].dead_monitor = false;
  host.Run(4 * kBusGraceMs + 200);
  host.Do(link::ClearSilence{});
  EXPECT_FALSE(host.VbusOn(1)) << "not asked anew";
  EXPECT_EQ(host.telemetry.buses_lost, 0U);
  EXPECT_TRUE(ConditionsOf(1).empty());
  TurnOn(1);
}

TEST_F(ProtectionTest, HotSwapPartThatCutByItself_Trips) {
  TurnOn(1);
  host.core->OnHotSwapOff(0, 0x4010);
  EXPECT_FALSE(host.VbusOn(1));
  host.Run(10);
  EXPECT_EQ(LastTrip(), (link::Tripped{.slot = 1, .reason = TripReason::kHotSwap, .value = 0x4010}));
}

TEST_F(ProtectionTest, Trip_OpensTheData) {
  TurnOn(1);
  ASSERT_EQ(host.Do(link::SetData{.slot = 1, .epoch = 1, .path = DataPath::kHost}).verdict, Verdict::kAccepted);
  host.Await();
  ASSERT_NE(host.Outputs(1) & 2, 0);
  host.core->OnCurrent(0, 2001);
  EXPECT_EQ(host.Outputs(1) & 0b01111, 0);
}

TEST_F(ProtectionTest, SoftLimit_TripsInInverseTime) {
  auto config = TestHost::Config();
  config.soft_limit_ma = {};
  for (size_t i = 0; i < TestHost::kSlots; ++i) config.soft_limit_ma.push_back(1000);
  ASSERT_EQ(host.Do(config).verdict, Verdict::kOk);
  TurnOn(1);
  host.parts[0].ma = 1500;
  host.Run(7800);
  EXPECT_TRUE(host.VbusOn(1));
  EXPECT_TRUE(link::UnpackMarks(host.telemetry.marks[0]).over_soft_limit);
  host.Run(300);
  EXPECT_EQ(LastTrip(), (link::Tripped{.slot = 1, .reason = TripReason::kOverCurrent, .value = 1500, .limit = 1000}));
}

TEST_F(ProtectionTest, HeatTrip_TakesItsWholeShelfOffUntilCleared) {
  TurnOn(1);
  TurnOn(2);
  host.Do(link::SetLease{.slot = 9, .epoch = 1, .duration_ms = 60'000});
  TurnOn(9);
  host.parts[1].deci_c = 500;
  host.Run(3);
  EXPECT_FALSE(host.VbusOn(1) || host.VbusOn(2));
  EXPECT_TRUE(host.VbusOn(9)) << "another shelf";
  EXPECT_TRUE(host.core->AlarmOn());
  EXPECT_FALSE(host.core->slot(0).tripped());
  EXPECT_EQ(host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true}).verdict, Verdict::kBlocked);
  host.parts[1].deci_c = 450;
  host.Run(5);
  EXPECT_EQ(host.Do(link::ClearTrip{.slot = 2}).verdict, Verdict::kOk);
  host.Run(1000);
  EXPECT_FALSE(host.VbusOn(1)) << "not asked anew";
  EXPECT_FALSE(host.core->AlarmOn());
  TurnOn(1);
}

TEST_F(ProtectionTest, HeatAfterAnotherTrip_TakesTheShelfOffAndIsToldToo) {
  TurnOn(1);
  TurnOn(2);
  host.core->OnCurrent(0, 2500);
  host.Run(5);
  ASSERT_TRUE(host.core->slot(0).tripped());
  ASSERT_TRUE(host.VbusOn(2));
  host.parts[0].deci_c = 900;
  host.Run(200);
  EXPECT_FALSE(host.VbusOn(2));
  EXPECT_TRUE(host.core->AlarmOn());
  EXPECT_EQ(LastTrip()->reason, TripReason::kOverTemperature);
  EXPECT_EQ(host.Bits(1).trip_reason, static_cast<uint8_t>(TripReason::kOverCurrent));
  EXPECT_EQ(host.Do(link::ClearTrip{.slot = 1}).verdict, Verdict::kTripped);
}

TEST_F(ProtectionTest, HeatThatNobodySees_IsNotCleared) {
  host.core->OnTemperature(0, 500);
  host.core->OnTemperature(0, 250);
  for (int i = 0; i < 61; ++i) host.core->Tick(host.now_ms += 50);
  EXPECT_EQ(host.Do(link::ClearTrip{.slot = 1}).verdict, Verdict::kTripped);
  host.Run(5);
  EXPECT_EQ(host.Do(link::ClearTrip{.slot = 1}).verdict, Verdict::kOk);
}

TEST_F(ProtectionTest, ClearedSlotThatCharged_RestsOffUntilItsSafeStateIsAskedAnew) {
  host.Do(link::SetLease{.slot = 2, .epoch = 2, .to_safe_state = true});
  host.Run(1000);
  ASSERT_TRUE(host.VbusOn(2));
  host.core->OnCurrent(1, 2500);
  host.Run(1000);
  EXPECT_EQ(host.Do(link::ClearTrip{.slot = 2}).verdict, Verdict::kOk);
  host.Run(1000);
  EXPECT_FALSE(host.VbusOn(2));
  host.Do(link::SetLease{.slot = 2, .epoch = 3, .to_safe_state = true});
  host.Run(1000);
  EXPECT_TRUE(host.VbusOn(2));
}

TEST_F(ProtectionTest, FastRise_TripsBelowTheLimit) {
  TurnOn(1);
  host.Run(1000);
  host.parts[0].deci_c = 349;
  host.Run(10);
  EXPECT_TRUE(host.VbusOn(1));
  host.parts[0].deci_c = 350;
  host.Run(10);
  EXPECT_EQ(LastTrip(), (link::Tripped{.slot = 1, .reason = TripReason::kFastRise, .value = 100, .limit = 100}));
}

// ---- named conditions ----

TEST_F(ProtectionTest, Conditions_AreToldOnceWhenTheyComeAndGo) {
  host.Run(1100);
  host.parts[1].feeds_back = true;
  host.Run(3000);
  host.parts[1].feeds_back = false;
  host.Run(3000);
  const auto told = ConditionsOf(2);
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0],
            (link::ConditionChanged{
                .slot = 2, .condition = Condition::kBackFeed, .active = true, .value = 4900, .limit = 800}));
  EXPECT_FALSE(told[1].active);
}

TEST_F(ProtectionTest, OneOddReadBack_IsNoCondition) {
  host.parts[0].stuck_outputs = 8;
  host.Run(90);
  host.parts[0].stuck_outputs = 0;
  host.Run(1000);
  EXPECT_TRUE(ConditionsOf(1).empty());
  host.parts[0].stuck_outputs = 8;
  host.Run(400);
  ASSERT_EQ(ConditionsOf(1).size(), 1U);
  EXPECT_EQ(ConditionsOf(1)[0].condition, Condition::kReadBackMismatch);
}

TEST_F(ProtectionTest, LedInAReadBack_IsNoMismatch) {
  host.parts[0].stuck_outputs = 0x80;
  host.Do(link::SetData{.slot = 1, .epoch = 1, .path = DataPath::kCharge});
  EXPECT_EQ(host.Await()->code, DoneCode::kOk);
  host.Run(1000);
  EXPECT_TRUE(ConditionsOf(1).empty());
}

TEST_F(ProtectionTest, LowVbusForASecond_IsUnderVoltageUnlessItsRailSags) {
  TurnOn(1);
  host.parts[0].mv_on = 4700;
  host.Run(900);
  EXPECT_TRUE(ConditionsOf(1).empty()) << "has just turned on";
  host.Run(1500);
  ASSERT_EQ(ConditionsOf(1).size(), 1U);
  EXPECT_EQ(ConditionsOf(1)[0],
            (link::ConditionChanged{
                .slot = 1, .condition = Condition::kUnderVoltage, .active = true, .value = 4700, .limit = 4750}));
  EXPECT_TRUE(link::UnpackMarks(host.telemetry.marks[0]).under_voltage);
  host.on_pass = [&] { host.core->OnRailVoltage(0, 4800); };
  host.Run(1000);
  EXPECT_FALSE(ConditionsOf(1).back().active) << "the rail's fault";
}

TEST_F(ProtectionTest, HighVbus_IsOverVoltageAndTripsNothing) {
  TurnOn(1);
  host.parts[0].mv_on = 5501;
  host.Run(500);
  ASSERT_EQ(ConditionsOf(1).size(), 1U);
  EXPECT_EQ(ConditionsOf(1)[0].condition, Condition::kOverVoltage);
  EXPECT_TRUE(host.VbusOn(1));
}

TEST_F(ProtectionTest, WarmTray_IsSaidFromTheConfiguredWarningWithHysteresis) {
  auto config = TestHost::Config();
  config.tray_warn_deci_c = 320;
  ASSERT_EQ(host.Do(config).verdict, Verdict::kOk);
  host.parts[0].deci_c = 319;
  host.Run(500);
  EXPECT_TRUE(ConditionsOf(1).empty());
  host.parts[0].deci_c = 320;
  host.Run(500);
  ASSERT_EQ(ConditionsOf(1).size(), 1U);
  EXPECT_EQ(ConditionsOf(1)[0].condition, Condition::kTrayWarm);
  host.parts[0].deci_c = 271;
  host.Run(500);
  EXPECT_EQ(ConditionsOf(1).size(), 1U);
  host.parts[0].deci_c = 270;
  host.Run(500);
  EXPECT_EQ(ConditionsOf(1).size(), 2U);
}

TEST_F(ProtectionTest, TrayTrip_IsTheConfiguredOne) {
  auto config = TestHost::Config();
  config.tray_trip_deci_c = 300;
  ASSERT_EQ(host.Do(config).verdict, Verdict::kOk);
  host.parts[0].deci_c = 300;
  host.Run(5);
  EXPECT_EQ(LastTrip(), (link::Tripped{.slot = 1, .reason = TripReason::kOverTemperature, .value = 300, .limit = 300}));
}

// A shelf of phones that draw nothing, little, their limit; that boot; that are unplugged: nobody is accused.
TEST_F(ProtectionTest, HealthyPhones_AreNeverAccused) {
  for (uint32_t slot = 1; slot <= 4; ++slot) TurnOn(slot);
  const uint32_t draws[] = {0, 2, 60, 500, 1999, 2000};
  for (uint32_t step = 0; step < 60; ++step) {
    for (size_t i = 0; i < 4; ++i) host.parts[i].ma = draws[(step + i) % 6];
    host.Keepalive();
    host.Run(500);
  }
  for (uint32_t slot = 1; slot <= 8; ++slot) EXPECT_TRUE(ConditionsOf(slot).empty()) << slot;
  EXPECT_FALSE(LastTrip());
}

TEST_F(ProtectionTest, PassThatTookSeconds_IsNotAFault) {
  TurnOn(1);
  host.Do(link::SetVbus{.slot = 2, .epoch = 1, .on = true});
  host.Run(1);
  host.now_ms += 20'000;  // the whole MCU stood still, or a simulator's host did
  host.Run(200);
  EXPECT_TRUE(host.VbusOn(1));
  EXPECT_EQ(host.Done(host.id)->code, DoneCode::kOk);
  EXPECT_TRUE(host.Events<link::HostSilent>().empty());
  EXPECT_FALSE(LastTrip());
}

TEST_F(ProtectionTest, ProofIsNeverASampleFromBeforeActing) {
  TurnOn(1);
  host.Run(1000);
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});  // the sample at hand says 5 V already
  host.core->Tick(host.now_ms += 5000);
  host.core->Tick(host.now_ms += 5000);
  EXPECT_TRUE(host.core->slot(0).busy());
  host.Run(3);
  EXPECT_FALSE(host.core->slot(0).busy());
}

TEST_F(ProtectionTest, VoltageWithoutCurrentWhileOff_IsBackFeed) {
  host.Run(1100);
  host.parts[1].feeds_back = true;
  host.Run(500);
  EXPECT_TRUE(host.Bits(2).back_feed);
  host.parts[1].feeds_back = false;
  host.Run(500);
  EXPECT_FALSE(host.Bits(2).back_feed);
}

TEST_F(ProtectionTest, SlowDecay_IsNoDischarge) {
  TurnOn(1);
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  host.on_pass = [&] { host.core->OnVoltage(0, 2000); };
  host.Run(1500);
  EXPECT_TRUE(host.Bits(1).no_discharge);
  EXPECT_FALSE(host.Bits(1).back_feed);
}

TEST_F(ProtectionTest, StopFrame_ActsInsideGarbageAndWithoutASession) {
  TurnOn(1);
  std::array<uint8_t, link::kMaxWire> wire{};
  const auto length = link::EncodeFrame({.channel = link::Channel::kStop}, link::kStopMagic, wire);
  std::vector<uint8_t> bytes = {0x13, 0x37, 0x00, 0x55};
  bytes.insert(bytes.end(), wire.begin(), wire.begin() + static_cast<ptrdiff_t>(*length));
  bytes.push_back(0x99);
  host.core->OnBytes(bytes);
  EXPECT_TRUE(host.core->StopAsserted());
  EXPECT_EQ(host.Outputs(1), 0);
  host.Run(200);
  EXPECT_EQ(LastTrip(), (link::Tripped{.slot = 0, .reason = TripReason::kStop}));
  EXPECT_EQ(host.telemetry.faults & link::kFaultStopped, link::kFaultStopped);
}

TEST_F(ProtectionTest, StoppedExpandersAreUnknownNotAsLastRead) {
  TurnOn(1);
  host.Do(link::SetData{.slot = 1, .epoch = 1, .path = DataPath::kHost});
  host.Await();
  host.Run(200);
  ASSERT_EQ(host.Bits(1).data_measured, DataPath::kHost);
  host.StopFrame();
  host.Run(1300);
  EXPECT_EQ(host.Bits(1).data_measured, DataPath::kUnknown);
  EXPECT_TRUE(host.Bits(1).vbus_measured_off);
}

// A part that is held in reset may answer with anything.
TEST_F(ProtectionTest, ReadBackOfAStoppedExpander_AccusesNobodyUnlessVbusStays) {
  TurnOn(1);
  host.Run(500);
  host.StopFrame();
  host.on_pass = [&] { host.core->OnReadBack(0, 0xFF); };
  host.Run(3000);
  EXPECT_FALSE(host.Bits(1).read_back_mismatch);
  host.parts[0].feeds_back = true;
  host.Run(1000);
  EXPECT_TRUE(host.Bits(1).read_back_mismatch);
}

TEST_F(ProtectionTest, StopFrameBeforeAnyHello_ActsToo) {
  FakeNvm blank;
  TestHost fresh(blank);
  fresh.StopFrame();
  EXPECT_TRUE(fresh.core->StopAsserted());
}

TEST_F(ProtectionTest, StopWithoutItsMagic_IsNone) {
  const std::array<uint8_t, 4> half = {'S', 'T', 'O', 'P'};
  host.Send({.channel = link::Channel::kStop}, half);
  host.Send({.channel = link::Channel::kStop}, {});
  EXPECT_FALSE(host.core->StopAsserted());
}

// The tray got hot after its slot had tripped for something else: a reset forgets neither.
TEST_F(ProtectionTest, HeatBehindAnotherTripIsStillThereAfterAReset) {
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  host.Await();
  host.core->OnCurrent(0, 2900);
  host.core->OnTemperature(0, 500);
  host.Run(300);
  TestHost after(nvm, 78);
  after.Ready();
  const auto reply = after.Do(link::SetVbus{.slot = 2, .epoch = 1, .on = true});
  EXPECT_EQ(reply.verdict, Verdict::kBlocked);
  EXPECT_EQ(reply.value, static_cast<uint32_t>(link::BlockCause::kHotShelf));
}

TEST_F(ProtectionTest, StopIsLatchedUntilClearedForAll) {
  TurnOn(1);
  host.Do(link::StopSlot{.slot = 0});
  EXPECT_TRUE(host.core->StopAsserted());
  EXPECT_EQ(host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true}).verdict, Verdict::kTripped);
  host.Do(link::SetLease{.slot = 2, .epoch = 2, .to_safe_state = true});
  host.Run(2000);
  EXPECT_FALSE(host.AnyOn());
  host.Do(link::ClearTrip{.slot = 1});
  EXPECT_TRUE(host.core->StopAsserted());
  EXPECT_EQ(host.Do(link::ClearTrip{.slot = 0}).verdict, Verdict::kOk);
  EXPECT_FALSE(host.core->StopAsserted());
  host.Run(10);
  EXPECT_FALSE(host.VbusOn(1));
  TurnOn(1);
}

TEST_F(ProtectionTest, RackInputs_AreDebouncedEvents) {
  host.core->OnRackInputs(0b10);
  host.Run(20);
  host.core->OnRackInputs(0);
  host.Run(100);
  EXPECT_TRUE(host.Events<link::InputChanged>().empty());
  host.core->OnRackInputs(0b10);
  host.Run(200);
  ASSERT_EQ(host.Events<link::InputChanged>().size(), 1U);
  EXPECT_EQ(host.Events<link::InputChanged>()[0], (link::InputChanged{.input = 1, .active = true}));
  EXPECT_EQ(host.telemetry.inputs, 0b10U);
}

TEST_F(ProtectionTest, ClockWrapsAfter49Days) {
  FakeNvm fresh;
  TestHost late(fresh);
  const auto cause = link::BootReason::kPowerOn;
  late.core.emplace(BoardFacts{.name = "fake", .session = 1, .boot_reason = cause, .slots = 32}, fresh, nullptr);
  late.now_ms = 0xFFFF'FC00;
  late.core->Boot(TestHost::Places(), late.now_ms);
  late.Ready();
  late.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  ASSERT_TRUE(late.Await());
  late.Keepalive();
  late.Run(2000);
  EXPECT_TRUE(late.VbusOn(1));
  EXPECT_TRUE(late.Events<link::HostSilent>().empty());
}

// ---- whatever comes ----

struct Chaos {
  explicit Chaos(uint32_t seed) : random(seed) {}
  uint32_t Any(uint32_t below) { return static_cast<uint32_t>(random() % below); }
  uint32_t Slot() { return 1 + Any(8); }

  std::mt19937 random;
};

// Damaged frames, stale frames, nonsense commands and passing time, but no lease since boot: nothing may ever be on.
TEST(Property, NothingEnergisesWithoutACurrentEpoch) {
  for (uint32_t seed = 1; seed <= 30; ++seed) {
    Chaos chaos(seed);
    FakeNvm nvm;
    TestHost host(nvm);
    host.Hello(1);
    host.Do(TestHost::Config());
    for (int step = 0; step < 150; ++step) {
      const uint32_t slot = chaos.Slot(), epoch = chaos.Any(3);
      switch (chaos.Any(9)) {
        case 0:
          host.Do(link::SetVbus{.slot = slot, .epoch = epoch, .on = true});
          break;
        case 1:
          host.Do(link::CycleVbus{.slot = slot, .epoch = epoch, .off_ms = 500});
          break;
        case 2:
          host.Do(link::SetData{.slot = slot, .epoch = epoch, .path = DataPath::kHost});
          break;
        case 3:
          host.Do(link::SetShield{.slot = slot, .epoch = epoch, .couple = true});
          break;
        case 4:
          host.Do(link::ClearTrip{.slot = chaos.Any(9)});
          break;
        case 5:
          host.Hello(chaos.Any(1000) + 2);
          break;
        case 6:
          host.StopFrame();
          break;
        case 7: {
          std::vector<uint8_t> noise(chaos.Any(200));
          for (auto& byte : noise) byte = static_cast<uint8_t>(chaos.Any(chaos.Any(2) == 0 ? 256 : 3));
          host.core->OnBytes(noise);
          break;
        }
        default:
          host.Run(chaos.Any(50));
          break;
      }
      for (size_t i = 1; i <= TestHost::kSlots; ++i) ASSERT_EQ(host.Outputs(i), 0) << seed << " step " << step;
    }
  }
}

// With leases coming and going: a slot that is on was turned on with its epoch of then, or by the charge duty of care.
TEST(Property, OnlyHoldersAndTheChargeDutyTurnOn) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    Chaos chaos(seed);
    FakeNvm nvm;
    TestHost host(nvm);
    host.Ready();
    std::array<uint32_t, 9> epochs{};
    std::array<bool, 9> allowed{};  // somebody entitled asked for on, or the slot went to its safe state
    epochs.fill(1);
    const auto check = [&] {
      for (size_t slot = 1; slot <= 8; ++slot) {
        ASSERT_TRUE(!host.VbusOn(slot) || allowed[slot]) << seed << " slot " << slot;
      }
    };
    for (int step = 0; step < 200; ++step) {
      const uint32_t slot = chaos.Slot();
      const uint32_t epoch = epochs[slot] + chaos.Any(3) - 1;
      switch (chaos.Any(7)) {
        case 0:
        case 1: {
          const auto reply = host.Do(link::SetVbus{.slot = slot, .epoch = epoch, .on = true});
          if (reply.verdict == Verdict::kAccepted) {
            EXPECT_EQ(epoch, epochs[slot]);
            allowed[slot] = true;
          }
          break;
        }
        case 2: {
          const auto reply = host.Do(link::SetVbus{.slot = slot, .epoch = epoch, .on = false});
          if (reply.verdict == Verdict::kAccepted) allowed[slot] = false;
          break;
        }
        case 3: {
          const bool safe = chaos.Any(2) == 0;
          host.Do(link::SetLease{.slot = slot, .epoch = ++epochs[slot], .duration_ms = 60'000, .to_safe_state = safe});
          allowed[slot] = safe || host.VbusOn(slot);
          break;
        }
        case 4:
          host.Do(link::StopSlot{.slot = slot});
          allowed[slot] = false;
          break;
        case 5:
          host.Keepalive();
          break;
        default:
          host.Run(chaos.Any(80));
          break;
      }
      check();
    }
  }
}

// Random bytes and random whole frames never stop the firmware: it still answers a ping.
TEST(Property, HostileLineNeverStopsTheFirmware) {
  Chaos chaos(9);
  FakeNvm nvm;
  TestHost host(nvm);
  host.Ready();
  for (int i = 0; i < 3000; ++i) {
    std::vector<uint8_t> payload(chaos.Any(40));
    for (auto& byte : payload) byte = static_cast<uint8_t>(chaos.Any(256));
    link::FrameHeader header = host.Header(static_cast<link::Channel>(chaos.Any(12)));
    header.seq = static_cast<uint16_t>(chaos.Any(4) == 0 ? host.seq : chaos.Any(65536));
    if (header.channel == link::Channel::kCommand && header.seq == host.seq) ++host.seq;
    if (header.channel == link::Channel::kHello) continue;
    host.Send(header, payload);
    if (i % 100 == 0) host.Run(1);
  }
  EXPECT_EQ(host.Do(link::Ping{.nonce = 5}).value, 5U);
}

}  // namespace
}  // namespace faraday::firmware
