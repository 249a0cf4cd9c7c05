// One attempt of a job, from the lab's wish to the lab's acknowledgement: a state machine over Phase.
//
// It is not the command's supervisor (that is faraday-runner) and reads no clock. A lease that is lost, by its own
// count or by the controller's word, ends the command at once; everything after the command is done as far as the
// world still answers. Runs in the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "agent/core/ports.h"
#include "agent/core/wishes.h"
#include "base/clock.h"

namespace faraday::agent {

inline constexpr Milliseconds kRenewEvery{20'000};   // design section 4: lease 60 s, renewed every 20 s
inline constexpr Milliseconds kRenewRetry{2'000};    // chosen: ten tries before a lease of 60 s is lost
inline constexpr Milliseconds kCallRetry{1'000};     // chosen
inline constexpr Milliseconds kProbeRetry{500};      // chosen
inline constexpr Milliseconds kSecondSample{2'000};  // chosen: after the load of a starting test has settled

class Attempt {
 public:
  Attempt(AttemptRecord record, const Ports& ports);

  const AttemptRecord& record() const { return record_; }
  // The adb session belongs to it.
  bool wants_session() const { return record_.phase >= Phase::kDevice && record_.phase <= Phase::kProbe; }
  // Something of its epoch may still touch the slot.
  bool holds_slot() const { return record_.phase < Phase::kCollect; }
  bool gone() const { return record_.phase == Phase::kGone; }

  // Takes up a record of an earlier agent: a running command is adopted, preparation starts anew.
  void TakeUp(BootTime now);
  // What the controller says of its slot.
  void OnSlot(const SlotWish& wish, BootTime now);
  void OnFacts(const Facts& facts, BootTime now);
  void OnRunEnded(const RunEnd& end, BootTime now);
  // Ends it as CANCELLED; nothing happens when the command is already through.
  void Cancel(const std::string& reason, BootTime now);
  // Ends it as LEASE_LOST without asking anyone; nothing happens when the lease is no longer needed.
  void LoseLease(const std::string& reason, BootTime now);
  void Tick(BootTime now, UtcTime utc);

 private:
  struct Step;
  static const Step& StepOf(Phase phase);
  bool LeaseMatters() const { return record_.phase > Phase::kLease && record_.phase < Phase::kCollect; }

  // One each phase that does something; called while not busy, again after each failure that may pass.
  void SampleBefore();
  void SwitchPower();
  void ConnectData();
  void StartRun();
  void ProbePhone();
  void SampleAfter();
  void OpenData();
  void ReleaseLease();
  void CollectFiles();
  void UploadFiles();

  void Enter(Phase phase);
  void Next() { Enter(static_cast<Phase>(static_cast<int>(record_.phase) + 1)); }
  // Decides the outcome, unless one stands, and goes where the rest is done.
  void Finish(Outcome outcome, const std::string& reason);
  void Settle(const Status& status);       // of a step before the command: retry, lease lost, or infrastructure
  void SettleAfter(const Status& status);  // of a step after it: retry until its limit, then go on
  void OnLate();
  void JudgeRun(const RunEnd& end);
  void JudgeFiles(const Collected& collected);
  void LookAtPhone();
  void SampleDuring();
  void Renew();
  void OnRenewed(const Result<BootTime>& end, BootTime asked);
  void SendReport();
  std::map<std::string, std::string> JobEnvironment() const;
  // Wraps a callback so that it does nothing when this object, or the phase it was for, is gone.
  template <typename Answer, typename Callback>
  std::function<void(Answer)> InPhase(Callback callback);
  void Changed() { dirty_ = true; }

  AttemptRecord record_;
  Ports ports_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  BootTime now_{};
  UtcTime utc_{};
  BootTime entered_{};
  BootTime retry_at_{};
  bool busy_ = false;         // a call of this phase is under way
  std::string last_problem_;  // why the newest call failed
  Facts facts_;
  std::optional<BootTime> lease_end_;
  bool losing_lease_ = false;  // the runner has been told that its time is over
  BootTime renew_at_{};
  bool renewing_ = false;
  int during_samples_ = 0;
  bool dirty_ = true;  // the lab has not heard the newest record
  bool reporting_ = false;
  BootTime report_at_{};
};

}  // namespace faraday::agent
