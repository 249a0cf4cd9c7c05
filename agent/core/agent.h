// The agent's decisions: what controllers and lab want, against what runs here. Pure: time is an argument, everything
// else goes through the ports. Runs in the loop's thread.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/core/attempt.h"
#include "agent/core/ports.h"
#include "agent/core/wishes.h"

namespace faraday::agent {

inline constexpr Milliseconds kReportEvery{10'000};  // design section 8
inline constexpr Milliseconds kReportRetry{1'000};   // chosen
inline constexpr size_t kEndedKept = 256;            // chosen: late answers of a lab's Sync never name older ones

class Agent {
 public:
  // `host` is this computer's name in the rack configs.
  Agent(std::string host, const Ports& ports);

  // What an earlier agent left, before any other event.
  void TakeUp(std::vector<AttemptRecord> records, std::map<std::string, uint32_t> epochs, BootTime now);
  // The controller may have been restarted: it is told everything again.
  void OnRackBack(int controller);
  // The complete list of one controller's slots that this host can reach.
  void OnRackSync(int controller, const std::vector<SlotWish>& slots, BootTime now);
  // The complete list of attempts that shall run here.
  void OnLabSync(const std::vector<AttemptWish>& attempts, BootTime now);
  void OnFacts(const std::string& slot, const Facts& facts, BootTime now);
  void OnRunEnded(const std::string& attempt, const RunEnd& end, BootTime now);
  // About ten times a second.
  void Tick(BootTime now, UtcTime utc);

  const Attempt* FindAttempt(const std::string& attempt) const;
  // Slots whose adb session a running attempt needs.
  std::set<std::string> SlotsInUse() const;
  size_t attempt_count() const { return attempts_.size(); }
  const std::map<std::string, uint32_t>& epochs_seen() const { return epochs_; }

 private:
  struct SlotEntry {
    SlotWish wish;
    int controller = 0;
    Facts facts;
    bool facts_unsaid = false;  // the controller has not heard the newest
    bool cleared_said = false;  // since the newest answer of the controller
  };
  struct ControllerEntry {
    bool reporting = false;
    bool dirty = true;
    BootTime regular_at{};  // the next report without news
    BootTime not_before{};  // after a report that failed
  };

  // True when it is news, which the journal must keep.
  bool SeeEpoch(const std::string& slot, uint32_t epoch);
  Attempt* AttemptOn(const std::string& slot);
  bool WantsSession(const SlotEntry& entry);
  bool Cleared(const SlotEntry& entry);
  void ReconcileSlot(SlotEntry& entry, BootTime now);
  void SendReport(int controller, ControllerEntry& entry, BootTime now);
  void OnReported(int controller, const Status& status);
  RackReport BuildReport(int controller);
  void DropEnded();

  std::string host_;
  Ports ports_;
  std::map<std::string, SlotEntry> slots_;
  std::map<int, ControllerEntry> controllers_;
  std::map<std::string, std::unique_ptr<Attempt>> attempts_;
  std::map<std::string, uint32_t> epochs_;  // slot -> largest seen
  std::deque<std::string> ended_;           // attempts that must not start again
  BootTime now_{};
};

}  // namespace faraday::agent
