// What the lab knows of its racks: plain copies of the controllers' last answers. Not the truth (that is the
// controllers'), and never written by the lab itself.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/slot_id.h"

namespace faraday::lab {

// Both clocks, read once by the caller of the core.
struct Now {
  BootTime boot;
  UtcTime utc;
};

// Numbers equal faraday.v1's.
enum class Health { kUnknown = 0, kGood = 1, kSuspect = 2, kRepairing = 3, kQuarantined = 4, kMaintenance = 5 };
enum class Allocation { kUnknown = 0, kFree = 1, kLeased = 2, kCleaning = 3 };
enum class Purpose { kUnknown = 0, kPerson = 1, kJob = 2, kCare = 3 };

struct LeaseFacts {
  std::string id;    // "r01-07-42"
  std::string slot;  // "r01/07"
  uint32_t epoch = 0;
  std::string holder;
  std::string team;
  Purpose purpose = Purpose::kUnknown;
  BootTime end;     // as this machine counts it; meaningless with care
  UtcTime end_utc;  // for display
  std::string agent;
  std::string reservation;  // "res-3", "job-12.1" or whatever another client wrote
  std::string note;
};

struct DeviceFacts {
  std::string expected;  // "pixel-8", empty: any
  std::string serial;
  std::string model;
  std::string platform;
  std::string os_version;
  int battery_percent = -1;
  std::string adb_state;  // "device", "offline", "unauthorized", "absent", "unknown"
  bool never_seen = true;
};

struct SlotFacts {
  model::SlotId slot;
  Health health = Health::kUnknown;
  std::string health_reason;
  Allocation allocation = Allocation::kUnknown;
  LeaseFacts lease;
  DeviceFacts device;
  std::string reason;
  std::string trip;
  std::map<std::string, std::string> labels;
  std::vector<std::string> hosts;
  Milliseconds measured_age{0};
};

// One rack's last answer. While it does not answer, `slots` stay as last seen.
struct RackFacts {
  std::string rack;
  bool ever_seen = false;
  bool reachable = false;
  std::string reason;  // why not reachable
  BootTime asked;      // when the last answered question was sent
  std::vector<SlotFacts> slots;
};

}  // namespace faraday::lab
