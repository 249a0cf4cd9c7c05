#include "agent/process/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>

namespace faraday::agent {
namespace {

// proc(5): after "pid (comm)" field 22 is the 20th.
uint64_t StartTime(pid_t pid) {
  std::FILE* file = std::fopen(fmt::format("/proc/{}/stat", pid).c_str(), "re");
  if (file == nullptr) return 0;
  char text[1024];
  const size_t size = std::fread(text, 1, sizeof(text) - 1, file);
  std::fclose(file);
  const std::string line(text, size);
  const size_t paren = line.rfind(')');
  unsigned long long start = 0;
  if (paren == std::string::npos) return 0;
  if (std::sscanf(line.c_str() + paren + 1,
                  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                  &start) != 1) {
    return 0;
  }
  return start;
}

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Signals as a fresh program expects them; the daemon blocks some for its signalfd.
void SetAttributes(posix_spawnattr_t* attributes) {
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_init(attributes);
  posix_spawnattr_setsigmask(attributes, &none);
  posix_spawnattr_setsigdefault(attributes, &all);
  posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

void SetFiles(posix_spawn_file_actions_t* files, const ChildOrder& order) {
  posix_spawn_file_actions_init(files);
  posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(files, STDOUT_FILENO, order.output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(files, STDOUT_FILENO, STDERR_FILENO);
  if (order.keep_fd >= 0) posix_spawn_file_actions_adddup2(files, order.keep_fd, 3);
  posix_spawn_file_actions_addclosefrom_np(files, order.keep_fd >= 0 ? 4 : 3);
  posix_spawn_file_actions_addchdir_np(files, order.folder.c_str());
}

// Of Started: pid -> start time. One thread starts children: the loop's.
std::map<pid_t, uint64_t>& StartedOnes() {
  static std::map<pid_t, uint64_t> started;
  return started;
}

int OpenPidfd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

}  // namespace

Child::Child(evloop::Loop& loop, ProcessId id, int pidfd, std::function<void()> ended)
    : loop_(loop), id_(id), pidfd_(pidfd), ended_(std::move(ended)) {
  watch_ = loop_.AddFd(fmt::format("process {}", id_.pid), pidfd_, POLLIN, [this](short) { OnEnded(); });
}

Child::~Child() {
  loop_.Remove(watch_);
  ::close(pidfd_);
}

Result<std::unique_ptr<Child>> Child::Spawn(evloop::Loop& loop, const ChildOrder& order, std::function<void()> ended) {
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t files;
  SetAttributes(&attributes);
  SetFiles(&files, order);
  const auto arguments = Pointers(order.arguments);
  const auto environment = Pointers(order.environment);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, arguments[0], &files, &attributes, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    return Status(
        error == ENOENT ? Code::kNotFound : Code::kInternal,
        fmt::format("cannot start {} (folder {}): {}", order.arguments[0], order.folder, std::strerror(error)));
  }
  StartedOnes()[pid] = StartTime(pid);
  const int pidfd = OpenPidfd(pid);
  if (pidfd < 0) return Status(Code::kInternal, fmt::format("no pidfd for {}: {}", pid, std::strerror(errno)));
  return std::unique_ptr<Child>(new Child(loop, {pid, StartTime(pid)}, pidfd, std::move(ended)));
}

Result<std::unique_ptr<Child>> Child::Adopt(evloop::Loop& loop, ProcessId id, std::function<void()> ended) {
  const int pidfd = OpenPidfd(id.pid);
  // Opened first, compared second: the pid cannot change hands in between.
  if (pidfd >= 0 && StartTime(id.pid) == id.start && id.start != 0) {
    return std::unique_ptr<Child>(new Child(loop, id, pidfd, std::move(ended)));
  }
  if (pidfd >= 0) ::close(pidfd);
  return Status(Code::kNotFound, fmt::format("process {} is no more", id.pid));
}

bool Child::Started(pid_t pid) {
  const auto found = StartedOnes().find(pid);
  return found != StartedOnes().end() && found->second == StartTime(pid);
}

void Child::Signal(int signo) {
  if (running()) ::syscall(SYS_pidfd_send_signal, pidfd_, signo, nullptr, 0);
}

void Child::OnEnded() {
  loop_.Remove(watch_);
  watch_ = 0;
  // An adopted one is not ours to reap: fails, harmless.
  if (::waitpid(id_.pid, nullptr, WNOHANG) == id_.pid) StartedOnes().erase(id_.pid);
  const auto ended = ended_;
  if (ended) ended();
}

}  // namespace faraday::agent
