#include "cli/job_text.h"

#include <fmt/format.h>

#include "cli/text.h"

namespace faraday::cli {
namespace {

std::string StateWord(const v1::Job& job) {
  switch (job.state()) {
    case v1::JOB_STATE_QUEUED:
      return "queued";
    case v1::JOB_STATE_RUNNING:
      return "running";
    case v1::JOB_STATE_FINISHED:
      return OutcomeWord(job.outcome());
    default:
      return "?";
  }
}

std::string AttemptWord(v1::AttemptState state) {
  switch (state) {
    case v1::ATTEMPT_STATE_ASSIGNED:
      return "assigned";
    case v1::ATTEMPT_STATE_PREPARING:
      return "preparing";
    case v1::ATTEMPT_STATE_RUNNING:
      return "running";
    case v1::ATTEMPT_STATE_COLLECTING:
      return "collecting";
    case v1::ATTEMPT_STATE_ENDED:
      return "ended";
    default:
      return "?";
  }
}

std::string Command(const v1::JobSpec& spec) { return Printable(fmt::format("{}", fmt::join(spec.command(), " "))); }

std::string Fact(std::string_view name, const std::string& value) { return fmt::format("  {:<10}{}\n", name, value); }

std::string PowerWords(const v1::Attempt& attempt) {
  std::string out;
  for (const v1::PowerSample& sample : attempt.power()) {
    out += fmt::format(
        "{}{} {} mV {} mA", out.empty() ? "" : ", ", Printable(sample.when()), sample.vbus_mv(), sample.vbus_ma());
  }
  return out;
}

std::string JunitWords(const v1::JunitSummary& junit) {
  return fmt::format("{}, {} failed, {} in error, {} skipped",
                     Counted(junit.tests(), "test"),
                     junit.failures(),
                     junit.errors(),
                     junit.skipped());
}

std::string AttemptFacts(const v1::Attempt& attempt) {
  std::string out = Fact("phone",
                         fmt::format("{} {} in {}, lease {}",
                                     Printable(attempt.model()),
                                     Printable(attempt.serial()),
                                     Printable(attempt.slot()),
                                     Printable(attempt.lease())));
  if (attempt.power_size() > 0) out += Fact("VBUS", PowerWords(attempt));
  if (attempt.exit_code() != 0) out += Fact("command", fmt::format("exit code {}", attempt.exit_code()));
  if (attempt.has_junit()) out += Fact("tests", JunitWords(attempt.junit()));
  if (attempt.log_dropped() > 0) {
    out += Fact("log",
                fmt::format("{} kept, {} dropped", FormatSize(attempt.log_size()), FormatSize(attempt.log_dropped())));
  }
  for (const v1::Artifact& artifact : attempt.artifacts()) {
    out += Fact("artefact", fmt::format("{} ({})", Printable(artifact.name()), FormatSize(artifact.size())));
  }
  return out;
}

std::string Elapsed(const v1::Job& job, int64_t now_utc_ms) {
  const int64_t end = job.finished_utc_ms() > 0 ? job.finished_utc_ms() : now_utc_ms;
  return FormatAge(end - job.created_utc_ms());
}

}  // namespace

int ExitOfOutcome(v1::Outcome outcome) {
  switch (outcome) {
    case v1::OUTCOME_PASSED:
      return 0;
    case v1::OUTCOME_FAILED:
      return 1;
    case v1::OUTCOME_NO_DEVICE:
      return 4;
    case v1::OUTCOME_CANCELLED:
    case v1::OUTCOME_LEASE_LOST:
      return 5;
    default:
      return 3;
  }
}

std::string OutcomeWord(v1::Outcome outcome) {
  switch (outcome) {
    case v1::OUTCOME_PASSED:
      return "passed";
    case v1::OUTCOME_FAILED:
      return "failed";
    case v1::OUTCOME_INFRASTRUCTURE:
      return "infrastructure failed";
    case v1::OUTCOME_NO_DEVICE:
      return "no device in time";
    case v1::OUTCOME_CANCELLED:
      return "cancelled";
    case v1::OUTCOME_LEASE_LOST:
      return "lease lost";
    default:
      return "?";
  }
}

const v1::Attempt* LastAttempt(const v1::Job& job) {
  return job.attempts_size() == 0 ? nullptr : &job.attempts(job.attempts_size() - 1);
}

std::string ProgressWords(const v1::Job& job) {
  const v1::Attempt* attempt = LastAttempt(job);
  if (job.state() == v1::JOB_STATE_FINISHED) return job.id() + " " + OutcomeWord(job.outcome());
  if (job.state() == v1::JOB_STATE_QUEUED || attempt == nullptr) {
    std::string words = job.id() + " is queued";
    if (job.queue_position() > 0) words += fmt::format(" at position {}", job.queue_position());
    return job.reason().empty() ? words : words + ": " + job.reason();
  }
  std::string words = fmt::format("{} on {} is {}", attempt->id(), attempt->slot(), AttemptWord(attempt->state()));
  return attempt->step().empty() ? words : words + ": " + attempt->step();
}

std::string RenderOutcome(const v1::Job& job) {
  const v1::Attempt* attempt = LastAttempt(job);
  std::string reason = job.reason();
  if (reason.empty() && attempt != nullptr) reason = attempt->reason();
  std::string out = fmt::format(
      "{} {}{}\n", Printable(job.id()), OutcomeWord(job.outcome()), reason.empty() ? "" : ": " + Printable(reason));
  return attempt == nullptr ? out : out + AttemptFacts(*attempt);
}

std::string RenderJob(const v1::Job& job, int64_t now_utc_ms) {
  const v1::JobSpec& spec = job.spec();
  std::string out = fmt::format("{}\n", Printable(ProgressWords(job)));
  if (job.state() == v1::JOB_STATE_FINISHED) {
    const std::string outcome = RenderOutcome(job);
    out = outcome;
  }
  out += Fact("user", Printable(job.user()));
  out += Fact("runs", Command(spec));
  out += Fact("selector", spec.selector().empty() ? "any phone" : Printable(spec.selector()));
  out += Fact("limits",
              fmt::format("{} to run, {} to find a phone",
                          FormatAge(int64_t{spec.timeout_s()} * 1000),
                          FormatAge(int64_t{spec.queue_timeout_s()} * 1000)));
  if (!spec.note().empty()) out += Fact("note", Printable(spec.note()));
  out += Fact("created",
              fmt::format("{}, {} {}",
                          FormatClock(job.created_utc_ms(), now_utc_ms),
                          job.finished_utc_ms() > 0 ? "took" : "since",
                          Elapsed(job, now_utc_ms)));
  return out;
}

std::string RenderJobs(const std::vector<v1::Job>& jobs, int64_t now_utc_ms, size_t width) {
  std::vector<std::vector<std::string>> rows;
  for (const v1::Job& job : jobs) {
    const v1::Attempt* attempt = LastAttempt(job);
    rows.push_back({Printable(job.id()),
                    Printable(job.user()),
                    StateWord(job),
                    attempt == nullptr ? "-" : Printable(attempt->slot()),
                    FormatClock(job.created_utc_ms(), now_utc_ms),
                    Elapsed(job, now_utc_ms),
                    Cut(Command(job.spec()), width > 60 ? width - 50 : 10)});
  }
  return RenderTable({{"JOB"}, {"USER"}, {"STATE"}, {"SLOT"}, {"CREATED"}, {"TOOK", true}, {"COMMAND"}}, rows);
}

}  // namespace faraday::cli
