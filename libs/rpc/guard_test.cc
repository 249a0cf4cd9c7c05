// Guards over real sockets: a lab and a controller in one process, each with files of its own.
#include "rpc/guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "access/credential.h"
#include "access/temp_folder.h"
#include "rpc/client.h"
#include "rpc/enrolment.h"

namespace faraday::rpc {
namespace {

using testing::HasSubstr;

constexpr char kAnyPort[] = "tcp://127.0.0.1:0";
constexpr Milliseconds kLong{20'000};

// A daemon's sockets behind its guard: context, guard, server, publisher.
struct Site {
  Site(evloop::Loop& loop, Guard::Options options) : guard(std::move(*Guard::Open(loop, context, std::move(options)))) {
    publisher = std::move(*Publisher::Bind(loop, context, kAnyPort, guard->security()));
    guard->Watch(*publisher);
    HandlerTable table;
    guard->AddTo(&table);
    table[v1::Request::kPing] = [](const CallPtr& call) { call->Answer({}); };
    server = std::move(*Server::Bind(loop, context, kAnyPort, std::move(table), guard->security()));
  }
  zmq::context_t context;
  std::unique_ptr<Guard> guard;
  std::unique_ptr<Publisher> publisher;
  std::unique_ptr<Server> server;
};

access::PublicKey ServerKey(const std::string& state_dir) {
  return access::KeyPairOf(*access::ReadSecret(state_dir + "/keys/server.key")).public_key;
}

class GuardTest : public testing::Test {
 protected:
  void SetUp() override {
    StartLab();
    StartRack();
  }
  void StartLab() {
    lab_.reset();
    lab_ = std::make_unique<Site>(
        loop_,
        Guard::Options{.name = "lab", .role = access::Role::kLab, .state_dir = folder_ / "lab", .endpoint = kAnyPort});
  }
  void StartRack() {
    rack_.reset();
    rack_ = std::make_unique<Site>(
        loop_,
        Guard::Options{
            .name = "r01", .role = access::Role::kController, .state_dir = folder_ / "r01", .endpoint = kAnyPort});
  }

  template <typename Condition>
  bool RunUntil(Condition done) {
    const BootTime limit = BootClock::now() + kLong;
    while (BootClock::now() < limit) {
      if (done()) return true;
      loop_.RunOnce(Milliseconds(20));
    }
    return false;
  }
  Result<v1::Reply> Ask(Site& site, Credentials who, v1::Request request) {
    Channel channel(loop_, client_context_, site.server->endpoint(), std::move(who));
    std::optional<Result<v1::Reply>> answer;
    channel.Call(std::move(request), kLong, [&](Result<v1::Reply> reply) { answer = std::move(reply); });
    EXPECT_TRUE(RunUntil([&] { return answer.has_value(); }));
    if (!answer->ok()) return answer->status();
    if (const Status status = GetStatus(**answer); !status.ok()) return status;
    return **answer;
  }
  Credentials With(const access::KeyPair& keys, const std::string& state_dir) const {
    Credentials who;
    who.keys = std::make_shared<const access::KeyPair>(keys);
    who.server_key = [key = ServerKey(state_dir)](const std::string&) -> Result<access::PublicKey> { return key; };
    return who;
  }
  // The break-glass key of the site itself.
  Credentials AsAdmin(const std::string& name) const {
    const auto secret = access::ReadSecret(folder_ / (name + "/keys/admin.key"));
    return With(access::KeyPairOf(*secret), folder_ / name);
  }
  std::string AddUser(Site& site, const std::string& name, const std::string& role, const std::string& at = "lab") {
    v1::Request request;
    request.mutable_add_user()->set_name(name);
    request.mutable_add_user()->add_roles(role);
    const auto reply = Ask(site, AsAdmin(at), request);
    EXPECT_TRUE(reply.ok()) << ToString(reply.status());
    return reply.ok() ? reply->user().secret() : "";
  }
  void Disable(const std::string& name) {
    v1::Request request;
    request.mutable_disable_user()->set_name(name);
    request.mutable_disable_user()->set_reason("has left");
    EXPECT_TRUE(Ask(*lab_, AsAdmin("lab"), request).ok());
  }
  // A person enrols over the wire; the keys are theirs.
  access::KeyPair Enrolled(const std::string& name, const std::string& role) {
    const std::string code = AddUser(*lab_, name, role);
    const access::KeyPair own = access::NewKeyPair();
    v1::Request request;
    request.mutable_enrol()->set_key(std::string(own.public_key.bytes.begin(), own.public_key.bytes.end()));
    const auto reply = Ask(*lab_, With(access::ParseCredential(code)->keys, folder_ / "lab"), request);
    EXPECT_TRUE(reply.ok()) << ToString(reply.status());
    return own;
  }
  EnrolMachine Machine(const std::string& name = "r01", access::Role role = access::Role::kController) {
    EnrolMachine machine;
    machine.server = lab_->server->endpoint();
    machine.name = name;
    machine.role = role;
    machine.state_dir = folder_ / name;
    machine.key_file = "keys/server.key";
    return machine;
  }
  // Blocking, so in a thread while the loop serves.
  Result<std::string> Enrol(const EnrolMachine& machine, const std::string& code) {
    std::optional<Result<std::string>> done;
    std::atomic<bool> ended{false};
    std::thread caller([&] {
      zmq::context_t context;
      done = rpc::Enrol(context, machine, code);
      ended = true;
    });
    EXPECT_TRUE(RunUntil([&] { return ended.load(); }));
    caller.join();
    return *done;
  }
  void EnrolTheRack() {
    const std::string code = AddUser(*lab_, "r01", "controller");
    rack_.reset();
    const auto done = Enrol(Machine(), code);
    ASSERT_TRUE(done.ok()) << ToString(done.status());
    StartRack();
  }
  Status PutRoster(Credentials who, const std::string& bytes) {
    v1::Request request;
    request.mutable_put_roster()->mutable_roster()->ParseFromString(bytes);
    return Ask(*rack_, std::move(who), request).status();
  }
  Credentials AsLab() {
    return lab_->guard->As(
        "lab", [this](const std::string&) -> Result<access::PublicKey> { return ServerKey(folder_ / "r01"); });
  }
  Status BringRoster() { return PutRoster(AsLab(), lab_->guard->registry()->signed_roster()); }
  static v1::Request Ping() {
    v1::Request request;
    request.mutable_ping();
    return request;
  }

  access::TempFolder folder_;
  evloop::Loop loop_;
  zmq::context_t client_context_;
  std::unique_ptr<Site> lab_;
  std::unique_ptr<Site> rack_;
};

TEST_F(GuardTest, FirstStart_MakesPrivateKeysAndLetsInTheLocalAdminOnly) {
  for (const char* name : {"keys/server.key", "keys/admin.key", "keys/signer.key", "users"}) {
    struct stat info {};
    ASSERT_EQ(::stat((folder_ / "lab/").append(name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
  }
  EXPECT_TRUE(Ask(*lab_, AsAdmin("lab"), Ping()).ok());
  EXPECT_EQ(Ask(*lab_, With(access::NewKeyPair(), folder_ / "lab"), Ping()).status().code(), Code::kUnauthenticated);
  EXPECT_EQ(Ask(*lab_, AsAdmin("r01"), Ping()).status().code(), Code::kUnauthenticated) << "another server's admin";
  EXPECT_NE(Ask(*lab_, Credentials(), Ping()).status().code(), Code::kOk) << "plain text";
}

TEST_F(GuardTest, KeyFileThatOthersMayRead_StopsTheStart) {
  for (const char* name : {"keys/server.key", "keys/admin.key", "keys/signer.key", "users"}) {
    lab_.reset();
    const std::string path = (folder_ / "lab/").append(name);
    ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
    zmq::context_t context;
    const auto refused =
        Guard::Open(loop_,
                    context,
                    {.name = "lab", .role = access::Role::kLab, .state_dir = folder_ / "lab", .endpoint = kAnyPort});
    ASSERT_FALSE(refused.ok()) << name;
    EXPECT_EQ(refused.status().code(), Code::kFailedPrecondition);
    EXPECT_THAT(refused.status().message(), HasSubstr(path));
    EXPECT_THAT(refused.status().message(), HasSubstr("chmod")) << "what to do";
    ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  }
  StartLab();
}

TEST_F(GuardTest, ControllerWithoutALab_KeepsItsUsers) {
  EXPECT_NE(AddUser(*rack_, "ana", "user", "r01"), "");
  EXPECT_EQ(BringRoster().code(), Code::kUnauthenticated) << "it knows no lab";
}

TEST_F(GuardTest, EnrolledController_TakesTheLabsRosterAndKeepsNoUsers) {
  EnrolTheRack();
  const access::KeyPair ana = Enrolled("ana", "user");
  EXPECT_EQ(Ask(*rack_, With(ana, folder_ / "r01"), Ping()).status().code(), Code::kUnauthenticated);
  ASSERT_TRUE(BringRoster().ok());
  EXPECT_TRUE(Ask(*rack_, With(ana, folder_ / "r01"), Ping()).ok());
  v1::Request request;
  request.mutable_add_user()->set_name("bo");
  request.mutable_add_user()->add_roles("user");
  const Status refused = Ask(*rack_, AsAdmin("r01"), request).status();
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition);
  EXPECT_THAT(refused.message(), HasSubstr("users are kept by the lab at " + lab_->server->endpoint()));
}

TEST_F(GuardTest, Roster_FromTheLabOnlyNewerOnlyItsSignersOnly) {
  EnrolTheRack();
  const access::KeyPair ana = Enrolled("ana", "admin");
  const std::string older = lab_->guard->registry()->signed_roster();
  AddUser(*lab_, "bo", "user");
  const std::string newer = lab_->guard->registry()->signed_roster();
  ASSERT_TRUE(PutRoster(AsLab(), newer).ok());
  const uint64_t number = rack_->guard->roster_number();
  EXPECT_EQ(PutRoster(AsLab(), older).code(), Code::kFailedPrecondition);
  EXPECT_EQ(PutRoster(With(ana, folder_ / "r01"), newer).code(), Code::kPermissionDenied) << "an admin is not the lab";
  EXPECT_EQ(PutRoster(AsAdmin("r01"), newer).code(), Code::kPermissionDenied);
  access::Roster forged = lab_->guard->registry()->roster();
  forged.number += 10;
  const auto wrong_signer = access::SignRoster(forged, access::NewSecret());
  EXPECT_EQ(PutRoster(AsLab(), *wrong_signer).code(), Code::kPermissionDenied);
  EXPECT_EQ(rack_->guard->roster_number(), number);
}

TEST_F(GuardTest, KnownServersLost_TheControllerDoesNotFallBackToItsOwnUsers) {
  AddUser(*rack_, "mallory", "admin", "r01");
  EnrolTheRack();
  for (const char* name : {"r01/users", "r01/keys/signer.key"}) {
    EXPECT_FALSE(std::filesystem::exists(folder_ / name)) << name;
    EXPECT_TRUE(std::filesystem::exists(folder_ / name + ".before-enrolment")) << name;
  }
  rack_.reset();
  const std::string lost = folder_ / "r01/known_servers";
  std::filesystem::rename(lost, lost + ".lost");
  const auto open = [&](zmq::context_t& context) {
    return Guard::Open(
        loop_,
        context,
        {.name = "r01", .role = access::Role::kController, .state_dir = folder_ / "r01", .endpoint = kAnyPort});
  };
  for (const char* left : {"r01/roster", "r01/roster.signers"}) {
    zmq::context_t context;
    const auto refused = open(context);
    ASSERT_FALSE(refused.ok()) << left;
    EXPECT_EQ(refused.status().code(), Code::kDataLoss);
    EXPECT_THAT(refused.status().message(), HasSubstr(lost + " is missing"));
    EXPECT_THAT(refused.status().message(), HasSubstr("--enrol"));
    std::filesystem::remove(folder_ / left);
  }
  StartRack();  // both removed on purpose: a keeper, of nobody
  EXPECT_THAT(rack_->guard->registry()->Users(), testing::IsEmpty());
}

TEST_F(GuardTest, Restart_WhileTheLabIsAway_TheRosterOnDiskIsInForce) {
  EnrolTheRack();
  const access::KeyPair ana = Enrolled("ana", "user");
  ASSERT_TRUE(BringRoster().ok());
  lab_.reset();
  StartRack();
  EXPECT_TRUE(Ask(*rack_, With(ana, folder_ / "r01"), Ping()).ok());
  EXPECT_TRUE(Ask(*rack_, AsAdmin("r01"), Ping()).ok()) << "break-glass";
}

TEST_F(GuardTest, Disabled_IsRefusedAtOnceEventsEndAndWhyGoneSaysSo) {
  EnrolTheRack();
  const access::KeyPair ana = Enrolled("ana", "user");
  const access::KeyPair bo = Enrolled("bo", "user");
  ASSERT_TRUE(BringRoster().ok());
  int anas = 0;
  int bos = 0;
  zmq::context_t other;
  Subscriber to_ana(
      loop_, other, rack_->publisher->endpoint(), With(ana, folder_ / "r01"), {""}, [&](const v1::Event&) { ++anas; });
  Subscriber to_bo(
      loop_, other, rack_->publisher->endpoint(), With(bo, folder_ / "r01"), {""}, [&](const v1::Event&) { ++bos; });
  ASSERT_TRUE(RunUntil([&] { return anas > 0 && bos > 0; }));
  EXPECT_EQ(rack_->guard->WhyGone("ana"), "");
  bool looked = false;
  rack_->guard->OnLook([&] { looked = looked || rack_->guard->WhyGone("ana") == "user ana is disabled at the lab"; });
  Disable("ana");
  ASSERT_TRUE(BringRoster().ok());
  EXPECT_EQ(Ask(*rack_, With(ana, folder_ / "r01"), Ping()).status().code(), Code::kUnauthenticated);
  EXPECT_TRUE(Ask(*rack_, With(bo, folder_ / "r01"), Ping()).ok());
  EXPECT_TRUE(RunUntil([&] { return looked; }));
  // Bo comes back by itself; five ticks later nothing has come to ana.
  const int before = anas;
  const int seen = bos;
  ASSERT_TRUE(RunUntil([&] { return bos >= seen + 5; }));
  EXPECT_LE(anas, before + 1) << "what was under way";
  EXPECT_EQ(rack_->guard->WhyGone("bo"), "");
  EXPECT_EQ(rack_->guard->WhyGone("nobody"), "user nobody has no key at the lab any more");
  EXPECT_EQ(rack_->guard->WhyGone("break-glass"), "");
}

TEST_F(GuardTest, NewSigner_IsFollowedAndTheOldOneIsOver) {
  EnrolTheRack();
  lab_.reset();
  const Guard::Options options{
      .name = "lab", .role = access::Role::kLab, .state_dir = folder_ / "lab", .endpoint = kAnyPort};
  const auto seed_of = [this] { return access::ReadSecret(folder_ / "lab/keys/signer.key"); };
  const auto before = seed_of();
  ASSERT_TRUE(before.ok()) << ToString(before.status());
  const auto rotated = Guard::RotateSigner(options);
  ASSERT_TRUE(rotated.ok()) << ToString(rotated.status());
  const auto after = seed_of();
  ASSERT_TRUE(after.ok()) << ToString(after.status());
  EXPECT_NE(access::SignerOf(*after), access::SignerOf(*before)) << "the old key does not wait for a next change";
  StartLab();
  AddUser(*lab_, "ana", "user");
  AddUser(*lab_, "bo", "user");
  uint64_t number = rack_->guard->roster_number();
  for (int i = 0; i < 10 && number < lab_->guard->roster_number(); ++i) {
    const Status taken = PutRoster(AsLab(), lab_->guard->RosterAfter(number));
    ASSERT_TRUE(taken.ok()) << ToString(taken);
    number = rack_->guard->roster_number();
  }
  EXPECT_EQ(number, lab_->guard->roster_number());
}

TEST_F(GuardTest, Expired_IsRefusedAndItsEventsEnd) {
  rack_.reset();
  const access::KeyPair ci = access::NewKeyPair();
  const access::KeyPair bo = access::NewKeyPair();
  access::Roster roster;
  roster.number = 1;
  roster.keeper = "lab";
  const access::SecretKey signer = access::NewSecret();
  roster.signers = {access::SignerOf(signer)};
  const UtcTime soon{UtcNow().since_epoch + Milliseconds(3'000)};
  roster.entries.resize(2);
  roster.entries[0].key = ci.public_key;
  roster.entries[0].user = "ci";
  roster.entries[0].roles = {access::Role::kCi};
  roster.entries[0].expires = soon;
  roster.entries[1].key = bo.public_key;
  roster.entries[1].user = "bo";
  roster.entries[1].roles = {access::Role::kUser};
  {
    access::RosterDirectory directory;
    const auto membership = access::Membership::Open(folder_ / "r01", directory);
    ASSERT_TRUE(
        (*membership)->Join({"tcp://127.0.0.1:1", bo.public_key, "", "r01"}, *access::SignRoster(roster, signer)).ok());
  }
  StartRack();
  int cis = 0;
  int bos = 0;
  zmq::context_t other;
  Subscriber to_ci(
      loop_, other, rack_->publisher->endpoint(), With(ci, folder_ / "r01"), {""}, [&](const v1::Event&) { ++cis; });
  Subscriber to_bo(
      loop_, other, rack_->publisher->endpoint(), With(bo, folder_ / "r01"), {""}, [&](const v1::Event&) { ++bos; });
  ASSERT_TRUE(RunUntil([&] { return cis > 0; })) << "before it expires";
  ASSERT_TRUE(RunUntil([&] { return UtcNow().since_epoch > soon.since_epoch + Milliseconds(1'500); }));
  EXPECT_EQ(Ask(*rack_, With(ci, folder_ / "r01"), Ping()).status().code(), Code::kUnauthenticated);
  const int before = cis;
  const int seen = bos;
  ASSERT_TRUE(RunUntil([&] { return bos >= seen + 4; }));
  EXPECT_LE(cis, before + 1);
  EXPECT_EQ(rack_->guard->WhyGone("ci"), "") << "what was granted goes on to its end";
}

// ---- enrolment ----

TEST_F(GuardTest, Code_WorksOnce) {
  const std::string code = AddUser(*lab_, "r01", "controller");
  rack_.reset();
  ASSERT_TRUE(Enrol(Machine(), code).ok());
  EnrolMachine thief = Machine();
  thief.state_dir = folder_ / "thief";
  const Status again = Enrol(thief, code).status();
  EXPECT_NE(again.code(), Code::kOk);
  EXPECT_THAT(again.message(), testing::Not(HasSubstr(code)));
}

TEST_F(GuardTest, Code_MistypedOrOfAnotherNameOrLabAway_SaysSo) {
  const std::string code = AddUser(*lab_, "h01", "agent");
  std::string mistyped = code;
  mistyped.back() = mistyped.back() == '0' ? '1' : '0';
  EXPECT_EQ(Enrol(Machine(), mistyped).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Enrol(Machine(), "hello").status().code(), Code::kInvalidArgument);
  const Status other = Enrol(Machine(), code).status();
  EXPECT_EQ(other.code(), Code::kFailedPrecondition);
  EXPECT_THAT(other.message(), HasSubstr("this code is for 'h01', and this is 'r01'"));
  EXPECT_TRUE(Enrol(Machine("h01", access::Role::kAgent), code).ok()) << "it was not used up";
  EnrolMachine nowhere = Machine();
  nowhere.server = "tcp://127.0.0.1:1";
  nowhere.timeout = Milliseconds(500);
  EXPECT_THAT(Enrol(nowhere, code).status().message(), HasSubstr("does not answer: is it running"));
}

TEST_F(GuardTest, Plain_BelievesCallersAndEndsNobody) {
  Site plain(loop_,
             {.name = "r02",
              .role = access::Role::kController,
              .state_dir = folder_ / "r02",
              .endpoint = kAnyPort,
              .plain = true});
  v1::Caller tina;
  tina.set_user("tina");
  tina.set_role("tech");
  EXPECT_TRUE(Ask(plain, tina, Ping()).ok());
  v1::Request request;
  request.mutable_add_user()->set_name("bo");
  EXPECT_EQ(Ask(plain, tina, request).status().code(), Code::kPermissionDenied) << "roles hold";
  EXPECT_EQ(plain.guard->WhyGone("tina"), "");
  EXPECT_EQ(plain.guard->words(), "plain text, loopback only");
}

}  // namespace
}  // namespace faraday::rpc
