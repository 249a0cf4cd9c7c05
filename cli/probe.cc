#include "cli/probe.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace faraday::cli {
namespace {

constexpr int kLimitMs = 2000;  // chosen: a loopback connection takes microseconds

Status Unavailable(const std::string& endpoint, const char* why) {
  return {Code::kUnavailable,
          fmt::format("nothing answers at {}: {}; is the server running? choose another with --lab or --controller, or "
                      "FARADAY_LAB or FARADAY_CONTROLLER",
                      endpoint,
                      why)};
}

Status Connect(int family, const sockaddr* address, socklen_t size, const std::string& endpoint) {
  const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Unavailable(endpoint, std::strerror(errno));
  int error = connect(fd, address, size) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd waiting{.fd = fd, .events = POLLOUT, .revents = 0};
    socklen_t length = sizeof(error);
    error = ETIMEDOUT;
    if (poll(&waiting, 1, kLimitMs) == 1) getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  }
  close(fd);
  return error == 0 ? OkStatus() : Unavailable(endpoint, std::strerror(error));
}

// 0 for what is no port.
uint16_t PortOf(const std::string& text) {
  uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, port);
  return parsed.ec == std::errc{} && parsed.ptr == end ? port : uint16_t{0};
}

bool IsLoopback(const std::string& host) {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  return host == "localhost" || host == "[::1]";
}

Status ConnectTcp(const std::string& endpoint, std::string host, const std::string& port_text) {
  const uint16_t port = PortOf(port_text);
  if (port == 0) {
    return {Code::kInvalidArgument, fmt::format("'{}' has no valid port, allowed 1 to 65535", endpoint)};
  }
  if (host == "localhost") host = "127.0.0.1";
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) != 1) return OkStatus();  // a name: ZeroMQ resolves it
  sockaddr address{};
  std::memcpy(&address, &v4, sizeof(v4));
  return Connect(AF_INET, &address, sizeof(v4), endpoint);
}

Status ConnectUnix(const std::string& endpoint, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return {Code::kInvalidArgument,
            fmt::format("'{}': the path must have 1 to {} bytes", endpoint, sizeof(address.sun_path) - 1)};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return Connect(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof(address), endpoint);
}

}  // namespace

Status ProbeEndpoint(const std::string& endpoint) {
  if (endpoint.rfind("ipc://", 0) == 0) return ConnectUnix(endpoint, endpoint.substr(6));
  if (endpoint.rfind("inproc://", 0) == 0) return OkStatus();
  const size_t colon = endpoint.rfind(':');
  if (endpoint.rfind("tcp://", 0) != 0 || colon < 6) {
    return {Code::kInvalidArgument,
            fmt::format("'{}' is no endpoint; write tcp://127.0.0.1:7710 or ipc:///PATH", endpoint)};
  }
  return ConnectTcp(endpoint, endpoint.substr(6, colon - 6), endpoint.substr(colon + 1));
}

Status CheckPlain(const std::string& endpoint) {
  if (endpoint.rfind("ipc://", 0) == 0 || endpoint.rfind("inproc://", 0) == 0) return OkStatus();
  const size_t colon = endpoint.rfind(':');
  if (endpoint.rfind("tcp://", 0) != 0 || colon < 6) {
    return {Code::kInvalidArgument,
            fmt::format("'{}' is no endpoint; write tcp://127.0.0.1:7710 or ipc:///PATH", endpoint)};
  }
  if (IsLoopback(endpoint.substr(6, colon - 6)) && PortOf(endpoint.substr(colon + 1)) != 0) return OkStatus();
  return {Code::kInvalidArgument,
          fmt::format("--plain: '{}' may be reachable from other machines; plain text is allowed on loopback only, for "
                      "example tcp://127.0.0.1:7710",
                      endpoint)};
}

}  // namespace faraday::cli
