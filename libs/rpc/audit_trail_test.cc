// The audit at the door, over real sockets of one process, on a disk that does what the test says.
#include "rpc/audit_trail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "access/fake_audit_files.h"
#include "rpc/audit_calls.h"
#include "rpc/audit_words.h"
#include "rpc/client.h"
#include "rpc/door.h"
#include "rpc/server.h"

namespace faraday::rpc {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kAnyPort[] = "tcp://127.0.0.1:0";
constexpr Milliseconds kLong{20'000};
constexpr char kLogFile[] = "00000000000000000001.jsonl";

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

class AuditTrailTest : public testing::Test {
 protected:
  AuditTrailTest() {
    Add(ana_, "ana", access::Role::kUser);
    Add(tina_, "tina", access::Role::kTech);
    Add(val_, "val", access::Role::kViewer);
    Add(lab_, "lab", access::Role::kLab);
    Add(admin_, "admin@r01", access::Role::kAdmin);
    people_.known[admin_->public_key].break_glass = true;
    trail_ = std::move(*AuditTrail::Open(loop_, {.folder = "", .server = "r01"}, &files_));
    Door::Options options;
    options.directory = &people_;
    options.audit = trail_.get();
    options.rates = {{1e6, 1e6}, {1e6, 1e6}, {1e6, 1e6}};
    door_ = std::make_unique<Door>(options);
    calls_ = std::make_unique<AuditCalls>(*trail_);
    zap_ = std::move(*ZapHandler::Bind(loop_, context_, *door_));
    HandlerTable table;
    for (const auto call : {v1::Request::kPing,
                            v1::Request::kPower,
                            v1::Request::kAcquire,
                            v1::Request::kStopSlot,
                            v1::Request::kPutRoster,
                            v1::Request::kReport,
                            v1::Request::kSubmitJob,
                            v1::Request::kListUsers}) {
      table[call] = [this](const CallPtr& served) { Serve(served); };
    }
    calls_->AddTo(&table);
    server_ = std::move(*Server::Bind(loop_, context_, kAnyPort, std::move(table), {server_keys_, door_.get()}));
  }
  void Add(const Keys& keys, const std::string& user, access::Role role) {
    people_.known[keys->public_key] = {keys->public_key, user, {role}, {}};
  }
  void Serve(const CallPtr& served) {
    ++served_;
    served->audit().before = "VBUS off 3 mV";
    served->audit().after = "VBUS on 5012 mV";
    served->audit().mcu_commands = {"board 0 session 71af command 1042"};
    if (!answer_.ok()) return served->Fail(answer_);
    v1::Reply reply;
    if (served->request().has_submit_job()) reply.mutable_job()->mutable_job()->set_id("job-12");
    served->Answer(std::move(reply));
  }
  Channel& As(const Keys& keys) {
    auto& channel = channels_[keys];
    if (channel) return *channel;
    Credentials who;
    who.keys = keys;
    who.server_key = [key = server_keys_->public_key](const std::string&) { return key; };
    channel = std::make_unique<Channel>(loop_, context_, server_->endpoint(), std::move(who));
    return *channel;
  }
  // Sends; the answer comes while the loop runs.
  std::shared_ptr<std::optional<Result<v1::Reply>>> Send(const Keys& keys, v1::Request request) {
    auto answer = std::make_shared<std::optional<Result<v1::Reply>>>();
    As(keys).Call(std::move(request), kLong, [answer](Result<v1::Reply> reply) { answer->emplace(std::move(reply)); });
    return answer;
  }
  template <typename Answer>
  void Await(const Answer& answer) {
    const BootTime give_up = BootClock::now() + kLong;
    while (!*answer && BootClock::now() < give_up) loop_.RunOnce(Milliseconds(20));
    ASSERT_TRUE(*answer) << "no answer";
  }
  void RunFor(Milliseconds time) {
    const BootTime end = BootClock::now() + time;
    while (BootClock::now() < end) loop_.RunOnce(Milliseconds(20));
  }
  v1::Reply Reply(const Keys& keys, v1::Request request) {
    const auto answer = Send(keys, std::move(request));
    Await(answer);
    return answer->has_value() && (*answer)->ok() ? ***answer : v1::Reply();
  }
  Status Ask(const Keys& keys, v1::Request request) { return GetStatus(Reply(keys, std::move(request))); }
  std::vector<v1::AuditRecord> Records(const std::string& call) {
    std::vector<v1::AuditRecord> records;
    std::istringstream in(files_.Get(kLogFile));
    for (std::string line; std::getline(in, line);) {
      const auto record = access::ParseAuditLine(line);
      EXPECT_TRUE(record.ok()) << line;
      if (record.ok() && record->call() == call) records.push_back(*record);
    }
    return records;
  }
  static v1::Request Power(const std::string& reason = "") {
    v1::Request request;
    request.mutable_power()->set_slot("r01/07");
    request.mutable_power()->set_epoch(42);
    request.mutable_power()->set_action(v1::PowerCall::ACTION_ON);
    request.mutable_power()->set_reason(reason);
    request.set_trace_id("0123456789abcdef");
    return request;
  }
  static v1::Request Acquire() {
    v1::Request request;
    request.mutable_acquire()->set_slot("r01/07");
    return request;
  }
  static v1::Request Stop() {
    v1::Request request;
    request.mutable_stop_slot()->set_slot("r01/07");
    request.mutable_stop_slot()->set_reason("smoke");
    return request;
  }
  static v1::Request Ping() {
    v1::Request request;
    request.mutable_ping();
    return request;
  }

  access::FakeAuditFiles files_;
  evloop::Loop loop_;
  zmq::context_t context_;
  People people_;
  Keys server_keys_ = NewKeys();
  Keys ana_ = NewKeys();
  Keys tina_ = NewKeys();
  Keys val_ = NewKeys();
  Keys lab_ = NewKeys();
  Keys admin_ = NewKeys();
  Status answer_;
  int served_ = 0;
  std::unique_ptr<AuditTrail> trail_;
  std::unique_ptr<Door> door_;
  std::unique_ptr<AuditCalls> calls_;
  std::unique_ptr<ZapHandler> zap_;
  std::unique_ptr<Server> server_;
  std::map<Keys, std::unique_ptr<Channel>> channels_;
};

TEST_F(AuditTrailTest, ACallThatChangesSomethingHasTwoRecords) {
  ASSERT_TRUE(Ask(ana_, Power("it \"smells\"\n")).ok());
  const auto records = Records("power");
  ASSERT_EQ(records.size(), 2U);
  const v1::AuditRecord& asked = records[0];
  EXPECT_EQ(asked.kind(), v1::AuditRecord::KIND_ASKED);
  EXPECT_EQ(asked.server(), "r01");
  EXPECT_EQ(asked.user(), "ana");
  EXPECT_EQ(asked.role(), "user");
  EXPECT_EQ(asked.from(), "127.0.0.1");
  EXPECT_EQ(asked.key(), Fingerprint(ana_->public_key));
  EXPECT_EQ(asked.on(), "r01/07");
  EXPECT_EQ(asked.what(), R"(slot=r01/07 epoch=42 action=ON reason="it \"smells\"\u000a")");
  EXPECT_EQ(asked.reason(), "it \"smells\"\n");
  EXPECT_EQ(asked.trace_id(), "0123456789abcdef");
  EXPECT_FALSE(asked.break_glass());
  const v1::AuditRecord& done = records[1];
  EXPECT_EQ(done.kind(), v1::AuditRecord::KIND_DONE);
  EXPECT_EQ(done.asked(), asked.number());
  EXPECT_EQ(done.code(), "OK");
  EXPECT_EQ(done.before(), "VBUS off 3 mV");
  EXPECT_EQ(done.after(), "VBUS on 5012 mV");
  EXPECT_EQ(done.mcu_commands(0), "board 0 session 71af command 1042");
  EXPECT_EQ(done.trace_id(), asked.trace_id());
}

TEST_F(AuditTrailTest, RefusalsOfHandlersAreRecordedWithTheirWords) {
  answer_ = {Code::kFailedPrecondition, "r01/07 is tripped"};
  EXPECT_EQ(Ask(ana_, Power()).code(), Code::kFailedPrecondition);
  const auto records = Records("power");
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[1].code(), "FAILED_PRECONDITION");
  EXPECT_EQ(records[1].result(), "r01/07 is tripped");
}

TEST_F(AuditTrailTest, TheDoorsRefusalsAreOneRecordReadsToo) {
  EXPECT_EQ(Ask(val_, Power()).code(), Code::kPermissionDenied);
  v1::Request list;
  list.mutable_list_users();
  EXPECT_EQ(Ask(val_, list).code(), Code::kPermissionDenied);
  EXPECT_TRUE(Ask(val_, Ping()).ok());
  const auto power = Records("power");
  ASSERT_EQ(power.size(), 1U);
  EXPECT_EQ(power[0].kind(), v1::AuditRecord::KIND_DONE);
  EXPECT_EQ(power[0].asked(), 0U) << "it never began";
  EXPECT_EQ(power[0].user(), "val");
  EXPECT_EQ(power[0].code(), "PERMISSION_DENIED");
  EXPECT_EQ(Records("list_users").size(), 1U);
  EXPECT_THAT(Records("ping"), IsEmpty());
  EXPECT_EQ(served_, 1);
}

TEST_F(AuditTrailTest, ARequestWithoutATraceGetsOneAndABadOneIsReplaced) {
  v1::Request request = Power();
  request.clear_trace_id();
  ASSERT_TRUE(Ask(ana_, request).ok());
  request.set_trace_id("x\n\x1b[2J");
  ASSERT_TRUE(Ask(ana_, request).ok());
  for (const auto& record : Records("power")) EXPECT_THAT(record.trace_id(), testing::MatchesRegex("[0-9a-f]{16}"));
}

TEST_F(AuditTrailTest, BreakGlassIsMarked) {
  v1::Request request = Stop();
  ASSERT_TRUE(Ask(admin_, request).ok());
  ASSERT_EQ(Records("stop_slot").size(), 2U);
  for (const auto& record : Records("stop_slot")) EXPECT_TRUE(record.break_glass());
}

TEST_F(AuditTrailTest, SecretsStayOut) {
  v1::Request request;
  auto* spec = request.mutable_submit_job()->mutable_spec();
  spec->add_command("run");
  (*spec->mutable_environment())["TOKEN"] = "hunter2";
  ASSERT_TRUE(Ask(ana_, request).ok());
  const auto records = Records("submit_job");
  ASSERT_EQ(records.size(), 2U);
  EXPECT_THAT(records[0].what(), HasSubstr("environment=[TOKEN]"));
  EXPECT_EQ(records[1].on(), "job-12") << "what it made";
  EXPECT_THAT(files_.Get(kLogFile), Not(HasSubstr("hunter2")));
}

TEST(AuditWords, NeitherKeysNorCodesNorTokens) {
  v1::Request request;
  const auto key = access::NewKeyPair().public_key;
  request.mutable_enrol()->set_key(std::string(key.bytes.begin(), key.bytes.end()));
  EXPECT_EQ(ArgumentsOf(request, 1000), "key=" + Fingerprint(key));
  request.mutable_put_roster()->mutable_roster()->set_roster("secret bytes");
  EXPECT_EQ(ArgumentsOf(request, 1000), "roster={roster=(12 bytes)}");
  v1::Reply reply;
  reply.mutable_user()->set_secret("the code");
  reply.mutable_user()->mutable_user()->set_name("ana");
  EXPECT_THAT(ResultOf(reply) + SubjectOf(reply), Not(HasSubstr("the code")));
}

TEST(AuditWords, ACallsNoIsShown) {
  v1::Request request;
  request.mutable_shield()->set_slot("r01/07");
  EXPECT_EQ(ArgumentsOf(request, 1000), "slot=r01/07 couple=no");
}

TEST(AuditWords, ALeaseIsAboutItsSlotAndLongArgumentsAreCut) {
  v1::Request request;
  request.mutable_release()->set_lease("r01-07-42");
  EXPECT_EQ(SubjectOf(request), "r01/07");
  request.mutable_release()->set_reason(std::string(5000, 'x'));
  EXPECT_LT(ArgumentsOf(request, 1000).size(), 1001U);
  for (const char* odd : {"", "-", "--", "a-", "-1", "a-b"}) {
    request.mutable_release()->set_lease(odd);
    EXPECT_EQ(SubjectOf(request), odd);
  }
}

// ---- the disk -----------------------------------------------------------------------------------------------------

TEST_F(AuditTrailTest, OnASlowDiskOnlyCallsThatActOnceWait) {
  files_.slow().lock();
  const auto once = Send(ana_, Acquire());
  EXPECT_TRUE(Ask(ana_, Power()).ok());
  EXPECT_TRUE(Ask(tina_, Stop()).ok());
  EXPECT_TRUE(Ask(ana_, Ping()).ok());
  RunFor(Milliseconds(300));
  EXPECT_FALSE(once->has_value()) << "its records are not on disk";
  EXPECT_EQ(served_, 4) << "it has acted";
  files_.slow().unlock();
  Await(once);
  EXPECT_EQ(Records("acquire").size(), 2U);
}

TEST_F(AuditTrailTest, ManyWaitForOneSync) {
  RunFor(Milliseconds(700));  // the start's own sync
  files_.slow().lock();
  std::vector<std::shared_ptr<std::optional<Result<v1::Reply>>>> answers;
  for (int i = 0; i < 64; ++i) answers.push_back(Send(ana_, Acquire()));
  const BootTime give_up = BootClock::now() + kLong;
  while (served_ < 64 && BootClock::now() < give_up) loop_.RunOnce(Milliseconds(20));
  const int before = files_.syncs();
  files_.slow().unlock();
  for (const auto& answer : answers) Await(answer);
  EXPECT_LE(files_.syncs() - before, 3) << "one under way, one for all who came meanwhile";
}

TEST_F(AuditTrailTest, LevelRecordsAreOnDiskSoonAfterTheAnswer) {
  ASSERT_TRUE(Ask(ana_, Power()).ok());
  const std::string whole = files_.Get(kLogFile);
  const BootTime give_up = BootClock::now() + kLong;
  while (files_.GetSynced(kLogFile) != whole && BootClock::now() < give_up) loop_.RunOnce(Milliseconds(20));
  EXPECT_EQ(files_.GetSynced(kLogFile), whole);
  EXPECT_EQ(Records("power").size(), 2U);
}

TEST_F(AuditTrailTest, WhatCannotBeRecordedDoesNotHappen) {
  files_.SetRoom(0);
  for (const auto& request : {Power(), Acquire()}) {
    const Status status = Ask(ana_, request);
    EXPECT_EQ(status.code(), Code::kUnavailable);
    EXPECT_THAT(status.message(), HasSubstr("audit log cannot be written"));
    EXPECT_THAT(status.message(), HasSubstr("No space left"));
  }
  EXPECT_EQ(served_, 0);
  EXPECT_TRUE(Ask(ana_, Ping()).ok()) << "reads go on";
  EXPECT_TRUE(Ask(tina_, Stop()).ok()) << "the safe direction is never refused";
  EXPECT_EQ(served_, 2);
  files_.SetRoom(UINT64_MAX);
  EXPECT_TRUE(Ask(ana_, Acquire()).ok()) << "comes back by itself";
  EXPECT_EQ(Records("stop_slot").size(), 2U) << "kept in memory meanwhile";
  v1::Request verify;
  verify.mutable_verify_audit();
  const v1::Reply reply = Reply(tina_, verify);
  EXPECT_TRUE(reply.verify_audit().good()) << reply.verify_audit().text();
}

TEST_F(AuditTrailTest, ASyncThatFailsHoldsTheReplyUntilTheDiskIsBack) {
  files_.FailSyncs(true);
  const auto once = Send(ana_, Acquire());
  const BootTime give_up = BootClock::now() + kLong;
  while (trail_->status().ok() && BootClock::now() < give_up) loop_.RunOnce(Milliseconds(20));
  EXPECT_EQ(Ask(ana_, Power()).code(), Code::kUnavailable);
  EXPECT_FALSE(once->has_value());
  files_.FailSyncs(false);
  Await(once);
  EXPECT_TRUE((*once)->ok());
  EXPECT_TRUE(Ask(ana_, Power()).ok());
}

// ---- floods -------------------------------------------------------------------------------------------------------

TEST_F(AuditTrailTest, AFloodOfRefusalsIsBounded) {
  const int flood = static_cast<int>(AuditTrail::kRefusals) + 300;
  for (int i = 0; i < flood; ++i) (void)Ask(val_, Power());
  const size_t told = Records("power").size();
  EXPECT_GE(told, AuditTrail::kRefusals);
  EXPECT_LT(told, AuditTrail::kRefusals + 60) << "one more each second";
  EXPECT_TRUE(Ask(ana_, Power()).ok()) << "others are not touched";
}

TEST_F(AuditTrailTest, WhoIsRefusedTooOftenMustWait) {
  answer_ = {Code::kPermissionDenied, "not yours"};
  Status last;
  for (uint32_t i = 0; i < AuditTrail::kRefusals + 60 && last.code() != Code::kResourceExhausted; ++i) {
    last = Ask(ana_, Power());
  }
  EXPECT_EQ(last.code(), Code::kResourceExhausted);
  EXPECT_LT(Records("power").size(), 2 * (AuditTrail::kRefusals + 60));
  answer_ = OkStatus();
  EXPECT_TRUE(Ask(tina_, Stop()).ok());
}

TEST_F(AuditTrailTest, RefusalsHoldUpNoRoster) {
  answer_ = {Code::kPermissionDenied, "not yours"};
  Status last;
  for (uint32_t i = 0; i < AuditTrail::kRefusals + 60 && last.code() != Code::kResourceExhausted; ++i) {
    last = Ask(lab_, Power());
  }
  ASSERT_EQ(last.code(), Code::kResourceExhausted);
  answer_ = OkStatus();
  v1::Request roster;
  roster.mutable_put_roster();
  EXPECT_TRUE(Ask(lab_, roster).ok());
  EXPECT_EQ(Records("put_roster").size(), 2U);
}

// ---- reading ------------------------------------------------------------------------------------------------------

TEST_F(AuditTrailTest, UsersReadTheirOwnTechsAll) {
  ASSERT_TRUE(Ask(ana_, Power()).ok());
  ASSERT_TRUE(Ask(tina_, Stop()).ok());
  v1::Request read;
  read.mutable_read_audit();
  const v1::Reply own = Reply(ana_, read);
  for (const auto& record : own.read_audit().records()) EXPECT_EQ(record.user(), "ana");
  EXPECT_EQ(own.read_audit().records_size(), 2);
  EXPECT_EQ(Reply(tina_, read).read_audit().records_size(), 5) << "the start's note too";
  read.mutable_read_audit()->set_user("tina");
  EXPECT_EQ(Ask(ana_, read).code(), Code::kPermissionDenied);
  EXPECT_EQ(Reply(tina_, read).read_audit().records_size(), 2);
  v1::Request verify;
  verify.mutable_verify_audit();
  EXPECT_EQ(Ask(ana_, verify).code(), Code::kPermissionDenied);
  EXPECT_EQ(Reply(tina_, verify).verify_audit().head(), trail_->head());
}

}  // namespace
}  // namespace faraday::rpc
