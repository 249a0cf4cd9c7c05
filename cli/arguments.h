// The command line: verbs as data to a parser, --help that teaches by example, usage errors in plain words.
#pragma once

#include <string>
#include <vector>

#include "cli/verb.h"

namespace faraday::cli {

// Options before or after any verb.
struct GlobalOptions {
  std::string lab;
  std::string controller;
  std::string user;
  std::string role;
  std::string key;         // file
  std::string server_key;  // hex
  bool plain = false;
  bool json = false;
};

struct ParsedLine {
  const Verb* verb = nullptr;  // nullptr: nothing to run, `text` and `exit_code` say the rest
  Invocation invocation;
  GlobalOptions options;
  std::string text;  // --help and --version: for stdout; a usage error: for stderr
  int exit_code = kExitOk;
};

// `args` without the program's name. Never throws.
ParsedLine ParseLine(const std::vector<Verb>& verbs, const std::vector<Group>& groups, std::vector<std::string> args);

}  // namespace faraday::cli
