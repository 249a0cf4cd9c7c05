#include "cli/text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace faraday::cli {
namespace {

TEST(Printable, ForeignTextCannotSteerTheTerminal) {
  EXPECT_EQ(Printable("pixel-8"), "pixel-8");
  EXPECT_EQ(Printable("a\x1b[2Jb\nc\x7f"), "a?[2Jb?c?");
  EXPECT_EQ(Printable("\xC2\x9B"
                      "31m"),
            "?31m")
      << "C1 control as UTF-8";
  EXPECT_EQ(Printable("abc\xE2\x80\xAE"
                      "fdp"),
            "abc?fdp")
      << "right-to-left override";
  EXPECT_EQ(Printable("caf\xC3\xA9"), "caf\xC3\xA9");
  EXPECT_EQ(Printable("bad\xC3"), "bad?");
  EXPECT_EQ(Printable("over\xC0\x80long"), "over??long");
  EXPECT_EQ(Printable("\xED\xA0\x80"), "???") << "half a surrogate pair";
}

TEST(LogFilter, ColoursPassAndEverythingElseIsHarmless) {
  LogFilter filter;
  EXPECT_EQ(filter.Feed("\x1b[1;31mred\x1b[0m\n"), "\x1b[1;31mred\x1b[0m\n");
  EXPECT_EQ(filter.Feed("\x1b]0;title\x07"), "?]0;title?");
  EXPECT_EQ(filter.Feed("\x1b[2Jx"), "?[2Jx");
  EXPECT_EQ(filter.Feed("a\tb\r\n"), "a\tb\r\n");
  EXPECT_EQ(filter.Feed("cut \x1b[3"), "cut ");
  EXPECT_EQ(filter.Feed("2mgreen"), "\x1b[32mgreen");
  const std::string endless = filter.Feed("\x1b[" + std::string(100, '1'));
  EXPECT_EQ(endless.find('\x1b'), std::string::npos);
}

TEST(FormatAge, UsesOneUnit) {
  EXPECT_EQ(FormatAge(-5), "0ms");
  EXPECT_EQ(FormatAge(340), "340ms");
  EXPECT_EQ(FormatAge(3'900), "3s");
  EXPECT_EQ(FormatAge(119'000), "119s");
  EXPECT_EQ(FormatAge(300'000), "5m");
  EXPECT_EQ(FormatAge(7'200'000), "2h");
  EXPECT_EQ(FormatAge(345'600'000), "4d");
}

TEST(FormatClock, NamesTheDayWhenItIsAnother) {
  setenv("TZ", "UTC", 1);
  tzset();
  constexpr int64_t kNoon = 1'795'435'200'000;  // 2026-11-23T12:00Z
  EXPECT_EQ(FormatClock(kNoon + 140 * 60'000, kNoon), "14:20");
  EXPECT_EQ(FormatClock(kNoon + 20 * 3'600'000, kNoon), "24 Nov 08:00");
}

TEST(FormatSize, IsForPeople) {
  EXPECT_EQ(FormatSize(812), "812 B");
  EXPECT_EQ(FormatSize(1'500'000), "1.4 MiB");
}

TEST(RenderTable, AlignsByCharactersAndLeavesNoTrailingSpace) {
  EXPECT_EQ(
      RenderTable({{"A"}, {"N", true}, {"REASON"}}, {{"caf\xC3\xA9", "5", ""}, {"x", "1234", "why"}}, {"", "note"}),
      "A        N  REASON\n"
      "caf\xC3\xA9     5\n"
      "x     1234  why\n"
      "        note\n");
}

TEST(Cut, MarksWhatIsMissing) {
  EXPECT_EQ(Cut("short", 5), "short");
  EXPECT_EQ(Cut("longer", 5), "long~");
}

}  // namespace
}  // namespace faraday::cli
