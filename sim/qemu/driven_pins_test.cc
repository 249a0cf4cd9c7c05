#include "sim/qemu/driven_pins.h"

#include <gtest/gtest.h>

namespace faraday::sim::qemu {
namespace {

constexpr GpioWritten kStopReleased{0x78, 1};
constexpr GpioWritten kStopIsOutput{0x7C, 1};

class DrivenPinsTest : public testing::Test {
 protected:
  DrivenPinsTest() {
    pins_.Apply(kStopReleased);
    pins_.Apply(kStopIsOutput);
  }
  DrivenPins pins_;
};

TEST_F(DrivenPinsTest, Slot7sVbusIsPin0OfItsExpander) {
  pins_.Apply(ExpanderPinChanged{"exp3", 0, true});
  EXPECT_TRUE(pins_.Outputs(6).vbus);
  EXPECT_EQ(ToBits(pins_.Outputs(7)), 0);
  pins_.Apply(ExpanderPinChanged{"exp3", 0, false});
  EXPECT_FALSE(pins_.Outputs(6).vbus);
}

TEST_F(DrivenPinsTest, Slot32sRelayIsInTheUpperHalfOfTheLastExpander) {
  pins_.Apply(ExpanderPinChanged{"exp15", 12, true});
  EXPECT_TRUE(pins_.Outputs(31).rf_relay);
  EXPECT_EQ(ToBits(pins_.Outputs(30)), 0);
}

TEST_F(DrivenPinsTest, StopPinLowTakesEveryOutputAway) {
  pins_.Apply(ExpanderPinChanged{"exp3", 0, true});
  pins_.Apply(GpioWritten{0x78, 0});
  EXPECT_TRUE(pins_.stopped());
  EXPECT_FALSE(pins_.Outputs(6).vbus);
  EXPECT_EQ(pins_.asserted(3), 1) << "the registers are still to be released";
}

TEST_F(DrivenPinsTest, ResetReleasesEverythingAndAssertsStop) {
  pins_.Apply(ExpanderPinChanged{"exp3", 0, true});
  pins_.Apply(MachineReset{});
  EXPECT_TRUE(pins_.stopped());
  pins_.Apply(kStopReleased);
  pins_.Apply(kStopIsOutput);
  EXPECT_FALSE(pins_.Outputs(6).vbus);
}

TEST_F(DrivenPinsTest, OtherLabelsAndRegistersMoveNothing) {
  for (const char* label : {"exp16", "exp", "exp3x", "led", ""}) pins_.Apply(ExpanderPinChanged{label, 0, true});
  pins_.Apply(GpioWritten{0x00, 0});
  EXPECT_FALSE(pins_.stopped());
  for (size_t slot = 0; slot < 32; ++slot) EXPECT_EQ(ToBits(pins_.Outputs(slot)), 0) << slot;
}

TEST_F(DrivenPinsTest, PinsReadBackStandForTheMissedEvents) {
  DrivenPins read;
  read.SetStopPin(true);
  read.SetPin(3, 4, true);
  EXPECT_FALSE(read.stopped());
  EXPECT_TRUE(read.Outputs(6).rf_relay);
  read.Apply(GpioWritten{0x78, 0});
  EXPECT_TRUE(read.stopped());
}

}  // namespace
}  // namespace faraday::sim::qemu
