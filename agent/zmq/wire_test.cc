#include "agent/zmq/wire.h"

#include <gtest/gtest.h>

namespace faraday::agent {
namespace {

TEST(Wire, BytesThatAreNoUtf8_LeaveTheMessageReadable) {
  AttemptRecord record;
  record.reason = "a\xff";
  record.serial = record.model = "\xc3";
  record.artifacts = {{"b\xfe", 1, "", ""}};
  v1::Attempt attempt;
  ASSERT_TRUE(attempt.ParseFromString(ToWire(record, "h01").SerializeAsString()));
  EXPECT_EQ(attempt.reason(), "a?");
  EXPECT_EQ(attempt.artifacts(0).name(), "b?");

  Facts facts;
  facts.serial = facts.model = facts.os_version = facts.adb_state = "\x80";
  v1::Device device;
  EXPECT_TRUE(device.ParseFromString(ToWire(facts, "h01", BootTime{}).SerializeAsString()));
  EXPECT_EQ(device.serial(), "?");
}

TEST(Wire, AnAttemptKeepsItsTraceThroughTheJournal) {
  AttemptWish wish;
  wish.attempt = "job-1.1";
  wish.spec.command = {"true"};
  wish.trace = "0123456789abcdef";
  const auto back = FromWire(ToWire(wish));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->trace, wish.trace);
}

TEST(Wire, LongReason_IsCutToFit) {
  AttemptRecord record;
  record.reason.assign(2'000'000, 'x');
  EXPECT_LT(ToWire(record, "h01").ByteSizeLong(), 100'000u);
}

}  // namespace
}  // namespace faraday::agent
