// The plant at a machine that runs: attached anew, stopped, read back, and kept cheap.
#include <gtest/gtest.h>

#include "hil-tests/qemu/board_line.h"

namespace faraday::hil {
namespace {

using firmware::Output;

class QemuMachineTest : public BoardLine {};

TEST_F(QemuMachineTest, AnotherPlantTakesOverARunningMachine) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  const uint32_t session = Greet().session;
  ConfigureAndLease();
  Finish(MustDo(link::SetVbus{.slot = kSlot, .epoch = epoch_, .on = true}));
  ASSERT_NO_FATAL_FAILURE(ReplacePlant());
  EXPECT_TRUE(plant().Driven(kSlot, Output::kVbus)) << "read back from the expander";
  EXPECT_FALSE(plant().stopped()) << "read back from the pin";
  EXPECT_FALSE(plant().Driven(kSlot + 1, Output::kVbus));
  EXPECT_EQ(Greet().session, session) << "the firmware ran on";

  const link::CommandDone off = Finish(MustDo(link::SetVbus{.slot = kSlot, .epoch = epoch_, .on = false}));
  EXPECT_LT(off.vbus_mv, 800U) << "the new plant is at the monitors";
  EXPECT_TRUE(Eventually([this] { return !plant().Driven(kSlot, Output::kVbus); }));
  EXPECT_EQ(plant().resets(), 0);
}

TEST_F(QemuMachineTest, ARackAtRestCostsNoWrites) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  ConfigureAndLease();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(line_->NextTelemetry().ok());
  const uint64_t before = plant().sets();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(line_->NextTelemetry().ok());  // a second
  EXPECT_EQ(plant().sets(), before);
}

TEST_F(QemuMachineTest, AnExpanderThatLosesItsRegistersLosesItsOutputs) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  ConfigureAndLease();
  Finish(MustDo(link::SetVbus{.slot = kSlot, .epoch = epoch_, .on = true}));
  const uint64_t before = plant().sets();
  plant().ResetExpander(kSlot);
  EXPECT_TRUE(Eventually([&] { return plant().sets() > before && plant().VbusMv(kSlot) < 4900; }))
      << "VBUS fell, if only until the firmware found out";
}

}  // namespace
}  // namespace faraday::hil
