// Counts what a JUnit file says. Root <testsuites> or <testsuite>, nested suites allowed; cases are counted, and
// failures and errors that only the suites' attributes name are counted, too. Blocking; any thread.
#pragma once

#include <string>

#include "agent/core/wishes.h"
#include "base/result.h"

namespace faraday::agent {

inline constexpr uint64_t kJunitBytes = uint64_t{32} << 20;  // chosen

// Errors: kNotFound, kResourceExhausted (larger than 32 MiB), kDataLoss with the parser's word and the offset.
Result<JunitSummary> ReadJunit(const std::string& path);

}  // namespace faraday::agent
