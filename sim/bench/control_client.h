// `faraday-sim ctl`: one command to the control socket, its answer to the terminal.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace faraday::sim {

// Sends `line` to RUN_DIR/control and waits at most 10 s for the answer's line.
// Returns the text after "ok "; kFailedPrecondition with the text after "error "; kUnavailable nobody serves there.
Result<std::string> SendControl(const std::string& run_dir, const std::string& line);
// The program: prints, and returns the exit code (0 ok, 1 error).
int RunControlClient(const std::string& run_dir, const std::vector<std::string>& words);

}  // namespace faraday::sim
