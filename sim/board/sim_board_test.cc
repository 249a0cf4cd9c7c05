// The native firmware on the simulated board, spoken to over its line, on a virtual clock: what the rack does when
// things go right, and with each fault that a scenario can ask for.
#include "sim/board/sim_board.h"

#include <gtest/gtest.h>

#include "sim/board/test_line.h"

namespace faraday::sim {
namespace {

using link::DataPath;
using link::DoneCode;
using link::RelaySense;
using link::TripReason;
using link::Verdict;

class SimBoardTest : public ::testing::Test {
 protected:
  void SwitchOn() {
    ASSERT_EQ(rack_.Do(link::SetVbus{.slot = 7, .epoch = 1, .on = true}).verdict, Verdict::kAccepted);
    const auto done = rack_.Await();
    ASSERT_TRUE(done);
    ASSERT_EQ(done->code, DoneCode::kOk);
  }
  // One telemetry frame later than now.
  link::SlotBits Measured() {
    rack_.telemetry.reset();
    EXPECT_TRUE(rack_.RunUntil(500, [this] { return rack_.telemetry.has_value(); }));
    return rack_.Bits(7);
  }

  TestRack rack_;
};

TEST_F(SimBoardTest, Hello_TellsBoardSessionAndSlots) {
  const auto hello = rack_.Hello();
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->board.view(), "native");
  EXPECT_EQ(hello->slots, 32U);
  EXPECT_NE(hello->session, 0U);
  EXPECT_EQ(hello->boot_reason, link::BootReason::kPowerOn);
  EXPECT_EQ(hello->capabilities[6] & link::capability::kPowerKey, 0U);
  EXPECT_NE(hello->capabilities[6] & link::capability::kMonitor, 0U);
}

TEST_F(SimBoardTest, VbusOn_IsMeasuredAtFiveVolt) {
  ASSERT_TRUE(rack_.Ready());
  ASSERT_EQ(rack_.Do(link::SetVbus{.slot = 7, .epoch = 1, .on = true}).verdict, Verdict::kAccepted);
  const auto done = rack_.Await();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, DoneCode::kOk);
  EXPECT_NEAR(static_cast<int>(done->vbus_mv), rack_.slot(7).vbus_mv(), 25);
  EXPECT_GE(done->vbus_mv, 4750U);
  Measured();
  rack_.Run(200);
  EXPECT_NEAR(static_cast<int>(rack_.telemetry->vbus_ma[6]), rack_.slot(7).vbus_ma(), 5);
  EXPECT_TRUE(Measured().vbus_measured_on);
  for (uint32_t other = 1; other <= 32; ++other) EXPECT_EQ(rack_.slot(other).outputs().vbus, other == 7) << other;
}

TEST_F(SimBoardTest, VbusOff_IsProvenBelow800mV) {
  ASSERT_TRUE(rack_.Ready());
  SwitchOn();
  rack_.Do(link::SetVbus{.slot = 7, .epoch = 1, .on = false});
  const auto done = rack_.Await();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, DoneCode::kOk);
  EXPECT_LT(done->vbus_mv, 800U);
  EXPECT_LT(rack_.slot(7).vbus_mv(), 800);
}

TEST_F(SimBoardTest, EverySlot_SwitchesItsOwnHardware) {
  ASSERT_TRUE(rack_.Ready());
  for (uint32_t slot = 1; slot <= 32; ++slot) {
    rack_.Do(link::SetLease{.slot = slot, .epoch = 2, .duration_ms = 600'000});
    ASSERT_EQ(rack_.Do(link::SetVbus{.slot = slot, .epoch = 2, .on = true}).verdict, Verdict::kAccepted) << slot;
    const auto done = rack_.Await();
    ASSERT_TRUE(done) << slot;
    EXPECT_EQ(done->code, DoneCode::kOk) << slot;
    EXPECT_TRUE(rack_.slot(slot).outputs().vbus) << slot;
  }
}

TEST_F(SimBoardTest, Data_ReachesTheHostOnlyWithVbus) {
  ASSERT_TRUE(rack_.Ready());
  EXPECT_EQ(rack_.Do(link::SetData{.slot = 7, .epoch = 1, .path = DataPath::kHost}).verdict, Verdict::kVbusOff);
  SwitchOn();
  ASSERT_EQ(rack_.Do(link::SetData{.slot = 7, .epoch = 1, .path = DataPath::kHost, .host_index = 1}).verdict,
            Verdict::kAccepted);
  const auto done = rack_.Await();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, DoneCode::kOk);
  EXPECT_EQ(rack_.slot(7).Side().data_host, 1);
  EXPECT_EQ(Measured().data_measured, DataPath::kHost);
  ASSERT_EQ(rack_.Do(link::SetData{.slot = 7, .epoch = 1, .path = DataPath::kCharge}).verdict, Verdict::kAccepted);
  ASSERT_TRUE(rack_.Await());
  EXPECT_TRUE(rack_.slot(7).Side().charge_port);
  EXPECT_EQ(rack_.slot(7).Side().data_host, -1);
}

TEST_F(SimBoardTest, Shield_CouplesAndTheContactProvesIt) {
  ASSERT_TRUE(rack_.Ready());
  ASSERT_EQ(rack_.Do(link::SetShield{.slot = 7, .epoch = 1, .couple = true}).verdict, Verdict::kAccepted);
  const auto done = rack_.Await();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, DoneCode::kOk);
  EXPECT_TRUE(rack_.RunUntil(20, [this] { return rack_.slot(7).relay() == RelayPosition::kCoupled; }));
  EXPECT_EQ(Measured().relay_sense, RelaySense::kCoupled);
}

TEST_F(SimBoardTest, StaleEpoch_MovesNothing) {
  ASSERT_TRUE(rack_.Ready());
  EXPECT_EQ(rack_.Do(link::SetVbus{.slot = 7, .epoch = 0, .on = true}).verdict, Verdict::kFenced);
  EXPECT_EQ(rack_.Do(link::SetVbus{.slot = 7, .epoch = 99, .on = true}).verdict, Verdict::kFenced);
  rack_.Run(500);
  EXPECT_FALSE(rack_.slot(7).outputs().vbus);
}

// ---- faults -------------------------------------------------------------------------------------------------------

TEST_F(SimBoardTest, Short_TripsTheSlotWithin50msAndNoOther) {
  ASSERT_TRUE(rack_.Ready());
  rack_.Do(link::SetLease{.slot = 8, .epoch = 2, .duration_ms = 60'000});
  rack_.Do(link::SetVbus{.slot = 8, .epoch = 2, .on = true});
  ASSERT_TRUE(rack_.Await());
  SwitchOn();
  rack_.Run(200);
  ASSERT_TRUE(rack_.board.SetFault(6, "short", true).ok());
  EXPECT_TRUE(rack_.RunUntil(50, [this] { return !rack_.slot(7).outputs().vbus; }));
  EXPECT_TRUE(rack_.RunUntil(500, [this] { return !rack_.Events<link::Tripped>().empty(); }));
  const auto trips = rack_.Events<link::Tripped>();
  ASSERT_EQ(trips.size(), 1U);
  EXPECT_EQ(trips[0].slot, 7U);
  EXPECT_EQ(trips[0].reason, TripReason::kOverCurrent);
  EXPECT_GT(trips[0].value, 2000U);
  EXPECT_TRUE(rack_.slot(8).outputs().vbus);
  EXPECT_EQ(rack_.Do(link::SetVbus{.slot = 7, .epoch = 1, .on = true}).verdict, Verdict::kTripped);
}

TEST_F(SimBoardTest, ShortMended_ClearTripLetsItOnAgain) {
  ASSERT_TRUE(rack_.Ready());
  SwitchOn();
  rack_.Run(200);
  ASSERT_TRUE(rack_.board.SetFault(6, "short", true).ok());
  ASSERT_TRUE(rack_.RunUntil(100, [this] { return !rack_.slot(7).outputs().vbus; }));
  ASSERT_TRUE(rack_.board.SetFault(6, "short", false).ok());
  rack_.Run(1000);
  ASSERT_EQ(rack_.Do(link::ClearTrip{.slot = 7}).verdict, Verdict::kOk);
  SwitchOn();
}

TEST_F(SimBoardTest, RelayStuck_TheCommandEndsInMismatch) {
  ASSERT_TRUE(rack_.Ready());
  ASSERT_TRUE(rack_.board.SetFault(6, "relay-stuck", true).ok());
  ASSERT_EQ(rack_.Do(link::SetShield{.slot = 7, .epoch = 1, .couple = true}).verdict, Verdict::kAccepted);
  const auto done = rack_.Await();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, DoneCode::kReadBackMismatch);
  rack_.Run(600);
  EXPECT_TRUE(Measured().relay_stuck);
  EXPECT_EQ(Measured().relay_sense, RelaySense::kIsolated);
}

TEST_F(SimBoardTest, SwitchShorted_IsSeenWhileOff) {
  ASSERT_TRUE(rack_.Ready());
  ASSERT_TRUE(rack_.board.SetFault(6, "switch-shorted", true).ok());
  rack_.Run(2000);
  EXPECT_TRUE(Measured().switch_shorted);
}

TEST_F(SimBoardTest, BackFeed_IsSeenWhileOff) {
  ASSERT_TRUE(rack_.Ready());
  ASSERT_TRUE(rack_.board.SetFault(6, "back-feed", true).ok());
  rack_.Run(8000);
  EXPECT_TRUE(Measured().back_feed);
  EXPECT_FALSE(Measured().switch_shorted);
}

TEST_F(SimBoardTest, NoDischarge_TheOffCommandEndsInMismatch) {
  ASSERT_TRUE(rack_.Ready());
  SwitchOn();
  ASSERT_TRUE(rack_.board.SetFault(6, "no-discharge", true).ok());
  rack_.Do(link::SetVbus{.slot = 7, .epoch = 1, .on = false});
  const auto done = rack_.Await();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, DoneCode::kReadBackMismatch);
  EXPECT_TRUE(Measured().no_discharge);
}

TEST_F(SimBoardTest, HotTray_Trips) {
  ASSERT_TRUE(rack_.Ready());
  SwitchOn();
  ASSERT_TRUE(rack_.board.SetFault(6, "hot-tray", true).ok());
  ASSERT_TRUE(rack_.RunUntil(30'000, [this] { return !rack_.Events<link::Tripped>().empty(); }));
  EXPECT_EQ(rack_.Events<link::Tripped>()[0].reason, TripReason::kFastRise) << "2 K/s";
  EXPECT_FALSE(rack_.slot(7).outputs().vbus);
}

TEST_F(SimBoardTest, MonitorMissing_IsReportedAndStaleCurrentTrips) {
  ASSERT_TRUE(rack_.Ready());
  SwitchOn();
  ASSERT_TRUE(rack_.board.SetFault(6, "monitor-missing", true).ok());
  ASSERT_TRUE(rack_.RunUntil(3000, [this] { return !rack_.slot(7).outputs().vbus; }));
  EXPECT_TRUE(rack_.RunUntil(1000, [this] { return Measured().part_missing; }));
  EXPECT_EQ(rack_.Events<link::Tripped>().at(0).reason, TripReason::kStaleSensor);
}

TEST_F(SimBoardTest, ExpanderMissing_TheCommandSaysSo) {
  ASSERT_TRUE(rack_.Ready());
  ASSERT_TRUE(rack_.board.SetFault(6, "expander-missing", true).ok());
  rack_.Run(500);
  ASSERT_EQ(rack_.Do(link::SetVbus{.slot = 7, .epoch = 1, .on = true}).verdict, Verdict::kAccepted);
  const auto done = rack_.Await();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, DoneCode::kPartMissing);
  EXPECT_TRUE(Measured().part_missing);
  EXPECT_FALSE(rack_.slot(7).outputs().vbus);
  ASSERT_TRUE(rack_.board.SetFault(6, "expander-missing", false).ok());
  rack_.Run(2000);
  EXPECT_FALSE(Measured().part_missing);
}

TEST_F(SimBoardTest, SetFault_UnknownNameListsThem) {
  const Status status = rack_.board.SetFault(0, "gremlin", true);
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("relay-stuck"), std::string::npos);
}

TEST_F(SimBoardTest, McuReset_InMidCycle_OutputsOffAndANewSession) {
  ASSERT_TRUE(rack_.Ready());
  SwitchOn();
  const uint32_t before = rack_.session;
  ASSERT_EQ(rack_.Do(link::CycleVbus{.slot = 7, .epoch = 1, .off_ms = 2000}).verdict, Verdict::kAccepted);
  rack_.Run(1000);
  rack_.board.McuReset(link::BootReason::kWatchdog);
  EXPECT_FALSE(rack_.slot(7).outputs().vbus);
  rack_.Run(5000);
  EXPECT_FALSE(rack_.slot(7).outputs().vbus);  // nobody finishes the cycle
  rack_.Do(link::Ping{});
  ASSERT_FALSE(rack_.refusals.empty());
  EXPECT_EQ(rack_.refusals.back().reason, link::RefusalReason::kWrongSession);
  const auto hello = rack_.Hello();
  ASSERT_TRUE(hello);
  EXPECT_NE(hello->session, before);
  EXPECT_EQ(hello->boot_reason, link::BootReason::kWatchdog);
  EXPECT_NE(hello->config_crc, 0U) << "kept over resets";
  EXPECT_EQ(hello->epochs[6], 1U);  // the epoch table outlived the reset
  EXPECT_FALSE(hello->nvm_lost);
  EXPECT_EQ(rack_.board.boots(), 2);
}

TEST_F(SimBoardTest, McuReset_DropsARelayAndEverySlot) {
  ASSERT_TRUE(rack_.Ready());
  SwitchOn();
  rack_.Do(link::SetShield{.slot = 7, .epoch = 1, .couple = true});
  ASSERT_TRUE(rack_.Await());
  rack_.board.McuReset(link::BootReason::kBrownOut);
  rack_.Run(50);
  EXPECT_EQ(rack_.slot(7).relay(), RelayPosition::kIsolated);
  for (uint32_t slot = 1; slot <= 32; ++slot) EXPECT_EQ(rack_.slot(slot).outputs(), SlotOutputs{}) << slot;
}

TEST_F(SimBoardTest, Garbage_MovesNothingAndTheLineLivesOn) {
  ASSERT_TRUE(rack_.Ready());
  uint32_t seed = 1;
  for (int i = 0; i < 20'000; ++i) {
    seed = seed * 1664525U + 1013904223U;
    rack_.line.to_mcu.push_back(static_cast<uint8_t>(seed >> 24));
    if (i % 500 == 0) rack_.Pass();
  }
  rack_.Run(200);
  rack_.line.to_mcu.push_back(0);
  for (uint32_t slot = 1; slot <= 32; ++slot) EXPECT_EQ(rack_.slot(slot).outputs().vbus, false) << slot;
  EXPECT_EQ(rack_.Do(link::Ping{.nonce = 5}).value, 5U);
}

TEST_F(SimBoardTest, Describe_NamesWhatIsTrue) {
  ASSERT_TRUE(rack_.Ready());
  SwitchOn();
  ASSERT_TRUE(rack_.board.SetFault(6, "relay-stuck", true).ok());
  ASSERT_TRUE(rack_.board.SetFault(6, "sensor-missing", true).ok());
  const std::string text = rack_.board.Describe(6);
  for (const char* expected : {"outputs=vbus",
                               "vbus_mv=5",
                               "relay=isolated",
                               "data=open",
                               "present=yes",
                               "battery=70",
                               "faults=relay-stuck,sensor-missing"}) {
    EXPECT_NE(text.find(expected), std::string::npos) << expected << " in " << text;
  }
}

TEST_F(SimBoardTest, Hang_TheWatchdogBitesAfterTwoSeconds) {
  ASSERT_TRUE(rack_.Ready());
  SwitchOn();
  rack_.board.Hang();
  rack_.Run(1900);
  EXPECT_EQ(rack_.board.boots(), 1);
  EXPECT_TRUE(rack_.slot(7).outputs().vbus) << "nobody has let go of the pins yet";
  rack_.Run(200);
  EXPECT_EQ(rack_.board.boots(), 2);
  EXPECT_EQ(rack_.board.watchdog_bites(), 1);
  EXPECT_FALSE(rack_.slot(7).outputs().vbus);
  ASSERT_TRUE(rack_.Hello());
  EXPECT_EQ(rack_.hello->boot_reason, link::BootReason::kWatchdog);
  rack_.Run(5000);
  EXPECT_EQ(rack_.board.watchdog_bites(), 1) << "the fresh firmware feeds it";
}

TEST_F(SimBoardTest, ResetExpander_ItsSlotsSayReadBackMismatch) {
  ASSERT_TRUE(rack_.Ready());
  SwitchOn();
  rack_.board.ResetExpander(6);
  EXPECT_FALSE(rack_.slot(7).outputs().vbus);
  EXPECT_TRUE(rack_.RunUntil(2000, [this] { return rack_.Bits(7).read_back_mismatch; }));
}

TEST_F(SimBoardTest, StuckBus_CostsTimeAndTheOtherSlotsGoOn) {
  ASSERT_TRUE(rack_.Ready());
  ASSERT_TRUE(rack_.board.SetBusStuck(3, true).ok());  // monitors of slots 17 to 32
  rack_.Run(3000);
  EXPECT_EQ(rack_.board.boots(), 1);
  EXPECT_TRUE(Measured().monitor_fresh);
  EXPECT_FALSE(rack_.Bits(17).monitor_fresh);
  SwitchOn();
  ASSERT_TRUE(rack_.board.SetBusStuck(3, false).ok());
  EXPECT_TRUE(rack_.RunUntil(3000, [this] { return rack_.Bits(17).monitor_fresh; }));
}

TEST_F(SimBoardTest, StretchedClock_SlowsThePassAndNothingElse) {
  ASSERT_TRUE(rack_.Ready());
  ASSERT_TRUE(rack_.board.SetBusStretch(2, 4).ok());
  SwitchOn();
  rack_.slot(7).SetFault(SlotFault::kShort, true);
  EXPECT_TRUE(rack_.RunUntil(2000, [this] { return !rack_.Events<link::Tripped>().empty(); }));
  EXPECT_EQ(rack_.board.boots(), 1) << "slow passes still feed the watchdog";
}

TEST_F(SimBoardTest, BusFaults_NameTheBusesThatHaveParts) {
  EXPECT_EQ(rack_.board.SetBusStuck(1, true).message(), "bus 1 has no parts; use 2 to 10");
  EXPECT_EQ(rack_.board.SetBusStretch(11, 1).code(), Code::kInvalidArgument);
  EXPECT_EQ(rack_.board.WearEepromPage(256).message(), "the EEPROM has no page 256; use 0 to 255");
}

}  // namespace
}  // namespace faraday::sim
