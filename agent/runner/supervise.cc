#include "agent/runner/supervise.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <vector>

#include "agent/core/wishes.h"
#include "agent/runner/folder.h"
#include "agent/runner/kept_log.h"
#include "agent/runner/process_tree.h"
#include "agent/runner/seclude.h"
#include "base/clock.h"
#include "base/log.h"

namespace faraday::agent {
namespace {

constexpr Milliseconds kLookEvery{100};       // at deadline and cancel files; chosen
constexpr Milliseconds kGrace{5'000};         // SIGTERM to SIGKILL; the figure
constexpr Milliseconds kKillPatience{5'000};  // chosen
constexpr int kCannotStart = 127;             // as shells say it

struct Order {
  std::vector<std::string> command;
  std::vector<std::string> environment;
  Milliseconds timeout{0};
};

Result<Order> ReadOrder(const std::string& folder) {
  Order order;
  FARADAY_TRY_ASSIGN(const std::string command, folder::Read(folder + "/command"));
  FARADAY_TRY_ASSIGN(const std::string environment, folder::Read(folder + "/environment"));
  FARADAY_TRY_ASSIGN(const std::string limits, folder::Read(folder + "/limits"));
  order.command = folder::SplitNul(command);
  order.environment = folder::SplitNul(environment);
  constexpr std::string_view kTimeout = "timeout_ms ";
  int64_t timeout = 0;
  if (limits.starts_with(kTimeout))
    std::from_chars(limits.data() + kTimeout.size(), limits.data() + limits.size(), timeout);
  order.timeout = Milliseconds(timeout);
  if (order.command.empty() || timeout <= 0)
    return Status(Code::kInvalidArgument, folder + ": no command or no time limit");
  return order;
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

class Run {
 public:
  Run(std::string folder, Order order, KeptLog log)
      : folder_(std::move(folder)), order_(std::move(order)), log_(std::move(log)) {}

  Status Go();

 private:
  Status Start();
  [[noreturn]] void Child(int output, int error_pipe);
  bool Secluded();
  void Loop();
  void Drain();
  void LookAtSignals();
  void Reap();
  void LookAtFiles(BootTime now);
  void LookAtTimes(BootTime now);
  void Terminate(RunEnd::Why why, BootTime now);
  void KillNow(RunEnd::Why why);
  RunEnd End();

  std::string folder_;
  Order order_;
  KeptLog log_;
  pid_t pid_ = -1;
  int output_ = -1;
  int signals_ = -1;
  bool over_ = false;               // the command's own process has ended
  int status_ = 0;                  // of it, as waitpid gives it
  std::optional<RunEnd::Why> why_;  // why we ended it; unset: it ended by itself
  std::string message_;             // why it could not be started
  std::optional<BootTime> kill_at_;
  BootTime time_over_{};
  BootTime lease_end_{};
  UtcTime started_{};
};

Status Run::Start() {
  int output[2];
  int error_pipe[2];
  if (::pipe2(output, O_CLOEXEC) != 0 || ::pipe2(error_pipe, O_CLOEXEC) != 0) {
    return {Code::kInternal, fmt::format("cannot make a pipe: {}", std::strerror(errno))};
  }
  started_ = UtcNow();
  time_over_ = BootClock::now() + order_.timeout;
  pid_ = ::fork();
  if (pid_ == 0) Child(output[1], error_pipe[1]);
  ::close(output[1]);
  ::close(error_pipe[1]);
  output_ = output[0];
  int error = 0;
  // Closed by a successful exec: then there is nothing to read.
  if (pid_ < 0) message_ = fmt::format("cannot fork: {}", std::strerror(errno));
  if (pid_ > 0 && ::read(error_pipe[0], &error, sizeof(error)) == sizeof(error)) {
    message_ = fmt::format("cannot start '{}': {}", order_.command[0], std::strerror(error));
  }
  ::close(error_pipe[0]);
  ::fcntl(output_, F_SETFL, O_NONBLOCK);
  return OkStatus();
}

void Run::Child(int output, int error_pipe) {
  // Should the runner be killed, at least the command itself does not outlive it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::setsid();
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  if (::chdir((folder_ + "/work").c_str()) == 0 && Secluded()) {
    auto arguments = Pointers(order_.command);
    auto environment = Pointers(order_.environment);
    // execvpe looks for the command in this process's PATH: make it the job's.
    for (const std::string& variable : order_.environment) {
      if (variable.starts_with("PATH=")) ::setenv("PATH", variable.c_str() + 5, 1);
    }
    ::execvpe(arguments[0], arguments.data(), environment.data());
  }
  const int error = errno;
  [[maybe_unused]] const auto written = ::write(error_pipe, &error, sizeof(error));
  ::_exit(kCannotStart);
}

// In the child. A kernel that cannot is no reason to run nothing (Go has said so); a refusal is.
bool Run::Secluded() {
  if (!CanSeclude() || Seclude(StateFolderOf(folder_), {folder_ + "/work", folder_ + "/tmp"}).ok()) return true;
  errno = EACCES;
  return false;
}

void Run::Drain() {
  static std::array<char, 65536> buffer;
  // Bounded, so that a job that never stops talking cannot keep us from its deadline.
  for (int i = 0; i < 64; ++i) {
    const ssize_t got = ::read(output_, buffer.data(), buffer.size());
    if (got <= 0) return;
    log_.Append({buffer.data(), static_cast<size_t>(got)});
  }
}

void Run::LookAtSignals() {
  signalfd_siginfo info{};
  while (::read(signals_, &info, sizeof(info)) == sizeof(info)) {
    if (info.ssi_signo == SIGTERM) Terminate(RunEnd::Why::kCancelled, BootClock::now());
  }
}

void Run::Reap() {
  int status = 0;
  pid_t pid = 0;
  while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid != pid_) continue;
    over_ = true;
    status_ = status;
  }
}

void Run::LookAtFiles(BootTime now) {
  const auto deadline = folder::ReadDeadline(folder_);
  if (deadline.ok()) lease_end_ = *deadline;
  if (::access((folder_ + "/cancel").c_str(), F_OK) == 0) Terminate(RunEnd::Why::kCancelled, now);
}

void Run::LookAtTimes(BootTime now) {
  // The lease is another's the moment it ends: no grace.
  if (now >= lease_end_) return KillNow(RunEnd::Why::kLeaseLost);
  if (now >= time_over_) Terminate(RunEnd::Why::kTimeout, now);
  if (kill_at_ && now >= *kill_at_) KillNow(*why_);
}

void Run::Terminate(RunEnd::Why why, BootTime now) {
  if (why_) return;
  why_ = why;
  kill_at_ = now + kGrace;
  SignalTree(SIGTERM);
}

void Run::KillNow(RunEnd::Why why) {
  why_ = why;
  // waitpid inside would lose the command's own status: it is not needed once we have killed it.
  KillTree(kKillPatience);
  over_ = true;
}

void Run::Loop() {
  while (!over_) {
    std::array<pollfd, 2> fds{pollfd{output_, POLLIN, 0}, pollfd{signals_, POLLIN, 0}};
    ::poll(fds.data(), fds.size(), static_cast<int>(kLookEvery.count()));
    Drain();
    // All writers gone although the command still runs: do not spin on the hang-up.
    if ((fds[0].revents & (POLLHUP | POLLIN)) == POLLHUP) ::usleep(10'000);
    LookAtSignals();
    Reap();
    if (over_) break;
    const BootTime now = BootClock::now();
    LookAtFiles(now);
    LookAtTimes(now);
  }
}

RunEnd Run::End() {
  RunEnd end;
  end.why = why_.value_or(message_.empty() ? RunEnd::Why::kExited : RunEnd::Why::kCannotStart);
  end.message = message_;
  if (!message_.empty())
    end.exit_code = kCannotStart;
  else if (WIFSIGNALED(status_))
    end.exit_code = 128 + WTERMSIG(status_);
  else
    end.exit_code = WEXITSTATUS(status_);
  if (why_ && end.exit_code == 0) end.exit_code = 128 + SIGKILL;
  end.started_utc_ms = started_.since_epoch.count();
  end.ended_utc_ms = UtcNow().since_epoch.count();
  end.log_size = log_.size();
  end.log_dropped = log_.dropped();
  return end;
}

Status Run::Go() {
  FARADAY_TRY_ASSIGN(lease_end_, folder::ReadDeadline(folder_));
  BecomeSubreaper();
  if (!CanSeclude())
    log::Warn("this kernel has no Landlock (Linux 5.19): the job can read the agent's key and other jobs");
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  signals_ = ::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  FARADAY_TRY(Start());
  if (!message_.empty())
    log_.Append("faraday-runner: " + message_ + "\n");
  else
    Loop();
  // What the command left running must not outlive it; after that the pipe holds the last words.
  KillTree(kKillPatience);
  for (int i = 0; i < 16; ++i) Drain();
  log_.Finish();
  ::close(output_);
  ::close(signals_);
  return folder::WriteResult(folder_, End());
}

}  // namespace

Status Supervise(const std::string& folder) {
  FARADAY_TRY_ASSIGN(Order order, ReadOrder(folder));
  FARADAY_TRY_ASSIGN(KeptLog log, KeptLog::Open(folder + "/log"));
  return Run(folder, std::move(order), std::move(log)).Go();
}

}  // namespace faraday::agent
