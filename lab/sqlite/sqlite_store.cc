#include "lab/sqlite/sqlite_store.h"

#include <fmt/core.h>

#include "lab/protobuf/convert.h"

namespace faraday::lab {
namespace {

#define FARADAY_LAB_JOB_COLUMNS                                                                           \
  "SELECT number, arrival, user, role, team, spec, state, outcome, reason, cancel_asked, cancel_reason, " \
  "created_utc_ms, finished_utc_ms, change, trace FROM jobs "
#define FARADAY_LAB_RESERVATION_COLUMNS                                                                                \
  "SELECT number, arrival, user, role, team, selector, duration_s, wait_s, note, state, reason, lease, cancel_asked, " \
  "created_utc_ms, trace FROM reservations "

UtcTime Utc(int64_t ms) { return {Milliseconds(ms)}; }
int64_t Ms(UtcTime utc) { return utc.since_epoch.count(); }

Status Damaged(const char* what, uint64_t number) {
  return {Code::kDataLoss,
          fmt::format("the stored record of {} {} is damaged: restore the lab's database", what, number)};
}

// Earlier versions cut texts in the middle of a character.
std::string WholeText(const std::string& stored) { return CutText(stored, stored.size()); }

// What stands for an attempt whose record is damaged, so that the rest can still be read.
Attempt Placeholder(const Job& job, const Statement& select) {
  Attempt attempt;
  attempt.id = select.Text(1);
  attempt.slot = select.Text(2);
  attempt.state = AttemptState::kEnded;
  attempt.outcome = static_cast<Outcome>(select.Int(4));
  attempt.reason = "the lab's stored record of this attempt is damaged; the job's outcome stands";
  attempt.ended = job.finished;
  return attempt;
}

// Stored ends are UTC; the boot-time end is counted anew by whoever starts.
std::string LeaseBytes(const std::optional<LeaseFacts>& lease) {
  return lease ? ToProto(*lease, Now{}).SerializeAsString() : "";
}

}  // namespace

Status SqliteStore::Commit(const Changes& changes) {
  Transaction transaction(database_);
  FARADAY_TRY(transaction.begun());
  for (const auto& reservation : changes.reservations) FARADAY_TRY(Write(reservation));
  for (const auto& job : changes.jobs) FARADAY_TRY(Write(job));
  if (changes.idempotency) FARADAY_TRY(Write(*changes.idempotency));
  if (changes.used) FARADAY_TRY(Write(*changes.used));
  return transaction.Commit();
}

Status SqliteStore::Write(const Reservation& r) {
  return Statement(database_, "INSERT OR REPLACE INTO reservations VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")
      .Bind(r.number)
      .Bind(r.arrival)
      .Bind(r.person.user)
      .Bind(r.person.role)
      .Bind(r.person.team)
      .Bind(r.selector)
      .Bind(uint64_t{r.duration_s})
      .Bind(uint64_t{r.wait_s})
      .Bind(r.note)
      .Bind(static_cast<int64_t>(r.state))
      .Bind(r.reason)
      .BindBlob(LeaseBytes(r.lease))
      .Bind(int64_t{r.cancel_asked})
      .Bind(Ms(r.created))
      .Bind(r.trace)
      .Run();
}

Status SqliteStore::Write(const Job& job) {
  // Not REPLACE: that would delete the row its attempts refer to.
  FARADAY_TRY(
      Statement(database_,
                "INSERT INTO jobs VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15) ON CONFLICT (number) "
                "DO UPDATE SET state=?7, outcome=?8, reason=?9, cancel_asked=?10, cancel_reason=?11, "
                "finished_utc_ms=?13, change=?14")
          .Bind(job.number)
          .Bind(job.arrival)
          .Bind(job.person.user)
          .Bind(job.person.role)
          .Bind(job.person.team)
          .BindBlob(ToProto(job.spec).SerializeAsString())
          .Bind(static_cast<int64_t>(job.state))
          .Bind(static_cast<int64_t>(job.outcome))
          .Bind(job.reason)
          .Bind(int64_t{job.cancel_asked})
          .Bind(job.cancel_reason)
          .Bind(Ms(job.created))
          .Bind(Ms(job.finished))
          .Bind(job.change)
          .Bind(job.trace)
          .Run());
  for (size_t i = 0; i < job.attempts.size(); ++i) {
    const Attempt& attempt = job.attempts[i];
    FARADAY_TRY(Statement(database_, "INSERT OR REPLACE INTO attempts VALUES (?,?,?,?,?,?,?)")
                    .Bind(job.number)
                    .Bind(uint64_t{i})
                    .Bind(attempt.id)
                    .Bind(attempt.slot)
                    .Bind(static_cast<int64_t>(attempt.state))
                    .Bind(static_cast<int64_t>(attempt.outcome))
                    .BindBlob(ToProto(attempt).SerializeAsString())
                    .Run());
  }
  return OkStatus();
}

Status SqliteStore::Write(const Idempotency& entry) {
  return Statement(database_, "INSERT INTO idempotency VALUES (?,?,?,?,?)")
      .Bind(entry.user)
      .Bind(entry.key)
      .Bind(entry.request_hash)
      .Bind(entry.result)
      .Bind(Ms(entry.created))
      .Run();
}

Status SqliteStore::Write(const SlotUse& used) {
  return Statement(database_, "INSERT OR REPLACE INTO slot_use VALUES (?,?)").Bind(used.slot).Bind(used.sequence).Run();
}

Result<uint64_t> SqliteStore::ReadNumber(const char* sql) {
  Statement select(database_, sql);
  FARADAY_TRY_ASSIGN(const bool row, select.Next());
  return row ? select.Number(0) : 0;
}

Result<Loaded> SqliteStore::Load() {
  Loaded loaded;
  Statement reservations(database_, FARADAY_LAB_RESERVATION_COLUMNS "WHERE state IN (1, 2) ORDER BY number");
  FARADAY_TRY_ASSIGN(loaded.reservations, ReadReservations(reservations));
  Statement jobs(database_, FARADAY_LAB_JOB_COLUMNS "WHERE state IN (1, 2) ORDER BY number");
  FARADAY_TRY_ASSIGN(loaded.jobs, ReadJobs(jobs));
  FARADAY_TRY_ASSIGN(loaded.last_reservation, ReadNumber("SELECT max(number) FROM reservations"));
  FARADAY_TRY_ASSIGN(loaded.last_job, ReadNumber("SELECT max(number) FROM jobs"));
  FARADAY_TRY_ASSIGN(loaded.last_arrival,
                     ReadNumber("SELECT max(a) FROM (SELECT max(arrival) AS a FROM reservations "
                                "UNION ALL SELECT max(arrival) FROM jobs)"));
  Statement used(database_, "SELECT slot, sequence FROM slot_use");
  while (true) {
    FARADAY_TRY_ASSIGN(const bool row, used.Next());
    if (!row) return loaded;
    loaded.slot_use[used.Text(0)] = used.Number(1);
  }
}

Result<std::vector<Reservation>> SqliteStore::ReadReservations(Statement& select) {
  std::vector<Reservation> reservations;
  while (true) {
    FARADAY_TRY_ASSIGN(const bool row, select.Next());
    if (!row) return reservations;
    Reservation r;
    r.number = select.Number(0);
    r.arrival = select.Number(1);
    r.person = {select.Text(2), select.Text(3), select.Text(4)};
    r.selector = select.Text(5);
    r.duration_s = static_cast<uint32_t>(select.Number(6));
    r.wait_s = static_cast<uint32_t>(select.Number(7));
    r.note = WholeText(select.Text(8));
    r.state = static_cast<ReservationState>(select.Int(9));
    r.reason = select.Text(10);
    if (const std::string bytes = select.Text(11); !bytes.empty()) {
      v1::Lease lease;
      if (!lease.ParseFromString(bytes)) return Damaged("reservation", r.number);
      r.lease = FromProto(lease, Now{});
    }
    r.cancel_asked = select.Int(12) != 0;
    r.created = Utc(select.Int(13));
    r.trace = select.Text(14);
    reservations.push_back(std::move(r));
  }
}

Result<std::vector<Job>> SqliteStore::ReadJobs(Statement& select) {
  std::vector<Job> jobs;
  while (true) {
    FARADAY_TRY_ASSIGN(const bool row, select.Next());
    if (!row) break;
    Job job;
    job.number = select.Number(0);
    job.arrival = select.Number(1);
    job.person = {select.Text(2), select.Text(3), select.Text(4)};
    v1::JobSpec spec;
    if (!spec.ParseFromString(select.Text(5))) return Damaged("job", job.number);
    job.spec = FromProto(spec);
    job.state = static_cast<JobState>(select.Int(6));
    job.outcome = static_cast<Outcome>(select.Int(7));
    job.reason = WholeText(select.Text(8));
    job.cancel_asked = select.Int(9) != 0;
    job.cancel_reason = WholeText(select.Text(10));
    job.created = Utc(select.Int(11));
    job.finished = Utc(select.Int(12));
    job.change = select.Number(13);
    job.trace = select.Text(14);
    jobs.push_back(std::move(job));
  }
  for (Job& job : jobs) FARADAY_TRY(ReadAttempts(&job));
  return jobs;
}

Status SqliteStore::ReadAttempts(Job* job) {
  Statement select(database_, "SELECT record, id, slot, state, outcome FROM attempts WHERE job=? ORDER BY position");
  select.Bind(job->number);
  while (true) {
    FARADAY_TRY_ASSIGN(const bool row, select.Next());
    if (!row) return OkStatus();
    v1::Attempt attempt;
    if (attempt.ParseFromString(select.Text(0))) {
      job->attempts.push_back(FromProto(attempt));
    } else if (job->state == JobState::kFinished || select.Int(3) == static_cast<int64_t>(AttemptState::kEnded)) {
      job->attempts.push_back(Placeholder(*job, select));
    } else {
      return Damaged("running attempt of job", job->number);
    }
  }
}

Result<Job> SqliteStore::FindJob(uint64_t number) {
  Statement select(database_, FARADAY_LAB_JOB_COLUMNS "WHERE number=?");
  select.Bind(number);
  FARADAY_TRY_ASSIGN(std::vector<Job> jobs, ReadJobs(select));
  if (jobs.empty()) return Status(Code::kNotFound, fmt::format("no job {}", number));
  return std::move(jobs.front());
}

Result<Reservation> SqliteStore::FindReservation(uint64_t number) {
  Statement select(database_, FARADAY_LAB_RESERVATION_COLUMNS "WHERE number=?");
  select.Bind(number);
  FARADAY_TRY_ASSIGN(std::vector<Reservation> reservations, ReadReservations(select));
  if (reservations.empty()) return Status(Code::kNotFound, fmt::format("no reservation {}", number));
  return std::move(reservations.front());
}

Result<std::vector<Job>> SqliteStore::ListJobs(size_t limit, uint64_t before, const std::string& user) {
  Statement select(database_,
                   FARADAY_LAB_JOB_COLUMNS
                   "WHERE (?1=0 OR number<?1) AND (?2='' OR user=?2) ORDER BY number DESC LIMIT ?3");
  select.Bind(before).Bind(user).Bind(uint64_t{limit});
  return ReadJobs(select);
}

Result<std::optional<Idempotency>> SqliteStore::FindIdempotency(const std::string& user, const std::string& key) {
  Statement select(database_, "SELECT request_hash, result, created_utc_ms FROM idempotency WHERE user=? AND key=?");
  select.Bind(user).Bind(key);
  FARADAY_TRY_ASSIGN(const bool row, select.Next());
  if (!row) return std::optional<Idempotency>{};
  return std::optional<Idempotency>{Idempotency{user, key, select.Text(0), select.Text(1), Utc(select.Int(2))}};
}

Result<size_t> SqliteStore::CountIdempotency(const std::string& user, UtcTime oldest) {
  FARADAY_TRY(Statement(database_, "DELETE FROM idempotency WHERE user=? AND created_utc_ms<?")
                  .Bind(user)
                  .Bind(Ms(oldest))
                  .Run());
  Statement select(database_, "SELECT count(*) FROM idempotency WHERE user=?");
  select.Bind(user);
  FARADAY_TRY_ASSIGN(const bool row, select.Next());
  return row ? select.Number(0) : size_t{0};
}

}  // namespace faraday::lab
