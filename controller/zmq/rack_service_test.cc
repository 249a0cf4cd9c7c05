// The calls over a real ROUTER socket, with the rack on a fake board in the same loop.
#include "controller/zmq/rack_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "controller/core/fake_line.h"
#include "controller/core/memory_store.h"
#include "controller/zmq/event_publisher.h"
#include "rpc/client.h"

namespace faraday::controller {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

rackconfig::RackConfig MakeConfig() {
  rackconfig::RackConfig config;
  config.rack = "r01";
  config.boards.resize(1);
  config.rails = {{{"A", Milliamps(16000)}}};
  config.hosts = {{"h01", ""}};
  for (int i = 1; i <= 2; ++i) {
    rackconfig::SlotConfig slot;
    slot.number = slot.board_slot = i;
    slot.current_limit = Milliamps(2000);
    slot.hosts = {{"h01", "127.0.0.1:5601", ""}};
    config.slots.push_back(slot);
  }
  return config;
}

v1::Caller Person(const std::string& user, const std::string& role = "user") {
  v1::Caller caller;
  caller.set_user(user);
  caller.set_role(role);
  return caller;
}

class RackServiceTest : public testing::Test {
 protected:
  static Now Time() { return {BootClock::now(), UtcNow()}; }

  void SetUp() override {
    ASSERT_TRUE(book.Load(Time()).ok());
    publisher = std::move(*rpc::Publisher::Bind(loop, context, "tcp://127.0.0.1:0", rpc::Plain()));
    service =
        std::make_unique<RackService>(loop, rack, store, *publisher, RackService::Options{"test", "run", nullptr});
    events.Attach(*publisher, rack, [this] { service->OnSyncChange(); });
    server = std::move(*rpc::Server::Bind(loop, context, "tcp://127.0.0.1:0", service->Table(), rpc::Plain()));
    service->SetEndpoint(server->endpoint());
    rack.board(0).SetLine(&line);
    line.Up(Time());
    ticker = loop.AddPeriodic("board", Milliseconds(5), [this] {
      if (flowing) line.Run(Time());
      rack.OnTime(Time());
      service->OnTime(Time());
    });
    ana = std::make_unique<rpc::Channel>(loop, context, server->endpoint(), Person("ana"));
    agent = std::make_unique<rpc::Channel>(loop, context, server->endpoint(), Person("h01", "agent"));
    ASSERT_TRUE(RunUntil([this] { return rack.board(0).ready(); }));
  }
  void TearDown() override { loop.Remove(ticker); }

  template <typename Condition>
  bool RunUntil(Condition done) {
    const BootTime limit = BootClock::now() + seconds(20);
    while (BootClock::now() < limit) {
      if (done()) return true;  // once: a condition may take what it waited for
      loop.RunOnce(Milliseconds(20));
    }
    return false;
  }
  using Waiting = std::shared_ptr<std::optional<v1::Reply>>;
  Waiting Begin(rpc::Channel& by, v1::Request request) {
    auto reply = std::make_shared<std::optional<v1::Reply>>();
    by.Call(std::move(request), seconds(20), [reply](Result<v1::Reply> answer) {
      *reply = answer.ok() ? *answer : rpc::ErrorReply(answer.status());
    });
    return reply;
  }
  v1::Reply Finish(const Waiting& waiting) {
    EXPECT_TRUE(RunUntil([&] { return waiting->has_value(); }));
    return waiting->value_or(v1::Reply());
  }
  v1::Reply Call(rpc::Channel& by, v1::Request request) { return Finish(Begin(by, std::move(request))); }

  static v1::Request Acquire(const std::string& slot, const std::string& key) {
    v1::Request request;
    request.set_idempotency_key(key);
    request.mutable_acquire()->set_slot(slot);
    request.mutable_acquire()->set_purpose(v1::PURPOSE_PERSON);
    request.mutable_acquire()->set_duration_ms(600'000);
    return request;
  }
  static v1::Request Cycle(uint32_t epoch, const std::string& key) {
    v1::Request request;
    request.set_idempotency_key(key);
    request.mutable_power()->set_slot("r01/01");
    request.mutable_power()->set_epoch(epoch);
    request.mutable_power()->set_action(v1::PowerCall::ACTION_CYCLE);
    return request;
  }
  int Cycles() const {
    int count = 0;
    for (const auto& command : board.taken) count += std::holds_alternative<link::CycleVbus>(command.call) ? 1 : 0;
    return count;
  }
  static v1::Request Sync(const std::string& have) {
    v1::Request request;
    request.mutable_sync()->set_agent("h01");
    request.mutable_sync()->set_host("h01");
    request.mutable_sync()->set_have(have);
    return request;
  }

  rackconfig::RackConfig config = MakeConfig();
  MemoryStore store;
  LeaseBook book{config, store, "boot-1"};
  evloop::Loop loop;
  zmq::context_t context{1};
  EventPublisher events{"r01"};
  Rack rack{config, book, events, 100};
  FakeBoard board{2};
  FakeLine line{board, rack.board(0)};
  bool flowing = true;
  evloop::Handle ticker = 0;
  std::unique_ptr<rpc::Publisher> publisher;
  std::unique_ptr<RackService> service;
  std::unique_ptr<rpc::Server> server;
  std::unique_ptr<rpc::Channel> ana;
  std::unique_ptr<rpc::Channel> agent;
};

TEST_F(RackServiceTest, GetRack_ShowsBoardsAndMeasuredSlots) {
  v1::Request request;
  request.mutable_get_rack();
  const v1::Reply reply = Call(*ana, request);
  const v1::RackState& state = reply.get_rack().rack();
  ASSERT_EQ(state.slots_size(), 2);
  EXPECT_TRUE(state.boards(0).online());
  EXPECT_EQ(state.slots(0).vbus().measured_on(), v1::TRI_STATE_NO);
  EXPECT_EQ(state.slots(0).lease().holder(), "care");
  EXPECT_EQ(state.slots(0).shield().measured(), v1::SHIELD_STATE_ISOLATED);
  request.mutable_get_rack()->set_slot("r01/77");
  EXPECT_EQ(Call(*ana, request).status().code(), static_cast<int>(Code::kNotFound));
}

TEST_F(RackServiceTest, RepeatedAcquire_GetsTheSameLeaseNotASecond) {
  const v1::Reply first = Call(*ana, Acquire("r01/01", "k1"));
  ASSERT_EQ(first.status().code(), 0) << first.status().message();
  EXPECT_EQ(first.acquire().controller(), server->endpoint());
  const v1::Reply again = Call(*ana, Acquire("r01/01", "k1"));
  EXPECT_EQ(again.acquire().lease().id(), first.acquire().lease().id());
  EXPECT_LE(again.acquire().lease().left_ms(), first.acquire().lease().left_ms());
  const v1::Reply other = Call(*ana, Acquire("r01/02", "k1"));
  EXPECT_EQ(other.status().code(), static_cast<int>(Code::kInvalidArgument));
  EXPECT_THAT(other.status().message(), HasSubstr("idempotency_key k1 was used for another request"));
  rpc::Channel bo(loop, context, server->endpoint(), Person("bo"));
  EXPECT_EQ(Call(bo, Acquire("r01/02", "k1")).status().code(), 0) << "another user's key is another key";
}

// Lets everybody in and keeps what the audit would get.
class AuditedGate final : public rpc::Gate {
 public:
  bool Admits(const access::PublicKey&) override { return true; }
  Status Enter(rpc::Call&) override { return OkStatus(); }
  void Leave(const rpc::Call& call, const v1::Reply&, std::function<void()> send) override {
    facts.push_back(call.audit());
    send();
  }
  std::vector<rpc::AuditFacts> facts;
};

TEST_F(RackServiceTest, CallsOnLeases_TellTheAuditWhoHeldTheSlotBeforeAndAfter) {
  AuditedGate gate;
  const auto audited =
      std::move(*rpc::Server::Bind(loop, context, "tcp://127.0.0.1:0", service->Table(), {nullptr, &gate}));
  rpc::Channel caller(loop, context, audited->endpoint(), Person("ana"));
  ASSERT_EQ(Call(caller, Acquire("r01/01", "k1")).status().code(), 0);
  v1::Request renew;
  renew.mutable_renew()->set_lease("r01-01-2");
  renew.mutable_renew()->set_duration_ms(600'000);
  ASSERT_EQ(Call(caller, renew).status().code(), 0);
  v1::Request release;
  release.mutable_release()->set_lease("r01-01-2");
  ASSERT_EQ(Call(caller, release).status().code(), 0);
  ASSERT_EQ(gate.facts.size(), 3u);
  const auto anas = testing::AllOf(testing::StartsWith("ana until "), testing::EndsWith(", epoch 2"));
  EXPECT_EQ(gate.facts[0].before, "care");
  EXPECT_THAT(gate.facts[0].after, anas);
  EXPECT_THAT(gate.facts[1].before, anas);
  EXPECT_THAT(gate.facts[1].after, anas);
  EXPECT_THAT(gate.facts[2].before, anas);
  EXPECT_THAT(gate.facts[2].after, testing::StartsWith("care"));
}

TEST_F(RackServiceTest, AcquireRepeatedWhileUnderWay_IsAnsweredWithTheFirst) {
  flowing = false;
  const Waiting first = Begin(*ana, Acquire("r01/01", "k1"));
  const Waiting second = Begin(*ana, Acquire("r01/01", "k1"));
  ASSERT_TRUE(RunUntil([this] { return line.waiting() > 0; }));
  flowing = true;
  EXPECT_EQ(Finish(first).acquire().lease().id(), "r01-01-2");
  EXPECT_EQ(Finish(second).acquire().lease().id(), "r01-01-2");
}

TEST_F(RackServiceTest, ReplayedLeaseThatIsOver_HasNothingLeft) {
  const v1::Reply first = Call(*ana, Acquire("r01/01", "k1"));
  v1::Request release;
  release.mutable_release()->set_lease(first.acquire().lease().id());
  ASSERT_EQ(Call(*ana, release).status().code(), 0);
  EXPECT_EQ(Call(*ana, Acquire("r01/01", "k1")).acquire().lease().left_ms(), 0u);
}

TEST_F(RackServiceTest, RepeatedCycle_CyclesOnce) {
  ASSERT_EQ(Call(*ana, Acquire("r01/01", "k1")).status().code(), 0);
  const v1::Reply first = Call(*ana, Cycle(2, "c1"));
  EXPECT_EQ(first.slot().slot().vbus().measured_on(), v1::TRI_STATE_YES) << first.status().message();
  EXPECT_EQ(Call(*ana, Cycle(2, "c1")).slot().slot().slot(), "r01/01");
  EXPECT_EQ(Cycles(), 1);
}

TEST_F(RackServiceTest, RefusedCycle_MayBeTriedAgainWithItsKey) {
  ASSERT_EQ(Call(*ana, Acquire("r01/01", "k1")).status().code(), 0);
  board.refuse = link::Verdict::kBusy;
  EXPECT_EQ(Call(*ana, Cycle(2, "c1")).status().code(), static_cast<int>(Code::kUnavailable));
  board.refuse = link::Verdict::kOk;
  EXPECT_EQ(Call(*ana, Cycle(2, "c1")).status().code(), 0);
  EXPECT_EQ(Cycles(), 2);
}

TEST_F(RackServiceTest, CycleCutOffByACrash_IsAnsweredUnknownNotRepeated) {
  ASSERT_EQ(Call(*ana, Acquire("r01/01", "k1")).status().code(), 0);
  flowing = false;
  const Waiting lost = Begin(*ana, Cycle(2, "c1"));
  ASSERT_TRUE(RunUntil([this] { return store.once.count({"ana", "c1"}) != 0; }));
  // What a controller that starts now would find.
  const OnceRecord kept = store.once.at({"ana", "c1"});
  v1::Reply reply;
  ASSERT_TRUE(reply.ParseFromString(kept.reply));
  EXPECT_EQ(reply.status().code(), static_cast<int>(Code::kUnknown));
  flowing = true;
  Finish(lost);
}

TEST_F(RackServiceTest, Sync_WaitsForAChangeAndShowsIt) {
  const v1::Reply first = Call(*agent, Sync(""));
  ASSERT_EQ(first.sync().slots_size(), 2);
  std::string have = first.sync().version();
  // Discovery begins once the agent has spoken; wait until the list stands still.
  Waiting parked;
  const auto stands = [&] {
    if (!parked) parked = Begin(*agent, Sync(have));
    if (parked->has_value()) {
      have = (*parked)->sync().version();
      parked.reset();
    }
    return parked != nullptr && board.At(2).data == link::DataPath::kHost &&
           rack.agent_calls().SlotsFor("h01", Time()).at(1).discover;
  };
  ASSERT_TRUE(RunUntil(stands));
  const std::string before = have;
  ASSERT_EQ(Call(*ana, Acquire("r01/01", "")).status().code(), 0);
  v1::Reply changed = Finish(parked);
  for (int i = 0; i < 5 && changed.sync().slots(0).holder() != "ana"; ++i)
    changed = Call(*agent, Sync(changed.sync().version()));
  EXPECT_NE(changed.sync().version(), before);
  EXPECT_EQ(changed.sync().slots(0).holder(), "ana");
  EXPECT_GT(changed.sync().slots(0).left_ms(), 500'000u);
}

TEST_F(RackServiceTest, NewerPoll_SendsTheOlderHome) {
  const std::string have = Call(*agent, Sync("")).sync().version();
  const Waiting older = Begin(*agent, Sync(have));
  const Waiting newer = Begin(*agent, Sync(have));
  EXPECT_EQ(Finish(older).sync().slots_size(), 2);
}

TEST_F(RackServiceTest, Sync_OnlyForTheHostsOwnAgent) {
  EXPECT_EQ(Call(*ana, Sync("")).status().code(), static_cast<int>(Code::kPermissionDenied));
  v1::Request request = Sync("");
  request.mutable_sync()->set_host("h99");
  const v1::Reply reply = Call(*agent, request);
  EXPECT_EQ(reply.status().code(), static_cast<int>(Code::kNotFound));
  EXPECT_THAT(reply.status().message(), HasSubstr("no host h99 in the config of rack r01"));
}

TEST_F(RackServiceTest, GarbageOnTheRouter_IsAnsweredAndDisturbsNobody) {
  zmq::socket_t raw(context, zmq::socket_type::dealer);
  raw.set(zmq::sockopt::linger, 0);
  raw.connect(server->endpoint());
  raw.send(zmq::str_buffer("\xff\xff this is no request"), zmq::send_flags::none);
  zmq::message_t answer;
  ASSERT_TRUE(RunUntil([&] { return raw.recv(answer, zmq::recv_flags::dontwait).has_value(); }));
  v1::Reply reply;
  ASSERT_TRUE(reply.ParseFromArray(answer.data(), static_cast<int>(answer.size())));
  EXPECT_EQ(reply.status().code(), static_cast<int>(Code::kInvalidArgument));
  EXPECT_EQ(Call(*ana, Acquire("r01/01", "")).status().code(), 0);
}

TEST_F(RackServiceTest, LabsCalls_AreUnimplementedHere) {
  v1::Request request;
  request.mutable_submit_job();
  EXPECT_EQ(Call(*ana, request).status().code(), static_cast<int>(Code::kUnimplemented));
}

TEST_F(RackServiceTest, UnknownActionAndPath_NameTheField) {
  v1::Request request;
  request.mutable_power()->set_slot("r01/01");
  EXPECT_THAT(Call(*ana, request).status().message(), HasSubstr("action 0 is none of ON, OFF, CYCLE"));
  request.mutable_usb()->set_slot("r01/01");
  EXPECT_THAT(Call(*ana, request).status().message(), HasSubstr("path 0 is none of OPEN, CHARGE, HOST"));
}

TEST_F(RackServiceTest, CallBeyondItsTime_EndsWithTheOutcomeUnknown) {
  ASSERT_EQ(Call(*ana, Acquire("r01/01", "")).status().code(), 0);
  flowing = false;
  v1::Request request;
  request.mutable_power()->set_slot("r01/01");
  request.mutable_power()->set_epoch(2);
  request.mutable_power()->set_action(v1::PowerCall::ACTION_ON);
  request.set_timeout_ms(300);
  *request.mutable_caller() = Person("ana");
  request.set_id(1);
  zmq::socket_t raw(context, zmq::socket_type::dealer);
  raw.set(zmq::sockopt::linger, 0);
  raw.connect(server->endpoint());
  raw.send(zmq::buffer(request.SerializeAsString()), zmq::send_flags::none);
  zmq::message_t answer;
  ASSERT_TRUE(RunUntil([&] { return raw.recv(answer, zmq::recv_flags::dontwait).has_value(); }));
  v1::Reply reply;
  ASSERT_TRUE(reply.ParseFromArray(answer.data(), static_cast<int>(answer.size())));
  EXPECT_EQ(reply.status().code(), static_cast<int>(Code::kDeadlineExceeded));
  flowing = true;
  ASSERT_TRUE(RunUntil([this] { return board.At(1).vbus; }));
}

TEST_F(RackServiceTest, PingThroughTheBoard_MadeTheRoundTrip) {
  v1::Request request;
  request.mutable_ping()->set_through_mcu(true);
  EXPECT_TRUE(Call(*ana, request).has_ping());
  request.mutable_ping()->set_board(7);
  EXPECT_EQ(Call(*ana, request).status().code(), static_cast<int>(Code::kNotFound));
}

// ---- the whole rack, and upkeep -----------------------------------------------------------------------------------

TEST_F(RackServiceTest, StopAndResumeOfTheRack_AnswerWithWhatIsMeasured) {
  rpc::Channel tina(loop, context, server->endpoint(), Person("tina", "tech"));
  v1::Request stop;
  stop.mutable_stop_rack()->set_reason("smoke");
  EXPECT_EQ(Call(*ana, stop).status().code(), static_cast<int>(Code::kPermissionDenied));
  const v1::Reply stopped = Call(tina, stop);
  ASSERT_TRUE(stopped.has_rack_stop()) << stopped.DebugString();
  EXPECT_EQ(stopped.rack_stop().slots_off(), 2u);
  EXPECT_TRUE(stopped.rack_stop().boards(0).stopped());
  const v1::Condition& condition = stopped.rack_stop().boards(0).condition_list(0);
  EXPECT_EQ(condition.name(), "stopped");
  EXPECT_EQ(condition.place(), "r01 board 0");
  EXPECT_EQ(condition.text(), "stopped by tina: smoke");
  EXPECT_NE(condition.since_utc_ms(), 0);
  EXPECT_TRUE(condition.latched());
  v1::Request resume;
  resume.mutable_resume_rack()->set_reason("false alarm");
  EXPECT_FALSE(Call(tina, resume).rack_stop().boards(0).stopped());
}

TEST_F(RackServiceTest, UpkeepCalls_ReachTheBoard) {
  rpc::Channel tina(loop, context, server->endpoint(), Person("tina", "tech"));
  v1::Request blink;
  blink.mutable_blink()->set_slot("r01");
  blink.mutable_blink()->set_duration_ms(5'000);
  EXPECT_EQ(Call(tina, blink).blink().duration_ms(), 5'000u);
  v1::Request log;
  log.mutable_read_board_log();
  EXPECT_TRUE(Call(tina, log).has_read_board_log());
  v1::Request fit;
  fit.mutable_fit_relay()->set_slot("r01/02");
  fit.mutable_fit_relay()->set_moves(12);
  fit.mutable_fit_relay()->set_reason("worn");
  EXPECT_EQ(Call(tina, fit).slot().slot().relay_moves(), 12u);
  EXPECT_EQ(board.At(2).relay_moves, 12u);
}

}  // namespace
}  // namespace faraday::controller
