#include "rpc/connection_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace faraday::rpc {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr size_t kMiB = 1 << 20;

class ConnectionTableTest : public testing::Test {
 protected:
  std::map<int, uint64_t> taken_;
  std::map<int, uint64_t> came_;
  ConnectionTable table_{{.open = 6,
                          .unclaimed = 4,
                          .per_caller = 2,
                          .unread_of_one = 2 * kMiB,
                          .unread_of_all = 4 * kMiB,
                          .unfinished_of_one = 2 * kMiB,
                          .unfinished_of_all = 3 * kMiB},
                         [this](int fd) {
                           return ConnectionTable::Bytes{taken_[fd], came_[fd]};
                         }};
};

TEST_F(ConnectionTableTest, AFloodPushesOutItsOwnOldest) {
  EXPECT_THAT(table_.Opened(1, "good"), IsEmpty());
  for (const int fd : {2, 3, 4}) EXPECT_THAT(table_.Opened(fd, "bad"), IsEmpty());
  EXPECT_THAT(table_.Opened(5, "bad"), ElementsAre(2));
  EXPECT_THAT(table_.Opened(6, "other"), ElementsAre(3));
  EXPECT_TRUE(table_.Knows(1));
  EXPECT_EQ(table_.open(), 4U);
  EXPECT_EQ(table_.unclaimed(), 4U);
}

TEST_F(ConnectionTableTest, AClaimedOneIsNotPushedOut) {
  for (const int fd : {1, 2, 3, 4, 5, 6}) {
    EXPECT_THAT(table_.Opened(fd, "a"), IsEmpty());
    EXPECT_TRUE(table_.Claim(fd, "caller" + std::to_string(fd)));
  }
  EXPECT_EQ(table_.unclaimed(), 0U);
  EXPECT_THAT(table_.Opened(7, "a"), ElementsAre(7)) << "full of claimed ones: the new one goes";
  table_.Closed(3);
  EXPECT_THAT(table_.Opened(8, "a"), IsEmpty());
}

TEST_F(ConnectionTableTest, OneCallerHasABoundedNumber) {
  for (const int fd : {1, 2, 3}) table_.Opened(fd, "a");
  EXPECT_TRUE(table_.Claim(1, "ana"));
  EXPECT_TRUE(table_.Claim(1, "ana")) << "each call claims again";
  EXPECT_TRUE(table_.Claim(2, "ana"));
  EXPECT_FALSE(table_.Claim(3, "ana"));
  EXPECT_TRUE(table_.Claim(3, "bob"));
  table_.Closed(1);
  table_.Opened(4, "a");
  EXPECT_TRUE(table_.Claim(4, "ana")) << "a closed one no longer counts";
  EXPECT_TRUE(table_.Claim(99, "ana")) << "not known: not counted";
}

TEST_F(ConnectionTableTest, WhoDoesNotReadIsCutOff) {
  table_.Opened(1, "a");
  EXPECT_THAT(table_.Sending(1, kMiB), IsEmpty());
  EXPECT_THAT(table_.Sending(1, kMiB), ElementsAre(1));
  EXPECT_EQ(table_.open(), 0U);
  EXPECT_FALSE(table_.MaySend(1, 10));
  EXPECT_GT(table_.unread(), 2 * kMiB) << "libzmq still holds it";
  table_.Closed(1);
  EXPECT_EQ(table_.unread(), 0U);
}

TEST_F(ConnectionTableTest, WhoReadsIsNot) {
  table_.Opened(1, "a");
  for (int i = 0; i < 100; ++i) {
    ASSERT_THAT(table_.Sending(1, kMiB), IsEmpty());
    taken_[1] += kMiB;
  }
  EXPECT_LE(table_.unread(), 2 * kMiB);
}

TEST_F(ConnectionTableTest, WhatWasTakenMoreThanSentIsNoCredit) {
  table_.Opened(1, "a");
  taken_[1] = 100 * kMiB;  // heartbeats of a year
  table_.Sending(1, 2 * kMiB);
  table_.Sending(1, kMiB);
  EXPECT_THAT(table_.Sending(1, kMiB), ElementsAre(1));
}

TEST_F(ConnectionTableTest, AllTogetherAreBoundedAndTheLargestGo) {
  for (const int fd : {1, 2, 3, 4}) table_.Opened(fd, "a");
  EXPECT_THAT(table_.Sending(1, kMiB / 8), IsEmpty());
  EXPECT_THAT(table_.Sending(2, kMiB + kMiB / 2), IsEmpty());
  EXPECT_THAT(table_.Sending(3, kMiB + kMiB / 4), IsEmpty());
  EXPECT_THAT(table_.Sending(4, kMiB + kMiB / 2 + 1), ElementsAre(4));
  EXPECT_TRUE(table_.MaySend(1, 10) && table_.MaySend(2, 10) && table_.MaySend(3, 10));
  EXPECT_FALSE(table_.MaySend(1, kMiB)) << "libzmq still holds the answers of the fourth";
  table_.Closed(4);
  EXPECT_LE(table_.unread(), 3 * kMiB);
  EXPECT_TRUE(table_.MaySend(1, kMiB));
}

TEST_F(ConnectionTableTest, WhoDoesNotHeedRefusalsIsCutOff) {
  const BootTime start{Milliseconds(1'000'000)};
  table_.Opened(1, "a");
  for (int i = 0; i < 200; ++i) ASSERT_THAT(table_.Refused(1, 1, start), IsEmpty());
  EXPECT_THAT(table_.Refused(1, 1, start), ElementsAre(1));
  table_.Opened(2, "a");
  for (int i = 0; i < 20; ++i) ASSERT_THAT(table_.Refused(2, 10, start), IsEmpty());
  EXPECT_THAT(table_.Refused(2, 1, start + Milliseconds(10'001)), IsEmpty()) << "old ones are forgotten";
}

TEST_F(ConnectionTableTest, WhoSubscribesToTooMuchIsCutOff) {
  table_.Opened(1, "a");
  EXPECT_THAT(table_.Subscribed(1, 16'000), IsEmpty());
  EXPECT_THAT(table_.Subscribed(1, -8'000), IsEmpty());
  EXPECT_THAT(table_.Subscribed(1, 8'000), IsEmpty());
  EXPECT_THAT(table_.Subscribed(1, 1'000), ElementsAre(1));
}

TEST_F(ConnectionTableTest, AMessageWithoutAnEndIsCutOff) {
  table_.Opened(1, "a");
  table_.Opened(2, "a");
  for (int i = 0; i < 100; ++i) {
    came_[1] += kMiB;
    table_.Heard(1);
    ASSERT_THAT(table_.Sweep(), IsEmpty()) << "whole messages";
  }
  came_[2] += kMiB;
  EXPECT_THAT(table_.Sweep(), IsEmpty());
  came_[2] += kMiB + 1;
  EXPECT_THAT(table_.Sweep(), ElementsAre(2));
}

TEST_F(ConnectionTableTest, UnfinishedMessagesAreBoundedTogether) {
  for (const int fd : {1, 2, 3}) {
    table_.Opened(fd, "a");
    came_[fd] = kMiB + static_cast<uint64_t>(fd);
  }
  EXPECT_THAT(table_.Sweep(), ElementsAre(3));
  EXPECT_EQ(table_.open(), 2U);
  EXPECT_FALSE(table_.MaySend(3, 10));
}

TEST_F(ConnectionTableTest, AnFdThatCameAgainIsAnotherConnection) {
  table_.Opened(1, "a");
  table_.Claim(1, "ana");
  table_.Opened(1, "b");
  table_.Opened(2, "b");
  table_.Opened(3, "b");
  EXPECT_TRUE(table_.Claim(2, "ana"));
  EXPECT_TRUE(table_.Claim(3, "ana"));
  EXPECT_EQ(table_.open(), 3U);
}

}  // namespace
}  // namespace faraday::rpc
