#include "sim/line_proxy/board_end.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "sim/board/unix_socket.h"

namespace faraday::sim {
namespace {

constexpr std::array<std::pair<int, speed_t>, 7> kSpeeds = {{{9600, B9600},
                                                             {57600, B57600},
                                                             {115200, B115200},
                                                             {230400, B230400},
                                                             {460800, B460800},
                                                             {921600, B921600},
                                                             {3000000, B3000000}}};

Status Cannot(const std::string& path, const char* what) {
  return {Code::kUnavailable, fmt::format("{}: {}: {}", path, what, std::strerror(errno))};
}

}  // namespace

Result<PortName> ParsePortName(const std::string& text) {
  PortName name{false, text};
  for (const char* prefix : {"pty:", "tty:", "socket:"}) {
    if (!text.starts_with(prefix)) continue;
    name = {prefix[0] == 's', text.substr(std::strlen(prefix))};
  }
  if (!name.path.empty()) return name;
  return Status{Code::kInvalidArgument,
                fmt::format("\"{}\" names no port; give pty:PATH, tty:PATH or socket:PATH", text)};
}

Status BoardEnd::Open() {
  if (open()) return OkStatus();
  return name_.socket ? OpenSocket() : OpenTty();
}

void BoardEnd::Close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Status BoardEnd::OpenTty() {
  speed_t speed = B0;
  for (const auto& [baud, code] : kSpeeds) {
    if (baud == baud_) speed = code;
  }
  if (speed == B0) {
    return {Code::kInvalidArgument,
            fmt::format("{} baud is none of 9600, 57600, 115200, 230400, 460800, 921600, 3000000", baud_)};
  }
  fd_ = ::open(name_.path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (fd_ < 0) return Cannot(name_.path, "open");
  termios settings{};
  bool ok = ::tcgetattr(fd_, &settings) == 0;
  ::cfmakeraw(&settings);
  settings.c_cflag |= CLOCAL | CREAD;
  ::cfsetspeed(&settings, speed);
  ok = ok && ::tcsetattr(fd_, TCSANOW, &settings) == 0;
  if (ok) {
    ::tcflush(fd_, TCIOFLUSH);
    return OkStatus();
  }
  const Status status = Cannot(name_.path, "is no tty");
  Close();
  return status;
}

Status BoardEnd::OpenSocket() {
  FARADAY_TRY_ASSIGN(fd_, ConnectUnix(name_.path));
  if (::fcntl(fd_, F_SETFL, O_NONBLOCK) == 0) return OkStatus();
  const Status status = Cannot(name_.path, "not blocking");
  Close();
  return status;
}

size_t BoardEnd::Count(ssize_t moved, bool reading) {
  if (moved > 0) return static_cast<size_t>(moved);
  const bool later = moved < 0 && (errno == EAGAIN || errno == EINTR);
  if (!later && (reading || moved < 0)) Close();
  return 0;
}

size_t BoardEnd::Read(std::span<uint8_t> in) {
  if (!open() || in.empty()) return 0;
  return Count(::read(fd_, in.data(), in.size()), true);
}

size_t BoardEnd::Write(std::span<const uint8_t> out) {
  if (!open() || out.empty()) return 0;
  if (!name_.socket) return Count(::write(fd_, out.data(), out.size()), false);
  return Count(::send(fd_, out.data(), out.size(), MSG_NOSIGNAL), false);
}

}  // namespace faraday::sim
