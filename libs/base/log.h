// One line to stderr a message: "<6>controller: text". The number is the syslog level journald reads.
// Thread-safe (one write(2) a line, control bytes replaced). Log once, where it is decided, with parameters.
#pragma once

#include <fmt/core.h>
#include <unistd.h>

#include <string>
#include <string_view>

namespace faraday::log {

enum class Level { kError = 3, kWarning = 4, kInfo = 6, kDebug = 7 };

// What stands before each line; set once at the start of main(), before any thread.
inline std::string& Program() {
  static std::string name = "faraday";
  return name;
}

inline void Write(Level level, std::string_view text) {
  std::string line = fmt::format("<{}>{}: ", static_cast<int>(level), Program());
  for (char c : text) line += (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) ? ' ' : c;
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
