// The lab's own records: reservations, jobs, attempts. Plain structs, kept by a Store, shown to people through
// faraday.v1. Numbers of the enums equal faraday.v1's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "lab/core/facts.h"

namespace faraday::lab {

// Who asked; becomes the holder of the lease.
struct Person {
  std::string user;
  std::string role;
  std::string team;
};

enum class ReservationState { kWaiting = 1, kGranted = 2, kEnded = 3, kCancelled = 4, kFailed = 5 };

struct Reservation {
  uint64_t number = 0;   // "res-12" is 12
  uint64_t arrival = 0;  // place in the one order of reservations and jobs
  Person person;
  std::string selector;
  uint32_t duration_s = 1800;
  uint32_t wait_s = 0;  // 0: fails when nothing is free at once
  std::string note;
  ReservationState state = ReservationState::kWaiting;
  std::string reason;
  std::optional<LeaseFacts> lease;
  bool cancel_asked = false;  // granted, and its lease is being released
  UtcTime created;
  std::string trace;  // of the call that made it; goes along with everything that is done for it

  bool active() const { return state == ReservationState::kWaiting || state == ReservationState::kGranted; }
};

struct JobSpec {
  std::vector<std::string> command;
  std::string selector;
  uint32_t timeout_s = 600;
  uint32_t queue_timeout_s = 600;
  std::vector<std::string> artifact_globs;
  std::string junit;
  std::map<std::string, std::string> environment;
  std::string note;
};

enum class JobState { kQueued = 1, kRunning = 2, kFinished = 3 };

enum class Outcome {
  kNone = 0,
  kPassed = 1,
  kFailed = 2,
  kInfrastructure = 3,
  kNoDevice = 4,
  kCancelled = 5,
  kLeaseLost = 6
};

enum class AttemptState { kNone = 0, kAssigned = 1, kPreparing = 2, kRunning = 3, kCollecting = 4, kEnded = 5 };

struct PowerSample {
  std::string when;
  uint32_t vbus_mv = 0;
  uint32_t vbus_ma = 0;
  UtcTime utc;
};

struct JunitSummary {
  uint32_t tests = 0;
  uint32_t failures = 0;
  uint32_t errors = 0;
  uint32_t skipped = 0;
};

struct Artifact {
  std::string name;
  uint64_t size = 0;
  std::string sha256;
};

struct Attempt {
  std::string id;  // "job-12.1"
  std::string slot;
  std::string lease;
  uint32_t epoch = 0;
  std::string agent;
  AttemptState state = AttemptState::kNone;
  Outcome outcome = Outcome::kNone;
  int32_t exit_code = 0;
  std::string reason;
  std::vector<PowerSample> power;
  std::optional<JunitSummary> junit;
  std::vector<Artifact> artifacts;
  uint64_t log_size = 0;
  uint64_t log_dropped = 0;
  std::string serial;
  std::string model;
  UtcTime started;
  UtcTime ended;
  std::string step;
};

struct Job {
  uint64_t number = 0;  // "job-12" is 12
  uint64_t arrival = 0;
  Person person;
  JobSpec spec;
  JobState state = JobState::kQueued;
  Outcome outcome = Outcome::kNone;
  std::string reason;
  std::vector<Attempt> attempts;
  bool cancel_asked = false;  // running, and shall end
  std::string cancel_reason;
  UtcTime created;
  UtcTime finished;
  uint64_t change = 0;  // grows with every stored change
  std::string trace;    // of the call that submitted it

  Attempt* current() { return attempts.empty() ? nullptr : &attempts.back(); }
  const Attempt* current() const { return attempts.empty() ? nullptr : &attempts.back(); }
};

// "res-12", "job-12", and the id of a job's attempt in work or to come: "job-12.1".
std::string ReservationName(uint64_t number);
std::string JobName(uint64_t number);
std::string AttemptName(uint64_t job, size_t attempt);

// The number in "res-12" / "job-12" / the job's number in "job-12.1"; nothing for any other text.
std::optional<uint64_t> ParseReservationName(const std::string& name);
std::optional<uint64_t> ParseJobName(const std::string& name);
std::optional<uint64_t> JobOfAttemptName(const std::string& name);

// The first `most` bytes of a UTF-8 text, less a character that would be cut in its middle; one that is already cut at
// the end goes too. Half a character makes a record that no protobuf reader takes.
std::string CutText(std::string_view text, size_t most);

// "r01" of "r01/07".
std::string RackOf(const std::string& slot);

}  // namespace faraday::lab
