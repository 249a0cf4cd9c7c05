#include "lab/core/attempt.h"

#include <fmt/core.h>

#include <algorithm>

namespace faraday::lab {
namespace {

// Bounds of what one report may leave in the records (chosen: far above what people read).
constexpr size_t kMaxText = 2000;
constexpr size_t kMaxPowerSamples = 100;
constexpr size_t kMaxArtifacts = 2000;
// Summed over all names, so that a job fits into one 1 MiB frame.
constexpr size_t kMaxArtifactBytes = 400 * 1024;
// An agent's list of 32 attempts must fit into one 1 MiB frame.
constexpr size_t kMaxSpecBytes = 24 * 1024;
constexpr uint32_t kMaxTimeoutSeconds = 7 * 24 * 3600;
constexpr uint32_t kDefaultTimeoutSeconds = 600;

std::string Cut(const std::string& text) { return CutText(text, kMaxText); }

template <typename T>
std::vector<T> CutList(const std::vector<T>& list, size_t most) {
  return {list.begin(), list.begin() + static_cast<std::ptrdiff_t>(std::min(most, list.size()))};
}

std::vector<Artifact> CutArtifacts(const std::vector<Artifact>& artifacts) {
  std::vector<Artifact> kept;
  size_t bytes = 0;
  for (const Artifact& artifact : CutList(artifacts, kMaxArtifacts)) {
    bytes += artifact.name.size() + artifact.sha256.size() + 20;
    if (bytes > kMaxArtifactBytes) break;
    kept.push_back(artifact);
  }
  return kept;
}

size_t BytesOf(const JobSpec& spec) {
  size_t bytes = spec.selector.size() + spec.junit.size() + spec.note.size();
  for (const auto& word : spec.command) bytes += word.size() + 1;
  for (const auto& glob : spec.artifact_globs) bytes += glob.size() + 1;
  for (const auto& [name, value] : spec.environment) bytes += name.size() + value.size() + 2;
  return bytes;
}

Status CheckTimeout(const char* field, uint32_t* seconds) {
  if (*seconds == 0) *seconds = kDefaultTimeoutSeconds;
  if (*seconds <= kMaxTimeoutSeconds) return OkStatus();
  return {Code::kInvalidArgument, fmt::format("{} is {} s; it may be 1 to {} s", field, *seconds, kMaxTimeoutSeconds)};
}

}  // namespace

bool ApplyReport(const Attempt& report, UtcTime now, Attempt* attempt) {
  if (attempt->state == AttemptState::kEnded || report.state < attempt->state) return false;
  Attempt next = *attempt;
  next.state = report.state;
  next.exit_code = report.exit_code;
  next.reason = Cut(report.reason);
  next.power = CutList(report.power, kMaxPowerSamples);
  next.junit = report.junit;
  next.artifacts = CutArtifacts(report.artifacts);
  next.log_size = report.log_size;
  next.log_dropped = report.log_dropped;
  if (!report.serial.empty()) next.serial = Cut(report.serial);
  if (!report.model.empty()) next.model = Cut(report.model);
  if (report.started.since_epoch.count() > 0) next.started = report.started;
  next.step = Cut(report.step);
  if (next.state == AttemptState::kEnded) {
    next.outcome = report.outcome == Outcome::kNone ? Outcome::kInfrastructure : report.outcome;
    next.ended = report.ended.since_epoch.count() > 0 ? report.ended : now;
    if (report.outcome == Outcome::kNone) next.reason = "the agent ended it without an outcome; " + next.reason;
  }
  *attempt = std::move(next);
  return true;
}

void EndAttempt(Outcome outcome, const std::string& reason, UtcTime now, Attempt* attempt) {
  attempt->state = AttemptState::kEnded;
  attempt->outcome = outcome;
  attempt->reason = reason;
  attempt->ended = now;
  attempt->step.clear();
}

void FinishWithAttempt(UtcTime now, Job* job) {
  const Attempt* attempt = job->current();
  FinishJob(attempt->outcome, attempt->reason, now, job);
}

void FinishJob(Outcome outcome, const std::string& reason, UtcTime now, Job* job) {
  job->state = JobState::kFinished;
  job->outcome = outcome;
  job->reason = reason;
  job->finished = now;
}

Status CheckSpec(JobSpec* spec) {
  if (spec->command.empty() || spec->command.front().empty()) {
    return {Code::kInvalidArgument,
            "spec.command is empty: say what to run, e.g. faraday run -l model=pixel-8 -- ./test.sh"};
  }
  if (const size_t bytes = BytesOf(*spec); bytes > kMaxSpecBytes) {
    return {Code::kInvalidArgument,
            fmt::format("spec holds {} bytes of text; at most {} bytes: put long scripts into a "
                        "file on the agent's host",
                        bytes,
                        kMaxSpecBytes)};
  }
  FARADAY_TRY(CheckTimeout("spec.timeout_s", &spec->timeout_s));
  return CheckTimeout("spec.queue_timeout_s", &spec->queue_timeout_s);
}

}  // namespace faraday::lab
