// The real faraday-agent and faraday-runner with Debian's adb and a simulated phone, against a controller and a lab in
// this process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "agent/fake_site.h"
#include "agent/process/child.h"

namespace faraday::agent {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr Milliseconds kPatience{60'000};

std::string ReadAll(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

class AgentProcess : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/faraday-agent-test-XXXXXX";
    dir_ = ::mkdtemp(pattern);
    StartPhone();
    rack_ = std::make_unique<FakeRack>(loop_, context_, phone_address_);
    lab_ = std::make_unique<FakeLab>(loop_, context_);
    std::ofstream(dir_ + "/agent.yaml") << "host: h01\ncontrollers: [" << rack_->endpoint()
                                        << "]\nlab: " << lab_->endpoint() << "\nstate_dir: " << dir_
                                        << "/state\nsecurity: plain\n";
    StartAgent();
  }
  void TearDown() override {
    Stop(agent_, SIGTERM);
    Stop(phone_, SIGTERM);
    if (HasFailure()) fprintf(stderr, "%s\n", ReadAll(dir_ + "/agent.log").c_str());
    // The agent's own removal of its trash may still be under way beside it.
    std::error_code busy;
    EXPECT_TRUE(Wait([&] { return fs::remove_all(dir_, busy), !fs::exists(dir_); })) << busy.message();
  }

  std::unique_ptr<Child> Spawn(std::vector<std::string> arguments, const std::string& output) {
    arguments[0] = std::string(FARADAY_BIN_DIR) + "/" + arguments[0];
    auto child = Child::Spawn(loop_, {arguments, {"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}, dir_, output}, [] {});
    EXPECT_TRUE(child.ok()) << child.status().message();
    return child.ok() ? std::move(*child) : nullptr;
  }
  void StartPhone() {
    const std::string output = dir_ + "/phone.out";
    fs::create_directories(dir_ + "/phone");
    phone_ = Spawn({"faraday-sim-phone",
                    "--listen",
                    "127.0.0.1:0",
                    "--model",
                    "pixel-8",
                    "--serial",
                    "X1",
                    "--dir",
                    dir_ + "/phone"},
                   output);
    ASSERT_TRUE(Wait([&] {
      const std::string text = ReadAll(output);
      const size_t at = text.find("listening 127.");
      if (at == std::string::npos || text.find('\n', at) == std::string::npos) return false;
      phone_address_ = text.substr(at + 10, text.find('\n', at) - at - 10);
      return true;
    })) << ReadAll(output);
  }
  void StartAgent() {
    fs::remove(dir_ + "/state/ready");
    agent_ = Spawn({"faraday-agent", "--config", dir_ + "/agent.yaml"}, dir_ + "/agent.log");
    ASSERT_TRUE(Wait([&] { return fs::exists(dir_ + "/state/ready"); })) << ReadAll(dir_ + "/agent.log");
  }
  void Stop(std::unique_ptr<Child>& child, int signo) {
    if (child == nullptr) return;
    child->Signal(signo);
    EXPECT_TRUE(Wait([&] { return !child->running(); }));
    child.reset();
  }
  bool Wait(const std::function<bool()>& condition) {
    const BootTime give_up = BootClock::now() + kPatience;
    while (!condition()) {
      if (BootClock::now() > give_up) return false;
      loop_.RunOnce(20ms);
    }
    return true;
  }

  v1::SyncResult::Attempt Job(const std::string& id, const std::string& script) {
    v1::SyncResult::Attempt attempt;
    attempt.set_attempt(id);
    attempt.set_job(id.substr(0, id.find('.')));
    attempt.set_slot("r01/01");
    attempt.set_lease("r01-01-" + std::to_string(rack_->epoch));
    attempt.set_epoch(rack_->epoch);
    attempt.set_user("ana");
    for (const auto& word : {std::string("sh"), std::string("-c"), script}) attempt.mutable_spec()->add_command(word);
    return attempt;
  }
  bool Running(const std::string& attempt) { return fs::exists(dir_ + "/state/attempts/" + attempt + "/work/started"); }
  bool AgentSaysRunning() {
    return !lab_->reports.empty() && lab_->reports.back().state() == v1::ATTEMPT_STATE_RUNNING;
  }

  std::string dir_;
  evloop::Loop loop_;
  zmq::context_t context_;
  std::unique_ptr<Child> phone_;
  std::string phone_address_;
  std::unique_ptr<FakeRack> rack_;
  std::unique_ptr<FakeLab> lab_;
  std::unique_ptr<Child> agent_;
};

TEST_F(AgentProcess, Discovery_ReportsThePhone) {
  rack_->Discover();
  ASSERT_TRUE(Wait([&] { return rack_->devices["r01/01"].battery_percent() == 80; }));
  const v1::Device device = rack_->devices["r01/01"];
  EXPECT_EQ(device.serial(), "X1");
  EXPECT_EQ(device.model(), "pixel-8");
  EXPECT_EQ(device.platform(), "android");
  EXPECT_EQ(device.adb_state(), "device");
  EXPECT_EQ(device.boot_completed(), v1::TRI_STATE_YES);
  EXPECT_NE(device.os_version(), "");
  EXPECT_EQ(rack_->epochs_seen["r01/01"], 1u);
}

TEST_F(AgentProcess, Job_RunsFromLeaseToRelease) {
  rack_->Grant(5, 60'000);
  auto attempt = Job("job-1.1",
                     "echo hello $FARADAY_SLOT $FARADAY_LEASE $FARADAY_JOB; adb shell getprop ro.serialno; env > env;"
                     "echo data > $FARADAY_ARTIFACTS/data.txt; mkdir out; echo more > out/more.txt;"
                     "echo '<testsuite tests=\"2\"><testcase/><testcase/></testsuite>' > $FARADAY_ARTIFACTS/junit.xml");
  attempt.mutable_spec()->add_artifact_globs("out/*");
  attempt.mutable_spec()->set_junit("junit.xml");
  lab_->Assign(attempt);
  ASSERT_TRUE(Wait([&] { return !lab_->ended.empty(); }));
  const v1::Attempt end = lab_->ended[0];
  EXPECT_EQ(end.outcome(), v1::OUTCOME_PASSED) << end.reason() << ReadAll(dir_ + "/agent.log");
  EXPECT_EQ(end.serial(), "X1");
  EXPECT_EQ(end.junit().tests(), 2u);
  EXPECT_THAT(lab_->files["job-1.1/log"], testing::StartsWith("hello r01/01 r01-01-5 job-1\nX1\n"));
  EXPECT_EQ(lab_->files["job-1.1/data.txt"], "data\n");
  EXPECT_EQ(lab_->files["job-1.1/out/more.txt"], "more\n");
  ASSERT_EQ(end.artifacts_size(), 3);
  for (const auto& artifact : end.artifacts()) {
    EXPECT_EQ(lab_->sha256["job-1.1/" + artifact.name()], artifact.sha256());
    EXPECT_EQ(artifact.sha256().size(), 64u);
  }
  ASSERT_EQ(end.power_size(), 3);
  EXPECT_EQ(end.power(0).when(), "before");
  EXPECT_EQ(end.power(0).vbus_mv(), 10u);
  EXPECT_EQ(end.power(1).when(), "during");
  EXPECT_EQ(end.power(1).vbus_mv(), 5050u);
  EXPECT_EQ(end.power(2).when(), "after");
  ASSERT_TRUE(Wait([&] { return rack_->clearing == 0; }));
  EXPECT_THAT(
      rack_->calls,
      ElementsAre("sample", "power on 5", "usb h01", "sample", "sample", "usb open", "release r01-01-5", "cleared 5"));
  EXPECT_TRUE(Wait([&] { return !fs::exists(dir_ + "/state/attempts/job-1.1"); })) << "the spool is not removed";
}

TEST_F(AgentProcess, KilledInMidJob_NextAgentAdoptsAndReportsOnce) {
  rack_->Grant(5, 60'000);
  lab_->Assign(
      Job("job-2.1", "touch started; while [ ! -e go ]; do sleep 0.1; done; adb shell getprop ro.serialno; exit 3"));
  ASSERT_TRUE(Wait([&] { return Running("job-2.1") && AgentSaysRunning(); }));
  Stop(agent_, SIGKILL);
  StartAgent();
  const int renewals = rack_->renewals;
  ASSERT_TRUE(Wait([&] { return rack_->renewals > renewals; })) << "the adopted job's lease is not renewed";
  std::ofstream(dir_ + "/state/attempts/job-2.1/work/go") << "";
  ASSERT_TRUE(Wait([&] { return !lab_->ended.empty() && rack_->clearing == 0; }));
  EXPECT_EQ(lab_->ended[0].outcome(), v1::OUTCOME_FAILED) << lab_->ended[0].reason();
  EXPECT_EQ(lab_->ended[0].exit_code(), 3);
  EXPECT_EQ(lab_->files["job-2.1/log"], "X1\n");
  EXPECT_EQ(lab_->ended.size(), 1u);
  EXPECT_EQ(std::ranges::count(rack_->calls, "power on 5"), 1);
}

TEST_F(AgentProcess, TakenBackByTheLab_EndsTheCommandAsCancelled) {
  rack_->Grant(5, 60'000);
  lab_->Assign(Job("job-3.1", "touch started; sleep 600"));
  ASSERT_TRUE(Wait([&] { return Running("job-3.1"); }));
  lab_->TakeBack("job-3.1");
  ASSERT_TRUE(Wait([&] { return !lab_->ended.empty() && rack_->clearing == 0; }));
  EXPECT_EQ(lab_->ended[0].outcome(), v1::OUTCOME_CANCELLED);
}

TEST_F(AgentProcess, LeaseGoneAtTheController_EndsTheCommand) {
  rack_->Grant(5, 60'000);
  lab_->Assign(Job("job-4.1", "touch started; sleep 600"));
  ASSERT_TRUE(Wait([&] { return Running("job-4.1"); }));
  rack_->EndLease();  // as after a forced release; the next holder would have epoch 6
  ASSERT_TRUE(Wait([&] { return !lab_->ended.empty() && rack_->clearing == 0; }));
  EXPECT_EQ(lab_->ended[0].outcome(), v1::OUTCOME_LEASE_LOST);
  EXPECT_EQ(std::ranges::count(rack_->calls, "usb open"), 0) << "an epoch that is over touches nothing";
}

TEST_F(AgentProcess, LeaseNotRenewed_EndsTheCommandAtItsOwnZero) {
  rack_->Grant(5, 20'000);  // long enough to get running on a busy machine
  lab_->Assign(Job("job-7.1", "touch started; trap '' TERM; while :; do sleep 1; done"));
  ASSERT_TRUE(Wait([&] { return Running("job-7.1"); }));
  rack_->renews = false;  // the controller never says that the lease is gone, it only does not renew
  ASSERT_TRUE(Wait([&] { return !lab_->ended.empty(); }));
  EXPECT_EQ(lab_->ended[0].outcome(), v1::OUTCOME_LEASE_LOST);
  EXPECT_THAT(lab_->ended[0].reason(), HasSubstr("ran out"));
}

TEST_F(AgentProcess, LabAway_JobGoesOnAndIsReportedLater) {
  rack_->Grant(5, 60'000);
  lab_->Assign(Job("job-5.1", "touch started; while [ ! -e go ]; do sleep 0.1; done; echo done"));
  ASSERT_TRUE(Wait([&] { return Running("job-5.1"); }));
  lab_->Close();
  std::ofstream(dir_ + "/state/attempts/job-5.1/work/go") << "";
  ASSERT_TRUE(Wait([&] { return std::ranges::count(rack_->calls, "cleared 5") == 1; }));
  EXPECT_TRUE(lab_->ended.empty());
  lab_->Reopen();
  ASSERT_TRUE(Wait([&] { return !lab_->ended.empty(); }));
  EXPECT_EQ(lab_->ended[0].outcome(), v1::OUTCOME_PASSED) << lab_->ended[0].reason();
  EXPECT_EQ(lab_->files["job-5.1/log"], "done\n");
}

TEST_F(AgentProcess, PhoneLostInMidJob_IsInfrastructure) {
  rack_->Grant(5, 60'000);
  lab_->Assign(Job("job-6.1", "touch started; while [ ! -e go ]; do sleep 0.1; done; exit 1"));
  ASSERT_TRUE(Wait([&] { return Running("job-6.1"); }));
  Stop(phone_, SIGKILL);
  std::ofstream(dir_ + "/state/attempts/job-6.1/work/go") << "";
  ASSERT_TRUE(Wait([&] { return !lab_->ended.empty(); }));
  EXPECT_EQ(lab_->ended[0].outcome(), v1::OUTCOME_INFRASTRUCTURE);
  EXPECT_THAT(lab_->ended[0].reason(), HasSubstr("exit code 1"));
  EXPECT_THAT(lab_->ended[0].reason(), HasSubstr("no longer reachable"));
}

TEST_F(AgentProcess, HungControllerAndLab_DelayNoOther) {
  Stop(agent_, SIGTERM);
  zmq::socket_t hung(context_, zmq::socket_type::router);  // takes everything, answers nothing
  hung.bind("tcp://127.0.0.1:*");
  const std::string nowhere = hung.get(zmq::sockopt::last_endpoint);
  std::ofstream(dir_ + "/agent.yaml") << "host: h01\ncontrollers: [" << nowhere << ", " << rack_->endpoint()
                                      << "]\nlab: " << nowhere << "\nstate_dir: " << dir_
                                      << "/state\nsecurity: plain\n";
  StartAgent();
  rack_->Discover();
  ASSERT_TRUE(Wait([&] { return rack_->devices["r01/01"].serial() == "X1"; }));
}

TEST_F(AgentProcess, RestartedController_IsAskedAnewLongBeforeThePollEnds) {
  rack_->Discover();
  ASSERT_TRUE(Wait([&] { return rack_->devices["r01/01"].serial() == "X1"; }));
  const std::string log = dir_ + "/agent.log";
  rack_->devices.clear();
  // Only a run that the agent has seen can be seen to change.
  const BootTime compared = BootClock::now() + 3s;
  ASSERT_TRUE(Wait([&] { return BootClock::now() > compared; }));
  rack_->Restart();
  ASSERT_TRUE(Wait([&] { return ReadAll(log).find("has been restarted") != std::string::npos; }));
  rack_->Grant(5, 60'000);
  lab_->Assign(Job("job-8.1", "true"));
  ASSERT_TRUE(Wait([&] { return !lab_->ended.empty(); }));
  EXPECT_EQ(lab_->ended[0].outcome(), v1::OUTCOME_PASSED) << lab_->ended[0].reason();
}

TEST_F(AgentProcess, NoPhoneThere_IsReportedAbsent) {
  Stop(phone_, SIGKILL);
  rack_->Discover();
  ASSERT_TRUE(Wait([&] { return rack_->devices["r01/01"].adb_state() == "absent"; }));
}

TEST_F(AgentProcess, AControllerIsNotBelievedAboutAnothersSlots) {
  FakeRack liar(loop_, context_, "");
  liar.name = "r02/01";
  Stop(agent_, SIGTERM);
  std::ofstream(dir_ + "/agent.yaml") << "host: h01\ncontrollers: [" << rack_->endpoint() << ", " << liar.endpoint()
                                      << "]\nlab: " << lab_->endpoint() << "\nstate_dir: " << dir_
                                      << "/state\nsecurity: plain\n";
  StartAgent();
  ASSERT_TRUE(Wait([&] { return liar.epochs_seen.contains("r02/01"); }));
  rack_->Grant(5, 60'000);
  lab_->Assign(Job("job-9.1", "touch started; while [ ! -e go ]; do sleep 0.1; done"));
  ASSERT_TRUE(Wait([&] { return Running("job-9.1"); }));
  liar.Name("r01/01", 4'000'000'000);
  ASSERT_TRUE(Wait([&] { return ReadAll(dir_ + "/agent.log").find("is not believed") != std::string::npos; }));
  std::ofstream(dir_ + "/state/attempts/job-9.1/work/go") << "";
  ASSERT_TRUE(Wait([&] { return !lab_->ended.empty() && rack_->clearing == 0; }));
  EXPECT_EQ(lab_->ended[0].outcome(), v1::OUTCOME_PASSED) << lab_->ended[0].reason();
  EXPECT_LT(rack_->epochs_seen["r01/01"], 100u);
  EXPECT_FALSE(rack_->epochs_seen.contains("r02/01"));
  EXPECT_FALSE(liar.epochs_seen.contains("r01/01"));
  EXPECT_EQ(ReadAll(dir_ + "/state/epochs").find("4000000000"), std::string::npos);
}

TEST_F(AgentProcess, NothingOfItsStateIsOpenToOthers) {
  Stop(agent_, SIGTERM);
  fs::permissions(dir_ + "/state", fs::perms(0755));
  const mode_t before = ::umask(022);
  StartAgent();
  ::umask(before);
  EXPECT_THAT(ReadAll(dir_ + "/agent.log"), HasSubstr("closed to 700"));
  EXPECT_EQ(fs::status(dir_ + "/state").permissions(), fs::perms::owner_all);
  rack_->Grant(5, 60'000);
  lab_->Assign(Job("job-10.1", "touch started; while [ ! -e go ]; do sleep 0.1; done"));
  ASSERT_TRUE(Wait([&] { return Running("job-10.1") && AgentSaysRunning(); }));
  int looked_at = 0;
  for (const std::string& folder : {dir_ + "/state/attempts/job-10.1", dir_ + "/state/epochs"}) {
    std::vector<fs::path> paths = {folder};
    if (fs::is_directory(folder)) paths.insert(paths.end(), fs::recursive_directory_iterator(folder), {});
    for (const fs::path& path : paths) {
      if (!fs::exists(path)) continue;  // was being replaced
      const auto others = fs::status(path).permissions() & (fs::perms::group_all | fs::perms::others_all);
      EXPECT_EQ(others, fs::perms::none) << path;
      ++looked_at;
    }
  }
  EXPECT_GT(looked_at, 8);
  std::ofstream(dir_ + "/state/attempts/job-10.1/work/go") << "";
  ASSERT_TRUE(Wait([&] { return !lab_->ended.empty(); }));
}

TEST_F(AgentProcess, SecondAgentOnTheSameState_IsRefused) {
  auto second = Spawn({"faraday-agent", "--config", dir_ + "/agent.yaml"}, dir_ + "/second.log");
  ASSERT_TRUE(Wait([&] { return !second->running(); }));
  EXPECT_THAT(ReadAll(dir_ + "/second.log"), HasSubstr("another faraday-agent runs on"));
}

TEST_F(AgentProcess, BadConfig_NamesEveryMistake) {
  std::ofstream(dir_ + "/bad.yaml") << "hosts: h01\ncontrollers: []\nlab: tcp://lab.example:1\nsecurity: plain\n";
  auto bad = Spawn({"faraday-agent", "--config", dir_ + "/bad.yaml"}, dir_ + "/bad.log");
  ASSERT_TRUE(Wait([&] { return !bad->running(); }));
  const std::string said = ReadAll(dir_ + "/bad.log");
  EXPECT_THAT(said, HasSubstr("bad.yaml:1"));
  EXPECT_THAT(said, HasSubstr("bad.yaml:2"));
  EXPECT_THAT(said, HasSubstr("bad.yaml:3"));
}

}  // namespace
}  // namespace faraday::agent
