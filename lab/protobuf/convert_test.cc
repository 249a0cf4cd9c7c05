#include "lab/protobuf/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace faraday::lab {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

v1::SlotState Slot(const std::string& name, const std::string& lease_slot, const std::string& id, uint32_t epoch) {
  v1::SlotState slot;
  slot.set_slot(name);
  slot.mutable_lease()->set_slot(lease_slot);
  slot.mutable_lease()->set_id(id);
  slot.mutable_lease()->set_epoch(epoch);
  slot.mutable_lease()->set_purpose(id.empty() ? v1::PURPOSE_CARE : v1::PURPOSE_PERSON);
  return slot;
}

TEST(DropForeign, KeepsWhatIsTheRacksOwn) {
  v1::RackState state;
  *state.add_slots() = Slot("r01/01", "r01/01", "r01-01-7", 7);
  *state.add_slots() = Slot("r01/02", "r01/02", "", 3);  // care's need no id
  EXPECT_THAT(DropForeign("r01", &state), IsEmpty());
  EXPECT_EQ(state.slots_size(), 2);
}

TEST(DropForeign, TakesOutWhatAnotherRackOrSlotOwns) {
  const v1::SlotState foreign[] = {
      Slot("r02/01", "r02/01", "r02-01-7", 7),  // another rack's slot
      Slot("r01/01", "r02/01", "r02-01-7", 7),  // its own slot, another rack's lease
      Slot("r01/01", "r01/01", "r02-01-7", 7),  // the lease's id alone
      Slot("r01/01", "r01/02", "r01-02-7", 7),  // another slot's
      Slot("r01/01", "r01/01", "r01-01-8", 7),  // another epoch's
      Slot("nonsense", "nonsense", "r01-01-7", 7),
  };
  for (const v1::SlotState& slot : foreign) {
    v1::RackState state;
    *state.add_slots() = slot;
    *state.add_slots() = Slot("r01/02", "r01/02", "r01-02-4", 4);
    EXPECT_THAT(DropForeign("r01", &state), HasSubstr("r01")) << slot.DebugString();
    ASSERT_EQ(state.slots_size(), 1) << slot.DebugString();
    EXPECT_EQ(state.slots(0).slot(), "r01/02");
  }
}

TEST(CheckLease, AGrantIsOfTheSlotThatWasAskedFor) {
  EXPECT_TRUE(CheckLease("r01/01", Slot("r01/01", "r01/01", "r01-01-7", 7).lease()).ok());
  EXPECT_THAT(CheckLease("r01/01", Slot("r02/01", "r02/01", "r02-01-7", 7).lease()).message(), HasSubstr("r02-01-7"));
  v1::Lease nameless = Slot("r01/01", "r01/01", "", 7).lease();
  nameless.set_purpose(v1::PURPOSE_JOB);
  EXPECT_FALSE(CheckLease("r01/01", nameless).ok());
}

TEST(EnvironmentFor, OnlyTheSubmitterTechsAndAdminsSeeIt) {
  Job job;
  job.person = {"ana", "user", "radio"};
  EXPECT_TRUE(SeesEnvironment({"ana", "viewer", ""}, job));
  EXPECT_TRUE(SeesEnvironment({"tina", "tech", ""}, job));
  EXPECT_TRUE(SeesEnvironment({"root", "admin", ""}, job));
  EXPECT_FALSE(SeesEnvironment({"bo", "user", "radio"}, job));
  EXPECT_FALSE(SeesEnvironment({"vic", "viewer", ""}, job));
  EXPECT_FALSE(SeesEnvironment({"robot", "ci", "radio"}, job));
  job.person.user.clear();
  EXPECT_FALSE(SeesEnvironment({"", "viewer", ""}, job)) << "no name is nobody's name";
}

}  // namespace
}  // namespace faraday::lab
