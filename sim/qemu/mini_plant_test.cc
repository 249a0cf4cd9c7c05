#include "sim/qemu/mini_plant.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/qemu/qemu_process.h"

namespace faraday::sim::qemu {
namespace {

using firmware::Output;

constexpr GpioWritten kStopReleased{0x78, 1};
constexpr GpioWritten kStopIsOutput{0x7C, 1};

class RackPhysicsTest : public testing::Test {
 protected:
  RackPhysicsTest() {
    physics_.Apply(kStopReleased);
    physics_.Apply(kStopIsOutput);
  }
  std::string Input(const std::string& path, const std::string& property) {
    return physics_.Evaluate().at({path, property});
  }
  RackPhysics physics_;
};

TEST_F(RackPhysicsTest, AtRestThereIsNoVoltageAndEveryRelayIsIsolated) {
  EXPECT_EQ(Input("/machine/peripheral/mon7", "vout"), "0");
  EXPECT_EQ(Input("/machine/peripheral/mon7", "iout"), "0");
  EXPECT_EQ(Input("/machine/soc/gpio", "gpioA6"), "true");
  EXPECT_EQ(Input("/machine/soc/gpio", "gpioD7"), "true");
  EXPECT_EQ(physics_.Evaluate().size(), 4 * RackPhysics::kSlots);
}

TEST_F(RackPhysicsTest, Slot7sVbusPinGivesItsMonitorVoltageAndLoad) {
  physics_.SetLoad(7, 480);
  physics_.Apply(ExpanderPinChanged{"exp3", 0, true});
  EXPECT_TRUE(physics_.Driven(7, Output::kVbus));
  EXPECT_EQ(Input("/machine/peripheral/mon7", "vout"), "5050");
  EXPECT_EQ(Input("/machine/peripheral/mon7", "iout"), "8000");  // 160 steps: 480 mA at 5 milliohm
  EXPECT_EQ(Input("/machine/peripheral/mon8", "vout"), "0");
  physics_.Apply(ExpanderPinChanged{"exp3", 0, false});
  EXPECT_EQ(Input("/machine/peripheral/mon7", "vout"), "0");
}

TEST_F(RackPhysicsTest, Slot32sRelayMovesItsSenseUnlessItIsStuck) {
  physics_.Apply(ExpanderPinChanged{"exp15", 8 + static_cast<uint32_t>(Output::kRfRelay), true});
  EXPECT_EQ(Input("/machine/soc/gpio", "gpioD7"), "false");
  physics_.SetRelayStuck(32, true);
  EXPECT_EQ(Input("/machine/soc/gpio", "gpioD7"), "true");
}

TEST_F(RackPhysicsTest, StopPinHoldsTheExpandersInReset) {
  physics_.Apply(ExpanderPinChanged{"exp3", 0, true});
  EXPECT_TRUE(physics_.ForcedPins().empty());
  physics_.Apply(GpioWritten{0x78, 0});
  EXPECT_FALSE(physics_.Driven(7, Output::kVbus));
  EXPECT_EQ(physics_.ForcedPins().at({"/machine/peripheral/exp3", "led0"}), "\"off\"");
}

TEST_F(RackPhysicsTest, ResetReleasesEverythingAndAssertsStop) {
  physics_.Apply(ExpanderPinChanged{"exp3", 0, true});
  physics_.Apply(MachineReset{});
  EXPECT_TRUE(physics_.stopped());
  physics_.Apply(kStopReleased);
  physics_.Apply(kStopIsOutput);
  EXPECT_FALSE(physics_.Driven(7, Output::kVbus));
}

TEST(MachineArguments, EveryChipOfTheFullRackIsThere) {
  const auto arguments = MachineArguments(MachineFiles("/tmp/x"), "/tmp/x.elf");
  const auto count = [&arguments](std::string_view text) {
    return std::ranges::count_if(arguments, [text](const std::string& a) { return a.starts_with(text); });
  };
  EXPECT_EQ(count("adm1272,"), 32);
  EXPECT_EQ(count("tmp105,"), 32);
  EXPECT_EQ(count("pca9552,"), 16);
  EXPECT_EQ(count("at24c-eeprom,"), 1);
  EXPECT_EQ(count("pca9552,id=exp3,bus=aspeed.i2c.bus.4,address=99,description=exp3"), 1);  // 0x63: slots 7 and 8
}

}  // namespace
}  // namespace faraday::sim::qemu
