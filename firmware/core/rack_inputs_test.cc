// The rack inputs' table, the LEDs and the watch over the pass.
#include "firmware/core/rack_inputs.h"

#include <gtest/gtest.h>

#include "firmware/core/indicators.h"
#include "firmware/core/pass_watch.h"

namespace faraday::firmware {
namespace {

using link::InputAction;
using link::InputRule;

struct RackInputsTest : testing::Test {
  void SetRules(std::initializer_list<InputRule> rules) {
    link::InputColumn column;
    for (const InputRule& rule : rules) column.push_back(link::Pack(rule));
    inputs.SetRules(column);
  }
  uint32_t Run(uint32_t levels, uint32_t ms) {
    uint32_t changed = 0;
    for (uint32_t i = 0; i < ms; ++i) {
      inputs.OnLevels(levels);
      changed |= inputs.Advance(1);
    }
    return changed;
  }
  RackInputs inputs;
};

TEST_F(RackInputsTest, AnUnlistedInputIsActiveWhenHighAfterThirtyMilliseconds) {
  Run(0, 1);
  EXPECT_EQ(Run(4, 29), 0U);
  EXPECT_EQ(Run(4, 1), 4U);
  EXPECT_EQ(inputs.active(), 4U);
  EXPECT_EQ(inputs.blocking() | inputs.stopping() | inputs.making_safe(), 0U);
  EXPECT_FALSE(inputs.alarm());
}

TEST_F(RackInputsTest, APulseShorterThanItsDebounceIsNone) {
  SetRules({{.input = 3, .active_high = true, .action = InputAction::kStop, .debounce_ms = 100}});
  Run(0, 1);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(Run(8, 99) | Run(0, 1), 0U);
  EXPECT_EQ(Run(8, 100), 8U);
}

TEST_F(RackInputsTest, EveryActionByItsRule) {
  SetRules({{.input = 0, .active_high = true, .action = InputAction::kBlockTurnOn},
            {.input = 1, .active_high = true, .action = InputAction::kSafeRail, .rails = 0b101},
            {.input = 2, .active_high = false, .action = InputAction::kStop},
            {.input = 31, .active_high = true, .action = InputAction::kReport, .alarm = true}});
  Run(0b100, 1);
  EXPECT_EQ(inputs.active(), 0U);
  Run(0b101, 30);
  EXPECT_EQ(inputs.blocking(), 1U);
  EXPECT_FALSE(inputs.alarm());
  Run(0b110, 30);
  EXPECT_EQ(inputs.blocking(), 0U);
  EXPECT_EQ(inputs.safe_rails(), 0b101);
  EXPECT_TRUE(inputs.alarm());
  Run(0b000, 30);
  EXPECT_EQ(inputs.safe_rails(), 0);
  EXPECT_EQ(inputs.stopping(), 4U);
  EXPECT_TRUE(inputs.alarm());
  Run(0b100, 30);
  EXPECT_FALSE(inputs.alarm());
  Run(0x8000'0004, 30);
  EXPECT_TRUE(inputs.alarm());
}

TEST_F(RackInputsTest, SafeRailWithoutRailsMeansAll) {
  SetRules({{.input = 1, .active_high = true, .action = InputAction::kSafeRail}});
  Run(2, 1);
  EXPECT_EQ(inputs.safe_rails(), 0xFF);
}

TEST_F(RackInputsTest, AnInputThatIsActiveWhenItsRuleComesActsThen) {
  Run(0, 100);
  SetRules({{.input = 5, .active_high = false, .action = InputAction::kStop}});
  EXPECT_EQ(Run(0, 1), 32U);
  EXPECT_EQ(inputs.stopping(), 32U);
  SetRules({});
  EXPECT_EQ(Run(0, 1), 32U);
  EXPECT_EQ(inputs.stopping(), 0U);
}

TEST_F(RackInputsTest, NothingIsActiveBeforeThePinsWereRead) {
  SetRules({{.input = 5, .active_high = false, .action = InputAction::kStop}});
  EXPECT_EQ(inputs.Advance(1000), 0U);
  EXPECT_EQ(inputs.stopping(), 0U);
}

TEST(Indicators, TheMostUrgentWins) {
  Indicators lights;
  EXPECT_FALSE(lights.Lit(0, false, false));
  EXPECT_TRUE(lights.Lit(0, true, false));
  int slow = 0, fast = 0, lit = 0;
  bool slow_before = lights.Lit(0, true, true), fast_before = true;
  lights.Locate(1, 10'000);
  for (int ms = 0; ms < 10'000; ++ms) {
    slow += lights.Lit(0, true, true) != slow_before;
    fast += lights.Lit(1, true, true) != fast_before;
    lit += lights.Lit(0, false, true);
    slow_before = lights.Lit(0, true, true);
    fast_before = lights.Lit(1, true, true);
    lights.Advance(1);
  }
  EXPECT_NEAR(slow, 2 * 10, 1) << "1 Hz";
  EXPECT_NEAR(fast, 2 * 40, 1) << "4 Hz";
  EXPECT_NEAR(lit, 5000, 10);
}

TEST(Indicators, LocatingEndsByItselfWithinAnHour) {
  Indicators lights;
  lights.Locate(2, UINT32_MAX);
  lights.Advance(Indicators::kMostLocateMs - 1);
  EXPECT_TRUE(lights.locating(2));
  lights.Advance(1);
  EXPECT_FALSE(lights.locating(2));
  lights.Locate(2, 1000);
  lights.Locate(2, 0);
  EXPECT_FALSE(lights.locating(2));
}

TEST(PassWatch, FeedsWhenEveryTaskRanInTime) {
  using Task = PassWatch::Task;
  const Task all[] = {Task::kTimers, Task::kLine, Task::kSensors, Task::kOutputs, Task::kInputs};
  PassWatch watch;
  watch.Begin(100);
  for (const Task task : all) watch.Ran(task);
  EXPECT_TRUE(watch.End(100 + PassWatch::kLongestMs - 1));
  EXPECT_FALSE(watch.End(100 + PassWatch::kLongestMs));
  for (const Task missing : all) {
    watch.Begin(0xFFFF'FFFF);
    for (const Task task : all) {
      if (task != missing) watch.Ran(task);
    }
    EXPECT_FALSE(watch.End(0)) << static_cast<int>(missing);
  }
}

}  // namespace
}  // namespace faraday::firmware
