// The real faraday-controller as a child process on a config of the test's own, in the bench's folder.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace faraday::hil {

class ControllerProcess {
 public:
  // Errors: kNotFound the program is not built, kUnavailable cannot start.
  static Result<ControllerProcess> Start(const std::string& config, const std::string& log);
  ControllerProcess(ControllerProcess&& other) noexcept;
  ControllerProcess& operator=(ControllerProcess&&) = delete;
  ~ControllerProcess();  // kills it when it still runs

  bool running();
  // Sends SIGTERM and waits. Returns the exit status, -1 when a signal ended it.
  // Errors: kDeadlineExceeded it does not end.
  Result<int> Terminate(Milliseconds timeout);

 private:
  explicit ControllerProcess(pid_t pid) : pid_(pid) {}

  pid_t pid_;  // 0: none or reaped
  int wait_status_ = 0;
};

}  // namespace faraday::hil
