#include "agent/zmq/wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "agent/core/utf8.h"

namespace faraday::agent {
namespace {

constexpr uint32_t kDefaultTimeoutS = 600;  // JobSpec.timeout_s 0
constexpr size_t kReasonBytes = 16 * 1024;  // chosen: the report must fit into a message of 1 MiB

// Wire values by the index of ours; both lists are short and their order never changes.
constexpr v1::Outcome kOutcomes[] = {v1::OUTCOME_UNSPECIFIED,
                                     v1::OUTCOME_PASSED,
                                     v1::OUTCOME_FAILED,
                                     v1::OUTCOME_INFRASTRUCTURE,
                                     v1::OUTCOME_CANCELLED,
                                     v1::OUTCOME_LEASE_LOST};
constexpr v1::TriState kBooted[] = {v1::TRI_STATE_UNKNOWN, v1::TRI_STATE_NO, v1::TRI_STATE_YES};

template <typename Wire, typename Ours, size_t kSize>
Ours Find(const Wire (&table)[kSize], Wire value, Ours otherwise) {
  const auto found = std::find(std::begin(table), std::end(table), value);
  return found == std::end(table) ? otherwise : static_cast<Ours>(found - std::begin(table));
}

constexpr v1::Purpose kPurposes[] = {v1::PURPOSE_UNSPECIFIED, v1::PURPOSE_PERSON, v1::PURPOSE_JOB, v1::PURPOSE_CARE};
constexpr v1::DataPath kPaths[] = {v1::DATA_PATH_UNKNOWN, v1::DATA_PATH_OPEN, v1::DATA_PATH_CHARGE, v1::DATA_PATH_HOST};

bool NamesFolder(const std::string& id) {
  return !id.empty() && id.size() <= 100 && id[0] != '.' && std::ranges::all_of(id, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_';
  });
}

v1::AttemptState StateOf(Phase phase) {
  if (phase < Phase::kRun) return v1::ATTEMPT_STATE_PREPARING;
  if (phase == Phase::kRun) return v1::ATTEMPT_STATE_RUNNING;
  return phase < Phase::kReport ? v1::ATTEMPT_STATE_COLLECTING : v1::ATTEMPT_STATE_ENDED;
}

void FillJunit(const JunitSummary& from, v1::JunitSummary* to) {
  to->set_tests(from.tests);
  to->set_failures(from.failures);
  to->set_errors(from.errors);
  to->set_skipped(from.skipped);
}

void FillSpec(const JobSpec& from, v1::JobSpec* to) {
  *to->mutable_command() = {from.command.begin(), from.command.end()};
  to->set_timeout_s(static_cast<uint32_t>(from.timeout.count() / 1000));
  *to->mutable_artifact_globs() = {from.artifact_globs.begin(), from.artifact_globs.end()};
  to->set_junit(from.junit);
  for (const auto& [name, value] : from.environment) (*to->mutable_environment())[name] = value;
}

}  // namespace

SlotWish FromWire(const v1::SyncResult::Slot& slot, BootTime asked) {
  SlotWish wish;
  wish.slot = slot.slot();
  wish.epoch = slot.epoch();
  wish.purpose = Find(kPurposes, slot.purpose(), Purpose::kNone);
  wish.lease = slot.lease();
  wish.agent = slot.agent();
  wish.lease_end = asked + Milliseconds(slot.left_ms());
  wish.data = Find(kPaths, slot.data(), DataPath::kUnknown);
  wish.data_host = slot.data_host();
  wish.adb_address = slot.adb_address();
  wish.usb_path = slot.usb_path();
  wish.needs_clearing = slot.needs_clearing();
  wish.clearing_epoch = slot.clearing_epoch();
  wish.discover = slot.discover();
  return wish;
}

Result<AttemptWish> FromWire(const v1::SyncResult::Attempt& attempt) {
  if (!NamesFolder(attempt.attempt())) {
    return Status(Code::kInvalidArgument,
                  fmt::format("'{}' is no attempt id: letters, digits, '-', '.', '_'", attempt.attempt()));
  }
  if (attempt.spec().command_size() == 0) {
    return Status(Code::kInvalidArgument, fmt::format("attempt {} has no command", attempt.attempt()));
  }
  AttemptWish wish{attempt.attempt(),
                   attempt.job(),
                   attempt.slot(),
                   attempt.lease(),
                   attempt.epoch(),
                   {},
                   attempt.user(),
                   attempt.trace_id()};
  const v1::JobSpec& spec = attempt.spec();
  wish.spec.command = {spec.command().begin(), spec.command().end()};
  wish.spec.timeout = std::chrono::seconds(spec.timeout_s() == 0 ? kDefaultTimeoutS : spec.timeout_s());
  wish.spec.artifact_globs = {spec.artifact_globs().begin(), spec.artifact_globs().end()};
  wish.spec.junit = spec.junit();
  wish.spec.environment = {spec.environment().begin(), spec.environment().end()};
  return wish;
}

v1::SyncResult::Attempt ToWire(const AttemptWish& wish) {
  v1::SyncResult::Attempt attempt;
  attempt.set_attempt(wish.attempt);
  attempt.set_job(wish.job);
  attempt.set_slot(wish.slot);
  attempt.set_lease(wish.lease);
  attempt.set_epoch(wish.epoch);
  attempt.set_user(wish.user);
  attempt.set_trace_id(wish.trace);
  FillSpec(wish.spec, attempt.mutable_spec());
  return attempt;
}

v1::Attempt ToWire(const AttemptRecord& record, const std::string& agent) {
  v1::Attempt attempt;
  attempt.set_id(record.wish.attempt);
  attempt.set_slot(record.wish.slot);
  attempt.set_lease(record.wish.lease);
  attempt.set_epoch(record.wish.epoch);
  attempt.set_agent(agent);
  attempt.set_state(StateOf(record.phase));
  attempt.set_outcome(kOutcomes[static_cast<size_t>(record.outcome)]);
  attempt.set_exit_code(record.exit_code);
  attempt.set_reason(CleanUtf8(record.reason.substr(0, kReasonBytes)));
  for (const PowerSample& sample : record.power) {
    v1::PowerSample* to = attempt.add_power();
    to->set_when(sample.when);
    to->set_vbus_mv(sample.vbus_mv);
    to->set_vbus_ma(sample.vbus_ma);
    to->set_utc_ms(sample.utc_ms);
  }
  if (record.has_junit) FillJunit(record.junit, attempt.mutable_junit());
  for (const Artifact& artifact : record.artifacts) {
    v1::Artifact* to = attempt.add_artifacts();
    to->set_name(CleanUtf8(artifact.name));
    to->set_size(artifact.size);
    to->set_sha256(artifact.sha256);
  }
  attempt.set_log_size(record.log_size);
  attempt.set_log_dropped(record.log_dropped);
  attempt.set_serial(CleanUtf8(record.serial));
  attempt.set_model(CleanUtf8(record.model));
  attempt.set_started_utc_ms(record.started_utc_ms);
  attempt.set_ended_utc_ms(record.ended_utc_ms);
  attempt.set_step(PhaseText(record.phase));
  return attempt;
}

AttemptRecord FromWire(const v1::Attempt& attempt) {
  AttemptRecord record;
  record.outcome = Find(kOutcomes, attempt.outcome(), Outcome::kNone);
  record.exit_code = attempt.exit_code();
  record.reason = attempt.reason();
  for (const v1::PowerSample& sample : attempt.power()) {
    record.power.push_back({sample.when(), sample.vbus_mv(), sample.vbus_ma(), sample.utc_ms()});
  }
  record.has_junit = attempt.has_junit();
  record.junit = {
      attempt.junit().tests(), attempt.junit().failures(), attempt.junit().errors(), attempt.junit().skipped()};
  for (const v1::Artifact& artifact : attempt.artifacts()) {
    record.artifacts.push_back({artifact.name(), artifact.size(), artifact.sha256(), ""});
  }
  record.log_size = attempt.log_size();
  record.log_dropped = attempt.log_dropped();
  record.serial = attempt.serial();
  record.model = attempt.model();
  record.started_utc_ms = attempt.started_utc_ms();
  record.ended_utc_ms = attempt.ended_utc_ms();
  return record;
}

v1::Device ToWire(const Facts& facts, const std::string& agent, BootTime now) {
  v1::Device device;
  device.set_serial(CleanUtf8(facts.serial));
  device.set_model(CleanUtf8(facts.model));
  if (!facts.serial.empty()) device.set_platform("android");
  device.set_os_version(CleanUtf8(facts.os_version));
  device.set_battery_percent(facts.battery_percent);
  device.set_adb_state(CleanUtf8(facts.adb_state));
  device.set_boot_completed(kBooted[static_cast<size_t>(facts.booted)]);
  device.set_age_ms(static_cast<uint32_t>(std::max<int64_t>(0, (now - facts.measured).count())));
  device.set_agent(agent);
  return device;
}

v1::ReportCall ToWire(const RackReport& report, const std::string& agent, const std::string& host, BootTime now) {
  v1::ReportCall call;
  call.set_agent(agent);
  call.set_host(host);
  for (const auto& [slot, facts] : report.facts) {
    auto* to = call.add_facts();
    to->set_slot(slot);
    *to->mutable_device() = ToWire(facts, agent, now);
  }
  for (const auto& [slot, epoch] : report.cleared) {
    auto* to = call.add_cleared();
    to->set_slot(slot);
    to->set_epoch(epoch);
  }
  for (const auto& [slot, epoch] : report.epochs_seen) (*call.mutable_epochs_seen())[slot] = epoch;
  return call;
}

}  // namespace faraday::agent
