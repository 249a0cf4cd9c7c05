// One slot's current tenure: who holds it, under which epoch, until when; and the slot's stored health.
// Plain data, as it is stored. A slot is never without a holder: between users' leases it is care's.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "link/slot_bits.h"

namespace faraday::controller {

// Stored by number; never renumber.
enum class Phase : uint8_t {
  kCare = 0,      // free. Left by a grant
  kGranting = 1,  // the grant is stored, the firmware has not acknowledged. Left by its answer; void at a restart
  kLeased = 2,    // the holder knows. Left by release, forced release, the end, a stop, or a firmware epoch above
  kCleaning = 3,  // care again, the last holder's traces remain. Left by the agent's word `cleared`
};

// Numbers equal faraday.v1.Purpose.
enum class Purpose : uint8_t { kUnspecified = 0, kPerson = 1, kJob = 2, kCare = 3 };

// Numbers equal faraday.v1.Health.
enum class Health : uint8_t { kGood = 1, kSuspect = 2, kRepairing = 3, kQuarantined = 4, kMaintenance = 5 };

// An end that outlives a reboot: the same boot trusts `boot_time`, another one `utc`, clamped to `granted` from now.
struct StoredEnd {
  std::string boot_id;  // /proc/sys/kernel/random/boot_id
  BootTime boot_time;
  UtcTime utc;
  Milliseconds granted{0};  // by the last grant or renewal
  bool operator==(const StoredEnd&) const = default;
};

// What the holder last commanded, as the board acknowledged it: all that a silence of the controller may have taken and
// that is given back afterwards. What protection, a stop or a reset of the board took is not in it.
struct Wanted {
  bool vbus = false;
  bool couple = false;
  link::DataPath data = link::DataPath::kOpen;
  uint8_t host = 0;      // with kHost
  uint32_t session = 0;  // of the board; in another one nothing of it holds
  bool Nothing() const { return !vbus && !couple && data == link::DataPath::kOpen; }
  bool operator==(const Wanted&) const = default;
};

inline constexpr char kCareHolder[] = "care";

struct Tenure {
  int slot = 0;  // 1.. over the rack
  uint32_t epoch = 0;
  Phase phase = Phase::kCare;
  Purpose purpose = Purpose::kCare;
  std::string holder = kCareHolder;
  std::string team;
  std::string granted_by;  // the user who asked: the lab for what it placed
  StoredEnd end;           // of kGranting and kLeased
  Milliseconds total{0};   // from the grant to the end, renewals included
  std::string agent;       // kCleaning: who must say `cleared`
  std::string reservation;
  std::string note;
  uint32_t clearing_epoch = 0;  // kCleaning: the epoch that ended
  Health health = Health::kGood;
  std::string health_reason;
  Wanted wanted;  // of kLeased
  bool operator==(const Tenure&) const = default;
};

inline bool IsUsers(const Tenure& tenure) { return tenure.phase == Phase::kLeased || tenure.phase == Phase::kGranting; }

}  // namespace faraday::controller
