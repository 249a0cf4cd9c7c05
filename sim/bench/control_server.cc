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
  const uint64_t id = next_id_++;
  Client& client = clients_[id];
  client.id = id;
  client.fd = fd;
  client.handle = loop_.AddFd("control client", fd, POLLIN, [this, id](short events) { OnClient(id, events); });
}

void ControlServer::Drop(uint64_t id) {
  const auto found = clients_.find(id);
  loop_.Remove(found->second.handle);
  ::close(found->second.fd);
  clients_.erase(found);
}

void ControlServer::OnClient(uint64_t id, short events) {
  Client& client = clients_.at(id);
  const bool readable = (events & (POLLIN | POLLHUP | POLLERR)) != 0;
  if (readable && !Receive(client)) return Drop(id);
  Turn(client);
}

bool ControlServer::Receive(Client& client) {
  std::array<char, 4096> buffer{};
  const ssize_t count = ::recv(client.fd, buffer.data(), buffer.size(), 0);
  if (count < 0) return WouldBlock();
  client.in.append(buffer.data(), static_cast<size_t>(count));
  if (count == 0) {  // readable for ever from here on
    client.ended = true;
    loop_.Remove(client.handle);
  }
  return true;
}

void ControlServer::OnAnswer(uint64_t id, const std::string& answer) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;  // it did not wait
  found->second.out += answer + "\n";
  found->second.waits = false;
  if (!asking_) Turn(found->second);
}

void ControlServer::AskWhatItSaid(Client& client) {
  asking_ = true;
  for (size_t end = client.in.find('\n'); end != std::string::npos && !client.waits; end = client.in.find('\n')) {
    const std::string line = client.in.substr(0, end);
    client.in.erase(0, end + 1);
    client.waits = true;
    handler_(line, [this, id = client.id](const std::string& answer) { OnAnswer(id, answer); });
  }
  asking_ = false;
}

void ControlServer::Turn(Client& client) {
  AskWhatItSaid(client);
  if (client.ended && client.waits) return;
  const bool too_long = !client.waits && client.in.size() > kMaxLine;
  if (too_long) client.out += "error a line has at most 4096 bytes\n";
  if (!Flush(client) || client.ended || too_long || client.out.size() > kMaxUnread) Drop(client.id);
}

bool ControlServer::Flush(Client& client) {
  while (!client.out.empty()) {
    const ssize_t count = ::send(client.fd, client.out.data(), client.out.size(), MSG_NOSIGNAL);
    if (count < 0 && !WouldBlock()) return false;
    if (count < 0) break;
    client.out.erase(0, static_cast<size_t>(count));
  }
  const int reads = client.waits ? 0 : POLLIN;
  loop_.SetFdEvents(client.handle, static_cast<short>(reads | (client.out.empty() ? 0 : POLLOUT)));
  return true;
}

}  // namespace faraday::sim
