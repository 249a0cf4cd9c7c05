#include "lab/protobuf/convert.h"

#include <fmt/core.h>

#include <algorithm>

namespace faraday::lab {
namespace {

UtcTime Utc(int64_t ms) { return {Milliseconds(ms)}; }
int64_t Ms(UtcTime utc) { return utc.since_epoch.count(); }

// A number from the wire that no name has yet becomes `unknown`.
template <typename Enum>
Enum Known(int number, int most, Enum unknown) {
  return number < 0 || number > most ? unknown : static_cast<Enum>(number);
}

DeviceFacts FromProto(const v1::Device& device) {
  DeviceFacts facts;
  facts.expected = device.expected();
  facts.serial = device.serial();
  facts.model = device.model();
  facts.platform = device.platform();
  facts.os_version = device.os_version();
  facts.battery_percent = device.battery_percent();
  facts.adb_state = device.adb_state();
  facts.never_seen = device.never_seen();
  return facts;
}

SlotFacts FromProto(const v1::SlotState& slot, model::SlotId id, Now received) {
  SlotFacts facts;
  facts.slot = std::move(id);
  facts.health = Known(slot.health(), 5, Health::kUnknown);
  facts.health_reason = slot.health_reason();
  facts.allocation = Known(slot.allocation(), 3, Allocation::kUnknown);
  facts.lease = FromProto(slot.lease(), received);
  facts.device = FromProto(slot.device());
  facts.reason = slot.reason();
  facts.trip = slot.trip();
  facts.labels = {slot.labels().begin(), slot.labels().end()};
  facts.hosts = {slot.hosts().begin(), slot.hosts().end()};
  facts.measured_age = Milliseconds(slot.measured_age_ms());
  return facts;
}

}  // namespace

LeaseFacts FromProto(const v1::Lease& lease, Now received) {
  LeaseFacts facts;
  facts.id = lease.id();
  facts.slot = lease.slot();
  facts.epoch = lease.epoch();
  facts.holder = lease.holder();
  facts.team = lease.team();
  facts.purpose = Known(lease.purpose(), 3, Purpose::kUnknown);
  facts.end = received.boot + Milliseconds(lease.left_ms());
  facts.end_utc = lease.end_utc_ms() > 0 ? Utc(lease.end_utc_ms())
                                         : UtcTime{received.utc.since_epoch + Milliseconds(lease.left_ms())};
  facts.agent = lease.agent();
  facts.reservation = lease.reservation();
  facts.note = lease.note();
  return facts;
}

v1::Lease ToProto(const LeaseFacts& facts, Now now) {
  v1::Lease lease;
  lease.set_id(facts.id);
  lease.set_slot(facts.slot);
  lease.set_epoch(facts.epoch);
  lease.set_holder(facts.holder);
  lease.set_team(facts.team);
  lease.set_purpose(static_cast<v1::Purpose>(facts.purpose));
  lease.set_left_ms(static_cast<uint32_t>(std::clamp<int64_t>((facts.end - now.boot).count(), 0, UINT32_MAX)));
  lease.set_end_utc_ms(Ms(facts.end_utc));
  lease.set_agent(facts.agent);
  lease.set_reservation(facts.reservation);
  lease.set_note(facts.note);
  return lease;
}

Status CheckLease(const std::string& slot, const v1::Lease& lease) {
  const auto id = model::ParseSlotId(slot);
  const bool is_cares = lease.id().empty() && lease.purpose() == v1::PURPOSE_CARE;
  const bool named = is_cares || (id.ok() && lease.id() == model::ToString(model::LeaseId{*id, lease.epoch()}));
  if (named && lease.slot() == slot) return OkStatus();
  return {Code::kInternal,
          fmt::format("{} comes with lease '{}' of slot '{}', epoch {}, which is not its own",
                      slot,
                      lease.id(),
                      lease.slot(),
                      lease.epoch())};
}

std::string DropForeign(const std::string& rack, v1::RackState* state) {
  std::string first;
  auto& slots = *state->mutable_slots();
  const auto foreign = std::remove_if(slots.begin(), slots.end(), [&](const v1::SlotState& slot) {
    const auto id = model::ParseSlotId(slot.slot());
    const bool own = id.ok() && id->rack == rack && model::ToString(*id) == slot.slot();
    const Status lease = CheckLease(slot.slot(), slot.lease());
    if (own && lease.ok()) return false;
    if (first.empty()) first = own ? lease.message() : fmt::format("'{}' is no slot of {}", slot.slot(), rack);
    return true;
  });
  slots.erase(foreign, slots.end());
  return first;
}

RackFacts FromProto(const v1::RackState& state, BootTime asked, Now received) {
  RackFacts facts;
  facts.rack = state.rack();
  facts.reachable = true;
  facts.asked = asked;
  for (const auto& slot : state.slots()) {
    if (auto id = model::ParseSlotId(slot.slot()); id.ok()) {
      facts.slots.push_back(FromProto(slot, std::move(id).value(), received));
    }
  }
  return facts;
}

Person FromProto(const v1::Caller& caller) { return {caller.user(), caller.role(), caller.team()}; }

v1::Caller ToProto(const Person& person) {
  v1::Caller caller;
  caller.set_user(person.user);
  caller.set_role(person.role);
  caller.set_team(person.team);
  return caller;
}

JobSpec FromProto(const v1::JobSpec& spec) {
  JobSpec result;
  result.command = {spec.command().begin(), spec.command().end()};
  result.selector = spec.selector();
  result.timeout_s = spec.timeout_s();
  result.queue_timeout_s = spec.queue_timeout_s();
  result.artifact_globs = {spec.artifact_globs().begin(), spec.artifact_globs().end()};
  result.junit = spec.junit();
  result.environment = {spec.environment().begin(), spec.environment().end()};
  result.note = spec.note();
  return result;
}

v1::JobSpec ToProto(const JobSpec& spec) {
  v1::JobSpec result;
  *result.mutable_command() = {spec.command.begin(), spec.command.end()};
  result.set_selector(spec.selector);
  result.set_timeout_s(spec.timeout_s);
  result.set_queue_timeout_s(spec.queue_timeout_s);
  *result.mutable_artifact_globs() = {spec.artifact_globs.begin(), spec.artifact_globs.end()};
  result.set_junit(spec.junit);
  result.mutable_environment()->insert(spec.environment.begin(), spec.environment.end());
  result.set_note(spec.note);
  return result;
}

Attempt FromProto(const v1::Attempt& attempt) {
  Attempt result;
  result.id = attempt.id();
  result.slot = attempt.slot();
  result.lease = attempt.lease();
  result.epoch = attempt.epoch();
  result.agent = attempt.agent();
  result.state = Known(attempt.state(), 5, AttemptState::kNone);
  result.outcome = Known(attempt.outcome(), 6, Outcome::kNone);
  result.exit_code = attempt.exit_code();
  result.reason = attempt.reason();
  for (const auto& sample : attempt.power()) {
    result.power.push_back({sample.when(), sample.vbus_mv(), sample.vbus_ma(), Utc(sample.utc_ms())});
  }
  if (attempt.has_junit()) {
    const auto& junit = attempt.junit();
    result.junit = JunitSummary{junit.tests(), junit.failures(), junit.errors(), junit.skipped()};
  }
  for (const auto& artifact : attempt.artifacts()) {
    result.artifacts.push_back({artifact.name(), artifact.size(), artifact.sha256()});
  }
  result.log_size = attempt.log_size();
  result.log_dropped = attempt.log_dropped();
  result.serial = attempt.serial();
  result.model = attempt.model();
  result.started = Utc(attempt.started_utc_ms());
  result.ended = Utc(attempt.ended_utc_ms());
  result.step = attempt.step();
  return result;
}

v1::Attempt ToProto(const Attempt& attempt) {
  v1::Attempt result;
  result.set_id(attempt.id);
  result.set_slot(attempt.slot);
  result.set_lease(attempt.lease);
  result.set_epoch(attempt.epoch);
  result.set_agent(attempt.agent);
  result.set_state(static_cast<v1::AttemptState>(attempt.state));
  result.set_outcome(static_cast<v1::Outcome>(attempt.outcome));
  result.set_exit_code(attempt.exit_code);
  result.set_reason(attempt.reason);
  for (const auto& sample : attempt.power) {
    auto* added = result.add_power();
    added->set_when(sample.when);
    added->set_vbus_mv(sample.vbus_mv);
    added->set_vbus_ma(sample.vbus_ma);
    added->set_utc_ms(Ms(sample.utc));
  }
  if (attempt.junit) {
    result.mutable_junit()->set_tests(attempt.junit->tests);
    result.mutable_junit()->set_failures(attempt.junit->failures);
    result.mutable_junit()->set_errors(attempt.junit->errors);
    result.mutable_junit()->set_skipped(attempt.junit->skipped);
  }
  for (const auto& artifact : attempt.artifacts) {
    auto* added = result.add_artifacts();
    added->set_name(artifact.name);
    added->set_size(artifact.size);
    added->set_sha256(artifact.sha256);
  }
  result.set_log_size(attempt.log_size);
  result.set_log_dropped(attempt.log_dropped);
  result.set_serial(attempt.serial);
  result.set_model(attempt.model);
  result.set_started_utc_ms(Ms(attempt.started));
  result.set_ended_utc_ms(Ms(attempt.ended));
  result.set_step(attempt.step);
  return result;
}

v1::Reservation ToProto(const Reservation& reservation, uint32_t position, const std::string& controller, Now now) {
  v1::Reservation result;
  result.set_id(ReservationName(reservation.number));
  result.set_user(reservation.person.user);
  result.set_selector(reservation.selector);
  result.set_duration_s(reservation.duration_s);
  result.set_state(static_cast<v1::ReservationState>(reservation.state));
  result.set_reason(reservation.reason);
  result.set_queue_position(position);
  if (reservation.lease) {
    *result.add_leases() = ToProto(*reservation.lease, now);
    result.set_controller(controller);
  }
  result.set_created_utc_ms(Ms(reservation.created));
  return result;
}

v1::Job ToProto(const Job& job, uint32_t position) {
  v1::Job result;
  result.set_id(JobName(job.number));
  result.set_user(job.person.user);
  *result.mutable_spec() = ToProto(job.spec);
  result.set_state(static_cast<v1::JobState>(job.state));
  result.set_outcome(static_cast<v1::Outcome>(job.outcome));
  result.set_reason(job.reason);
  for (const auto& attempt : job.attempts) *result.add_attempts() = ToProto(attempt);
  result.set_created_utc_ms(Ms(job.created));
  result.set_finished_utc_ms(Ms(job.finished));
  result.set_queue_position(position);
  return result;
}

bool SeesEnvironment(const Person& reader, const Job& job) {
  if (reader.role == "tech" || reader.role == "admin") return true;
  return !reader.user.empty() && reader.user == job.person.user;
}

}  // namespace faraday::lab
