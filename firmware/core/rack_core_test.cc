#include "firmware/core/rack_core.h"

#include <gtest/gtest.h>

#include "firmware/core/test_host.h"

namespace faraday::firmware {
namespace {

using link::DoneCode;
using link::Verdict;

struct RackCoreTest : testing::Test {
  FakeNvm nvm;
  TestHost host{nvm};
};

TEST_F(RackCoreTest, Hello_TellsTheBoardAndOpensATerm) {
  const auto reply = host.Hello(5);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->term, 1U);
  EXPECT_EQ(reply->session, 77U);
  EXPECT_EQ(reply->nonce, 5U);
  EXPECT_EQ(reply->slots, 32U);
  EXPECT_EQ(reply->board.view(), "fake");
  EXPECT_TRUE(reply->nvm_lost);
  EXPECT_EQ(reply->next_event_id, 1U);
}

TEST_F(RackCoreTest, Ping_AnswersItsNonce) {
  host.Hello(5);
  const auto reply = host.Do(link::Ping{.nonce = 99});
  EXPECT_EQ(reply.verdict, Verdict::kOk);
  EXPECT_EQ(reply.value, 99U);
}

TEST_F(RackCoreTest, VbusOn_IsAcceptedAndProven) {
  host.Ready();
  const auto reply = host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  ASSERT_EQ(reply.verdict, Verdict::kAccepted);
  EXPECT_GE(reply.wait_ms, kAnswerMs);
  const auto done = host.Await();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, DoneCode::kOk);
  EXPECT_EQ(done->vbus_mv, 5000U);
  EXPECT_TRUE(host.VbusOn(1));
}

}  // namespace
}  // namespace faraday::firmware
