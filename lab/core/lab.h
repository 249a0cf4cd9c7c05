// The lab's mind: one queue of wishes, their placement, the reservations' and jobs' states, and what becomes of them
// when controllers and agents speak or fall silent. Events and time in; orders to the LeaseDesk, commits to the Store
// and notices out. It never reads a clock and never blocks but for the Store. One thread.
//
// A change that the store refuses did not happen: the caller gets the store's error, and what the lab found out by
// itself (a lease granted, a lease ended) is found out again from the next facts.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/core/facts.h"
#include "lab/core/lease_desk.h"
#include "lab/core/placement.h"
#include "lab/core/records.h"
#include "lab/core/store.h"

namespace faraday::lab {

// After a lease ended at the controller, this long without a word from the agent makes the attempt lost.
inline constexpr Milliseconds kAgentSilence{30'000};
// Wishes that may wait at one time, all users together (chosen: judging them all stays far below 50 ms).
inline constexpr size_t kMaxWaiting = 1000;
inline constexpr size_t kMaxKeysPerUser = 1000;

// What the lab did without a call, for the audit.
struct OwnAct {
  std::string act;  // "wish_cancelled", "lease_adopted"
  std::string on;   // "res-3", "job-12"
  std::string what;
  std::string why;
  std::string trace;  // of the record
};

// What the shell is told after a change is durable.
struct Notices {
  std::function<void(const Reservation&)> reservation_changed;
  std::function<void(const Job&)> job_changed;
  std::function<void(const OwnAct&)> acted = {};
};

// What a request that acts once carries; `key` empty: it carries none.
struct RequestKey {
  std::string key;
  std::string request_hash;
};

// A record and its place in the queue (1 is next, 0: not waiting).
struct ReservationView {
  Reservation reservation;
  uint32_t position = 0;
};
struct JobView {
  Job job;
  uint32_t position = 0;
};

class Lab {
 public:
  // `racks` are the names of the lab's racks; `run` differs in every run of the program and goes into order keys.
  Lab(Store& store, LeaseDesk& desk, std::vector<std::string> racks, std::string run, Notices notices);

  // Takes up the stored records. First call; the queue keeps its order and what is left of its waits.
  Status Start(Now now);

  // ---- people and CI -------------------------------------------------------------------------------------------
  // Queues and places at once when it can. Errors: kInvalidArgument (selector, bounds, key of another request),
  // kResourceExhausted (queue or keys full, disk full).
  Result<ReservationView> Reserve(Reservation wish, const RequestKey& key, Now now);
  Result<ReservationView> GetReservation(const std::string& id, Now now);
  // By its owner, a tech or an admin. Waiting: cancelled at once. Granted: its lease is released; CANCELLED once the
  // controller says so. Else unchanged.
  Result<ReservationView> CancelReservation(const std::string& id, const Person& by, Now now);

  Result<JobView> SubmitJob(
      const Person& person, JobSpec spec, const RequestKey& key, Now now, const std::string& trace = "");
  Result<JobView> GetJob(const std::string& id, Now now);
  Result<std::vector<Job>> ListJobs(size_t limit, const std::string& before, const std::string& user);
  // Queued: ended at once. Running: the attempt leaves its agent's list; the job finishes when the agent reports.
  Result<JobView> CancelJob(const std::string& id, const Person& by, const std::string& reason, Now now);

  // Ends what people who are gone have here: wishes are cancelled, granted reservations released, running jobs
  // cancelled. `why_gone` says "user ana is disabled ...", "" for everybody else. What the store refuses is left for
  // the next call; call it when the users change and each second.
  void CancelOfGone(const std::function<std::string(const std::string& user)>& why_gone, Now now);

  // ---- agents --------------------------------------------------------------------------------------------------
  // What `agent` shall have running: jobs whose current attempt is not ended and not cancelled.
  std::vector<const Job*> JobsOf(const std::string& agent) const;
  // True: the lab does not want this attempt (any more).
  Result<bool> ReportAttempt(const std::string& agent, const Attempt& report, Now now);
  // The agent uploads for this attempt: a sign of life. Errors: kNotFound, kPermissionDenied (another agent's).
  Status OnUpload(const std::string& agent, const std::string& attempt, Now now);

  // ---- controllers ---------------------------------------------------------------------------------------------
  // `facts.reachable` false keeps the slots as last seen.
  void OnRackFacts(RackFacts facts, Now now);
  void OnAcquired(const model::SlotId& slot, const std::string& key, Result<LeaseFacts> lease, Now now);
  void OnReleased(const std::string& lease, const Status& status, Now now);

  // Deadlines; call at least twice a second.
  void Tick(Now now);

  bool anyone_waits() const { return !queue_.empty(); }
  const std::map<std::string, RackFacts>& racks() const { return racks_; }

 private:
  enum class Kind { kReservation, kJob };
  struct Waiting {
    Wish wish;
    Kind kind;
    uint64_t number;
    BootTime deadline;
    std::optional<model::SlotId> ordered;  // an Acquire is under way there, or was granted and not yet stored
  };
  struct Order {
    uint64_t arrival;
    std::string key;
  };
  struct BackOff {
    BootTime until;
    std::string text;
  };
  struct Learned {
    LeaseFacts lease;
    BootTime when;
  };
  struct Watch {
    std::optional<BootTime> lease_ended;
    BootTime last_word;
  };

  // Durable, then in memory, then told. The record in memory is untouched when this fails.
  Status Save(Reservation next, std::optional<Idempotency> key = {}, std::optional<SlotUse> used = {});
  Status Save(Job next, std::optional<Idempotency> key = {}, std::optional<SlotUse> used = {});
  void SaveOrLog(Job next);
  void SaveOrLog(Reservation next);

  // REQUIRES: active, not being cancelled.
  Status Cancel(Reservation reservation, const std::string& reason, Now now);
  Status Cancel(Job job, const std::string& why, Now now);
  template <typename Record>
  void CancelOfGone(const std::map<uint64_t, Record>& records,
                    std::string (*name)(uint64_t),
                    const std::function<std::string(const std::string& user)>& why_gone,
                    Now now);

  Status TakeUp(Reservation reservation, Now now);
  Status TakeUp(Job job, Now now);
  Result<std::optional<std::string>> FindDone(const Person& person, const RequestKey& key, Now now);
  std::optional<Idempotency> KeyRow(const Person& person, const RequestKey& key, std::string result, Now now) const;
  Status CheckRoom() const;
  Status Enqueue(const Reservation& reservation, Milliseconds left, Now now);
  Status Enqueue(const Job& job, Milliseconds left, Now now);

  void Step(Now now);
  void PlaceAll(Now now);
  void SendOrder(Waiting& waiting, const model::SlotId& slot);
  void EndWhenOverdue(const Waiting& waiting, Now now);
  void FailWish(const Waiting& waiting, const std::string& reason, Now now);
  std::vector<Candidate> Candidates(Now now) const;
  Hold OwnHold(const model::SlotId& slot, const RackFacts& rack, Now now) const;
  std::vector<std::string> UnseenRacks() const;
  std::string WaitingReason(const Waiting& waiting, Now now) const;
  const Waiting* FindWaiting(Kind kind, uint64_t number, uint32_t* position) const;
  void Forget(Kind kind, uint64_t number);
  Waiting* WaitingOf(const std::string& reservation);

  Status Grant(Waiting& waiting, const LeaseFacts& lease, Now now);
  Status GrantReservation(uint64_t number, const LeaseFacts& lease);
  Status GrantJob(uint64_t number, const LeaseFacts& lease, Now now);

  enum class LeaseFate { kUnknown, kAlive, kEnded };
  LeaseFate FateOf(const RackFacts& rack, const std::string& slot, uint32_t epoch, const SlotFacts** seen) const;
  void CheckReservations(const RackFacts& rack, Now now);
  void CheckAttempts(const RackFacts& rack, Now now);
  void CheckStrays(const RackFacts& rack, Now now);
  bool Wanted(const SlotFacts& slot, Now now);
  bool Fits(const Waiting& waiting, const SlotFacts& slot) const;
  void Adopt(Waiting& waiting, const SlotFacts& slot, Now now);
  void ForgetLostGrants(const RackFacts& rack);
  void ReleaseOnce(const std::string& lease, const std::string& reason, const std::string& trace, Now now);
  void EndSilentAttempts(Now now);
  void RefreshLease(const Reservation& reservation, const LeaseFacts& seen);
  void EndReservation(const Reservation& reservation, const std::string& reason);

  ReservationView View(Reservation reservation, Now now) const;
  JobView View(Job job, Now now) const;

  Store& store_;
  LeaseDesk& desk_;
  const std::string run_;
  Notices notices_;
  BootTime started_;

  std::map<uint64_t, Reservation> reservations_;  // active ones, by number
  std::map<uint64_t, Job> jobs_;                  // unfinished ones, by number
  std::map<uint64_t, Waiting> queue_;             // by arrival
  std::map<model::SlotId, Order> orders_;         // under way
  std::map<model::SlotId, BackOff> back_off_;
  std::map<model::SlotId, Learned> learned_;  // the last lease we were granted there
  std::map<std::string, RackFacts> racks_;
  std::map<std::string, uint64_t> last_used_;
  std::map<uint64_t, Watch> watches_;          // of running jobs, by number
  std::map<std::string, BootTime> releasing_;  // lease -> when to try again

  uint64_t last_reservation_ = 0;
  uint64_t last_job_ = 0;
  uint64_t last_arrival_ = 0;
  uint64_t last_use_ = 0;
  uint64_t last_order_ = 0;
};

}  // namespace faraday::lab
