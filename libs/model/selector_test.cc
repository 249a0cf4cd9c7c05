#include "model/selector.h"

#include <gtest/gtest.h>

namespace faraday::model {
namespace {

const Attributes kPixel = {{"platform", "android"}, {"model", "pixel-8"}, {"os", "14"}, {"sim", "none"}};

bool Matches(std::string_view text, const Attributes& attributes = kPixel) {
  const auto selector = Selector::Parse(text);
  EXPECT_TRUE(selector.ok()) << ToString(selector.status());
  return selector.ok() && selector->Matches(attributes);
}

TEST(Selector, Empty_MatchesEverything) {
  EXPECT_TRUE(Matches(""));
  EXPECT_TRUE(Matches("  "));
}

TEST(Selector, Terms_AllMustHold) {
  EXPECT_TRUE(Matches("platform=android,model=pixel-8,os>=14,!rooted"));
  EXPECT_FALSE(Matches("platform=android,model=pixel-7a"));
  EXPECT_TRUE(Matches(" platform == android , sim "));
  EXPECT_FALSE(Matches("rooted"));
}

TEST(Selector, Sets_InAndNotIn) {
  EXPECT_TRUE(Matches("model in (pixel-7a, pixel-8)"));
  EXPECT_FALSE(Matches("model notin (pixel-8)"));
  EXPECT_TRUE(Matches("carrier notin (a,b)")) << "absent keys are not in any set";
  EXPECT_TRUE(Matches("carrier!=a"));
  EXPECT_TRUE(Matches("inside!=a")) << "a key may begin with an operator's word";
}

TEST(Selector, Ordering_ComparesVersions) {
  EXPECT_TRUE(Matches("os<15"));
  EXPECT_TRUE(Matches("os<=14.0"));
  EXPECT_FALSE(Matches("os>14"));
  EXPECT_FALSE(Matches("missing>1")) << "ordering needs the key";
  EXPECT_TRUE(Matches("os>9")) << "numbers, not letters";
}

TEST(Selector, CompareVersions_PartByPart) {
  EXPECT_EQ(CompareVersions("14", "14.0"), 0);
  EXPECT_EQ(CompareVersions("14.1", "14.10"), -1);
  EXPECT_EQ(CompareVersions("8.0.0b", "8.0.0a"), 1);
  EXPECT_EQ(CompareVersions("", "0"), 0);
}

TEST(Selector, Mistakes_ShowColumnAndExample) {
  for (const char* text :
       {",", "a=", "a=b,", "=x", "a in b", "a in (b", "a in ()", "a b", "a=b c", "!", "!a=b", "a~b"}) {
    const auto selector = Selector::Parse(text);
    ASSERT_FALSE(selector.ok()) << text;
    EXPECT_EQ(selector.status().code(), Code::kInvalidArgument);
    EXPECT_NE(selector.status().message().find("column"), std::string::npos);
    EXPECT_NE(selector.status().message().find("platform=android"), std::string::npos);
  }
  EXPECT_NE(Selector::Parse("os>14,model~x").status().message().find("column 12"), std::string::npos)
      << Selector::Parse("os>14,model~x").status().message();
}

TEST(Selector, FirstMismatch_NamesTheTermAsWritten) {
  const auto selector = Selector::Parse("platform=android, os >= 15 ,model=x");
  ASSERT_TRUE(selector.ok());
  EXPECT_EQ(selector->FirstMismatch(kPixel)->text, "os >= 15");
}

}  // namespace
}  // namespace faraday::model
