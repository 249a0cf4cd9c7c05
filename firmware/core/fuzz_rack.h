// A RackCore with everything around it that a fuzz input can bend: parts, memory, clock, and a host at the line that
// completes hellos, numbers and CRCs by itself, so that random input gets deep. The Witness sees all of it.
// Host test builds only.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "base/fuzz.h"
#include "firmware/core/fake_nvm.h"
#include "firmware/core/fuzz_witness.h"
#include "link/codec.h"

namespace faraday::firmware {

// One slot's parts: how they answer from now on.
struct FuzzPart {
  bool no_monitor = false;
  bool no_expander = false;
  bool stuck_relay = false;
  bool shorted = false;
  uint32_t ma_on = 500;
  uint32_t mv_on = 5000;
  int32_t deci_c = 250;
  uint8_t stuck_outputs = 0;  // bits that read back as on
};

// What happens to a frame's bytes on their way.
struct Damage {
  enum class Kind : uint8_t { kNone, kFlip, kCut, kInsert, kTwice } kind = Kind::kNone;
  uint32_t at = 0;
  uint8_t with = 0;
};

class FuzzRack {
 public:
  // 1 to 32 slots; `mask` varies which parts they have.
  FuzzRack(size_t slots, uint8_t mask);

  // ---- the board's side ----
  // `ms` passes of a millisecond, all sensors read in each.
  void Run(uint32_t ms);
  // One pass that took that long, then all sensors once.
  void Leap(uint32_t ms);
  void Current(size_t slot, uint32_t ma);
  void Temperature(size_t slot, int32_t deci_c);
  void ReadBack(size_t slot, uint8_t bits);
  void Inputs(uint32_t inputs);
  // Bit n: the supply of rail n is good.
  void Supplies(uint32_t ok);
  void StopButton(bool pressed);
  void BusLost(size_t bus, bool lost);
  void RailVoltage(size_t slot, uint32_t mv);
  void HotSwapOff(size_t slot);
  // The MCU resets; the memory stays as it is.
  void Reset();
  // The power goes in the middle of what a lease command writes, after `bytes` of it.
  void CutPowerWhile(const link::SetLease& lease, size_t bytes);
  void SetMemory(bool read_only, int failures);

  // ---- the host's side ----
  void Hello(uint32_t nonce, const char* rack);
  // The next command; a hello first when the line is not open. Bytes are damaged as told.
  void Command(const decltype(link::Command::call)& call, const Damage& damage = {});
  // The next command with any payload.
  void CommandBytes(std::span<const uint8_t> payload);
  void Keepalive(uint32_t away_ms);
  // The newest command again, or one `back` before it.
  void Repeat(uint32_t back);
  void Send(const link::FrameHeader& header, std::span<const uint8_t> payload, const Damage& damage = {});
  link::FrameHeader Header(link::Channel channel) const;
  void Bytes(std::span<const uint8_t> bytes);
  void StopReading() { reading_ = false; }
  void Read(size_t bytes);
  void ReadAll();
  // 0: acknowledges what it holds, 1: never, 2: something else.
  void AcknowledgeAs(uint32_t how) { acknowledging_ = how % 3; }

  size_t slots() const { return parts_.size(); }
  uint32_t epoch(size_t slot) const { return witness_.epoch(slot); }
  uint16_t due_seq() const { return witness_.due_seq(); }
  FuzzPart& part(size_t slot) { return parts_[slot]; }
  // Everything that is owed arrives: replies, and the end of every accepted command.
  void Finish();
  // One line to stderr: time, term, and the slots with something on.
  void Trace() const;

 private:
  struct Sent {
    uint16_t seq = 0;
    std::vector<uint8_t> payload;
  };
  struct Owed {
    uint32_t answers = 0;  // what may still come: the reply, and one for each repetition
    bool seen = false;
    link::Reply reply;
  };

  void Boot();
  void Sense();
  void SenseSlot(size_t slot);
  void FeedFrame(std::span<const uint8_t> bytes);
  void Expect(const link::FrameView& frame);
  void ExpectGap(uint16_t ack);
  void Collect();
  void Take(std::span<const uint8_t> bytes);
  void TakeFrame(const link::FrameView& frame);
  void TakeReply(const link::FrameView& frame);
  void TakeEvent(const link::Event& event);
  void TakeTelemetry(const link::Telemetry& telemetry);
  uint16_t Ack() const;

  FakeNvm nvm_;
  std::vector<uint32_t> capabilities_;
  std::vector<FuzzPart> parts_;
  Witness witness_;
  std::optional<RackCore> core_;
  uint32_t now_ms_ = 0xFFFF'F000;  // the clock wraps soon
  uint32_t boots_ = 0;
  bool memory_sound_ = true;

  link::FrameDecoder shadow_;  // reads what the firmware reads
  link::FrameDecoder decoder_;
  bool reading_ = true;
  uint32_t acknowledging_ = 0;
  Answers answers_;
  uint32_t session_ = 0;
  uint32_t term_ = 0;
  uint32_t next_id_ = 1;
  uint32_t nonce_ = 0;
  std::vector<Sent> sent_;
  std::vector<std::pair<uint16_t, Owed>> owing_;  // of this term, newest last
  uint32_t held_event_ = 0;                       // all up to here were seen
  uint32_t acknowledged_event_ = 0;               // what the host said to hold, seen or not
  std::vector<link::Event> events_;               // as seen first, the newest few
  uint32_t telemetry_number_ = 0;
};

}  // namespace faraday::firmware
