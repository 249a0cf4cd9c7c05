// What the runner understands, and how it matches.
#include "hil-tests/scenarios/scenario.h"

#include <gtest/gtest.h>

#include "hil-tests/scenarios/facts.h"
#include "hil-tests/scenarios/player.h"

namespace faraday::hil {
namespace {

std::string MistakesOf(const std::string& text) { return Describe(ParseScenarioFile(text, "s.yaml").mistakes); }

TEST(ScenarioFile, StepsAreRead) {
  const auto loaded = ParseScenarioFile(
      "about: a short\n"
      "boards: [native, ast1030]\n"
      "on: [r01/07]\n"
      "steps:\n"
      "  - bench: fault r01/07 short on\n"
      "  - cli: power on r01/07\n"
      "    exit: 1\n"
      "    says: [over-current, cable]\n"
      "  - status: r01/07\n"
      "    has: {health: HEALTH_SUSPECT}\n"
      "    within: 5s\n",
      "s.yaml");
  ASSERT_TRUE(loaded.scenario) << Describe(loaded.mistakes);
  EXPECT_TRUE(loaded.scenario->RunsOn("ast1030"));
  ASSERT_EQ(loaded.scenario->steps.size(), 3U);
  EXPECT_EQ(loaded.scenario->steps[1].says.size(), 2U);
  EXPECT_EQ(loaded.scenario->steps[1].exit_code, 1);
  EXPECT_EQ(loaded.scenario->steps[2].within_ms, 5000);
}

TEST(ScenarioFile, MistakesAreNamed) {
  EXPECT_NE(MistakesOf("about: x\nsteps:\n  - wait: 1s\n    bench: list\n").find("one of bench"), std::string::npos);
  EXPECT_NE(MistakesOf("about: x\nsteps:\n  - wait: 1s\n    says: y\n").find("does not go with wait"),
            std::string::npos);
  EXPECT_NE(MistakesOf("about: x\nsteps: []\n").find("at least one"), std::string::npos);
  EXPECT_NE(MistakesOf("about: x\nboards: [mars]\nsteps: [{wait: 1s}]\n").find("no board"), std::string::npos);
  EXPECT_NE(MistakesOf("about: x\nrack: {slts: y}\nsteps: [{wait: 1s}]\n").find("not one of slots"), std::string::npos);
  EXPECT_NE(MistakesOf("about: x\nsteps: [{controller: pause}]\n").find("kill, stop, start"), std::string::npos);
}

TEST(Facts, AJsonAnswer_IsFieldsAndValues) {
  const Facts facts = FactsOf(R"({"slot":"r01/07","vbus":{"measured_mv":5020},"conditions":["a","b-c"]})");
  EXPECT_TRUE(Unmet({{"slot", "r01/*"}, {"vbus.measured_mv", "4750..5500"}, {"conditions", "b-*"}}, facts).empty());
  EXPECT_TRUE(Unmet({{"trip", "none"}}, facts).empty());
  EXPECT_EQ(Unmet({{"slot", "none"}, {"vbus.measured_mv", "0..800"}}, facts).size(), 2U);
  EXPECT_EQ(Met({{"conditions", "a"}, {"slot", "r02*"}}, facts).size(), 1U);
}

TEST(Facts, Words) {
  EXPECT_TRUE(Says("r01/07 tripped: over-current 2.41 A > 2.00 A at", "over-current * A > 2.00 A"));
  EXPECT_FALSE(Says("r01/07 tripped", "r01/08"));
  EXPECT_EQ(SplitCommand("slot clear r01/07 --reason 'cable replaced'"),
            (std::vector<std::string>{"slot", "clear", "r01/07", "--reason", "cable replaced"}));
}

TEST(Player, MendOf_UndoesWhatBreaks) {
  EXPECT_EQ(MendOf("fault r01/07 short on"), "fault r01/07 short off");
  EXPECT_EQ(MendOf("fault r01/07 short off"), "");
  EXPECT_EQ(MendOf("rail 0 A sag"), "rail 0 A ok");
  EXPECT_EQ(MendOf("line 0 damage 5"), "line 0 damage 0");
  EXPECT_EQ(MendOf("line 0 cut"), "line 0 restore");
  EXPECT_EQ(MendOf("state 0"), "");
}

}  // namespace
}  // namespace faraday::hil
