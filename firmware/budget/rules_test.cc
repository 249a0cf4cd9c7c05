// The budget file: what it says, and what is said of a wrong one.
#include "firmware/budget/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace faraday::firmware::budget {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kWhole[] = R"(# a comment
flash 65536    # bytes
ram 32768
stack stack_bottom stack_top
forbid operator new* : there is no heap
own-stack FaultHandler : the stack may be what failed
indirect 2 a::Run(* : a table
  a::f(*
  a::{lambda(void*)#1}::_FUN(*
indirect 1 Start : no constructors
  nothing
module codec *codec.o* *.text.Codec*
)";

TEST(ReadRules, WholeFile) {
  std::vector<std::string> problems;
  const Rules rules = ReadRules(kWhole, problems);
  EXPECT_THAT(problems, IsEmpty());
  EXPECT_EQ(rules.flash, 65536U);
  EXPECT_EQ(rules.ram, 32768U);
  EXPECT_EQ(rules.stack_top, "stack_top");
  ASSERT_EQ(rules.forbidden.size(), 1U);
  EXPECT_EQ(rules.forbidden[0].pattern, "operator new*");
  EXPECT_EQ(rules.forbidden[0].reason, "there is no heap");
  ASSERT_EQ(rules.indirect.size(), 2U);
  EXPECT_EQ(rules.indirect[0].calls, 2U);
  ASSERT_EQ(rules.indirect[0].callees.size(), 2U);
  EXPECT_EQ(rules.indirect[0].callees[1].pattern, "a::{lambda(void*)#1}::_FUN(*") << "# within a word is no comment";
  EXPECT_EQ(rules.indirect[0].callees[1].line, 9);
  EXPECT_TRUE(rules.indirect[1].nothing);
  ASSERT_EQ(rules.modules.size(), 1U);
  EXPECT_THAT(rules.modules[0].patterns, ElementsAre("*codec.o*", "*.text.Codec*"));
}

struct Wrong {
  const char* text;
  const char* said;
};
class WrongRules : public testing::TestWithParam<Wrong> {};

TEST_P(WrongRules, AreNamed) {
  std::vector<std::string> problems;
  ReadRules(std::string("flash 1\nram 1\nstack a b\n") + GetParam().text, problems);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_THAT(problems[0], HasSubstr(GetParam().said));
}
INSTANTIATE_TEST_SUITE_P(All,
                         WrongRules,
                         testing::Values(Wrong{"fash 7\n", "line 4: 'fash' is no keyword"},
                                         Wrong{"flash many\n", "line 4: wants a number of bytes"},
                                         Wrong{"forbid malloc\n", "line 4: wants `PATTERN : REASON`"},
                                         Wrong{"forbid malloc : \n", "line 4: wants `PATTERN : REASON`"},
                                         Wrong{"indirect Run : why\n", "line 4: wants `indirect COUNT"},
                                         Wrong{"indirect 1 Run : why\n", "line 4: wants callees, or `nothing`"},
                                         Wrong{"indirect 1 Run : why\n  f\n  nothing\n", "wants callees, or `nothing`"},
                                         Wrong{"module codec\n", "line 4: wants `module NAME"}));

TEST(ReadRules, CalleeWithoutACallerIsNamed) {
  std::vector<std::string> problems;
  ReadRules("flash 1\nram 1\nstack a b\n  f\n", problems);
  EXPECT_THAT(problems, ElementsAre(HasSubstr("line 4: an indented line belongs under `indirect`")));
}

TEST(ReadRules, MissingLimitsAreNamed) {
  std::vector<std::string> problems;
  ReadRules("", problems);
  EXPECT_THAT(problems, ElementsAre(HasSubstr("`flash`"), HasSubstr("`ram`"), HasSubstr("`stack`")));
}

}  // namespace
}  // namespace faraday::firmware::budget
