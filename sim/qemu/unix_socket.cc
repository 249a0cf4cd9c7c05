#include "sim/qemu/unix_socket.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace faraday::sim::qemu {
namespace {

int TryConnect(const sockaddr_un& address) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (connect(fd, static_cast<const sockaddr*>(static_cast<const void*>(&address)), sizeof(address)) == 0) return fd;
  close(fd);
  return -1;
}

}  // namespace

Result<int> ConnectUnix(const std::string& path, BootTime deadline, const std::function<bool()>& alive) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Status(
        Code::kInvalidArgument,
        fmt::format(
            "unix socket path {} is {} bytes, at most {} fit", path, path.size(), sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  while (true) {
    if (const int fd = TryConnect(address); fd >= 0) return fd;
    if (BootClock::now() >= deadline || (alive && !alive())) {
      return Status(Code::kUnavailable, fmt::format("nobody listens at {}", path));
    }
    poll(nullptr, 0, 10);
  }
}

Status SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return {Code::kUnavailable, fmt::format("socket write: {}", std::strerror(errno))};
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return OkStatus();
}

}  // namespace faraday::sim::qemu
