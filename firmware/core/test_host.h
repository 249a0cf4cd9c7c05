// A host at the end of RackCore's line, for tests: numbered commands out, decoded answers in, fake time.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "firmware/core/fake_nvm.h"
#include "firmware/core/rack_core.h"
#include "link/codec.h"
#include "link/frame.h"

namespace faraday::firmware {

// One slot's parts as a well-behaved board would show them; a test bends what it wants.
struct FakeSlot {
  bool shorted = false;       // current flows whatever the switch says
  bool dead_monitor = false;  // the monitor does not answer
  bool dead_expander = false;
  bool disobeys = false;          // stays on until the stop pin
  bool stuck_relay = false;       // the contact stays where it is
  bool feeds_back = false;        // voltage comes from the phone
  std::optional<uint32_t> ma;     // current while on; else 500
  std::optional<uint32_t> mv_on;  // voltage while on; else 5000
  uint8_t stuck_outputs = 0;      // bits that read as on for ever
  uint8_t lost_outputs = 0;       // bits that read as off for ever
  int32_t deci_c = 250;
  bool isolated = true;
};

class TestHost {
 public:
  static constexpr size_t kSlots = 32;
  static constexpr uint32_t kAll = 0x7FF;

  explicit TestHost(FakeNvm& memory, uint32_t boot_session = 77) : nvm(memory) {
    const auto cause = link::BootReason::kPowerOn;
    core.emplace(
        BoardFacts{.name = "fake", .session = boot_session, .boot_reason = cause, .slots = kSlots}, nvm, nullptr);
    core->Boot(Places(), now_ms);
    core->OnRackInputs(0);
  }

  // Every output and sensor; eight slots a shelf and a rail, two shelves a monitor bus.
  static std::array<SlotFacts, kSlots> Places() {
    std::array<SlotFacts, kSlots> places{};
    for (size_t i = 0; i < kSlots; ++i) {
      places[i] = {kAll, static_cast<uint8_t>(i / 8), static_cast<uint8_t>(i / 16)};
    }
    return places;
  }

  // Lets `ms` pass, a millisecond a pass, with all sensors read in each.
  void Run(uint32_t ms) {
    for (uint32_t i = 0; i < ms; ++i) Pass();
  }
  void Pass() {
    core->Tick(++now_ms);
    for (size_t i = 0; i < kSlots; ++i) Sense(i);
    Collect();
    if (on_pass) on_pass();
  }

  void Send(const link::FrameHeader& header, std::span<const uint8_t> payload) {
    std::array<uint8_t, link::kMaxWire> wire{};
    const auto length = link::EncodeFrame(header, payload, wire);
    core->OnBytes(std::span<const uint8_t>(wire).first(*length));
    Collect();
  }
  template <typename Message>
  void SendMessage(const link::FrameHeader& header, const Message& message) {
    std::array<uint8_t, link::kMaxPayload> payload{};
    const auto length = link::EncodeMessage(message, payload);
    Send(header, std::span<const uint8_t>(payload).first(*length));
  }
  link::FrameHeader Header(link::Channel channel) const {
    return {.channel = channel, .session = session, .term = term, .ack = ack};
  }

  // Opens a term; answers with the HelloReply, if one came.
  std::optional<link::HelloReply> Hello(uint32_t nonce,
                                        const char* rack = "r01",
                                        uint32_t telemetry_form = link::kPlainTelemetry) {
    hello_reply.reset();
    SendMessage({.channel = link::Channel::kHello},
                link::Hello{.rack = rack, .host_version = "test", .nonce = nonce, .telemetry_form = telemetry_form});
    if (!hello_reply) return {};
    if (hello_reply->term != term) seq = 1;
    session = hello_reply->session;
    term = hello_reply->term;
    return hello_reply;
  }
  // Sends the next command; answers with its reply.
  template <typename Call>
  link::Reply Do(const Call& call) {
    const uint16_t own = seq++;
    return DoAs(own, ++id, call).value_or(link::Reply{.verdict = link::Verdict::kUnknownCommand});
  }
  template <typename Call>
  std::optional<link::Reply> DoAs(uint16_t own_seq, uint32_t command_id, const Call& call) {
    replies.clear();
    link::FrameHeader header = Header(link::Channel::kCommand);
    header.seq = own_seq;
    SendMessage(header, link::Command{.id = command_id, .call = call});
    if (replies.empty()) return {};
    return replies.back();
  }
  void Keepalive(uint32_t away_ms = 0) {
    SendMessage(Header(link::Channel::kKeepalive), link::Keepalive{.away_ms = away_ms});
  }
  void StopFrame() { Send({.channel = link::Channel::kStop}, link::kStopMagic); }

  static link::Configure Config() {
    link::Configure config;
    for (size_t i = 0; i < kSlots; ++i) {
      config.current_limit_ma.push_back(2000);
      config.safe_state.push_back(static_cast<uint32_t>(link::SafeState::kCharge));
      config.rail.push_back(static_cast<uint32_t>(i / 8));
    }
    for (int i = 0; i < 4; ++i) config.rail_budget_ma.push_back(20'000);
    config.rack_budget_ma = 80'000;
    config.stagger_ms = 100;
    config.min_off_ms = 500;
    return config;
  }
  // Hello, Configure, slot 1 leased with epoch 1 for a minute, slots 2 to 8 in care with epoch 1.
  void Ready() {
    Hello(1);
    Do(Config());
    Do(link::SetLease{.slot = 1, .epoch = 1, .duration_ms = 60'000});
    for (uint32_t slot = 2; slot <= 8; ++slot) Do(link::SetLease{.slot = slot, .epoch = 1});
    Run(600);  // past the minimum off time
  }

  template <typename Kind>
  std::vector<Kind> Events() const {
    std::vector<Kind> found;
    for (const link::Event& event : events) {
      if (const Kind* kind = std::get_if<Kind>(&event.kind)) found.push_back(*kind);
    }
    return found;
  }
  // How the command with that id ended, if it did.
  std::optional<link::CommandDone> Done(uint32_t command_id) const {
    for (const auto& done : Events<link::CommandDone>()) {
      if (done.command_id == command_id) return done;
    }
    return {};
  }
  // Acts until the last command ended or `ms` passed.
  std::optional<link::CommandDone> Await(uint32_t ms = 3000) {
    for (uint32_t i = 0; i < ms && !Done(id); ++i) Pass();
    return Done(id);
  }
  // Without the LED.
  uint8_t Outputs(size_t slot_number) const { return core->DesiredOutputs(slot_number - 1) & 0x7F; }
  bool VbusOn(size_t slot_number) const { return (Outputs(slot_number) & 1) != 0; }
  bool AnyOn() const {
    for (size_t i = 1; i <= kSlots; ++i) {
      if ((Outputs(i) & 1) != 0) return true;
    }
    return false;
  }
  link::SlotBits Bits(size_t slot_number) const { return link::Unpack(telemetry.state[slot_number - 1]); }

  FakeNvm& nvm;
  std::optional<RackCore> core;
  std::array<FakeSlot, kSlots> parts{};
  uint32_t now_ms = 1'000;
  uint32_t session = 0;
  uint32_t term = 0;
  uint16_t seq = 1;
  uint16_t ack = 0;
  uint32_t id = 100;
  bool acknowledge = true;  // events are taken and acknowledged by the next frame
  std::optional<link::HelloReply> hello_reply;
  std::vector<link::Reply> replies;
  std::vector<link::Refusal> refusals;
  std::vector<link::Event> events;  // each once
  link::Telemetry telemetry;
  int telemetry_count = 0;
  size_t telemetry_bytes = 0;  // the last one's payload
  int event_frames = 0;
  std::function<void()> on_pass;

 private:
  void Sense(size_t i) {
    FakeSlot& part = parts[i];
    const uint8_t outputs = core->DesiredOutputs(i);
    const bool on = (outputs & 1) != 0 || (part.disobeys && !core->StopAsserted());
    const uint32_t mv = on ? part.mv_on.value_or(5000) : part.feeds_back || part.shorted ? 4900 : 10;
    if (part.dead_monitor)
      core->OnMonitorMissing(i);
    else {
      core->OnVoltage(i, mv);
      core->OnCurrent(i, on || part.shorted ? part.ma.value_or(500) : 0);
    }
    core->OnTemperature(i, part.deci_c);
    if (!core->StopAsserted()) {
      if (part.dead_expander)
        core->OnExpanderMissing(i);
      else
        core->OnReadBack(i, static_cast<uint8_t>((outputs | part.stuck_outputs) & ~part.lost_outputs));
    }
    if (!part.stuck_relay) part.isolated = (outputs & 16) == 0;
    core->OnRelaySense(i, part.isolated);
  }

  void Collect() {
    for (auto bytes = core->tx().Front(); !bytes.empty(); bytes = core->tx().Front()) {
      for (uint8_t byte : bytes) {
        if (decoder.Feed(byte) == link::FrameDecoder::Outcome::kFrame) Take(decoder.frame());
      }
      core->tx().Pop(bytes.size());
    }
  }
  void Take(const link::FrameView& frame) {
    switch (frame.header.channel) {
      case link::Channel::kHello:
        hello_reply = *link::DecodeMessage<link::HelloReply>(frame.payload);
        break;
      case link::Channel::kReply:
        replies.push_back(*link::DecodeMessage<link::Reply>(frame.payload));
        break;
      case link::Channel::kRefusal:
        refusals.push_back(*link::DecodeMessage<link::Refusal>(frame.payload));
        break;
      case link::Channel::kTelemetry:
        telemetry = *link::DecodeMessage<link::Telemetry>(frame.payload);
        ++telemetry_count;
        telemetry_bytes = frame.payload.size();
        break;
      case link::Channel::kEvent:
        TakeEvent(*link::DecodeMessage<link::Event>(frame.payload));
        break;
      default:
        break;
    }
  }
  void TakeEvent(const link::Event& event) {
    ++event_frames;
    if (events.empty() || event.id > events.back().id) events.push_back(event);
    if (acknowledge) ack = static_cast<uint16_t>(events.back().id);
  }

  link::FrameDecoder decoder;
};

}  // namespace faraday::firmware
