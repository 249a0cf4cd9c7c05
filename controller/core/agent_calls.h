// The agents' two calls: Report (facts, cleared words, epochs seen) and the list that Sync answers with.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/core/care.h"
#include "controller/core/rack_parts.h"
#include "controller/core/rights.h"

namespace faraday::controller {

struct AgentReport {
  std::string agent;
  std::string host;
  std::vector<std::pair<std::string, DeviceFacts>> facts;  // by slot name; agent is filled in
  std::vector<std::pair<std::string, uint32_t>> cleared;
  std::vector<std::pair<std::string, uint32_t>> epochs_seen;
};

// One slot of a Sync answer. `end` moves only when somebody changes it, so equality is "nothing but time passed".
struct SyncSlot {
  std::string slot;
  uint32_t epoch = 0;
  std::optional<BootTime> end;  // none with care
  Purpose purpose = Purpose::kCare;
  std::string holder;
  std::string agent;
  std::string reservation;
  std::string lease;
  link::DataPath data = link::DataPath::kUnknown;
  std::string data_host;
  std::string adb;
  std::string usb;
  std::string expected;
  bool needs_clearing = false;
  uint32_t clearing_epoch = 0;
  bool discover = false;
  bool operator==(const SyncSlot&) const = default;
};

class AgentCalls {
 public:
  AgentCalls(RackParts& parts, Care& care) : parts_(parts), care_(care) {}

  // Errors: kPermissionDenied for another role, another agent's name or a slot that the host does not reach, kNotFound
  // for an unknown host or slot (all other slots of the report are taken all the same), the store's.
  Status Report(const Caller& caller, const AgentReport& report, Now now);
  // The agent is there and asks for its host's slots. Errors: kPermissionDenied, kNotFound.
  Status BeginSync(const Caller& caller, const std::string& agent, const std::string& host, Now now);
  // Every slot the host can reach. REQUIRES: BeginSync was OK for it.
  std::vector<SyncSlot> SlotsFor(const std::string& host, Now now) const;

 private:
  Status CheckAgent(access::Call call, const Caller& caller, const std::string& agent, const std::string& host) const;
  // The slot of that name, when `host` is one of its hosts: nobody else knows anything of it.
  Result<int> FindSlotOf(const std::string& host, const std::string& name) const;
  Status TakeFacts(const std::string& host, const std::string& name, DeviceFacts facts, Now now);
  Status TakeCleared(const AgentReport& report, const std::string& name, uint32_t epoch, Now now);
  Status TakeEpoch(const std::string& host, const std::string& name, uint32_t epoch);
  SyncSlot SlotFor(const rackconfig::SlotConfig& config, const rackconfig::SlotHost& host, Now now) const;

  RackParts& parts_;
  Care& care_;
};

}  // namespace faraday::controller
