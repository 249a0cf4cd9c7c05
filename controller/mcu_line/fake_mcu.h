// The board's end of the line for tests: a FakeBoard behind production frames. Bytes in, bytes out; loses and damages
// frames on demand. Keeps the rules a host can see: session and term, commands in order and once, replies replayed,
// events repeated until acknowledged.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "controller/core/fake_board.h"
#include "link/frame.h"

namespace faraday::controller {

class FakeMcu {
 public:
  explicit FakeMcu(FakeBoard& board) : board_(board) {
    board_.crc_of = [](const link::Configure& configure) {
      std::array<uint8_t, link::kMaxPayload> bytes{};
      return link::Crc32(std::span(bytes).first(*link::EncodeMessage(configure, bytes)));
    };
  }

  // Takes the host's bytes; what the board says back is appended to `out`.
  void Feed(std::span<const uint8_t> bytes, std::vector<uint8_t>* out) {
    for (const uint8_t byte : bytes) {
      if (decoder_.Feed(byte) == link::FrameDecoder::Outcome::kFrame) Take(decoder_.frame(), out);
    }
  }
  // One telemetry frame, and every event that is not acknowledged, again.
  void Beat(std::vector<uint8_t>* out) {
    Emit(link::Channel::kTelemetry, 0, board_.Telemetry(), out);
    Events(out);
  }
  void Refuse(link::RefusalReason reason, uint32_t term, std::vector<uint8_t>* out) {
    link::Refusal refusal;
    refusal.reason = reason;
    refusal.term = term;
    refusal.session = board_.session;
    refusal.expected_seq = expected_;
    refusal.nonce = nonce;
    Emit(link::Channel::kRefusal, 0, refusal, out);
  }
  void Reset() {
    board_.Reset();
    events_.clear();
    replies_.clear();
  }

  int drop_frames = 0;    // that many frames to the host are lost
  int ignore_frames = 0;  // that many of the host's are
  uint16_t ack = 0;
  uint32_t away_ms = 0;
  int hellos = 0;
  uint32_t nonce = 0;      // of the Hello that opened the term
  std::string wrong_rack;  // Hello is refused: bound to it

 private:
  template <typename Message>
  void Emit(link::Channel channel, uint16_t seq, const Message& message, std::vector<uint8_t>* out) {
    if (drop_frames > 0) {
      --drop_frames;
      return;
    }
    std::array<uint8_t, link::kMaxPayload> payload{};
    std::array<uint8_t, link::kMaxWire> wire{};
    const size_t size = *link::EncodeMessage(message, payload);
    const link::FrameHeader header{link::kProtocol, channel, 0, board_.session, board_.term, seq, 0};
    const size_t length = *link::EncodeFrame(header, std::span(payload).first(size), wire);
    out->insert(out->end(), wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(length));
  }
  void Events(std::vector<uint8_t>* out) {
    for (; !board_.events.empty(); board_.events.pop_front()) events_[board_.events.front().id] = board_.events.front();
    for (const auto& [id, event] : events_) Emit(link::Channel::kEvent, 0, event, out);
  }
  void Hello(std::span<const uint8_t> payload, std::vector<uint8_t>* out) {
    const auto hello = link::DecodeMessage<link::Hello>(payload);
    if (!hello.ok()) return;
    ++hellos;
    if (!wrong_rack.empty()) {
      link::Refusal refusal;
      refusal.reason = link::RefusalReason::kWrongRack;
      refusal.rack = std::string_view(wrong_rack);
      return Emit(link::Channel::kRefusal, 0, refusal, out);
    }
    if (hello->nonce != nonce && hello->last_session == board_.session && hello->last_term < board_.term)
      return Refuse(link::RefusalReason::kSuperseded, board_.term, out);
    nonce = hello->nonce;
    expected_ = 1;
    replies_.clear();
    Emit(link::Channel::kHello, 0, board_.Hello(hello->nonce), out);
  }
  void Take(const link::FrameView& frame, std::vector<uint8_t>* out) {
    if (ignore_frames > 0) {
      --ignore_frames;
      return;
    }
    if (frame.header.channel == link::Channel::kHello) return Hello(frame.payload, out);
    if (frame.header.session != board_.session) return Refuse(link::RefusalReason::kWrongSession, board_.term, out);
    if (frame.header.term != board_.term) return Refuse(link::RefusalReason::kSuperseded, board_.term, out);
    ack = frame.header.ack;
    while (!events_.empty() && events_.begin()->first <= ack) events_.erase(events_.begin());
    if (frame.header.channel == link::Channel::kKeepalive) {
      const auto keepalive = link::DecodeMessage<link::Keepalive>(frame.payload);
      if (keepalive.ok()) away_ms = keepalive->away_ms;
    }
    if (frame.header.channel == link::Channel::kCommand) Command(frame, out);
  }
  void Command(const link::FrameView& frame, std::vector<uint8_t>* out) {
    const uint16_t seq = frame.header.seq;
    if (const auto it = replies_.find(seq); it != replies_.end())
      return Emit(link::Channel::kReply, seq, it->second, out);
    if (seq != expected_) return Refuse(link::RefusalReason::kOutOfOrder, board_.term, out);
    const auto command = link::DecodeMessage<link::Command>(frame.payload);
    if (!command.ok()) return;
    replies_[seq] = board_.Take(*command);
    if (replies_.size() > link::kWindow) replies_.erase(replies_.begin());
    expected_ = static_cast<uint16_t>(seq == 65535 ? 1 : seq + 1);
    Emit(link::Channel::kReply, seq, replies_[seq], out);
    Events(out);
  }

  FakeBoard& board_;
  link::FrameDecoder decoder_;
  uint16_t expected_ = 1;
  std::map<uint16_t, link::Reply> replies_;
  std::map<uint32_t, link::Event> events_;
};

}  // namespace faraday::controller
