// Stack along small call graphs, and every way in which a graph is refused.
#include "firmware/budget/stack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace faraday::firmware::budget {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint32_t kReset = 0x100, kFault = 0x200, kUart = 0x300, kMain = 0x400, kRun = 0x500, kLeaf = 0x600;

// reset -> main (40) -> run (16) -> leaf (8); uart (20) -> leaf; fault (12) on its own stack.
class StackAdded : public testing::Test {
 protected:
  StackAdded() {
    Add(kReset, "Reset", 0, {kMain});
    Add(kFault, "Fault", 12, {});
    Add(kUart, "Uart", 20, {kLeaf});
    Add(kMain, "Main", 40, {kRun, kLeaf});
    Add(kRun, "Run", 16, {kLeaf});
    Add(kLeaf, "Leaf", 8, {});
    image_.vectors = {kReset, kFault, kFault, kUart};
    rules_.own_stack = {{1, "Fault", "why"}};
  }
  void Add(uint32_t address, const std::string& name, uint32_t frame, std::set<uint32_t> calls) {
    image_.symbols[name] = address;
    image_.functions[address] = {.name = name, .address = address, .size = 16, .calls = std::move(calls)};
    graph_.frames[name] = {.bytes = frame, .dynamic = false};
  }
  void List(const std::string& caller, uint32_t calls, std::vector<NamedRule> callees) {
    rules_.indirect.push_back({.line = 7,
                               .calls = calls,
                               .caller = caller,
                               .reason = "why",
                               .callees = std::move(callees),
                               .nothing = false});
  }
  StackNeed Run() { return AddUpStack(image_, graph_, rules_, problems_); }

  Image image_;
  CallGraph graph_;
  Rules rules_;
  std::vector<std::string> problems_;
};

TEST_F(StackAdded, DeepestPathInterruptsAndAFaultOnTop) {
  const StackNeed need = Run();
  EXPECT_THAT(problems_, IsEmpty());
  ASSERT_EQ(need.entries.size(), 3U) << "a handler with two vectors counts once";
  EXPECT_EQ(need.entries[0].kind, EntryKind::kReset);
  EXPECT_EQ(need.entries[0].bytes, 40U + 16 + 8);
  EXPECT_EQ(need.entries[0].path.back().name, "Leaf");
  EXPECT_EQ(need.entries[1].kind, EntryKind::kOwnStack);
  EXPECT_EQ(need.entries[2].kind, EntryKind::kInterrupt);
  EXPECT_EQ(need.entries[2].bytes, 28U);
  EXPECT_EQ(need.worst, 64U + (28 + kExceptionFrame) + kExceptionFrame);
}

TEST_F(StackAdded, EveryInterruptCountsOnTopOfTheOthers) {
  Add(0x700, "Gpio", 100, {});
  image_.vectors.push_back(0x700);
  EXPECT_EQ(Run().worst, 64U + (28 + kExceptionFrame) + (100 + kExceptionFrame) + kExceptionFrame);
}

TEST_F(StackAdded, AHandlersOwnStackCountsWhenItIsMore) {
  graph_.frames["Fault"].bytes = 1000;
  EXPECT_EQ(Run().worst, 1000U + kExceptionFrame);
}

TEST_F(StackAdded, FunctionsWithoutACompilerCountWithWhatTheyPush) {
  graph_.frames.erase("Leaf");
  image_.functions[kLeaf].pushed = 24;
  EXPECT_EQ(Run().entries[0].bytes, 40U + 16 + 24);
  graph_.frames["Leaf"].bytes = 4;  // inline assembler pushes behind the compiler's back
  EXPECT_EQ(Run().entries[0].bytes, 40U + 16 + 24);
}

TEST_F(StackAdded, ACallThatOnlyTheCompilerNamesCounts) {
  Add(0x700, "Deep", 500, {});
  graph_.calls["Leaf"] = {"Deep", "inlined away"};
  EXPECT_EQ(Run().entries[0].bytes, 64U + 500);
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(StackAdded, RecursionIsRefusedWithItsCircle) {
  image_.functions[kLeaf].calls = {kRun};
  Run();
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("recursion: Run -> Leaf -> Run")));
}

TEST_F(StackAdded, AFunctionThatCallsItselfIsRefused) {
  image_.functions[kLeaf].calls = {kLeaf};
  Run();
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("recursion: Leaf -> Leaf")));
}

TEST_F(StackAdded, DynamicFramesAreRefused) {
  graph_.frames["Run"].dynamic = true;
  image_.functions[kLeaf].moves_stack = true;
  Run();
  EXPECT_THAT(problems_,
              ElementsAre(HasSubstr("Run: its stack frame has no fixed size"),
                          HasSubstr("Leaf: its stack frame has no fixed size")));
}

TEST_F(StackAdded, AnUnlistedIndirectCallIsRefused) {
  image_.functions[kRun].indirect_calls = 1;
  Run();
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("Run: an indirect call that the budget file does not list")));
}

TEST_F(StackAdded, AnIndirectCallThatOnlyTheCompilerSawIsRefused) {
  graph_.indirect.insert("Run");
  Run();
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("Run: an indirect call")));
}

TEST_F(StackAdded, AListedIndirectCallReachesEachOfItsCallees) {
  Add(0x700, "First", 4, {});
  Add(0x800, "Second", 200, {});
  image_.functions[kRun].indirect_calls = 1;
  image_.addresses_taken = {0x700, 0x800};
  List("Run", 1, {{8, "First", ""}, {9, "Sec*", ""}});
  EXPECT_EQ(Run().entries[0].bytes, 40U + 16 + 200);
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(StackAdded, AnotherIndirectCallInAListedFunctionIsRefused) {
  image_.functions[kRun].indirect_calls = 2;
  List("Run", 1, {{8, "Leaf", ""}});
  Run();
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("line 7: Run makes 2 indirect calls, the rule says 1")));
}

TEST_F(StackAdded, AFunctionWhoseAddressIsTakenMustBeReachedByARule) {
  Add(0x700, "New", 4, {});
  image_.addresses_taken = {0x700};
  Run();
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("New: its address is taken, but no `indirect` rule says who calls it")));
}

TEST_F(StackAdded, RulesThatFitNothingAnyMoreAreRefused) {
  image_.functions[kRun].indirect_calls = 1;
  List("Run", 1, {{8, "Leaf", ""}, {9, "Gone", ""}});
  List("Left", 1, {{12, "Leaf", ""}});
  List("Leaf", 1, {{14, "Leaf", ""}});  // is there, but calls nobody through a pointer
  rules_.own_stack.push_back({20, "Nobody", "why"});
  Run();
  EXPECT_THAT(problems_,
              ElementsAre(HasSubstr("line 9: no function 'Gone' is in the image"),
                          HasSubstr("no function 'Left' with an indirect call"),
                          HasSubstr("no function 'Leaf' with an indirect call"),
                          HasSubstr("line 20: no function 'Nobody'")));
}

TEST_F(StackAdded, AnImageWithoutVectorsIsRefused) {
  image_.vectors.clear();
  Run();
  EXPECT_THAT(problems_, ElementsAre(HasSubstr(".vectors names no function")));
}

}  // namespace
}  // namespace faraday::firmware::budget
