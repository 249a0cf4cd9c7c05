// Keys over real sockets: a lab or controller with CURVE, the door, the registry and the keeper's calls in this
// process, and the whole program as a person, an admin or CI would run it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <mutex>
#include <sstream>

#include "access/credential.h"
#include "access/registry.h"
#include "access/roster_directory.h"
#include "cli/keyring.h"
#include "cli/program_fixture.h"
#include "rpc/door.h"
#include "rpc/keeper_calls.h"

namespace faraday::cli {
namespace {

using access::Role;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

// One loop in a thread of its own; Do runs something in it and waits.
class LoopThread {
 public:
  LoopThread() {
    std::promise<evloop::Loop*> made;
    thread_ = std::thread([&made] {
      evloop::Loop loop;
      made.set_value(&loop);
      loop.Run();
    });
    loop_ = made.get_future().get();
  }
  ~LoopThread() {
    loop_->Post([this] { loop_->Stop(); });
    thread_.join();
  }
  void Do(const std::function<void(evloop::Loop&)>& what) {
    std::promise<void> done;
    loop_->Post([&] {
      what(*loop_);
      done.set_value();
    });
    done.get_future().wait();
  }

 private:
  std::thread thread_;
  evloop::Loop* loop_ = nullptr;
};

// A server that keeps users. Everything lives in its loop's thread.
class Keeper {
 public:
  Keeper(const std::string& folder, const std::string& name, Role role, rpc::HandlerTable more = {}) {
    access::Registry::Options options;
    options.state_dir = folder + "/" + name;
    options.keeper = name;
    options.keeper_role = role;
    options.server_key = keys_->public_key;
    admin_file_ = options.state_dir + "/keys/admin.key";
    EXPECT_TRUE(access::WriteSecret(admin_file_, admin_.secret_key, "admin").ok());
    thread_.Do([&](evloop::Loop& loop) {
      registry_ = std::move(*access::Registry::Open(options, UtcNow()));
      directory_.SetBreakGlass(admin_.public_key);
      directory_.SetRoster(registry_->roster());
      registry_->OnChange([this] { directory_.SetRoster(registry_->roster()); });
      rpc::Door::Options door;
      door.directory = &directory_;
      door_ = std::make_unique<rpc::Door>(door);
      zap_ = std::move(*rpc::ZapHandler::Bind(loop, context_, *door_));
      calls_ = std::make_unique<rpc::KeeperCalls>(*registry_, directory_, rpc::ServerFacts{name, "CURVE"});
      publisher_ = std::move(*rpc::Publisher::Bind(loop, context_, "tcp://127.0.0.1:0", Security()));
      calls_->AddTo(&more);
      more[v1::Request::kSnapshot] = [this](const rpc::CallPtr& call) {
        v1::Reply reply;
        *reply.mutable_snapshot() = publisher_->Snapshot();
        call->Answer(reply);
      };
      server_ = std::move(*rpc::Server::Bind(loop, context_, "tcp://127.0.0.1:0", std::move(more), Security()));
      endpoint_ = server_->endpoint();
    });
  }
  ~Keeper() { Close(); }
  // Nobody answers any more.
  void Close() {
    thread_.Do([this](evloop::Loop&) {
      server_.reset();
      publisher_.reset();
      zap_.reset();
    });
  }

  const std::string& endpoint() const { return endpoint_; }
  const access::PublicKey& key() const { return keys_->public_key; }
  const std::string& admin_file() const { return admin_file_; }
  // A new user's code or token. `age`: made that long ago.
  std::string Add(access::NewUser user, std::chrono::seconds age = std::chrono::seconds(0)) {
    return Change([&](access::Registry& registry) { return registry.AddUser(user, {UtcNow().since_epoch - age}); });
  }
  std::string Rotate(const std::string& name) {
    access::Rotation rotation;
    rotation.name = name;
    return Change([&](access::Registry& registry) { return registry.RotateUser(rotation, UtcNow()); });
  }
  void Disable(const std::string& name) {
    Change([&](access::Registry& registry) { return registry.DisableUser(name, "left", UtcNow()); });
  }
  // Enrols a key as a machine does; where it is found.
  void EnrolMachine(const std::string& code, const access::PublicKey& key, const std::string& endpoint) {
    const auto parsed = access::ParseCredential(code);
    ASSERT_TRUE(parsed.ok());
    Change(
        [&](access::Registry& registry) { return registry.Enrol(parsed->keys.public_key, key, endpoint, UtcNow()); });
  }
  std::string SignedRoster() {
    std::string bytes;
    thread_.Do([&](evloop::Loop&) { bytes = registry_->signed_roster(); });
    return bytes;
  }
  void Publish(const std::string& topic, const v1::Event& event) {
    thread_.Do([&](evloop::Loop&) { publisher_->Publish(topic, event); });
  }

 private:
  rpc::Security Security() { return {keys_, door_.get()}; }
  std::string Change(const std::function<Result<access::Change>(access::Registry&)>& change) {
    std::string secret;
    thread_.Do([&](evloop::Loop&) {
      const auto changed = change(*registry_);
      EXPECT_TRUE(changed.ok()) << changed.status().message();
      if (changed.ok()) secret = changed->secret;
    });
    return secret;
  }

  rpc::Keys keys_ = std::make_shared<access::KeyPair>(access::NewKeyPair());
  access::KeyPair admin_ = access::NewKeyPair();
  std::string admin_file_;
  zmq::context_t context_;
  LoopThread thread_;
  access::RosterDirectory directory_;
  std::unique_ptr<access::Registry> registry_;
  std::unique_ptr<rpc::Door> door_;
  std::unique_ptr<rpc::ZapHandler> zap_;
  std::unique_ptr<rpc::KeeperCalls> calls_;
  std::unique_ptr<rpc::Publisher> publisher_;
  std::unique_ptr<rpc::Server> server_;
  std::string endpoint_;
};

access::NewUser Person(const std::string& name, std::vector<Role> roles) {
  access::NewUser user;
  user.name = name;
  user.roles = std::move(roles);
  user.teams = {"apps"};
  return user;
}

class LoginTest : public ProgramTest {
 protected:
  LoginTest() {
    environment_.erase("FARADAY_PLAIN");
    environment_.erase("FARADAY_USER");
  }
  std::string Folder() const { return folder_ + "/.config/faraday"; }
  // What one login leaves in keys/.
  std::vector<fs::path> Keys() const {
    if (!fs::exists(Folder() + "/keys")) return {};
    return {fs::directory_iterator(Folder() + "/keys"), {}};
  }
  Outcome Login(const std::string& endpoint, const std::string& code) {
    return Faraday({"login", endpoint, "--code", code});
  }
  Outcome LogIn(Keeper& lab, const std::string& name, std::vector<Role> roles) {
    Outcome outcome = Login(lab.endpoint(), lab.Add(Person(name, std::move(roles))));
    EXPECT_EQ(outcome.exit, 0) << outcome.err;
    return outcome;
  }
  // As faraday-lab runs this program.
  Outcome AsAdmin(const Keeper& lab, std::vector<std::string> words) {
    words.insert(words.begin(),
                 {"--lab", lab.endpoint(), "--key", lab.admin_file(), "--server-key", access::ToHex(lab.key())});
    return Faraday(std::move(words));
  }
};

// ---- login ----

TEST_F(LoginTest, ACodeMakesAKeyAndEverythingElseFollows) {
  Keeper lab(folder_, "lab", Role::kLab);
  const std::string code = lab.Add(Person("ana", {Role::kUser, Role::kTech}));
  const Outcome login = Login(lab.endpoint(), code);
  ASSERT_EQ(login.exit, 0) << login.err;
  EXPECT_THAT(login.out,
              AllOf(HasSubstr("ana at lab"),
                    HasSubstr("user,tech"),
                    HasSubstr("apps"),
                    HasSubstr("does not expire"),
                    HasSubstr(access::Fingerprint(lab.key())),
                    HasSubstr("lab: CURVE")));
  EXPECT_THAT(login.err, AllOf(HasSubstr("single use"), HasSubstr("config.yaml now says lab: " + lab.endpoint())));
  EXPECT_THAT(login.out + login.err, Not(HasSubstr(code)));
  ASSERT_EQ(Keys().size(), 1U);
  struct stat status {};
  ASSERT_EQ(::stat(Keys()[0].c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  const Outcome who = Faraday({"whoami"});  // the lab is known from config.yaml
  EXPECT_EQ(who.exit, 0) << who.err;
  EXPECT_THAT(who.out, HasSubstr("ana at lab"));
  const Outcome json = Faraday({"whoami", "--json"});
  EXPECT_THAT(json.out, AllOf(HasSubstr("\"user\": \"ana\""), Not(HasSubstr("signed_roster"))));
}

TEST_F(LoginTest, TheCodeComesFromAPipe) {
  Keeper lab(folder_, "lab", Role::kLab);
  in_ = std::tmpfile();
  std::fputs((lab.Add(Person("ana", {Role::kUser})) + "\nrest\n").c_str(), in_);
  std::rewind(in_);
  lseek(fileno(in_), 0, SEEK_SET);
  const Outcome login = Faraday({"login", lab.endpoint()});
  std::fclose(in_);
  EXPECT_EQ(login.exit, 0) << login.err;
  EXPECT_THAT(login.err, Not(HasSubstr("single use"))) << "nobody saw this one";
}

TEST_F(LoginTest, ATerminalDoesNotEchoTheCode) {
  Keeper lab(folder_, "lab", Role::kLab);
  const std::string code = lab.Add(Person("ana", {Role::kUser}));
  Terminal terminal(false);
  in_ = terminal.slave();
  std::thread typist([&] {
    // The code is typed once the program has turned the echo off; before that it would be the person's own doing.
    termios mode{};
    do {
      std::this_thread::yield();
      tcgetattr(fileno(terminal.slave()), &mode);
    } while ((mode.c_lflag & ECHO) != 0);
    terminal.Type(code + "\n");
  });
  const Outcome login = Faraday({"login", lab.endpoint()});
  typist.join();
  EXPECT_EQ(login.exit, 0) << login.err;
  EXPECT_THAT(login.err, HasSubstr("code for " + lab.endpoint()));
  EXPECT_THAT(terminal.Read(), Not(HasSubstr(code.substr(0, 16))));
  termios after{};
  tcgetattr(fileno(terminal.slave()), &after);
  EXPECT_NE(after.c_lflag & ECHO, 0U) << "the echo is on again";
}

TEST_F(LoginTest, AMistypedCodeIsToldApartAndNotRepeated) {
  Keeper lab(folder_, "lab", Role::kLab);
  std::string code = lab.Add(Person("ana", {Role::kUser}));
  code.back() = code.back() == '7' ? '8' : '7';
  const Outcome login = Login(lab.endpoint(), code);
  EXPECT_EQ(login.exit, 2);
  EXPECT_THAT(login.err, HasSubstr("mistyped"));
  EXPECT_THAT(login.err, Not(HasSubstr(code)));
  EXPECT_EQ(Keys().size(), 0U);
  EXPECT_EQ(Login(lab.endpoint(), "hello").exit, 2);
}

TEST_F(LoginTest, AMachinesCodeDoesNotTakeOnesOwnKeyAway) {
  Keeper lab(folder_, "lab", Role::kLab);
  ASSERT_EQ(Login(lab.endpoint(), lab.Add(Person("ana", {Role::kUser}))).exit, 0);
  const std::string machines = lab.Add(Person("h01", {Role::kAgent}));
  const Outcome login = Login(lab.endpoint(), machines);
  EXPECT_EQ(login.exit, 1);
  EXPECT_THAT(login.err, AllOf(HasSubstr("h01's"), HasSubstr("you are ana"), HasSubstr("--enrol")));
  EXPECT_THAT(Faraday({"whoami"}).out, HasSubstr("ana at lab"));
  ASSERT_EQ(Faraday({"logout", lab.endpoint()}).exit, 0);
  EXPECT_EQ(Login(lab.endpoint(), machines).exit, 0) << "the code was not used up";
}

TEST_F(LoginTest, AUsedCodeLetsNobodyElseIn) {
  Keeper lab(folder_, "lab", Role::kLab);
  const std::string code = lab.Add(Person("ana", {Role::kUser}));
  ASSERT_EQ(Login(lab.endpoint(), code).exit, 0);
  environment_["XDG_CONFIG_HOME"] = folder_ + "/thief";
  const Outcome again = Login(lab.endpoint(), code);
  EXPECT_EQ(again.exit, 1) << again.err;
  EXPECT_THAT(again.err, AllOf(HasSubstr("code"), HasSubstr("used")));
  EXPECT_FALSE(fs::exists(folder_ + "/thief/faraday/known_servers"));
}

TEST_F(LoginTest, AnExpiredCodeIsRefused) {
  Keeper lab(folder_, "lab", Role::kLab);
  access::NewUser ana = Person("ana", {Role::kUser});
  ana.code_life = std::chrono::seconds(60);
  const Outcome login = Login(lab.endpoint(), lab.Add(ana, std::chrono::seconds(120)));
  EXPECT_EQ(login.exit, 1) << login.err;
  EXPECT_THAT(login.err, AllOf(HasSubstr("the code was not accepted"), HasSubstr("expired"), HasSubstr("rotate")));
  EXPECT_EQ(Keys().size(), 0U) << "no key is left of a login that failed";
}

TEST_F(LoginTest, ALoginThatBrokeOffGoesOnWithTheSameKey) {
  Keeper lab(folder_, "lab", Role::kLab);
  const std::string code = lab.Add(Person("ana", {Role::kUser}));
  ASSERT_EQ(Login(lab.endpoint(), code).exit, 0);
  fs::remove(Folder() + "/known_servers");  // the power went before it was written
  EXPECT_EQ(Faraday({"whoami"}).exit, 1);
  const Outcome again = Login(lab.endpoint(), code);
  EXPECT_EQ(again.exit, 0) << again.err;
  EXPECT_EQ(Faraday({"whoami"}).exit, 0);
  EXPECT_EQ(Keys().size(), 1U);
}

TEST_F(LoginTest, ASecondLoginReplacesTheKey) {
  Keeper lab(folder_, "lab", Role::kLab);
  LogIn(lab, "ana", {Role::kUser});
  const fs::path before = Keys().at(0);
  const Outcome second = Login(lab.endpoint(), lab.Rotate("ana"));
  EXPECT_EQ(second.exit, 0) << second.err;
  ASSERT_EQ(Keys().size(), 1U);
  EXPECT_NE(Keys()[0], before);
  EXPECT_EQ(Faraday({"whoami"}).exit, 0);
}

TEST_F(LoginTest, AFailedSecondLoginLeavesTheFirst) {
  Keeper lab(folder_, "lab", Role::kLab);
  LogIn(lab, "ana", {Role::kUser});
  Keeper other(folder_, "other", Role::kLab);
  EXPECT_EQ(Login(lab.endpoint(), other.Add(Person("ana", {Role::kUser}))).exit, 1) << "a code of another lab";
  EXPECT_EQ(Keys().size(), 1U);
  EXPECT_EQ(Faraday({"whoami"}).exit, 0);
}

TEST_F(LoginTest, AnOwnConfigKeepsItsLab) {
  Keeper lab(folder_, "lab", Role::kLab);
  fs::create_directories(Folder());
  std::ofstream(Folder() + "/config.yaml") << "lab: tcp://127.0.0.1:1\n";
  const Outcome login = LogIn(lab, "ana", {Role::kUser});
  EXPECT_THAT(login.err, Not(HasSubstr("config.yaml")));
  std::ifstream file(Folder() + "/config.yaml");
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line, "lab: tcp://127.0.0.1:1");
}

TEST_F(LoginTest, AControllerWithoutALabIsNamedAsController) {
  Keeper rack(folder_, "r01", Role::kController);
  const Outcome login = LogIn(rack, "ana", {Role::kUser});
  EXPECT_THAT(login.err, HasSubstr("config.yaml now says controller: " + rack.endpoint()));
  EXPECT_THAT(Faraday({"whoami"}).out, HasSubstr("ana at r01"));
}

TEST_F(LoginTest, LogoutRemovesKeyAndLine) {
  Keeper lab(folder_, "lab", Role::kLab);
  LogIn(lab, "ana", {Role::kUser});
  const Outcome logout = Faraday({"logout", lab.endpoint()});
  EXPECT_EQ(logout.exit, 0);
  EXPECT_THAT(logout.err, HasSubstr("faraday user rotate ana --now"));
  EXPECT_EQ(Keys().size(), 0U);
  EXPECT_THAT(Faraday({"whoami"}).err, HasSubstr("no key is known for " + lab.endpoint()));
  EXPECT_EQ(Faraday({"logout", lab.endpoint()}).exit, 1);
}

// ---- whom one trusts, and who one is ----

TEST_F(LoginTest, WithoutAKeyTheNextCommandIsNamed) {
  const Outcome outcome = Faraday({"--lab", "tcp://127.0.0.1:7", "whoami"});
  EXPECT_EQ(outcome.exit, 1);
  EXPECT_EQ(outcome.err,
            "faraday: no key is known for tcp://127.0.0.1:7: faraday login tcp://127.0.0.1:7 (an admin gives you a "
            "code)\n");
}

TEST_F(LoginTest, AServerWithAnotherKeyGetsNothing) {
  Keeper lab(folder_, "lab", Role::kLab);
  LogIn(lab, "ana", {Role::kUser});
  const access::KnownServers known(Folder() + "/known_servers");
  access::KnownServer line = **known.Find(lab.endpoint());
  line.key = access::NewKeyPair().public_key;
  ASSERT_TRUE(known.Add(line).ok());
  const Outcome outcome = Faraday({"whoami"});
  EXPECT_EQ(outcome.exit, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("another key"), HasSubstr("log in anew")));
}

TEST_F(LoginTest, ADisabledKeyIsToldWhatToDo) {
  Keeper lab(folder_, "lab", Role::kLab);
  LogIn(lab, "ana", {Role::kUser});
  lab.Disable("ana");
  const Outcome outcome = Faraday({"whoami"});
  EXPECT_EQ(outcome.exit, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("disabled"), HasSubstr("admin")));
}

TEST_F(LoginTest, AKeyThatOthersMayReadIsNotUsed) {
  Keeper lab(folder_, "lab", Role::kLab);
  LogIn(lab, "ana", {Role::kUser});
  fs::permissions(Keys().at(0), fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
  const Outcome outcome = Faraday({"whoami"});
  EXPECT_EQ(outcome.exit, 1);
  EXPECT_THAT(outcome.err, HasSubstr("chmod 600"));
}

TEST_F(LoginTest, AnotherUsersNameIsNotBelieved) {
  Keeper lab(folder_, "lab", Role::kLab);
  LogIn(lab, "ana", {Role::kUser});
  const Outcome outcome = Faraday({"whoami", "--user", "bob"});
  EXPECT_EQ(outcome.exit, 1);
  EXPECT_THAT(outcome.err, HasSubstr("belongs to ana"));
}

TEST_F(LoginTest, PlainTextStaysOnThisMachineAndIsRefusedByALabWithKeys) {
  EXPECT_EQ(Faraday({"--plain", "--lab", "tcp://10.0.0.1:7710", "whoami"}).exit, 2);
  Keeper lab(folder_, "lab", Role::kLab);
  const Outcome outcome = Faraday({"--plain", "--lab", lab.endpoint(), "whoami"});
  EXPECT_EQ(outcome.exit, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("wants keys"), HasSubstr("faraday login")));
}

// ---- tokens ----

access::NewUser Ci() {
  access::NewUser ci = Person("ci-apps", {Role::kCi});
  ci.token_life = std::chrono::hours(24);
  return ci;
}

TEST_F(LoginTest, ATokenNeedsNoLogin) {
  Keeper lab(folder_, "lab", Role::kLab);
  const std::string token = lab.Add(Ci());
  std::ofstream(folder_ + "/token") << token << "\n";
  environment_["FARADAY_LAB"] = lab.endpoint();
  environment_["FARADAY_TOKEN_FILE"] = folder_ + "/token";
  const Outcome by_file = Faraday({"whoami"});
  EXPECT_EQ(by_file.exit, 0) << by_file.err;
  EXPECT_THAT(by_file.out, AllOf(HasSubstr("ci-apps at lab"), HasSubstr("until ")));
  environment_.erase("FARADAY_TOKEN_FILE");
  environment_["FARADAY_TOKEN"] = token;
  EXPECT_EQ(Faraday({"whoami"}).exit, 0);
}

TEST_F(LoginTest, AControllerThatClaimsTheLabsAddressIsNotTakenForTheLab) {
  Keeper lab(folder_, "lab", Role::kLab);
  environment_["FARADAY_LAB"] = lab.endpoint();
  environment_["FARADAY_TOKEN"] = lab.Add(Ci());
  access::NewUser rogue;
  rogue.name = "r01";
  rogue.roles = {Role::kController};
  lab.EnrolMachine(lab.Add(rogue), access::NewKeyPair().public_key, lab.endpoint());
  Keyring::Options options;
  options.folder = Folder();
  ASSERT_TRUE(Keyring(options).KeepRoster(lab.key(), lab.SignedRoster()).ok());  // with the claim
  const Outcome after = Faraday({"whoami"});
  EXPECT_EQ(after.exit, 0) << after.err;
}

TEST_F(LoginTest, WrongTokensAreToldWithoutRepeatingThem) {
  Keeper lab(folder_, "lab", Role::kLab);
  const std::string code = lab.Add(Person("ana", {Role::kUser}));
  environment_["FARADAY_LAB"] = lab.endpoint();
  environment_["FARADAY_TOKEN"] = code;
  const Outcome as_code = Faraday({"whoami"});
  EXPECT_EQ(as_code.exit, 2);
  EXPECT_THAT(as_code.err, AllOf(HasSubstr("one-time code"), HasSubstr("faraday login"), Not(HasSubstr(code))));
  environment_["FARADAY_TOKEN_FILE"] = folder_ + "/none";
  EXPECT_THAT(Faraday({"whoami"}).err, HasSubstr("FARADAY_TOKEN_FILE: " + folder_ + "/none: No such file"));
  environment_.erase("FARADAY_TOKEN");
  environment_.erase("FARADAY_TOKEN_FILE");
  const Outcome as_token = Login(lab.endpoint(), lab.Add(Ci()));
  EXPECT_EQ(as_token.exit, 2);
  EXPECT_THAT(as_token.err, HasSubstr("FARADAY_TOKEN_FILE"));
}

TEST_F(LoginTest, AnExpiredTokenSaysSoByTheClock) {
  Keeper lab(folder_, "lab", Role::kLab);
  access::NewUser ci = Ci();
  ci.token_life = std::chrono::seconds(60);
  environment_["FARADAY_TOKEN"] = lab.Add(ci, std::chrono::seconds(120));
  environment_["FARADAY_LAB"] = lab.endpoint();
  Keyring::Options options;
  options.folder = Folder();
  ASSERT_TRUE(Keyring(options).KeepRoster(lab.key(), lab.SignedRoster()).ok());  // as an earlier whoami did
  const Outcome outcome = Faraday({"whoami"});
  EXPECT_EQ(outcome.exit, 1);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("ci-apps's and expired"), HasSubstr("clock"), HasSubstr("faraday user rotate ci-apps")));
}

TEST_F(LoginTest, ASecretInTheWrongPlaceIsNotRepeated) {
  Keeper lab(folder_, "lab", Role::kLab);
  const std::string code = lab.Add(Person("ana", {Role::kUser}));
  for (const auto& args : std::vector<std::vector<std::string>>{
           {"login", lab.endpoint(), code}, {code}, {"login", lab.endpoint(), "--kode", code}, {"login", code}}) {
    const Outcome outcome = Faraday(args);
    EXPECT_NE(outcome.exit, 0);
    EXPECT_THAT(outcome.err, Not(HasSubstr(code.substr(6, 7)))) << outcome.err;
  }
}

// ---- roles ----

TEST_F(LoginTest, TheServerChoosesTheRoleUnlessOneIsAskedFor) {
  std::mutex mutex;
  v1::Request seen;
  v1::Reply switched;
  *switched.mutable_slot()->mutable_slot() = SlotOf("r01/07", "bob");
  Keeper rack(folder_,
              "r01",
              Role::kController,
              {{v1::Request::kGetRack, Answers(RackReply(SlotOf("r01/07", "bob")))},
               {v1::Request::kPower, [&](const rpc::CallPtr& call) {
                  const std::lock_guard lock(mutex);
                  seen = call->request();
                  call->Answer(switched);
                }}});
  LogIn(rack, "ana", {Role::kUser, Role::kTech});
  ASSERT_EQ(Faraday({"power", "off", "r01/07", "--reason", "hot"}).exit, 0);
  {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(seen.caller().user(), "ana");
    EXPECT_EQ(seen.caller().role(), "tech") << "a reason asks for the role that needs one";
    EXPECT_EQ(seen.power().epoch(), 0U) << "bob's lease is not hers";
    EXPECT_THAT(seen.trace_id(), MatchesRegex("[0-9a-f]{16}"));
  }
  ASSERT_EQ(Faraday({"power", "off", "r01/07"}).exit, 0);
  {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(seen.caller().role(), "user");
    EXPECT_EQ(seen.power().epoch(), 42U);
  }
  environment_["FARADAY_ROLE"] = "tech";
  ASSERT_EQ(Faraday({"power", "off", "r01/07"}).exit, 0);
  {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(seen.caller().role(), "tech");
  }
  const Outcome refused = Faraday({"--role", "admin", "power", "off", "r01/07", "--reason", "hot"});
  EXPECT_EQ(refused.exit, 1);
  EXPECT_THAT(refused.err, HasSubstr("does not have role 'admin'"));
}

TEST_F(LoginTest, ARefusedChangeSaysItsTrace) {
  Keeper lab(folder_, "lab", Role::kLab);
  LogIn(lab, "ana", {Role::kUser});
  const Outcome refused = Faraday({"user", "add", "mallory", "--role", "admin"});
  EXPECT_EQ(refused.exit, 1);
  EXPECT_THAT(refused.err, MatchesRegex("faraday: ana \\(role user\\) may not add user.*\\(trace [0-9a-f]{16}\\)\n"));
  EXPECT_THAT(Faraday({"user", "list"}).err, Not(HasSubstr("trace"))) << "a read changes nothing";
}

// ---- controllers of a lab ----

class RackOfLabTest : public LoginTest {
 protected:
  // A controller that lets in the lab's people: in this rig it is told of ana's key by hand.
  RackOfLabTest()
      : rack_(
            folder_, "r01", Role::kController, {{v1::Request::kGetRack, Answers(RackReply(SlotOf("r01/07", "ana")))}}),
        lab_(folder_, "lab", Role::kLab, {{v1::Request::kLocate, [this](const rpc::CallPtr& call) {
                                             v1::Reply reply = LocateReply(rack_.endpoint());
                                             if (tells_key_)
                                               reply.mutable_locate()->set_public_key(rack_.key().bytes.data(),
                                                                                      access::kKeyBytes);
                                             call->Answer(reply);
                                           }}}) {
    LogIn(lab_, "ana", {Role::kUser});
    const auto secret = access::ReadSecret(Keys().at(0));
    EXPECT_TRUE(secret.ok());
    rack_.EnrolMachine(rack_.Add(Person("ana", {Role::kUser})), access::KeyPairOf(*secret).public_key, "");
  }
  std::atomic<bool> tells_key_{true};
  Keeper rack_;
  Keeper lab_;
};

TEST_F(RackOfLabTest, IsDialledWithTheKeyThatTheLabTells) {
  const Outcome status = Faraday({"status", "r01"});
  EXPECT_EQ(status.exit, 0) << status.err;
  EXPECT_THAT(status.out, HasSubstr("r01/07"));
}

TEST_F(RackOfLabTest, ThatHasNotEnrolledIsNotDialled) {
  tells_key_ = false;
  const Outcome status = Faraday({"status", "r01"});
  EXPECT_EQ(status.exit, 1);
  EXPECT_THAT(status.err, AllOf(HasSubstr("no key is known for " + rack_.endpoint()), HasSubstr("--enrol")));
}

TEST_F(RackOfLabTest, IsFoundInTheStoredRosterWhileTheLabIsAway) {
  access::NewUser machine;
  machine.name = "r01";
  machine.roles = {Role::kController};
  machine.endpoint = rack_.endpoint();
  lab_.EnrolMachine(lab_.Add(machine), rack_.key(), rack_.endpoint());
  EXPECT_EQ(Faraday({"--controller", rack_.endpoint(), "status"}).exit, 1) << "not yet in the copy from the login";
  ASSERT_EQ(Faraday({"whoami"}).exit, 0) << "brings the newest roster";
  lab_.Close();
  const Outcome misspelt = Faraday({"--controller", "tcp://localhost:7700", "status"});
  EXPECT_THAT(misspelt.err, AllOf(HasSubstr("no key is known"), HasSubstr("r01 " + rack_.endpoint())));
  const Outcome status = Faraday({"--controller", rack_.endpoint(), "status"});
  EXPECT_EQ(status.exit, 0) << status.err;
  EXPECT_THAT(status.out, HasSubstr("r01/07"));
}

TEST_F(RackOfLabTest, ItsEventsAreEncryptedToo) {
  std::atomic<bool> done{false};
  std::thread publisher([&] {
    v1::Event event;
    event.set_kind("lease.granted");
    event.set_text("secret news");
    while (!done) {
      rack_.Publish("slot/r01/07/", event);
      std::this_thread::sleep_for(Milliseconds(20));
    }
  });
  const Outcome events = Faraday({"events", "--rack", "r01", "--for", "2s"});
  done = true;
  publisher.join();
  EXPECT_EQ(events.exit, 0) << events.err;
  EXPECT_THAT(events.out, HasSubstr("secret news"));
}

// ---- users, as the lab's own machine runs them ----

TEST_F(LoginTest, OnlyTheCodeGoesToStdoutAndTheNextCommandToStderr) {
  Keeper lab(folder_, "lab", Role::kLab);
  const Outcome added = AsAdmin(lab, {"user", "add", "ana", "--role", "user,tech", "--team", "apps"});
  ASSERT_EQ(added.exit, 0) << added.err;
  EXPECT_THAT(added.out, MatchesRegex("fcode-[0-9a-z-]+\n"));
  EXPECT_THAT(added.err, HasSubstr("faraday login " + lab.endpoint()));
  EXPECT_THAT(added.err, Not(HasSubstr(added.out.substr(0, 20))));
  const std::string code = added.out.substr(0, added.out.size() - 1);
  const Outcome login = Login(lab.endpoint(), code);
  EXPECT_EQ(login.exit, 0) << login.err;
  EXPECT_THAT(login.out, HasSubstr("user,tech"));
}

TEST_F(LoginTest, EachKindGetsItsOwnNextCommand) {
  Keeper lab(folder_, "lab", Role::kLab);
  EXPECT_THAT(AsAdmin(lab, {"user", "add", "r01", "--role", "controller"}).err,
              AllOf(HasSubstr("faraday-controller --config rack.yaml --enrol " + lab.endpoint()),
                    HasSubstr("(from another machine: this machine's name instead of 127.0.0.1)")));
  EXPECT_THAT(AsAdmin(lab, {"user", "add", "h01", "--role", "agent"}).err,
              HasSubstr("faraday-agent --config agent.yaml --enrol"));
  const Outcome token = AsAdmin(lab, {"user", "add", "ci-apps", "--role", "ci", "--team", "apps", "--token", "90d"});
  EXPECT_THAT(token.out, MatchesRegex("ftoken-[0-9a-z-]+\n")) << token.err;
  EXPECT_THAT(token.err, HasSubstr("FARADAY_TOKEN_FILE"));
}

TEST_F(LoginTest, UsersAreListedChangedDisabledAndRotated) {
  Keeper lab(folder_, "lab", Role::kLab);
  LogIn(lab, "ana", {Role::kUser});
  EXPECT_THAT(AsAdmin(lab, {"user", "list"}).out, AllOf(HasSubstr("ana"), HasSubstr("enabled"), HasSubstr(" since ")));
  EXPECT_THAT(AsAdmin(lab, {"user", "list", "--json"}).out, HasSubstr("\"name\": \"ana\""));
  EXPECT_THAT(AsAdmin(lab, {"user", "role", "ana", "user,tech", "--team", "modem"}).out,
              HasSubstr("ana: roles user,tech, teams modem"));
  EXPECT_THAT(AsAdmin(lab, {"user", "role", "ana", "user", "--no-team"}).out, HasSubstr("teams -"));
  EXPECT_THAT(AsAdmin(lab, {"user", "disable", "ana", "--reason", "stolen"}).out, HasSubstr("disabled: stolen"));
  EXPECT_EQ(Faraday({"whoami"}).exit, 1);
  EXPECT_EQ(AsAdmin(lab, {"user", "enable", "ana"}).exit, 0);
  EXPECT_EQ(Faraday({"whoami"}).exit, 0);
  EXPECT_THAT(AsAdmin(lab, {"user", "rotate", "ana", "--now"}).out, HasSubstr("fcode-"));
  EXPECT_EQ(Faraday({"whoami"}).exit, 1) << "the old key went at once";
}

TEST_F(LoginTest, TheBreakGlassKeyIsNamedAsSuch) {
  Keeper lab(folder_, "lab", Role::kLab);
  const Outcome who = AsAdmin(lab, {"whoami"});
  EXPECT_EQ(who.exit, 0) << who.err;
  EXPECT_THAT(who.out, AllOf(HasSubstr("break-glass"), HasSubstr("admin")));
}

TEST_F(LoginTest, UserWordsAreCheckedBeforeTheyGo) {
  Keeper lab(folder_, "lab", Role::kLab);
  EXPECT_THAT(AsAdmin(lab, {"user", "add", "ana", "--role", "tehc"}).err,
              AllOf(HasSubstr("'tehc' is no role"), HasSubstr("tech")));
  EXPECT_EQ(AsAdmin(lab, {"user", "add", "ana"}).exit, 2);
  EXPECT_EQ(AsAdmin(lab, {"user", "disable", "ana"}).exit, 2) << "without a reason";
  EXPECT_THAT(AsAdmin(lab, {"user", "add", "ana", "--role", "user", "--code-for", "8d"}).err,
              HasSubstr("--code-for: 8d is out of range, allowed 1m to 168h"));
  EXPECT_EQ(AsAdmin(lab, {"user", "rotate", "ana", "--now", "--keep"}).exit, 2);
  EXPECT_EQ(Faraday({"--server-key", access::ToHex(lab.key()), "--lab", lab.endpoint(), "whoami"}).exit, 2);
}

}  // namespace
}  // namespace faraday::cli
