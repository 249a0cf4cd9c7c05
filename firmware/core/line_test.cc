// The line's rules: terms, sessions, the ordered window, replay, refusals, events, telemetry.
#include <gtest/gtest.h>

#include "firmware/core/test_host.h"

namespace faraday::firmware {
namespace {

using link::RefusalReason;
using link::Verdict;

struct LineTest : testing::Test {
  RefusalReason LastRefusal() const {
    return host.refusals.empty() ? RefusalReason::kUnknown : host.refusals.back().reason;
  }
  FakeNvm nvm;
  TestHost host{nvm};
};

TEST_F(LineTest, Hello_TellsTheBoardAndOpensATerm) {
  const auto reply = host.Hello(5);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->term, 1U);
  EXPECT_EQ(reply->session, 77U);
  EXPECT_EQ(reply->nonce, 5U);
  EXPECT_EQ(reply->slots, 32U);
  EXPECT_EQ(reply->capabilities.size(), 32U);
  EXPECT_EQ(reply->board.view(), "fake");
  EXPECT_TRUE(reply->rack.empty());
  EXPECT_TRUE(reply->nvm_lost);
  EXPECT_EQ(reply->next_event_id, 1U);
  EXPECT_EQ(reply->config_crc, 0U);
}

TEST_F(LineTest, RepeatedHello_GetsTheSameTermAndKeepsTheWindow) {
  host.Hello(5);
  host.Do(link::Ping{.nonce = 1});
  const auto again = host.Hello(5);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->term, 1U);
  EXPECT_EQ(host.Do(link::Ping{.nonce = 2}).value, 2U);
  EXPECT_EQ(host.Hello(6)->term, 2U);
}

TEST_F(LineTest, TermIsInMemoryBeforeTheReply) {
  host.Hello(1);
  host.Hello(2);
  TestHost after_reset(nvm, 78);
  EXPECT_EQ(after_reset.Hello(3)->term, 3U);
}

TEST_F(LineTest, OlderTerm_IsSuperseded) {
  host.Hello(1);
  const link::FrameHeader old = host.Header(link::Channel::kKeepalive);
  host.Hello(2);
  host.SendMessage(old, link::Keepalive{});
  ASSERT_EQ(LastRefusal(), RefusalReason::kSuperseded);
  EXPECT_EQ(host.refusals.back().term, 2U);
}

TEST_F(LineTest, HostThatWasOvertaken_CannotTakeTheLineBack) {
  host.Hello(1);
  const link::Hello again{
      .rack = "r01", .host_version = "test", .nonce = 2, .last_session = host.session, .last_term = 1};
  host.SendMessage({.channel = link::Channel::kHello}, again);
  ASSERT_TRUE(host.refusals.empty()) << "nobody came between";
  EXPECT_EQ(host.hello_reply->term, 2U);
  host.SendMessage({.channel = link::Channel::kHello}, again);
  EXPECT_TRUE(host.refusals.empty()) << "its own repetition";
  host.Hello(9);
  host.SendMessage(
      {.channel = link::Channel::kHello},
      link::Hello{.rack = "r01", .host_version = "test", .nonce = 3, .last_session = host.session, .last_term = 2});
  ASSERT_EQ(LastRefusal(), RefusalReason::kSuperseded);
  EXPECT_EQ(host.refusals.back().term, 3U);
  EXPECT_EQ(host.refusals.back().nonce, 9U);
  EXPECT_EQ(host.Do(link::Ping{.nonce = 4}).value, 4U) << "the newer host's term goes on";
  // A host that has just been started is the newest, whatever came before; after a reset nobody is overtaken.
  EXPECT_EQ(host.Hello(4)->term, 4U);
  TestHost after_reset(nvm, 78);
  after_reset.SendMessage({.channel = link::Channel::kHello}, again);
  EXPECT_EQ(after_reset.hello_reply->term, 5U);
}

TEST_F(LineTest, AnnouncedAbsence_IsWaitedForUpToTheCeiling) {
  const auto silent_after = [this](uint32_t away_ms) {
    host.Ready();
    host.Do(link::ClearSilence{});
    host.Run(kTelemetryMs);
    host.events.clear();
    host.Keepalive(away_ms);
    const uint32_t from = host.now_ms;
    do {
      host.now_ms += kLongestPassMs - 1;
      host.Pass();
    } while ((host.telemetry.faults & link::kFaultHostSilent) == 0 && host.now_ms - from < 700'000);
    EXPECT_EQ(host.Events<link::HostSilent>().size(), 1U);
    return host.now_ms - from;
  };
  EXPECT_NEAR(silent_after(0), 10'000, 200) << "nothing announced";
  EXPECT_NEAR(silent_after(60'000), 60'000, 200);
  EXPECT_NEAR(silent_after(1'000), 10'000, 200) << "never shorter than without";
  EXPECT_NEAR(silent_after(4'000'000'000U), 600'000, 200) << "host_silent_max_ms is the ceiling";
}

TEST_F(LineTest, OtherSession_IsRefusedBeforeAndAfterHello) {
  host.session = 77;
  host.Keepalive();
  EXPECT_EQ(LastRefusal(), RefusalReason::kWrongSession) << "no term is open yet";
  host.Hello(1);
  host.session = 76;
  EXPECT_FALSE(host.DoAs(1, 1, link::Ping{}));
  EXPECT_EQ(LastRefusal(), RefusalReason::kWrongSession);
  EXPECT_EQ(host.refusals.back().session, 77U);
}

TEST_F(LineTest, TermFromTheFuture_IsRefused) {
  host.Hello(1);
  host.term = 9;
  EXPECT_FALSE(host.DoAs(1, 1, link::Ping{}));
  EXPECT_EQ(LastRefusal(), RefusalReason::kWrongSession);
}

TEST_F(LineTest, OtherProtocol_IsRefused) {
  host.SendMessage({.protocol = 2, .channel = link::Channel::kHello}, link::Hello{});
  EXPECT_EQ(LastRefusal(), RefusalReason::kWrongProtocol);
  EXPECT_FALSE(host.hello_reply);
  link::Hello hello;
  hello.protocol = 2;
  host.SendMessage({.channel = link::Channel::kHello}, hello);
  EXPECT_EQ(host.refusals.size(), 2U);
}

TEST_F(LineTest, BoardIsBoundByTheFirstConfigureAndRefusesOtherRacks) {
  host.Hello(1, "r01");
  host.Do(TestHost::Config());
  EXPECT_EQ(host.Hello(2, "r01")->rack.view(), "r01");
  EXPECT_FALSE(host.Hello(3, "r02"));
  ASSERT_EQ(LastRefusal(), RefusalReason::kWrongRack);
  EXPECT_EQ(host.refusals.back().rack.view(), "r01");
  TestHost after_reset(nvm, 78);
  EXPECT_FALSE(after_reset.Hello(4, "r02"));
  EXPECT_TRUE(after_reset.Hello(5, "r01"));
  EXPECT_TRUE(after_reset.Hello(6, "")) << "a tool that asks for no rack may look";
}

TEST_F(LineTest, RepeatedCommand_IsReplayedAndNotExecutedTwice) {
  host.Ready();
  const uint16_t seq = host.seq++;
  const auto first = host.DoAs(seq, 500, link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  ASSERT_EQ(first->verdict, Verdict::kAccepted);
  host.Run(300);
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = false});
  const auto again = host.DoAs(seq, 500, link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, *first);
  host.Run(1000);
  EXPECT_FALSE(host.VbusOn(1));
}

TEST_F(LineTest, CommandAhead_IsRefusedWithTheOneDue) {
  host.Hello(1);
  EXPECT_FALSE(host.DoAs(3, 1, link::Ping{}));
  ASSERT_EQ(LastRefusal(), RefusalReason::kOutOfOrder);
  EXPECT_EQ(host.refusals.back().expected_seq, 1U);
  EXPECT_FALSE(host.DoAs(0, 1, link::Ping{}));
  EXPECT_EQ(host.refusals.size(), 2U);
}

TEST_F(LineTest, WholeWindowIsReplayed) {
  host.Hello(1);
  for (uint16_t i = 1; i <= 2 * link::kWindow; ++i) EXPECT_EQ(host.DoAs(i, i, link::Ping{.nonce = i})->value, i);
  for (uint16_t i = link::kWindow + 1; i <= 2 * link::kWindow; ++i) {
    EXPECT_EQ(host.DoAs(i, i, link::Ping{.nonce = 0})->value, i);
  }
}

TEST_F(LineTest, CommandNumbersWrapPast65535To1) {
  host.Hello(1);
  for (uint32_t i = 1; i <= 65535; ++i) {
    ASSERT_EQ(host.DoAs(static_cast<uint16_t>(i), 1, link::Ping{.nonce = i})->value, i);
  }
  EXPECT_FALSE(host.DoAs(0, 1, link::Ping{}));
  EXPECT_EQ(host.DoAs(65535, 1, link::Ping{})->value, 65535U) << "still replayed";
  EXPECT_EQ(host.DoAs(1, 1, link::Ping{.nonce = 4})->value, 4U);
}

TEST_F(LineTest, UnknownCommandAndNonsense_AreAnswered) {
  host.Hello(1);
  link::FrameHeader header = host.Header(link::Channel::kCommand);
  header.seq = 1;
  const std::array<uint8_t, 7> newer = {0x08, 0x07, 0xFA, 0x01, 0x02, 0x08, 0x01};  // id 7, an arm numbered 31
  host.Send(header, newer);
  ASSERT_EQ(host.replies.size(), 1U);
  EXPECT_EQ(host.replies[0].command_id, 7U);
  EXPECT_EQ(host.replies[0].verdict, Verdict::kUnknownCommand);
  header.seq = 2;
  const std::array<uint8_t, 4> nonsense = {0x08, 0x09, 0x2A, 0x7F};  // id 9, then a length past the end
  host.Send(header, nonsense);
  ASSERT_EQ(host.replies.size(), 2U);
  EXPECT_EQ(host.replies[1].command_id, 9U);
  EXPECT_EQ(host.replies[1].verdict, Verdict::kInvalid);
  EXPECT_EQ(host.DoAs(3, 0, link::Ping{})->verdict, Verdict::kInvalid) << "id 0";
}

TEST_F(LineTest, TelemetryComesTenTimesASecondAndOnlyWithAHost) {
  host.Run(500);
  EXPECT_EQ(host.telemetry_count, 0);
  host.Hello(1);
  host.Run(1000);
  EXPECT_NEAR(host.telemetry_count, 10, 1);
  EXPECT_EQ(host.telemetry.vbus_mv.size(), 32U);
  EXPECT_EQ(host.telemetry.faults, link::kFaultNotConfigured | link::kFaultNvmLost);
}

TEST_F(LineTest, TelemetryIsCompactForTheHostThatAskedInThisTerm) {
  host.Hello(1);
  host.Run(300);
  const size_t plain = host.telemetry_bytes;
  host.Hello(2, "r01", link::kCompactTelemetry);
  host.Run(300);
  const size_t compact = host.telemetry_bytes;
  EXPECT_LT(compact + 50, plain);
  EXPECT_EQ(host.telemetry.state.size(), 32U) << "the same columns for who reads it";
  host.SendMessage({.channel = link::Channel::kHello},
                   link::Hello{.protocol = 9, .rack = "r01", .host_version = "test", .nonce = 3});
  host.Run(300);
  EXPECT_LT(host.telemetry_bytes, compact + 20) << "a Hello that is refused changes nothing";
  host.Hello(4);
  host.Run(300);
  EXPECT_GT(host.telemetry_bytes + 20, plain);
}

TEST_F(LineTest, EventsAreResentUntilAcknowledged) {
  host.Ready();
  host.acknowledge = false;
  host.events.clear();
  host.event_frames = 0;
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  ASSERT_TRUE(host.Await());
  host.Run(1000);
  EXPECT_GE(host.event_frames, 4);
  EXPECT_EQ(host.events.size(), 1U);
  host.ack = static_cast<uint16_t>(host.events[0].id);
  host.Keepalive();
  const int before = host.event_frames;
  host.Run(1000);
  EXPECT_EQ(host.event_frames, before);
}

TEST_F(LineTest, EventsThatKeepComing_DoNotPutOffTheRepetitionOfALostOne) {
  host.Ready();
  host.acknowledge = false;
  host.events.clear();
  host.event_frames = 0;
  for (uint32_t i = 0; i < 10; ++i) {
    host.Do(link::SetShield{.slot = 2, .epoch = 1, .couple = i % 2 == 0});
    host.Run(100);
  }
  EXPECT_EQ(host.events.size(), 10U);
  EXPECT_GT(host.event_frames, 20) << "all that wait, again each 250 ms";
}

TEST_F(LineTest, AcknowledgementOfEventsThatNeverWere_IsIgnored) {
  host.Ready();
  host.acknowledge = false;
  host.Do(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
  host.Await();
  host.ack = 40'000;
  host.Keepalive();
  host.Run(10);
  EXPECT_EQ(host.telemetry.event_backlog, 0U);  // telemetry of before
  host.Run(200);
  EXPECT_EQ(host.telemetry.event_backlog, 1U);
}

TEST_F(LineTest, FullEventLog_LosesTheNewestAndKeepsIdsWithoutAGap) {
  host.Ready();
  host.acknowledge = false;
  host.events.clear();
  for (uint32_t i = 0; i < EventLog::kCapacity + 20; ++i) {
    host.Do(link::SetShield{.slot = 2, .epoch = 1, .couple = i % 2 == 0});
    host.Run(5);
  }
  host.acknowledge = true;
  host.Run(2000);
  for (int i = 0; i < 100; ++i) {
    host.Keepalive();
    host.Run(20);
  }
  for (size_t i = 1; i < host.events.size(); ++i) EXPECT_EQ(host.events[i].id, host.events[i - 1].id + 1);
  EXPECT_GE(host.events.size(), EventLog::kCapacity);
}

// A door that flaps while the host does not listen takes no place from what only an event tells.
TEST_F(LineTest, FullEventLog_KeepsPlacesForTripsAndCommands) {
  EventLog log;
  for (uint32_t i = 0; i < 200; ++i) log.Latch(link::InputChanged{.input = 1, .active = i % 2 == 0});
  const size_t changes = log.size();
  EXPECT_EQ(changes, EventLog::kCapacity - EventLog::kOwed);
  log.Latch(link::Tripped{.slot = 3, .reason = link::TripReason::kOverCurrent});
  log.Latch(link::CommandDone{.command_id = 9, .slot = 4});
  log.Latch(link::InputChanged{.input = 1, .active = true});
  EXPECT_EQ(log.size(), changes + 2);
}

TEST_F(LineTest, RestartedHost_IsToldWhereEventsStart) {
  host.Ready();
  for (int i = 0; i < 3; ++i) {
    host.Do(link::SetShield{.slot = 2, .epoch = 1, .couple = i % 2 == 0});
    host.Await();
  }
  host.acknowledge = false;
  host.Do(link::SetShield{.slot = 2, .epoch = 1, .couple = false});
  host.Await();
  EXPECT_EQ(host.Hello(9)->next_event_id, host.events.back().id);
}

TEST_F(LineTest, LineThatTakesNothing_LosesTelemetryButNoReply) {
  host.Ready();
  RackCore& core = *host.core;
  for (int i = 0; i < 5000; ++i) core.Tick(++host.now_ms);
  EXPECT_LE(core.tx().room(), TxRing::kCapacity);
  const auto reply = host.Do(link::Ping{.nonce = 3});
  EXPECT_EQ(reply.value, 3U);
}

TEST_F(LineTest, GarbageBetweenFramesIsCounted) {
  host.Hello(1);
  const std::array<uint8_t, 8> garbage = {0x55, 0xAA, 0x00, 0x12, 0x34, 0x00, 0xFF, 0x00};
  host.core->OnBytes(garbage);
  EXPECT_EQ(host.Do(link::Ping{.nonce = 8}).value, 8U);
  host.Run(200);
  EXPECT_EQ(host.telemetry.frames_bad, 3U);
}

}  // namespace
}  // namespace faraday::firmware
