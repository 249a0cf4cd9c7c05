// The attempt's folder: how agent and faraday-runner speak to each other, so that either survives the other.
//
//   command      the words of the command, each ended by a NUL byte          agent, before the start
//   environment  NAME=VALUE, each ended by a NUL byte                        agent, before the start
//   limits       "timeout_ms 600000", a line each                            agent, before the start
//   deadline     CLOCK_BOOTTIME milliseconds at which the lease ends         agent, replaced at each renewal
//   cancel       its existence ends the command                              agent
//   lock         held (flock) by the runner while it lives; the agent hands it over locked
//   log          stdout and stderr of the command                            runner, only ever grows
//   result       how it ended, "key value" lines                             runner, last
//   work/        the command's working folder, with artifacts/
//   tmp/         its TMPDIR
// Files that are replaced are written beside and renamed. No threads; both programs use this.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/wishes.h"
#include "base/clock.h"
#include "base/result.h"

namespace faraday::agent::folder {

// The whole file; kNotFound when it is absent, kInternal with errno's text otherwise.
Result<std::string> Read(const std::string& path);
// Replaces the file in one step; it is on disk when this returns OK.
Status Replace(const std::string& path, std::string_view text);

std::string JoinNul(const std::vector<std::string>& words);
std::vector<std::string> SplitNul(std::string_view text);

Status WriteDeadline(const std::string& folder, BootTime deadline);
// kDataLoss when the file holds no number.
Result<BootTime> ReadDeadline(const std::string& folder);

Status WriteResult(const std::string& folder, const RunEnd& end);
// kNotFound while there is none.
Result<RunEnd> ReadResult(const std::string& folder);

// An open, locked file descriptor of folder/lock, or kAlreadyExists while another holds it.
Result<int> Lock(const std::string& folder);

}  // namespace faraday::agent::folder
