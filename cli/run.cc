// `faraday run`: submit a job, show its log as it comes, bring its artefacts, exit with what it was.
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "cli/job_files.h"
#include "cli/job_spec.h"
#include "cli/job_text.h"
#include "cli/log_stream.h"
#include "cli/text.h"
#include "cli/verbs.h"

namespace faraday::cli {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

constexpr Milliseconds kLogWait{300};       // between two looks at the job while its log is followed (chosen)
constexpr Milliseconds kJobWait{5000};      // one long poll while there is no log yet
constexpr Milliseconds kAnswerLimit{5000};  // beyond the wait: then the lab is taken for gone, and asked anew (chosen)
// Beyond the job's own limits: above what the agent allows itself before a command (390 s) and after it (78 s), with
// room for bringing files (chosen).
constexpr seconds kSlack{900};
constexpr seconds kCancelLimit{30};  // SIGTERM, 5 s, SIGKILL, upload
constexpr int64_t kFetchLimitMs = 300'000;

// What a call's failure means to CI: 2 mend the command line, 5 interrupted, 3 try again.
int ExitOfRun(Session& session, const Status& status) {
  session.Fail(status);
  switch (status.code()) {
    case Code::kInvalidArgument:
    case Code::kPermissionDenied:
    case Code::kUnauthenticated:
      return kExitUsage;
    case Code::kCancelled:
      return kExitCancelled;
    default:
      return kExitUnavailable;
  }
}

Status MakeFolder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error && fs::is_directory(folder)) return OkStatus();
  return {Code::kInvalidArgument,
          fmt::format("cannot make the folder {}: {}; choose another with --out DIR",
                      folder,
                      error ? error.message() : "it is a file")};
}

// The lab names the job; a name that is no plain one makes no path of its own.
std::string FolderName(const std::string& id) {
  const bool plain = !id.empty() && id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  return plain ? id : "job";
}

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

// One job from its submission to its end.
class Run {
 public:
  Run(Session& session, v1::Job job, std::string folder)
      : session_(session),
        job_(std::move(job)),
        folder_(std::move(folder)),
        log_file_(OpenLog(session, folder_), &std::fclose),
        log_kept_(log_file_ != nullptr),
        log_(session, log_file_.get()),
        give_up_(BootClock::now() + seconds(job_.spec().timeout_s()) + seconds(job_.spec().queue_timeout_s()) +
                 kSlack) {}

  // Until the job has ended.
  Status Follow() {
    while (job_.state() != v1::JOB_STATE_FINISHED) {
      TellProgress();
      const Status status = Step();
      if (session_.interrupted()) {
        FARADAY_TRY(OnInterrupt());
      } else {
        FARADAY_TRY(status);
      }
      if (BootClock::now() > give_up_) return Overdue();
    }
    if (session_.json()) TellProgress();  // people get the whole outcome below
    return log_.Drain(BootClock::now() + seconds(60));
  }

  int Finish() {
    const Fetched fetched = FetchArtifacts(session_, job_, folder_, BootClock::now() + Milliseconds(kFetchLimitMs));
    CloseLog();
    if (session_.json()) {
      session_.Json(job_);
    } else {
      session_.Err(RenderOutcome(job_) + KeptWords(fetched));
    }
    const int exit = ExitOfOutcome(job_.outcome());
    if (cancelled_ && exit != kExitOk && exit != kExitRefused) return kExitCancelled;
    // A passed test whose log or artefacts are missing is not what CI asked for.
    return exit == kExitOk && (fetched.failed > 0 || !log_kept_) ? kExitUnavailable : exit;
  }

 private:
  // nullptr when it cannot be written, and that is said before the job runs on.
  static std::FILE* OpenLog(Session& session, const std::string& folder) {
    const std::string path = folder + "/log.txt";
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (file == nullptr)
      session.Say(fmt::format("cannot write {}: {}; the log is not kept", path, std::strerror(errno)));
    return file;
  }

  void CloseLog() {
    if (log_file_ == nullptr) return;
    const bool lost = std::ferror(log_file_.get()) != 0;
    log_kept_ = std::fclose(log_file_.release()) == 0 && !lost;
    if (log_kept_) return;
    session_.Say(fmt::format("{}/log.txt is not whole: writing it failed (disk full?); faraday job logs {} has it",
                             folder_,
                             Printable(job_.id())));
  }

  std::string KeptWords(const Fetched& fetched) const {
    std::string kept = log_kept_ ? folder_ + "/log.txt" : "";
    if (fetched.files > 0) kept += fmt::format("{}{}/artifacts/", kept.empty() ? "" : ", ", folder_);
    return kept.empty() ? "" : fmt::format("  {:<10}{}\n", "kept", kept);
  }

  Status Step() {
    const v1::Attempt* attempt = LastAttempt(job_);
    const bool has_log = attempt != nullptr && attempt->state() >= v1::ATTEMPT_STATE_RUNNING && !log_.complete();
    if (has_log) {
      log_.Begin(attempt->id());
      FARADAY_TRY_ASSIGN(const bool more, log_.Read(kLogWait, give_up_));
      if (more && BootClock::now() - last_look_ < Milliseconds(1000)) return OkStatus();
    }
    return Look(has_log ? Milliseconds(0) : kJobWait);
  }

  Status Look(Milliseconds wait) {
    v1::Request request;
    auto& call = *request.mutable_get_job();
    call.set_id(job_.id());
    call.set_wait_ms(static_cast<uint32_t>(wait.count()));
    call.set_have_change(change_);
    FARADAY_TRY_ASSIGN(v1::Reply reply, session_.CallUntil(session_.lab(), request, wait + kAnswerLimit, give_up_));
    job_ = std::move(*reply.mutable_job()->mutable_job());
    change_ = reply.job().change();
    last_look_ = BootClock::now();
    return OkStatus();
  }

  // The lab answers, but the job does not end.
  Status Overdue() {
    if (cancelled_) {
      return {Code::kCancelled, fmt::format("{0} is being cancelled; see faraday job show {0}", job_.id())};
    }
    const Status cancelled = Cancel("not ended in time");
    return {Code::kUnavailable,
            fmt::format("{} has not ended in time and {}; see faraday job show {}",
                        job_.id(),
                        cancelled.ok() ? "is cancelled" : "cannot be cancelled: " + cancelled.message(),
                        job_.id())};
  }

  Status Cancel(const std::string& reason) {
    v1::Request request;
    request.mutable_cancel_job()->set_id(job_.id());
    request.mutable_cancel_job()->set_reason(reason);
    return session_.CallUntil(session_.lab(), request, Milliseconds(5000), give_up_).status();
  }

  void TellProgress() {
    std::string words = ProgressWords(job_);
    if (words == said_) return;
    session_.Progress(words);
    said_ = std::move(words);
  }

  // The first Ctrl-C cancels and waits for the end; the second leaves at once.
  Status OnInterrupt() {
    session_.AnswerInterrupt();
    if (cancelled_) return {Code::kCancelled, "left; " + job_.id() + " is being cancelled"};
    cancelled_ = true;
    give_up_ = BootClock::now() + kCancelLimit;
    session_.Progress("cancelling " + job_.id() + "; Ctrl-C again does not wait for its end");
    return Cancel("interrupted by " + session_.user());
  }

  Session& session_;
  v1::Job job_;
  std::string folder_;
  File log_file_;
  bool log_kept_;
  LogStream log_;
  BootTime give_up_;
  BootTime last_look_;
  uint64_t change_ = 0;
  std::string said_;
  bool cancelled_ = false;
};

int RunJob(Session& session, const Invocation& invocation) {
  const auto spec = MakeJobSpec(invocation);
  if (!spec.ok()) return ExitOfRun(session, spec.status());
  const std::string out = invocation.Get("out", "faraday-out");
  if (const Status made = MakeFolder(out); !made.ok()) return ExitOfRun(session, made);
  auto job = SubmitJob(session, *spec);
  if (!job.ok()) return ExitOfRun(session, job.status());
  const std::string folder = invocation.Has("out") ? out : out + "/" + FolderName(job->id());
  if (const Status made = MakeFolder(folder); !made.ok()) return ExitOfRun(session, made);
  Run run(session, std::move(*job), folder);
  if (const Status followed = run.Follow(); !followed.ok()) return ExitOfRun(session, followed);
  return run.Finish();
}

}  // namespace

std::vector<Verb> RunVerbs() {
  Verb verb{.path = {"run"},
            .summary = "Run a command for a phone chosen by selector; exit with what it was",
            .arguments = JobArguments(),
            .takes_command = true,
            .examples =
                "  faraday run -l model=pixel-8 -- adb shell getprop ro.build.version.release\n"
                "  faraday run -l 'os>=14' --timeout 20m --junit junit.xml --out results -- ./smoke-test.sh\n"
                "  faraday run -l platform=android --artifact 'logs/*.txt' -- sh -c 'adb logcat -d >logs/a.txt'\n"
                "\n"
                "The command runs on the phone's host with FARADAY_SLOT, FARADAY_LEASE, FARADAY_ARTIFACTS, "
                "ANDROID_SERIAL and\n"
                "ANDROID_ADB_SERVER_PORT set, so plain adb means the leased phone. Its log goes to stdout, progress "
                "and result to\n"
                "stderr; DIR (default faraday-out/JOB) takes log.txt and artifacts/. Ctrl-C cancels the job.\n"
                "With --json stdout is the finished Job, and the log goes to stderr.\n"
                "\n"
                "Exit codes: 0 passed; 1 the test failed (its exit code, its JUnit, or its time); 2 usage; 3 "
                "infrastructure failed,\n"
                "safe to retry (an unreachable lab too); 4 no device in time; 5 cancelled or lease lost.",
            .run = RunJob};
  verb.arguments.push_back(
      {Argument::Kind::kOption, "--out", "DIR", "where log.txt and artifacts/ go, default faraday-out/JOB"});
  return {verb};
}

}  // namespace faraday::cli
