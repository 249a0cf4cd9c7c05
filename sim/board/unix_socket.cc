#include "sim/board/unix_socket.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace faraday::sim {
namespace {

namespace fs = std::filesystem;

Result<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Status{Code::kInvalidArgument,
                  fmt::format("{}: a unix socket's path has 1 to {} bytes, this one {}; choose a shorter folder",
                              path,
                              sizeof address.sun_path - 1,
                              path.size())};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

const sockaddr* Generic(const sockaddr_un& address) {
  return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

Status Failed(const std::string& path) {
  return {Code::kFailedPrecondition, fmt::format("cannot listen at {}: {}", path, std::strerror(errno))};
}

Status ClearStale(const std::string& path) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  const auto there = fs::symlink_status(path, error);
  if (!fs::exists(there)) return OkStatus();
  if (!fs::is_socket(there)) {
    return {Code::kFailedPrecondition, fmt::format("{} exists and is no socket: move it away", path)};
  }
  if (const auto other = ConnectUnix(path); other.ok()) {
    ::close(*other);
    return {Code::kFailedPrecondition, fmt::format("another process serves {}: end it or use another --run-dir", path)};
  }
  fs::remove(path, error);
  return OkStatus();
}

}  // namespace

Result<int> ListenUnix(const std::string& path) {
  FARADAY_TRY_ASSIGN(const sockaddr_un address, AddressOf(path));
  FARADAY_TRY(ClearStale(path));
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Failed(path);
  if (::bind(fd, Generic(address), sizeof address) == 0 && ::listen(fd, 16) == 0) return fd;
  const Status status = Failed(path);
  ::close(fd);
  return status;
}

Result<int> ConnectUnix(const std::string& path) {
  FARADAY_TRY_ASSIGN(const sockaddr_un address, AddressOf(path));
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && ::connect(fd, Generic(address), sizeof address) == 0) return fd;
  const Status status{
      Code::kUnavailable,
      fmt::format("nobody serves {}: {}; is faraday-sim running with this --run-dir?", path, std::strerror(errno))};
  if (fd >= 0) ::close(fd);
  return status;
}

}  // namespace faraday::sim
