#include "hil-tests/conformance/board_line.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "link/human.h"

namespace faraday::hil {
namespace {

using namespace std::chrono_literals;

constexpr auto kAgainAfter = 1s;
constexpr auto kKeepaliveEvery = 300ms;  // the link asks for one at least each second
constexpr auto kFullAfter = 1500ms;      // nothing more came onto the line for so long: it is full
constexpr size_t kTraceLines = 30;
constexpr Milliseconds kOpenEvery{50};

struct Speed {
  int baud;
  speed_t value;
};
constexpr std::array kSpeeds = {
    Speed{9600, B9600}, Speed{115200, B115200}, Speed{230400, B230400}, Speed{460800, B460800}, Speed{921600, B921600}};

int OpenSocket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return -1;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

int OpenSerial(const std::string& path, int baud) {
  const int fd = ::open(path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return -1;
  termios settings{};
  if (::tcgetattr(fd, &settings) != 0) {
    ::close(fd);
    errno = ENOTTY;
    return -1;
  }
  ::cfmakeraw(&settings);
  settings.c_cflag |= CLOCAL | CREAD;
  for (const Speed& speed : kSpeeds) {
    if (speed.baud != baud) continue;
    ::cfsetispeed(&settings, speed.value);
    ::cfsetospeed(&settings, speed.value);
  }
  ::tcsetattr(fd, TCSANOW, &settings);
  return fd;
}

int OpenPath(const std::string& path, int baud) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return -1;
  if (!S_ISSOCK(info.st_mode) && !S_ISCHR(info.st_mode)) {  // a file's bytes would be overwritten
    errno = ENOTTY;
    return -1;
  }
  const int fd = S_ISSOCK(info.st_mode) ? OpenSocket(path) : OpenSerial(path, baud);
  if (fd >= 0) ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

}  // namespace

BoardLine::~BoardLine() { Close(); }

void BoardLine::Close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Status BoardLine::Open() {
  Close();
  reading_ = true;
  telemetry_gap_ = false;
  telemetry_number_.reset();
  const BootTime deadline = BootClock::now() + kPatience;
  while ((fd_ = OpenPath(path_, baud_)) < 0) {
    if (errno == ENOTTY || BootClock::now() >= deadline) {
      return {Code::kUnavailable, fmt::format("cannot open the line {}: {}", path_, std::strerror(errno))};
    }
    ::poll(nullptr, 0, static_cast<int>(kOpenEvery.count()));
  }
  if (!nonce_seeded_ && ::getrandom(&nonce_, sizeof nonce_, 0) == static_cast<ssize_t>(sizeof nonce_)) {
    nonce_seeded_ = true;
  }
  return OkStatus();
}

// ---- sending ----

link::FrameHeader BoardLine::Header(link::Channel channel) const {
  return {.channel = channel, .session = session_, .term = term_, .ack = last_event_};
}

void BoardLine::Note(std::string text) {
  trace_.push_back(std::move(text));
  if (trace_.size() > kTraceLines) trace_.pop_front();
}

Status BoardLine::SendWire(std::span<const uint8_t> wire) {
  const BootTime deadline = BootClock::now() + kPatience;
  while (!wire.empty()) {
    const ssize_t count = ::write(fd_, wire.data(), wire.size());
    if (count > 0) wire = wire.subspan(static_cast<size_t>(count));
    if (count < 0 && errno != EAGAIN && errno != EINTR) {
      return {Code::kUnavailable, fmt::format("the line ended: {}", std::strerror(errno))};
    }
    if (wire.empty()) break;
    if (BootClock::now() >= deadline) return {Code::kDeadlineExceeded, "the board takes no bytes"};
    pollfd writable{.fd = fd_, .events = POLLOUT, .revents = 0};
    ::poll(&writable, 1, 50);
  }
  return OkStatus();
}

Status BoardLine::SendFrame(const link::FrameHeader& header, std::span<const uint8_t> payload) {
  std::array<uint8_t, link::kMaxWire> wire{};
  FARADAY_TRY_ASSIGN(const size_t length, link::EncodeFrame(header, payload, wire));
  if (header.channel != link::Channel::kKeepalive) {
    Note(link::Describe(link::Direction::kToMcu, {.header = header, .payload = payload}));
  }
  if (header.channel == link::Channel::kCommand)
    last_wire_.assign(wire.begin(), wire.begin() + static_cast<int>(length));
  return SendWire(std::span<const uint8_t>(wire).first(length));
}

template <typename Message>
Status BoardLine::Send(link::Channel channel, const Message& message) {
  std::array<uint8_t, link::kMaxPayload> payload{};
  FARADAY_TRY_ASSIGN(const size_t size, link::EncodeMessage(message, payload));
  link::FrameHeader header = Header(channel);
  if (channel == link::Channel::kHello) header = {.channel = channel};
  return SendFrame(header, std::span<const uint8_t>(payload).first(size));
}

Status BoardLine::KeepAlive() {
  const BootTime now = BootClock::now();
  if (silent_ || session_ == 0 || now < keepalive_due_) return OkStatus();
  keepalive_due_ = now + kKeepaliveEvery;
  return Send(link::Channel::kKeepalive, link::Keepalive{});
}

// ---- receiving ----

Status BoardLine::ReadOnce() {
  pollfd waiting{.fd = reading_ ? fd_ : -1, .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, 10) <= 0 || !reading_) return OkStatus();
  std::array<uint8_t, 4096> buffer{};
  const ssize_t count = ::read(fd_, buffer.data(), buffer.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return OkStatus();
  if (count <= 0) return {Code::kUnavailable, "the line ended"};
  for (const uint8_t byte : std::span(buffer).first(static_cast<size_t>(count))) {
    if (decoder_.Feed(byte) == link::FrameDecoder::Outcome::kFrame) OnFrame(decoder_.frame());
  }
  return OkStatus();
}

void BoardLine::OnFrame(const link::FrameView& frame) {
  if (frame.header.channel != link::Channel::kTelemetry) Note(link::Describe(link::Direction::kToHost, frame));
  const auto decode = [&frame]<typename Message>(Message message, auto take) {
    if (link::DecodeInto(frame.payload, message).ok()) take(message);
  };
  switch (frame.header.channel) {
    case link::Channel::kHello:
      return decode(link::HelloReply{}, [this](auto& message) { hello_ = message; });
    case link::Channel::kReply:
      return decode(link::Reply{}, [this](auto& message) { reply_ = message; });
    case link::Channel::kRefusal:
      return decode(link::Refusal{}, [this](auto& message) { refusals_.push_back(message); });
    case link::Channel::kTelemetry:
      return decode(link::Telemetry{}, [this](auto& message) { OnTelemetry(message); });
    case link::Channel::kEvent:
      return decode(link::Event{}, [this](auto& message) { OnEvent(message); });
    default:
      return;
  }
}

void BoardLine::OnTelemetry(link::Telemetry telemetry) {
  if (telemetry_number_ && telemetry.number != *telemetry_number_ + 1) telemetry_gap_ = true;
  telemetry_number_ = telemetry.number;
  telemetry_ = telemetry;
}

// Latched events come again until acknowledged; each counts once, in order.
void BoardLine::OnEvent(const link::Event& event) {
  const auto id = static_cast<uint16_t>(event.id);
  if (id != static_cast<uint16_t>(last_event_ + 1)) return;  // known, or before its turn: the board repeats it
  last_event_ = id;
  events_.push_back(event);
}

Status BoardLine::Until(const std::function<bool()>& holds, Milliseconds limit) {
  const BootTime deadline = BootClock::now() + limit;
  while (!holds()) {
    if (BootClock::now() >= deadline) {
      return {Code::kDeadlineExceeded, fmt::format("nothing of the kind within {} s", limit.count() / 1000)};
    }
    FARADAY_TRY(KeepAlive());
    FARADAY_TRY(ReadOnce());
  }
  return OkStatus();
}

// ---- the conversation ----

Result<BoardLine::Greeting> BoardLine::Hello(const std::string& rack) {
  const link::Hello hello = {
      .rack = std::string_view(rack), .host_version = "conformance", .nonce = ++nonce_ == 0 ? ++nonce_ : nonce_};
  hello_.reset();
  refusals_.clear();
  BootTime again{};
  const auto answered = [&] { return hello_.has_value() && hello_->nonce == hello.nonce; };
  Status sent;
  FARADAY_TRY(Until([&] {
    ForgetRefusalsOfOthers();
    if (answered() || !refusals_.empty()) return true;
    if (const BootTime now = BootClock::now(); now >= again) {
      again = now + kAgainAfter;
      sent = Send(link::Channel::kHello, hello);
    }
    return !sent.ok();
  }));
  FARADAY_TRY(sent);
  if (!answered()) {
    const link::Refusal refusal = refusals_.front();
    refusals_.clear();
    return Greeting{.reply = {}, .refusal = refusal};
  }
  const bool same_session = session_ == hello_->session;
  session_ = hello_->session;
  term_ = hello_->term;
  next_seq_ = static_cast<uint16_t>(hello_->next_command_seq);
  // What this host holds of the session stays acknowledged; of another session it holds nothing.
  if (!same_session) {
    events_.clear();
    last_event_ = hello_->next_event_id > 0 ? static_cast<uint16_t>(hello_->next_event_id - 1) : uint16_t{0};
  }
  telemetry_gap_ = false;
  telemetry_number_.reset();
  telemetry_.reset();
  return Greeting{.reply = hello_, .refusal = {}};
}

// A keepalive that waited in the line while the board reset is refused after it: no answer to Hello, which carries no
// session and no number.
void BoardLine::ForgetRefusalsOfOthers() {
  std::erase_if(refusals_, [](const link::Refusal& refusal) {
    return refusal.reason == link::RefusalReason::kWrongSession || refusal.reason == link::RefusalReason::kOutOfOrder;
  });
}

Result<BoardLine::Answer> BoardLine::Await(uint32_t id) {
  reply_.reset();
  BootTime again = BootClock::now() + kAgainAfter;
  Status sent;
  FARADAY_TRY(Until([&] {
    if (!refusals_.empty() || (reply_.has_value() && reply_->command_id == id)) return true;
    if (const BootTime now = BootClock::now(); now >= again) {
      again = now + kAgainAfter;
      sent = SendWire(last_wire_);
    }
    return !sent.ok();
  }));
  FARADAY_TRY(sent);
  Answer answer;
  if (reply_.has_value() && reply_->command_id == id) answer.reply = reply_;
  if (!answer.reply) {
    answer.refusal = refusals_.front();
    refusals_.pop_front();
  }
  return answer;
}

Result<BoardLine::Answer> BoardLine::Command(uint32_t id, std::span<const uint8_t> payload, const Sender& sender) {
  link::FrameHeader header = Header(link::Channel::kCommand);
  header.seq = static_cast<uint16_t>(next_seq_ + sender.ahead);
  header.term -= sender.term_back;
  header.session ^= sender.other_session;
  last_id_ = id;
  refusals_.clear();
  sent_at_ = BootClock::now();
  FARADAY_TRY(SendFrame(header, payload));
  FARADAY_TRY_ASSIGN(Answer answer, Await(id));
  if (answer.reply) next_seq_ = next_seq_ == 0xFFFF ? uint16_t{1} : static_cast<uint16_t>(next_seq_ + 1);
  return answer;
}

Result<BoardLine::Answer> BoardLine::Again() {
  refusals_.clear();
  FARADAY_TRY(SendWire(last_wire_));
  return Await(last_id_);
}

Status BoardLine::Damaged(std::span<const uint8_t> payload) {
  link::FrameHeader header = Header(link::Channel::kCommand);
  header.seq = next_seq_;
  std::array<uint8_t, link::kMaxWire> wire{};
  FARADAY_TRY_ASSIGN(const size_t length, link::EncodeFrame(header, payload, wire));
  uint8_t& victim = wire[length / 2];
  victim = static_cast<uint8_t>(victim ^ (victim == 0x01 ? 0x02 : 0x01));  // no zero: that would end the frame
  Note("-> a damaged command");
  return SendWire(std::span<const uint8_t>(wire).first(length));
}

Status BoardLine::Stop() { return SendFrame({.channel = link::Channel::kStop}, link::kStopMagic); }

Status BoardLine::Wait(uint32_t ms) {
  const BootTime end = BootClock::now() + Milliseconds(ms);
  return Until([end] { return BootClock::now() >= end; }, Milliseconds(ms) + kPatience);
}

Status BoardLine::Quiet(uint32_t ms) {
  silent_ = true;
  const Status status = Wait(ms);
  silent_ = false;
  keepalive_due_ = {};
  return status;
}

Status BoardLine::Away(uint32_t ms) { return Send(link::Channel::kKeepalive, link::Keepalive{.away_ms = ms}); }

int BoardLine::Unread() const {
  int bytes = 0;
  return ::ioctl(fd_, FIONREAD, &bytes) == 0 ? bytes : 0;
}

// Repeated commands are answered from the board's store, so they fill the line and move nothing.
Status BoardLine::StopReading() {
  reading_ = false;
  const BootTime deadline = BootClock::now() + 3 * kPatience;
  BootTime grew = BootClock::now();
  for (int seen = Unread(); BootClock::now() - grew < kFullAfter;) {
    if (BootClock::now() >= deadline) return {Code::kDeadlineExceeded, "the line does not fill"};
    if (!last_wire_.empty()) FARADAY_TRY(SendWire(last_wire_));
    FARADAY_TRY(KeepAlive());
    ::poll(nullptr, 0, 5);
    if (Unread() > seen) grew = BootClock::now();
    seen = Unread();
  }
  return OkStatus();
}

}  // namespace faraday::hil
