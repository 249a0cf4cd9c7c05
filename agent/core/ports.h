// What the agent's core needs of the world. Each port has its means beside core/ and a fake in core/fake_ports.h.
//
// All calls return at once; answers come later through `done`, in the loop's thread, exactly once. `asked` in an answer
// is the boot time before the question was sent.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/core/wishes.h"
#include "base/result.h"

namespace faraday::agent {

// What a controller is told. Sent when something changed and at least every 10 s.
struct RackReport {
  std::vector<std::pair<std::string, Facts>> facts;       // slot, facts
  std::vector<std::pair<std::string, uint32_t>> cleared;  // slot, epoch
  std::map<std::string, uint32_t> epochs_seen;
};

// The controllers' calls. Errors are the controller's own, or kUnavailable / kDeadlineExceeded when it does not answer.
class RackCalls {
 public:
  virtual ~RackCalls() = default;
  virtual void Sample(const std::string& slot, std::function<void(Result<PowerSample>)> done) = 0;
  virtual void PowerOn(const std::string& slot, uint32_t epoch, std::function<void(Status)> done) = 0;
  // Connects the data path to this host, or opens it.
  virtual void SetData(const std::string& slot, uint32_t epoch, bool connect, std::function<void(Status)> done) = 0;
  // Gives the lease's new end, counted from before the question.
  virtual void Renew(const std::string& slot, const std::string& lease, std::function<void(Result<BootTime>)> done) = 0;
  virtual void Release(const std::string& slot, const std::string& lease, std::function<void(Status)> done) = 0;
  virtual void Report(int controller, const RackReport& report, std::function<void(Status)> done) = 0;
  // The calls about the slot are for this trace from now on; "": for none.
  virtual void SetTrace(const std::string& slot, const std::string& trace) = 0;
};

// The phones' adb sessions, one adb server a slot. Facts come back through Agent::OnFacts.
class Phones {
 public:
  virtual ~Phones() = default;
  // Starts a session, or leaves the one that runs for the same address.
  virtual void Start(const std::string& slot, const PhoneAddress& address) = 0;
  // Ends adb connections and the slot's server, also one that an earlier agent left; nothing to end is fine.
  virtual void End(const std::string& slot) = 0;
  // False when nothing of a session is left.
  virtual bool Active(const std::string& slot) const = 0;
  // Asks the phone right now, past any cached facts; kUnavailable says why it is not reachable.
  virtual void Probe(const std::string& slot, std::function<void(Status)> done) = 0;
};

// The attempts' commands. The end comes back through Agent::OnRunEnded, also after a restart of the agent.
class Runners {
 public:
  virtual ~Runners() = default;
  // Environment: FARADAY_* and ANDROID_* in `extra` win over the job's own.
  virtual Status Start(const AttemptRecord& record,
                       const std::map<std::string, std::string>& extra,
                       BootTime lease_end) = 0;
  virtual void SetLeaseEnd(const std::string& attempt, BootTime lease_end) = 0;
  // The newest end that was told, also by an agent before this one.
  virtual Result<BootTime> LeaseEnd(const std::string& attempt) = 0;
  // SIGTERM, 5 s, SIGKILL to everything the command started.
  virtual void Cancel(const std::string& attempt) = 0;
  // Takes up watching a runner that an earlier agent started.
  virtual void Adopt(const std::string& attempt) = 0;
};

// Log and artefacts: read here, sent to the lab.
class Spool {
 public:
  virtual ~Spool() = default;
  // The log is sent while it grows, from now on.
  virtual void FollowLog(const std::string& attempt) = 0;
  virtual void Collect(const AttemptRecord& record, std::function<void(Collected)> done) = 0;
  // Sends what is left; waits as long as the lab is away or has no room.
  virtual void Upload(const AttemptRecord& record, std::function<void(Uploaded)> done) = 0;
};

// The lab's calls.
class LabCalls {
 public:
  virtual ~LabCalls() = default;
  // `done(true)`: the lab does not want it (cancelled, unknown).
  virtual void Report(const AttemptRecord& record, std::function<void(Result<bool>)> done) = 0;
};

// The agent's memory over its own death.
class Journal {
 public:
  virtual ~Journal() = default;
  virtual void Keep(const AttemptRecord& record) = 0;
  // Removes everything of the attempt: folder, log, artefacts.
  virtual void Forget(const std::string& attempt) = 0;
  virtual void KeepEpochs(const std::map<std::string, uint32_t>& epochs) = 0;
};

struct Ports {
  RackCalls& rack;
  Phones& phones;
  Runners& runners;
  Spool& spool;
  LabCalls& lab;
  Journal& journal;
};

}  // namespace faraday::agent
