// One child process of a test: started with an own process group, its output kept in a file, ended for certain.
// One thread. Ends only what it started.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace faraday::hil {

using Environment = std::map<std::string, std::string>;

// What a finished command left.
struct Output {
  int exit_code = -1;  // 128 + n when signal n ended it; -1: did not end in time (and was killed)
  std::string out;
  std::string err;
};

class Program {
 public:
  // Starts argv[0] with `environment` added to this process's; stdout and stderr go to `<log_stem>.out` / `.err`.
  Program(std::vector<std::string> argv, const Environment& environment, std::string log_stem);
  ~Program();  // SIGKILL to the process group when it still runs
  Program(Program&& other) noexcept;
  Program& operator=(Program&&) = delete;

  bool running();
  // Sends `signal` to the process alone (not to the processes it started).
  void Signal(int signal) const;
  // Waits for the end; nullopt when `limit` passes first.
  std::optional<int> Wait(std::chrono::milliseconds limit);
  Output Finish(std::chrono::milliseconds limit);
  pid_t pid() const { return pid_; }
  std::string out() const;
  std::string err() const;

 private:
  std::string log_stem_;
  pid_t pid_ = -1;
  std::optional<int> exit_code_;
};

// Polls `condition` every 20 ms until it holds; false when `limit` passes first.
bool WaitFor(const std::function<bool()>& condition, std::chrono::milliseconds limit);

std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& text);

}  // namespace faraday::hil
