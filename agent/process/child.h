// Long-lived child programs that may outlive the agent: started in a session of their own, known again after a
// restart by pid and start time. Watched through pidfds in the loop; loop's thread only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "evloop/loop.h"

namespace faraday::agent {

// One process, also after its pid was given to another.
struct ProcessId {
  pid_t pid = 0;
  uint64_t start = 0;  // /proc/PID/stat field 22, clock ticks since boot
};

struct ChildOrder {
  std::vector<std::string> arguments;    // [0] is looked up in this program's PATH
  std::vector<std::string> environment;  // NAME=VALUE, the complete one
  std::string folder;                    // working folder; must exist
  std::string output;                    // file that takes stdout and stderr, appended
  int keep_fd = -1;                      // becomes descriptor 3 of the child; every other one is closed
};

class Child {
 public:
  // Errors: kNotFound when there is no such program, kInternal with errno's text.
  static Result<std::unique_ptr<Child>> Spawn(evloop::Loop& loop, const ChildOrder& order, std::function<void()> ended);
  // Watches a process an earlier agent started; kNotFound when it is no more.
  static Result<std::unique_ptr<Child>> Adopt(evloop::Loop& loop, ProcessId id, std::function<void()> ended);
  // Whether this process started it, and it is still that one.
  static bool Started(pid_t pid);
  // Leaves the process alone.
  ~Child();

  ProcessId id() const { return id_; }
  bool running() const { return watch_ != 0; }
  // To this process only. Nothing happens when it has ended.
  void Signal(int signo);

 private:
  Child(evloop::Loop& loop, ProcessId id, int pidfd, std::function<void()> ended);
  void OnEnded();

  evloop::Loop& loop_;
  ProcessId id_;
  int pidfd_;
  evloop::Handle watch_ = 0;
  std::function<void()> ended_;
};

}  // namespace faraday::agent
