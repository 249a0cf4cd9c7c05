// The lease book: every slot's tenure, in memory and in the store. Every change is on disk before it is visible here;
// when the store refuses, nothing changed. Knows nothing of lines and agents: epochs that others have seen come in as
// `witness`. One thread, time as an argument.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "controller/core/caller.h"
#include "controller/core/lease_store.h"
#include "controller/core/now.h"
#include "controller/core/tenure.h"
#include "rackconfig/rack_config.h"

namespace faraday::controller {

inline constexpr Milliseconds kJobLease{60'000};         // renewed every 20 s by the agent (design 4.2)
inline constexpr Milliseconds kFirmwareBackstop{2'000};  // the firmware's own end is that much later (design 4.3)
inline constexpr uint32_t kLargestEpochJump = 1U << 16;  // beyond: maintenance(epoch lost) (design 4.5)

constexpr bool JumpsTooFar(uint32_t seen, uint32_t stored) {
  return seen > stored && seen - stored > kLargestEpochJump;
}
// Stays at the largest: an epoch never goes back.
constexpr uint32_t EpochAfter(uint32_t epoch) { return epoch == UINT32_MAX ? epoch : epoch + 1; }

// Makes an effect idempotent: stored in the effect's own transaction.
struct OnceKey {
  std::string user;
  std::string key;  // empty: not idempotent
  std::string request_hash;
  // The reply's bytes for the tenure as it will be after the effect; `held` is what was granted or ended.
  std::function<std::string(const Tenure& held)> reply;
};

struct GrantRequest {
  Purpose purpose = Purpose::kPerson;
  Caller holder;
  std::string granted_by;
  Milliseconds duration{0};  // already checked
  std::string agent;
  std::string reservation;
  std::string note;
};

class LeaseBook {
 public:
  // All must outlive the book. `boot_id` tells this boot of the machine from others.
  LeaseBook(const rackconfig::RackConfig& config, LeaseStore& store, std::string boot_id);

  // Reads the store. Leases in force go on with their epoch and remaining time; slots seen for the first time begin
  // with care's epoch 1; grants nobody was told of are void. Errors: the store's.
  Status Load(Now now);

  // REQUIRES: the slot is in the config.
  const Tenure& at(int slot) const { return tenures_.at(slot); }
  const std::map<int, Tenure>& all() const { return tenures_; }
  // The end in this boot's time. REQUIRES: IsUsers(at(slot)).
  BootTime EndOf(int slot) const { return ends_.at(slot); }
  // 0 when run out or care's.
  Milliseconds LeftOf(int slot, Now now) const;
  // When the slot's tenure began in this run.
  BootTime Since(int slot) const { return since_.at(slot); }
  // Whether the end was reckoned from UTC because the machine has booted since.
  bool EndIsFromUtc(int slot) const { return from_utc_.count(slot) != 0; }

  // Stores `granting` with epoch 1 + max(stored, witness). REQUIRES: kCare. kResourceExhausted: no epoch is left.
  Status BeginGrant(int slot, const GrantRequest& request, uint32_t witness, Now now);
  // Stores `leased`. REQUIRES: kGranting.
  Status FinishGrant(int slot, const OnceKey& once, Now now);
  // Care takes the next epoch; nobody was told of the grant. REQUIRES: kGranting.
  Status VoidGrant(int slot, uint32_t witness, Now now);
  // Care takes the next epoch; the slot is cleaned when an agent is there to do it. REQUIRES: kLeased.
  Status End(int slot, uint32_t witness, const OnceKey& once, const AuditLine& why, Now now);
  // Sets the end to `duration` from now. REQUIRES: kLeased; duration checked.
  Status Renew(int slot, Milliseconds duration, const OnceKey& once, Now now);
  // The agent's word that nothing of `epoch` is left. Older and repeated words are fine and change nothing.
  Status Cleared(int slot, uint32_t epoch, Now now);
  // Care's epoch follows a larger one seen elsewhere. REQUIRES: not the users'.
  Status RaiseCareEpoch(int slot, uint32_t epoch, Now now);
  Status SetHealth(int slot, Health health, const std::string& reason, const AuditLine& why, Now now);
  // What the holder wants of the outputs; nothing is written when it is the same. REQUIRES: kLeased.
  Status SetWanted(int slot, const Wanted& wanted, Now now);
  // The rack's stop in force, if any.
  const std::optional<StopRecord>& stop() const { return stop_; }
  Status SetStop(std::optional<StopRecord> stop, const AuditLine& why);
  // Writes the history alone.
  Status Note(const AuditLine& line);
  // Replaces the end by what an MCU that did not reset still counts. No store write: it is re-read from the MCU.
  void OverrideEnd(int slot, Milliseconds left, Now now);

 private:
  Status Put(std::vector<Tenure> changed, std::optional<OnceRecord> once, std::vector<AuditLine> audit, Now now);
  void Adopt(Tenure tenure, Now now);
  void Resolve(const Tenure& tenure, Now now);
  StoredEnd EndAfter(Milliseconds duration, Now now) const;

  const rackconfig::RackConfig& config_;
  LeaseStore& store_;
  std::string boot_id_;
  std::map<int, Tenure> tenures_;
  std::map<int, BootTime> ends_;
  std::map<int, BootTime> since_;
  std::map<int, bool> from_utc_;
  std::optional<StopRecord> stop_;
};

}  // namespace faraday::controller
