// CURVE, ZAP and the door over real sockets of one process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "rpc/client.h"
#include "rpc/door.h"
#include "rpc/publisher.h"
#include "rpc/server.h"

namespace faraday::rpc {
namespace {

using testing::HasSubstr;

constexpr char kAnyPort[] = "tcp://127.0.0.1:0";
constexpr Milliseconds kLong{20'000};

class People : public access::Directory {
 public:
  Result<access::Identity> Find(const access::PublicKey& key, UtcTime) const override {
    const auto found = known.find(key);
    if (found == known.end()) return Status(Code::kUnauthenticated, "unknown key");
    return found->second;
  }
  std::map<access::PublicKey, access::Identity> known;
};

Keys NewKeys() { return std::make_shared<access::KeyPair>(access::NewKeyPair()); }

class SecurityTest : public testing::Test {
 protected:
  SecurityTest() : server_keys_(NewKeys()), ana_(NewKeys()), door_({&people_}) {
    people_.known[ana_->public_key] = {ana_->public_key, "ana", {access::Role::kUser, access::Role::kTech}, {"apps"}};
    zap_ = std::move(*ZapHandler::Bind(loop_, context_, door_));
    HandlerTable table;
    for (const auto call : {v1::Request::kPing, v1::Request::kPower, v1::Request::kAddUser, v1::Request::kStopSlot}) {
      table[call] = [this](const CallPtr& served) {
        seen_ = served->caller();
        served->Answer({});
      };
    }
    server_ = std::move(*Server::Bind(loop_, context_, kAnyPort, std::move(table), {server_keys_, &door_}));
  }

  Credentials As(const Keys& keys) const {
    Credentials who;
    who.keys = keys;
    who.server_key = [key = server_keys_->public_key](const std::string&) { return key; };
    return who;
  }
  static v1::Request Ping() {
    v1::Request request;
    request.mutable_ping();
    return request;
  }
  Status Ask(Credentials who, v1::Request request = Ping(), Milliseconds limit = kLong) {
    Channel channel(loop_, context_, server_->endpoint(), std::move(who));
    return Ask(channel, std::move(request), limit);
  }
  Status Ask(Channel& channel, v1::Request request = Ping(), Milliseconds limit = kLong) {
    std::optional<Status> answer;
    channel.Call(std::move(request), limit, [&](Result<v1::Reply> reply) {
      answer = reply.ok() ? GetStatus(*reply) : reply.status();
    });
    while (!answer) loop_.RunOnce(Milliseconds(50));
    return *answer;
  }

  evloop::Loop loop_;
  zmq::context_t context_;
  People people_;
  Keys server_keys_;
  Keys ana_;
  Door door_;
  std::unique_ptr<ZapHandler> zap_;
  std::unique_ptr<Server> server_;
  v1::Caller seen_;
};

TEST_F(SecurityTest, AKnownKeyIsItsUser) {
  ASSERT_TRUE(Ask(As(ana_)).ok());
  EXPECT_EQ(seen_.user(), "ana");
  EXPECT_EQ(seen_.role(), "user") << "the least of its roles that may";
  EXPECT_EQ(seen_.team(), "apps");
}

TEST_F(SecurityTest, AnUnknownKeyIsNotLetIn) {
  const Status status = Ask(As(NewKeys()));
  EXPECT_EQ(status.code(), Code::kUnauthenticated);
  EXPECT_THAT(status.message(), HasSubstr("faraday login"));
  EXPECT_GE(zap_->refused(), 1U);
}

TEST_F(SecurityTest, PlainTextIsNotLetIn) {
  const Status status = Ask(v1::Caller());
  EXPECT_EQ(status.code(), Code::kUnauthenticated);
  EXPECT_THAT(status.message(), HasSubstr("wants keys"));
}

TEST_F(SecurityTest, AServerWithAnotherKeyIsNotTrusted) {
  Credentials who = As(ana_);
  who.server_key = [key = access::NewKeyPair().public_key](const std::string&) { return key; };
  const Status status = Ask(who);
  EXPECT_EQ(status.code(), Code::kUnauthenticated);
  EXPECT_THAT(status.message(), HasSubstr("another key"));
}

TEST_F(SecurityTest, AServerWhoseKeyIsNotKnownIsNotAsked) {
  Credentials who = As(ana_);
  who.server_key = [](const std::string&) { return Status(Code::kUnauthenticated, "log in first"); };
  EXPECT_EQ(Ask(who).message(), "log in first");
}

TEST_F(SecurityTest, AKeyDisabledNowIsRefusedNow) {
  Channel channel(loop_, context_, server_->endpoint(), As(ana_));
  ASSERT_TRUE(Ask(channel).ok());
  people_.known.clear();
  EXPECT_EQ(Ask(channel).code(), Code::kUnauthenticated) << "on the connection that was let in";
}

TEST_F(SecurityTest, NobodySpeaksForAnotherOrInAnothersRole) {
  v1::Request request = Ping();
  request.mutable_caller()->set_user("bob");
  EXPECT_EQ(Ask(As(ana_), request).code(), Code::kPermissionDenied);
  request.mutable_caller()->set_user("ana");
  request.mutable_caller()->set_role("admin");
  EXPECT_EQ(Ask(As(ana_), request).code(), Code::kPermissionDenied);
  request.mutable_caller()->set_role("tech");
  EXPECT_TRUE(Ask(As(ana_), request).ok());
  EXPECT_EQ(seen_.role(), "tech");
  request.mutable_caller()->set_team("other");
  EXPECT_EQ(Ask(As(ana_), request).code(), Code::kPermissionDenied);
}

TEST_F(SecurityTest, ACallThatNoRoleOfTheKeyMayMakeIsRefusedAtTheDoor) {
  v1::Request request;
  request.mutable_add_user()->set_name("mallory");
  EXPECT_EQ(Ask(As(ana_), request).code(), Code::kPermissionDenied);
  EXPECT_EQ(seen_.user(), "") << "the handler has not seen it";
}

TEST_F(SecurityTest, ACallerBeyondItsRateIsToldWhenAgainAndTheSafeDirectionIsFree) {
  Channel channel(loop_, context_, server_->endpoint(), As(ana_));
  Status last;
  for (int i = 0; i < 5000 && last.code() != Code::kResourceExhausted; ++i) last = Ask(channel);
  EXPECT_THAT(last.message(), HasSubstr("ana made more than 100 calls a second; again in"));
  std::optional<bool> served;
  std::thread patient([&] {
    BlockingClient client(context_, server_->endpoint(), As(ana_));
    bool all = true;
    for (int i = 0; i < 3; ++i) all = client.Call(Ping(), kLong).ok() && all;
    loop_.Post([&, all] { served = all; });
  });
  while (!served) loop_.RunOnce(Milliseconds(50));
  patient.join();
  EXPECT_TRUE(*served) << "a blocking client waits as it is asked to";
  v1::Request add;  // what it may not do at all is answered by the rate, too
  add.mutable_add_user()->set_name("mallory");
  bool limited = false;
  for (int i = 0; i < 5000 && !limited; ++i) limited = Ask(channel, add).code() == Code::kResourceExhausted;
  EXPECT_TRUE(limited) << "refusals count";
  v1::Request stop;
  stop.mutable_stop_slot()->set_reason("smells");
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(Ask(channel, stop).ok());
}

// A call from an address of one's choice.
Status ServeFrom(Gate& gate, const Keys& keys, const std::string& address, const v1::Request& request) {
  HandlerTable table;
  table[request.call_case()] = [](const CallPtr& served) { served->Answer({}); };
  const Desk desk(std::move(table), &gate);
  const std::string body = request.SerializeAsString();
  Arrival arrival;
  arrival.peer_key = keys->public_key;
  arrival.peer_address = address;
  arrival.body = body;
  return desk.Serve(std::move(arrival), BootClock::now(), [](const Call&, v1::Reply) {});
}

TEST_F(SecurityTest, TheBreakGlassKeyWorksOnThisMachineOnly) {
  const Keys admin = NewKeys();
  people_.known[admin->public_key] = {admin->public_key, "break-glass", {access::Role::kAdmin}, {}, true};
  EXPECT_TRUE(ServeFrom(door_, admin, "127.0.0.1", Ping()).ok());
  for (const char* address : {"192.0.2.7", ""}) {
    const Status refused = ServeFrom(door_, admin, address, Ping());
    EXPECT_EQ(refused.code(), Code::kPermissionDenied);
    EXPECT_NE(refused.message().find("works on this machine only"), std::string::npos) << refused.message();
  }
  EXPECT_TRUE(ServeFrom(door_, ana_, "192.0.2.7", Ping()).ok()) << "others from anywhere";
}

TEST_F(SecurityTest, ARosterIsNeverTooOften) {
  const Keys lab = NewKeys();
  people_.known[lab->public_key] = {lab->public_key, "lab", {access::Role::kLab}, {}};
  Door::Options options;
  options.directory = &people_;
  options.rates.machines = {0.001, 2};
  Door door(options);
  EXPECT_TRUE(ServeFrom(door, lab, "", Ping()).ok());
  EXPECT_TRUE(ServeFrom(door, lab, "", Ping()).ok());
  EXPECT_EQ(ServeFrom(door, lab, "", Ping()).code(), Code::kResourceExhausted);
  v1::Request roster;
  roster.mutable_put_roster();
  EXPECT_TRUE(ServeFrom(door, lab, "", roster).ok());
  EXPECT_EQ(ServeFrom(door, ana_, "", roster).code(), Code::kPermissionDenied);
}

TEST_F(SecurityTest, AReasonChoosesTheRoleThatNeedsOne) {
  v1::Request request;
  request.mutable_power()->set_reason("smells");
  ASSERT_TRUE(Ask(As(ana_), request).ok());
  EXPECT_EQ(seen_.role(), "tech");
}

TEST(ChooseRole, WhoMayInOneOfTheirRolesIsNotRefusedInAnother) {
  using access::Call;
  using access::Role;
  struct Row {
    std::vector<Role> roles;
    Call call;
    bool reason;
    Role chosen;
  };
  const Row rows[] = {
      {{Role::kTech, Role::kAdmin}, Call::kRotateUser, false, Role::kAdmin},  // a tech may rotate only its own key
      {{Role::kUser, Role::kTech}, Call::kReadAudit, false, Role::kTech},     // a user reads only its own records
      {{Role::kUser, Role::kAdmin}, Call::kReserve, false, Role::kUser},
      {{Role::kUser, Role::kTech}, Call::kPower, false, Role::kUser},
      {{Role::kUser, Role::kTech}, Call::kPower, true, Role::kTech},
  };
  for (const Row& row : rows) {
    const auto role = ChooseRole({{}, "tess", row.roles, {}}, "", row.call, row.reason);
    ASSERT_TRUE(role.ok()) << role.status().message();
    EXPECT_EQ(*role, row.chosen) << static_cast<int>(row.call);
  }
}

TEST_F(SecurityTest, KeysMayListenBeyondLoopback) {
  EXPECT_TRUE(Server::Bind(loop_, context_, "tcp://0.0.0.0:0", {}, {server_keys_, &door_}).ok());
  EXPECT_FALSE(Server::Bind(loop_, context_, "tcp://0.0.0.0:0", {}, Plain()).ok());
}

TEST_F(SecurityTest, EventsEndForAKeyThatIsNoLongerAdmitted) {
  const Keys bob = NewKeys();
  people_.known[bob->public_key] = {bob->public_key, "bob", {access::Role::kViewer}, {}};
  auto publisher = std::move(*Publisher::Bind(loop_, context_, kAnyPort, {server_keys_, &door_}));
  int to_ana = 0;
  int to_bob = 0;
  Subscriber ana(loop_, context_, publisher->endpoint(), As(ana_), {"slot/"}, [&](const v1::Event&) { ++to_ana; });
  Subscriber out(loop_, context_, publisher->endpoint(), As(bob), {"slot/"}, [&](const v1::Event&) { ++to_bob; });
  const auto publish = [&] {
    publisher->Publish("slot/r01/07/", {});
    loop_.RunOnce(Milliseconds(20));
  };
  while (to_ana == 0 || to_bob == 0) publish();
  people_.known.erase(bob->public_key);
  publisher->EndConnections();
  while (out.status().ok()) publish();  // bob's next handshake is refused
  const int last = to_bob;
  for (const int before = to_ana; to_ana < before + 3;) publish();
  EXPECT_EQ(to_bob, last);
}

}  // namespace
}  // namespace faraday::rpc
