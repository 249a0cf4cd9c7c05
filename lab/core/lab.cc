// Requests of people and agents, and the one way records change. Placement: lab_queue.cc; leases: lab_leases.cc.
#include "lab/core/lab.h"

#include <fmt/core.h>

#include <algorithm>

#include "access/rights.h"
#include "base/log.h"
#include "lab/core/attempt.h"

namespace faraday::lab {
namespace {

constexpr Milliseconds kKeysKept{24 * 3600 * 1000};
constexpr uint32_t kMaxReserveSeconds = 7 * 24 * 3600;
constexpr uint32_t kDefaultReserveSeconds = 1800;

Milliseconds Seconds(uint32_t seconds) { return Milliseconds(int64_t{seconds} * 1000); }

// What is left of a wait that began at `created`, whatever the wall clock did meanwhile.
Milliseconds Left(UtcTime created, Milliseconds wait, UtcTime now) {
  return std::clamp(created.since_epoch + wait - now.since_epoch, Milliseconds(0), wait);
}

using access::Call;
using access::Ownership;

Status CheckMayEnd(Call call, const Person& by, const std::string& id, const Person& owner) {
  const Ownership ownership = !by.user.empty() && by.user == owner.user ? Ownership::kHolder : Ownership::kOther;
  return access::CheckRight(
      call, {by.user, access::ParseRole(by.role), by.team}, ownership, "", fmt::format("{} is {}'s", id, owner.user));
}

Status CheckIsAgentOf(Call call, const std::string& agent, const Attempt& attempt) {
  return access::CheckRight(call,
                            {agent, access::Role::kAgent, ""},
                            agent == attempt.agent ? Ownership::kAgent : Ownership::kOther,
                            "",
                            fmt::format("{} runs under agent '{}', not '{}'", attempt.id, attempt.agent, agent));
}

Status CheckDurations(Reservation* wish) {
  if (wish->duration_s == 0) wish->duration_s = kDefaultReserveSeconds;
  if (wish->duration_s > kMaxReserveSeconds) {
    return {Code::kInvalidArgument,
            fmt::format("duration_s is {} s; it may be 1 to {} s", wish->duration_s, kMaxReserveSeconds)};
  }
  if (wish->wait_s > kMaxReserveSeconds) {
    return {Code::kInvalidArgument,
            fmt::format("wait_s is {} s; it may be 0 to {} s", wish->wait_s, kMaxReserveSeconds)};
  }
  return OkStatus();
}

Status NoSuch(const char* what, const std::string& id, const char* form) {
  return {Code::kNotFound, fmt::format("no {} '{}' is known to this lab; ids look like {}", what, id, form)};
}

}  // namespace

Lab::Lab(Store& store, LeaseDesk& desk, std::vector<std::string> racks, std::string run, Notices notices)
    : store_(store), desk_(desk), run_(std::move(run)), notices_(std::move(notices)) {
  for (const auto& rack : racks) {
    racks_[rack].rack = rack;
    racks_[rack].reason = "has not answered yet";
  }
}

Status Lab::Start(Now now) {
  started_ = now.boot;
  FARADAY_TRY_ASSIGN(Loaded loaded, store_.Load());
  last_reservation_ = loaded.last_reservation;
  last_job_ = loaded.last_job;
  last_arrival_ = loaded.last_arrival;
  last_used_ = std::move(loaded.slot_use);
  for (const auto& [slot, sequence] : last_used_) last_use_ = std::max(last_use_, sequence);
  for (auto& reservation : loaded.reservations) FARADAY_TRY(TakeUp(std::move(reservation), now));
  for (auto& job : loaded.jobs) FARADAY_TRY(TakeUp(std::move(job), now));
  return OkStatus();
}

Status Lab::TakeUp(Reservation reservation, Now now) {
  const uint64_t number = reservation.number;
  if (reservation.state == ReservationState::kWaiting) {
    FARADAY_TRY(Enqueue(reservation, Left(reservation.created, Seconds(reservation.wait_s), now.utc), now));
  } else {
    // The boot-time end is not stored; until the controller answers, UTC has to do.
    reservation.lease->end = now.boot + (reservation.lease->end_utc.since_epoch - now.utc.since_epoch);
  }
  reservations_[number] = reservation;
  if (reservation.lease && !racks_.contains(RackOf(reservation.lease->slot))) {
    EndReservation(reservation, "its rack is no longer in the lab's list of racks");
  }
  return OkStatus();
}

Status Lab::TakeUp(Job job, Now now) {
  if (job.state == JobState::kQueued) {
    FARADAY_TRY(Enqueue(job, Left(job.created, Seconds(job.spec.queue_timeout_s), now.utc), now));
  } else {
    Watch& watch = watches_[job.number];
    watch.last_word = now.boot;
    // Nobody will say when that lease ends: from now on the agent's silence counts.
    if (!racks_.contains(RackOf(job.current()->slot))) watch.lease_ended = now.boot;
  }
  jobs_[job.number] = std::move(job);
  return OkStatus();
}

// ---- the one way records change -------------------------------------------------------------------------------------

Status Lab::Save(Reservation next, std::optional<Idempotency> key, std::optional<SlotUse> used) {
  FARADAY_TRY(store_.Commit({{next}, {}, std::move(key), std::move(used)}));
  if (next.active()) {
    reservations_[next.number] = next;
  } else {
    reservations_.erase(next.number);
  }
  if (next.state != ReservationState::kWaiting) Forget(Kind::kReservation, next.number);
  if (notices_.reservation_changed) notices_.reservation_changed(next);
  return OkStatus();
}

Status Lab::Save(Job next, std::optional<Idempotency> key, std::optional<SlotUse> used) {
  ++next.change;
  FARADAY_TRY(store_.Commit({{}, {next}, std::move(key), std::move(used)}));
  if (next.state == JobState::kFinished) {
    jobs_.erase(next.number);
    watches_.erase(next.number);
  } else {
    jobs_[next.number] = next;
  }
  if (next.state != JobState::kQueued) Forget(Kind::kJob, next.number);
  if (notices_.job_changed) notices_.job_changed(next);
  return OkStatus();
}

void Lab::SaveOrLog(Reservation next) {
  const std::string name = ReservationName(next.number);
  if (const Status saved = Save(std::move(next)); !saved.ok()) log::Error("{} not stored: {}", name, ToString(saved));
}

void Lab::SaveOrLog(Job next) {
  const std::string name = JobName(next.number);
  if (const Status saved = Save(std::move(next)); !saved.ok()) log::Error("{} not stored: {}", name, ToString(saved));
}

// The id that this key led to before, nothing for a new key.
Result<std::optional<std::string>> Lab::FindDone(const Person& person, const RequestKey& key, Now now) {
  if (key.key.empty()) return std::optional<std::string>{};
  FARADAY_TRY_ASSIGN(const size_t kept, store_.CountIdempotency(person.user, {now.utc.since_epoch - kKeysKept}));
  FARADAY_TRY_ASSIGN(const std::optional<Idempotency> done, store_.FindIdempotency(person.user, key.key));
  if (done && done->request_hash != key.request_hash) {
    return Status(
        Code::kInvalidArgument,
        fmt::format("idempotency key '{}' was used for another request ({}); use a new key", key.key, done->result));
  }
  if (done) return std::optional<std::string>{done->result};
  if (kept >= kMaxKeysPerUser) {
    return Status(Code::kResourceExhausted,
                  fmt::format("user '{}' has used {} idempotency keys within 24 h, the most "
                              "kept; wait or send without a key",
                              person.user,
                              kept));
  }
  return std::optional<std::string>{};
}

std::optional<Idempotency> Lab::KeyRow(const Person& person, const RequestKey& key, std::string result, Now now) const {
  if (key.key.empty()) return std::nullopt;
  return Idempotency{person.user, key.key, key.request_hash, std::move(result), now.utc};
}

// ---- reservations ---------------------------------------------------------------------------------------------------

Result<ReservationView> Lab::Reserve(Reservation wish, const RequestKey& key, Now now) {
  FARADAY_TRY_ASSIGN(const std::optional<std::string> done, FindDone(wish.person, key, now));
  if (done) return GetReservation(*done, now);
  FARADAY_TRY(CheckDurations(&wish));
  if (auto parsed = model::Selector::Parse(wish.selector); !parsed.ok()) return parsed.status();
  FARADAY_TRY(CheckRoom());
  wish.number = last_reservation_ + 1;
  wish.arrival = last_arrival_ + 1;
  wish.created = now.utc;
  wish.state = ReservationState::kWaiting;
  FARADAY_TRY(Save(wish, KeyRow(wish.person, key, ReservationName(wish.number), now)));
  ++last_reservation_;
  ++last_arrival_;
  FARADAY_TRY(Enqueue(wish, Seconds(wish.wait_s), now));
  Step(now);
  return GetReservation(ReservationName(wish.number), now);
}

Result<ReservationView> Lab::GetReservation(const std::string& id, Now now) {
  const auto number = ParseReservationName(id);
  if (!number) return NoSuch("reservation", id, "res-12");
  if (const auto found = reservations_.find(*number); found != reservations_.end()) return View(found->second, now);
  auto stored = store_.FindReservation(*number);
  if (stored.status().code() == Code::kNotFound) return NoSuch("reservation", id, "res-12");
  if (!stored.ok()) return stored.status();
  return ReservationView{std::move(*stored), 0};
}

Result<ReservationView> Lab::CancelReservation(const std::string& id, const Person& by, Now now) {
  FARADAY_TRY_ASSIGN(ReservationView view, GetReservation(id, now));
  Reservation& reservation = view.reservation;
  if (!reservation.active()) return view;
  FARADAY_TRY(CheckMayEnd(Call::kCancelReservation, by, id, reservation.person));
  FARADAY_TRY(Cancel(std::move(reservation), "cancelled by " + by.user, now));
  return GetReservation(id, now);
}

Status Lab::Cancel(Reservation reservation, const std::string& reason, Now now) {
  reservation.reason = reason;
  if (reservation.state == ReservationState::kWaiting) {
    reservation.state = ReservationState::kCancelled;
    FARADAY_TRY(Save(std::move(reservation)));
    Step(now);
    return OkStatus();
  }
  reservation.cancel_asked = true;
  const std::string lease = reservation.lease->id;
  const std::string trace = reservation.trace;
  FARADAY_TRY(Save(std::move(reservation)));
  ReleaseOnce(lease, reason, trace, now);
  return OkStatus();
}

// ---- jobs -----------------------------------------------------------------------------------------------------------

Result<JobView> Lab::SubmitJob(
    const Person& person, JobSpec spec, const RequestKey& key, Now now, const std::string& trace) {
  FARADAY_TRY_ASSIGN(const std::optional<std::string> done, FindDone(person, key, now));
  if (done) return GetJob(*done, now);
  FARADAY_TRY(CheckSpec(&spec));
  if (auto parsed = model::Selector::Parse(spec.selector); !parsed.ok()) return parsed.status();
  FARADAY_TRY(CheckRoom());
  Job job;
  job.number = last_job_ + 1;
  job.arrival = last_arrival_ + 1;
  job.person = person;
  job.spec = std::move(spec);
  job.created = now.utc;
  job.trace = trace;
  FARADAY_TRY(Save(job, KeyRow(person, key, JobName(job.number), now)));
  ++last_job_;
  ++last_arrival_;
  FARADAY_TRY(Enqueue(job, Seconds(job.spec.queue_timeout_s), now));
  Step(now);
  return GetJob(JobName(job.number), now);
}

Result<JobView> Lab::GetJob(const std::string& id, Now now) {
  const auto number = ParseJobName(id);
  if (!number) return NoSuch("job", id, "job-12");
  if (const auto found = jobs_.find(*number); found != jobs_.end()) return View(found->second, now);
  auto stored = store_.FindJob(*number);
  if (stored.status().code() == Code::kNotFound) return NoSuch("job", id, "job-12");
  if (!stored.ok()) return stored.status();
  return JobView{std::move(*stored), 0};
}

Result<std::vector<Job>> Lab::ListJobs(size_t limit, const std::string& before, const std::string& user) {
  const auto number = ParseJobName(before);
  if (!before.empty() && !number) return NoSuch("job", before, "job-12");
  return store_.ListJobs(limit, number.value_or(0), user);
}

Result<JobView> Lab::CancelJob(const std::string& id, const Person& by, const std::string& reason, Now now) {
  FARADAY_TRY_ASSIGN(JobView view, GetJob(id, now));
  Job& job = view.job;
  if (job.state == JobState::kFinished || job.cancel_asked) return view;
  FARADAY_TRY(CheckMayEnd(Call::kCancelJob, by, id, job.person));
  FARADAY_TRY(Cancel(std::move(job), "cancelled by " + by.user + (reason.empty() ? "" : ": " + reason), now));
  return GetJob(id, now);
}

Status Lab::Cancel(Job job, const std::string& why, Now now) {
  if (job.state == JobState::kQueued) {
    FinishJob(Outcome::kCancelled, why, now.utc, &job);
  } else {
    job.cancel_asked = true;
    job.cancel_reason = why;
  }
  const Attempt* attempt = job.current();
  const bool unheard = attempt != nullptr && attempt->state == AttemptState::kAssigned;
  const std::string lease = attempt == nullptr ? "" : attempt->lease;
  const std::string trace = job.trace;
  FARADAY_TRY(Save(std::move(job)));
  // No agent has begun: nobody else would give the lease back.
  if (unheard) ReleaseOnce(lease, why, trace, now);
  Step(now);
  return OkStatus();
}

// ---- people who are gone --------------------------------------------------------------------------------------------

void Lab::CancelOfGone(const std::function<std::string(const std::string& user)>& why_gone, Now now) {
  CancelOfGone(reservations_, ReservationName, why_gone, now);
  CancelOfGone(jobs_, JobName, why_gone, now);
}

template <typename Record>
void Lab::CancelOfGone(const std::map<uint64_t, Record>& records,
                       std::string (*name)(uint64_t),
                       const std::function<std::string(const std::string& user)>& why_gone,
                       Now now) {
  std::vector<std::pair<uint64_t, std::string>> gone;
  for (const auto& [number, record] : records) {
    const std::string why = record.cancel_asked ? "" : why_gone(record.person.user);
    if (!why.empty()) gone.emplace_back(number, why);
  }
  for (const auto& [number, why] : gone) {
    const auto found = records.find(number);  // a step for an earlier one may have ended it
    if (found == records.end()) continue;
    const std::string user = found->second.person.user;
    const std::string trace = found->second.trace;
    const Status cancelled = Cancel(found->second, "cancelled: " + why, now);
    if (!cancelled.ok()) {
      log::Error("{} not cancelled, will be tried again: {}", name(number), ToString(cancelled));
    } else if (notices_.acted) {
      notices_.acted({"wish_cancelled", name(number), user + "'s", why, trace});
    }
  }
}

// ---- agents ---------------------------------------------------------------------------------------------------------

std::vector<const Job*> Lab::JobsOf(const std::string& agent) const {
  std::vector<const Job*> jobs;
  for (const auto& [number, job] : jobs_) {
    const Attempt* attempt = job.current();
    if (attempt != nullptr && attempt->agent == agent && !job.cancel_asked) jobs.push_back(&job);
  }
  return jobs;
}

Result<bool> Lab::ReportAttempt(const std::string& agent, const Attempt& report, Now now) {
  const auto number = JobOfAttemptName(report.id);
  const auto found = number ? jobs_.find(*number) : jobs_.end();
  if (found == jobs_.end()) return true;
  Job job = found->second;
  Attempt* attempt = job.current();
  if (attempt == nullptr || attempt->id != report.id) return true;
  FARADAY_TRY(CheckIsAgentOf(Call::kReportAttempt, agent, *attempt));
  if (!report.lease.empty() && report.lease != attempt->lease) return true;
  watches_[*number].last_word = now.boot;
  if (ApplyReport(report, now.utc, attempt)) {
    if (attempt->state == AttemptState::kEnded) FinishWithAttempt(now.utc, &job);
    FARADAY_TRY(Save(job));
    Step(now);
  }
  return job.cancel_asked && report.state < AttemptState::kCollecting;
}

Status Lab::OnUpload(const std::string& agent, const std::string& attempt_id, Now now) {
  const auto number = JobOfAttemptName(attempt_id);
  if (!number) return NoSuch("attempt", attempt_id, "job-12.1");
  FARADAY_TRY_ASSIGN(const JobView view, GetJob(JobName(*number), now));
  const Attempt* attempt = view.job.current();
  if (attempt == nullptr || attempt->id != attempt_id) return NoSuch("attempt", attempt_id, "job-12.1");
  FARADAY_TRY(CheckIsAgentOf(Call::kPutChunk, agent, *attempt));
  if (const auto watch = watches_.find(*number); watch != watches_.end()) watch->second.last_word = now.boot;
  return OkStatus();
}

// ---- views ----------------------------------------------------------------------------------------------------------

ReservationView Lab::View(Reservation reservation, Now now) const {
  ReservationView view{std::move(reservation), 0};
  const Waiting* waiting = FindWaiting(Kind::kReservation, view.reservation.number, &view.position);
  if (waiting != nullptr) view.reservation.reason = WaitingReason(*waiting, now);
  return view;
}

JobView Lab::View(Job job, Now now) const {
  JobView view{std::move(job), 0};
  const Waiting* waiting = FindWaiting(Kind::kJob, view.job.number, &view.position);
  if (waiting != nullptr) view.job.reason = WaitingReason(*waiting, now);
  if (view.job.cancel_asked) view.job.reason = view.job.cancel_reason + "; waiting for its agent";
  return view;
}

}  // namespace faraday::lab
