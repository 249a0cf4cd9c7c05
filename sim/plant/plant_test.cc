#include "sim/plant/plant.h"

#include <gtest/gtest.h>

namespace faraday::sim {
namespace {

TEST(Plant, AdvanceTo_FirstCallOnlySetsTheStart) {
  Plant plant({0});
  plant.slot(0).SetOutputs({.vbus = true});
  plant.AdvanceTo(1'000'000);
  EXPECT_EQ(plant.slot(0).vbus_mv(), 0);
  plant.AdvanceTo(1'000'020);
  EXPECT_GE(plant.slot(0).vbus_mv(), 4750);
}

TEST(Plant, AdvanceTo_TheCounterMayWrap) {
  Plant plant({0});
  plant.slot(0).SetOutputs({.rf_relay = true});
  plant.AdvanceTo(0xFFFFFFF0U);
  plant.AdvanceTo(0xFFFFFFF1U);
  plant.AdvanceTo(30);
  EXPECT_EQ(plant.slot(0).relay(), RelayPosition::kCoupled);
}

TEST(Plant, Rail_SagsWithItsOwnLoadOnly) {
  Plant plant({0, 0, 1});
  plant.AdvanceTo(0);
  for (size_t i = 0; i < 2; ++i) plant.slot(i).SetOutputs({.vbus = true, .charge_mode = true});
  for (uint32_t ms = 1; ms < 100; ++ms) plant.AdvanceTo(ms);
  EXPECT_LT(plant.rail_mv(0), plant.rail_mv(2));
  EXPECT_GE(plant.slot(0).vbus_mv(), 4750);
}

TEST(Plant, RelaySenses_ABitASlot) {
  Plant plant({0, 0, 0});
  plant.AdvanceTo(0);
  EXPECT_EQ(plant.relay_senses(), 0b111U);
  plant.slot(1).SetOutputs({.rf_relay = true});
  plant.AdvanceTo(1);
  EXPECT_EQ(plant.relay_senses(), 0b101U);
}

TEST(Plant, SetInput_ChangesItsPinOnly) {
  Plant plant({0});
  plant.SetInput(3, true);
  plant.SetInput(0, true);
  plant.SetInput(3, false);
  EXPECT_EQ(plant.inputs(), 1U);
}

TEST(Plant, RailFaults_AreOfTheirRailOnly) {
  Plant plant({0, 1});
  plant.AdvanceTo(0);
  auto rail = [&plant, now = uint32_t{0}](RailFault fault) mutable {
    plant.SetRailFault(1, fault);
    plant.AdvanceTo(++now);
    return plant.rail_mv(1);
  };
  const int good = rail(RailFault::kNone);
  EXPECT_EQ(rail(RailFault::kSag), good - 300);
  EXPECT_EQ(rail(RailFault::kOver), good + 500);
  EXPECT_EQ(rail(RailFault::kDead), 0);
  EXPECT_EQ(rail(RailFault::kPsuLost), good);
  EXPECT_TRUE(plant.psu_lost(1));
  EXPECT_FALSE(plant.psu_lost(0));
  EXPECT_EQ(plant.rail_mv(0), good);
}

}  // namespace
}  // namespace faraday::sim
