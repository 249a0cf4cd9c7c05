// The MCU's end of the line: frames in, admitted or refused; replies, telemetry and events out.
//
// Bytes go in one at a time and say what they completed; what a command does is decided elsewhere (rack_core). Knows
// session, term, the ordered window of commands and their replies for replay. Pure, main loop only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "firmware/core/event_log.h"
#include "firmware/core/tx_ring.h"
#include "link/codec.h"
#include "link/frame.h"
#include "link/messages.h"

namespace faraday::firmware {

class LinkServer {
 public:
  enum class Incoming : uint8_t {
    kNothing,     // no frame yet, or one that was refused, replayed or dropped
    kStop,        // the stop frame
    kHello,       // hello() is decoded and of our protocol; answer with SendHelloReply or Refuse
    kCommand,     // command() is due: act on it, then Answer
    kBadCommand,  // due, but undecodable: command().id as far as read; Answer with kInvalid
    kKeepalive,   // keepalive()
  };

  LinkServer(uint32_t session, EventLog& events) : session_(session), events_(events) {}

  Incoming Feed(uint8_t byte);
  const link::Hello& hello() const { return hello_; }
  const link::Command& command() const { return command_; }
  const link::Keepalive& keepalive() const { return keepalive_; }

  bool open() const { return open_; }
  uint32_t session() const { return session_; }
  uint32_t term() const { return term_; }
  // The nonce that opened the term.
  uint32_t nonce() const { return nonce_; }
  // Starts a term: commands count from 1 again.
  void OpenTerm(uint32_t term, uint32_t nonce);
  void SendHelloReply(const link::HelloReply& reply);
  void Refuse(link::RefusalReason reason, std::string_view rack = {});
  // REQUIRES: Feed returned kCommand or kBadCommand just now.
  void Answer(const link::Reply& reply);
  // False, dropped: the line is behind, and room for replies and events is kept.
  bool SendTelemetry(const link::Telemetry& telemetry);
  // As SendTelemetry: the host asks again.
  bool SendLogPage(const link::LogPage& page);
  // Sends what waits: unsent replies, then events.
  void Advance(uint32_t dt);

  // Room that is free between two messages: whatever is sent takes it.
  std::span<uint8_t> scratch() { return payload_; }
  TxRing& tx() { return tx_; }
  uint32_t frames_bad() const { return decoder_.dropped() + undecodable_; }

 private:
  static constexpr size_t kReplies = 2 * link::kWindow;  // twice what a host may have unanswered
  static constexpr size_t kTelemetryReserve = 1024;      // bytes kept for replies and events
  struct Stored {
    uint16_t seq = 0;  // 0: none
    bool sent = false;
    link::Reply reply;
  };

  Incoming OnFrame(const link::FrameView& frame);
  bool Admit(const link::FrameHeader& header);
  Incoming OnHello(const link::FrameView& frame);
  Incoming OnCommand(const link::FrameView& frame);
  Incoming OnKeepalive(const link::FrameView& frame);
  Incoming Drop();
  Stored& StoredFor(uint16_t seq) { return replies_[seq % kReplies]; }
  void SendReply(Stored& stored);
  template <typename Message>
  bool Send(link::Channel channel, uint16_t seq, const Message& message);
  // The first `size` bytes of payload_, in a frame; `reserve` bytes of the line's ring stay free.
  bool SendPayload(link::Channel channel, uint16_t seq, size_t size, size_t reserve);

  const uint32_t session_;
  EventLog& events_;
  bool open_ = false;
  bool compact_ = false;  // the term's host reads kCompactTelemetry
  uint32_t term_ = 0;
  uint32_t nonce_ = 0;
  uint16_t due_seq_ = 1;
  uint16_t answering_ = 0;
  uint32_t undecodable_ = 0;
  link::FrameDecoder decoder_;
  link::Hello hello_;
  link::Command command_;
  link::Keepalive keepalive_;
  std::array<Stored, kReplies> replies_{};
  std::array<uint8_t, link::kMaxPayload> payload_{};
  std::array<uint8_t, link::kMaxWire> wire_{};
  TxRing tx_;
};

}  // namespace faraday::firmware
