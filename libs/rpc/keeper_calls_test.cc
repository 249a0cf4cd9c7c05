// The keeper's calls over encrypted sockets: a code, a key, a right, and what is taken away again.
#include "rpc/keeper_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "access/credential.h"
#include "access/temp_folder.h"
#include "rpc/client.h"
#include "rpc/door.h"
#include "rpc/server.h"

namespace faraday::rpc {
namespace {

using access::Role;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kAnyPort[] = "tcp://127.0.0.1:0";
constexpr Milliseconds kLong{20'000};

Keys NewKeys() { return std::make_shared<access::KeyPair>(access::NewKeyPair()); }
std::string Bytes(const access::PublicKey& key) { return {key.bytes.begin(), key.bytes.end()}; }

class KeeperCallsTest : public testing::Test {
 protected:
  KeeperCallsTest() : lab_(NewKeys()), break_glass_(NewKeys()), door_(DoorOptions()) {
    access::Registry::Options options;
    options.state_dir = folder_.path();
    options.keeper = "lab";
    options.server_key = lab_->public_key;
    options.forbidden = {break_glass_->public_key};
    registry_ = std::move(*access::Registry::Open(options, UtcNow()));
    registry_->OnChange([this] { directory_.SetRoster(registry_->roster()); });
    directory_.SetRoster(registry_->roster());
    directory_.SetBreakGlass(break_glass_->public_key);
    calls_ = std::make_unique<KeeperCalls>(*registry_, directory_, ServerFacts{"lab", "CURVE"});
    zap_ = std::move(*ZapHandler::Bind(loop_, context_, door_));
    server_ = std::move(*Server::Bind(loop_, context_, kAnyPort, Table(), {lab_, &door_}));
  }

  Door::Options DoorOptions() {
    Door::Options options;
    options.directory = &directory_;
    return options;
  }
  HandlerTable Table() {
    HandlerTable table;
    calls_->AddTo(&table);
    for (const auto call : {v1::Request::kSetUser, v1::Request::kDisableUser, v1::Request::kRotateUser}) {
      table[call] = [this, row = table[call]](const CallPtr& served) {
        row(served);
        audit_ = served->audit();
      };
    }
    table[v1::Request::kGetJob] = [this](const CallPtr& served) { parked_.push_back(served); };
    return table;
  }

  Credentials As(const Keys& keys) const {
    Credentials who;
    who.keys = keys;
    who.server_key = [key = lab_->public_key](const std::string&) { return key; };
    return who;
  }
  Result<v1::Reply> Ask(Channel& channel, v1::Request request) {
    std::optional<Result<v1::Reply>> answer;
    channel.Call(std::move(request), kLong, [&](Result<v1::Reply> reply) { answer = std::move(reply); });
    while (!answer) loop_.RunOnce(Milliseconds(50));
    if (!answer->ok()) return answer->status();
    const Status status = GetStatus(**answer);
    return status.ok() ? std::move(*answer) : Result<v1::Reply>(status);
  }
  Result<v1::Reply> Ask(const Keys& keys, v1::Request request) {
    Channel channel(loop_, context_, server_->endpoint(), As(keys));
    return Ask(channel, std::move(request));
  }
  static Keys KeysOf(const std::string& secret) {
    return std::make_shared<access::KeyPair>(access::ParseCredential(secret)->keys);
  }

  // ---- requests ----
  static v1::Request Add(const std::string& name, const std::string& role, uint32_t token_s = 0) {
    v1::Request request;
    request.mutable_add_user()->set_name(name);
    request.mutable_add_user()->add_roles(role);
    request.mutable_add_user()->set_token_s(token_s);
    if (token_s != 0) request.mutable_add_user()->add_teams("apps");
    return request;
  }
  static v1::Request Enrol(const Keys& keys) {
    v1::Request request;
    request.mutable_enrol()->set_key(Bytes(keys->public_key));
    return request;
  }
  static v1::Request Disable(const std::string& name) {
    v1::Request request;
    request.mutable_disable_user()->set_name(name);
    request.mutable_disable_user()->set_reason("left");
    return request;
  }
  static v1::Request Rotate(const std::string& name) {
    v1::Request request;
    request.mutable_rotate_user()->set_name(name);
    return request;
  }
  static v1::Request WhoAmI() {
    v1::Request request;
    request.mutable_who_am_i();
    return request;
  }
  static v1::Request List() {
    v1::Request request;
    request.mutable_list_users();
    return request;
  }

  // A new user's code or token.
  std::string Added(const std::string& name, const std::string& role, uint32_t token_s = 0) {
    const auto reply = Ask(break_glass_, Add(name, role, token_s));
    EXPECT_TRUE(reply.ok()) << reply.status().message();
    return reply.ok() ? reply->user().secret() : "";
  }
  Keys Person(const std::string& name, const std::string& role) {
    const Keys keys = NewKeys();
    const auto reply = Ask(KeysOf(Added(name, role)), Enrol(keys));
    EXPECT_TRUE(reply.ok()) << reply.status().message();
    return keys;
  }

  access::TempFolder folder_;
  evloop::Loop loop_;
  zmq::context_t context_;
  Keys lab_;
  Keys break_glass_;
  std::unique_ptr<access::Registry> registry_;
  access::RosterDirectory directory_;
  std::unique_ptr<KeeperCalls> calls_;
  Door door_;
  std::unique_ptr<ZapHandler> zap_;
  AuditFacts audit_;             // of the last change
  std::vector<CallPtr> parked_;  // get_job waits
  std::unique_ptr<Server> server_;
};

TEST_F(KeeperCallsTest, ACodeEnrolsAKeyAndTheKeyIsLetIn) {
  const std::string code = Added("ana", "user");
  const Keys ana = NewKeys();
  EXPECT_EQ(Ask(ana, WhoAmI()).status().code(), Code::kUnauthenticated);
  const auto enrolled = Ask(KeysOf(code), Enrol(ana));
  ASSERT_TRUE(enrolled.ok()) << enrolled.status().message();
  EXPECT_EQ(enrolled->enrol().user().name(), "ana");
  EXPECT_THAT(enrolled->enrol().user().roles(), ElementsAre("user"));
  EXPECT_EQ(enrolled->enrol().server(), "lab");
  EXPECT_EQ(enrolled->enrol().server_key(), Bytes(lab_->public_key));
  const auto roster =
      access::OpenRoster(enrolled->enrol().roster().SerializeAsString(), std::vector{registry_->signer()});
  ASSERT_TRUE(roster.ok()) << roster.status().message();
  EXPECT_EQ(roster->number, registry_->number());
  ASSERT_EQ(enrolled->enrol().user().keys_size(), 1) << "the used code is not shown";
  EXPECT_EQ(enrolled->enrol().user().keys(0).fingerprint(), access::Fingerprint(ana->public_key));
  EXPECT_TRUE(Ask(ana, WhoAmI()).ok());
}

TEST_F(KeeperCallsTest, ALostAnswerIsAskedForAgainAndNobodyElseGetsIt) {
  const Keys code = KeysOf(Added("ana", "user"));
  const Keys ana = NewKeys();
  ASSERT_TRUE(Ask(code, Enrol(ana)).ok());
  EXPECT_TRUE(Ask(code, Enrol(ana)).ok());
  EXPECT_EQ(Ask(code, Enrol(NewKeys())).status().code(), Code::kFailedPrecondition);
}

TEST_F(KeeperCallsTest, ACodeMayNothingElse) {
  const Keys code = KeysOf(Added("ana", "admin"));
  for (const auto& request : {Add("eve", "admin"), List(), Disable("ana"), Rotate("ana")}) {
    EXPECT_EQ(Ask(code, request).status().code(), Code::kPermissionDenied) << request.ShortDebugString();
  }
  const auto who = Ask(code, WhoAmI());
  ASSERT_TRUE(who.ok());
  EXPECT_EQ(who->who_am_i().user(), "ana");
  EXPECT_THAT(who->who_am_i().roles(), ElementsAre("code"));
  EXPECT_FALSE(who->who_am_i().has_signed_roster());
  EXPECT_EQ(registry_->FindUser("eve"), nullptr);
}

TEST_F(KeeperCallsTest, ABadKeyLeavesTheCodeGood) {
  const Keys code = KeysOf(Added("ana", "user"));
  v1::Request request;
  request.mutable_enrol()->set_key("short");
  EXPECT_EQ(Ask(code, request).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Ask(code, Enrol(lab_)).status().code(), Code::kAlreadyExists);
  EXPECT_TRUE(Ask(code, Enrol(NewKeys())).ok());
}

TEST_F(KeeperCallsTest, WhoAmITellsAllAboutTheKey) {
  const Keys ana = Person("ana", "tech");
  const auto who = Ask(ana, WhoAmI());
  ASSERT_TRUE(who.ok());
  const v1::WhoAmIResult& result = who->who_am_i();
  EXPECT_EQ(result.user(), "ana");
  EXPECT_THAT(result.roles(), ElementsAre("tech"));
  EXPECT_EQ(result.fingerprint(), access::Fingerprint(ana->public_key));
  EXPECT_EQ(result.expires_utc_ms(), 0);
  EXPECT_EQ(result.server(), "lab");
  EXPECT_EQ(result.security(), "CURVE");
  EXPECT_FALSE(result.break_glass());
  EXPECT_EQ(result.roster(), registry_->number());
  EXPECT_TRUE(access::OpenRoster(result.signed_roster().SerializeAsString(), std::vector{registry_->signer()}).ok());

  const auto admin = Ask(break_glass_, WhoAmI());
  ASSERT_TRUE(admin.ok());
  EXPECT_EQ(admin->who_am_i().user(), "break-glass");
  EXPECT_TRUE(admin->who_am_i().break_glass());
}

TEST_F(KeeperCallsTest, ATokenIsUsedAsItIs) {
  const std::string token = Added("ci-apps", "ci", 3600);
  const auto who = Ask(KeysOf(token), WhoAmI());
  ASSERT_TRUE(who.ok()) << who.status().message();
  EXPECT_EQ(who->who_am_i().user(), "ci-apps");
  EXPECT_THAT(who->who_am_i().teams(), ElementsAre("apps"));
  EXPECT_GT(who->who_am_i().expires_utc_ms(), UtcNow().since_epoch.count());
}

TEST_F(KeeperCallsTest, OnlyAdminsKeepUsers) {
  const Keys ana = Person("ana", "user");
  const Keys tom = Person("tom", "tech");
  for (const Keys& who : {ana, tom}) {
    EXPECT_EQ(Ask(who, Add("eve", "admin")).status().code(), Code::kPermissionDenied);
    EXPECT_EQ(Ask(who, Disable("ana")).status().code(), Code::kPermissionDenied);
  }
  EXPECT_EQ(Ask(ana, List()).status().code(), Code::kPermissionDenied);
  EXPECT_TRUE(Ask(tom, List()).ok());
  const Keys root = Person("root", "admin");
  EXPECT_TRUE(Ask(root, Add("eve", "user")).ok());
}

TEST_F(KeeperCallsTest, APersonRotatesItselfAndNobodyElse) {
  const Keys ana = Person("ana", "user");
  Person("bob", "user");
  EXPECT_EQ(Ask(ana, Rotate("bob")).status().code(), Code::kPermissionDenied);
  const auto rotated = Ask(ana, Rotate("ana"));
  ASSERT_TRUE(rotated.ok()) << rotated.status().message();
  const Keys next = NewKeys();
  ASSERT_TRUE(Ask(KeysOf(rotated->user().secret()), Enrol(next)).ok());
  EXPECT_TRUE(Ask(next, WhoAmI()).ok());
  EXPECT_EQ(Ask(ana, WhoAmI()).status().code(), Code::kUnauthenticated);
  EXPECT_TRUE(Ask(break_glass_, Rotate("bob")).ok());
}

TEST_F(KeeperCallsTest, ATokenDoesNotProlongItself) {
  const Keys ci = KeysOf(Added("ci", "ci", 3600));
  EXPECT_EQ(Ask(ci, Rotate("ci")).status().code(), Code::kPermissionDenied);
  v1::Request longer = Rotate("ci");
  longer.mutable_rotate_user()->set_token_s(1'000'000);
  const auto rotated = Ask(ci, longer);
  ASSERT_TRUE(rotated.ok()) << rotated.status().message();
  const auto who = Ask(KeysOf(rotated->user().secret()), WhoAmI());
  ASSERT_TRUE(who.ok());
  EXPECT_LE(who->who_am_i().expires_utc_ms(), UtcNow().since_epoch.count() + 3'600'000);
}

TEST_F(KeeperCallsTest, TheDisabledAreRefusedOnTheOpenConnection) {
  const Keys ana = Person("ana", "user");
  Channel channel(loop_, context_, server_->endpoint(), As(ana));
  ASSERT_TRUE(Ask(channel, WhoAmI()).ok());
  const auto disabled = Ask(break_glass_, Disable("ana"));
  ASSERT_TRUE(disabled.ok());
  EXPECT_TRUE(disabled->user().user().disabled());
  EXPECT_THAT(disabled->user().secret(), IsEmpty());
  const auto refused = Ask(channel, WhoAmI());
  EXPECT_EQ(refused.status().code(), Code::kUnauthenticated);
  EXPECT_THAT(refused.status().message(), HasSubstr("ana is disabled"));
  v1::Request enable = Disable("ana");
  enable.mutable_disable_user()->set_enable(true);
  ASSERT_TRUE(Ask(break_glass_, enable).ok());
  EXPECT_TRUE(Ask(ana, WhoAmI()).ok());
}

TEST_F(KeeperCallsTest, WhoWasDisabledMeanwhileGetsNoAnswerThatTells) {
  const Keys ana = Person("ana", "user");
  Channel channel(loop_, context_, server_->endpoint(), As(ana));
  v1::Request job;
  job.mutable_get_job()->set_id("job-1");
  std::optional<Result<v1::Reply>> answer;
  channel.Call(job, kLong, [&](Result<v1::Reply> reply) { answer = std::move(reply); });
  while (parked_.empty()) loop_.RunOnce(Milliseconds(50));
  ASSERT_TRUE(Ask(break_glass_, Disable("ana")).ok());
  v1::Reply news;
  news.mutable_job()->mutable_job()->set_id("job-1");
  parked_.front()->Answer(std::move(news));
  while (!answer) loop_.RunOnce(Milliseconds(50));
  ASSERT_TRUE(answer->ok());
  EXPECT_EQ(GetStatus(**answer).code(), Code::kUnauthenticated);
  EXPECT_FALSE((*answer)->has_job());
}

TEST_F(KeeperCallsTest, WhoEndsItsOwnKeyGetsItsCode) {
  const Keys ana = Person("ana", "user");
  v1::Request now = Rotate("ana");
  now.mutable_rotate_user()->set_now(true);
  const auto rotated = Ask(ana, now);
  ASSERT_TRUE(rotated.ok()) << rotated.status().message();
  EXPECT_THAT(rotated->user().secret(), Not(IsEmpty()));
}

TEST_F(KeeperCallsTest, OnesOwnRotationsAreBoundedAnAdminsAreNot) {
  const Keys ana = Person("ana", "user");
  const Keys bob = Person("bob", "user");
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Ask(ana, Rotate("ana")).ok());
  const uint64_t number = registry_->number();
  const auto refused = Ask(ana, Rotate("ana"));
  EXPECT_EQ(refused.status().code(), Code::kResourceExhausted);
  EXPECT_THAT(refused.status().message(), HasSubstr("again in 10 min"));
  EXPECT_EQ(registry_->number(), number);
  EXPECT_TRUE(Ask(bob, Rotate("bob")).ok());
  EXPECT_TRUE(Ask(break_glass_, Rotate("ana")).ok());
}

TEST_F(KeeperCallsTest, TheAuditTellsWhatWasAndWhatIs) {
  const Keys ana = Person("ana", "user");
  v1::Request set;
  set.mutable_set_user()->set_name("ana");
  set.mutable_set_user()->add_roles("tech");
  set.mutable_set_user()->add_teams("apps");
  ASSERT_TRUE(Ask(break_glass_, set).ok());
  const std::string key = access::Fingerprint(ana->public_key);
  EXPECT_EQ(audit_.before, "enabled, roles user, teams none, 0 open codes, keys " + key);
  EXPECT_EQ(audit_.after, "enabled, roles tech, teams apps, 0 open codes, keys " + key);
  ASSERT_TRUE(Ask(break_glass_, Disable("ana")).ok());
  EXPECT_THAT(audit_.before, testing::StartsWith("enabled"));
  EXPECT_THAT(audit_.after, testing::StartsWith("disabled"));
  v1::Request now = Rotate("ana");
  now.mutable_rotate_user()->set_now(true);
  ASSERT_TRUE(Ask(break_glass_, now).ok());
  EXPECT_THAT(audit_.before, HasSubstr(key));
  EXPECT_THAT(audit_.after, HasSubstr("1 open codes, keys none"));
}

TEST_F(KeeperCallsTest, TheListShowsUsersAndNoSecret) {
  const Keys ana = Person("ana", "user");
  const std::string code = Added("bob", "tech");
  const std::string token = Added("ci", "ci", 3600);
  const auto list = Ask(break_glass_, List());
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->list_users().users_size(), 3);
  EXPECT_EQ(list->list_users().roster(), registry_->number());
  EXPECT_EQ(list->list_users().users(0).name(), "ana");
  EXPECT_TRUE(list->list_users().users(1).keys(0).enrols());
  EXPECT_TRUE(list->list_users().users(2).keys(0).token());
  for (const std::string& text : {code, token}) {
    const auto secret = KeysOf(text)->secret_key.bytes();
    EXPECT_THAT(list->SerializeAsString(), Not(HasSubstr(std::string(secret.begin(), secret.end()))));
  }
}

TEST_F(KeeperCallsTest, BadWordsAreRefusedWithTheAllowedOnes) {
  const auto unknown = Ask(break_glass_, Add("ana", "root"));
  EXPECT_EQ(unknown.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(unknown.status().message(), HasSubstr("viewer, user, ci, tech, admin"));
  EXPECT_EQ(Ask(break_glass_, Add("ana", "lab")).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Ask(break_glass_, Add("ana", "code")).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Ask(break_glass_, Rotate("")).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Ask(break_glass_, Disable("nobody")).status().code(), Code::kNotFound);
  v1::Request huge = Add("ana", "user");
  huge.mutable_add_user()->set_code_s(4'000'000'000U);
  EXPECT_EQ(Ask(break_glass_, huge).status().code(), Code::kInvalidArgument);
}

TEST_F(KeeperCallsTest, PlainTextEnrolsNobody) {
  Door door([] {
    Door::Options options;
    options.plain = true;
    return options;
  }());
  auto plain = std::move(*Server::Bind(loop_, context_, kAnyPort, Table(), {nullptr, &door}));
  v1::Caller code;
  code.set_user("ana");
  code.set_role("code");
  Channel channel(loop_, context_, plain->endpoint(), code);
  EXPECT_EQ(Ask(channel, Enrol(NewKeys())).status().code(), Code::kFailedPrecondition);
  v1::Caller ana;
  ana.set_user("ana");
  ana.set_role("user");
  Channel believed(loop_, context_, plain->endpoint(), ana);
  const auto who = Ask(believed, WhoAmI());
  ASSERT_TRUE(who.ok());
  EXPECT_EQ(who->who_am_i().user(), "ana");
  EXPECT_THAT(who->who_am_i().fingerprint(), IsEmpty());
}

}  // namespace
}  // namespace faraday::rpc
