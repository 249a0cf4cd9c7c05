#include "sim/qemu/qmp_client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "sim/qemu/unix_socket.h"

namespace faraday::sim::qemu {
namespace {

int LeftMs(BootTime deadline) {
  const auto left = deadline - BootClock::now();
  return left.count() > 0 ? static_cast<int>(left.count()) : 0;
}

// The text between `"event": "` and the next quote.
std::string EventName(std::string_view line) {
  constexpr std::string_view kKey = R"("event": ")";
  const size_t at = line.find(kKey);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = line.substr(at + kKey.size());
  return std::string(rest.substr(0, rest.find('"')));
}

}  // namespace

Result<QmpMessage> ParseQmpLine(std::string_view line) {
  if (line.starts_with(R"({"return")")) return QmpMessage{QmpMessage::Kind::kReturn, {}, std::string(line)};
  if (line.starts_with(R"({"error")")) return QmpMessage{QmpMessage::Kind::kError, {}, std::string(line)};
  if (std::string name = EventName(line); line.starts_with(R"({"timestamp")") && !name.empty()) {
    return QmpMessage{QmpMessage::Kind::kEvent, std::move(name), std::string(line)};
  }
  return Status(Code::kDataLoss, fmt::format("not a QMP answer or event: {}", line.substr(0, 120)));
}

Result<QmpClient> QmpClient::Connect(const std::string& path,
                                     Milliseconds timeout,
                                     const std::function<bool()>& alive) {
  const BootTime deadline = BootClock::now() + timeout;
  FARADAY_TRY_ASSIGN(const int fd, ConnectUnix(path, deadline, alive));
  QmpClient client(fd);
  pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
  while (client.received_.find('\n') == std::string::npos) {  // the greeting, one line, before anything else
    std::array<char, 1024> buffer{};
    if (poll(&waiting, 1, LeftMs(deadline)) <= 0) return Status(Code::kUnavailable, "QEMU sends no QMP greeting");
    const ssize_t count = recv(fd, buffer.data(), buffer.size(), 0);
    if (count <= 0) return Status(Code::kUnavailable, "QEMU closed its QMP socket before the greeting");
    client.received_.append(buffer.data(), static_cast<size_t>(count));
  }
  client.received_.erase(0, client.received_.find('\n') + 1);
  FARADAY_TRY_ASSIGN(const std::string answer, client.Execute("qmp_capabilities", "", timeout));
  return client;
}

QmpClient::QmpClient(QmpClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), received_(std::move(other.received_)), events_(std::move(other.events_)) {}

QmpClient& QmpClient::operator=(QmpClient&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(received_, other.received_);
  std::swap(events_, other.events_);
  return *this;
}

QmpClient::~QmpClient() {
  if (fd_ >= 0) close(fd_);
}

Status QmpClient::Send(std::string_view command, std::string_view arguments) {
  const std::string line = fmt::format(R"({{"execute":"{}","arguments":{{{}}}}})"
                                       "\n",
                                       command,
                                       arguments);
  return SendAll(fd_, line);
}

Result<std::vector<QmpMessage>> QmpClient::Receive() {
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t count = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count == 0) return Status(Code::kUnavailable, "QEMU closed its QMP socket");
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (count < 0) return Status(Code::kUnavailable, fmt::format("QMP socket: errno {}", errno));
    received_.append(buffer.data(), static_cast<size_t>(count));
  }
  std::vector<QmpMessage> messages;
  for (size_t end = received_.find('\n'); end != std::string::npos; end = received_.find('\n')) {
    std::string_view line(received_.data(), end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    FARADAY_TRY_ASSIGN(QmpMessage message, ParseQmpLine(line));
    messages.push_back(std::move(message));
    received_.erase(0, end + 1);
  }
  return messages;
}

Result<std::string> QmpClient::Execute(std::string_view command, std::string_view arguments, Milliseconds timeout) {
  FARADAY_TRY(Send(command, arguments));
  return WaitForAnswer(command, BootClock::now() + timeout);
}

Result<std::string> QmpClient::WaitForAnswer(std::string_view command, BootTime deadline) {
  while (true) {
    FARADAY_TRY_ASSIGN(auto messages, Receive());
    Result<std::string> answer = Status(Code::kUnknown, "none yet");
    for (QmpMessage& message : messages) {
      switch (message.kind) {
        case QmpMessage::Kind::kEvent:
          events_.push_back(std::move(message));
          break;
        case QmpMessage::Kind::kReturn:
          answer = std::move(message.text);
          break;
        case QmpMessage::Kind::kError:
          answer = Status(Code::kFailedPrecondition, fmt::format("QMP {}: {}", command, message.text));
          break;
      }
    }
    if (answer.ok() || answer.status().code() != Code::kUnknown) return answer;
    pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, LeftMs(deadline)) == 0) {
      return Status(Code::kDeadlineExceeded, fmt::format("QEMU does not answer QMP {}", command));
    }
  }
}

Status QmpClient::KeepEvents() {
  FARADAY_TRY_ASSIGN(auto messages, Receive());
  for (QmpMessage& message : messages) {
    if (message.kind == QmpMessage::Kind::kEvent) events_.push_back(std::move(message));
  }
  return OkStatus();
}

std::vector<QmpMessage> QmpClient::TakeEvents() { return std::exchange(events_, {}); }

std::string QomSetArguments(std::string_view path, std::string_view property, std::string_view value) {
  return fmt::format(R"("path":"{}","property":"{}","value":{})", path, property, value);
}

}  // namespace faraday::sim::qemu
