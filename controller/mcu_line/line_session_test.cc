// The host's end against a fake MCU over a line that loses, damages and repeats, with fake time.
#include "controller/mcu_line/line_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "controller/mcu_line/fake_mcu.h"

namespace faraday::controller {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

class Sink final : public LineEvents {
 public:
  void OnUp(const link::HelloReply& reply, Now) override {
    ++ups;
    hello = reply;
  }
  void OnDown(const std::string& reason, Now) override { downs.push_back(reason); }
  void OnReply(const link::Reply& reply, Now) override { replies.push_back(reply.command_id); }
  void OnEvent(const link::Event& event, Now) override { events.push_back(event.id); }
  void OnTelemetry(const link::Telemetry&, Now) override { ++telemetries; }
  int ups = 0;
  int telemetries = 0;
  link::HelloReply hello;
  std::vector<std::string> downs;
  std::vector<uint32_t> replies;
  std::vector<uint32_t> events;
};

class LineSessionTest : public testing::Test {
 protected:
  LineSessionTest() { Make(); }
  void Make() {
    session = std::make_unique<LineSession>("r01",
                                            "test",
                                            5,
                                            sink,
                                            LineSession::Hooks{[this](std::span<const uint8_t> wire) {
                                                                 to_mcu.insert(to_mcu.end(), wire.begin(), wire.end());
                                                                 if (first_hello.empty()) first_hello = to_mcu;
                                                               },
                                                               [this](const std::string& why) { superseded = why; },
                                                               nullptr});
  }
  // Carries bytes to and fro until both are quiet.
  void Exchange() {
    while (!to_mcu.empty() || !to_host.empty()) {
      std::vector<uint8_t> there;
      there.swap(to_mcu);
      mcu.Feed(there, &to_host);
      std::vector<uint8_t> back;
      back.swap(to_host);
      session->OnBytes(back, now);
    }
  }
  void Advance(Milliseconds by, bool beating = true) {
    for (Milliseconds done{0}; done < by; done += kTick) {
      now.boot += kTick;
      if (beating && done.count() % 100 == 0) mcu.Beat(&to_host);
      session->OnTime(now);
      Exchange();
    }
  }
  void Connect() {
    session->Start(now);
    Exchange();
  }
  void AnotherSaysHello() {
    board.term += 1;
    mcu.nonce = 4711;
  }
  void Ping(uint32_t id) { ASSERT_TRUE(session->Send({id, link::Ping{id}}, now).ok()); }

  static constexpr Milliseconds kTick{25};
  FakeBoard board{4};
  FakeMcu mcu{board};
  Sink sink;
  Now now{BootTime(Milliseconds(1'000'000)), {}};
  std::vector<uint8_t> to_mcu;
  std::vector<uint8_t> to_host;
  std::vector<uint8_t> first_hello;
  std::string superseded;
  std::unique_ptr<LineSession> session;
};

TEST_F(LineSessionTest, Hello_IsRepeatedUntilAnswered) {
  mcu.ignore_frames = 2;
  Connect();
  EXPECT_FALSE(session->up());
  Advance(Milliseconds(600));
  EXPECT_TRUE(session->up());
  EXPECT_EQ(sink.ups, 1);
  EXPECT_EQ(sink.hello.board.view(), "fake");
}

TEST_F(LineSessionTest, LostCommand_IsSentAgainAndActsOnce) {
  Connect();
  mcu.ignore_frames = 1;
  Ping(1);
  Exchange();
  EXPECT_TRUE(sink.replies.empty());
  Advance(seconds(1));
  EXPECT_THAT(sink.replies, testing::ElementsAre(1));
  EXPECT_EQ(board.taken.size(), 1u);
  EXPECT_EQ(session->counters().resends, 1u);
}

TEST_F(LineSessionTest, LostReply_IsReplayedAndTheCommandActsOnce) {
  Connect();
  mcu.drop_frames = 1;
  Ping(1);
  Exchange();
  Advance(seconds(1));
  EXPECT_THAT(sink.replies, testing::ElementsAre(1));
  EXPECT_EQ(board.taken.size(), 1u);
}

TEST_F(LineSessionTest, ManyCommands_PassAWindowOfEightInOrder) {
  Connect();
  mcu.ignore_frames = 1;
  for (uint32_t id = 1; id <= 40; ++id) Ping(id);
  Advance(seconds(2));
  ASSERT_EQ(sink.replies.size(), 40u);
  for (uint32_t id = 1; id <= 40; ++id) EXPECT_EQ(board.taken[id - 1].id, id);
}

TEST_F(LineSessionTest, LossesAndDamageOfAllKinds_EachCommandActsOnceAndIsAnswered) {
  std::mt19937 random(7);
  Connect();
  for (uint32_t id = 1; id <= 200; ++id) {
    Ping(id);
    if (id % 3 == 0) mcu.ignore_frames = static_cast<int>(random() % 3);
    if (id % 4 == 0) mcu.drop_frames = static_cast<int>(random() % 3);
    if (id % 5 == 0 && !to_mcu.empty()) to_mcu[random() % to_mcu.size()] ^= static_cast<uint8_t>(1U << random() % 8);
    Advance(Milliseconds(200));
  }
  Advance(seconds(20));
  EXPECT_TRUE(session->up());
  EXPECT_EQ(sink.replies.size(), 200u);
  ASSERT_EQ(board.taken.size(), 200u);
  for (uint32_t id = 1; id <= 200; ++id) EXPECT_EQ(board.taken[id - 1].id, id);
}

TEST_F(LineSessionTest, SequenceNumbers_WrapPastZero) {
  Connect();
  for (uint32_t id = 1; id <= 66'000; ++id) {
    Ping(id);
    if (id % 8 == 0) Exchange();
  }
  Exchange();
  EXPECT_EQ(sink.replies.size(), 66'000u);
}

TEST_F(LineSessionTest, CommandNeverAnswered_BreaksTheLine) {
  Connect();
  mcu.ignore_frames = 1000;
  Ping(1);
  Advance(seconds(30));
  EXPECT_THAT(session->broken(), HasSubstr("did not answer a command sent 10 times"));
}

TEST_F(LineSessionTest, SilentBoard_BreaksTheLine) {
  Connect();
  Advance(seconds(2), false);
  EXPECT_EQ(session->broken(), "");  // keepalives go out, nothing comes
  Advance(seconds(2), false);
  EXPECT_THAT(session->broken(), HasSubstr("no answer for 3000 ms"));
}

TEST_F(LineSessionTest, Events_AreDeliveredOnceAndAcknowledgedWithoutAGap) {
  Connect();
  board.events.push_back({1, 0, link::InputChanged{0, true}});
  board.events.push_back({2, 0, link::InputChanged{0, false}});
  mcu.drop_frames = 2;  // the telemetry and event 1
  Advance(Milliseconds(100));
  EXPECT_EQ(mcu.ack, 0) << "event 2 is held, 1 is missing";
  Advance(seconds(1));
  EXPECT_THAT(sink.events, testing::UnorderedElementsAre(1, 2));
  EXPECT_EQ(mcu.ack, 2);
}

TEST_F(LineSessionTest, EventThisSideCannotRead_IsAcknowledgedAndBlocksNothing) {
  Connect();
  board.events.push_back({1, 0, link::Tripped{1, static_cast<link::TripReason>(99), 0, 0}});
  board.events.push_back({2, 0, link::InputChanged{0, false}});
  Advance(seconds(1));
  EXPECT_THAT(sink.events, testing::ElementsAre(2));
  EXPECT_EQ(mcu.ack, 2);
}

TEST_F(LineSessionTest, VerdictThisSideCannotRead_EndsTheCommand) {
  Connect();
  board.refuse = static_cast<link::Verdict>(99);
  ASSERT_TRUE(session->Send({7, link::SetVbus{1, 0, true}}, now).ok());
  Advance(seconds(1));
  EXPECT_THAT(sink.replies, testing::ElementsAre(7));
  EXPECT_EQ(session->broken(), "");
}

TEST_F(LineSessionTest, RestartedController_TakesUpASessionsEventsWhereTheyStand) {
  board.next_event = 40;
  board.events.push_back({40, 0, link::InputChanged{0, true}});
  board.events.push_back({41, 0, link::InputChanged{0, false}});
  Connect();
  Advance(seconds(2));
  EXPECT_THAT(sink.events, testing::ElementsAre(40, 41));
  EXPECT_EQ(mcu.ack, 41);
}

TEST_F(LineSessionTest, McuReset_FailsWhatIsOutstandingAndSaysHelloAgain) {
  Connect();
  mcu.ignore_frames = 1;
  Ping(1);
  Exchange();
  mcu.Reset();
  Advance(seconds(1));
  EXPECT_THAT(sink.downs, testing::ElementsAre("the board has reset"));
  EXPECT_EQ(sink.ups, 2);
  EXPECT_TRUE(board.taken.empty()) << "never resent across a reset";
}

TEST_F(LineSessionTest, NewerController_SupersedesThisOne) {
  Connect();
  AnotherSaysHello();
  Ping(1);
  Exchange();
  EXPECT_THAT(superseded, HasSubstr("another controller has taken over"));
  EXPECT_THAT(sink.downs, testing::ElementsAre(superseded)) << "what is outstanding is answered";
  const int hellos = mcu.hellos;
  Advance(seconds(5));
  EXPECT_EQ(mcu.hellos, hellos) << "and nothing is sent any more";
}

TEST_F(LineSessionTest, NewerControllersTelemetry_IsReasonToAskAtOnce) {
  Connect();
  AnotherSaysHello();
  Advance(Milliseconds(200));
  EXPECT_NE(superseded, "");
}

TEST_F(LineSessionTest, LostLineThatAnotherHasTakenMeanwhile_IsNotTakenBack) {
  Connect();
  session->Stop("cut", now);
  AnotherSaysHello();
  const uint32_t term = board.term;
  Connect();
  EXPECT_NE(superseded, "");
  EXPECT_EQ(board.term, term) << "no term was opened";
  EXPECT_EQ(sink.ups, 1);
}

TEST_F(LineSessionTest, LostLineThatNobodyTook_IsTakenUpAgain) {
  Connect();
  for (int i = 0; i < 3; ++i) {
    session->Stop("cut", now);
    mcu.drop_frames = 1;  // our own Hello opens a term that we hear of only when we repeat it
    Connect();
    Advance(seconds(1));
  }
  EXPECT_EQ(superseded, "");
  EXPECT_EQ(sink.ups, 4);
}

TEST_F(LineSessionTest, OwnHelloWhoseAnswerWasLost_IsNotSomebodyElses) {
  Connect();
  session->Stop("cut", now);
  mcu.drop_frames = 1;
  Connect();
  session->Stop("cut again", now);
  Connect();
  EXPECT_FALSE(session->up()) << "refused: a later term is open than the one we know of";
  Advance(seconds(1));
  EXPECT_EQ(superseded, "");
  EXPECT_TRUE(session->up());
}

TEST_F(LineSessionTest, RefusalOfSomebodyElsesHello_BreaksNoLineThatIsUp) {
  Connect();
  mcu.Refuse(link::RefusalReason::kWrongRack, board.term, &to_host);
  mcu.Refuse(link::RefusalReason::kWrongProtocol, board.term, &to_host);
  Exchange();
  EXPECT_EQ(session->broken(), "");
}

TEST_F(LineSessionTest, LateCopyOfOurOwnHello_DoesNotEndUs) {
  Connect();
  const std::vector<uint8_t> copy = first_hello;
  session->Stop("cut", now);
  Connect();
  mcu.Feed(copy, &to_host);
  Ping(1);
  Advance(seconds(1));
  EXPECT_EQ(superseded, "");
  EXPECT_TRUE(session->up());
  EXPECT_TRUE(board.taken.empty()) << "outstanding commands are not repeated in the next term";
  Ping(2);
  Advance(seconds(1));
  EXPECT_THAT(sink.replies, testing::ElementsAre(2));
}

TEST_F(LineSessionTest, LateFramesOfTheSessionBeforeTheReset_AreNoOtherReset) {
  Connect();
  mcu.Beat(&to_host);
  const std::vector<uint8_t> late = to_host;
  to_host.clear();
  mcu.Reset();
  Advance(seconds(2));
  ASSERT_EQ(sink.ups, 2);
  session->OnBytes(late, now);
  EXPECT_TRUE(session->up());
  EXPECT_EQ(sink.downs.size(), 1u);
}

TEST_F(LineSessionTest, BoardThatFallsSilent_IsAskedWithinThreeTelemetryPeriods) {
  Connect();
  Advance(Milliseconds(100));
  mcu.Reset();  // it speaks only when spoken to
  Advance(Milliseconds(400), false);
  EXPECT_EQ(sink.ups, 2);
}

TEST_F(LineSessionTest, RefusalOfAnOlderTerm_IsNoReasonToEnd) {
  Connect();
  mcu.Refuse(link::RefusalReason::kSuperseded, 0, &to_host);
  Exchange();
  EXPECT_EQ(superseded, "");
}

TEST_F(LineSessionTest, BoundToAnotherRack_SaysSo) {
  mcu.wrong_rack = "r02";
  Connect();
  EXPECT_EQ(session->broken(), "the board is bound to rack r02, this config says r01; check the cable or the config");
}

TEST_F(LineSessionTest, GarbageOnTheLine_IsCountedAndChangesNothing) {
  Connect();
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) to_host.push_back(static_cast<uint8_t>(random()));
  to_host.push_back(0);
  Exchange();
  Ping(1);
  Advance(Milliseconds(100));
  EXPECT_TRUE(session->up());
  EXPECT_THAT(sink.replies, testing::ElementsAre(1));
  EXPECT_GT(session->counters().frames_bad, 10u);
}

TEST_F(LineSessionTest, TelemetryGaps_AreCounted) {
  Connect();
  mcu.Beat(&to_host);
  Exchange();
  board.telemetry_number += 3;
  mcu.Beat(&to_host);
  Exchange();
  EXPECT_EQ(session->counters().telemetry_gaps, 3u);
}

TEST_F(LineSessionTest, Keepalive_GoesOutEachSecondAndAbsenceIsAnnounced) {
  Connect();
  Advance(seconds(2));
  EXPECT_EQ(mcu.away_ms, 0u);
  mcu.ignore_frames = 1;
  session->SendAway(seconds(60), now);
  Exchange();
  EXPECT_EQ(mcu.away_ms, 0u) << "lost";
  Advance(kTick);
  EXPECT_EQ(mcu.away_ms, 60'000u);
  EXPECT_THAT(session->Send({1, link::Ping{1}}, now).message(), HasSubstr("the controller is ending"));
  mcu.away_ms = 0;
  EXPECT_TRUE(session->Send({2, link::StopSlot{1}}, now).ok()) << "the safe direction";
  Exchange();
  EXPECT_TRUE(std::holds_alternative<link::StopSlot>(board.taken.back().call));
  Advance(kTick);
  EXPECT_EQ(mcu.away_ms, 60'000u) << "announced again after it";
}

TEST_F(LineSessionTest, AnnouncedAbsence_HoldsBackWhatWaitsButNoStop) {
  Connect();
  for (uint32_t id = 1; id <= link::kWindow + 5u; ++id) Ping(id);
  session->SendAway(seconds(60), now);
  EXPECT_TRUE(session->Send({90, link::StopSlot{1}}, now).ok());
  for (int i = 0; i < 20; ++i) Exchange();
  ASSERT_EQ(board.taken.size(), link::kWindow + 1u);
  EXPECT_TRUE(std::holds_alternative<link::StopSlot>(board.taken.back().call));
}

TEST_F(LineSessionTest, RetransmissionTime_StaysAboveFiftyMilliseconds) {
  Connect();
  for (uint32_t id = 1; id <= 50; ++id) {
    Ping(id);
    Exchange();
  }
  EXPECT_EQ(session->rto(), kRtoMin);
}

TEST_F(LineSessionTest, QueueIsBounded) {
  Connect();
  Status last;
  for (uint32_t id = 1; id <= kMaxQueued + link::kWindow + 1; ++id) last = session->Send({id, link::Ping{id}}, now);
  EXPECT_EQ(last.code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace faraday::controller
