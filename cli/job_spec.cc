#include "cli/job_spec.h"

#include <fmt/format.h>

#include "model/selector.h"

namespace faraday::cli {
namespace {

constexpr int64_t kDay = 86'400'000;

bool IsVariableName(const std::string& name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (name.empty() || !letter(name[0])) return false;
  for (char c : name) {
    if (!letter(c) && !(c >= '0' && c <= '9')) return false;
  }
  return true;
}

Status AddEnvironment(const Invocation& invocation, v1::JobSpec* spec) {
  for (const std::string& text : invocation.All("env")) {
    const size_t at = text.find('=');
    if (at == std::string::npos || !IsVariableName(text.substr(0, at))) {
      return {Code::kInvalidArgument, fmt::format("--env: '{}' is no NAME=VALUE", text)};
    }
    (*spec->mutable_environment())[text.substr(0, at)] = text.substr(at + 1);
  }
  return OkStatus();
}

// A path inside the job's folder.
Status CheckRelative(const std::string& option, const std::string& path) {
  const bool climbs = ("/" + path + "/").find("/../") != std::string::npos;
  if (path.empty() || path[0] == '/' || climbs) {
    return {Code::kInvalidArgument,
            fmt::format(
                "--{}: '{}' must be a path inside the job's working folder, relative and without ..", option, path)};
  }
  return OkStatus();
}

}  // namespace

std::vector<Argument> JobArguments() {
  using Kind = Argument::Kind;
  return {
      {Kind::kOption, "-l,--selector", "SELECTOR", "which phone: model=pixel-8,os>=14", true},
      {Kind::kOption, "--timeout", "TIME", "of the run, default 10m; longer is a failed test"},
      {Kind::kOption, "--queue-timeout", "TIME", "how long to wait for a phone, default 10m"},
      {Kind::kRepeated,
       "--artifact",
       "GLOB",
       "files to bring back besides those in $FARADAY_ARTIFACTS; may be given again"},
      {Kind::kOption, "--junit", "FILE", "JUnit file the command writes; its failures fail the job"},
      {Kind::kRepeated, "--env", "NAME=VALUE", "for the command; may be given again"},
      {Kind::kOption, "--note", "TEXT", "what it is for; others see it"},
  };
}

Result<v1::JobSpec> MakeJobSpec(const Invocation& invocation) {
  v1::JobSpec spec;
  const auto selector = model::Selector::Parse(invocation.Get("selector"));
  FARADAY_TRY(selector.status());
  spec.set_selector(invocation.Get("selector"));
  for (const std::string& word : invocation.rest) spec.add_command(word);
  FARADAY_TRY_ASSIGN(const int64_t timeout, invocation.DurationMs("timeout", 600'000, 1000, kDay));
  FARADAY_TRY_ASSIGN(const int64_t queue, invocation.DurationMs("queue-timeout", 600'000, 1000, 7 * kDay));
  spec.set_timeout_s(static_cast<uint32_t>((timeout + 999) / 1000));
  spec.set_queue_timeout_s(static_cast<uint32_t>((queue + 999) / 1000));
  for (const std::string& glob : invocation.All("artifact")) {
    FARADAY_TRY(CheckRelative("artifact", glob));
    spec.add_artifact_globs(glob);
  }
  if (invocation.Has("junit")) {
    FARADAY_TRY(CheckRelative("junit", invocation.Get("junit")));
    spec.set_junit(invocation.Get("junit"));
  }
  FARADAY_TRY(AddEnvironment(invocation, &spec));
  spec.set_note(invocation.Get("note"));
  return spec;
}

Result<v1::Job> SubmitJob(Session& session, const v1::JobSpec& spec) {
  v1::Request request;
  *request.mutable_submit_job()->mutable_spec() = spec;
  request.set_idempotency_key(Session::NewKey());
  auto reply = session.CallLab(request);
  // Not known whether it was taken: the key makes asking again harmless.
  if (!reply.ok() && reply.status().code() == Code::kDeadlineExceeded && !session.interrupted()) {
    reply =
        session.CallUntil(session.lab(), request, Milliseconds(10'000), BootClock::now() + std::chrono::seconds(30));
  }
  FARADAY_TRY(reply.status());
  return reply->job().job();
}

}  // namespace faraday::cli
