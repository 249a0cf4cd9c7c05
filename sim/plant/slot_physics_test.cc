#include "sim/plant/slot_physics.h"

#include <gtest/gtest.h>

namespace faraday::sim {
namespace {

constexpr int kRailMv = 5100;

class SlotPhysicsTest : public ::testing::Test {
 protected:
  void Run(int ms) {
    for (int i = 0; i < ms; ++i) slot_.Step(1, kRailMv);
  }
  void RunSeconds(int seconds) {
    for (int i = 0; i < seconds * 10; ++i) slot_.Step(100, kRailMv);
  }
  void SwitchOn(SlotOutputs outputs = {.vbus = true}) {
    slot_.SetOutputs(outputs);
    Run(50);
  }

  SlotPhysics slot_{Battery{.capacity_mah = 4500, .percent = 50}};
};

TEST_F(SlotPhysicsTest, Outputs_BitsAreTheWiringsOrder) {
  EXPECT_EQ(OutputsFromBits(0x01), (SlotOutputs{.vbus = true}));
  EXPECT_EQ(OutputsFromBits(0x80), (SlotOutputs{.led = true}));
  for (int bits = 0; bits < 256; ++bits) {
    EXPECT_EQ(ToBits(OutputsFromBits(static_cast<uint8_t>(bits))), bits);
  }
}

TEST_F(SlotPhysicsTest, SwitchOn_RisesTo5VAndCharges) {
  SwitchOn();
  EXPECT_GE(slot_.vbus_mv(), 4750);
  EXPECT_LE(slot_.vbus_mv(), 5500);
  EXPECT_EQ(slot_.vbus_ma(), 500);  // data lines open: the phone stays at 500 mA
  EXPECT_TRUE(slot_.Side().vbus);
}

TEST_F(SlotPhysicsTest, SwitchOff_IsBelow800mVWithinASecond) {
  SwitchOn();
  slot_.SetOutputs({});
  Run(1);
  EXPECT_EQ(slot_.vbus_ma(), 0);
  EXPECT_GT(slot_.vbus_mv(), 800);
  Run(999);
  EXPECT_LT(slot_.vbus_mv(), 800);
}

TEST_F(SlotPhysicsTest, ChargePort_LetsThePhoneTakeMore) {
  SwitchOn({.vbus = true, .charge_mode = true});
  EXPECT_EQ(slot_.vbus_ma(), 1500);
  EXPECT_TRUE(slot_.Side().charge_port);
  EXPECT_EQ(slot_.Side().data_host, -1);
}

TEST_F(SlotPhysicsTest, Charging_TapersAsThePackFills) {
  slot_.SetBattery({.percent = 50});
  SwitchOn({.vbus = true, .charge_mode = true});
  const int at_half = slot_.vbus_ma();
  slot_.SetBattery({.percent = 95});
  Run(2);
  const int nearly_full = slot_.vbus_ma();
  slot_.SetBattery({.percent = 100});
  Run(2);
  EXPECT_GT(at_half, nearly_full);
  EXPECT_GT(nearly_full, slot_.vbus_ma());
  EXPECT_LT(slot_.vbus_ma(), 100);
}

TEST_F(SlotPhysicsTest, Battery_ChargesWithVbusAndDrainsWithout) {
  SwitchOn({.vbus = true, .charge_mode = true});
  RunSeconds(3600);
  EXPECT_GT(slot_.battery_percent(), 70);
  slot_.SetOutputs({});
  slot_.SetDraw({.running = true, .system_ma = 400});
  const int before = slot_.battery_percent();
  RunSeconds(3600);
  EXPECT_LT(slot_.battery_percent(), before - 5);
}

TEST_F(SlotPhysicsTest, Battery_GoesFlatAndStaysAtZero) {
  slot_.SetBattery({.percent = 1});
  slot_.SetDraw({.running = true, .system_ma = 1000});
  RunSeconds(1800);
  EXPECT_EQ(slot_.battery_percent(), 0);
  EXPECT_EQ(slot_.Side().battery_percent, 0);
}

TEST_F(SlotPhysicsTest, Absent_DrawsNothing) {
  slot_.SetPhonePresent(false);
  SwitchOn();
  EXPECT_EQ(slot_.vbus_ma(), 0);
  EXPECT_GE(slot_.vbus_mv(), 4750);
  EXPECT_FALSE(slot_.Side().present);
}

TEST_F(SlotPhysicsTest, Data_ReachesTheSelectedHost) {
  slot_.SetOutputs({.vbus = true, .data_enable = true});
  EXPECT_EQ(slot_.Side().data_host, 0);
  slot_.SetOutputs({.vbus = true, .data_enable = true, .data_select = true});
  EXPECT_EQ(slot_.Side().data_host, 1);
  slot_.SetOutputs({.vbus = true, .data_select = true});
  EXPECT_EQ(slot_.Side().data_host, -1);
}

TEST_F(SlotPhysicsTest, Short_DrawsTheSwitchLimitAndCollapsesVbus) {
  SwitchOn();
  slot_.SetFault(SlotFault::kShort, true);
  Run(1);
  EXPECT_EQ(slot_.vbus_ma(), 3500);
  EXPECT_LT(slot_.vbus_mv(), 1000);
  slot_.SetOutputs({});
  Run(1);
  EXPECT_EQ(slot_.vbus_ma(), 0);
}

TEST_F(SlotPhysicsTest, SwitchShorted_CurrentFlowsWhileOff) {
  slot_.SetFault(SlotFault::kSwitchShorted, true);
  Run(50);
  EXPECT_GE(slot_.vbus_mv(), 4750);
  EXPECT_GT(slot_.vbus_ma(), 0);
}

TEST_F(SlotPhysicsTest, BackFeed_VoltageWithoutCurrentWhileOff) {
  slot_.SetFault(SlotFault::kBackFeed, true);
  Run(50);
  EXPECT_GT(slot_.vbus_mv(), 4000);
  EXPECT_EQ(slot_.vbus_ma(), 0);
}

TEST_F(SlotPhysicsTest, NoDischarge_StaysUpBeyondASecond) {
  slot_.SetFault(SlotFault::kNoDischarge, true);
  SwitchOn();
  slot_.SetOutputs({});
  Run(2000);
  EXPECT_GT(slot_.vbus_mv(), 800);
  RunSeconds(60);
  EXPECT_LT(slot_.vbus_mv(), 800);
}

TEST_F(SlotPhysicsTest, Relay_TravelsThenRests) {
  slot_.SetOutputs({.rf_relay = true});
  Run(1);
  EXPECT_EQ(slot_.relay(), RelayPosition::kMoving);
  EXPECT_FALSE(slot_.relay_rests_isolated());
  Run(20);
  EXPECT_EQ(slot_.relay(), RelayPosition::kCoupled);
  slot_.SetOutputs({});
  Run(20);
  EXPECT_EQ(slot_.relay(), RelayPosition::kIsolated);
  EXPECT_EQ(slot_.relay_moves(), 2);
}

TEST_F(SlotPhysicsTest, Relay_TurnsBackInMidTravel) {
  slot_.SetOutputs({.rf_relay = true});
  Run(3);
  slot_.SetOutputs({});
  Run(10);
  EXPECT_EQ(slot_.relay(), RelayPosition::kIsolated);
}

TEST_F(SlotPhysicsTest, RelayStuck_StaysWhereItIs) {
  slot_.SetFault(SlotFault::kRelayStuck, true);
  slot_.SetOutputs({.rf_relay = true});
  Run(100);
  EXPECT_EQ(slot_.relay(), RelayPosition::kIsolated);
  slot_.SetFault(SlotFault::kRelayStuck, false);
  Run(100);
  EXPECT_EQ(slot_.relay(), RelayPosition::kCoupled);
}

TEST_F(SlotPhysicsTest, Tray_WarmsWithPowerAndRunsHotByFault) {
  const int cold = slot_.tray_deci_c();
  SwitchOn({.vbus = true, .charge_mode = true});
  RunSeconds(1800);
  EXPECT_GT(slot_.tray_deci_c(), cold + 50);
  EXPECT_LT(slot_.tray_deci_c(), 400);
  slot_.SetFault(SlotFault::kHotTray, true);
  RunSeconds(60);
  EXPECT_EQ(slot_.tray_deci_c(), 650);
}

TEST_F(SlotPhysicsTest, ShortAtTimes_IsAShortForAPartOfEachSecond) {
  SwitchOn();
  slot_.SetFault(SlotFault::kShortAtTimes, true);
  int shorted_ms = 0;
  for (int ms = 0; ms < 2000; ++ms) {
    Run(1);
    shorted_ms += slot_.vbus_ma() == 3500 ? 1 : 0;
  }
  EXPECT_NEAR(shorted_ms, 120, 4);
}

TEST_F(SlotPhysicsTest, SwitchLeaking_FlowsAndFloatsWhileOff) {
  slot_.SetFault(SlotFault::kSwitchLeaking, true);
  Run(100);
  EXPECT_EQ(slot_.vbus_ma(), 80);
  EXPECT_EQ(slot_.vbus_mv(), 2000);
}

TEST_F(SlotPhysicsTest, OpenCable_ReachesNoPhone) {
  slot_.SetFault(SlotFault::kOpenCable, true);
  SwitchOn({.vbus = true, .data_enable = true});
  EXPECT_EQ(slot_.vbus_ma(), 0);
  EXPECT_GE(slot_.vbus_mv(), 4750);
  EXPECT_FALSE(slot_.Side().vbus);
  EXPECT_EQ(slot_.Side().data_host, -1);
}

TEST_F(SlotPhysicsTest, ThinCable_IsUnderVoltageWithALoad) {
  slot_.SetFault(SlotFault::kThinCable, true);
  SwitchOn();
  EXPECT_LT(slot_.vbus_mv(), 4750);
  EXPECT_GT(slot_.vbus_mv(), 4400);
}

TEST_F(SlotPhysicsTest, CutsOff_StaysOffUntilItsPinWasOff) {
  SwitchOn();
  slot_.SetFault(SlotFault::kCutsOff, true);
  Run(1);
  EXPECT_TRUE(slot_.cut_off());
  EXPECT_EQ(slot_.vbus_ma(), 0);
  slot_.SetFault(SlotFault::kCutsOff, false);
  Run(500);
  EXPECT_TRUE(slot_.cut_off());
  slot_.SetOutputs({});
  Run(1);
  SwitchOn();
  EXPECT_FALSE(slot_.cut_off());
  EXPECT_GE(slot_.vbus_mv(), 4750);
}

TEST_F(SlotPhysicsTest, RelayFaults_SlowOpenBouncing) {
  slot_.SetFault(SlotFault::kRelaySlow, true);
  slot_.SetOutputs({.rf_relay = true});
  Run(700);
  EXPECT_EQ(slot_.relay(), RelayPosition::kMoving);
  Run(200);
  EXPECT_EQ(slot_.relay(), RelayPosition::kCoupled);
  slot_.SetFault(SlotFault::kRelaySlow, false);
  slot_.SetFault(SlotFault::kSenseBouncing, true);
  slot_.SetOutputs({});
  int changes = 0;
  for (bool before = false; int ms : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22}) {
    Run(1);
    changes += before != slot_.relay_rests_isolated() ? 1 : 0;
    before = slot_.relay_rests_isolated();
    static_cast<void>(ms);
  }
  EXPECT_GT(changes, 8);
  EXPECT_TRUE(slot_.relay_rests_isolated());
  slot_.SetFault(SlotFault::kSenseOpen, true);
  EXPECT_FALSE(slot_.relay_rests_isolated());
}

TEST_F(SlotPhysicsTest, TraySensor_SticksDriftsAndTheRoomIsWarm) {
  slot_.SetAmbient(38);
  EXPECT_EQ(slot_.tray_deci_c(), 380);
  slot_.SetFault(SlotFault::kSensorStuck, true);
  slot_.SetFault(SlotFault::kTrayFastRise, true);
  RunSeconds(60);
  EXPECT_EQ(slot_.tray_deci_c(), 480);
  EXPECT_EQ(slot_.tray_reading_deci_c(), 380);
  slot_.SetFault(SlotFault::kSensorStuck, false);
  slot_.SetFault(SlotFault::kSensorDrifting, true);
  RunSeconds(60);
  EXPECT_EQ(slot_.tray_deci_c(), 480);
  EXPECT_NEAR(slot_.tray_reading_deci_c(), 528, 1);
}

TEST_F(SlotPhysicsTest, FaultNames_ComeBackAsFaults) {
  for (int i = 0; i < kSlotFaults; ++i) {
    const auto fault = static_cast<SlotFault>(i);
    EXPECT_EQ(ParseSlotFault(ToString(fault)), fault);
  }
  EXPECT_EQ(ParseSlotFault("shrt"), std::nullopt);
}

}  // namespace
}  // namespace faraday::sim
