#include "access/rights.h"

#include <gtest/gtest.h>

#include <set>

namespace faraday::access {
namespace {

TEST(Rights, EveryCallIsFoundByItsNumberOnce) {
  std::set<int> numbers;
  for (size_t i = 1; i < kCallRows.size(); ++i) {
    EXPECT_TRUE(numbers.insert(kCallRows[i].number).second) << kCallRows[i].name;
    EXPECT_EQ(CallOfNumber(kCallRows[i].number), static_cast<Call>(i));
    EXPECT_EQ(RightOf(static_cast<Call>(i), Role::kNone, Ownership::kHolder), Right::kDenied) << "no role, no right";
  }
  EXPECT_EQ(CallOfNumber(0), Call::kNone);
  EXPECT_EQ(CallOfNumber(9999), Call::kNone);
}

TEST(Rights, CodesMayOnlyEnrol) {
  for (size_t i = 1; i < kCallRows.size(); ++i) {
    const auto call = static_cast<Call>(i);
    EXPECT_EQ(MayEver(call, Role::kCode), call == Call::kEnrol || call == Call::kWhoAmI) << kCallRows[i].name;
  }
}

TEST(Rights, BeyondTheLeaseOnlyWithAReason) {
  const Caller tech{"tom", Role::kTech, ""};
  EXPECT_EQ(CheckRight(Call::kPower, tech, Ownership::kOther, "", "r01/07").code(), Code::kInvalidArgument);
  EXPECT_TRUE(CheckRight(Call::kPower, tech, Ownership::kOther, "smells", "r01/07").ok());
  const Status refused =
      CheckRight(Call::kPower, {"bob", Role::kUser, ""}, Ownership::kOther, "please", "r01/07 is leased to ana");
  EXPECT_EQ(refused.code(), Code::kPermissionDenied);
  EXPECT_EQ(refused.message(),
            "r01/07 is leased to ana: bob (role user) may not power; the holder (role user, ci, tech, admin, lab); the "
            "agent named in it; role tech, admin with a reason may");
}

}  // namespace
}  // namespace faraday::access
