// Leases: who gets them, who may use them, how they end.
#include "controller/core/rack_fixture.h"

namespace faraday::controller {
namespace {

TEST_F(RackTest, Grant_IsOnDiskBeforeTheAnswerAndAtTheBoard) {
  Connect();
  const auto lease = Acquire("r01/03", "ana");
  ASSERT_TRUE(lease.ok()) << lease.status().message();
  EXPECT_EQ(lease->id, "r01-03-2");
  EXPECT_EQ(store.tenures[3].phase, Phase::kLeased);
  EXPECT_EQ(board.At(3).epoch, 2u);
  EXPECT_EQ(board.At(3).left_ms, 602'000u);
}

TEST_F(RackTest, LeasedSlot_IsRefusedNamingHolderAndEnd) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  const auto lease = Acquire("r01/03", "bo");
  EXPECT_EQ(lease.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(lease.status().message(), HasSubstr("r01/03 is leased by ana until "));
  EXPECT_THAT(lease.status().message(), HasSubstr("(lease r01-03-2)"));
}

TEST_F(RackTest, CallsNameTheirBoardsCommands) {
  Connect();
  const auto lease = Acquire("r01/03", "ana");
  ASSERT_TRUE(lease.ok());
  CallContext context = As("ana");
  context.commands = std::make_shared<std::vector<std::string>>();
  ASSERT_TRUE(Power("r01/03", lease->tenure.epoch, context).ok());
  ASSERT_TRUE(Power("r01/03", lease->tenure.epoch, context, false).ok());
  ASSERT_EQ(context.commands->size(), 2U);
  EXPECT_THAT(context.commands->front(), testing::MatchesRegex("board 0 session [0-9a-f]{4,8} command [0-9]+"));
  EXPECT_NE(context.commands->front(), context.commands->back());
  ASSERT_TRUE(rack->grants().Release(context, {lease->id, false, ""}, now).ok());
  EXPECT_EQ(context.commands->size(), 3U) << "handing the slot back to care";
  EXPECT_FALSE(Power("r01/03", 1, context).ok());
  EXPECT_EQ(context.commands->size(), 3U) << "refused before a command was sent";
}

TEST_F(RackTest, Switch_NeedsTheCurrentEpochAndTheHolder) {
  Connect();
  const auto lease = Acquire("r01/03", "ana");
  ASSERT_TRUE(Acquire("r01/04", "ana").ok());
  struct Row {
    const char* what;
    uint32_t epoch;
    CallContext as;
    Code code;
  };
  const Row rows[] = {
      {"holder", 2, As("ana"), Code::kOk},
      {"another user", 2, As("bo"), Code::kPermissionDenied},
      {"an epoch that was", 1, As("ana"), Code::kAborted},
      {"an epoch to come", 3, As("ana"), Code::kAborted},
      {"holder without epoch", 0, As("ana"), Code::kInvalidArgument},
      {"viewer of the same name", 2, As("ana", Role::kViewer), Code::kPermissionDenied},
      {"another's agent", 2, As("h01", Role::kAgent), Code::kPermissionDenied},
      {"tech without reason", 0, As("tina", Role::kTech), Code::kInvalidArgument},
  };
  for (const Row& row : rows) EXPECT_EQ(Power("r01/03", row.epoch, row.as).code(), row.code) << row.what;
  EXPECT_TRUE(Power("r01/03", 0, As("tina", Role::kTech), true, "smells").ok());
  EXPECT_EQ(store.audit.back().text, "power on: smells");
  EXPECT_EQ(Power("r01/09", 2, As("ana")).code(), Code::kNotFound);
  EXPECT_EQ(Power("nonsense", 2, As("ana")).code(), Code::kInvalidArgument);
}

TEST_F(RackTest, FreeSlot_TellsToReserveFirst) {
  Connect();
  const Status status = Power("r01/03", 1, As("ana"));
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_EQ(status.message(), "r01/03 is free: reserve it first");
}

TEST_F(RackTest, LeasesAgentMaySwitch) {
  Connect();
  ASSERT_TRUE(Acquire("r01/01", "ana").ok());
  EXPECT_TRUE(Power("r01/01", 2, As("h01", Role::kAgent)).ok());
}

TEST_F(RackTest, Expiry_GivesTheSlotToCareAndFencesTheHolder) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana", seconds(20)).ok());
  Advance(seconds(19));
  EXPECT_EQ(book->at(3).phase, Phase::kLeased);
  Advance(seconds(2));
  EXPECT_EQ(book->at(3).phase, Phase::kCare) << "no agent, nothing to clean";
  EXPECT_EQ(board.At(3).epoch, 3u);
  EXPECT_TRUE(board.At(3).safe);
  const Status status = Power("r01/03", 2, As("ana"));
  EXPECT_EQ(status.code(), Code::kAborted);
  EXPECT_THAT(status.message(), HasSubstr("epoch 2 is not current (3 is)"));
}

TEST_F(RackTest, Release_OnlyByHolderOrForcedWithReason) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  EXPECT_EQ(rack->grants().Release(As("bo"), {"r01-03-2", true, "mine"}, now).status().code(), Code::kPermissionDenied);
  EXPECT_EQ(rack->grants().Release(As("tina", Role::kTech), {"r01-03-2", true, ""}, now).status().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(rack->grants().Release(As("tina", Role::kTech), {"r01-03-2", false, "fire"}, now).status().code(),
            Code::kFailedPrecondition);
  EXPECT_TRUE(rack->grants().Release(As("tina", Role::kTech), {"r01-03-2", true, "fire"}, now).ok());
  EXPECT_EQ(store.audit.back().text, "ended by tina: fire");
  EXPECT_EQ(rack->grants().Release(As("ana"), {"r01-03-2", false, ""}, now).status().code(), Code::kNotFound);
}

TEST_F(RackTest, HolderGone_LeaseEndsAndOthersStay) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  ASSERT_TRUE(Acquire("r01/04", "bo").ok());
  const auto ana_is_gone = [](const std::string& holder) {
    return holder == "ana" ? std::string("user ana is disabled at the lab") : std::string();
  };
  store.failing = true;
  rack->grants().EndOfGone(ana_is_gone, now);
  EXPECT_EQ(book->at(3).phase, Phase::kLeased) << "what is not on disk did not happen";
  store.failing = false;
  rack->grants().EndOfGone(ana_is_gone, now);
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
  EXPECT_EQ(book->at(4).phase, Phase::kLeased);
  EXPECT_EQ(store.audit.back().text, "user ana is disabled at the lab");
  EXPECT_THAT(events.lines.back(),
              HasSubstr("lease.ended ana's lease r01-03-2 is over: user ana is disabled at the lab"));
  EXPECT_EQ(Power("r01/03", 2, As("ana")).code(), Code::kAborted);
  line->Run(now);
  EXPECT_EQ(board.At(3).epoch, 3u) << "the board is told";
}

TEST_F(RackTest, EndWithoutACall_IsToldForTheAuditOthersAreNot) {
  Connect();
  std::vector<std::string> told;
  rack->grants().OnOwnEnd([&](const OwnEnd& end) {
    told.push_back(fmt::format("{} {} {} {} [{}]", end.slot, end.lease, end.holder, end.why, end.trace));
  });
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  ASSERT_TRUE(Acquire("r01/04", "bo", seconds(5)).ok());
  ASSERT_TRUE(Acquire("r01/01", "cem").ok());
  ASSERT_TRUE(rack->grants().Release(As("cem"), {"r01-01-2", false, ""}, now).ok());
  EXPECT_THAT(told, IsEmpty()) << "the call's own records say it";
  Advance(seconds(6));
  const auto ana_is_gone = [](const std::string& holder) { return std::string(holder == "ana" ? "gone" : ""); };
  store.failing = true;
  rack->grants().EndOfGone(ana_is_gone, now);
  EXPECT_EQ(told, std::vector<std::string>{"r01/04 r01-04-2 bo it has run out [trace]"});
  store.failing = false;
  rack->grants().EndOfGone(ana_is_gone, now);
  EXPECT_EQ(told.back(), "r01/03 r01-03-2 ana gone [trace]");
  EXPECT_EQ(told.size(), 2u);
}

TEST_F(RackTest, ReservationOfALab_IsSaidByLabsOnly) {
  Connect();
  AcquireRequest request;
  request.slot = "r01/03";
  request.purpose = Purpose::kPerson;
  request.reservation = "job-1.1";
  std::optional<Result<LeaseView>> answer;
  const auto take = [&](Result<LeaseView> lease, Now) { answer = std::move(lease); };
  rack->grants().Acquire(As("tina", Role::kTech), request, take, now);
  line->Run(now);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status().code(), Code::kInvalidArgument);
  EXPECT_THAT(answer->status().message(), HasSubstr("reservation job-1.1 is a lab's to say"));
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
  rack->grants().Acquire(As("lab", Role::kLab), request, take, now);
  line->Run(now);
  EXPECT_TRUE(answer->ok()) << answer->status().message();
}

TEST_F(RackTest, Renew_UpToTheHardMaximumFromTheGrant) {
  config.controller.lease_max_ms = Milliseconds(minutes(30)).count();
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana", minutes(10)).ok());
  Advance(minutes(8));
  ASSERT_TRUE(rack->grants().Renew(As("ana"), "r01-03-2", minutes(20), now).ok());
  EXPECT_EQ(book->LeftOf(3, now), minutes(20));
  line->Run(now);
  EXPECT_EQ(board.At(3).left_ms, 1'202'000u);
  const auto more = rack->grants().Renew(As("ana"), "r01-03-2", minutes(23), now);
  EXPECT_EQ(more.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(more.status().message(), HasSubstr("outside 1000 to 1320000 ms"));
}

TEST_F(RackTest, RenewWithoutALine_IsKeptAndToldAtTheNextHandshake) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana", seconds(60)).ok());
  line->Down("cut", now);
  ASSERT_TRUE(rack->grants().Renew(As("ana"), "r01-03-2", minutes(5), now).ok());
  line->Up(now);
  line->Run(now);
  EXPECT_EQ(board.At(3).left_ms, 302'000u);
}

}  // namespace
}  // namespace faraday::controller
