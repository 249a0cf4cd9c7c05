#include "sim/qemu/uart_pump.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace faraday::sim::qemu {
namespace {

constexpr int kTickMs = 5;  // chosen: as the plant's
constexpr int kBusyMs = 1;  // chosen: bytes wait for room or for company

bool WouldBlock(ssize_t count) { return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR); }

Status Gone() { return {Code::kUnavailable, "QEMU closed its UART socket"}; }

}  // namespace

UartPump::UartPump(int fd, LinePort& line) : fd_(fd), line_(line) {}

UartPump::~UartPump() { ::close(fd_); }

Status UartPump::FromQemu(uint32_t now_ms) {
  std::array<uint8_t, kBuffer> bytes{};
  const size_t room = kBuffer - to_host_.size();
  if (room == 0) return OkStatus();
  const ssize_t count = ::recv(fd_, bytes.data(), room, MSG_DONTWAIT);
  if (count == 0 || (count < 0 && !WouldBlock(count))) return Gone();
  if (count <= 0) return OkStatus();
  took_ms_ = now_ms;
  to_host_.insert(to_host_.end(), bytes.begin(), bytes.begin() + count);
  return OkStatus();
}

Status UartPump::ToQemu() {
  std::array<uint8_t, kBuffer> bytes{};
  const size_t room = kBuffer - to_qemu_.size();
  const size_t read = line_.Read(std::span(bytes).first(room));
  to_qemu_.insert(to_qemu_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(read));
  if (to_qemu_.empty()) return OkStatus();
  const ssize_t count = ::send(fd_, to_qemu_.data(), to_qemu_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (count < 0 && !WouldBlock(count)) return Gone();
  if (count > 0) to_qemu_.erase(to_qemu_.begin(), to_qemu_.begin() + count);
  return OkStatus();
}

Status UartPump::Pass(uint32_t now_ms) {
  line_.Connected();
  FARADAY_TRY(FromQemu(now_ms));
  const size_t written = line_.Write(to_host_);
  to_host_.erase(to_host_.begin(), to_host_.begin() + static_cast<ptrdiff_t>(written));
  return ToQemu();
}

int UartPump::Watch(std::vector<pollfd>& watch, uint32_t now_ms) const {
  watch.push_back({line_.poll_fd(), static_cast<short>(to_qemu_.size() < kBuffer ? POLLIN : 0), 0});
  if (took_ms_ == now_ms || !to_host_.empty()) return kBusyMs;
  watch.push_back({fd_, static_cast<short>(to_qemu_.empty() ? POLLIN : POLLIN | POLLOUT), 0});
  return kTickMs;
}

}  // namespace faraday::sim::qemu
