#include "hil-tests/process/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace faraday::hil {
namespace {

using Clock = std::chrono::steady_clock;

void OpenAs(const std::string& path, int fd) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file >= 0) dup2(file, fd);
}

int ExitCode(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

bool WaitFor(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  while (!condition()) {
    if (Clock::now() >= end) return false;
    poll(nullptr, 0, 20);
  }
  return true;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

Program::Program(std::vector<std::string> argv, const Environment& environment, std::string log_stem)
    : log_stem_(std::move(log_stem)) {
  std::vector<char*> args;
  for (auto& arg : argv) args.push_back(arg.data());
  args.push_back(nullptr);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ != 0) {
    setpgid(pid_, pid_);
    return;
  }
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // a crashed test leaves nothing behind
  if (getppid() != parent) _exit(127);
  for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
  OpenAs("/dev/null", STDIN_FILENO);
  OpenAs(log_stem_ + ".out", STDOUT_FILENO);
  OpenAs(log_stem_ + ".err", STDERR_FILENO);
  execv(args[0], args.data());
  _exit(127);
}

Program::Program(Program&& other) noexcept
    : log_stem_(std::move(other.log_stem_)), pid_(other.pid_), exit_code_(other.exit_code_) {
  other.pid_ = -1;
}

Program::~Program() {
  if (pid_ > 0 && !exit_code_) {
    kill(-pid_, SIGKILL);
    kill(pid_, SIGKILL);
    int status = 0;
    waitpid(pid_, &status, 0);
  }
}

bool Program::running() {
  if (exit_code_ || pid_ <= 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return true;
  exit_code_ = ExitCode(status);
  return false;
}

void Program::Signal(int signal) const {
  if (pid_ > 0 && !exit_code_) kill(pid_, signal);
}

std::optional<int> Program::Wait(std::chrono::milliseconds limit) {
  WaitFor([this] { return !running(); }, limit);
  return exit_code_;
}

Output Program::Finish(std::chrono::milliseconds limit) {
  if (!Wait(limit)) {
    kill(-pid_, SIGKILL);
    Wait(std::chrono::seconds(10));
    return {-1, out(), err() + "\n(did not end in time)"};
  }
  return {*exit_code_, out(), err()};
}

std::string Program::out() const { return ReadFile(log_stem_ + ".out"); }
std::string Program::err() const { return ReadFile(log_stem_ + ".err"); }

}  // namespace faraday::hil
