// `faraday job submit|list|show|logs|cancel`.
#include <fmt/format.h>

#include <charconv>

#include "cli/job_files.h"
#include "cli/job_spec.h"
#include "cli/job_text.h"
#include "cli/log_stream.h"
#include "cli/text.h"
#include "cli/verbs.h"

namespace faraday::cli {
namespace {

constexpr uint32_t kMostListed = 500;  // the lab gives no more at once

int64_t NowMs() { return UtcNow().since_epoch.count(); }

// "job-12", "12" and "job-12.1" all mean job-12.
std::string JobId(const std::string& text) {
  const std::string id = text.substr(0, text.find('.'));
  const bool number = !id.empty() && id.find_first_not_of("0123456789") == std::string::npos;
  return number ? "job-" + id : id;
}

Result<v1::Job> GetJob(Session& session, const std::string& id, BootTime give_up) {
  v1::Request request;
  request.mutable_get_job()->set_id(id);
  FARADAY_TRY_ASSIGN(v1::Reply reply, session.CallUntil(session.lab(), request, Milliseconds(10'000), give_up));
  return reply.job().job();
}

int Show(Session& session, const v1::Job& job) {
  if (session.json()) {
    session.Json(job);
  } else {
    session.Out(RenderJob(job, NowMs()));
  }
  return kExitOk;
}

int Submit(Session& session, const Invocation& invocation) {
  const auto spec = MakeJobSpec(invocation);
  if (!spec.ok()) return session.Fail(spec.status());
  const auto job = SubmitJob(session, *spec);
  if (!job.ok()) return session.Fail(job.status());
  if (session.json()) {
    session.Json(*job);
  } else {
    session.Out(fmt::format("{}\n", Printable(job->id())));
    session.Err(fmt::format("next: faraday job logs {0} --follow\n      faraday job show {0}\n", Printable(job->id())));
  }
  return kExitOk;
}

int List(Session& session, const Invocation& invocation) {
  const std::string limit_text = invocation.Get("limit", "20");
  uint32_t limit = 0;
  const auto parsed = std::from_chars(limit_text.data(), limit_text.data() + limit_text.size(), limit);
  if (parsed.ec != std::errc{} || parsed.ptr != limit_text.data() + limit_text.size() || limit < 1 ||
      limit > kMostListed) {
    return session.Fail(
        {Code::kInvalidArgument,
         fmt::format(
             "--limit: '{}' is out of range, allowed 1 to {}; older ones: --before JOB", limit_text, kMostListed)});
  }
  v1::Request request;
  request.mutable_list_jobs()->set_limit(limit);
  request.mutable_list_jobs()->set_user(invocation.Has("mine") ? session.user() : invocation.Get("of"));
  request.mutable_list_jobs()->set_before(invocation.Get("before"));
  const auto reply = session.CallLab(std::move(request));
  if (!reply.ok()) return session.Fail(reply.status());
  if (session.json()) {
    session.Json(reply->list_jobs());
  } else if (reply->list_jobs().jobs_size() == 0) {
    session.Err("no jobs yet; faraday run -l SELECTOR -- CMD makes one\n");
  } else {
    const auto& jobs = reply->list_jobs().jobs();
    session.Out(RenderJobs({jobs.begin(), jobs.end()}, NowMs(), session.Width()));
  }
  return kExitOk;
}

int ShowOne(Session& session, const Invocation& invocation) {
  const auto job = GetJob(session, JobId(invocation.Get("job")), BootClock::now());
  return job.ok() ? Show(session, *job) : session.Fail(job.status());
}

int Logs(Session& session, const Invocation& invocation) {
  const std::string id = JobId(invocation.Get("job"));
  const bool follow = invocation.Has("follow");
  LogStream log(session, nullptr);
  BootTime give_up = BootClock::now();
  while (true) {
    const auto job = GetJob(session, id, give_up);
    if (!job.ok()) return session.Fail(job.status());
    // A day without the lab (chosen) ends even a patient follower.
    if (follow) give_up = BootClock::now() + std::chrono::hours(24);
    const v1::Attempt* attempt = LastAttempt(*job);
    if (attempt != nullptr) log.Begin(attempt->id());
    const bool over = !follow || job->state() == v1::JOB_STATE_FINISHED;
    const Status read = over ? log.Drain(give_up) : log.Read(Milliseconds(2000), give_up).status();
    if (!read.ok()) return session.Fail(read);
    if (over) return kExitOk;
    if (attempt == nullptr) {
      v1::Request wait;
      wait.mutable_get_job()->set_id(id);
      wait.mutable_get_job()->set_wait_ms(2000);
      const auto waited = session.CallUntil(session.lab(), wait, Milliseconds(12'000), give_up);
      if (!waited.ok()) return session.Fail(waited.status());
    }
  }
}

int Cancel(Session& session, const Invocation& invocation) {
  v1::Request request;
  request.mutable_cancel_job()->set_id(JobId(invocation.Get("job")));
  request.mutable_cancel_job()->set_reason(invocation.Get("reason"));
  const auto reply = session.CallLab(std::move(request));
  return reply.ok() ? Show(session, reply->job().job()) : session.Fail(reply.status());
}

const Argument kJob{Argument::Kind::kPositional, "job", "JOB", "job-12, or 12", true};

}  // namespace

std::vector<Verb> JobVerbs() {
  using Kind = Argument::Kind;
  return {
      {.path = {"job", "submit"},
       .summary = "Hand in a job and go on; prints its id",
       .arguments = JobArguments(),
       .takes_command = true,
       .examples = "  faraday job submit -l model=pixel-8 --timeout 1h -- ./long-test.sh\n"
                   "  id=$(faraday job submit -l 'os>=14' -- ./smoke-test.sh) && faraday job logs $id --follow",
       .run = Submit},
      {.path = {"job", "list"},
       .summary = "The newest jobs",
       .arguments =
           {{Kind::kOption, "--limit", "N", "at most this many, 1 to 500, default 20; fewer come when they are large"},
            {Kind::kFlag, "--mine", "", "only yours"},
            {Kind::kOption, "--of", "NAME", "only those of this user"},
            {Kind::kOption, "--before", "JOB", "older than this one: the next page"}},
       .examples = "  faraday job list\n  faraday job list --mine --limit 5\n"
                   "  faraday job list --json | jq -r '.jobs[] | select(.outcome == \"OUTCOME_FAILED\") | .id'",
       .run = List},
      {.path = {"job", "show"},
       .summary = "Everything about one job",
       .arguments = {kJob},
       .examples = "  faraday job show job-12\n  faraday job show 12 --json",
       .run = ShowOne},
      {.path = {"job", "logs"},
       .summary = "The log of a job's last attempt",
       .arguments = {kJob, {Kind::kFlag, "-f,--follow", "", "until the job has ended"}},
       .examples = "  faraday job logs job-12\n  faraday job logs job-12 --follow",
       .run = Logs},
      {.path = {"job", "cancel"},
       .summary = "End a job",
       .arguments = {kJob, {Kind::kOption, "--reason", "TEXT", "why; it is kept with the job"}},
       .examples = "  faraday job cancel job-12 --reason 'wrong build'",
       .run = Cancel},
  };
}

}  // namespace faraday::cli
