#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace faraday::log {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// What the action writes to stderr.
template <typename Action>
std::string Logged(Action action) {
  testing::internal::CaptureStderr();
  action();
  return testing::internal::GetCapturedStderr();
}

TEST(PlainLine, KeepsWhatIsReadable) { EXPECT_EQ(PlainLine("r01/07 'Gerät' 手机 👍 ~"), "r01/07 'Gerät' 手机 👍 ~"); }

struct Foreign {
  const char* what;
  std::string bytes;
  const char* plain;
};
const Foreign kForeign[] = {
    {"a forged second line", "x\n<3>lab: disabled", "x <3>lab: disabled"},
    {"a carriage return", "x\ry", "x?y"},
    {"a terminal's title", "\x1b]0;root\x07", "?]0;root?"},
    {"NUL", std::string("a\0b", 3), "a?b"},
    {"DEL", "a\x7f", "a?"},
    {"CSI as one C1 control",
     "a\xc2\x9b"
     "2J",
     "a?2J"},
    {"CSI as a raw byte",
     "a\x9b"
     "2J",
     "a?2J"},
    {"a direction override", "ana\xe2\x80\xaeroot", "ana?root"},
    {"a direction isolate",
     "a\xe2\x81\xa6"
     "b",
     "a?b"},
    {"a line separator",
     "a\xe2\x80\xa8"
     "b",
     "a?b"},
    {"invisible tags", "a\xf3\xa0\x81\x81", "a?"},
    {"an overlong newline",
     "a\xc0\x8a"
     "b",
     "a??b"},
    {"a surrogate", "a\xed\xa0\x80", "a???"},
    {"a character cut short", "a\xe2\x82", "a??"},
    {"beyond Unicode", "\xf4\x90\x80\x80", "????"},
};

TEST(PlainLine, ForeignBytesSteerNothing) {
  for (const Foreign& foreign : kForeign) EXPECT_EQ(PlainLine(foreign.bytes), foreign.plain) << foreign.what;
}

TEST(Log, LineOfForeignText_StaysOneLine) {
  const std::string line = Logged([] { Warn("user '{}'", "a\n<3>lab: forged\x1b[2J\xc2\x9b"); });
  EXPECT_EQ(line, "<4>faraday: user 'a <3>lab: forged?[2J?'\n");
}

TEST(Log, EndlessText_IsCut) {
  const std::string line = Logged([] { Error("{}", std::string(kLongestLine + 5, 'a')); });
  EXPECT_THAT(line, StartsWith("<3>faraday: aaa"));
  EXPECT_THAT(line, EndsWith("a ... (5 bytes more)\n"));
  EXPECT_LT(line.size(), kLongestLine + 64);
}

}  // namespace
}  // namespace faraday::log
