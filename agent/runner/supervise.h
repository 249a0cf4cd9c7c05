// What faraday-runner does: supervises the command of one attempt, in the attempt's folder (folder.h).
//
// It needs no agent once it runs: it keeps the output, ends the command at its own time limit and at the lease's
// deadline, kills whatever the command left behind, and writes `result` last. One thread, its own process.
#pragma once

#include <string>

#include "base/status.h"

namespace faraday::agent {

// Runs to the end of the command. Errors: the folder cannot be used (nothing was started; no result is written).
// REQUIRES: the caller's process is single-threaded and has nothing else to do; SIGTERM and SIGCHLD are blocked by it.
Status Supervise(const std::string& folder);

}  // namespace faraday::agent
