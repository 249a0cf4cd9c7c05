#include "controller/mcu_line/line_session.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "link/codec.h"

namespace faraday::controller {
namespace {

using link::Channel;

// Of firmware newer than this side; the command ends as kInternal.
constexpr auto kUnreadableVerdict = static_cast<link::Verdict>(255);

uint16_t Next(uint16_t seq) { return seq == 65535 ? uint16_t{1} : static_cast<uint16_t>(seq + 1); }

}  // namespace

LineSession::LineSession(std::string rack, std::string version, uint32_t seed, LineEvents& events, Hooks hooks)
    : rack_(std::move(rack)),
      version_(std::move(version)),
      events_(events),
      hooks_(std::move(hooks)),
      first_nonce_(seed + 1),
      nonce_(seed) {}

LineCounters LineSession::counters() const {
  LineCounters all = counters_;
  all.frames_bad = decoder_.dropped();
  return all;
}

// ---- opening and closing ------------------------------------------------------------------------------------------

void LineSession::Start(Now now) {
  broken_.clear();
  away_ms_ = 0;
  heard_at_ = now.boot;
  BeginHello(now);
}

void LineSession::Stop(const std::string& reason, Now now) {
  state_ = State::kStopped;
  Down(reason, now);
}

void LineSession::Down(const std::string& reason, Now now) {
  window_.clear();
  queue_.clear();
  urgent_ = 0;
  tries_ = 0;
  events_.OnDown(reason, now);
}

// One nonce a handshake: its repetitions open no further term and write no further NVM.
void LineSession::BeginHello(Now now) {
  state_ = State::kHello;
  if (++nonce_ == 0) ++nonce_;
  SayHello(now);
}

void LineSession::BoardHasReset(Now now) {
  ended_session_ = session_;
  Down("the board has reset", now);
  BeginHello(now);
}

void LineSession::SayHello(Now now) {
  hello_at_ = now.boot;
  std::array<uint8_t, link::kMaxPayload> payload{};
  const link::Hello hello{link::kProtocol,
                          std::string_view(rack_),
                          std::string_view(version_),
                          nonce_,
                          last_session_,
                          last_term_,
                          link::kCompactTelemetry,
                          static_cast<uint32_t>(std::max<int64_t>(0, now.utc.since_epoch.count() / 1000))};
  if (const auto size = link::EncodeMessage(hello, payload); size.ok()) {
    session_ = term_ = 0;
    WriteFrame(Channel::kHello, 0, std::span(payload).first(*size));
  }
}

void LineSession::OnHelloReply(const link::FrameView& frame, Now now) {
  const auto hello = link::DecodeMessage<link::HelloReply>(frame.payload);
  if (!hello.ok() || state_ != State::kHello || hello->nonce != nonce_) return;
  session_ = last_session_ = hello->session;
  term_ = last_term_ = hello->term;
  state_ = State::kUp;
  next_seq_ = static_cast<uint16_t>(hello->next_command_seq == 0 ? 1 : hello->next_command_seq);
  telemetry_number_.reset();
  if (event_session_ != session_) {
    event_session_ = session_;
    event_base_.reset();
    events_held_.clear();
  }
  events_since_ = now.boot;
  // Firmware that says which event it holds first needs no waiting (older says 0).
  if (!event_base_ && hello->next_event_id != 0) event_base_ = hello->next_event_id - 1;
  SendKeepalive(now);
  events_.OnUp(*hello, now);
}

// ---- sending ------------------------------------------------------------------------------------------------------

void LineSession::WriteFrame(Channel channel, uint16_t seq, std::span<const uint8_t> payload) {
  link::FrameHeader header;
  header.channel = channel;
  header.session = session_;
  header.term = term_;
  header.seq = seq;
  header.ack = event_base_ ? static_cast<uint16_t>(*event_base_ & 0xffffU) : uint16_t{0};
  std::array<uint8_t, link::kMaxWire> wire{};
  if (const auto size = link::EncodeFrame(header, payload, wire); size.ok()) hooks_.write(std::span(wire).first(*size));
}

void LineSession::SendKeepalive(Now now) {
  keepalive_at_ = now.boot;
  ack_due_ = false;
  std::array<uint8_t, 16> payload{};
  const auto size = link::EncodeMessage(link::Keepalive{away_ms_}, payload);
  if (size.ok()) WriteFrame(Channel::kKeepalive, 0, std::span(payload).first(*size));
}

void LineSession::SendStop() { WriteFrame(Channel::kStop, 0, link::kStopMagic); }

void LineSession::SendAway(Milliseconds away, Now now) {
  away_ms_ = static_cast<uint32_t>(away.count());
  if (up()) SendKeepalive(now);
}

// A line that has gone quiet is asked: after a reset the MCU speaks only when spoken to.
bool LineSession::KeepaliveDue(Now now) const {
  const Milliseconds since = now.boot - keepalive_at_;
  const bool quiet = now.boot - heard_at_ >= kQuiet && since >= kQuiet;
  return since >= kKeepalivePeriod || quiet || ack_due_ || away_ms_ > 0;
}

Status LineSession::Send(const link::Command& command, Now now) {
  if (!up()) return {Code::kUnavailable, "the line is not up"};
  // The safe direction waits for nothing; the next tick announces again.
  const bool stops = std::holds_alternative<link::StopSlot>(command.call);
  if (away_ms_ > 0 && !stops) return {Code::kUnavailable, "the controller is ending; try again when it is back"};
  if (queue_.size() >= kMaxQueued) {
    return {Code::kResourceExhausted, fmt::format("{} commands wait on this line already; try again", queue_.size())};
  }
  std::array<uint8_t, link::kMaxPayload> payload{};
  FARADAY_TRY_ASSIGN(const size_t size, link::EncodeMessage(command, payload));
  const auto last = away_ms_ > 0 ? queue_.begin() + static_cast<std::ptrdiff_t>(urgent_++) : queue_.end();
  queue_.emplace(last, payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(size));
  FillWindow(now);
  return OkStatus();
}

// Once an absence is announced nothing of what waits goes out but stops, which Send() puts in front.
void LineSession::FillWindow(Now now) {
  while (!queue_.empty() && window_.size() < link::kWindow && (away_ms_ == 0 || urgent_ > 0)) {
    if (urgent_ > 0) --urgent_;
    window_.push_back({next_seq_, std::move(queue_.front()), now.boot, false, false});
    queue_.pop_front();
    next_seq_ = Next(next_seq_);
    WriteFrame(Channel::kCommand, window_.back().seq, window_.back().payload);
  }
}

void LineSession::Resend(uint16_t from_seq, Now now) {
  bool reached = from_seq == 0;
  for (Sent& sent : window_) {
    reached = reached || sent.seq == from_seq;
    if (!reached || sent.answered) continue;
    sent.at = now.boot;
    sent.resent = true;
    ++counters_.resends;
    WriteFrame(Channel::kCommand, sent.seq, sent.payload);
  }
}

void LineSession::Measure(Milliseconds round_trip) {
  const double sample = static_cast<double>(round_trip.count());
  if (!smoothed_) {
    smoothed_ = sample;
    variation_ = sample / 2;
  } else {
    variation_ = 0.75 * variation_ + 0.25 * std::abs(*smoothed_ - sample);
    smoothed_ = 0.875 * *smoothed_ + 0.125 * sample;
  }
  rto_ = std::clamp(Milliseconds(static_cast<int64_t>(*smoothed_ + 4 * variation_)), kRtoMin, kRtoMax);
}

void LineSession::OnTime(Now now) {
  if (state_ == State::kStopped || !broken_.empty()) return;
  if (now.boot - heard_at_ >= kLineSilent) {
    broken_ = fmt::format("no answer for {} ms; check the board's power and cable, the controller retries",
                          kLineSilent.count());
    return;
  }
  if (state_ == State::kHello) {
    if (now.boot - hello_at_ >= kHelloPeriod) SayHello(now);
    return;
  }
  if (KeepaliveDue(now)) {
    Ack(now);
    SendKeepalive(now);
  }
  if (away_ms_ > 0) return;  // a command sent now would end the announcement
  if (window_.empty() || now.boot - window_.front().at < rto_) return;
  if (++tries_ >= kMaxTries) {
    broken_ =
        fmt::format("the board did not answer a command sent {} times; the controller opens the line anew", tries_);
    return;
  }
  rto_ = std::min(rto_ * 2, kRtoMax);
  Resend(0, now);
}

// ---- receiving ----------------------------------------------------------------------------------------------------

void LineSession::OnBytes(std::span<const uint8_t> bytes, Now now) {
  for (const uint8_t byte : bytes) {
    if (raw_.size() < link::kMaxWire) raw_.push_back(byte);
    const auto outcome = decoder_.Feed(byte);
    if (byte == 0) {
      if (raw_.size() > 1 && hooks_.received) hooks_.received(raw_);
      raw_.clear();
    }
    if (outcome == link::FrameDecoder::Outcome::kFrame) OnFrame(decoder_.frame(), now);
  }
}

void LineSession::OnFrame(const link::FrameView& frame, Now now) {
  if (frame.header.protocol != link::kProtocol) return;
  if (ended_session_ != 0 && frame.header.session == ended_session_) return;
  heard_at_ = now.boot;
  if (frame.header.channel == Channel::kHello) return OnHelloReply(frame, now);
  if (frame.header.channel == Channel::kRefusal) return OnRefusal(frame, now);
  if (state_ != State::kUp) return;
  if (frame.header.session != session_) return BoardHasReset(now);
  // Somebody has opened a later term; the refusal of our next frame says who.
  ack_due_ = ack_due_ || frame.header.term > term_;
  using Handler = void (LineSession::*)(const link::FrameView&, Now);
  struct Row {
    Channel channel;
    Handler handler;
  };
  static constexpr std::array<Row, 4> kRows = {{{Channel::kReply, &LineSession::OnReply},
                                                {Channel::kTelemetry, &LineSession::OnTelemetry},
                                                {Channel::kLog, &LineSession::OnLog},
                                                {Channel::kEvent, &LineSession::OnEvent}}};
  for (const Row& row : kRows) {
    if (row.channel == frame.header.channel) return (this->*row.handler)(frame, now);
  }
}

void LineSession::OnReply(const link::FrameView& frame, Now now) {
  if (frame.header.term != term_) return;
  const auto it =
      std::find_if(window_.begin(), window_.end(), [&](const Sent& s) { return s.seq == frame.header.seq; });
  if (it == window_.end() || it->answered) return;  // a repetition
  link::Reply reply;
  if (const Status read = link::DecodeInto(frame.payload, reply); !read.ok()) {
    // Sending again would bring the same answer.
    if (read.code() != Code::kOutOfRange || reply.command_id == 0) return;
    reply.verdict = kUnreadableVerdict;
  }
  if (!it->resent) Measure(now.boot - it->at);
  tries_ = 0;
  it->answered = true;
  // The window moves in order: the MCU keeps only the last kWindow replies for replay.
  while (!window_.empty() && window_.front().answered) window_.pop_front();
  FillWindow(now);
  events_.OnReply(reply, now);
}

void LineSession::OnTelemetry(const link::FrameView& frame, Now now) {
  const auto telemetry = link::DecodeMessage<link::Telemetry>(frame.payload);
  if (!telemetry.ok()) return;
  if (telemetry_number_ && telemetry->number > *telemetry_number_ + 1) {
    counters_.telemetry_gaps += telemetry->number - *telemetry_number_ - 1;
  }
  telemetry_number_ = telemetry->number;
  events_.OnTelemetry(*telemetry, now);
}

void LineSession::OnLog(const link::FrameView& frame, Now now) {
  const auto page = link::DecodeMessage<link::LogPage>(frame.payload);
  if (page.ok()) events_.OnLogPage(*page, now);
}

// An event is delivered when it comes, once. Older firmware does not say in Hello which is the oldest it holds: for
// kEventBaseline nothing is acknowledged then, and the smallest id seen is it.
void LineSession::OnEvent(const link::FrameView& frame, Now now) {
  link::Event event;
  const Status read = link::DecodeInto(frame.payload, event);
  if ((!read.ok() && read.code() != Code::kOutOfRange) || event.id == 0) return;
  ack_due_ = true;
  if ((event_base_ && event.id <= *event_base_) || !events_held_.insert(event.id).second) return;
  Ack(now);
  // A number this side does not know is held all the same: it would block every later event.
  if (read.ok()) events_.OnEvent(event, now);
}

uint16_t LineSession::Ack(Now now) {
  if (!event_base_ && !events_held_.empty()) {
    const uint32_t first = *events_held_.begin();
    if (first == 1 || now.boot - events_since_ >= kEventBaseline) event_base_ = first - 1;
  }
  while (event_base_ && !events_held_.empty() && *events_held_.begin() == *event_base_ + 1) {
    event_base_ = *event_base_ + 1;
    events_held_.erase(events_held_.begin());
  }
  return event_base_ ? static_cast<uint16_t>(*event_base_ & 0xffffU) : uint16_t{0};
}

void LineSession::OnRefusal(const link::FrameView& frame, Now now) {
  const auto refusal = link::DecodeMessage<link::Refusal>(frame.payload);
  if (!refusal.ok()) return;
  switch (refusal->reason) {
    case link::RefusalReason::kSuperseded:
      return OnSuperseded(*refusal, now);
    case link::RefusalReason::kWrongSession:
      if (state_ == State::kUp && refusal->session != session_) BoardHasReset(now);
      return;
    case link::RefusalReason::kOutOfOrder:
      // At most one repetition a round trip: the frames behind the gap are refused one by one.
      if (!window_.empty() && now.boot - window_.front().at >= rto_ / 4)
        Resend(static_cast<uint16_t>(refusal->expected_seq), now);
      return;
    // These two answer a Hello: while up, somebody else's.
    case link::RefusalReason::kWrongRack:
      if (state_ != State::kHello) return;
      broken_ = fmt::format("the board is bound to rack {}, this config says {}; check the cable or the config",
                            refusal->rack.view(),
                            rack_);
      return;
    case link::RefusalReason::kWrongProtocol:
      if (state_ != State::kHello) return;
      broken_ = fmt::format("the board speaks link protocol {}, this controller {}; update the older",
                            refusal->protocol,
                            link::kProtocol);
      return;
    case link::RefusalReason::kUnknown:
      return;
  }
}

// An answer to frames from before our Hello names no later term than ours.
void LineSession::OnSuperseded(const link::Refusal& refusal, Now now) {
  if (state_ == State::kStopped || refusal.session != last_session_ || refusal.term <= last_term_) return;
  if (IsOurs(refusal.nonce)) {
    // A copy of an earlier Hello of ours came late and opened a term that nobody uses.
    last_term_ = refusal.term;
    if (!up()) return;
    Down("the line brought an old Hello again; saying it anew", now);
    return BeginHello(now);
  }
  if (!up() && refusal.nonce == 0) return;  // older firmware does not say whose: our Hello may have opened it
  const std::string why =
      fmt::format("another controller has taken over this board (its term is {}, ours {})", refusal.term, last_term_);
  Stop(why, now);
  hooks_.superseded(why);
}

}  // namespace faraday::controller
