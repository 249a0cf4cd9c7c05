// libFuzzer target: an input is a list of ops on a whole RackCore, its parts, its memory, its clock and its line; the
// Witness checks every promise after each. Op bytes are small numbers: kOps below is the format.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>

#include "base/fuzz.h"
#include "firmware/core/fuzz_rack.h"

namespace {

using namespace faraday::firmware;  // NOLINT: this file is about nothing else
using faraday::FuzzInput;
namespace link = faraday::link;

constexpr size_t kMostOps = 400;             // chosen: an input ends within a tenth of a second
constexpr uint32_t kMostLeapMs = 7'300'000;  // a charge period and a bit

uint32_t SlotNumber(FuzzInput& in, const FuzzRack& rack) {
  const uint8_t byte = in.Byte();
  if (byte == 0xFF) return 0;
  if (byte == 0xFE) return static_cast<uint32_t>(rack.slots() + 1);
  return static_cast<uint32_t>(1 + byte % rack.slots());
}
size_t SlotIndex(FuzzInput& in, const FuzzRack& rack) { return in.Byte() % rack.slots(); }

// Mostly the holder's.
uint32_t EpochOf(uint32_t slot, FuzzInput& in, const FuzzRack& rack) {
  const uint32_t current = slot >= 1 && slot <= rack.slots() ? rack.epoch(slot - 1) : 1;
  const uint8_t byte = in.Byte();
  if (byte < 200) return current;
  return byte < 230 ? current - 1 : current + 1;
}
uint32_t NextEpochOf(uint32_t slot, FuzzInput& in, const FuzzRack& rack) {
  const uint32_t current = slot >= 1 && slot <= rack.slots() ? rack.epoch(slot - 1) : 1;
  const uint8_t byte = in.Byte();
  if (byte < 100) return current != 0 ? current : 1;
  if (byte < 230) return current + 1;
  constexpr uint32_t kOdd[] = {0, 1, 0x10000, 0xFFFFFFFE, 0xFFFFFFFF};
  return in.Of(kOdd);
}

// Small numbers and their neighbours around what the firmware compares with.
uint32_t Milliseconds(FuzzInput& in) {
  constexpr uint32_t kTimes[] = {0,   1,   20,   49,   50,   51,     100,    300,    499,     500,
                                 501, 999, 1000, 1200, 1500, 10'000, 20'000, 60'000, 600'000, 7'200'000};
  const uint8_t byte = in.Byte();
  return byte < 200 ? kTimes[byte % std::size(kTimes)] : in.Word(3);
}

Damage DamageOf(FuzzInput& in) {
  return {.kind = static_cast<Damage::Kind>(1 + in.Below(4)), .at = in.Word(2), .with = in.Byte()};
}

link::Configure SoundConfig(size_t slots, uint32_t safe_states, uint32_t rails) {
  link::Configure config;
  for (size_t i = 0; i < slots; ++i) {
    config.current_limit_ma.push_back(2000);
    config.safe_state.push_back(static_cast<uint32_t>((safe_states + i) % 3));
    config.rail.push_back(static_cast<uint32_t>(i % rails));
  }
  for (uint32_t i = 0; i < rails; ++i) config.rail_budget_ma.push_back(5000);
  config.rack_budget_ma = 9000;
  config.stagger_ms = 100;
  config.min_off_ms = 500;
  config.charge_on_ms = 3000;
  config.charge_period_ms = 9000;
  return config;
}

// One value of a config that would pass, bent.
void BendConfig(FuzzInput& in, link::Configure& config) {
  using Whole = uint32_t link::Configure::*;
  constexpr Whole kWhole[] = {&link::Configure::rack_budget_ma,
                              &link::Configure::stagger_ms,
                              &link::Configure::min_off_ms,
                              &link::Configure::host_silent_ms,
                              &link::Configure::host_silent_max_ms,
                              &link::Configure::charge_on_ms,
                              &link::Configure::charge_period_ms};
  constexpr link::SlotColumn link::Configure::*kColumns[] = {
      &link::Configure::current_limit_ma, &link::Configure::safe_state, &link::Configure::rail};
  const uint32_t which = in.Below(12);
  if (which < std::size(kWhole)) {
    config.*kWhole[which] = in.Flip() ? Milliseconds(in) : in.Word(3);
  } else if (which < 10) {
    auto& column = config.*kColumns[which - 7];
    if (column.empty()) return;
    const size_t at = in.Byte() % column.size();
    column[at] = in.Flip() ? in.Below(4) : in.Word(2);
  } else if (which == 10) {
    config.rail_budget_ma[in.Byte() % config.rail_budget_ma.size()] = in.Word(2);
  } else {
    config.current_limit_ma.resize(in.Below(34));
  }
}

// ---- ops ----

void Run(FuzzInput& in, FuzzRack& rack) { rack.Run(1 + in.Below(24)); }
void Leap(FuzzInput& in, FuzzRack& rack) { rack.Leap(Milliseconds(in) % kMostLeapMs); }
void Steps(FuzzInput& in, FuzzRack& rack) {
  constexpr uint32_t kSteps[] = {10, 25, 50};
  const uint32_t step = in.Of(kSteps);
  for (uint32_t n = in.Below(60); n > 0; --n) rack.Leap(step);
}

void Hello(FuzzInput& in, FuzzRack& rack) {
  const uint8_t byte = in.Byte();
  rack.Hello(byte, byte == 0xFF ? "r02" : byte == 0xFE ? "" : "r01");
}
void Configure(FuzzInput& in, FuzzRack& rack) {
  const uint8_t byte = in.Byte();
  auto config = SoundConfig(rack.slots(), byte % 3, 1 + byte / 3 % 4);
  for (uint32_t bends = byte / 64; bends > 0; --bends) BendConfig(in, config);
  rack.Command(config);
}
void SetLease(FuzzInput& in, FuzzRack& rack) {
  link::SetLease lease{.slot = SlotNumber(in, rack)};
  lease.epoch = NextEpochOf(lease.slot, in, rack);
  const uint8_t byte = in.Byte();
  lease.duration_ms = byte < 128 ? 0 : Milliseconds(in);
  lease.to_safe_state = byte % 2 != 0;
  rack.Command(lease);
}
void SetVbus(FuzzInput& in, FuzzRack& rack) {
  link::SetVbus call{.slot = SlotNumber(in, rack)};
  call.epoch = EpochOf(call.slot, in, rack);
  call.on = in.Below(4) != 0;
  rack.Command(call);
}
void CycleVbus(FuzzInput& in, FuzzRack& rack) {
  link::CycleVbus call{.slot = SlotNumber(in, rack)};
  call.epoch = EpochOf(call.slot, in, rack);
  call.off_ms = Milliseconds(in);
  rack.Command(call);
}
void SetData(FuzzInput& in, FuzzRack& rack) {
  link::SetData call{.slot = SlotNumber(in, rack)};
  call.epoch = EpochOf(call.slot, in, rack);
  const uint8_t byte = in.Byte();
  call.path = static_cast<link::DataPath>(byte % 3);
  call.host_index = byte / 3 % 4 == 3 ? byte : byte / 3 % 2;
  rack.Command(call);
}
void SetShield(FuzzInput& in, FuzzRack& rack) {
  link::SetShield call{.slot = SlotNumber(in, rack)};
  call.epoch = EpochOf(call.slot, in, rack);
  call.couple = in.Below(4) != 0;
  rack.Command(call);
}
void StopSlot(FuzzInput& in, FuzzRack& rack) { rack.Command(link::StopSlot{.slot = SlotNumber(in, rack)}); }
void ClearTrip(FuzzInput& in, FuzzRack& rack) { rack.Command(link::ClearTrip{.slot = SlotNumber(in, rack)}); }
void Ping(FuzzInput& in, FuzzRack& rack) { rack.Command(link::Ping{.nonce = in.Byte()}); }
void Keepalive(FuzzInput& in, FuzzRack& rack) { rack.Keepalive(in.Flip() ? Milliseconds(in) : 0); }
// Slots ready for work in one op: hello, config, a lease or care for each.
void Ready(FuzzInput& in, FuzzRack& rack) {
  const uint8_t byte = in.Byte();
  rack.Command(SoundConfig(rack.slots(), byte % 3, 1 + byte / 3 % 4));
  for (uint32_t slot = 1; slot <= rack.slots(); ++slot) {
    rack.Command(
        link::SetLease{.slot = slot, .epoch = rack.epoch(slot - 1) + 1, .duration_ms = byte < 128 ? 0U : 60'000U});
  }
  for (int i = 0; i < 11; ++i) rack.Leap(50);
}

void Stop(FuzzInput&, FuzzRack& rack) { rack.Send({.channel = link::Channel::kStop}, link::kStopMagic); }
void RawBytes(FuzzInput& in, FuzzRack& rack) { rack.Bytes(in.Bytes(in.Below(64))); }
void CommandBytes(FuzzInput& in, FuzzRack& rack) { rack.CommandBytes(in.Bytes(in.Below(64))); }
void Damaged(FuzzInput& in, FuzzRack& rack) {
  const Damage damage = DamageOf(in);
  const uint32_t slot = SlotNumber(in, rack);
  const uint32_t epoch = slot >= 1 && slot <= rack.slots() ? rack.epoch(slot - 1) : 1;
  if (in.Flip())
    rack.Command(link::SetVbus{.slot = slot, .epoch = epoch, .on = true}, damage);
  else
    rack.Command(link::SetShield{.slot = slot, .epoch = epoch, .couple = true}, damage);
}
// A frame whose header is not in order, around a command that would act.
void OddHeader(FuzzInput& in, FuzzRack& rack) {
  link::FrameHeader header = rack.Header(static_cast<link::Channel>(in.Below(10)));
  const uint8_t odd = in.Byte();
  if ((odd & 1) != 0) header.session ^= in.Byte();
  if ((odd & 2) != 0) header.term += in.Below(5) - 2U;
  if ((odd & 4) != 0) header.protocol = in.Byte();
  const uint8_t seq = in.Byte();
  header.seq = seq < 192 ? rack.due_seq() : seq;
  header.flags = odd / 16;
  std::array<uint8_t, link::kMaxPayload> payload{};
  const uint32_t slot = SlotNumber(in, rack);
  const uint32_t epoch = slot >= 1 && slot <= rack.slots() ? rack.epoch(slot - 1) : 1;
  const link::Command command{.id = 0xFFFF'0000, .call = link::SetShield{.slot = slot, .epoch = epoch, .couple = true}};
  const auto length = link::EncodeMessage(command, payload);
  rack.Send(header, std::span<const uint8_t>(payload).first(*length));
}
void Repeat(FuzzInput& in, FuzzRack& rack) { rack.Repeat(in.Below(20)); }

void Current(FuzzInput& in, FuzzRack& rack) {
  const size_t slot = SlotIndex(in, rack);
  rack.Current(slot, in.Word(2));
}
void Temperature(FuzzInput& in, FuzzRack& rack) {
  const size_t slot = SlotIndex(in, rack);
  rack.Temperature(slot, static_cast<int32_t>(in.Word(2)) - 0x8000);
}
void ReadBack(FuzzInput& in, FuzzRack& rack) {
  const size_t slot = SlotIndex(in, rack);
  rack.ReadBack(slot, in.Byte());
}
void Inputs(FuzzInput& in, FuzzRack& rack) { rack.Inputs(in.Word(in.Flip() ? 1 : 4)); }
void BendPart(FuzzInput& in, FuzzRack& rack) {
  FuzzPart& part = rack.part(SlotIndex(in, rack));
  const uint8_t byte = in.Byte();
  switch (byte % 9) {
    case 0:
      part = {};
      break;
    case 1:
      part.no_monitor = !part.no_monitor;
      break;
    case 2:
      part.no_expander = !part.no_expander;
      break;
    case 3:
      part.stuck_relay = !part.stuck_relay;
      break;
    case 4:
      part.shorted = !part.shorted;
      break;
    case 5:
      part.ma_on = in.Word(2) % 4000;
      break;
    case 6:
      part.mv_on = in.Word(2) % 7000;
      break;
    case 7:
      part.deci_c = static_cast<int32_t>(in.Word(2) % 700);
      break;
    default:
      part.stuck_outputs = in.Byte();
      break;
  }
}
void StopReading(FuzzInput&, FuzzRack& rack) { rack.StopReading(); }
void Read(FuzzInput& in, FuzzRack& rack) {
  const uint8_t byte = in.Byte();
  if (byte < 128)
    rack.ReadAll();
  else
    rack.Read(byte);
}
void Acknowledge(FuzzInput& in, FuzzRack& rack) { rack.AcknowledgeAs(in.Byte()); }
void Reset(FuzzInput&, FuzzRack& rack) { rack.Reset(); }
void Memory(FuzzInput& in, FuzzRack& rack) {
  const uint8_t byte = in.Byte();
  rack.SetMemory(byte % 4 == 1, byte % 4 == 2 ? byte / 16 : 0);
}
void CutPower(FuzzInput& in, FuzzRack& rack) {
  const uint32_t slot = SlotNumber(in, rack);
  rack.CutPowerWhile({.slot = slot, .epoch = NextEpochOf(slot, in, rack)}, in.Below(24));
}

void ClearSilence(FuzzInput&, FuzzRack& rack) { rack.Command(link::ClearSilence{}); }
void Supplies(FuzzInput& in, FuzzRack& rack) { rack.Supplies(in.Flip() ? 0xFFU : in.Byte()); }
void StopButton(FuzzInput& in, FuzzRack& rack) { rack.StopButton(in.Below(4) == 0); }
void BusLost(FuzzInput& in, FuzzRack& rack) {
  const uint32_t bus = in.Below(8);
  rack.BusLost(bus, in.Flip());
}
void RailVoltage(FuzzInput& in, FuzzRack& rack) {
  const size_t slot = SlotIndex(in, rack);
  rack.RailVoltage(slot, 4800U + 10U * in.Byte());
}
void HotSwapOff(FuzzInput& in, FuzzRack& rack) { rack.HotSwapOff(SlotIndex(in, rack)); }

struct Op {
  const char* name;
  void (*act)(FuzzInput&, FuzzRack&);
};
constexpr Op kOps[] = {
    {"run", Run},
    {"leap", Leap},
    {"steps", Steps},
    {"hello", Hello},
    {"configure", Configure},
    {"set-lease", SetLease},
    {"set-vbus", SetVbus},
    {"cycle-vbus", CycleVbus},
    {"set-data", SetData},
    {"set-shield", SetShield},
    {"stop-slot", StopSlot},
    {"clear-trip", ClearTrip},
    {"ping", Ping},
    {"keepalive", Keepalive},
    {"ready", Ready},
    {"stop", Stop},
    {"raw-bytes", RawBytes},
    {"command-bytes", CommandBytes},
    {"damaged", Damaged},
    {"odd-header", OddHeader},
    {"repeat", Repeat},
    {"current", Current},
    {"temperature", Temperature},
    {"read-back", ReadBack},
    {"inputs", Inputs},
    {"bend-part", BendPart},
    {"stop-reading", StopReading},
    {"read", Read},
    {"acknowledge", Acknowledge},
    {"reset", Reset},
    {"memory", Memory},
    {"cut-power", CutPower},
    {"clear-silence", ClearSilence},
    {"supplies", Supplies},
    {"stop-button", StopButton},
    {"bus-lost", BusLost},
    {"rail-voltage", RailVoltage},
    {"hot-swap-off", HotSwapOff},
};

}  // namespace

// FARADAY_FUZZ_TRACE set: prints each op and what is on after it. Byte 0: how many slots; byte 1: which parts some of
// them lack; then ops.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput in(std::span<const uint8_t>(data, size));
  constexpr size_t kSlots[] = {4, 8, 1, 32};
  const size_t slots = in.Of(kSlots);
  FuzzRack rack(slots, in.Byte());
  const bool trace = std::getenv("FARADAY_FUZZ_TRACE") != nullptr;
  for (size_t ops = 0; ops < kMostOps && !in.done(); ++ops) {
    const Op& op = kOps[in.Byte() % std::size(kOps)];
    if (trace) std::fprintf(stderr, "%s\n", op.name);
    op.act(in, rack);
    if (trace) rack.Trace();
  }
  rack.Finish();
  return 0;
}
