#include "base/result.h"

#include <gtest/gtest.h>

#include "base/units.h"

namespace faraday {
namespace {

Result<int> Half(int n) {
  if (n % 2 != 0) return Status(Code::kInvalidArgument, "odd");
  return n / 2;
}

Result<int> Quarter(int n) {
  FARADAY_TRY_ASSIGN(const int half, Half(n));
  return Half(half);
}

TEST(Result, TryAssign_PassesTheFirstErrorOn) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(6).status().message(), "odd");
  EXPECT_EQ(ToString(Quarter(3).status()), "INVALID_ARGUMENT: odd");
}

TEST(Status, CodeName_CoversTheWireNumbers) {
  EXPECT_EQ(CodeName(Code::kOk), "OK");
  EXPECT_EQ(CodeName(Code::kUnauthenticated), "UNAUTHENTICATED");
  EXPECT_EQ(CodeName(static_cast<Code>(99)), "CODE_?");
}

TEST(Quantity, AddsWithinItsUnit) { EXPECT_EQ(Milliamps(3) + Milliamps(4), Milliamps(7)); }

}  // namespace
}  // namespace faraday
