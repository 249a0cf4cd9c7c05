// One run of the program, without its process: tests run it in theirs.
#pragma once

#include <string>
#include <vector>

#include "cli/session.h"

namespace faraday::cli {

// `args` without the program's name. Returns the exit code.
int RunProgram(std::vector<std::string> args, Surroundings surroundings);

}  // namespace faraday::cli
