#include "hil-tests/qemu/link_client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "hil-tests/qemu/bench.h"
#include "sim/qemu/unix_socket.h"

namespace faraday::hil {
namespace {

using namespace std::chrono_literals;

constexpr auto kHelloAgain = 1s;
constexpr auto kKeepalive = 500ms;

}  // namespace

LinkClient::~LinkClient() { close(fd_); }

template <typename Message>
Status LinkClient::Send(link::Channel channel, const Message& message, uint16_t seq) {
  std::array<uint8_t, link::kMaxPayload> payload{};
  std::array<uint8_t, link::kMaxWire> wire{};
  FARADAY_TRY_ASSIGN(const size_t size, link::EncodeMessage(message, payload));
  const bool opening = channel == link::Channel::kHello;
  const link::FrameHeader header = {.channel = channel,
                                    .session = opening ? 0 : session_,
                                    .term = opening ? 0 : term_,
                                    .seq = seq,
                                    .ack = last_event_};
  FARADAY_TRY_ASSIGN(const size_t length, link::EncodeFrame(header, std::span(payload).first(size), wire));
  return sim::qemu::SendAll(fd_, std::string(wire.begin(), wire.begin() + static_cast<ptrdiff_t>(length)));
}

// Reads, keeps alive, until `found()` or the deadline.
template <typename Found>
Status LinkClient::PumpUntil(Found found) {
  const BootTime deadline = BootClock::now() + kGenerous;
  while (!found()) {
    const BootTime now = BootClock::now();
    if (now >= deadline) return {Code::kDeadlineExceeded, "the board says nothing of the kind"};
    if (session_ != 0 && now >= next_keepalive_) {
      FARADAY_TRY(Send(link::Channel::kKeepalive, link::Keepalive{}, 0));
      next_keepalive_ = now + kKeepalive;
    }
    FARADAY_TRY(ReadOnce());
  }
  return OkStatus();
}

Status LinkClient::ReadOnce() {
  pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
  if (poll(&waiting, 1, 50) <= 0) return OkStatus();
  std::array<uint8_t, 2048> buffer{};
  const ssize_t count = recv(fd_, buffer.data(), buffer.size(), 0);
  if (count <= 0) return {Code::kUnavailable, "QEMU closed the line"};
  for (const uint8_t byte : std::span(buffer).first(static_cast<size_t>(count))) {
    if (decoder_.Feed(byte) == link::FrameDecoder::Outcome::kFrame) OnFrame(decoder_.frame());
  }
  return OkStatus();
}

void LinkClient::OnFrame(const link::FrameView& frame) {
  const auto keep = [&frame](auto& place) {
    using Message = typename std::decay_t<decltype(place)>::value_type;
    if (auto message = link::DecodeMessage<Message>(frame.payload); message.ok()) place = std::move(*message);
  };
  switch (frame.header.channel) {
    case link::Channel::kHello:
      return keep(hello_);
    case link::Channel::kReply:
      return keep(reply_);
    case link::Channel::kRefusal:
      return keep(refusal_);
    case link::Channel::kTelemetry:
      return keep(telemetry_);
    case link::Channel::kLog:
      return keep(page_);
    case link::Channel::kEvent:
      if (const auto event = link::DecodeMessage<link::Event>(frame.payload); event.ok()) OnEvent(*event);
      return;
    default:
      return;
  }
}

// Events come in order and again until acknowledged; each counts once.
void LinkClient::OnEvent(const link::Event& event) {
  const auto id = static_cast<uint16_t>(event.id);
  if (id != static_cast<uint16_t>(last_event_ + 1)) return;
  last_event_ = id;
  if (const auto* done = std::get_if<link::CommandDone>(&event.kind)) done_.push_back(*done);
  if (const auto* trip = std::get_if<link::Tripped>(&event.kind)) trips_.push_back(*trip);
}

Result<link::HelloReply> LinkClient::Hello(const std::string& rack) {
  session_ = 0;
  hello_.reset();
  const link::Hello hello = {
      .rack = std::string_view(rack), .host_version = "qemu-test", .nonce = ++nonce_ * 0x01010101U};
  BootTime again{};
  const auto answered = [this, &hello] { return hello_.has_value() && hello_->nonce == hello.nonce; };
  FARADAY_TRY(PumpUntil([&] {
    if (answered() || refusal_.has_value()) return true;
    if (const BootTime now = BootClock::now(); now >= again) {
      again = now + kHelloAgain;
      static_cast<void>(Send(link::Channel::kHello, hello, 0));
    }
    return false;
  }));
  if (!answered()) {
    return Status(Code::kFailedPrecondition,
                  fmt::format("Hello refused, reason {}", static_cast<int>(refusal_->reason)));
  }
  session_ = hello_->session;
  term_ = hello_->term;
  next_seq_ = 1;
  last_event_ = 0;
  return *hello_;
}

Result<link::Reply> LinkClient::Exchange(const link::Command& command) {
  ++next_id_;
  reply_.reset();
  refusal_.reset();
  FARADAY_TRY(Send(link::Channel::kCommand, command, next_seq_));
  ++next_seq_;
  FARADAY_TRY(PumpUntil(
      [this, &command] { return refusal_.has_value() || (reply_.has_value() && reply_->command_id == command.id); }));
  if (refusal_.has_value()) {
    return Status(Code::kFailedPrecondition, fmt::format("refused, reason {}", static_cast<int>(refusal_->reason)));
  }
  return *reply_;
}

Result<link::CommandDone> LinkClient::WaitDone(uint32_t command_id) {
  const auto ends = [command_id](const link::CommandDone& done) { return done.command_id == command_id; };
  FARADAY_TRY(PumpUntil([&] { return std::ranges::any_of(done_, ends); }));
  return *std::ranges::find_if(done_, ends);
}

Result<link::Tripped> LinkClient::WaitTrip() {
  FARADAY_TRY(PumpUntil([this] { return !trips_.empty(); }));
  const link::Tripped trip = trips_.front();
  trips_.pop_front();
  return trip;
}

// The part is busy for moments, and a page may fall behind the line's other traffic.
Result<std::vector<LinkClient::Record>> LinkClient::ReadLog() {
  std::vector<Record> records;
  uint32_t from = 1;
  for (const BootTime deadline = BootClock::now() + kGenerous; BootClock::now() < deadline;) {
    page_.reset();
    FARADAY_TRY_ASSIGN(const link::Reply reply, Do(link::ReadLog{.from = from, .count = link::kMaxLogRecords}));
    if (reply.verdict == link::Verdict::kOk && std::max(from, reply.value) >= reply.limit) return records;
    if (reply.verdict != link::Verdict::kOk) continue;
    const BootTime patience = BootClock::now() + Milliseconds(1000);
    while (!page_.has_value() && BootClock::now() < patience) FARADAY_TRY(ReadOnce());
    if (!page_.has_value()) continue;
    for (size_t i = 0; i < page_->kind.size(); ++i) {
      records.push_back({.boot = page_->boot[i],
                         .kind = static_cast<link::LogKind>(page_->kind[i]),
                         .slot = page_->slot[i],
                         .detail = page_->detail[i],
                         .value = page_->value[i],
                         .limit = page_->limit[i]});
    }
    from = page_->first + static_cast<uint32_t>(page_->kind.size());
  }
  return Status(Code::kAborted, "the board's log stays busy");
}

Status LinkClient::SendRaw(std::span<const uint8_t> bytes) {
  return sim::qemu::SendAll(fd_, std::string(bytes.begin(), bytes.end()));
}

Status LinkClient::SendStop() {
  std::array<uint8_t, link::kMaxWire> wire{};
  FARADAY_TRY_ASSIGN(const size_t length, link::EncodeFrame({.channel = link::Channel::kStop}, link::kStopMagic, wire));
  return SendRaw(std::span(wire).first(length));
}

Result<link::Telemetry> LinkClient::NextTelemetry() {
  telemetry_.reset();
  FARADAY_TRY(PumpUntil([this] { return telemetry_.has_value(); }));
  return *telemetry_;
}

}  // namespace faraday::hil
