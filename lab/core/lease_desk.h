// Port: asks the racks' controllers for leases. Two real implementations: ZeroMQ (lab/zmq) and a scripted one for tests
// (fake_lease_desk.h). Every order is answered exactly once, later and in the loop's thread, through Lab::OnAcquired
// or Lab::OnReleased, never from inside the call.
#pragma once

#include <string>

#include "lab/core/records.h"

namespace faraday::lab {

struct AcquireOrder {
  model::SlotId slot;
  Purpose purpose = Purpose::kPerson;
  uint32_t duration_ms = 0;
  Person on_behalf_of;
  std::string reservation;  // "res-3" or "job-12.1"
  std::string note;
  std::string key;    // idempotency; new for every order
  std::string trace;  // of the reservation or job
};

class LeaseDesk {
 public:
  virtual ~LeaseDesk() = default;
  virtual void Acquire(const AcquireOrder& order) = 0;
  virtual void Release(const std::string& lease, const std::string& reason, const std::string& trace) = 0;
};

}  // namespace faraday::lab
