#include "agent/core/rack_owners.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace faraday::agent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class RackOwnersTest : public testing::Test {
 protected:
  RackOwnersTest() {
    owners_.Add("tcp://10.0.0.1:7700");
    owners_.Add("tcp://10.0.0.2:7700");
  }
  std::vector<std::string> Own(int controller, const std::vector<std::string>& names) {
    std::vector<SlotWish> slots(names.size());
    for (size_t i = 0; i < names.size(); ++i) slots[i].slot = names[i];
    std::vector<std::string> own;
    for (const SlotWish& slot : owners_.OwnOf(controller, slots)) own.push_back(slot.slot);
    return own;
  }
  std::map<std::string, std::string> roster_;
  RackOwners owners_{[this](const std::string& endpoint) { return roster_[endpoint]; }};
};

TEST_F(RackOwnersTest, TheRosterSaysWhoseRackItIs) {
  roster_ = {{"tcp://10.0.0.1:7700", "r01"}, {"tcp://10.0.0.2:7700", "r02"}};
  EXPECT_THAT(Own(1, {"r01/01", "r02/01"}), ElementsAre("r02/01")) << "also when it speaks first";
  EXPECT_THAT(Own(0, {"r01/01", "r02/01"}), ElementsAre("r01/01"));
}

TEST_F(RackOwnersTest, WithoutARosterTheFirstNamedRackIsItsOwnForThisRun) {
  EXPECT_THAT(Own(0, {"r01/01", "r01/02"}), ElementsAre("r01/01", "r01/02"));
  EXPECT_THAT(Own(1, {"r01/01"}), IsEmpty()) << "the first who named it has it";
  EXPECT_THAT(Own(1, {"r02/01", "r01/01"}), ElementsAre("r02/01"));
  EXPECT_THAT(Own(0, {"r02/01"}), IsEmpty());
  EXPECT_THAT(Own(0, {}), IsEmpty());
  EXPECT_THAT(Own(0, {"r01/01"}), ElementsAre("r01/01"));
}

TEST_F(RackOwnersTest, ANewRosterTakesARackFromWhoeverNamedItFirst) {
  EXPECT_THAT(Own(1, {"r01/01"}), ElementsAre("r01/01"));
  roster_ = {{"tcp://10.0.0.1:7700", "r01"}};
  EXPECT_THAT(Own(1, {"r01/01"}), IsEmpty());
  EXPECT_THAT(Own(0, {"r01/01"}), ElementsAre("r01/01"));
  roster_.clear();
  EXPECT_THAT(Own(1, {"r01/01"}), IsEmpty());
  EXPECT_THAT(Own(0, {"r01/01"}), ElementsAre("r01/01"));
}

TEST_F(RackOwnersTest, NamesThatAreNoSlotsAndTooManyAreLeftOut) {
  EXPECT_THAT(Own(0, {"r01/01", "r01/1", "r01/", "", "r01/99999", "r01/02 3"}), ElementsAre("r01/01"));
  std::vector<std::string> many;
  for (int i = 1; i <= 2000; ++i) many.push_back("r01/" + std::to_string(1000 + i));
  EXPECT_EQ(Own(0, many).size(), kMostSlotsASync);
}

}  // namespace
}  // namespace faraday::agent
