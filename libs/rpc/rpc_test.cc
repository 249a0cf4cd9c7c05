// Server, Channel, BlockingClient, Publisher and Subscriber over real loopback sockets, one process.
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

#include "rpc/client.h"
#include "rpc/publisher.h"
#include "rpc/server.h"

namespace faraday::rpc {
namespace {

constexpr char kAnyPort[] = "tcp://127.0.0.1:0";

class RpcTest : public ::testing::Test {
 protected:
  // Serves ping at once; get_rack is kept unanswered in `held_`.
  void Serve() {
    HandlerTable table;
    table[v1::Request::kPing] = [](const CallPtr& call) {
      v1::Reply reply;
      reply.mutable_ping()->set_mcu_round_trip_us(7);
      call->Answer(std::move(reply));
    };
    table[v1::Request::kGetRack] = [this](const CallPtr& call) { held_.push_back(call); };
    table[v1::Request::kRenew] = [](const CallPtr&) {};  // drops the call
    auto server = Server::Bind(loop_, context_, kAnyPort, std::move(table), Plain());
    ASSERT_TRUE(server.ok()) << ToString(server.status());
    server_ = std::move(*server);
  }

  template <typename Done>
  void RunUntil(Done done) {
    const auto end = BootClock::now() + Milliseconds(20'000);
    while (!done()) {
      ASSERT_LT(BootClock::now(), end) << "the condition never held";
      loop_.RunOnce(Milliseconds(50));
    }
  }

  static v1::Request Ping() {
    v1::Request request;
    request.mutable_ping();
    return request;
  }
  static v1::Request GetRack() {
    v1::Request request;
    request.mutable_get_rack();
    return request;
  }

  zmq::context_t context_;
  evloop::Loop loop_;
  std::vector<CallPtr> held_;
  std::unique_ptr<Server> server_;
};

TEST_F(RpcTest, Channel_MatchesAnswersToCalls) {
  Serve();
  Channel channel(loop_, context_, server_->endpoint(), v1::Caller());
  int answers = 0;
  bool late = false;
  channel.Call(GetRack(), Milliseconds(20'000), [&](Result<v1::Reply> reply) { late = reply.ok(); });
  for (int i = 0; i < 10; ++i) {
    channel.Call(Ping(), Milliseconds(20'000), [&](Result<v1::Reply> reply) {
      ASSERT_TRUE(reply.ok());
      answers += static_cast<int>(reply->ping().mcu_round_trip_us());
    });
  }
  RunUntil([&] { return answers == 70 && held_.size() == 1; });
  EXPECT_FALSE(late);
  held_[0]->Answer({});
  RunUntil([&] { return late; });
}

TEST_F(RpcTest, Channel_PutsItsCallerIntoRequests) {
  Serve();
  v1::Caller caller;
  caller.set_user("ana");
  Channel channel(loop_, context_, server_->endpoint(), caller);
  channel.Call(GetRack(), Milliseconds(20'000), [](Result<v1::Reply>) {});
  RunUntil([&] { return held_.size() == 1; });
  EXPECT_EQ(held_[0]->caller().user(), "ana");
}

TEST_F(RpcTest, Deadline_FailsEveryCallInFlightAndTheNextOneConnectsAnew) {
  Serve();
  Channel channel(loop_, context_, server_->endpoint(), v1::Caller());
  std::vector<Code> codes;
  const auto note = [&](Result<v1::Reply> reply) { codes.push_back(reply.status().code()); };
  channel.Call(GetRack(), Milliseconds(100), note);
  channel.Call(GetRack(), Milliseconds(20'000), note);
  RunUntil([&] { return codes.size() == 2; });
  EXPECT_EQ(codes, (std::vector<Code>{Code::kDeadlineExceeded, Code::kDeadlineExceeded}));
  for (const auto& call : held_) call->Answer({});  // goes nowhere
  bool answered = false;
  channel.Call(Ping(), Milliseconds(20'000), [&](Result<v1::Reply> reply) { answered = reply.ok(); });
  RunUntil([&] { return answered; });
}

TEST_F(RpcTest, UnknownCallAndDroppedCall_AreAnswered) {
  Serve();
  Channel channel(loop_, context_, server_->endpoint(), v1::Caller());
  std::vector<Code> codes;
  const auto note = [&](Result<v1::Reply> reply) { codes.push_back(GetStatus(*reply).code()); };
  v1::Request unknown;
  unknown.mutable_list_racks();
  channel.Call(unknown, Milliseconds(20'000), note);
  v1::Request dropped;
  dropped.mutable_renew();
  channel.Call(dropped, Milliseconds(20'000), note);
  RunUntil([&] { return codes.size() == 2; });
  EXPECT_EQ(codes, (std::vector<Code>{Code::kUnimplemented, Code::kInternal}));
}

TEST_F(RpcTest, Garbage_IsAnsweredWithIdZeroAndHarmsNobody) {
  Serve();
  zmq::socket_t peer(context_, zmq::socket_type::req);  // a plain REQ works too
  peer.set(zmq::sockopt::linger, 0);
  peer.connect(server_->endpoint());
  peer.send(zmq::str_buffer("\xff\xff\xff garbage"), zmq::send_flags::none);
  zmq::message_t body;
  RunUntil([&] { return peer.recv(body, zmq::recv_flags::dontwait).has_value(); });
  v1::Reply reply;
  ASSERT_TRUE(reply.ParseFromArray(body.data(), static_cast<int>(body.size())));
  EXPECT_EQ(reply.id(), 0U);
  EXPECT_EQ(GetStatus(reply).code(), Code::kInvalidArgument);

  zmq::socket_t odd(context_, zmq::socket_type::dealer);
  odd.set(zmq::sockopt::linger, 0);
  odd.connect(server_->endpoint());
  odd.send(zmq::str_buffer("a"), zmq::send_flags::sndmore);
  odd.send(zmq::str_buffer("b"), zmq::send_flags::sndmore);
  odd.send(zmq::str_buffer("c"), zmq::send_flags::none);
  RunUntil([&] { return server_->requests_bad() == 2; });
}

// Protobuf writes such a string, but no reader takes it.
v1::Request NotUtf8() {
  v1::Request request;
  request.mutable_caller()->set_user("ana\xff");
  request.mutable_ping();
  return request;
}

TEST_F(RpcTest, Channel_FrameThatCannotBeRead_FailsItsCallAtOnce) {
  Serve();
  Channel channel(loop_, context_, server_->endpoint(), v1::Caller());
  std::optional<Code> code;
  channel.Call(NotUtf8(), Milliseconds(3'600'000), [&](Result<v1::Reply> reply) {
    code = reply.ok() ? GetStatus(*reply).code() : reply.status().code();
  });
  RunUntil([&] { return code.has_value(); });
  EXPECT_EQ(*code, Code::kInvalidArgument);
  EXPECT_EQ(channel.in_flight(), 0U);
}

TEST_F(RpcTest, BlockingClient_FrameThatCannotBeRead_FailsAtOnceAndTheNextCallWorks) {
  Serve();
  std::atomic<bool> done = false;
  std::thread caller([&] {
    BlockingClient client(context_, server_->endpoint(), v1::Caller());
    EXPECT_EQ(client.Call(NotUtf8(), Milliseconds(15'000)).status().code(), Code::kInvalidArgument);
    EXPECT_TRUE(client.Call(Ping(), Milliseconds(15'000)).ok());
    done = true;
  });
  RunUntil([&] { return done.load(); });
  caller.join();
}

TEST_F(RpcTest, DestroyedChannel_CallsNobodyBack) {
  Serve();
  auto channel = std::make_unique<Channel>(loop_, context_, server_->endpoint(), v1::Caller());
  int callbacks = 0;
  const auto leave = [&](Result<v1::Reply>) {
    ++callbacks;
    channel.reset();
  };
  channel->Call(GetRack(), Milliseconds(50), leave);
  channel->Call(GetRack(), Milliseconds(20'000), leave);
  RunUntil([&] { return channel == nullptr; });
  bool later = false;
  loop_.AddTimer("later", BootClock::now(), [&] { later = true; });
  RunUntil([&] { return later; });
  EXPECT_EQ(callbacks, 1) << "the second call was in flight when the channel went";
}

TEST_F(RpcTest, ReplyToAGonePeer_IsCounted) {
  Serve();
  {
    Channel channel(loop_, context_, server_->endpoint(), v1::Caller());
    channel.Call(GetRack(), Milliseconds(20'000), [](Result<v1::Reply>) {});
    RunUntil([&] { return held_.size() == 1; });
  }
  // The peer's end is noticed by the I/O thread at some point; until then the reply is swallowed.
  RunUntil([&] {
    if (server_->replies_lost() > 0) return true;
    Channel channel(loop_, context_, server_->endpoint(), v1::Caller());
    const auto before = held_.size();
    channel.Call(GetRack(), Milliseconds(20'000), [](Result<v1::Reply>) {});
    RunUntil([&] { return held_.size() > before; });
    held_[before - 1]->Answer({});
    return server_->replies_lost() > 0;
  });
}

TEST_F(RpcTest, BeyondLoopback_IsRefused) {
  for (const char* endpoint : {"tcp://0.0.0.0:7700", "tcp://*:7700", "tcp://192.168.1.1:1", "udp://127.0.0.1:1", "x"}) {
    const auto server = Server::Bind(loop_, context_, endpoint, {}, Plain());
    ASSERT_FALSE(server.ok()) << endpoint;
    EXPECT_EQ(server.status().code(), Code::kInvalidArgument);
    EXPECT_FALSE(Publisher::Bind(loop_, context_, endpoint, Plain()).ok());
  }
}

TEST_F(RpcTest, AddressInUse_SaysSo) {
  Serve();
  const auto second = Server::Bind(loop_, context_, server_->endpoint(), {}, Plain());
  EXPECT_EQ(second.status().code(), Code::kUnavailable);
}

TEST_F(RpcTest, BlockingClient_AnswersAndTimesOut) {
  Serve();
  std::atomic<bool> done = false;
  std::thread caller([&] {
    BlockingClient client(context_, server_->endpoint(), v1::Caller());
    EXPECT_TRUE(client.Call(Ping(), Milliseconds(20'000)).ok());
    EXPECT_EQ(client.Call(GetRack(), Milliseconds(100)).status().code(), Code::kDeadlineExceeded);
    EXPECT_TRUE(client.Call(Ping(), Milliseconds(20'000)).ok());
    done = true;
  });
  RunUntil([&] { return done.load(); });
  caller.join();
  EXPECT_EQ(CallOnce(context_, "nonsense", Ping(), Milliseconds(100)).status().code(), Code::kInvalidArgument);
}

TEST_F(RpcTest, Events_CarryCountsAndTicksTellWhatWasMissed) {
  auto publisher = Publisher::Bind(loop_, context_, kAnyPort, Plain());
  ASSERT_TRUE(publisher.ok());
  std::vector<v1::Event> seen;
  Subscriber subscriber(loop_, context_, (*publisher)->endpoint(), {}, {"slot/", "tick/"}, [&](const v1::Event& event) {
    seen.push_back(event);
  });
  // A subscription takes effect at some point: publish until the first arrives.
  RunUntil([&] {
    (*publisher)->Publish("slot/r01/07/", v1::Event());
    (*publisher)->Publish("board/r01/0/", v1::Event());
    loop_.RunOnce(Milliseconds(10));
    return !seen.empty();
  });
  RunUntil([&] { return seen.back().has_tick(); });
  const auto last = seen.back().tick().last_seq();
  EXPECT_EQ(last.at("slot/r01/07/"), (*publisher)->Snapshot().last_seq().at("slot/r01/07/"));
  EXPECT_TRUE(last.contains("board/r01/0/")) << "a tick lists every topic, also those not subscribed to";
  for (const auto& event : seen) {
    EXPECT_NE(event.topic(), "board/r01/0/");
    EXPECT_EQ(event.publisher_run(), (*publisher)->Snapshot().publisher_run());
  }
}

TEST_F(RpcTest, QuietTopics_AreForgottenAndComeBackAboveTheirCount) {
  auto bound = Publisher::Bind(loop_, context_, kAnyPort, Plain(), {2, Milliseconds(100)});
  ASSERT_TRUE(bound.ok());
  Publisher& publisher = **bound;
  for (int i = 0; i < 5; ++i) publisher.Publish("job/job-1/", v1::Event());
  for (const char* topic : {"job/job-2/", "job/job-3/"}) publisher.Publish(topic, v1::Event());
  RunUntil([&] { return publisher.Snapshot().last_seq().size() == 1; });  // the ticks
  publisher.Publish("job/job-1/", v1::Event());
  EXPECT_EQ(publisher.Snapshot().last_seq().at("job/job-1/"), 6U);
}

}  // namespace
}  // namespace faraday::rpc
