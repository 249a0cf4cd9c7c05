#include "hil-tests/hostile/raw_peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <utility>

#include "base/check.h"

namespace faraday::hil {
namespace {

sockaddr_in AddressOf(const std::string& endpoint) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
  return address;
}

bool Readable(int fd, int wait_ms) {
  pollfd item{fd, POLLIN, 0};
  return poll(&item, 1, wait_ms) > 0;
}

}  // namespace

RawPeer::RawPeer(const std::string& endpoint) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
  const sockaddr_in address = AddressOf(endpoint);
  if (fd_ >= 0) connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

RawPeer::~RawPeer() {
  if (fd_ >= 0) close(fd_);
}

RawPeer::RawPeer(RawPeer&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

RawPeer& RawPeer::operator=(RawPeer&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

bool RawPeer::open() const {
  if (fd_ < 0) return false;
  pollfd item{fd_, POLLIN | POLLRDHUP, 0};
  return poll(&item, 1, 0) <= 0 || (item.revents & (POLLHUP | POLLERR | POLLRDHUP)) == 0;
}

size_t RawPeer::Send(std::string_view bytes) {
  pollfd item{fd_, POLLOUT, 0};
  if (fd_ < 0 || poll(&item, 1, 100) <= 0) return 0;
  const auto sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent > 0 ? static_cast<size_t>(sent) : 0;
}

std::string RawPeer::Read(int wait_ms) {
  std::string bytes(65'536, '\0');
  if (fd_ < 0 || !Readable(fd_, wait_ms)) return "";
  const auto got = recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
  bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return bytes;
}

std::string Record(const std::string& server, void (*call)(const std::string& endpoint, void* context), void* context) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = AddressOf("tcp://127.0.0.1:0");
  socklen_t size = sizeof address;
  FARADAY_CHECK(bind(listener, reinterpret_cast<const sockaddr*>(&address), size) == 0 && listen(listener, 1) == 0);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::atomic<bool> done = false;
  std::string recorded;
  std::thread between([&] {
    if (!Readable(listener, 10'000)) return;
    const int client = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    RawPeer peer(server);
    while (!done) {
      std::string out(65'536, '\0');
      const auto got = Readable(client, 1) ? recv(client, out.data(), out.size(), MSG_DONTWAIT) : 0;
      if (got > 0) {
        peer.Send(std::string_view(out).substr(0, static_cast<size_t>(got)));
        recorded.append(out, 0, static_cast<size_t>(got));
      }
      const std::string back = peer.Read(1);
      if (!back.empty()) send(client, back.data(), back.size(), MSG_NOSIGNAL);
    }
    close(client);
  });
  call("tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), context);
  done = true;
  between.join();
  close(listener);
  return recorded;
}

}  // namespace faraday::hil
