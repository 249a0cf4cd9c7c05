#include "firmware/core/link_server.h"

#include <algorithm>

namespace faraday::firmware {
namespace {

using link::Channel;
using link::FrameView;
using link::RefusalReason;

// Command numbers run 1 to 65535 and round again; 0 is none.
uint16_t After(uint16_t seq) { return seq == 0xFFFF ? 1 : static_cast<uint16_t>(seq + 1); }
// How many commands before `due` the number `seq` was.
uint32_t Behind(uint16_t due, uint16_t seq) { return (due + 0xFFFFU - seq) % 0xFFFFU; }

}  // namespace

LinkServer::Incoming LinkServer::Feed(uint8_t byte) {
  if (decoder_.Feed(byte) != link::FrameDecoder::Outcome::kFrame) return Incoming::kNothing;
  return OnFrame(decoder_.frame());
}

LinkServer::Incoming LinkServer::OnFrame(const FrameView& frame) {
  if (link::IsStopFrame(frame)) return Incoming::kStop;
  if (frame.header.channel == Channel::kHello) return OnHello(frame);
  if (!Admit(frame.header)) return Incoming::kNothing;
  events_.Acknowledge(frame.header.ack);
  if (frame.header.channel == Channel::kCommand) return OnCommand(frame);
  if (frame.header.channel == Channel::kKeepalive) return OnKeepalive(frame);
  return Drop();
}

// The session before the term: after an MCU reset the host must say Hello whatever its term was.
bool LinkServer::Admit(const link::FrameHeader& header) {
  if (header.protocol != link::kProtocol)
    Refuse(RefusalReason::kWrongProtocol);
  else if (!open_ || header.session != session_ || header.term > term_)
    Refuse(RefusalReason::kWrongSession);
  else if (header.term < term_)
    Refuse(RefusalReason::kSuperseded);
  else
    return true;
  return false;
}

LinkServer::Incoming LinkServer::Drop() {
  ++undecodable_;
  return Incoming::kNothing;
}

LinkServer::Incoming LinkServer::OnHello(const FrameView& frame) {
  hello_ = {};
  hello_.protocol = 0;
  if (!link::DecodeInto(frame.payload, hello_).ok()) return Drop();
  if (frame.header.protocol == link::kProtocol && hello_.protocol == link::kProtocol) return Incoming::kHello;
  Refuse(RefusalReason::kWrongProtocol);
  return Incoming::kNothing;
}

LinkServer::Incoming LinkServer::OnCommand(const FrameView& frame) {
  const uint16_t seq = frame.header.seq;
  if (seq == due_seq_) {
    answering_ = seq;
    command_ = {};
    return link::DecodeInto(frame.payload, command_).ok() ? Incoming::kCommand : Incoming::kBadCommand;
  }
  Stored& stored = StoredFor(seq);
  if (seq != 0 && stored.seq == seq && Behind(due_seq_, seq) <= kReplies)
    SendReply(stored);
  else
    Refuse(RefusalReason::kOutOfOrder);
  return Incoming::kNothing;
}

LinkServer::Incoming LinkServer::OnKeepalive(const FrameView& frame) {
  keepalive_ = {};
  return link::DecodeInto(frame.payload, keepalive_).ok() ? Incoming::kKeepalive : Drop();
}

void LinkServer::OpenTerm(uint32_t term, uint32_t nonce) {
  open_ = true;
  term_ = term;
  nonce_ = nonce;
  compact_ = hello_.telemetry_form == link::kCompactTelemetry;
  due_seq_ = 1;
  replies_ = {};
}

void LinkServer::SendHelloReply(const link::HelloReply& reply) { Send(Channel::kHello, 0, reply); }

void LinkServer::Refuse(RefusalReason reason, std::string_view rack) {
  const link::Refusal refusal{.reason = reason,
                              .term = term_,
                              .session = session_,
                              .expected_seq = due_seq_,
                              .rack = rack,
                              .protocol = link::kProtocol,
                              .nonce = nonce_};
  Send(Channel::kRefusal, 0, refusal);
}

void LinkServer::Answer(const link::Reply& reply) {
  Stored& stored = StoredFor(answering_);
  stored = {.seq = answering_, .reply = reply};
  due_seq_ = After(answering_);
  SendReply(stored);
}

void LinkServer::SendReply(Stored& stored) { stored.sent = Send(Channel::kReply, stored.seq, stored.reply); }

bool LinkServer::SendTelemetry(const link::Telemetry& telemetry) {
  const auto payload = compact_ ? link::EncodeCompact(telemetry, payload_) : link::EncodeMessage(telemetry, payload_);
  return payload.ok() && SendPayload(Channel::kTelemetry, 0, *payload, kTelemetryReserve);
}

bool LinkServer::SendLogPage(const link::LogPage& page) {
  const auto payload = link::EncodeMessage(page, payload_);
  return payload.ok() && SendPayload(Channel::kLog, 0, *payload, kTelemetryReserve);
}

void LinkServer::Advance(uint32_t dt) {
  events_.Advance(dt);
  if (!open_) return;
  for (Stored& stored : replies_) {
    if (stored.seq != 0 && !stored.sent) SendReply(stored);
  }
  for (const link::Event* event = events_.Next(); event != nullptr; event = events_.Next()) {
    if (!Send(Channel::kEvent, 0, *event)) return;
    events_.Sent();
  }
}

template <typename Message>
bool LinkServer::Send(Channel channel, uint16_t seq, const Message& message) {
  const auto payload = link::EncodeMessage(message, payload_);
  return payload.ok() && SendPayload(channel, seq, *payload, 0);
}

bool LinkServer::SendPayload(Channel channel, uint16_t seq, size_t size, size_t reserve) {
  const link::FrameHeader header{.channel = channel, .session = session_, .term = term_, .seq = seq};
  const auto wire = link::EncodeFrame(header, std::span<const uint8_t>(payload_).first(size), wire_);
  if (!wire.ok() || *wire + reserve > tx_.room()) return false;
  return tx_.Push(std::span<const uint8_t>(wire_).first(*wire));
}

}  // namespace faraday::firmware
