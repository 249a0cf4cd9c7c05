#include "agent/adb/server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/log.h"

namespace faraday::agent {
namespace {

constexpr Milliseconds kEndPatience{1'000};  // chosen
constexpr const char* kRecord = "/server";

std::vector<std::string> Environment(const AdbServer::Place& place) {
  // ADB_* switches as Debian's 29.0.6 honours them.
  std::vector<std::string> environment{
      "HOME=" + place.folder, "TMPDIR=" + place.folder, "ADB_MDNS=0", "ADB_EMU=0", "LANG=C.UTF-8"};
  if (!place.usb) environment.push_back("ADB_USB=0");
  for (const char* name : {"PATH", "ADB_VENDOR_KEYS"}) {
    if (const char* value = std::getenv(name)) environment.push_back(fmt::format("{}={}", name, value));
  }
  return environment;
}

}  // namespace

AdbServer::AdbServer(evloop::Loop& loop, Place place, std::function<void()> ended)
    : loop_(loop), place_(std::move(place)), ended_(std::move(ended)) {}

AdbServer::~AdbServer() {
  loop_.Remove(kill_timer_);
  if (listener_ >= 0) ::close(listener_);
}

Status AdbServer::Bind(int port) {
  if (listener_ >= 0) ::close(listener_);
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, generic, &size) != 0) {
    return {Code::kInternal, fmt::format("no loopback port {} for an adb server: {}", port, std::strerror(errno))};
  }
  port_ = ntohs(address.sin_port);
  return OkStatus();
}

Status AdbServer::Listen() {
  if (listener_ >= 0) return OkStatus();
  // A job that already runs knows the earlier port.
  if (port_ != 0 && Bind(port_).ok()) return OkStatus();
  return Bind(0);
}

Status AdbServer::Ensure() {
  if (running() || Adopt()) return OkStatus();
  std::error_code error;
  std::filesystem::create_directories(place_.folder, error);
  FARADAY_TRY(Listen());
  ChildOrder order{{place_.adb, "-L", "acceptfd:3", "nodaemon", "server"},
                   Environment(place_),
                   place_.folder,
                   place_.folder + "/server.log",
                   listener_};
  FARADAY_TRY_ASSIGN(child_, Child::Spawn(loop_, order, [this] { OnEnded(); }));
  const Status recorded = WriteRecord();
  if (!recorded.ok()) Kill();  // no later agent would know it
  return recorded;
}

bool AdbServer::Adopt() {
  std::ifstream record(place_.folder + kRecord);
  ProcessId id;
  int port = 0;
  if (!(record >> id.pid >> id.start >> port)) return false;
  if (port_ == 0) port_ = port;
  auto child = Child::Adopt(loop_, id, [this] { OnEnded(); });
  if (!child.ok()) return false;
  child_ = std::move(*child);
  port_ = port;
  return true;
}

Status AdbServer::WriteRecord() const {
  const std::string path = place_.folder + kRecord;
  std::ofstream beside(path + ".new");
  beside << child_->id().pid << ' ' << child_->id().start << ' ' << port_ << '\n';
  beside.close();
  if (beside && std::rename((path + ".new").c_str(), path.c_str()) == 0) return OkStatus();
  return {Code::kInternal, fmt::format("cannot write {}: {}", path, std::strerror(errno))};
}

void AdbServer::OnEnded() {
  loop_.Remove(kill_timer_);
  kill_timer_ = 0;
  std::remove((place_.folder + kRecord).c_str());
  const auto ended = ended_;
  if (ended) ended();
}

void AdbServer::End() {
  if (!running() || kill_timer_ != 0) return;
  child_->Signal(SIGTERM);
  kill_timer_ = loop_.AddTimer("adb server end", BootClock::now() + kEndPatience, [this] { Kill(); });
}

void AdbServer::Kill() {
  if (running()) child_->Signal(SIGKILL);
}

}  // namespace faraday::agent
