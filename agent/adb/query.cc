#include "agent/adb/query.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace faraday::agent {
namespace {

constexpr size_t kMostBytes = size_t{1} << 20;  // a getprop list is about 30 KiB; chosen
constexpr size_t kFrameHeader = 5;              // id byte, u32 little endian
enum ShellId : unsigned char { kStdout = 1, kExit = 3 };

// Four hex digits, or nullopt-like -1.
int Hex4(std::string_view text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + 4, value, 16);
  return error == std::errc() && end == text.data() + 4 ? value : -1;
}

uint32_t LittleEndian(const char* bytes) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

std::string AdbRequest(std::string_view service) { return fmt::format("{:04x}{}", service.size(), service); }

AdbQuery::AdbQuery(evloop::Loop& loop, Question question, Done done)
    : loop_(loop), question_(std::move(question)), done_(std::move(done)) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(question_.port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(fd_, generic, sizeof(address)) != 0 && errno != EINPROGRESS) {
    const std::string why = fmt::format("no adb server at port {}: {}", question_.port, std::strerror(errno));
    timer_ = loop_.AddTimer("adb refused", BootClock::now(), [this, why] { Finish(Status(Code::kUnavailable, why)); });
    return;
  }
  unsent_ = AdbRequest(question_.services[0]);
  watch_ = loop_.AddFd("adb query", fd_, POLLIN | POLLOUT, [this](short events) { OnReady(events); });
  timer_ = loop_.AddTimer("adb deadline", BootClock::now() + question_.timeout, [this] {
    Finish(Status(
        Code::kDeadlineExceeded,
        fmt::format("adb gave no answer to '{}' within {} ms", question_.services.back(), question_.timeout.count())));
  });
}

AdbQuery::~AdbQuery() {
  loop_.Remove(watch_);
  loop_.Remove(timer_);
  if (fd_ >= 0) ::close(fd_);
}

void AdbQuery::Finish(Result<Answer> answer) {
  loop_.Remove(watch_);
  loop_.Remove(timer_);
  watch_ = timer_ = 0;
  // Moved out first: the callback may destroy this object.
  const Done done = std::move(done_);
  done(std::move(answer));
}

void AdbQuery::OnReady(short events) {
  if (!unsent_.empty() && (events & POLLOUT) != 0) SendMore();
  if ((events & (POLLIN | POLLERR | POLLHUP)) != 0) ReadMore();
}

void AdbQuery::SendMore() {
  const ssize_t sent = ::send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
  if (sent > 0) unsent_.erase(0, static_cast<size_t>(sent));
  if (unsent_.empty()) loop_.SetFdEvents(watch_, POLLIN);
}

void AdbQuery::ReadMore() {
  char buffer[16384];
  const ssize_t got = ::recv(fd_, buffer, sizeof(buffer), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    return Finish(
        Status(Code::kUnavailable,
               fmt::format("the adb server at port {} hung up on '{}'", question_.port, question_.services.back())));
  }
  received_.append(buffer, static_cast<size_t>(got));
  if (received_.size() + answer_.text.size() > kMostBytes) {
    return Finish(Status(Code::kResourceExhausted,
                         fmt::format("adb's answer to '{}' is larger than 1 MiB", question_.services.back())));
  }
  while (Step()) {
  }
}

bool AdbQuery::Step() {
  if (failed_) return TakeText(true);
  if (service_ < question_.services.size()) return TakeStatus();
  if (question_.form == Form::kText) return TakeText(false);
  return TakeShell();
}

bool AdbQuery::TakeStatus() {
  if (received_.size() < 4) return false;
  const std::string word = received_.substr(0, 4);
  received_.erase(0, 4);
  if (word == "FAIL") return failed_ = true;
  if (word != "OKAY") {
    Finish(Status(Code::kDataLoss,
                  fmt::format("adb answered '{}' with neither OKAY nor FAIL", question_.services[service_])));
    return false;
  }
  ++service_;
  if (service_ < question_.services.size()) {
    unsent_ = AdbRequest(question_.services[service_]);
    loop_.SetFdEvents(watch_, POLLIN | POLLOUT);
    return true;
  }
  if (question_.form != Form::kOkay) return true;
  Finish(answer_);
  return false;
}

bool AdbQuery::TakeText(bool failed) {
  if (received_.size() < 4) return false;
  const int size = Hex4(received_);
  if (size < 0) {
    Finish(Status(Code::kDataLoss, fmt::format("adb's answer to '{}' has no length", question_.services.back())));
    return false;
  }
  if (received_.size() < 4 + static_cast<size_t>(size)) return false;
  answer_.text = received_.substr(4, static_cast<size_t>(size));
  if (failed) {
    Finish(Status(Code::kFailedPrecondition, "adb: " + answer_.text));
  } else {
    Finish(answer_);
  }
  return false;
}

bool AdbQuery::TakeShell() {
  if (received_.size() < kFrameHeader) return false;
  const uint32_t size = LittleEndian(received_.data() + 1);
  if (size > kMostBytes) {
    Finish(Status(Code::kDataLoss,
                  fmt::format("adb's shell answer to '{}' has a frame of {} bytes", question_.services.back(), size)));
    return false;
  }
  if (received_.size() < kFrameHeader + size) return false;
  const auto id = static_cast<unsigned char>(received_[0]);
  if (id == kStdout) answer_.text += received_.substr(kFrameHeader, size);
  if (id == kExit) {
    answer_.exit_code = size > 0 ? static_cast<unsigned char>(received_[kFrameHeader]) : 0;
    Finish(answer_);
    return false;
  }
  received_.erase(0, kFrameHeader + size);
  return true;
}

}  // namespace faraday::agent
