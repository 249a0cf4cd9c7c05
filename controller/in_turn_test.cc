#include "controller/in_turn.h"

#include <gtest/gtest.h>

#include <vector>

namespace faraday::controller {
namespace {

class InTurnTest : public ::testing::Test {
 protected:
  InTurn::Steps Three(Milliseconds longest) {
    return {3, [this](int step) { begun_.push_back(step); }, [this](int step) { return step < done_; }, longest};
  }
  // Turns the loop until so many steps have begun, 20 s at most.
  bool Begun(size_t count) {
    const BootTime end = BootClock::now() + std::chrono::seconds(20);
    while (begun_.size() < count && BootClock::now() < end) loop_.RunOnce(Milliseconds(20));
    return begun_.size() == count;
  }
  // Turns it for some rounds of asking.
  void GoOn() {
    int rounds = 0;
    const evloop::Handle counter = loop_.AddPeriodic("rounds", InTurn::kAsk, [&rounds] { ++rounds; });
    while (rounds < 4) loop_.RunOnce(Milliseconds(20));
    loop_.Remove(counter);
  }

  evloop::Loop loop_;
  std::vector<int> begun_;
  int done_ = 0;
};

TEST_F(InTurnTest, EachStepWaitsForTheOneBefore) {
  InTurn steps(loop_, Three(std::chrono::hours(1)));
  EXPECT_EQ(begun_, std::vector<int>({0}));
  GoOn();
  EXPECT_EQ(begun_, std::vector<int>({0}));
  done_ = 1;
  EXPECT_TRUE(Begun(2));
  GoOn();
  EXPECT_EQ(begun_, std::vector<int>({0, 1}));
  done_ = 2;
  EXPECT_TRUE(Begun(3));
  done_ = 3;
  GoOn();
  EXPECT_EQ(begun_, std::vector<int>({0, 1, 2}));
}

TEST_F(InTurnTest, AStepThatIsNeverDoneHoldsUpTheNextForItsTime) {
  InTurn steps(loop_, Three(Milliseconds(100)));
  EXPECT_TRUE(Begun(3));
}

TEST_F(InTurnTest, NothingBeginsAfterTheEnd) {
  InTurn steps(loop_, Three(Milliseconds(0)));
  steps.End();
  GoOn();
  EXPECT_EQ(begun_, std::vector<int>({0}));
}

}  // namespace
}  // namespace faraday::controller
