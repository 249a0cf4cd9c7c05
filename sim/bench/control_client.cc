#include "sim/bench/control_client.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>

#include "sim/board/unix_socket.h"

namespace faraday::sim {
namespace {

// Chosen: an answer takes milliseconds, a board that starts its emulator on a busy machine half a minute.
constexpr timeval kLimit{60, 0};

std::string ReadLine(int fd) {
  std::string text;
  std::array<char, 512> buffer{};
  while (text.find('\n') == std::string::npos) {
    const ssize_t count = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (count <= 0) return {};
    text.append(buffer.data(), static_cast<size_t>(count));
  }
  return text.substr(0, text.find('\n'));
}

}  // namespace

Result<std::string> SendControl(const std::string& run_dir, const std::string& line) {
  FARADAY_TRY_ASSIGN(const int fd, ConnectUnix(run_dir + "/control"));
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kLimit, sizeof kLimit);
  const std::string text = line + "\n";
  const bool sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  const std::string answer = sent ? ReadLine(fd) : "";
  ::close(fd);
  if (answer.starts_with("ok")) return answer.size() > 3 ? answer.substr(3) : std::string();
  if (answer.starts_with("error ")) return Status{Code::kFailedPrecondition, answer.substr(6)};
  return Status{Code::kUnavailable,
                fmt::format("no answer from {}/control within {} s: is the simulator hung?", run_dir, kLimit.tv_sec)};
}

int RunControlClient(const std::string& run_dir, const std::vector<std::string>& words) {
  const auto answer = SendControl(run_dir, fmt::format("{}", fmt::join(words, " ")));
  if (answer.ok()) {
    fmt::print("ok {}\n", *answer);
    return 0;
  }
  fmt::print(stderr, "error {}\n", answer.status().message());
  return 1;
}

}  // namespace faraday::sim
