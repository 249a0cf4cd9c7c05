// For tests: a rack's controller at the end of a simulated board's line - in memory on a virtual clock (TestRack), or
// at a pty or socket in real time (LiveHost). Bytes pass as frames through both codecs; nothing is called past the
// line.
#pragma once

#include <poll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "link/codec.h"
#include "link/frame.h"
#include "link/messages.h"
#include "sim/board/sim_board.h"

namespace faraday::sim {

struct MemoryLine : firmware::SerialLine {
  std::vector<uint8_t> to_mcu;
  std::vector<uint8_t> to_host;
  size_t Read(std::span<uint8_t> in) override {
    const size_t count = std::min(in.size(), to_mcu.size());
    std::copy_n(to_mcu.begin(), count, in.begin());
    to_mcu.erase(to_mcu.begin(), to_mcu.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }
  size_t Write(std::span<const uint8_t> out) override {
    to_host.insert(to_host.end(), out.begin(), out.end());
    return out.size();
  }
};

// The controller's end: sends commands, keeps what comes back. How time passes is the subclass's affair.
class TestHost {
 public:
  static constexpr uint32_t kSlots = 32;

  virtual ~TestHost() = default;
  // Lets time pass until `condition`, at most about `ms`; the condition's last word.
  virtual bool RunUntil(uint32_t ms, const std::function<bool()>& condition) = 0;

  std::optional<link::HelloReply> Hello() {
    hello.reset();
    Send({.channel = link::Channel::kHello}, link::Hello{.rack = "r01", .host_version = "test", .nonce = NextNonce()});
    if (!RunUntil(50, [this] { return hello.has_value(); })) return {};
    session = hello->session;
    term = hello->term;
    seq_ = 1;
    ack_ = 0;
    return hello;
  }
  template <typename Call>
  link::Reply Do(const Call& call) {
    reply.reset();
    link::FrameHeader header = Header(link::Channel::kCommand);
    header.seq = seq_++;
    Send(header, link::Command{.id = ++id, .call = call});
    RunUntil(50, [this] { return reply.has_value(); });
    return reply.value_or(link::Reply{.verdict = link::Verdict::kUnknownCommand});
  }
  void Keepalive() { Send(Header(link::Channel::kKeepalive), link::Keepalive{}); }
  // The end of the last command.
  std::optional<link::CommandDone> Await(uint32_t ms = 3000) {
    RunUntil(ms, [this] { return Done(id).has_value(); });
    return Done(id);
  }
  // Hello, Configure, epoch `epoch` for every slot: care, and a minute's lease on slot 7.
  bool Prepare(uint32_t epoch = 1) {
    if (!Hello() || Do(Config()).verdict != link::Verdict::kOk) return false;
    bool ok = true;
    for (uint32_t slot = 1; slot <= kSlots; ++slot) {
      const uint32_t duration_ms = slot == 7 ? 60'000 : 0;
      ok = ok &&
           Do(link::SetLease{.slot = slot, .epoch = epoch, .duration_ms = duration_ms}).verdict == link::Verdict::kOk;
    }
    return ok;
  }

  static link::Configure Config() {
    link::Configure config;
    for (uint32_t i = 0; i < kSlots; ++i) {
      config.current_limit_ma.push_back(2000);
      config.safe_state.push_back(static_cast<uint32_t>(link::SafeState::kCharge));
      config.rail.push_back(i / 8);
    }
    for (int i = 0; i < 4; ++i) config.rail_budget_ma.push_back(16'000);
    config.rack_budget_ma = 64'000;
    config.stagger_ms = 100;
    config.min_off_ms = 500;
    return config;
  }
  template <typename Kind>
  std::vector<Kind> Events() const {
    std::vector<Kind> found;
    for (const link::Event& event : events) {
      if (const Kind* kind = std::get_if<Kind>(&event.kind)) found.push_back(*kind);
    }
    return found;
  }
  std::optional<link::CommandDone> Done(uint32_t command_id) const {
    for (const auto& done : Events<link::CommandDone>()) {
      if (done.command_id == command_id) return done;
    }
    return {};
  }
  link::SlotBits Bits(uint32_t slot) const {
    return telemetry ? link::Unpack(telemetry->state[slot - 1]) : link::SlotBits{};
  }

  uint32_t session = 0;
  uint32_t term = 0;
  uint32_t id = 100;
  std::optional<link::HelloReply> hello;
  std::optional<link::Reply> reply;
  std::optional<link::Telemetry> telemetry;
  std::vector<link::Refusal> refusals;
  std::vector<link::Event> events;  // each once

 protected:
  virtual void SendBytes(std::span<const uint8_t> bytes) = 0;
  void TakeBytes(std::span<const uint8_t> bytes) {
    for (uint8_t byte : bytes) {
      if (decoder_.Feed(byte) == link::FrameDecoder::Outcome::kFrame) Take(decoder_.frame());
    }
  }

 private:
  link::FrameHeader Header(link::Channel channel) const {
    return {.channel = channel, .session = session, .term = term, .ack = ack_};
  }
  template <typename Message>
  void Send(const link::FrameHeader& header, const Message& message) {
    std::array<uint8_t, link::kMaxPayload> payload{};
    std::array<uint8_t, link::kMaxWire> wire{};
    const auto length = link::EncodeMessage(message, payload);
    const auto framed = link::EncodeFrame(header, std::span<const uint8_t>(payload).first(*length), wire);
    SendBytes(std::span<const uint8_t>(wire).first(*framed));
  }
  void Take(const link::FrameView& frame) {
    switch (frame.header.channel) {
      case link::Channel::kHello:
        hello = *link::DecodeMessage<link::HelloReply>(frame.payload);
        break;
      case link::Channel::kReply:
        reply = *link::DecodeMessage<link::Reply>(frame.payload);
        break;
      case link::Channel::kRefusal:
        refusals.push_back(*link::DecodeMessage<link::Refusal>(frame.payload));
        break;
      case link::Channel::kTelemetry:
        telemetry = *link::DecodeMessage<link::Telemetry>(frame.payload);
        break;
      case link::Channel::kEvent:
        TakeEvent(*link::DecodeMessage<link::Event>(frame.payload));
        break;
      default:
        break;
    }
  }
  void TakeEvent(const link::Event& event) {
    const auto low = static_cast<uint16_t>(event.id);
    if (static_cast<int16_t>(low - ack_) <= 0) return;
    events.push_back(event);
    ack_ = low;
  }

  uint32_t NextNonce() {
    static uint32_t nonce = 0;  // hosts must not look like one host repeating itself
    return ++nonce;
  }

  uint16_t seq_ = 1;
  uint16_t ack_ = 0;
  link::FrameDecoder decoder_;
};

// The host with the board in memory, on a virtual clock.
class TestRack : public TestHost {
 public:
  TestRack() { board.Boot(); }

  void Run(uint32_t ms) {
    for (uint32_t i = 0; i < ms; ++i) Pass();
  }
  void Pass() {
    ++now_ms;
    if (now_ms % 500 == 0 && session != 0) Keepalive();
    board.Pass();
    TakeBytes(line.to_host);
    line.to_host.clear();
  }
  bool RunUntil(uint32_t ms, const std::function<bool()>& condition) override {
    for (uint32_t i = 0; i < ms && !condition(); ++i) Pass();
    return condition();
  }
  // Prepare(), and past the minimum off time.
  bool Ready() {
    const bool ok = Prepare();
    Run(600);
    return ok;
  }
  SlotPhysics& slot(uint32_t number) { return board.plant().slot(number - 1); }

  uint32_t now_ms = 10'000;
  MemoryLine line;
  SimBoard board{{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3},
                 line,
                 [this] { return now_ms; }};

 protected:
  void SendBytes(std::span<const uint8_t> bytes) override {
    line.to_mcu.insert(line.to_mcu.end(), bytes.begin(), bytes.end());
  }
};

// The host at a descriptor (a pty or a socket), in real time; `idle` is run between looks and must not block long.
class LiveHost : public TestHost {
 public:
  explicit LiveHost(int fd, std::function<void()> idle = {}) : fd_(fd), idle_(std::move(idle)) {}
  ~LiveHost() override { ::close(fd_); }

  // Real time on a busy machine: waits 20 s longer than asked.
  bool RunUntil(uint32_t ms, const std::function<bool()>& condition) override {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms) + std::chrono::seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < end) {
      pollfd watch{fd_, POLLIN, 0};
      std::array<uint8_t, 4096> buffer{};
      if (::poll(&watch, 1, 2) > 0) {
        const ssize_t count = ::read(fd_, buffer.data(), buffer.size());
        if (count <= 0) return condition();
        TakeBytes(std::span<const uint8_t>(buffer).first(static_cast<size_t>(count)));
      }
      if (idle_) idle_();
    }
    return condition();
  }

 protected:
  void SendBytes(std::span<const uint8_t> bytes) override {
    while (!bytes.empty()) {
      const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
      if (count <= 0) return;
      bytes = bytes.subspan(static_cast<size_t>(count));
    }
  }

 private:
  int fd_;
  std::function<void()> idle_;
};

}  // namespace faraday::sim
