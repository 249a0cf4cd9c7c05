// faraday-runner FOLDER LOCK_FD: supervises one attempt's command; started by faraday-agent, outlives it.
// LOCK_FD is the open, locked FOLDER/lock: it stays held until this process ends, whatever ends it.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "agent/runner/supervise.h"
#include "base/log.h"

int main(int argc, char** argv) {
  using namespace faraday;
  log::Program() = "runner";
  if (argc == 2 && (std::string(argv[1]) == "--help" || std::string(argv[1]) == "--version")) {
    fmt::print(
        "faraday-runner {}: supervises the command of one attempt; started by faraday-agent.\n"
        "usage: faraday-runner FOLDER LOCK_FD\n",
        FARADAY_VERSION);
    return 0;
  }
  if (argc != 3) {
    log::Error("usage: faraday-runner FOLDER LOCK_FD");
    return 2;
  }
  // The job must not inherit the lock: a job's orphan would pass for a living runner.
  if (::fcntl(std::atoi(argv[2]), F_SETFD, FD_CLOEXEC) != 0) {
    log::Error("file descriptor {} is not open; faraday-runner is started by faraday-agent only", argv[2]);
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);
  ::umask(S_IRWXG | S_IRWXO);
  const Status status = agent::Supervise(argv[1]);
  if (status.ok()) return 0;
  log::Error("{}: {}", argv[1], status.message());
  return 1;
}
