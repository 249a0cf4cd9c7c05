// The end of the controller's own silence: a board that had not heard it is told that it is back, and slots whose
// outputs the silence took get back what their holder last commanded, as new commands, when the lease still runs. What
// protection, a stop, a reset or a command took stays off. One thread, time as an argument.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "controller/core/grants.h"

namespace faraday::controller {

inline constexpr Milliseconds kEventsBeforeRestore{1'000};  // what happened meanwhile comes first; chosen

class Silence {
 public:
  Silence(RackParts& parts, const Grants& grants) : parts_(parts), grants_(grants) {}

  // A command under the lease of `epoch` has ended: what is commanded now is what its holder wants.
  void Learn(int slot, uint32_t epoch, Now now);
  // Nothing is given back to the slot after a silence, until Learn.
  void Forget(int slot, Now now);
  void OnEvent(int board, const link::Event& event, Now now);
  void OnTelemetry(int board, Now now);
  void OnBoardReady(int board) { boards_[board] = {}; }
  void OnTime(Now now);

 private:
  enum class State : uint8_t { kHeard, kClearing, kCleared, kCannot };
  struct BoardState {
    State state = State::kHeard;
    BootTime restore_at;
  };
  using Call = decltype(link::Command::call);
  struct Step {
    Call call;
    std::string what;
  };
  void OnCleared(int board, const Outcome& outcome, Now now);
  bool MayRestore(int slot, Now now) const;
  std::vector<Step> StepsFor(int slot) const;
  void Restore(int slot, Now now);
  void Run(int slot, std::vector<Step> steps, size_t at, Now now);
  // Protection took the outputs: nobody gives them back but the holder.
  void Store(int slot, const Wanted& wanted, Now now);

  RackParts& parts_;
  const Grants& grants_;
  std::map<int, BoardState> boards_;
  std::set<int> unsure_;  // what the store holds of these may be old: nothing is restored
};

}  // namespace faraday::controller
