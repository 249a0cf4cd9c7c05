#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "sim/board/line_port.h"

namespace faraday::sim {
namespace {

namespace fs = std::filesystem;

// A pty keeps its terminal settings while the master is open, so raw mode set once holds for every opener.
bool MakeRaw(const std::string& slave) {
  const int fd = ::open(slave.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return false;
  termios settings{};
  bool ok = ::tcgetattr(fd, &settings) == 0;
  ::cfmakeraw(&settings);
  ok = ok && ::tcsetattr(fd, TCSANOW, &settings) == 0;
  ::close(fd);
  return ok;
}

class PtyLine : public LinePort {
 public:
  explicit PtyLine(std::string path) : path_(std::move(path)) {}
  ~PtyLine() override { Unplug(); }

  Status Plug() override {
    if (plugged()) return OkStatus();
    const Status status = OpenPair();
    if (!status.ok()) Unplug();
    return status;
  }

  void Unplug() override {
    if (linked_) {
      std::error_code ignored;
      fs::remove(path_, ignored);
    }
    linked_ = connected_ = false;
    if (master_ >= 0) ::close(master_);
    master_ = -1;
  }

  bool plugged() const override { return master_ >= 0; }

  bool Connected() override {
    if (!plugged()) return false;
    pollfd watch{master_, POLLIN, 0};
    const bool now = ::poll(&watch, 1, 0) >= 0 && (watch.revents & POLLHUP) == 0;
    if (connected_ && !now) Forget();
    connected_ = now;
    return now;
  }

  int poll_fd() const override { return connected_ ? master_ : -1; }

  size_t Read(std::span<uint8_t> in) override {
    if (!connected_ || in.empty()) return 0;
    const ssize_t count = ::read(master_, in.data(), in.size());
    return count > 0 ? static_cast<size_t>(count) : 0;
  }

  size_t Write(std::span<const uint8_t> out) override {
    if (!connected_) return out.size();
    const ssize_t count = ::write(master_, out.data(), out.size());
    return count > 0 ? static_cast<size_t>(count) : 0;
  }

  std::string Describe() const override { return "pty " + path_; }

 private:
  Status OpenPair() {
    master_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    std::array<char, 128> slave{};
    if (master_ < 0 || ::grantpt(master_) != 0 || ::unlockpt(master_) != 0 ||
        ::ptsname_r(master_, slave.data(), slave.size()) != 0) {
      return {Code::kResourceExhausted,
              fmt::format("no pty for {}: {}; is /dev/pts mounted and below its limit?", path_, std::strerror(errno))};
    }
    slave_ = slave.data();
    if (!MakeRaw(slave_)) {
      return {Code::kFailedPrecondition, fmt::format("cannot set up {}: {}", slave_, std::strerror(errno))};
    }
    return Link();
  }

  Status Link() {
    std::error_code error;
    fs::create_directories(fs::path(path_).parent_path(), error);
    const auto there = fs::symlink_status(path_, error);
    if (fs::exists(there) && !fs::is_symlink(there)) {
      return {Code::kFailedPrecondition,
              fmt::format("{} exists and is no symlink: move it away or change the board's port.path", path_)};
    }
    const std::string fresh = path_ + ".new";
    fs::remove(fresh, error);
    fs::create_symlink(slave_, fresh, error);
    if (!error) fs::rename(fresh, path_, error);
    if (error) {
      return {Code::kFailedPrecondition,
              fmt::format("cannot make the symlink {}: {}; check the folder's rights", path_, error.message())};
    }
    linked_ = true;
    return OkStatus();
  }

  // What the last opener left unread must not greet the next one.
  void Forget() {
    const int fd = ::open(slave_.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return;
    ::tcflush(fd, TCIOFLUSH);
    ::close(fd);
  }

  std::string path_;
  std::string slave_;
  int master_ = -1;
  bool linked_ = false;
  bool connected_ = false;
};

}  // namespace

std::unique_ptr<LinePort> MakePtyLine(std::string symlink_path) {
  return std::make_unique<PtyLine>(std::move(symlink_path));
}

}  // namespace faraday::sim
