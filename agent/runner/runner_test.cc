// The real faraday-runner with real processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "agent/process/child.h"
#include "agent/runner/folder.h"
#include "agent/runner/kept_log.h"
#include "agent/runner/process_runners.h"
#include "agent/runner/process_tree.h"
#include "agent/runner/seclude.h"

namespace faraday::agent {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string ReadAll(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

class Runner : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/faraday-runner-test-XXXXXX";
    dir_ = ::mkdtemp(pattern);
    folder_ = dir_ + "/job-1.1";
    fs::create_directories(folder_);
    New();
  }
  void TearDown() override {
    runners_.reset();
    for (const pid_t pid : Left())
      ADD_FAILURE() << "process " << pid << " is left: " << ReadAll("/proc/" + std::to_string(pid) + "/cmdline");
    fs::remove_all(dir_);
  }
  void New() {
    runners_ = std::make_unique<ProcessRunners>(
        loop_, FARADAY_BIN_DIR "/faraday-runner", dir_, [this](const std::string&, const RunEnd& end) {
          ends_.push_back(end);
        });
  }
  void Start(const std::string& script, Milliseconds timeout = 60s, Milliseconds lease = 60s) {
    StartCommand({"sh", "-c", script}, timeout, lease);
  }
  void StartCommand(std::vector<std::string> command, Milliseconds timeout = 60s, Milliseconds lease = 60s) {
    AttemptRecord record;
    record.wish.attempt = "job-1.1";
    record.wish.spec.command = std::move(command);
    record.wish.spec.timeout = timeout;
    record.wish.spec.environment = {{"MINE", "a b"}, {"FARADAY_SLOT", "forged"}};
    const Status status = runners_->Start(record, {{"FARADAY_SLOT", "r01/01"}}, BootClock::now() + lease);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  bool Wait(const std::function<bool()>& condition) {
    const BootTime give_up = BootClock::now() + 60s;
    while (!condition()) {
      if (BootClock::now() > give_up) return false;
      loop_.RunOnce(20ms);
    }
    return true;
  }
  RunEnd End() {
    EXPECT_TRUE(Wait([&] { return !ends_.empty(); })) << ReadAll(folder_ + "/runner.log");
    return ends_.empty() ? RunEnd{} : ends_.back();
  }
  std::string Log() { return ReadAll(folder_ + "/log"); }
  bool Said(const std::string& text) { return Log().find(text) != std::string::npos; }

  // Living processes of this test's job, by their environment.
  std::vector<pid_t> Left() {
    std::vector<pid_t> left;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      if (ReadAll(entry.path() / "environ").find("FARADAY_ARTIFACTS=" + folder_) != std::string::npos)
        left.push_back(std::atoi(name.c_str()));
    }
    return left;
  }
  pid_t RunnerPid() {
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      const std::string command = ReadAll(entry.path() / "cmdline");
      if (command.find("faraday-runner") != std::string::npos && command.find(folder_) != std::string::npos)
        return std::atoi(name.c_str());
    }
    return 0;
  }

  std::string dir_;
  std::string folder_;
  evloop::Loop loop_;
  std::unique_ptr<ProcessRunners> runners_;
  std::vector<RunEnd> ends_;
};

TEST_F(Runner, CommandSucceeds_KeepsOutputAndTimes) {
  Start("echo out; echo err >&2; pwd; cat");
  const RunEnd end = End();
  EXPECT_EQ(end.why, RunEnd::Why::kExited);
  EXPECT_EQ(end.exit_code, 0);
  EXPECT_EQ(Log(), "out\nerr\n" + folder_ + "/work\n");
  EXPECT_EQ(end.log_size, Log().size());
  EXPECT_GT(end.started_utc_ms, 0);
  EXPECT_GE(end.ended_utc_ms, end.started_utc_ms);
}

TEST_F(Runner, Environment_IsMinimalAndOursWins) {
  ::setenv("AGENT_SECRET", "x", 1);
  StartCommand({"env"});
  EXPECT_EQ(End().exit_code, 0);
  EXPECT_THAT(Log(), HasSubstr("MINE=a b\n"));
  EXPECT_THAT(Log(), HasSubstr("FARADAY_SLOT=r01/01\n"));
  EXPECT_THAT(Log(), HasSubstr("FARADAY_ARTIFACTS=" + folder_ + "/work/artifacts\n"));
  EXPECT_THAT(Log(), HasSubstr("HOME=" + folder_ + "/work\n"));
  EXPECT_THAT(Log(), Not(HasSubstr("AGENT_SECRET")));
}

// What a daemon is given, or keeps, of secrets. A job sees none of it, also not by looking at those who started it.
TEST_F(Runner, Environment_HasNoSecretOfTheAgents) {
  const std::vector<std::string> names = {"FARADAY_TOKEN",
                                          "FARADAY_TOKEN_FILE",
                                          "FARADAY_CODE",
                                          "CREDENTIALS_DIRECTORY",
                                          "NOTIFY_SOCKET",
                                          "SSH_AUTH_SOCK",
                                          "XDG_CONFIG_HOME"};
  for (const std::string& name : names) ::setenv(name.c_str(), "SECRET-OF-THE-AGENT", 1);
  Start("cat /proc/self/environ /proc/$PPID/environ /proc/$PPID/cmdline; ls -l /proc/self/fd");
  End();
  for (const std::string& name : names) {
    ::unsetenv(name.c_str());
    EXPECT_THAT(Log(), Not(HasSubstr(name)));
  }
  EXPECT_THAT(Log(), Not(HasSubstr("SECRET-OF-THE-AGENT")));
  EXPECT_THAT(Log(), HasSubstr("FARADAY_SLOT="));
  EXPECT_THAT(Log(), Not(HasSubstr("/lock")));
}

TEST_F(Runner, Job_CannotOpenTheAgentsFolder) {
  if (!CanSeclude()) GTEST_SKIP() << "this kernel has no Landlock: jobs CAN";
  fs::create_directories(dir_ + "/keys");
  std::ofstream(dir_ + "/keys/agent.key") << "KEY-OF-THE-AGENT";
  fs::create_directories(dir_ + "/job-2.1/work");
  std::ofstream(dir_ + "/job-2.1/work/theirs") << "OF-ANOTHER-JOB";
  Start(
      "cat ../../keys/agent.key ../../job-2.1/work/theirs ../environment; echo 99999999999 >../deadline; touch "
      "../cancel;"
      "cat /proc/$PPID/environ; echo mine >a && mkdir b && mv a b/ && cat b/a; f=$(mktemp) && echo tmp >$f && cat $f");
  EXPECT_EQ(End().exit_code, 0);
  EXPECT_THAT(Log(), Not(HasSubstr("KEY-OF-THE-AGENT")));
  EXPECT_THAT(Log(), Not(HasSubstr("OF-ANOTHER-JOB")));
  EXPECT_THAT(Log(), Not(HasSubstr("MINE")));
  EXPECT_THAT(Log(), HasSubstr("../deadline: Permission denied"));
  EXPECT_FALSE(fs::exists(folder_ + "/cancel"));
  EXPECT_THAT(Log(), HasSubstr("mine\ntmp\n"));
}

TEST_F(Runner, ExitCode_IsTheCommands) {
  Start("exit 42");
  EXPECT_EQ(End().exit_code, 42);
}

TEST_F(Runner, Signal_Is128PlusItsNumber) {
  Start("kill -SEGV $$");
  const RunEnd end = End();
  EXPECT_EQ(end.why, RunEnd::Why::kExited);
  EXPECT_EQ(end.exit_code, 128 + SIGSEGV);
}

TEST_F(Runner, NoSuchCommand_SaysSo) {
  StartCommand({"no-such-command-here"});
  const RunEnd end = End();
  EXPECT_EQ(end.why, RunEnd::Why::kCannotStart);
  EXPECT_EQ(end.exit_code, 127);
  EXPECT_THAT(end.message, HasSubstr("no-such-command-here"));
  EXPECT_THAT(Log(), HasSubstr("No such file"));
}

TEST_F(Runner, WordsAreNotAShell) {
  StartCommand({"echo", "a  b", "$HOME", "", "line\nbreak"});
  EXPECT_EQ(End().exit_code, 0);
  EXPECT_EQ(Log(), "a  b $HOME  line\nbreak\n");
}

TEST_F(Runner, Timeout_EndsACommandThatIgnoresSigterm) {
  Start("trap '' TERM; echo up; while :; do sleep 0.2; done", 4s);
  const RunEnd end = End();
  EXPECT_EQ(end.why, RunEnd::Why::kTimeout);
  EXPECT_EQ(end.exit_code, 128 + SIGKILL);
}

TEST_F(Runner, Timeout_LetsACommandCleanUp) {
  Start("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.1; done", 4s);
  const RunEnd end = End();
  EXPECT_EQ(end.why, RunEnd::Why::kTimeout);
  EXPECT_EQ(end.exit_code, 7);
  EXPECT_THAT(Log(), HasSubstr("bye"));
}

TEST_F(Runner, DoubleForkedChild_DoesNotOutliveTheCommand) {
  Start(
      "setsid sh -c '(trap \"\" TERM HUP; : > deaf; while :; do sleep 0.1; done) & "
      "while [ ! -e deaf ]; do sleep 0.05; done; echo $! > child' ; exit 0");
  EXPECT_EQ(End().exit_code, 0);
  const std::string child = ReadAll(folder_ + "/work/child");
  ASSERT_FALSE(child.empty());
  EXPECT_TRUE(Left().empty());
}

TEST_F(Runner, LeaseOver_KillsEverythingAtOnce) {
  Start("trap '' TERM; setsid sh -c 'trap \"\" TERM; while :; do sleep 0.1; done' & echo up; wait", 60s, 1500ms);
  const BootTime started = BootClock::now();
  const RunEnd end = End();
  EXPECT_EQ(end.why, RunEnd::Why::kLeaseLost);
  EXPECT_LT(BootClock::now() - started, Milliseconds(20s));
  EXPECT_TRUE(Left().empty());
}

TEST_F(Runner, LeaseRenewed_GoesOn) {
  Start("echo up; while [ ! -e go ]; do sleep 0.1; done", 60s, 2s);
  const BootTime first_end = BootClock::now() + 2s;
  runners_->SetLeaseEnd("job-1.1", BootClock::now() + 60s);
  ASSERT_TRUE(Wait([&] { return BootClock::now() > first_end + 500ms; }));
  EXPECT_TRUE(ends_.empty());
  std::ofstream(folder_ + "/work/go") << "";
  EXPECT_EQ(End().why, RunEnd::Why::kExited);
}

TEST_F(Runner, Cancel_EndsTheCommand) {
  Start("echo up; sleep 600");
  ASSERT_TRUE(Wait([&] { return Said("up"); }));
  runners_->Cancel("job-1.1");
  const RunEnd end = End();
  EXPECT_EQ(end.why, RunEnd::Why::kCancelled);
  EXPECT_EQ(end.exit_code, 128 + SIGTERM);
}

TEST_F(Runner, OneHundredMegabytesOfLog_AreBoundedAndDoNotBlock) {
  Start("echo first; head -c 104857600 /dev/zero | tr '\\0' 'x'; echo; echo last");
  const RunEnd end = End();
  EXPECT_EQ(end.exit_code, 0);
  const std::string log = Log();
  EXPECT_THAT(log.substr(0, 10), StartsWith("first\nxxx"));
  EXPECT_EQ(log.substr(log.size() - 6), "\nlast\n");
  EXPECT_LT(log.size(), kLogHeadBytes + kLogTailBytes + 1000);
  EXPECT_GT(log.size(), kLogHeadBytes + kLogTailBytes - 1000);
  EXPECT_EQ(end.log_size, log.size());
  EXPECT_NEAR(static_cast<double>(end.log_dropped), 104857600.0 - 17 * 1048576.0, 1000);
}

TEST_F(Runner, AgentGone_TheNextAdoptsTheRunner) {
  Start("echo up; while [ ! -e go ]; do sleep 0.1; done; exit 3");
  ASSERT_TRUE(Wait([&] { return Said("up"); }));
  New();  // the first forgets it, as a killed agent does
  runners_->Adopt("job-1.1");
  EXPECT_TRUE(runners_->LeaseEnd("job-1.1").ok());
  std::ofstream(folder_ + "/work/go") << "";
  EXPECT_EQ(End().exit_code, 3);
}

TEST_F(Runner, EndedWhileNoAgentWatched_IsFoundByTheNext) {
  Start("exit 4");
  ASSERT_TRUE(Wait([&] { return fs::exists(folder_ + "/result"); }));
  ends_.clear();
  New();
  runners_->Adopt("job-1.1");
  EXPECT_EQ(End().exit_code, 4);
}

TEST_F(Runner, RunnerKilled_IsSaidAndLeavesNothing) {
  Start("setsid sh -c 'while :; do sleep 0.1; done' & echo up; wait");
  ASSERT_TRUE(Wait([&] { return Said("up"); }));
  const pid_t pid = RunnerPid();
  ASSERT_GT(pid, 0);
  ::kill(pid, SIGKILL);
  const RunEnd end = End();
  EXPECT_EQ(end.why, RunEnd::Why::kRunnerLost);
  EXPECT_THAT(end.message, HasSubstr("runner"));
  EXPECT_TRUE(Wait([&] { return Left().empty(); }));
}

// The job's processes know nothing of faraday in their environment; only their descent is left.
class OrphansTest : public Runner {
 protected:
  OrphansTest() { BecomeSubreaper(); }
  ~OrphansTest() override { ::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0); }
  pid_t PidIn(const std::string& file) { return std::atoi(ReadAll(folder_ + "/work/" + file).c_str()); }
  // A script that leaves an escaped process, and then does `more`.
  static std::string Escape(const std::string& more) {
    return "echo $PPID > runner; env -i setsid sh -c 'trap \"\" TERM; (while :; do sleep 0.1; done) & echo $! > inner; "
           "echo $$ > outer; while :; do sleep 0.1; done' & while [ ! -s outer ]; do sleep 0.05; done; " +
           more;
  }
};

bool Lives(pid_t pid) { return pid > 0 && fs::exists("/proc/" + std::to_string(pid)); }

TEST_F(OrphansTest, OfAKilledRunnerAreGoneBeforeItsAttemptEnds) {
  Start(Escape("while :; do sleep 0.1; done"));
  ASSERT_TRUE(Wait([&] { return PidIn("outer") > 0; }));
  const pid_t outer = PidIn("outer");
  const pid_t inner = PidIn("inner");
  ASSERT_TRUE(Lives(outer) && Lives(inner));
  ::kill(PidIn("runner"), SIGKILL);
  EXPECT_EQ(End().why, RunEnd::Why::kRunnerLost);
  EXPECT_FALSE(Lives(outer));
  EXPECT_FALSE(Lives(inner));
  ::kill(outer, SIGKILL);  // where the test fails
  ::kill(inner, SIGKILL);
}

TEST_F(OrphansTest, OtherChildrenOfTheAgentAreLeftAlone) {
  auto other = Child::Spawn(loop_, {{"sleep", "600"}, {"PATH=/usr/bin:/bin"}, dir_, dir_ + "/other.log"}, [] {});
  ASSERT_TRUE(other.ok());
  Start(Escape("while :; do sleep 0.1; done"));
  ASSERT_TRUE(Wait([&] { return PidIn("outer") > 0; }));
  ::kill(PidIn("runner"), SIGKILL);
  EXPECT_EQ(End().why, RunEnd::Why::kRunnerLost);
  loop_.RunOnce(20ms);
  EXPECT_TRUE((*other)->running());
  (*other)->Signal(SIGKILL);
  EXPECT_TRUE(Wait([&] { return !(*other)->running(); }));
}

TEST_F(OrphansTest, ARunnerThatIsStoppedIsEndedAfterItsLease) {
  Start(Escape("while :; do sleep 0.1; done"));
  ASSERT_TRUE(Wait([&] { return PidIn("outer") > 0; }));
  const pid_t outer = PidIn("outer");
  ::kill(PidIn("runner"), SIGSTOP);
  runners_->SetLeaseEnd("job-1.1", BootClock::now() - 14s);  // a second of patience is left
  EXPECT_EQ(End().why, RunEnd::Why::kRunnerLost);
  EXPECT_FALSE(Lives(outer));
}

TEST_F(OrphansTest, OnANewKernelAJobCannotKillItsRunner) {
  if (!CanScopeSignals()) GTEST_SKIP() << "this kernel's Landlock keeps no signals in: jobs CAN";
  Start(Escape("kill -9 $PPID && exit 9; kill $(cat inner) && echo mine; exit 3"));
  const RunEnd end = End();
  EXPECT_EQ(end.why, RunEnd::Why::kExited);
  EXPECT_EQ(end.exit_code, 3);
  EXPECT_THAT(Log(), HasSubstr("mine"));
}

TEST_F(Runner, DamagedDeadline_KeepsTheLastGoodOne) {
  Start("echo up; while [ ! -e go ]; do sleep 0.1; done");
  ASSERT_TRUE(Wait([&] { return Said("up"); }));
  std::ofstream(folder_ + "/deadline") << "garbage";
  std::ofstream(folder_ + "/work/go") << "";
  EXPECT_EQ(End().why, RunEnd::Why::kExited);
}

TEST(KeptLog, DropsTheMiddleAndCounts) {
  const std::string path = testing::TempDir() + "/kept-log-" + std::to_string(::getpid());
  {
    auto log = KeptLog::Open(path, 10, 4);
    ASSERT_TRUE(log.ok());
    for (const char* piece : {"0123", "456789", "ab", "cdefg", "h", "ijklmnopq"}) log->Append(piece);
    log->Finish();
    EXPECT_EQ(log->dropped(), 13u);
  }
  EXPECT_EQ(ReadAll(path), "0123456789\n[faraday: 13 bytes of output are not kept here]\nnopq");
  fs::remove(path);
}

TEST(KeptLog, ShortOutputIsKeptAsItIs) {
  const std::string path = testing::TempDir() + "/kept-log-" + std::to_string(::getpid());
  {
    auto log = KeptLog::Open(path, 10, 4);
    ASSERT_TRUE(log.ok());
    log->Append("0123456789ab");
    log->Finish();
    EXPECT_EQ(log->dropped(), 0u);
  }
  EXPECT_EQ(ReadAll(path), "0123456789ab");
  fs::remove(path);
}

TEST(Folder, ResultSurvivesTheRoundTrip) {
  const std::string folder = testing::TempDir() + "/folder-" + std::to_string(::getpid());
  fs::create_directories(folder);
  const RunEnd end{RunEnd::Why::kTimeout, 137, "a b\tc", 5, 6, uint64_t{7} << 40, 8};
  ASSERT_TRUE(folder::WriteResult(folder, end).ok());
  EXPECT_EQ(*folder::ReadResult(folder), end);
  std::ofstream(folder + "/result") << "why exited\nexit_code many\n";
  EXPECT_EQ(folder::ReadResult(folder).status().code(), Code::kDataLoss);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace faraday::agent
