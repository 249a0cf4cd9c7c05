#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "sim/board/line_port.h"
#include "sim/board/unix_socket.h"

namespace faraday::sim {
namespace {

// One far end at a time, as on a cable; a second one waits until the first is gone.
class SocketLine : public LinePort {
 public:
  explicit SocketLine(std::string path) : path_(std::move(path)) {}
  ~SocketLine() override { Unplug(); }

  Status Plug() override {
    if (plugged()) return OkStatus();
    FARADAY_TRY_ASSIGN(listener_, ListenUnix(path_));
    return OkStatus();
  }

  void Unplug() override {
    HangUp();
    if (!plugged()) return;
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
    ::close(listener_);
    listener_ = -1;
  }

  bool plugged() const override { return listener_ >= 0; }

  bool Connected() override {
    if (plugged() && peer_ < 0) peer_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return peer_ >= 0;
  }

  int poll_fd() const override { return peer_; }

  size_t Read(std::span<uint8_t> in) override {
    if (peer_ < 0 || in.empty()) return 0;
    const ssize_t count = ::recv(peer_, in.data(), in.size(), 0);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) HangUp();
    return count > 0 ? static_cast<size_t>(count) : 0;
  }

  size_t Write(std::span<const uint8_t> out) override {
    if (peer_ < 0) return out.size();
    const ssize_t count = ::send(peer_, out.data(), out.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN && errno != EINTR) HangUp();
    return count > 0 ? static_cast<size_t>(count) : 0;
  }

  std::string Describe() const override { return "socket " + path_; }

 private:
  void HangUp() {
    if (peer_ >= 0) ::close(peer_);
    peer_ = -1;
  }

  std::string path_;
  int listener_ = -1;
  int peer_ = -1;
};

}  // namespace

std::unique_ptr<LinePort> MakeSocketLine(std::string path) { return std::make_unique<SocketLine>(std::move(path)); }

}  // namespace faraday::sim
