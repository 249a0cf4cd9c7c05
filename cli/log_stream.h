// Follows the log of a job's attempt as it grows: to the terminal and, when asked, into a file. Goes on at the same
// byte after a lab restart.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "cli/session.h"
#include "cli/text.h"

namespace faraday::cli {

class LogStream {
 public:
  // The log goes to stdout, or to stderr with --json; `file` (may be nullptr) takes it too and stays the caller's.
  LogStream(Session& session, std::FILE* file) : session_(session), file_(file) {}
  ~LogStream();  // ends a colour that is still on

  // Follows this attempt from its beginning; the same one again changes nothing.
  void Begin(const std::string& attempt);
  // Takes what there is, waiting up to `wait` for more. True when something came. Errors: those of ReadChunk, but
  // a log that has not begun is none.
  Result<bool> Read(Milliseconds wait, BootTime give_up);
  // Reads on to the end of a log that no longer grows.
  Status Drain(BootTime give_up);
  // Nothing more will come.
  bool complete() const { return complete_; }

 private:
  void Show(const std::string& data);
  void Write(const std::string& text);

  Session& session_;
  std::FILE* file_;
  std::string attempt_;
  uint64_t offset_ = 0;
  bool complete_ = false;
  LogFilter filter_;
};

}  // namespace faraday::cli
