// Steps, order and pace of what goes to the emulated machine.
#include "sim/qemu/machine_inputs.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace faraday::sim::qemu {
namespace {

class MachineInputsTest : public testing::Test {
 protected:
  MachineInputsTest() : plant_(std::vector<int>(32, 0)), inputs_(plant_, std::vector<int>(32, 0), {}) {
    for (size_t slot = 0; slot < 32; ++slot) plant_.slot(slot).SetPhonePresent(false);
    plant_.AdvanceTo(now_ms_);
    inputs_.All();
  }
  void Live(uint32_t ms) {
    for (uint32_t i = 0; i < ms; ++i) plant_.AdvanceTo(++now_ms_);
  }
  void SwitchVbus(size_t slot, bool on) {
    SlotOutputs outputs;
    outputs.vbus = on;
    plant_.slot(slot).SetOutputs(outputs);
    inputs_.OnOutputsChanged(slot, now_ms_);
  }
  // All that goes out without time passing; the pace allows a burst.
  std::vector<std::string> Burst() {
    std::vector<std::string> names;
    while (const auto set = inputs_.Next(now_ms_))
      names.push_back(set->path.substr(set->path.rfind('/') + 1) + "." + set->property);
    return names;
  }
  std::string ValueOf(const std::string& path, const std::string& property) {
    for (const InputSet& set : inputs_.All()) {
      if (set.path.ends_with(path) && set.property == property) return set.value;
    }
    return "none";
  }

  uint32_t now_ms_ = 1000;
  Plant plant_;
  MachineInputs inputs_;
};

TEST_F(MachineInputsTest, AtRest) {
  EXPECT_EQ(ValueOf("mon7", "vout"), "0");
  EXPECT_EQ(ValueOf("mon7", "iout"), "0");
  EXPECT_EQ(ValueOf("mon7", "vin"), "5150");
  EXPECT_EQ(ValueOf("tray7", "temperature"), "24000");
  EXPECT_EQ(ValueOf("gpio", "gpioA6"), "true") << "the relay of slot 7 rests isolated";
  EXPECT_EQ(ValueOf("gpio", "gpioD7"), "true");
  EXPECT_EQ(ValueOf("gpio", "gpioE0"), "false") << "rack input 0";
  EXPECT_EQ(ValueOf("gpio", "gpioJ0"), "true") << "no alert on bus 2";
  EXPECT_EQ(ValueOf("gpio", "gpioK0"), "true") << "rail 0 is good";
  EXPECT_EQ(ValueOf("gpio", "gpioL0"), "false") << "the stop button rests";
  EXPECT_TRUE(Burst().empty());
}

TEST_F(MachineInputsTest, VoltageAndCurrentInStepsOfTheChip) {
  plant_.slot(6).SetTestLoad(480);
  SwitchVbus(6, true);
  Live(20);
  const int mv = plant_.slot(6).vbus_mv();
  const int written = std::stoi(ValueOf("mon7", "vout"));
  EXPECT_EQ(written % kVoltStepMv, 0);
  EXPECT_LE(std::abs(written - mv), kVoltStepMv / 2 + 1);
  EXPECT_EQ(ValueOf("mon7", "iout"), "7950");  // 477 mA: 159 steps of 3 mA at 5 milliohm, 50 mA in the model
}

TEST_F(MachineInputsTest, NoiseWithinAStepCostsNothing) {
  plant_.slot(6).SetTestLoad(480);
  SwitchVbus(6, true);
  Live(20);
  inputs_.All();
  for (int i = 0; i < 200; ++i) {
    plant_.slot(6).SetTestLoad(480 + (i % 7) - 3);
    Live(5);
    EXPECT_TRUE(Burst().empty()) << i;
  }
}

TEST_F(MachineInputsTest, ZeroIsExact) {
  plant_.slot(6).SetTestLoad(480);
  SwitchVbus(6, true);
  Live(20);
  inputs_.All();
  SwitchVbus(6, false);
  Live(500);
  const auto names = Burst();
  EXPECT_NE(std::find(names.begin(), names.end(), "mon7.iout"), names.end());
  EXPECT_EQ(ValueOf("mon7", "vout"), "0");
  EXPECT_EQ(ValueOf("mon7", "iout"), "0");
}

TEST_F(MachineInputsTest, AShortAlertsItsBusAndFitsTheModelsRange) {
  plant_.slot(16).SetFault(SlotFault::kShort, true);
  SwitchVbus(16, true);
  Live(5);
  EXPECT_EQ(Burst().front(), "gpio.gpioJ1") << "slot 17 is on bus 3";
  EXPECT_EQ(ValueOf("gpio", "gpioJ0"), "true");
  EXPECT_EQ(ValueOf("gpio", "gpioJ1"), "false");
  EXPECT_LE(std::stoi(ValueOf("mon17", "iout")), 65'535);
}

TEST_F(MachineInputsTest, PinsGoFirstThenTheSlotJustSwitchedThenTheRest) {
  for (const size_t slot : {size_t{0}, size_t{1}, size_t{9}}) {
    SwitchVbus(slot, true);
    plant_.slot(slot).SetTestLoad(900);
  }
  Live(kFreshMs + 10);
  inputs_.OnOutputsChanged(9, now_ms_);
  plant_.SetInput(3, true);
  inputs_.PressStopButton(true);
  const auto names = Burst();
  ASSERT_GE(names.size(), 6U);
  EXPECT_TRUE(names[0].starts_with("gpio.")) << names[0];
  EXPECT_TRUE(names[1].starts_with("gpio.")) << names[1];
  EXPECT_TRUE(names[2].starts_with("mon10.")) << names[2];
  EXPECT_TRUE(names[3].starts_with("mon10.")) << names[3];
  EXPECT_FALSE(names[4].starts_with("gpio.")) << names[4];
}

TEST_F(MachineInputsTest, EveryRowGetsItsTurn) {
  for (size_t slot = 0; slot < 32; ++slot) SwitchVbus(slot, true);
  Live(kFreshMs + 10);
  std::set<std::string> seen;
  for (int i = 0; i < 600; ++i) {
    Live(5);
    for (size_t slot = 0; slot < 32; ++slot)
      plant_.slot(slot).SetTestLoad(200 + i % 2 * 100);  // all change all the time
    for (const std::string& name : Burst()) seen.insert(name);
  }
  for (int slot = 1; slot <= 32; ++slot) EXPECT_TRUE(seen.contains("mon" + std::to_string(slot) + ".iout")) << slot;
}

TEST_F(MachineInputsTest, AtMost300InAnySecondAndPinsHaveAReserve) {
  for (size_t slot = 0; slot < 32; ++slot) SwitchVbus(slot, true);
  std::vector<uint32_t> at;
  for (int i = 0; i < 5000; ++i) {
    Live(1);
    for (size_t slot = 0; slot < 32; ++slot) plant_.slot(slot).SetTestLoad(200 + i % 2 * 200);
    while (inputs_.Next(now_ms_)) at.push_back(now_ms_);
  }
  EXPECT_GT(at.size(), 1000U);
  for (size_t i = kSetsPerSecond; i < at.size(); ++i) EXPECT_GE(at[i] - at[i - kSetsPerSecond], 1000U) << i;
  plant_.SetInput(0, true);  // the bucket is as good as empty
  EXPECT_EQ(Burst().front(), "gpio.gpioE0");
}

TEST_F(MachineInputsTest, AfterAResetOnlyWhatTheModelsHaveWrongIsWritten) {
  const auto sets = inputs_.AfterReset();
  const auto count = [&sets](const std::string& property) {
    return std::ranges::count_if(sets, [&](const InputSet& set) { return set.property == property; });
  };
  EXPECT_EQ(count("vout"), 32);
  EXPECT_EQ(count("iout"), 32);
  EXPECT_EQ(count("vin"), 32);
  EXPECT_EQ(count("temperature"), 0) << "it survives";
  EXPECT_EQ(count("gpioA0"), 1);
  EXPECT_EQ(count("gpioE0"), 0) << "reads 0 after a reset, which is right";
  EXPECT_TRUE(Burst().empty());
}

TEST_F(MachineInputsTest, MissingPartsAreNotWritten) {
  MachineInputs inputs(plant_, std::vector<int>(32, 0), {"mon5", "tray6"});
  for (const InputSet& set : inputs.All()) {
    EXPECT_FALSE(set.path.ends_with("/mon5"));
    EXPECT_FALSE(set.path.ends_with("/tray6"));
  }
}

TEST_F(MachineInputsTest, ASmallPlantLeavesTheOtherSlotsAtRest) {
  Plant small(std::vector<int>(2, 0));
  MachineInputs inputs(small, {0, 0}, {});
  EXPECT_EQ(inputs.All().size(), inputs_.All().size());
}

TEST(Pacer, BurstThenItsRate) {
  Pacer pacer;
  int taken = 0;
  while (pacer.Take(true, 0)) ++taken;
  EXPECT_EQ(taken, Pacer::kBurst);
  EXPECT_FALSE(pacer.Take(false, 10));  // within the reserve
  EXPECT_TRUE(pacer.Take(true, 10));
}

}  // namespace
}  // namespace faraday::sim::qemu
