#include "firmware/core/fuzz_rack.h"

#include <algorithm>
#include <string>

namespace faraday::firmware {
namespace {

using link::Channel;
namespace capability = link::capability;

constexpr uint8_t kVbus = 1, kRelay = 16;
constexpr size_t kKept = 64;      // commands and events that are remembered
constexpr size_t kReplayed = 16;  // replies that the firmware keeps: twice the window (link_server.h)
constexpr uint32_t kParts = capability::kVbus | capability::kDataEnable | capability::kDataSelect |
                            capability::kChargeMode | capability::kRfRelay | capability::kMonitor |
                            capability::kTemperature | capability::kRelaySense;

// Most slots have everything; each bit of the mask takes a part from one of them.
std::vector<uint32_t> CapabilitiesOf(size_t slots, uint8_t mask) {
  constexpr uint32_t kTaken[] = {capability::kVbus,
                                 capability::kDataEnable,
                                 capability::kDataSelect,
                                 capability::kChargeMode,
                                 capability::kRfRelay,
                                 capability::kMonitor,
                                 capability::kTemperature,
                                 capability::kRelaySense};
  std::vector<uint32_t> capabilities(slots, kParts);
  for (size_t bit = 0; bit < 8; ++bit) {
    if ((mask >> bit & 1) != 0) capabilities[(slots - 1 - bit % slots)] &= ~kTaken[bit];
  }
  return capabilities;
}

void Apply(const Damage& damage, std::vector<uint8_t>& wire) {
  const auto at = static_cast<ptrdiff_t>(damage.at % wire.size());
  switch (damage.kind) {
    case Damage::Kind::kNone:
      break;
    case Damage::Kind::kFlip:
      wire[static_cast<size_t>(at)] ^= damage.with;
      break;
    case Damage::Kind::kCut:
      wire.erase(wire.begin() + at, wire.begin() + at + std::min<ptrdiff_t>(damage.with, std::ssize(wire) - at));
      break;
    case Damage::Kind::kInsert:
      wire.insert(wire.begin() + at, damage.with);
      break;
    case Damage::Kind::kTwice:
      wire.insert(wire.end(), wire.begin(), wire.end());
      break;
  }
}

}  // namespace

FuzzRack::FuzzRack(size_t slots, uint8_t mask)
    : capabilities_(CapabilitiesOf(slots, mask)), parts_(slots), witness_(capabilities_) {
  Boot();
}

// ---- the board's side ----

void FuzzRack::Boot() {
  ++boots_;
  const bool memory_answers = !nvm_.read_only && nvm_.failures == 0;  // else what was read may not be what is there
  core_.emplace(
      BoardFacts{
          .name = "fuzz", .session = 0x5EED0000 + boots_, .boot_reason = link::BootReason::kPowerOn, .slots = slots()},
      nvm_,
      nullptr);
  std::vector<SlotFacts> places;
  for (const uint32_t held : capabilities_) {
    const auto slot = static_cast<uint8_t>(places.size());
    places.push_back({held, static_cast<uint8_t>(slot / 4), static_cast<uint8_t>(slot / 4)});
  }
  core_->Boot(places, now_ms_);
  shadow_ = {};
  decoder_ = {};
  session_ = 0x5EED0000 + boots_;
  term_ = 0;
  sent_.clear();
  owing_.clear();
  events_.clear();
  held_event_ = 0;
  acknowledged_event_ = 0;
  telemetry_number_ = 0;
  witness_.Booted(*core_, session_, memory_sound_ && memory_answers);
  memory_sound_ = memory_answers;
  core_->OnRackInputs(0);
}

void FuzzRack::Reset() { Boot(); }

void FuzzRack::SetMemory(bool read_only, int failures) {
  nvm_.read_only = read_only;
  nvm_.failures = failures;
  if (read_only || failures > 0) memory_sound_ = false;
}

// What was not acknowledged may be there or not after the cut, but nothing else: the epoch before or the new one.
void FuzzRack::CutPowerWhile(const link::SetLease& lease, size_t bytes) {
  ReadAll();
  std::vector<uint32_t> before;
  for (size_t i = 0; i < slots(); ++i) before.push_back(epoch(i));
  const bool sound = memory_sound_;
  nvm_.bytes_until_cut = bytes;
  Command(lease);
  nvm_.bytes_until_cut = SIZE_MAX;
  memory_sound_ = false;
  Boot();
  for (size_t i = 0; i < slots() && sound; ++i) {
    const bool named = lease.slot == i + 1;
    const uint32_t now = core_->leases().epoch(i);
    FARADAY_PROMISE(now == before[i] || (named && now == lease.epoch),
                    "a cut write leaves the epoch before or the new one");
  }
}

void FuzzRack::Run(uint32_t ms) {
  for (uint32_t i = 0; i < ms; ++i) Leap(1);
}

void FuzzRack::Leap(uint32_t ms) {
  now_ms_ += ms;
  core_->Tick(now_ms_);
  if (reading_) Collect();
  witness_.Ticked(*core_, ms);
  Sense();
}

void FuzzRack::Sense() {
  for (size_t i = 0; i < slots(); ++i) SenseSlot(i);
  witness_.Sample(*core_);
}

void FuzzRack::SenseSlot(size_t i) {
  const FuzzPart& part = parts_[i];
  const uint8_t outputs = core_->DesiredOutputs(i);
  const bool on = (outputs & kVbus) != 0;
  if ((capabilities_[i] & capability::kMonitor) != 0) {
    if (part.no_monitor) {
      core_->OnMonitorMissing(i);
      witness_.Fault(*core_, i);
    } else {
      core_->OnVoltage(i, on ? part.mv_on : part.shorted ? 4900 : 10);
      Current(i, on || part.shorted ? part.ma_on : 0);
    }
  }
  if ((capabilities_[i] & capability::kTemperature) != 0) Temperature(i, part.deci_c);
  if (part.no_expander)
    core_->OnExpanderMissing(i);
  else if (!core_->StopAsserted())
    core_->OnReadBack(i, core_->DesiredOutputs(i) | part.stuck_outputs);
  if (!part.stuck_relay) core_->OnRelaySense(i, (outputs & kRelay) == 0);
}

void FuzzRack::Current(size_t slot, uint32_t ma) {
  core_->OnCurrent(slot, ma);
  witness_.Current(*core_, slot, ma);
}

void FuzzRack::Temperature(size_t slot, int32_t deci_c) {
  core_->OnTemperature(slot, deci_c);
  witness_.Temperature(*core_, slot, deci_c);
}

void FuzzRack::ReadBack(size_t slot, uint8_t bits) {
  core_->OnReadBack(slot, bits);
  witness_.Sample(*core_);
}

void FuzzRack::Inputs(uint32_t inputs) {
  core_->OnRackInputs(inputs);
  witness_.Sample(*core_);
}

void FuzzRack::Supplies(uint32_t ok) {
  core_->OnPsuOk(ok);
  witness_.Sample(*core_);
}
void FuzzRack::StopButton(bool pressed) {
  core_->OnStopButton(pressed);
  witness_.Button(*core_, pressed);
}
void FuzzRack::BusLost(size_t bus, bool lost) {
  core_->OnBusLost(bus, lost);
  witness_.Sample(*core_);
}
void FuzzRack::RailVoltage(size_t slot, uint32_t mv) {
  core_->OnRailVoltage(slot, mv);
  witness_.Sample(*core_);
}
void FuzzRack::HotSwapOff(size_t slot) {
  core_->OnHotSwapOff(slot, 1);
  witness_.Fault(*core_, slot);
}

// ---- the host's side: to the firmware ----

void FuzzRack::Bytes(std::span<const uint8_t> bytes) {
  size_t begin = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (shadow_.Feed(bytes[i]) != link::FrameDecoder::Outcome::kFrame) continue;
    core_->OnBytes(bytes.subspan(begin, i - begin));
    witness_.Bytes(*core_);
    begin = i;
    FeedFrame(bytes.subspan(i, 1));
    begin = i + 1;
  }
  core_->OnBytes(bytes.subspan(begin));
  if (reading_) Collect();
  witness_.Bytes(*core_);
}

// The byte that completes the shadow's frame. A hello's answer is read in any case: the next frames need it.
void FuzzRack::FeedFrame(std::span<const uint8_t> bytes) {
  const link::FrameView frame = shadow_.frame();
  if (frame.header.channel == Channel::kHello) ReadAll();
  answers_ = Answers{};
  answers_.complete = reading_;
  Expect(frame);
  core_->OnBytes(bytes);
  if (reading_) Collect();
  witness_.Frame(*core_, frame, answers_);
}

// A reply to each command in its turn, and once more for each repetition.
void FuzzRack::Expect(const link::FrameView& frame) {
  const auto& header = frame.header;
  const bool ours = header.protocol == 1 && header.session == session_ && header.term == term_ && term_ != 0;
  if (!ours) return;
  ExpectGap(header.ack);
  if (header.channel != Channel::kCommand) return;
  if (header.seq == witness_.due_seq()) {
    owing_.emplace_back(header.seq, Owed{}).second.answers = 1;
    if (owing_.size() > kKept) owing_.erase(owing_.begin());
    return;
  }
  for (auto& [seq, owed] : owing_) owed.answers += seq == header.seq ? 1 : 0;
}

// An acknowledgement of events that the host has not seen: they are not sent any more.
void FuzzRack::ExpectGap(uint16_t ack) {
  const uint32_t known = std::max(held_event_, acknowledged_event_);
  const auto ahead = static_cast<uint16_t>(ack - static_cast<uint16_t>(known));
  if (ack != 0 && ahead <= EventLog::kCapacity) acknowledged_event_ = known + ahead;
}

void FuzzRack::Send(const link::FrameHeader& header, std::span<const uint8_t> payload, const Damage& damage) {
  std::vector<uint8_t> wire(link::kMaxWire);
  const auto length = link::EncodeFrame(header, payload, wire);
  if (!length.ok()) return;
  wire.resize(*length);
  Apply(damage, wire);
  Bytes(wire);
}

link::FrameHeader FuzzRack::Header(Channel channel) const {
  return {.channel = channel, .session = session_, .term = term_, .seq = 0, .ack = Ack()};
}

uint16_t FuzzRack::Ack() const {
  if (acknowledging_ == 0) return static_cast<uint16_t>(held_event_);
  return acknowledging_ == 1 ? uint16_t{0} : static_cast<uint16_t>(held_event_ * 7 + 3);
}

void FuzzRack::Hello(uint32_t nonce, const char* rack) {
  nonce_ = nonce;
  std::array<uint8_t, link::kMaxPayload> payload{};
  const auto length = link::EncodeMessage(link::Hello{.rack = rack, .host_version = "fuzz", .nonce = nonce}, payload);
  Send({.channel = Channel::kHello}, std::span<const uint8_t>(payload).first(*length));
}

void FuzzRack::Command(const decltype(link::Command::call)& call, const Damage& damage) {
  if (term_ == 0) Hello(nonce_ + 1, "r01");
  std::array<uint8_t, link::kMaxPayload> payload{};
  const auto length = link::EncodeMessage(link::Command{.id = next_id_++, .call = call}, payload);
  const auto bytes = std::span<const uint8_t>(payload).first(*length);
  sent_.push_back({witness_.due_seq(), {bytes.begin(), bytes.end()}});
  if (sent_.size() > kKept) sent_.erase(sent_.begin());
  link::FrameHeader header = Header(Channel::kCommand);
  header.seq = witness_.due_seq();
  Send(header, bytes, damage);
}

void FuzzRack::CommandBytes(std::span<const uint8_t> payload) {
  if (term_ == 0) Hello(nonce_ + 1, "r01");
  link::FrameHeader header = Header(Channel::kCommand);
  header.seq = witness_.due_seq();
  sent_.push_back({header.seq, {payload.begin(), payload.end()}});
  Send(header, payload);
}

void FuzzRack::Keepalive(uint32_t away_ms) {
  std::array<uint8_t, 16> payload{};
  const auto length = link::EncodeMessage(link::Keepalive{.away_ms = away_ms}, payload);
  Send(Header(Channel::kKeepalive), std::span<const uint8_t>(payload).first(*length));
}

void FuzzRack::Repeat(uint32_t back) {
  if (sent_.empty()) return;
  const Sent again = sent_[sent_.size() - 1 - back % sent_.size()];
  link::FrameHeader header = Header(Channel::kCommand);
  header.seq = again.seq;
  Send(header, again.payload);
}

// ---- the host's side: from the firmware ----

void FuzzRack::ReadAll() {
  Collect();
  reading_ = true;
}

void FuzzRack::Read(size_t bytes) {
  while (bytes > 0 && !core_->tx().Front().empty()) {
    const auto front = core_->tx().Front();
    const size_t n = std::min(bytes, front.size());
    Take(front.first(n));
    core_->tx().Pop(n);
    bytes -= n;
  }
}

void FuzzRack::Collect() { Read(SIZE_MAX); }

void FuzzRack::Take(std::span<const uint8_t> bytes) {
  FARADAY_PROMISE(core_->tx().room() <= TxRing::kCapacity, "what waits for the line stays within its ring");
  for (const uint8_t byte : bytes) {
    if (decoder_.Feed(byte) == link::FrameDecoder::Outcome::kFrame) TakeFrame(decoder_.frame());
  }
  FARADAY_PROMISE(decoder_.dropped() == 0, "the line carries whole frames only (tx_ring.h)");
}

template <typename Message>
Message Decoded(std::span<const uint8_t> payload) {
  auto message = link::DecodeMessage<Message>(payload);
  FARADAY_PROMISE(message.ok(), "what the firmware says can be decoded");
  return *std::move(message);
}

void FuzzRack::TakeFrame(const link::FrameView& frame) {
  FARADAY_PROMISE(frame.header.session == session_, "frames carry the session of this boot");
  switch (frame.header.channel) {
    case Channel::kHello:
      answers_.hello = Decoded<link::HelloReply>(frame.payload);
      if (answers_.hello->term != term_) {
        sent_.clear();
        owing_.clear();
      }
      term_ = answers_.hello->term;
      break;
    case Channel::kReply:
      TakeReply(frame);
      break;
    case Channel::kRefusal:
      answers_.refusal = Decoded<link::Refusal>(frame.payload);
      break;
    case Channel::kTelemetry:
      TakeTelemetry(Decoded<link::Telemetry>(frame.payload));
      break;
    case Channel::kEvent:
      TakeEvent(Decoded<link::Event>(frame.payload));
      break;
    default:
      FARADAY_PROMISE(false, "the firmware speaks on its channels only");
  }
}

// design 9: executed results are replayed and never executed twice: one answer a command, the same each time.
void FuzzRack::TakeReply(const link::FrameView& frame) {
  const auto reply = Decoded<link::Reply>(frame.payload);
  if (frame.header.term != term_) return;                              // waited while a newer hello was answered
  if (frame.header.seq == witness_.due_seq()) answers_.reply = reply;  // not yet told of this frame
  const auto owed =
      std::find_if(owing_.begin(), owing_.end(), [&](const auto& o) { return o.first == frame.header.seq; });
  if (owed == owing_.end()) return;  // older than what is remembered
  FARADAY_PROMISE(owed->second.answers > 0, "one answer a command and one for each repetition");
  FARADAY_PROMISE(!owed->second.seen || owed->second.reply == reply, "a replayed reply is the first one again");
  --owed->second.answers;
  owed->second.seen = true;
  owed->second.reply = reply;
}

void FuzzRack::TakeEvent(const link::Event& event) {
  if (event.id > held_event_ + 1 && event.id <= acknowledged_event_ + 1) held_event_ = event.id - 1;
  FARADAY_PROMISE(event.id <= held_event_ + 1, "event ids grow by one (link.proto)");
  if (event.id == held_event_ + 1) {
    held_event_ = event.id;
    events_.push_back(event);
    if (events_.size() > kKept) events_.erase(events_.begin());
    if (const auto* done = std::get_if<link::CommandDone>(&event.kind)) witness_.Done(*done);
    return;
  }
  for (const link::Event& known : events_) {
    FARADAY_PROMISE(known.id != event.id || known == event, "a latched event does not change");
  }
}

void FuzzRack::TakeTelemetry(const link::Telemetry& telemetry) {
  FARADAY_PROMISE(telemetry.number > telemetry_number_, "telemetry counts up");
  telemetry_number_ = telemetry.number;
  const bool whole = telemetry.vbus_mv.size() == slots() && telemetry.vbus_ma.size() == slots() &&
                     telemetry.tray_deci_c.size() == slots() && telemetry.state.size() == slots() &&
                     telemetry.lease_left_ms.size() == slots();
  FARADAY_PROMISE(whole, "telemetry is the full state (design 9)");
}

// Replies of the last window and every CommandDone come once the host reads again.
void FuzzRack::Finish() {
  acknowledging_ = 0;
  nvm_.failures = 0;
  ReadAll();
  if (term_ == 0) return;
  for (int i = 0; i < 16; ++i) {
    Leap(25);
    if (i % 4 == 0) Keepalive(0);
  }
  const size_t first = owing_.size() > kReplayed ? owing_.size() - kReplayed : 0;
  for (size_t i = first; i < owing_.size(); ++i) {
    FARADAY_PROMISE(owing_[i].second.seen, "every command in its turn is answered at last (design 9)");
  }
}

void FuzzRack::Trace() const {
  std::fprintf(stderr, "    at %u ms, term %u:", now_ms_, term_);
  for (size_t i = 0; i < slots(); ++i) {
    const unsigned outputs = core_->DesiredOutputs(i);
    if (outputs != 0) std::fprintf(stderr, " %zu=%02x", i + 1, outputs);
  }
  std::fprintf(stderr, "\n");
}

}  // namespace faraday::firmware
