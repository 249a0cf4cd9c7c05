// The smart-socket client against a server that says what the test wants, and the whole session against Debian's adb
// and a simulated phone.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "agent/adb/adb_phones.h"
#include "agent/adb/phone_text.h"
#include "agent/adb/query.h"

namespace faraday::agent {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(PhoneText, DevicesList) {
  const auto devices = ParseDevices(
      "127.0.0.1:5601         device product:shiba model:Pixel_8 device:shiba transport_id:1\n"
      "X2                     no permissions (user in plugdev group); see [http://x] usb:1-1.4 transport_id:2\n"
      "X3                     unauthorized usb:1-1.3 transport_id:3\n\ngarbage\n");
  ASSERT_EQ(devices.size(), 3u);
  EXPECT_EQ(devices[0].serial, "127.0.0.1:5601");
  EXPECT_EQ(devices[0].state, "device");
  EXPECT_EQ(devices[0].usb, "");
  EXPECT_EQ(devices[1].state, "no permissions");
  EXPECT_EQ(devices[1].usb, "1-1.4");
  EXPECT_EQ(devices[2].state, "unauthorized");
}

TEST(PhoneText, PropertiesBatteryAndModel) {
  auto properties = ParseProperties("[ro.serialno]: [X1]\r\n[empty]: []\n[odd]: [a]: [b]\nnoise\n");
  EXPECT_EQ(properties["ro.serialno"], "X1");
  EXPECT_EQ(properties["odd"], "a]: [b");
  EXPECT_EQ(properties.size(), 3u);
  EXPECT_EQ(ParseBatteryLevel("Current Battery Service state:\n  status: 2\n  level: 73\n  scale: 100\n"), 73);
  EXPECT_EQ(ParseBatteryLevel("level: 230"), -1);
  EXPECT_EQ(ParseBatteryLevel(""), -1);
  EXPECT_EQ(SelectorSpelling("Pixel 8"), "pixel-8");
  EXPECT_EQ(SelectorSpelling("Redmi Note 12 (5G)"), "redmi-note-12-5g-");
  EXPECT_EQ(SelectorSpelling(" SM-S911B "), "sm-s911b");
}

// Takes one connection and plays a script: after each expected request, an answer. Bytes go out in ones when told so.
class ScriptedServer {
 public:
  struct Turn {
    std::string expect;
    std::string answer;
  };
  ScriptedServer(evloop::Loop& loop, std::vector<Turn> script, bool trickle = false)
      : loop_(loop), script_(std::move(script)), trickle_(trickle) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    ::listen(listener_, 4);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    accept_watch_ = loop_.AddFd("accept", listener_, POLLIN, [this](short) { Accept(); });
  }
  ~ScriptedServer() {
    loop_.Remove(accept_watch_);
    Close();
    ::close(listener_);
  }
  int port = 0;
  bool kept_to_script = true;

 private:
  void Accept() {
    peer_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    peer_watch_ = loop_.AddFd("peer", peer_, POLLIN, [this](short) { Read(); });
  }
  void Read() {
    char buffer[4096];
    const ssize_t got = ::recv(peer_, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (got <= 0) return Close();
    received_.append(buffer, static_cast<size_t>(got));
    if (turn_ >= script_.size() || received_ != AdbRequest(script_[turn_].expect)) {
      kept_to_script = turn_ < script_.size() && AdbRequest(script_[turn_].expect).starts_with(received_);
      return;
    }
    received_.clear();
    Send(script_[turn_++].answer);
  }
  void Send(const std::string& answer) {
    if (answer == "HANG UP") return Close();
    const size_t step = trickle_ ? 1 : std::max<size_t>(answer.size(), 1);
    for (size_t at = 0; at < answer.size(); at += step) {
      [[maybe_unused]] const auto sent = ::send(peer_, answer.data() + at, step, MSG_NOSIGNAL);
      if (trickle_) loop_.RunOnce(0ms);
      if (peer_ < 0) return;
    }
  }
  void Close() {
    loop_.Remove(peer_watch_);
    if (peer_ >= 0) ::close(peer_);
    peer_ = -1;
  }
  evloop::Loop& loop_;
  std::vector<Turn> script_;
  bool trickle_;
  int listener_ = -1;
  int peer_ = -1;
  evloop::Handle accept_watch_ = 0;
  evloop::Handle peer_watch_ = 0;
  std::string received_;
  size_t turn_ = 0;
};

std::string Frame(char id, const std::string& data) {
  std::string frame(1, id);
  for (int i = 0; i < 4; ++i) frame += static_cast<char>((data.size() >> (8 * i)) & 0xff);
  return frame + data;
}

class Query : public testing::Test {
 protected:
  Result<AdbQuery::Answer> Ask(AdbQuery::Question question) {
    std::optional<Result<AdbQuery::Answer>> answer;
    AdbQuery query(loop_, std::move(question), [&](Result<AdbQuery::Answer> got) { answer = std::move(got); });
    const BootTime give_up = BootClock::now() + 30s;
    while (!answer && BootClock::now() < give_up) loop_.RunOnce(20ms);
    EXPECT_TRUE(answer.has_value()) << "never answered";
    return answer.value_or(Status(Code::kInternal, "never answered"));
  }
  Result<AdbQuery::Answer> AskScripted(std::vector<ScriptedServer::Turn> script,
                                       AdbQuery::Form form,
                                       Milliseconds timeout = 10s) {
    std::vector<std::string> services;
    for (const auto& turn : script) services.push_back(turn.expect);
    ScriptedServer server(loop_, std::move(script), trickle_);
    auto answer = Ask({server.port, services, form, timeout});
    EXPECT_TRUE(server.kept_to_script);
    return answer;
  }
  evloop::Loop loop_;
  bool trickle_ = false;
};

TEST_F(Query, Text_IsTakenByItsLength) {
  const auto answer = AskScripted({{"host:version", "OKAY00040029"}}, AdbQuery::Form::kText);
  ASSERT_TRUE(answer.ok()) << answer.status().message();
  EXPECT_EQ(answer->text, "0029");
}

TEST_F(Query, BytesOneByOne_MakeTheSameAnswer) {
  trickle_ = true;
  const auto answer = AskScripted(
      {{"host:transport:X1", "OKAY"},
       {"shell,v2,raw:getprop", "OKAY" + Frame(1, "out") + Frame(2, "err") + Frame(1, "put") + Frame(3, "\x2a")}},
      AdbQuery::Form::kShell);
  ASSERT_TRUE(answer.ok()) << answer.status().message();
  EXPECT_EQ(answer->text, "output");
  EXPECT_EQ(answer->exit_code, 42);
}

TEST_F(Query, Refusal_IsAdbsOwnText) {
  const auto answer = AskScripted({{"host:transport:X9", "FAIL0016device 'X9' not found."}, {"never asked", ""}},
                                  AdbQuery::Form::kShell);
  EXPECT_EQ(answer.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(answer.status().message(), HasSubstr("device 'X9' not found"));
}

TEST_F(Query, BadAnswers_AreErrors) {
  const struct {
    std::string answer;
    Code code;
  } kCases[] = {{"WHAT", Code::kDataLoss},
                {"OKAYzzzz", Code::kDataLoss},
                {"OKAY0010short", Code::kDeadlineExceeded},
                {"HANG UP", Code::kUnavailable},
                {"OK", Code::kDeadlineExceeded},
                {"FAIL!!!!", Code::kDataLoss}};
  for (const auto& one : kCases) {
    EXPECT_EQ(AskScripted({{"host:version", one.answer}}, AdbQuery::Form::kText, 300ms).status().code(), one.code)
        << one.answer;
  }
  const auto huge = AskScripted({{"shell,v2,raw:x", "OKAY\x01\xff\xff\xff\x7f"}}, AdbQuery::Form::kShell);
  EXPECT_EQ(huge.status().code(), Code::kDataLoss);
}

TEST_F(Query, NoServer_IsUnavailable) {
  int port = 0;
  { port = ScriptedServer(loop_, {}).port; }
  EXPECT_EQ(Ask({port, {"host:version"}, AdbQuery::Form::kText, 10s}).status().code(), Code::kUnavailable);
}

TEST_F(Query, DestroyedEarly_NeverCallsBack) {
  ScriptedServer server(loop_, {{"host:version", "OKAY00040029"}});
  bool called = false;
  {
    AdbQuery query(loop_, {server.port, {"host:version"}}, [&](Result<AdbQuery::Answer>) { called = true; });
  }
  for (int i = 0; i < 20; ++i) loop_.RunOnce(5ms);
  EXPECT_FALSE(called);
}

// ---- Debian's adb and simulated phones ----

class Session : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/faraday-adb-test-XXXXXX";
    dir_ = ::mkdtemp(pattern);
    New();
  }
  void TearDown() override {
    for (const char* slot : {"r01/01", "r01/02"}) phones_->End(slot);
    EXPECT_TRUE(Wait([&] { return !phones_->Active("r01/01") && !phones_->Active("r01/02"); }));
    for (auto& phone : processes_) {
      phone->Signal(SIGKILL);
      EXPECT_TRUE(Wait([&] { return !phone->running(); }));
    }
    phones_.reset();
    fs::remove_all(dir_);
  }
  void New() {
    phones_ =
        std::make_unique<AdbPhones>(loop_, "adb", dir_ + "/adb", [this](const std::string& slot, const Facts& facts) {
          facts_[slot] = facts;
          ++told_[slot];
        });
  }
  bool Wait(const std::function<bool()>& condition) {
    const BootTime give_up = BootClock::now() + 60s;
    while (!condition()) {
      if (BootClock::now() > give_up) return false;
      loop_.RunOnce(20ms);
    }
    return true;
  }
  std::string Phone(const std::string& serial, const std::string& model) {
    const std::string output = dir_ + "/" + serial + ".out";
    auto child = Child::Spawn(loop_,
                              {{FARADAY_BIN_DIR "/faraday-sim-phone",
                                "--listen",
                                "127.0.0.1:0",
                                "--model",
                                model,
                                "--serial",
                                serial,
                                "--dir",
                                dir_ + "/" + serial},
                               {"PATH=/usr/bin:/bin"},
                               dir_,
                               output},
                              [] {});
    EXPECT_TRUE(child.ok());
    processes_.push_back(std::move(*child));
    std::string address;
    EXPECT_TRUE(Wait([&] {
      std::ifstream in(output);
      std::string word;
      return (in >> word >> address) && address.starts_with("127.") && !in.eof();
    }));
    return address;
  }
  bool Booted(const std::string& slot) {
    return facts_[slot].booted == Facts::Booted::kYes && facts_[slot].battery_percent >= 0;
  }

  std::string dir_;
  evloop::Loop loop_;
  std::unique_ptr<AdbPhones> phones_;
  std::vector<std::unique_ptr<Child>> processes_;
  std::map<std::string, Facts> facts_;
  std::map<std::string, int> told_;
};

TEST_F(Session, Facts_AreThePhones) {
  const std::string address = Phone("X1", "galaxy-s23");
  phones_->Start("r01/01", {address, ""});
  ASSERT_TRUE(Wait([&] { return Booted("r01/01"); }));
  EXPECT_EQ(facts_["r01/01"].serial, "X1");
  EXPECT_EQ(facts_["r01/01"].adb_state, "device");
  EXPECT_EQ(facts_["r01/01"].adb_serial, address);
  EXPECT_NE(facts_["r01/01"].server_port, 5037);
  EXPECT_NE(facts_["r01/01"].os_version, "");
}

TEST_F(Session, HungPhone_IsOfflineAndDelaysNoOther) {
  phones_->Start("r01/01", {Phone("X1", "pixel-8"), ""});
  phones_->Start("r01/02", {Phone("X2", "pixel-8"), ""});
  ASSERT_TRUE(Wait([&] { return Booted("r01/01") && Booted("r01/02"); }));
  processes_[0]->Signal(SIGSTOP);
  const int told = told_["r01/02"];
  EXPECT_TRUE(Wait([&] { return facts_["r01/01"].adb_state == "offline"; }));
  EXPECT_TRUE(Wait([&] { return told_["r01/02"] > told + 1; }));
  EXPECT_EQ(facts_["r01/02"].adb_state, "device");
  processes_[0]->Signal(SIGCONT);
  EXPECT_TRUE(Wait([&] { return facts_["r01/01"].adb_state == "device"; }))
      << "a phone that answers again is found again";
}

TEST_F(Session, ServerKilled_ComesBackOnTheSamePort) {
  phones_->Start("r01/01", {Phone("X1", "pixel-8"), ""});
  ASSERT_TRUE(Wait([&] { return Booted("r01/01"); }));
  const int port = facts_["r01/01"].server_port;
  bool answered = false;
  // What a job's "adb kill-server" sends.
  AdbQuery kill(
      loop_, {port, {"host:kill"}, AdbQuery::Form::kOkay, 3s}, [&](Result<AdbQuery::Answer>) { answered = true; });
  ASSERT_TRUE(Wait([&] { return answered; }));
  const int told = told_["r01/01"];
  ASSERT_TRUE(Wait([&] { return told_["r01/01"] > told + 2 && facts_["r01/01"].adb_state == "device"; }));
  EXPECT_EQ(facts_["r01/01"].server_port, port);
}

TEST_F(Session, Probe_TellsWhetherThePhoneAnswers) {
  phones_->Start("r01/01", {Phone("X1", "pixel-8"), ""});
  ASSERT_TRUE(Wait([&] { return Booted("r01/01"); }));
  std::optional<Status> status;
  phones_->Probe("r01/01", [&](Status got) { status = got; });
  ASSERT_TRUE(Wait([&] { return status.has_value(); }));
  EXPECT_TRUE(status->ok()) << status->message();
  processes_[0]->Signal(SIGKILL);
  ASSERT_TRUE(Wait([&] { return !processes_[0]->running(); }));
  status.reset();
  phones_->Probe("r01/01", [&](Status got) { status = got; });
  ASSERT_TRUE(Wait([&] { return status.has_value(); }));
  EXPECT_EQ(status->code(), Code::kUnavailable);
}

TEST_F(Session, NextAgent_TakesTheServerOver) {
  const std::string address = Phone("X1", "pixel-8");
  phones_->Start("r01/01", {address, ""});
  ASSERT_TRUE(Wait([&] { return Booted("r01/01"); }));
  const int port = facts_["r01/01"].server_port;
  New();  // the first is gone, its server is not
  facts_.clear();
  EXPECT_TRUE(phones_->Active("r01/01"));
  phones_->Start("r01/01", {address, ""});
  ASSERT_TRUE(Wait([&] { return Booted("r01/01"); }));
  EXPECT_EQ(facts_["r01/01"].server_port, port);
}

TEST_F(Session, NextAgent_EndsAServerNobodyWants) {
  phones_->Start("r01/01", {Phone("X1", "pixel-8"), ""});
  ASSERT_TRUE(Wait([&] { return Booted("r01/01"); }));
  New();
  phones_->End("r01/01");
  EXPECT_TRUE(Wait([&] { return !phones_->Active("r01/01"); }));
}

TEST_F(Session, NothingAtTheAddress_IsAbsent) {
  phones_->Start("r01/01", {"127.0.0.1:1", ""});
  EXPECT_TRUE(Wait([&] { return facts_["r01/01"].adb_state == "absent"; }));
}

}  // namespace
}  // namespace faraday::agent
