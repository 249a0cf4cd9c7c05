// The harness itself: scripts are read with every mistake, words match as documented, records are compared fairly.
#include <gtest/gtest.h>

#include "hil-tests/conformance/record.h"
#include "hil-tests/conformance/script.h"
#include "hil-tests/conformance/words.h"

namespace faraday::hil {
namespace {

constexpr const char* kHead = "about: a test\nboards: [native, ast1030]\nsteps:\n";

std::string Mistakes(const std::string& text) {
  std::string all;
  for (const auto& mistake : ParseScript(text, "x.yaml").mistakes) all += rackconfig::ToString(mistake) + "\n";
  return all;
}

TEST(Words, Unmet_NamesWhatDoesNotHold) {
  const Words seen = SplitWords("code=ok slot=7 vbus_mv=5020 leased");
  EXPECT_TRUE(Unmet(SplitWords("code=ok leased !tripped vbus_mv=4750..5500"), seen).empty());
  EXPECT_EQ(JoinWords(Unmet(SplitWords("code=cancelled !leased vbus_mv=0..800 tripped"), seen)),
            "code=cancelled !leased vbus_mv=0..800 tripped");
  EXPECT_TRUE(Unmet(SplitWords("vbus_ma=0"), seen).empty()) << "a 0 is left out of the human form";
}

TEST(Words, Epochs_AreRelativeBothWays) {
  EXPECT_EQ(PutEpochs("set_lease slot=7 epoch=@3 duration_ms=1", 500), "set_lease slot=7 epoch=503 duration_ms=1");
  EXPECT_EQ(JoinWords(Content("lease_ended slot=7 epoch=503 uptime_ms=99", 500)), "lease_ended slot=7 epoch=@3");
}

TEST(Words, StateBits_BecomeWords) {
  const Words words = Content("command_done code=ok state=3", 0);
  EXPECT_TRUE(
      Unmet(SplitWords("vbus_commanded vbus_measured_on data_measured=open relay_sense=isolated"), words).empty());
}

TEST(Script, Step_IsReadWithItsModifiers) {
  const auto loaded = ParseScript(std::string(kHead) +
                                      "  - do: set_vbus slot=7 on=true\n    reply: verdict=accepted\n"
                                      "  - truth: slot=7 data=open\n    hold: 500ms\n",
                                  "x.yaml");
  ASSERT_TRUE(loaded.script) << rackconfig::Describe(loaded.mistakes);
  ASSERT_EQ(loaded.script->steps.size(), 2U);
  EXPECT_EQ(loaded.script->steps[0].action, Action::kDo);
  EXPECT_EQ(loaded.script->steps[0].line, 4);
  EXPECT_EQ(loaded.script->steps[0].reply, "verdict=accepted");
  EXPECT_EQ(loaded.script->steps[1].hold_ms, 500);
}

TEST(Script, Mistakes_HaveFileAndLine) {
  EXPECT_NE(Mistakes(std::string(kHead) + "  - stat: slot=7 tripped\n").find("x.yaml:4"), std::string::npos);
  EXPECT_NE(Mistakes(std::string(kHead) + "  - stat: slot=7 tripped\n").find("did you mean \"state\""),
            std::string::npos);
  EXPECT_NE(Mistakes(std::string(kHead) + "  - do: set_vbus slt=7 on=true\n").find("SetVbus has: slot"),
            std::string::npos);
  EXPECT_NE(Mistakes(std::string(kHead) + "  - state: tripped\n").find("must name slot=N"), std::string::npos);
  EXPECT_NE(Mistakes(std::string(kHead) + "  - wait: 3\n").find("x.yaml:4"), std::string::npos);
  EXPECT_NE(Mistakes(std::string(kHead) + "  - stop:\n    reply: verdict=ok\n").find("reply does not go with stop"),
            std::string::npos);
  EXPECT_NE(Mistakes(std::string(kHead) + "  - stop:\n    hello:\n").find("a step has one of"), std::string::npos);
  EXPECT_NE(Mistakes(std::string(kHead) + "  - configure: stagger=1\n").find("stagger"), std::string::npos);
  EXPECT_NE(Mistakes(std::string(kHead) + "  - reading: maybe\n").find("neither on nor off"), std::string::npos);
}

TEST(Script, ABoardThatIsLeftOutNeedsAReason) {
  EXPECT_NE(Mistakes("about: a\nboards: [native]\nsteps:\n  - hello:\n").find("why ast1030 is not among"),
            std::string::npos);
  EXPECT_EQ(Mistakes("about: a\nboards: [native]\nmissing: {ast1030: no brown-out there}\nsteps:\n  - hello:\n"), "");
  EXPECT_NE(Mistakes("about: a\nboards: [nativ, ast1030]\nsteps:\n  - hello:\n").find("nativ"), std::string::npos);
}

TEST(Script, Configure_ChangesOneSlotAndScalars) {
  const auto sentence = ConfigureSentence("current_limit_ma[2]=900 host_silent_ms=1500");
  ASSERT_TRUE(sentence.ok()) << sentence.status().message();
  EXPECT_NE(sentence->find("current_limit_ma=[2000,900,2000"), std::string::npos);
  EXPECT_NE(sentence->find("host_silent_ms=1500"), std::string::npos);
  EXPECT_FALSE(ConfigureSentence("current_limit_ma[33]=1").ok());
}

struct RecordTest : ::testing::Test {
  Record left{.script = "s", .board = "native", .tolerance = {{"vbus_mv", 50}}, .rows = {}, .passed = true};
  Record right{.script = "s", .board = "ast1030", .tolerance = {}, .rows = {}, .passed = true};
  void Both(const std::string& a, const std::string& b) {
    left.rows.push_back({1, a});
    right.rows.push_back({1, b});
  }
};

TEST_F(RecordTest, MeasuredValues_MayDifferWithinTheTolerance) {
  Both("event code=ok vbus_mv=5020", "event code=ok vbus_mv=5060");
  EXPECT_EQ(Difference(left, right), "");
  Both("event code=ok vbus_mv=5020", "event code=ok vbus_mv=5100");
  EXPECT_NE(Difference(left, right).find("> 1: event code=ok vbus_mv=5020"), std::string::npos);
}

TEST_F(RecordTest, AMeasuredZeroIsAValue) {
  Both("event code=ok", "event code=ok vbus_mv=40");
  EXPECT_EQ(Difference(left, right), "");
  Both("event code=ok", "event code=ok vbus_mv=60");
  EXPECT_NE(Difference(left, right), "");
}

TEST_F(RecordTest, OrderContentAndLengthCount) {
  Both("reply verdict=ok", "reply verdict=fenced");
  EXPECT_NE(Difference(left, right).find("verdict=fenced"), std::string::npos);
  left.rows = {{1, "a"}, {2, "b"}};
  right.rows = {{1, "a"}};
  EXPECT_NE(Difference(left, right).find("(ends, passed)"), std::string::npos);
}

TEST_F(RecordTest, TextComesBackAsTheRecord) {
  Both("reply verdict=ok", "");
  const auto back = ParseRecord(ToText(left));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(ToText(*back), ToText(left));
  EXPECT_EQ(ParseRecord("script s\nboard native\n").status().code(), Code::kDataLoss);
}

}  // namespace
}  // namespace faraday::hil
