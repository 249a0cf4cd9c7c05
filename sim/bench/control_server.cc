#include "sim/bench/control_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "base/result.h"
#include "sim/board/unix_socket.h"

namespace faraday::sim {
namespace {

constexpr size_t kMaxLine = 4096;          // chosen: no command is near it
constexpr size_t kMaxUnread = 256 * 1024;  // chosen: a client that never reads is dropped

bool WouldBlock() { return errno == EAGAIN || errno == EINTR; }

}  // namespace

ControlServer::~ControlServer() {
  while (!clients_.empty()) Drop(clients_.begin()->first);
  loop_.Remove(listener_handle_);
  if (listener_ < 0) return;
  ::close(listener_);
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

Status ControlServer::Open(const std::string& path) {
  FARADAY_TRY_ASSIGN(listener_, ListenUnix(path));
  path_ = path;
  listener_handle_ = loop_.AddFd("control", listener_, POLLIN, [this](short) { Accept(); });
  return OkStatus();
}

void ControlServer::Accept() {
  const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  Client& client = clients_[fd];
  client.fd = fd;
  client.handle = loop_.AddFd("control client", fd, POLLIN, [this, fd](short events) { OnClient(fd, events); });
}

void ControlServer::Drop(int fd) {
  const auto found = clients_.find(fd);
  loop_.Remove(found->second.handle);
  ::close(fd);
  clients_.erase(found);
}

void ControlServer::OnClient(int fd, short events) {
  Client& client = clients_.at(fd);
  const bool readable = (events & (POLLIN | POLLHUP | POLLERR)) != 0;
  if ((readable && !ReadLines(client)) || !Flush(client)) Drop(fd);
}

bool ControlServer::ReadLines(Client& client) {
  std::array<char, 4096> buffer{};
  const ssize_t count = ::recv(client.fd, buffer.data(), buffer.size(), 0);
  if (count < 0) return WouldBlock();
  client.in.append(buffer.data(), static_cast<size_t>(count));
  size_t end = 0;
  while ((end = client.in.find('\n')) != std::string::npos) {
    const std::string line = client.in.substr(0, end);
    client.in.erase(0, end + 1);
    client.out += handler_(line) + "\n";
  }
  if (count == 0) {  // the client has said all it will; it still gets its answers
    Flush(client);
    return false;
  }
  if (client.in.size() > kMaxLine) {
    client.out += "error a line has at most 4096 bytes\n";
    client.in.clear();
    Flush(client);
    return false;
  }
  return client.out.size() <= kMaxUnread;
}

bool ControlServer::Flush(Client& client) {
  while (!client.out.empty()) {
    const ssize_t count = ::send(client.fd, client.out.data(), client.out.size(), MSG_NOSIGNAL);
    if (count < 0 && !WouldBlock()) return false;
    if (count < 0) break;
    client.out.erase(0, static_cast<size_t>(count));
  }
  loop_.SetFdEvents(client.handle, client.out.empty() ? POLLIN : POLLIN | POLLOUT);
  return true;
}

}  // namespace faraday::sim
