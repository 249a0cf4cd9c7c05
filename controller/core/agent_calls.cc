#include "controller/core/agent_calls.h"

#include <fmt/core.h>

#include <algorithm>

#include "controller/core/slot_view.h"
#include "model/slot_id.h"

namespace faraday::controller {
namespace {

void KeepFirst(Status status, Status* first) {
  if (first->ok() && !status.ok()) *first = std::move(status);
}

}  // namespace

Status AgentCalls::CheckAgent(access::Call call,
                              const Caller& caller,
                              const std::string& agent,
                              const std::string& host) const {
  FARADAY_TRY(CheckRight(call, caller, Ownership::kOther, "", ""));
  if (caller.user != agent) {
    return {Code::kPermissionDenied,
            fmt::format("caller {} speaks for agent {}; an agent speaks for itself", caller.user, agent)};
  }
  const std::string expected = parts_.AgentOfHost(host);
  if (expected.empty()) {
    return {Code::kNotFound,
            fmt::format("no host {} in the config of rack {}; check the agent's `host`", host, parts_.config.rack)};
  }
  if (expected == agent) return OkStatus();
  return {Code::kPermissionDenied, fmt::format("host {} belongs to agent {}, not to {}", host, expected, agent)};
}

Status AgentCalls::Report(const Caller& caller, const AgentReport& report, Now now) {
  FARADAY_TRY(CheckAgent(access::Call::kReport, caller, report.agent, report.host));
  parts_.agents.Spoke(report.agent, now);
  Status first;
  for (const auto& [slot, epoch] : report.epochs_seen) KeepFirst(TakeEpoch(report.host, slot, epoch), &first);
  for (const auto& [slot, epoch] : report.cleared) KeepFirst(TakeCleared(report, slot, epoch, now), &first);
  for (const auto& [slot, facts] : report.facts) {
    DeviceFacts named = facts;
    named.agent = report.agent;
    KeepFirst(TakeFacts(report.host, slot, std::move(named), now), &first);
  }
  return first;
}

Result<int> AgentCalls::FindSlotOf(const std::string& host, const std::string& name) const {
  FARADAY_TRY_ASSIGN(const int slot, parts_.FindSlot(name));
  const auto& hosts = parts_.SlotOf(slot).hosts;
  if (std::ranges::any_of(hosts, [&](const auto& reach) { return reach.host == host; })) return slot;
  return Status(Code::kPermissionDenied,
                fmt::format("{} is not a slot of host {} in the config of rack {}; what it reports of it is not taken",
                            name,
                            host,
                            parts_.config.rack));
}

Status AgentCalls::TakeEpoch(const std::string& host, const std::string& name, uint32_t epoch) {
  FARADAY_TRY_ASSIGN(const int slot, FindSlotOf(host, name));
  const uint32_t stored = parts_.book.at(slot).epoch;
  if (JumpsTooFar(epoch, stored)) {
    return {Code::kInvalidArgument,
            fmt::format("{}: epochs_seen {} is more than {} above the store's {}; not believed, check the agent's "
                        "state_dir",
                        name,
                        epoch,
                        kLargestEpochJump,
                        stored)};
  }
  parts_.agents.SawEpoch(slot, epoch);
  return OkStatus();
}

Status AgentCalls::TakeCleared(const AgentReport& report, const std::string& name, uint32_t epoch, Now now) {
  FARADAY_TRY_ASSIGN(const int slot, FindSlotOf(report.host, name));
  const Tenure& before = parts_.book.at(slot);
  if (before.phase != Phase::kCleaning || before.agent != report.agent) return OkStatus();
  FARADAY_TRY(parts_.book.Cleared(slot, epoch, now));
  if (parts_.book.at(slot).phase != Phase::kCare) return OkStatus();
  care_.Due(slot);
  parts_.events.OnSlot(
      slot, "slot.cleaned", fmt::format("agent {} cleared epoch {}; the slot is free", report.agent, epoch), "", now);
  parts_.events.OnSyncChange();
  return OkStatus();
}

Status AgentCalls::TakeFacts(const std::string& host, const std::string& name, DeviceFacts facts, Now now) {
  FARADAY_TRY_ASSIGN(const int slot, FindSlotOf(host, name));
  const DeviceFacts* before = parts_.agents.FactsOf(slot);
  const bool news = before == nullptr || before->serial != facts.serial || before->adb_state != facts.adb_state ||
                    before->boot_completed != facts.boot_completed || before->os_version != facts.os_version;
  parts_.agents.SetFacts(slot, facts);
  if (news) {
    const std::string booted = !facts.boot_completed ? "" : *facts.boot_completed ? ", booted" : ", booting";
    parts_.events.OnSlot(
        slot,
        "phone.facts",
        fmt::format("adb {}{}{}{}", facts.adb_state, facts.model.empty() ? "" : ", ", facts.model, booted),
        "",
        now);
  }
  care_.OnFacts(slot, facts, now);
  return OkStatus();
}

Status AgentCalls::BeginSync(const Caller& caller, const std::string& agent, const std::string& host, Now now) {
  FARADAY_TRY(CheckAgent(access::Call::kSync, caller, agent, host));
  parts_.agents.Spoke(agent, now);
  return OkStatus();
}

std::vector<SyncSlot> AgentCalls::SlotsFor(const std::string& host, Now now) const {
  std::vector<SyncSlot> slots;
  for (const auto& config : parts_.config.slots) {
    for (const auto& reach : config.hosts) {
      if (reach.host == host) slots.push_back(SlotFor(config, reach, now));
    }
  }
  return slots;
}

SyncSlot AgentCalls::SlotFor(const rackconfig::SlotConfig& config, const rackconfig::SlotHost& host, Now now) const {
  const int number = config.number;
  const Tenure& tenure = parts_.book.at(number);
  const Measured& measured = parts_.MeasuredOf(number);
  SyncSlot slot;
  slot.slot = parts_.NameOf(number);
  slot.epoch = tenure.epoch;
  // An agent starts nothing on a grant nobody was told of.
  const bool leased = tenure.phase == Phase::kLeased;
  if (leased) slot.end = parts_.book.EndOf(number);
  slot.purpose = leased ? tenure.purpose : Purpose::kCare;
  slot.holder = leased ? tenure.holder : kCareHolder;
  slot.agent = leased ? tenure.agent : "";
  slot.reservation = leased ? tenure.reservation : "";
  slot.lease = model::ToString(model::LeaseId{{parts_.config.rack, number}, tenure.epoch});
  if (measured.ever && now.boot - measured.at <= kFresh) {
    slot.data = measured.bits.data_measured;
    const size_t index = measured.bits.data_measured_host;
    if (slot.data == link::DataPath::kHost && index < config.hosts.size()) slot.data_host = config.hosts[index].host;
  }
  slot.adb = host.adb;
  slot.usb = host.usb;
  slot.expected = config.expected_phone;
  slot.needs_clearing = tenure.phase == Phase::kCleaning && tenure.agent == parts_.AgentOfHost(host.host);
  slot.clearing_epoch = slot.needs_clearing ? tenure.clearing_epoch : 0;
  slot.discover = care_.Connected(number) && config.hosts.front().host == host.host;
  return slot;
}

}  // namespace faraday::controller
