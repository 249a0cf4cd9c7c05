// Flash, RAM, modules, forbidden symbols; and the report that shows them.
#include "firmware/budget/sizes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/budget/report.h"

namespace faraday::firmware::budget {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kMap[] = R"(
Discarded input sections
 .text.gone     0x00000000     0x1000 core.a(core.o)

Linker script and memory map

.text           0x00000000      0x100
 *(.text .text.*)
 .text.Core     0x00000000       0x80 core.a(core.o)
                0x00000000                Core
 .text.a_name_that_needs_a_line_of_its_own
                0x00000080       0x40 main.o
 *fill*         0x000000c0        0x2
 .rodata.str1.1
                0x000000c2       0x1e main.o
                                 0x24 (size before relaxing)

.bss            0x00042000       0x40
 .bss.state     0x00042000       0x30 core.a(core.o)

.debug_info     0x00000000      0x999
 .debug_info    0x00000000      0x999 main.o
)";

class Sized : public testing::Test {
 protected:
  Sized() {
    image_.sections = {{".text", 0, 0, 0x100, true, true},
                       {".stack", 0x40000, 0x40000, 0x200, true, false},
                       {".bss", 0x42000, 0x42000, 0x40, true, false},
                       {".debug_info", 0, 0, 0x999, false, false}};
    image_.symbols = {{"low", 0x40000}, {"high", 0x40200}, {"Core", 0}};
    rules_.flash = 0x100;
    rules_.ram = 0x240;
    rules_.stack_bottom = "low";
    rules_.stack_top = "high";
    rules_.forbidden = {{1, "malloc", "there is no heap"}, {2, "operator new*", "there is no heap"}};
    rules_.modules = {{"core", {"core.a(*"}}, {"board", {"main.o *"}}};
  }
  Sizes Run() { return Measure(image_, kMap, rules_, problems_); }

  Image image_;
  Rules rules_;
  std::vector<std::string> problems_;
};

TEST_F(Sized, WholeAndModulesAddUp) {
  const Sizes sizes = Run();
  EXPECT_THAT(problems_, IsEmpty());
  EXPECT_EQ(sizes.flash, 0x100U);
  EXPECT_EQ(sizes.ram, 0x240U);
  EXPECT_EQ(sizes.stack, 0x200U);
  ASSERT_EQ(sizes.modules.size(), 3U);
  EXPECT_EQ(sizes.modules[0].name, "core");
  EXPECT_EQ(sizes.modules[0].flash, 0x80U);
  EXPECT_EQ(sizes.modules[0].ram, 0x30U);
  EXPECT_EQ(sizes.modules[1].flash, 0x40U + 0x1e);
  EXPECT_EQ(sizes.modules[2].flash, 0x100U - 0x80 - 0x40 - 0x1e);
  EXPECT_EQ(sizes.modules[2].ram, 0x240U - 0x30);
}

TEST_F(Sized, OneByteTooMuchIsRefused) {
  rules_.flash = 0xff;
  rules_.ram = 0x23f;
  Run();
  EXPECT_THAT(problems_,
              ElementsAre(HasSubstr("flash is 256 bytes, 1 more than its limit of 255"),
                          HasSubstr("static RAM, stack included, is 576 bytes, 1 more")));
}

TEST_F(Sized, AHeapIsRefused) {
  image_.symbols["malloc"] = 0x10;
  image_.symbols["_Znwj"] = 0x20;
  Run();
  EXPECT_THAT(problems_,
              ElementsAre(HasSubstr("operator new(unsigned int) is in the image: there is no heap"),
                          HasSubstr("malloc is in the image: there is no heap")));
}

TEST_F(Sized, AStackThatCannotBeFoundIsRefused) {
  image_.symbols.erase("high");
  Run();
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("the stack's symbols low and high are not in the image")));
}

TEST_F(Sized, ReportShowsWhatUsedLimitShareAndChange) {
  Budget budget;
  budget.sizes = Run();
  budget.stack.worst = 128;
  budget.stack.entries = {{"void faraday::link::(anonymous namespace)::Write<int>(int)", EntryKind::kReset, 92, {}}};
  const std::string first = Report("image", budget, rules_, {});
  EXPECT_THAT(first, HasSubstr("flash                                  256     256   100 %"));
  EXPECT_THAT(first, HasSubstr("link::Write<int>"));
  EXPECT_THAT(first, Not(HasSubstr("+0")));
  auto before = ReadFigures(Figures(budget));
  EXPECT_EQ(before.at("stack_worst"), 128);
  EXPECT_EQ(before.at("flash_core"), 0x80);
  before["flash"] -= 20;
  EXPECT_THAT(Report("image", budget, rules_, before), HasSubstr("100 %  +20"));
}

}  // namespace
}  // namespace faraday::firmware::budget
