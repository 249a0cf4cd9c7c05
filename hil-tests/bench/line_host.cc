#include "hil-tests/bench/line_host.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/check.h"

namespace faraday::hil {
namespace {

using std::chrono::steady_clock;
constexpr std::chrono::seconds kLongest{60};  // chosen: far beyond what a busy machine needs

[[noreturn]] void Fail(const std::string& what) {
  fmt::print(stderr, "bench: {}\n", what);
  exit(1);
}

int OpenRaw(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) Fail(path + ": the board's line cannot be opened");
  termios raw{};
  tcgetattr(fd, &raw);
  cfmakeraw(&raw);
  tcsetattr(fd, TCSANOW, &raw);
  return fd;
}

}  // namespace

LineHost::LineHost(const std::string& path, const std::string& rack) : fd_(OpenRaw(path)) {
  const link::Hello hello{.protocol = 1,
                          .rack = std::string_view(rack),
                          .host_version = "bench",
                          .nonce = 0xBE7C4,
                          .telemetry_form = link::kCompactTelemetry};  // as the controller asks
  auto again = steady_clock::now();
  Await([&] {
    if (hello_) return true;
    if (steady_clock::now() < again) return false;
    again += std::chrono::seconds(1);
    Send(link::Channel::kHello, hello, 0);
    return false;
  });
  session_ = hello_->session;
  term_ = hello_->term;
  last_event_ = hello_->next_event_id - 1;
}

LineHost::~LineHost() { close(fd_); }

template <typename Message>
void LineHost::Send(link::Channel channel, const Message& message, uint16_t seq) {
  std::array<uint8_t, link::kMaxPayload> payload{};
  std::array<uint8_t, link::kMaxWire> wire{};
  const auto size = link::EncodeMessage(message, payload);
  FARADAY_CHECK(size.ok());
  const link::FrameHeader header{
      .channel = channel, .session = session_, .term = term_, .seq = seq, .ack = static_cast<uint16_t>(last_event_)};
  const auto length = link::EncodeFrame(header, std::span<const uint8_t>(payload).first(*size), wire);
  FARADAY_CHECK(length.ok());
  for (size_t at = 0; at < *length;) {
    const ssize_t count = write(fd_, wire.data() + at, *length - at);
    if (count > 0)
      at += static_cast<size_t>(count);
    else
      ReadOnce(1);
  }
}

uint32_t LineHost::Start(const Call& call) {
  const uint32_t id = next_id_++;
  Send(link::Channel::kCommand, link::Command{.id = id, .call = call}, next_seq_);
  next_seq_ = static_cast<uint16_t>(next_seq_ == 0xFFFF ? 1 : next_seq_ + 1);
  ++outstanding_;
  return id;
}

uint32_t LineHost::Do(const Call& call) {
  const uint32_t id = Start(call);
  Await([&] { return replied_id_ == id; });
  return id;
}

std::vector<uint32_t> LineHost::DoAll(const std::vector<Call>& calls) {
  std::vector<uint32_t> ids;
  for (const Call& call : calls) {
    Await([&] { return outstanding_ < link::kWindow; });
    ids.push_back(Start(call));
  }
  Await([&] { return outstanding_ == 0; });
  return ids;
}

void LineHost::AwaitDone(const std::vector<uint32_t>& ids) {
  Await([&] { return std::all_of(ids.begin(), ids.end(), [&](uint32_t id) { return ended_.contains(id); }); });
  for (const uint32_t id : ids) {
    const link::CommandDone& done = ended_[id].done;
    if (done.code != link::DoneCode::kOk) {
      Fail(fmt::format("slot {}: a command ended with code {}", done.slot, static_cast<int>(done.code)));
    }
  }
}

void LineHost::Await(const std::function<bool()>& condition) {
  const auto deadline = steady_clock::now() + kLongest;
  while (!condition()) {
    if (steady_clock::now() > deadline) Fail("the board did not answer within a minute");
    ReadOnce(100);
  }
}

void LineHost::Listen(std::chrono::milliseconds time) {
  const auto end = steady_clock::now() + time;
  Await([&] { return steady_clock::now() >= end; });
}

const link::Telemetry& LineHost::NextTelemetry() {
  const uint32_t before = telemetry_frames_;
  Await([&] { return telemetry_frames_ != before; });
  return telemetry_;
}

void LineHost::ReadOnce(int wait_ms) {
  if (session_ != 0 && steady_clock::now() >= next_keepalive_) {
    next_keepalive_ =
        steady_clock::now() + std::chrono::milliseconds(100);  // events are acknowledged before they repeat
    Send(link::Channel::kKeepalive, link::Keepalive{}, 0);
  }
  pollfd item{.fd = fd_, .events = POLLIN, .revents = 0};
  if (poll(&item, 1, wait_ms) <= 0) return;
  std::array<uint8_t, 4096> buffer{};
  const ssize_t count = read(fd_, buffer.data(), buffer.size());
  for (ssize_t i = 0; i < count; ++i) {
    if (decoder_.Feed(buffer[static_cast<size_t>(i)]) == link::FrameDecoder::Outcome::kFrame) OnFrame(decoder_.frame());
  }
}

void LineHost::OnFrame(const link::FrameView& frame) {
  switch (frame.header.channel) {
    case link::Channel::kHello:
      if (const auto hello = link::DecodeMessage<link::HelloReply>(frame.payload); hello.ok()) hello_ = *hello;
      break;
    case link::Channel::kReply:
      if (const auto reply = link::DecodeMessage<link::Reply>(frame.payload); reply.ok()) OnReply(*reply);
      break;
    case link::Channel::kRefusal:
      Fail("the board refuses: is another host on its line?");
    case link::Channel::kEvent:
      if (const auto event = link::DecodeMessage<link::Event>(frame.payload); event.ok()) OnEvent(*event);
      break;
    case link::Channel::kTelemetry:
      if (const auto telemetry = link::DecodeMessage<link::Telemetry>(frame.payload); telemetry.ok()) {
        telemetry_ = *telemetry;
        telemetry_bytes_ = frame.payload.size();
        std::array<uint8_t, link::kMaxWire> wire{};
        telemetry_wire_bytes_ = *link::EncodeFrame(frame.header, frame.payload, wire);
        ++telemetry_frames_;
      }
      break;
    default:
      break;
  }
}

void LineHost::OnReply(const link::Reply& reply) {
  if (reply.verdict != link::Verdict::kOk && reply.verdict != link::Verdict::kAccepted) {
    Fail(fmt::format("command {} is refused, verdict {}", reply.command_id, static_cast<int>(reply.verdict)));
  }
  replied_id_ = reply.command_id;
  outstanding_ -= outstanding_ > 0 ? 1 : 0;
}

// In order, again until acknowledged; each counts once.
void LineHost::OnEvent(const link::Event& event) {
  if (event.id != last_event_ + 1) return;
  last_event_ = event.id;
  if (const auto* done = std::get_if<link::CommandDone>(&event.kind))
    ended_[done->command_id] = {*done, event.uptime_ms};
}

}  // namespace faraday::hil
