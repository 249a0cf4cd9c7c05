#include "agent/core/attempt.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace faraday::agent {
namespace {

// May the same call succeed a moment later?
bool MayPass(Code code) {
  return code == Code::kUnavailable || code == Code::kDeadlineExceeded || code == Code::kUnknown ||
         code == Code::kResourceExhausted;
}

// Does the controller say that the lease is no more?
bool SaysLeaseGone(Code code) {
  return code == Code::kNotFound || code == Code::kAborted || code == Code::kFailedPrecondition ||
         code == Code::kPermissionDenied;
}

std::string HowItFailed(const RunEnd& end) {
  if (end.exit_code > 128 && end.exit_code <= 192)
    return fmt::format("signal {} ended the command", end.exit_code - 128);
  return fmt::format("the command ended with exit code {}", end.exit_code);
}

}  // namespace

// Phases without `work` wait for an event. A limit of 0 is none.
struct Attempt::Step {
  void (Attempt::*work)();
  Milliseconds limit;
};

// All limits are chosen; booting phones need up to about two minutes after an update.
const Attempt::Step& Attempt::StepOf(Phase phase) {
  using namespace std::chrono_literals;
  static constexpr Step kSteps[] = {
      {nullptr, 60s},                 // kLease
      {&Attempt::SampleBefore, 30s},  // kBefore
      {&Attempt::SwitchPower, 30s},   // kPower
      {&Attempt::ConnectData, 30s},   // kConnect
      {nullptr, 60s},                 // kDevice
      {nullptr, 180s},                // kBoot
      {&Attempt::StartRun, 0s},       // kRun
      {&Attempt::ProbePhone, 10s},    // kProbe
      {&Attempt::SampleAfter, 3s},    // kAfter
      {&Attempt::OpenData, 5s},       // kOpen
      {&Attempt::ReleaseLease, 60s},  // kRelease
      {&Attempt::CollectFiles, 0s},   // kCollect
      {&Attempt::UploadFiles, 0s},    // kUpload
      {nullptr, 0s},                  // kReport
      {nullptr, 0s},                  // kGone
  };
  return kSteps[static_cast<size_t>(phase)];
}

Attempt::Attempt(AttemptRecord record, const Ports& ports) : record_(std::move(record)), ports_(ports) {}

template <typename Answer, typename Callback>
std::function<void(Answer)> Attempt::InPhase(Callback callback) {
  return [this, alive = std::weak_ptr<int>(alive_), phase = record_.phase, callback](Answer answer) {
    if (alive.expired() || record_.phase != phase) return;
    busy_ = false;
    callback(std::move(answer));
  };
}

void Attempt::Enter(Phase phase) {
  record_.phase = phase;
  entered_ = now_;
  retry_at_ = now_;
  busy_ = false;
  last_problem_.clear();
  if (phase == Phase::kReport && record_.ended_utc_ms == 0) record_.ended_utc_ms = utc_.since_epoch.count();
  Changed();
  if (phase == Phase::kLease || phase == Phase::kBefore) ports_.rack.SetTrace(record_.wish.slot, record_.wish.trace);
  if (phase == Phase::kCollect) ports_.rack.SetTrace(record_.wish.slot, "");  // the slot is given back
  if (phase == Phase::kGone) return ports_.journal.Forget(record_.wish.attempt);
  ports_.journal.Keep(record_);
  if (phase == Phase::kDevice || phase == Phase::kBoot) LookAtPhone();
}

void Attempt::TakeUp(BootTime now) {
  now_ = entered_ = retry_at_ = now;
  if (holds_slot()) ports_.rack.SetTrace(record_.wish.slot, record_.wish.trace);
  const auto end = ports_.runners.LeaseEnd(record_.wish.attempt);
  if (end.ok()) lease_end_ = *end;
  renew_at_ = now;
  if (record_.phase < Phase::kRun) return Enter(record_.outcome == Outcome::kNone ? Phase::kLease : Phase::kRelease);
  if (record_.phase == Phase::kUpload) return Enter(Phase::kCollect);  // where the files lie is not kept
  if (record_.phase != Phase::kRun) return;
  busy_ = true;
  during_samples_ = 1;
  ports_.runners.Adopt(record_.wish.attempt);
  // The earlier agent may have died between its decision and telling the runner.
  if (record_.outcome != Outcome::kNone) ports_.runners.Cancel(record_.wish.attempt);
  ports_.spool.FollowLog(record_.wish.attempt);
}

void Attempt::OnSlot(const SlotWish& wish, BootTime now) {
  now_ = now;
  if (wish.epoch > record_.wish.epoch) {
    return LoseLease(
        fmt::format(
            "slot {} has gone over to epoch {}, the lease was epoch {}", wish.slot, wish.epoch, record_.wish.epoch),
        now);
  }
  // An older epoch is an answer from before the grant.
  if (wish.epoch != record_.wish.epoch || wish.lease != record_.wish.lease) return;
  const auto end = std::max(lease_end_.value_or(wish.lease_end), wish.lease_end);
  if (losing_lease_) return;
  if (lease_end_ != end && record_.phase == Phase::kRun) ports_.runners.SetLeaseEnd(record_.wish.attempt, end);
  lease_end_ = end;
  if (record_.phase == Phase::kLease) {
    renew_at_ = now;  // the end that Sync gave may be a long poll old
    Next();
  }
}

void Attempt::OnFacts(const Facts& facts, BootTime now) {
  now_ = now;
  facts_ = facts;
  if (!wants_session()) return;
  if (!facts.serial.empty()) record_.serial = facts.serial;
  if (!facts.model.empty()) record_.model = facts.model;
  LookAtPhone();
}

void Attempt::LookAtPhone() {
  const bool connected = facts_.adb_state == "device" && facts_.server_port != 0;
  if (record_.phase == Phase::kDevice && connected) return Enter(Phase::kBoot);
  if (record_.phase == Phase::kBoot && connected && facts_.booted == Facts::Booted::kYes) Enter(Phase::kRun);
}

void Attempt::Cancel(const std::string& reason, BootTime now) {
  now_ = now;
  if (record_.phase < Phase::kProbe && record_.outcome == Outcome::kNone) Finish(Outcome::kCancelled, reason);
}

void Attempt::LoseLease(const std::string& reason, BootTime now) {
  now_ = now;
  if (record_.phase >= Phase::kCollect || losing_lease_) return;
  lease_end_ = now;
  if (record_.phase == Phase::kRun && busy_) {
    losing_lease_ = true;
    if (record_.outcome == Outcome::kNone) {
      record_.outcome = Outcome::kLeaseLost;
      record_.reason = reason;
      Changed();
    }
    // The runner kills everything once its deadline has passed.
    return ports_.runners.SetLeaseEnd(record_.wish.attempt, now);
  }
  // After the command its verdict stands: the lease was there as long as it was needed.
  if (record_.outcome == Outcome::kNone) {
    record_.outcome = Outcome::kLeaseLost;
    record_.reason = reason;
  }
  Enter(Phase::kCollect);
}

void Attempt::Finish(Outcome outcome, const std::string& reason) {
  if (record_.outcome == Outcome::kNone) {
    record_.outcome = outcome;
    record_.reason = reason;
  }
  Changed();
  if (record_.phase == Phase::kRun && busy_) {
    ports_.journal.Keep(record_);
    return ports_.runners.Cancel(record_.wish.attempt);
  }
  Enter(record_.phase < Phase::kPower ? Phase::kRelease : Phase::kAfter);
}

void Attempt::Settle(const Status& status) {
  if (status.ok()) return Next();
  last_problem_ = status.message();
  if (MayPass(status.code())) {
    retry_at_ = now_ + kCallRetry;
    return;
  }
  if (status.code() == Code::kAborted) return LoseLease(status.message(), now_);
  Finish(Outcome::kInfrastructure, fmt::format("{}: {}", PhaseText(record_.phase), status.message()));
}

void Attempt::SettleAfter(const Status& status) {
  if (!status.ok() && MayPass(status.code())) {
    retry_at_ = now_ + kCallRetry;
    return;
  }
  Next();
}

void Attempt::OnLate() {
  if (record_.phase == Phase::kProbe) {
    record_.outcome = Outcome::kInfrastructure;
    record_.reason += fmt::format("; the phone is no longer reachable: {}",
                                  last_problem_.empty() ? "it does not answer" : last_problem_);
  }
  if (record_.phase >= Phase::kProbe) return Next();
  std::string reason =
      fmt::format("{}: not within {} s", PhaseText(record_.phase), StepOf(record_.phase).limit.count() / 1000);
  if (!last_problem_.empty()) reason += "; " + last_problem_;
  if (record_.phase == Phase::kLease) reason += fmt::format("; lease {}", record_.wish.lease);
  if (record_.phase == Phase::kDevice || record_.phase == Phase::kBoot) reason += "; adb says " + facts_.adb_state;
  Finish(Outcome::kInfrastructure, reason);
}

void Attempt::Tick(BootTime now, UtcTime utc) {
  now_ = now;
  utc_ = utc;
  if (record_.started_utc_ms == 0) record_.started_utc_ms = utc.since_epoch.count();
  if (LeaseMatters() && lease_end_ && now >= *lease_end_) {
    LoseLease(fmt::format("lease {} ran out: it could not be renewed{}",
                          record_.wish.lease,
                          last_problem_.empty() ? "" : "; " + last_problem_),
              now);
  }
  Renew();
  const Step& step = StepOf(record_.phase);
  if (step.limit.count() != 0 && now - entered_ >= step.limit) OnLate();
  const Step& current = StepOf(record_.phase);
  if (current.work != nullptr && !busy_ && now >= retry_at_) {
    busy_ = true;
    (this->*current.work)();
  }
  SampleDuring();
  SendReport();
}

// ---- the steps ----

void Attempt::SampleBefore() {
  ports_.rack.Sample(record_.wish.slot, InPhase<Result<PowerSample>>([this](Result<PowerSample> sample) {
                       if (sample.ok()) {
                         sample->when = "before";
                         record_.power.push_back(*sample);
                       }
                       Settle(sample.status());
                     }));
}

void Attempt::SwitchPower() {
  ports_.rack.PowerOn(
      record_.wish.slot, record_.wish.epoch, InPhase<Status>([this](Status status) { Settle(status); }));
}

void Attempt::ConnectData() {
  facts_ = {};  // what an earlier session knew does not count
  ports_.rack.SetData(
      record_.wish.slot, record_.wish.epoch, true, InPhase<Status>([this](Status status) { Settle(status); }));
}

void Attempt::StartRun() {
  const Status status = ports_.runners.Start(record_, JobEnvironment(), lease_end_.value_or(now_));
  if (!status.ok()) {
    busy_ = false;
    return Finish(Outcome::kInfrastructure, "the runner could not be started: " + status.message());
  }
  ports_.spool.FollowLog(record_.wish.attempt);
}

std::map<std::string, std::string> Attempt::JobEnvironment() const {
  return {{"FARADAY_SLOT", record_.wish.slot},
          {"FARADAY_LEASE", record_.wish.lease},
          {"FARADAY_JOB", record_.wish.job},
          {"ANDROID_SERIAL", facts_.adb_serial},
          {"ANDROID_ADB_SERVER_PORT", std::to_string(facts_.server_port)}};
}

void Attempt::OnRunEnded(const RunEnd& end, BootTime now) {
  now_ = now;
  if (record_.phase != Phase::kRun) return;
  record_.exit_code = end.exit_code;
  record_.log_size = end.log_size;
  record_.log_dropped = end.log_dropped;
  if (end.started_utc_ms != 0) record_.started_utc_ms = end.started_utc_ms;
  record_.ended_utc_ms = end.ended_utc_ms;
  JudgeRun(end);
  const bool ask_phone = record_.outcome == Outcome::kFailed && end.why != RunEnd::Why::kCannotStart;
  if (record_.outcome == Outcome::kLeaseLost) return Enter(Phase::kCollect);
  Enter(ask_phone ? Phase::kProbe : Phase::kAfter);
}

void Attempt::JudgeRun(const RunEnd& end) {
  if (record_.outcome != Outcome::kNone) return;
  const auto set = [this](Outcome outcome, std::string reason) {
    record_.outcome = outcome;
    record_.reason = std::move(reason);
  };
  switch (end.why) {
    case RunEnd::Why::kExited:
      if (end.exit_code == 0) return set(Outcome::kPassed, "");
      return set(Outcome::kFailed, HowItFailed(end));
    case RunEnd::Why::kTimeout:
      return set(Outcome::kFailed,
                 fmt::format("the command ran out of its time of {} s", record_.wish.spec.timeout.count() / 1000));
    case RunEnd::Why::kLeaseLost:
      return set(Outcome::kLeaseLost, fmt::format("lease {} ran out: it could not be renewed", record_.wish.lease));
    case RunEnd::Why::kCancelled:
      return set(Outcome::kInfrastructure, "the runner was told to end by somebody else than the lab");
    case RunEnd::Why::kCannotStart:
      return set(Outcome::kFailed, end.message);
    case RunEnd::Why::kRunnerLost:
      return set(Outcome::kInfrastructure, end.message);
  }
}

void Attempt::ProbePhone() {
  ports_.phones.Probe(record_.wish.slot, InPhase<Status>([this](Status status) {
                        if (status.ok()) return Next();
                        // The test's own teardown may have ended the adb server; the session brings it back.
                        last_problem_ = status.message();
                        retry_at_ = now_ + kProbeRetry;
                      }));
}

void Attempt::SampleAfter() {
  ports_.rack.Sample(record_.wish.slot, InPhase<Result<PowerSample>>([this](Result<PowerSample> sample) {
                       if (sample.ok()) {
                         sample->when = "after";
                         record_.power.push_back(*sample);
                       }
                       SettleAfter(sample.status());
                     }));
}

void Attempt::OpenData() {
  ports_.rack.SetData(
      record_.wish.slot, record_.wish.epoch, false, InPhase<Status>([this](Status status) { SettleAfter(status); }));
}

void Attempt::ReleaseLease() {
  ports_.rack.Release(
      record_.wish.slot, record_.wish.lease, InPhase<Status>([this](Status status) { SettleAfter(status); }));
}

void Attempt::CollectFiles() {
  ports_.spool.Collect(record_, InPhase<Collected>([this](Collected collected) {
                         JudgeFiles(collected);
                         Next();
                       }));
}

void Attempt::JudgeFiles(const Collected& collected) {
  record_.artifacts = collected.artifacts;
  record_.has_junit = collected.has_junit;
  record_.junit = collected.junit;
  const uint32_t bad = collected.junit.failures + collected.junit.errors;
  if (record_.outcome == Outcome::kPassed && collected.has_junit && bad > 0) {
    record_.outcome = Outcome::kFailed;
    record_.reason =
        fmt::format("{} of {} tests failed (JUnit); the command itself ended with 0", bad, collected.junit.tests);
  }
  if (record_.outcome == Outcome::kPassed && collected.junit_bad) record_.outcome = Outcome::kFailed;
  const bool said = record_.reason.find(collected.problem) != std::string::npos;
  if (!said) record_.reason += (record_.reason.empty() ? "" : "; ") + collected.problem;
}

void Attempt::UploadFiles() {
  ports_.spool.Upload(record_, InPhase<Uploaded>([this](Uploaded uploaded) {
                        // Nobody shall wait for a file that never comes.
                        std::erase_if(record_.artifacts, [&](const Artifact& artifact) {
                          return std::ranges::count(uploaded.missing, artifact.name) > 0;
                        });
                        if (!uploaded.problem.empty())
                          record_.reason += (record_.reason.empty() ? "" : "; ") + uploaded.problem;
                        Next();
                      }));
}

// ---- alongside ----

void Attempt::SampleDuring() {
  if (record_.phase != Phase::kRun || !busy_ || during_samples_ >= 2) return;
  if (during_samples_ == 1 && now_ - entered_ < kSecondSample) return;
  ++during_samples_;
  ports_.rack.Sample(record_.wish.slot, [this, alive = std::weak_ptr<int>(alive_)](Result<PowerSample> sample) {
    if (alive.expired() || !sample.ok() || record_.phase != Phase::kRun) return;
    sample->when = "during";
    std::erase_if(record_.power, [](const PowerSample& old) { return old.when == "during"; });
    record_.power.push_back(*sample);
    ports_.journal.Keep(record_);
    Changed();
  });
}

void Attempt::Renew() {
  if (!LeaseMatters() || record_.phase >= Phase::kRelease || renewing_ || now_ < renew_at_) return;
  renewing_ = true;
  ports_.rack.Renew(record_.wish.slot,
                    record_.wish.lease,
                    [this, alive = std::weak_ptr<int>(alive_), asked = now_](Result<BootTime> end) {
                      if (!alive.expired()) OnRenewed(end, asked);
                    });
}

void Attempt::OnRenewed(const Result<BootTime>& end, BootTime asked) {
  renewing_ = false;
  if (!LeaseMatters() || losing_lease_) return;
  if (end.ok()) {
    renew_at_ = asked + kRenewEvery;
    lease_end_ = std::max(lease_end_.value_or(*end), *end);
    if (record_.phase == Phase::kRun) ports_.runners.SetLeaseEnd(record_.wish.attempt, *lease_end_);
    return;
  }
  renew_at_ = now_ + kRenewRetry;
  if (SaysLeaseGone(end.status().code()) && record_.phase < Phase::kRelease) {
    return LoseLease("the controller says: " + end.status().message(), now_);
  }
  last_problem_ = end.status().message();
}

void Attempt::SendReport() {
  if (!dirty_ || reporting_ || now_ < report_at_ || gone()) return;
  reporting_ = true;
  dirty_ = false;
  const bool final_word = record_.phase == Phase::kReport;
  ports_.lab.Report(record_, [this, alive = std::weak_ptr<int>(alive_), final_word](Result<bool> end_it) {
    if (alive.expired()) return;
    reporting_ = false;
    const bool unknown_there =
        !end_it.ok() && (end_it.status().code() == Code::kNotFound || end_it.status().code() == Code::kInvalidArgument);
    if (!end_it.ok() && !unknown_there) {
      Changed();
      report_at_ = now_ + kCallRetry;
      return;
    }
    if (unknown_there)
      log::Warn("attempt {}: the lab does not take the report: {}", record_.wish.attempt, end_it.status().message());
    if (final_word) return Enter(Phase::kGone);
    if (unknown_there || *end_it) Cancel("the lab does not want it any more", now_);
  });
}

}  // namespace faraday::agent
