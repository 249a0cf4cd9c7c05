#include "model/slot_id.h"

#include <gtest/gtest.h>

namespace faraday::model {
namespace {

TEST(SlotId, Parse_TakesOneOrTwoDigitsAndPrintsTwo) {
  EXPECT_EQ(ToString(*ParseSlotId("r01/7")), "r01/07");
  EXPECT_EQ(ParseSlotId("lab-2/132")->number, 132);
}

TEST(SlotId, Parse_RefusesWhatIsNoSlot) {
  for (const char* text : {"", "r01", "r01/", "/7", "r01/0", "r01/x", "r01/7x", "R01/7", "r01/-7", "r01/99999999999"}) {
    const auto slot = ParseSlotId(text);
    ASSERT_FALSE(slot.ok()) << text;
    EXPECT_EQ(slot.status().code(), Code::kInvalidArgument);
    EXPECT_NE(slot.status().message().find("r01/07"), std::string::npos) << "the message shows the form";
  }
}

TEST(LeaseId, RoundTrip_EvenWithDashesInTheRack) {
  const LeaseId lease{{"east-2", 7}, 42};
  EXPECT_EQ(ToString(lease), "east-2-07-42");
  EXPECT_EQ(*ParseLeaseId("east-2-07-42"), lease);
}

TEST(LeaseId, Parse_RefusesWhatIsNoLease) {
  for (const char* text : {"", "-", "--", "r01-07", "r01-07-0", "r01-x-1", "07-42", "r01-0-42"}) {
    EXPECT_FALSE(ParseLeaseId(text).ok()) << text;
  }
}

TEST(RackName, FitsTheLink) {
  EXPECT_TRUE(IsRackName("r01"));
  EXPECT_TRUE(IsRackName("a23456789012345"));
  EXPECT_FALSE(IsRackName("a234567890123456"));
  EXPECT_FALSE(IsRackName("1r"));
}

}  // namespace
}  // namespace faraday::model
