#include "agent/core/utf8.h"

#include <gtest/gtest.h>

namespace faraday::agent {
namespace {

TEST(CleanUtf8, KeepsWhatIsWellFormed) {
  for (const char* text : {"", "plain", "\u00e4\u20ac", "\U0001f4f1", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"})
    EXPECT_EQ(CleanUtf8(text), text);
}

TEST(CleanUtf8, ReplacesEveryBrokenByte) {
  EXPECT_EQ(CleanUtf8("a\xff"
                      "b"),
            "a?b");
  EXPECT_EQ(CleanUtf8("\xe2\x82"), "??") << "cut";
  EXPECT_EQ(CleanUtf8("\xe2\x82x"), "??x");
  EXPECT_EQ(CleanUtf8("\xc0\x80"), "??") << "overlong";
  EXPECT_EQ(CleanUtf8("\xed\xa0\x80"), "???") << "surrogate";
  EXPECT_EQ(CleanUtf8("\xf4\x90\x80\x80"), "????") << "beyond U+10FFFF";
}

}  // namespace
}  // namespace faraday::agent
