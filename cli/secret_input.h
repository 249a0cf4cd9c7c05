// Asks a person for a secret, without echo on a terminal; from a pipe the first line is read.
#pragma once

#include <cstdio>
#include <functional>
#include <string>

#include "base/result.h"

namespace faraday::cli {

// `prompt` goes to `err` when `in` is a terminal, whose echo is on again when this returns. Errors: kInvalidArgument
// when nothing comes or it is longer than 4096 bytes; kCancelled when `interrupted` says so.
Result<std::string> ReadSecretLine(std::FILE* in,
                                   std::FILE* err,
                                   const std::string& prompt,
                                   const std::function<bool()>& interrupted);

}  // namespace faraday::cli
