// The command's output on disk: its first 16 MiB as they come, its last 1 MiB when it is over, and how much between
// was dropped. Never refuses a byte, so that a talkative job is never slowed. One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace faraday::agent {

inline constexpr size_t kLogHeadBytes = size_t{16} << 20;  // the bound for logs
inline constexpr size_t kLogTailBytes = size_t{1} << 20;

class KeptLog {
 public:
  // Opens `path` for appending; `head` and `tail` in bytes. Errors: kInternal with errno's text.
  static Result<KeptLog> Open(const std::string& path, size_t head = kLogHeadBytes, size_t tail = kLogTailBytes);
  KeptLog(KeptLog&& other) noexcept;
  KeptLog& operator=(KeptLog&&) = delete;
  ~KeptLog();

  void Append(std::string_view bytes);
  // Writes what was kept of the end, after a line that says how much is missing before it.
  void Finish();
  // Bytes of the command's output that are not in the file (after Finish); also bytes a full disk refused.
  uint64_t dropped() const { return dropped_; }
  // Of the file.
  uint64_t size() const { return size_; }

 private:
  KeptLog(int fd, size_t head, size_t tail) : fd_(fd), head_(head), tail_(tail) {}
  void Write(std::string_view bytes);

  int fd_;
  size_t head_;
  size_t tail_;
  std::string end_;  // at most 2 * tail_ bytes
  uint64_t size_ = 0;
  uint64_t dropped_ = 0;
};

}  // namespace faraday::agent
