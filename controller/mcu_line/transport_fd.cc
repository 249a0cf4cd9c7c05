// Ttys (ptys among them) and unix sockets: plain file descriptors.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "controller/mcu_line/transport.h"

namespace faraday::controller {
namespace {

class FdTransport final : public Transport {
 public:
  explicit FdTransport(int fd) : fd_(fd) {}
  ~FdTransport() override { ::close(fd_); }
  int fd() const override { return fd_; }

  Result<size_t> Write(std::span<const uint8_t> bytes) override {
    // A socket's peer may be gone: an error, not a SIGPIPE. A tty knows no send().
    ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == ENOTSOCK) n = ::write(fd_, bytes.data(), bytes.size());
    return Count(n, "write");
  }
  Result<size_t> Read(std::span<uint8_t> bytes) override {
    const ssize_t n = ::read(fd_, bytes.data(), bytes.size());
    if (n == 0) return Status{Code::kUnavailable, "the other end closed the line"};
    return Count(n, "read");
  }

 private:
  static Result<size_t> Count(ssize_t n, const char* what) {
    if (n >= 0) return static_cast<size_t>(n);
    if (errno == EAGAIN || errno == EINTR) return size_t{0};
    return Status{Code::kUnavailable, fmt::format("{}: {}", what, std::strerror(errno))};
  }
  int fd_;
};

struct Speed {
  int baud;
  speed_t code;
};
constexpr std::array<Speed, 7> kSpeeds = {{{9600, B9600},
                                           {57600, B57600},
                                           {115200, B115200},
                                           {230400, B230400},
                                           {460800, B460800},
                                           {921600, B921600},
                                           {3000000, B3000000}}};

Result<speed_t> SpeedOf(int baud) {
  std::string known;
  for (const Speed& speed : kSpeeds) {
    if (speed.baud == baud) return speed.code;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", speed.baud);
  }
  return Status{Code::kUnavailable, fmt::format("cannot be set to {} baud; allowed by path: {}", baud, known)};
}

// An earlier program's flow control would hold bytes back without a word.
Status MakeRaw(int fd, int baud) {
  FARADAY_TRY_ASSIGN(const speed_t speed, SpeedOf(baud));
  termios settings{};
  if (::tcgetattr(fd, &settings) != 0) return {Code::kUnavailable, fmt::format("is no tty: {}", std::strerror(errno))};
  ::cfmakeraw(&settings);
  settings.c_cflag &= ~static_cast<tcflag_t>(CRTSCTS | CSTOPB);
  settings.c_cflag |= CLOCAL | CREAD;
  ::cfsetspeed(&settings, speed);
  if (::tcsetattr(fd, TCSANOW, &settings) != 0)
    return {Code::kUnavailable, fmt::format("settings: {}", std::strerror(errno))};
  ::tcflush(fd, TCIOFLUSH);
  return OkStatus();
}

Status Cannot(const std::string& path) {
  if (errno == ENOENT) {
    return {Code::kUnavailable, path + " does not exist; check the cable, the controller retries"};
  }
  if (errno == EACCES) {
    return {Code::kUnavailable,
            path + ": permission denied; check the udev rule and the user's groups, the controller retries"};
  }
  return {Code::kUnavailable, fmt::format("{}: {}; the controller retries", path, std::strerror(errno))};
}

}  // namespace

std::unique_ptr<Transport> AdoptFd(int fd) { return std::make_unique<FdTransport>(fd); }

Result<std::unique_ptr<Transport>> OpenTty(const std::string& path, int baud) {
  const int fd = ::open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return Cannot(path);
  auto transport = AdoptFd(fd);
  if (const Status raw = MakeRaw(fd, baud); !raw.ok()) return Status{raw.code(), path + " " + raw.message()};
  return transport;
}

Result<std::unique_ptr<Transport>> OpenUnixSocket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Status{Code::kUnavailable,
                  fmt::format("{} is longer than a socket path may be ({} bytes)", path, sizeof(address.sun_path) - 1)};
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Cannot(path);
  auto transport = AdoptFd(fd);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return Cannot(path);
  return transport;
}

Result<std::unique_ptr<Transport>> OpenTransport(const rackconfig::PortConfig& port) {
  if (!port.usb_serial.empty()) return OpenSerialPort(port.usb_serial, port.baud);
  if (!port.path.empty()) return OpenTty(port.path, port.baud);
  return OpenUnixSocket(port.socket);
}

}  // namespace faraday::controller
