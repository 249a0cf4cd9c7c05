#include "agent/runner/process_tree.h"

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

namespace faraday::agent {
namespace {

struct Process {
  pid_t parent = 0;
  char state = '?';
};

// proc(5): "pid (comm) state ppid ..."; comm may hold anything, so the last ')' counts.
bool ReadStat(const char* pid, Process* process) {
  char text[512];
  std::FILE* file = std::fopen((std::string("/proc/") + pid + "/stat").c_str(), "re");
  if (file == nullptr) return false;
  const size_t size = std::fread(text, 1, sizeof(text) - 1, file);
  std::fclose(file);
  const std::string line(text, size);
  const size_t paren = line.rfind(')');
  return paren != std::string::npos &&
         std::sscanf(line.c_str() + paren + 1, " %c %d", &process->state, &process->parent) == 2;
}

std::multimap<pid_t, pid_t> ChildrenByParent() {
  std::multimap<pid_t, pid_t> children;
  DIR* proc = ::opendir("/proc");
  if (proc == nullptr) return children;
  while (const dirent* entry = ::readdir(proc)) {
    if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) == 0) continue;
    Process process;
    if (!ReadStat(entry->d_name, &process) || process.state == 'X') continue;
    children.emplace(process.parent, std::atoi(entry->d_name));
  }
  ::closedir(proc);
  return children;
}

// `root` and all that descends from it.
std::vector<pid_t> TreeOf(pid_t root, const std::multimap<pid_t, pid_t>& children) {
  std::vector<pid_t> found{root};
  for (size_t i = 0; i < found.size(); ++i) {
    const auto [begin, end] = children.equal_range(found[i]);
    for (auto it = begin; it != end; ++it) found.push_back(it->second);
  }
  return found;
}

}  // namespace

void BecomeSubreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

bool IsSubreaper() {
  int is = 0;
  return ::prctl(PR_GET_CHILD_SUBREAPER, &is, 0, 0, 0) == 0 && is == 1;
}

std::vector<pid_t> Descendants() {
  std::vector<pid_t> found = TreeOf(::getpid(), ChildrenByParent());
  found.erase(found.begin());
  return found;
}

void SignalTree(int signo) {
  for (const pid_t pid : Descendants()) ::kill(pid, signo);
}

bool KillTree(Milliseconds patience) {
  const BootTime give_up = BootClock::now() + patience;
  while (true) {
    SignalTree(SIGKILL);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) return true;  // ECHILD: no child at all
    if (BootClock::now() >= give_up) return false;
    ::usleep(2'000);
  }
}

bool KillChildrenBut(const std::function<bool(pid_t)>& spared, Milliseconds patience) {
  const BootTime give_up = BootClock::now() + patience;
  while (true) {
    const auto children = ChildrenByParent();
    const auto [begin, end] = children.equal_range(::getpid());
    bool left = false;
    for (auto it = begin; it != end; ++it) {
      if (spared(it->second)) continue;
      for (const pid_t pid : TreeOf(it->second, children)) ::kill(pid, SIGKILL);
      ::waitpid(it->second, nullptr, WNOHANG);
      left = true;  // what it had started is ours only now: look again
    }
    if (!left) return true;
    if (BootClock::now() >= give_up) return false;
    ::usleep(2'000);
  }
}

}  // namespace faraday::agent
