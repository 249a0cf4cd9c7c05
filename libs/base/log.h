// One line to stderr a message: "<6>controller: text". The number is the syslog level journald reads.
// Thread-safe (one write(2) a line). Log once, where it is decided, with parameters.
// What comes from elsewhere may hold any bytes: a line stays one line, steers no terminal, is UTF-8 (plain_text.h), and
// has an end. Secrets are never parameters.
#pragma once

#include <fmt/core.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "base/plain_text.h"

namespace faraday::log {

enum class Level { kError = 3, kWarning = 4, kInfo = 6, kDebug = 7 };

// What stands before each line; set once at the start of main(), before any thread.
inline std::string& Program() {
  static std::string name = "faraday";
  return name;
}

inline constexpr size_t kLongestLine = 8192;  // bytes of text; chosen: a peer cannot fill the journal with one error

inline void Write(Level level, std::string_view text) {
  std::string line =
      fmt::format("<{}>{}: {}", static_cast<int>(level), Program(), PlainLine(text.substr(0, kLongestLine)));
  if (text.size() > kLongestLine) line += fmt::format(" ... ({} bytes more)", text.size() - kLongestLine);
  line += '\n';
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

template <typename... Args>
void Info(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Warn(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Error(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace faraday::log
