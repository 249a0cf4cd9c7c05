// Leases as calls: acquire, renew, release, their ends, and keeping every board told who holds its slots.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "controller/core/care.h"
#include "controller/core/rack_parts.h"
#include "controller/core/slot_view.h"

namespace faraday::controller {

struct AcquireRequest {
  std::string slot;
  Purpose purpose = Purpose::kUnspecified;
  Milliseconds duration{0};
  std::optional<Caller> on_behalf_of;
  std::string agent;
  std::string reservation;
  std::string note;
};

struct ReleaseRequest {
  std::string lease;
  bool force = false;
  std::string reason;
};

// A lease that ended without a call: it ran out, its holder is gone, the board gave it up.
struct OwnEnd {
  std::string slot;
  std::string lease;
  std::string holder;
  std::string reservation;  // as granted, may be empty
  std::string why;
  std::string trace;  // of the call that it was granted to in this run, else empty
};

class Grants {
 public:
  Grants(RackParts& parts, Care& care, const SlotViews& views) : parts_(parts), care_(care), views_(views) {}

  // Is told of each lease that ended without a call, once its end is on disk. For the audit.
  void OnOwnEnd(std::function<void(const OwnEnd&)> told) { on_own_end_ = std::move(told); }

  // Answers once the firmware has acknowledged and the grant is on disk. Errors: kInvalidArgument (duration, agent, a
  // `reservation` by anybody but the lab: it would take the lease for its own),
  // kPermissionDenied, kFailedPrecondition naming the holder and the end, or the slot's ill health; kUnavailable
  // without a line or a working store. Nothing is half granted: what fails later than the first store is void.
  void Acquire(const CallContext& context, const AcquireRequest& request, Answer<LeaseView> answer, Now now);
  // Errors: kNotFound when that lease is over, kInvalidArgument beyond the hard maximum, kPermissionDenied.
  Result<LeaseView> Renew(const CallContext& context, const std::string& lease, Milliseconds duration, Now now);
  // The lease is over when it returns OK; the board is told with the next command on its line. Errors: as Renew.
  Result<LeaseView> Release(const CallContext& context, const ReleaseRequest& request, Now now);

  // Ends a lease in force; care takes the next epoch.
  Status End(int slot, const CallContext& context, const std::string& call, const std::string& why, Now now);
  // Ends the leases of holders who are gone; care holds their slots from then on. `why_gone` says "user ana is disabled
  // ...", "" for everybody else. What the store refuses is left for the next call.
  void EndOfGone(const std::function<std::string(const std::string& holder)>& why_gone, Now now);
  // Ends what has run out by now. A store that fails is asked again each second; a lease that is over is not usable
  // meanwhile (IsOver).
  void ExpireDue(Now now);
  bool IsOver(int slot, Now now) const;
  // Tells the board the slot's current tenure when it does not have it, voids grants nobody waits for.
  void Reconcile(int slot, Now now, const CallContext& context = {});
  link::SetLease LeaseFor(int slot, bool to_safe_state, Now now) const;

 private:
  Result<GrantRequest> CheckAcquire(const CallContext& context, const AcquireRequest& request, int slot, Now now) const;
  Status CheckOffered(int slot, Purpose purpose, Now now) const;
  Result<Milliseconds> CheckDuration(const AcquireRequest& request) const;
  Result<std::string> CheckAgent(int slot, const std::string& agent) const;
  void OnAcknowledged(int slot,
                      uint32_t epoch,
                      const CallContext& context,
                      const Outcome& outcome,
                      const Answer<LeaseView>& answer,
                      Now now);
  void Void(int slot, Now now);
  void TellOwnEnd(int slot, const Tenure& held, const std::string& why, Now now) const;
  // The slot of a lease in force.
  Result<int> FindLease(const std::string& text, Now now) const;

  RackParts& parts_;
  Care& care_;
  const SlotViews& views_;
  std::set<int> granting_;                                  // waiting for the board's word
  std::map<int, std::pair<uint32_t, std::string>> traces_;  // by slot: epoch and trace of its last grant
  std::function<void(const OwnEnd&)> on_own_end_;
  BootTime store_retry_;
};

}  // namespace faraday::controller
