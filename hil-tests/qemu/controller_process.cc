#include "hil-tests/qemu/controller_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

namespace faraday::hil {
namespace {

constexpr const char* kProgram = FARADAY_BIN_DIR "/faraday-controller";

[[noreturn]] void BecomeController(const char* config, int log_fd, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  dup2(log_fd, STDOUT_FILENO);
  dup2(log_fd, STDERR_FILENO);
  execl(kProgram, kProgram, "--config", config, static_cast<char*>(nullptr));
  _exit(127);
}

}  // namespace

Result<ControllerProcess> ControllerProcess::Start(const std::string& config, const std::string& log) {
  if (access(kProgram, X_OK) != 0) return Status(Code::kNotFound, std::string(kProgram) + " is not built");
  const int log_fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_fd < 0) return Status(Code::kUnavailable, "cannot write " + log);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) BecomeController(config.c_str(), log_fd, parent);
  close(log_fd);
  if (pid < 0) return Status(Code::kUnavailable, "fork failed");
  return ControllerProcess(pid);
}

ControllerProcess::ControllerProcess(ControllerProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), wait_status_(other.wait_status_) {}

ControllerProcess::~ControllerProcess() {
  if (!running()) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

bool ControllerProcess::running() {
  if (pid_ != 0 && waitpid(pid_, &wait_status_, WNOHANG) == pid_) pid_ = 0;
  return pid_ != 0;
}

Result<int> ControllerProcess::Terminate(Milliseconds timeout) {
  if (running()) kill(pid_, SIGTERM);
  const BootTime deadline = BootClock::now() + timeout;
  while (running()) {
    if (BootClock::now() >= deadline) return Status(Code::kDeadlineExceeded, "the controller ignores SIGTERM");
    poll(nullptr, 0, 10);
  }
  return WIFEXITED(wait_status_) ? WEXITSTATUS(wait_status_) : -1;
}

}  // namespace faraday::hil
