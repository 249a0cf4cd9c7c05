// libFuzzer target: config pushes through RackCore's line. Each begins with a byte that says whether the rest is a
// Configure's Protobuf bytes or its numbers. Promises (link.proto, design 9): what is taken is within the board's
// ceilings and no value of it is looser than what was asked; a refusal leaves the config before as it was, entirely;
// the CRC is that of the accepted bytes.
#include <array>
#include <cstdint>
#include <vector>

#include "base/fuzz.h"
#include "firmware/core/fake_nvm.h"
#include "firmware/core/fuzz_ceilings.h"
#include "firmware/core/rack_core.h"
#include "link/codec.h"

namespace {

using namespace faraday::firmware;  // NOLINT: this file is about nothing else
using faraday::FuzzInput;
namespace link = faraday::link;
using Bytes = std::span<const uint8_t>;

constexpr size_t kSlots = 24;  // fewer than a message can name

// A RackCore with its term open, and the latest answer of each kind.
class Line {
 public:
  Line() : core_(BoardFacts{.name = "fuzz", .session = 9, .slots = kSlots}, nvm_, nullptr) {
    const std::vector<SlotFacts> places(kSlots, SlotFacts{.capabilities = 0x7FF});
    core_.Boot(places, 0);
    Send({.channel = link::Channel::kHello}, Encode(link::Hello{.rack = "r01", .host_version = "fuzz", .nonce = 1}));
  }
  const RackCore& core() const { return core_; }

  link::Reply Push(Bytes command) {
    Send({.channel = link::Channel::kCommand, .session = 9, .term = 1, .seq = ++seq_}, command);
    FARADAY_PROMISE(reply_seq_ == seq_, "every command is answered");
    return reply_;
  }
  template <typename Message>
  static std::vector<uint8_t> Encode(const Message& message) {
    std::vector<uint8_t> bytes(link::kMaxPayload);
    const auto length = link::EncodeMessage(message, bytes);
    FARADAY_PROMISE(length.ok(), "the message fits");
    bytes.resize(*length);
    return bytes;
  }

 private:
  void Send(const link::FrameHeader& header, Bytes payload) {
    std::array<uint8_t, link::kMaxWire> wire{};
    const auto length = link::EncodeFrame(header, payload, wire);
    if (!length.ok()) return;
    core_.OnBytes(Bytes(wire).first(*length));
    for (auto front = core_.tx().Front(); !front.empty(); front = core_.tx().Front()) {
      for (const uint8_t byte : front) Take(byte);
      core_.tx().Pop(front.size());
    }
  }
  void Take(uint8_t byte) {
    if (decoder_.Feed(byte) != link::FrameDecoder::Outcome::kFrame) return;
    if (decoder_.frame().header.channel != link::Channel::kReply) return;
    reply_ = *link::DecodeMessage<link::Reply>(decoder_.frame().payload);
    reply_seq_ = decoder_.frame().header.seq;
  }

  FakeNvm nvm_;
  RackCore core_;
  link::FrameDecoder decoder_;
  uint16_t seq_ = 0;
  uint16_t reply_seq_ = 0;
  link::Reply reply_;
};

bool Same(const SlotConfig& a, const SlotConfig& b) {
  return a.limit_ma == b.limit_ma && a.safe_state == b.safe_state && a.rail == b.rail;
}
bool Same(const BoardConfig& a, const BoardConfig& b) {
  const auto whole = [](const BoardConfig& c) {
    return std::array<uint32_t, 9>{c.accepted,
                                   c.crc,
                                   c.rack_budget_ma,
                                   c.stagger_ms,
                                   c.min_off_ms,
                                   c.host_silent_ms,
                                   c.host_silent_max_ms,
                                   c.charge_on_ms,
                                   c.charge_period_ms};
  };
  return whole(a) == whole(b) && a.rail_budget_ma == b.rail_budget_ma &&
         std::equal(a.slots.begin(), a.slots.end(), b.slots.begin(), [](auto& x, auto& y) { return Same(x, y); });
}

// What is in force, against the ceilings; whoever asked for what.
void CheckCeilings(const BoardConfig& config) {
  for (const SlotConfig& slot : config.slots) {
    FARADAY_PROMISE(slot.limit_ma <= 3000, "a slot's limit is at most 3 A");
    FARADAY_PROMISE(slot.limit_ma == 0 || slot.rail < link::kMaxRails, "a fitted slot's rail exists");
  }
  for (const uint32_t ma : config.rail_budget_ma) FARADAY_PROMISE(ma <= 20'000, "a rail gives at most 20 A");
  FARADAY_PROMISE(config.rack_budget_ma <= 160'000, "a board gives at most 160 A");
  FARADAY_PROMISE(config.stagger_ms >= 50, "stagger is at least 50 ms");
  FARADAY_PROMISE(config.min_off_ms >= 500, "VBUS is off for at least 500 ms");
  FARADAY_PROMISE(config.host_silent_ms >= 1000 && config.host_silent_ms <= 60'000, "silence counts within a minute");
  FARADAY_PROMISE(config.host_silent_max_ms <= 3'600'000, "silence ends leases within an hour");
  FARADAY_PROMISE(config.min_on_ms >= 200, "two turn-ons are far enough apart for a host to see both");
  FARADAY_PROMISE(config.tray_warn_deci_c <= 400 && config.tray_trip_deci_c <= 500, "heat trips at 50 degC at most");
  FARADAY_PROMISE(config.charge_period_ms >= 1000, "the charge duty has a period");
}

// No value in force is looser than the one asked for; 0 means the default where 0 makes no sense.
void CheckAsked(const BoardConfig& config, const link::Configure& asked) {
  for (size_t i = 0; i < kSlots; ++i) {
    const SlotConfig& slot = config.slots[i];
    FARADAY_PROMISE(slot.limit_ma == EntryOf(asked.current_limit_ma, i), "a slot has the limit asked for");
    if (slot.limit_ma == 0) continue;
    FARADAY_PROMISE(static_cast<uint32_t>(slot.safe_state) == EntryOf(asked.safe_state, i), "the safe state asked for");
    FARADAY_PROMISE(slot.rail == EntryOf(asked.rail, i), "the rail asked for");
  }
  for (size_t i = 0; i < asked.rail_budget_ma.size(); ++i) {
    FARADAY_PROMISE(config.rail_budget_ma[i] == OrDefault(asked.rail_budget_ma[i], 20'000),
                    "the rail budget asked for");
  }
  FARADAY_PROMISE(config.rack_budget_ma == OrDefault(asked.rack_budget_ma, 160'000), "the rack budget asked for");
  FARADAY_PROMISE(config.stagger_ms == asked.stagger_ms && config.min_off_ms == asked.min_off_ms,
                  "the times asked for");
}

void Push(Line& line, Bytes command) {
  const BoardConfig before = line.core().config();
  const link::Reply reply = line.Push(command);
  const BoardConfig& after = line.core().config();
  CheckCeilings(after);
  const auto decoded = link::DecodeMessage<link::Command>(command);
  const auto* asked = decoded.ok() && decoded->id != 0 ? std::get_if<link::Configure>(&decoded->call) : nullptr;
  const bool sound = asked != nullptr && WithinCeilings(*asked, kSlots);
  if (!sound) {
    FARADAY_PROMISE(asked == nullptr || reply.verdict != link::Verdict::kOk, "what is looser is refused");
    FARADAY_PROMISE(Same(before, after), "a refusal leaves the config before");
    return;
  }
  FARADAY_PROMISE(reply.verdict == link::Verdict::kOk, "what is within the ceilings is taken");
  CheckAsked(after, *asked);
  FARADAY_PROMISE(after.accepted && after.crc == link::Crc32(Line::Encode(*asked)) && reply.value == after.crc,
                  "the CRC is that of the accepted config");
}

link::Configure FromNumbers(FuzzInput& in) {
  link::Configure config;
  config.rack_budget_ma = in.Word(3);
  config.stagger_ms = in.Word(2);
  config.min_off_ms = in.Word(2);
  config.host_silent_ms = in.Word(2);
  config.host_silent_max_ms = in.Word(3);
  config.charge_on_ms = in.Word(4);
  config.charge_period_ms = in.Word(4);
  for (uint32_t rails = in.Below(9); rails > 0; --rails) config.rail_budget_ma.push_back(in.Word(2));
  for (uint32_t slots = in.Below(33); slots > 0; --slots) {
    config.current_limit_ma.push_back(in.Word(2));
    config.safe_state.push_back(in.Byte() % 5U);
    config.rail.push_back(in.Byte() % 9U);
  }
  if (in.done()) return config;
  config.tray_warn_deci_c = in.Word(2);
  config.tray_trip_deci_c = in.Word(2);
  config.relay_warn_count = in.Word(4);
  config.min_on_ms = in.Word(2);
  for (uint32_t slots = in.Below(33); slots > 0; --slots) config.soft_limit_ma.push_back(in.Word(2));
  for (uint32_t rules = in.Below(17); rules > 0; --rules) config.input_rules.push_back(in.Word(4));
  return config;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput in(Bytes(data, size));
  Line line;
  for (int pushes = 0; pushes < 8 && !in.done(); ++pushes) {
    const uint8_t kind = in.Byte();
    if (kind >= 128)
      Push(line, in.Bytes(in.Word(2) % link::kMaxPayload));
    else
      Push(line, Line::Encode(link::Command{.id = 1U + kind, .call = FromNumbers(in)}));
  }
  return 0;
}
