#include "sim/phone/tcp_door.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/log.h"

namespace faraday::sim {
namespace {

constexpr size_t kMaxLinks = 16;            // chosen: one adb server needs one
constexpr size_t kReadAtOnce = 64 * 1024;   // chosen: a turn of the loop stays short
constexpr Milliseconds kAcceptPause{1000};  // chosen
constexpr size_t kOutputHigh = 4 << 20;     // chosen: beyond it nothing is read until the host has taken some

Result<sockaddr_in> ParseAddress(const std::string& text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  const size_t colon = text.rfind(':');
  unsigned port = 0;
  const char* end = text.data() + text.size();
  const bool good =
      colon != std::string::npos && ::inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) == 1 &&
      std::from_chars(text.data() + colon + 1, end, port).ptr == end && colon + 1 < text.size() && port <= 65535;
  if (!good) {
    return Status{Code::kInvalidArgument,
                  "phone address '" + text + "' is not IPv4:PORT with a port of 0 to 65535, e.g. 127.0.0.1:5601"};
  }
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

std::string FormatAddress(const sockaddr_in& address) {
  char host[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &address.sin_addr, host, sizeof(host));
  return std::string(host) + ":" + std::to_string(ntohs(address.sin_port));
}

template <typename Address>
sockaddr* Generic(Address* address) {
  return reinterpret_cast<sockaddr*>(address);  // the socket API's own way
}

}  // namespace

// One adb server's connection.
class TcpDoor::Link {
 public:
  Link(TcpDoor& door, OwnedFd socket)
      : door_(door), socket_(std::move(socket)), core_({.banner = door.banner_}, door.opener_) {
    watch_ = door_.loop_.AddFd("phone adb link", socket_.get(), POLLIN, [this](short events) { OnReady(events); });
    core_.OnOutput([this] { WaitForMore(); });
  }
  ~Link() {
    core_.OnOutput(nullptr);
    door_.loop_.Remove(watch_);
  }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  size_t stream_count() const { return core_.stream_count(); }
  void WaitForMore() {
    short events = core_.output().size() < kOutputHigh || door_.mute_ ? POLLIN : 0;
    if (!core_.output().empty() && !door_.mute_) events |= POLLOUT;
    door_.loop_.SetFdEvents(watch_, events);
  }

 private:
  void OnReady(short events) {
    const bool good = (events & (POLLIN | POLLHUP | POLLERR)) == 0 || Receive();
    if (!good || !Send()) return Drop();
    WaitForMore();
  }
  bool Receive() {
    char bytes[kReadAtOnce];
    const ssize_t got = ::recv(socket_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got == 0) return false;
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (door_.mute_) return true;
    const Status status = core_.Feed(std::string_view(bytes, static_cast<size_t>(got)));
    if (!status.ok()) log::Warn("phone {}: {}", door_.address_, status.message());
    return status.ok();
  }
  bool Send() {
    while (!door_.mute_ && !core_.output().empty()) {
      const auto waiting = core_.output();
      const ssize_t sent = ::send(socket_.get(), waiting.data(), waiting.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN || errno == EINTR;
      core_.Sent(static_cast<size_t>(sent));
    }
    return true;
  }
  void Drop() {
    door_.links_.remove_if([this](const auto& link) { return link.get() == this; });
  }

  TcpDoor& door_;
  OwnedFd socket_;
  evloop::Handle watch_ = 0;
  AdbdCore core_;
};

TcpDoor::TcpDoor(evloop::Loop& loop, std::string banner, ServiceOpener& opener)
    : loop_(loop), banner_(std::move(banner)), opener_(opener) {}

Status TcpDoor::CheckAddress(const std::string& address) { return ParseAddress(address).status(); }

Result<std::unique_ptr<TcpDoor>> TcpDoor::Open(evloop::Loop& loop,
                                               const std::string& address,
                                               std::string banner,
                                               ServiceOpener& opener) {
  FARADAY_TRY_ASSIGN(sockaddr_in wanted, ParseAddress(address));
  std::unique_ptr<TcpDoor> door(new TcpDoor(loop, std::move(banner), opener));
  door->listener_.Reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(door->listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  socklen_t size = sizeof(wanted);
  if (!door->listener_ || ::bind(door->listener_.get(), Generic(&wanted), sizeof(wanted)) != 0 ||
      ::listen(door->listener_.get(), 16) != 0 || ::getsockname(door->listener_.get(), Generic(&wanted), &size) != 0) {
    return Status{Code::kUnavailable,
                  "phone cannot listen on " + address + ": " + std::strerror(errno) +
                      "; free the port or give the slot another adb address"};
  }
  door->address_ = FormatAddress(wanted);
  door->watch_ =
      loop.AddFd("phone adb listener", door->listener_.get(), POLLIN, [raw = door.get()](short) { raw->Accept(); });
  return door;
}

TcpDoor::~TcpDoor() {
  links_.clear();
  loop_.Remove(watch_);
  loop_.Remove(resume_);
}

size_t TcpDoor::stream_count() const {
  return std::accumulate(
      links_.begin(), links_.end(), size_t{0}, [](size_t sum, const auto& link) { return sum + link->stream_count(); });
}

void TcpDoor::CutLinks() { links_.clear(); }

void TcpDoor::SetMute(bool mute) {
  mute_ = mute;
  for (const auto& link : links_) link->WaitForMore();
}

// Out of descriptors the waiting link stays ready for ever; looking at it less often leaves the others their turns.
void TcpDoor::PauseListening() {
  log::Warn("phone {}: no descriptor left for another adb link; raise the limit of open files", address_);
  loop_.SetFdEvents(watch_, 0);
  loop_.Remove(resume_);
  resume_ = loop_.AddTimer(
      "phone accepts again", BootClock::now() + kAcceptPause, [this] { loop_.SetFdEvents(watch_, POLLIN); });
}

void TcpDoor::Accept() {
  OwnedFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket && (errno == EMFILE || errno == ENFILE)) return PauseListening();
  if (!socket || links_.size() >= kMaxLinks) return;
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  links_.push_back(std::make_unique<Link>(*this, std::move(socket)));
}

}  // namespace faraday::sim
