// Stopping the whole rack and ending the stop. A stop waits for nothing: frame and command to every board first, the
// store and the leases after. It is kept in the store, so a board that comes back, or whose MCU has reset, is stopped
// again. One thread, time as an argument.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/care.h"
#include "controller/core/grants.h"

namespace faraday::controller {

inline constexpr Milliseconds kStoreStopAgain{2'000};  // chosen
inline constexpr Milliseconds kStopMeasured{1'500};    // VBUS falls below 0.8 V within 1 s, relays move; as kReadBack

struct RackOutcome {
  uint32_t slots_off = 0;  // measured below 0.8 V
  uint32_t slots_on = 0;   // measured otherwise, or not at all
};

class RackStop {
 public:
  RackStop(RackParts& parts, Care& care, Grants& grants) : parts_(parts), care_(care), grants_(grants) {}

  // Every slot off, latched; ends every lease. Answers with what is measured then, boards out of reach included.
  // Errors: kPermissionDenied, kInvalidArgument (no reason); the store's, though the hardware has stopped.
  void Stop(const CallContext& context, const std::string& reason, Answer<RackOutcome> answer, Now now);
  // Ends the stop; care's slots go to their safe state. Errors: as Stop; kFailedPrecondition while a stop button is
  // pressed, an input that stops is active, or a board says no; kUnavailable without a board's line.
  void Resume(const CallContext& context, const std::string& reason, Answer<RackOutcome> answer, Now now);

  // A stop in force reaches a board that was away.
  void OnBoardReady(int board, Now now);
  void OnTime(Now now);

 private:
  // An answer that waits until enough is measured.
  struct Waiting {
    Now begun;
    std::function<bool()> enough;
    std::function<void(Now)> finish;
  };
  void EndLeases(const CallContext& context, const std::string& why, Status* first, Now now);
  Status MayResume() const;
  void Resumed(const CallContext& context, const std::string& reason, const Answer<RackOutcome>& answer, Now now);
  RackOutcome Measure(Now now) const;
  bool AllStopped(Now since) const;
  void StopAgain(Now now);
  void StoreAgain(Now now);
  AuditLine Line(const CallContext& context, const char* call, const std::string& text, Now now) const;

  RackParts& parts_;
  Care& care_;
  Grants& grants_;
  std::vector<Waiting> waiting_;
  uint32_t stops_ = 0;                 // how many were asked for; a resume ends none that came after it
  std::optional<AuditLine> unstored_;  // of a stop that the store did not take yet
  BootTime store_again_;
};

}  // namespace faraday::controller
