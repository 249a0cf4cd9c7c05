// Care's discovery: once after the handshake and after each lease's end, a free slot is powered and connected to its
// first host so that the agent can read the phone's facts; then it rests in its safe state. At most 8 slots at once.
// A lease ends a slot's discovery at any moment. One thread, time as an argument.
#pragma once

#include <cstdint>
#include <map>

#include "controller/core/rack_parts.h"

namespace faraday::controller {

inline constexpr int kDiscoveriesAtOnce = 8;            // chosen: inrush and adb load stay small
inline constexpr Milliseconds kDiscoveryLimit{45'000};  // chosen: the slowest phones boot in about 40 s

class Care {
 public:
  explicit Care(RackParts& parts) : parts_(parts) {}

  // The slot wants a discovery when it is free and its agent is there.
  void Due(int slot) { slots_[slot].state = State::kDue; }
  // For every slot of a board whose MCU has reset; `all` false: only those whose discovery was cut off.
  void BoardReady(int board, bool all);
  void BoardDown(int board);
  // The slot has another holder, or is stopped.
  void Drop(int slot);
  // The line was lost in the middle of the slot's discovery; true until the board is ready again.
  bool WasCut(int slot) const;
  // True while care holds the slot connected for its agent to look.
  bool Connected(int slot) const;
  // "discovery: waiting for the phone's facts", empty when it rests.
  std::string ReasonOf(int slot) const;
  void OnFacts(int slot, const DeviceFacts& facts, Now now);
  void OnTime(Now now);

 private:
  enum class State : uint8_t { kRests, kDue, kPowering, kConnecting, kConnected, kEnding };
  struct Slot {
    State state = State::kRests;
    uint32_t epoch = 0;
    BootTime began;
    BootTime connected;
    bool cut = false;
  };
  bool MayBegin(int slot) const;
  void Begin(int slot, Now now);
  void Step(int slot, State next, decltype(link::Command::call) call, const char* what, Now now);
  void OnStep(int slot, uint32_t epoch, State step, const Outcome& outcome, Now now);
  void End(int slot, Now now);
  void Rest(int slot, Now now);
  int Running() const;

  RackParts& parts_;
  std::map<int, Slot> slots_;
};

}  // namespace faraday::controller
