// What the others want of this agent, and what it knows of its phones: plain data, no behaviour.
//
// Wishes come complete with each answer of a Sync; facts come from adb. Times are the agent's own boot time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"

namespace faraday::agent {

// ---- from a controller ----

enum class Purpose { kNone, kPerson, kJob, kCare };
enum class DataPath { kUnknown, kOpen, kCharge, kHost };

struct SlotWish {
  std::string slot;  // "r01/07"
  uint32_t epoch = 0;
  Purpose purpose = Purpose::kNone;
  std::string lease;                   // "r01-07-42"
  std::string agent;                   // the lease's agent
  BootTime lease_end{};                // counted from before the agent asked; meaningless with care
  DataPath data = DataPath::kUnknown;  // measured
  std::string data_host;
  std::string adb_address;  // "127.0.0.1:5601", empty when the phone is on USB
  std::string usb_path;     // "1-1.4", empty when it is on TCP
  bool needs_clearing = false;
  uint32_t clearing_epoch = 0;
  bool discover = false;
  bool operator==(const SlotWish&) const = default;
};

// ---- from the lab ----

struct JobSpec {
  std::vector<std::string> command;
  Milliseconds timeout{600'000};  // of the run
  std::vector<std::string> artifact_globs;
  std::string junit;
  std::map<std::string, std::string> environment;
  bool operator==(const JobSpec&) const = default;
};

struct AttemptWish {
  std::string attempt;  // "job-12.1"
  std::string job;
  std::string slot;
  std::string lease;
  uint32_t epoch = 0;
  JobSpec spec;
  std::string user;
  std::string trace = {};  // of the call that submitted the job
  bool operator==(const AttemptWish&) const = default;
};

// ---- about a phone ----

// Where adb finds a slot's phone: exactly one is set.
struct PhoneAddress {
  std::string tcp;
  std::string usb;
  bool operator==(const PhoneAddress&) const = default;
};

struct Facts {
  std::string adb_state = "unknown";  // adb's own word, or "absent", "unknown"
  std::string adb_serial;             // adb's name for the transport: what ANDROID_SERIAL must be
  int server_port = 0;                // of the slot's adb server, 0: none yet
  std::string serial;
  std::string model;  // selector spelling, "pixel-8"
  std::string os_version;
  int battery_percent = -1;  // -1: unknown
  enum class Booted { kUnknown, kNo, kYes } booted = Booted::kUnknown;
  BootTime measured{};
  // Everything but the time.
  bool SameAs(const Facts& other) const;
};

// ---- about an attempt ----

enum class Outcome { kNone, kPassed, kFailed, kInfrastructure, kCancelled, kLeaseLost };

struct PowerSample {
  std::string when;  // "before", "during", "after"
  uint32_t vbus_mv = 0;
  uint32_t vbus_ma = 0;
  int64_t utc_ms = 0;
  bool operator==(const PowerSample&) const = default;
};

struct JunitSummary {
  uint32_t tests = 0;
  uint32_t failures = 0;
  uint32_t errors = 0;
  uint32_t skipped = 0;
  bool operator==(const JunitSummary&) const = default;
};

struct Artifact {
  std::string name;  // relative, '/' between parts
  uint64_t size = 0;
  std::string sha256;  // hex
  std::string path;    // where it lies here
  bool operator==(const Artifact&) const = default;
};

// How a run of the command ended, as its runner wrote it.
struct RunEnd {
  enum class Why { kExited, kTimeout, kLeaseLost, kCancelled, kCannotStart, kRunnerLost };
  Why why = Why::kExited;
  int exit_code = 0;  // 128 + n when signal n ended it
  std::string message;
  int64_t started_utc_ms = 0;
  int64_t ended_utc_ms = 0;
  uint64_t log_size = 0;
  uint64_t log_dropped = 0;
  bool operator==(const RunEnd&) const = default;
};

// What lies in an ended attempt's folder.
struct Collected {
  std::vector<Artifact> artifacts;
  bool has_junit = false;
  JunitSummary junit;
  std::string problem;     // in plain words: a JUnit file that is absent or damaged, artefacts left out
  bool junit_bad = false;  // the JUnit file that the job promised is absent or damaged
};

// What became of an attempt's files at the lab.
struct Uploaded {
  std::vector<std::string> missing;  // artefacts that are not there and never will be
  std::string problem;               // why, empty: the lab has everything
};

// Steps in order; a restart takes up at the one that was kept.
enum class Phase {
  kLease,    // until the controller shows the lease
  kBefore,   // VBUS before
  kPower,    // VBUS on
  kConnect,  // data path to this host
  kDevice,   // until adb says "device"
  kBoot,     // until the phone has booted
  kRun,      // until the runner is through
  kProbe,    // is the phone still there? (only after a command that failed)
  kAfter,    // VBUS after
  kOpen,     // data path open
  kRelease,  // the lease back
  kCollect,  // artefacts and JUnit read
  kUpload,   // log and artefacts to the lab
  kReport,   // until the lab has the outcome
  kGone,     // nothing left to do
};

// One attempt as the journal keeps it and the lab hears it.
struct AttemptRecord {
  AttemptWish wish;
  Phase phase = Phase::kLease;
  Outcome outcome = Outcome::kNone;
  int exit_code = 0;
  std::string reason;
  std::vector<PowerSample> power;
  bool has_junit = false;
  JunitSummary junit;
  std::vector<Artifact> artifacts;
  uint64_t log_size = 0;
  uint64_t log_dropped = 0;
  std::string serial;
  std::string model;
  int64_t started_utc_ms = 0;
  int64_t ended_utc_ms = 0;
  bool operator==(const AttemptRecord&) const = default;
};

// The step in plain words, for people.
const char* PhaseText(Phase phase);

}  // namespace faraday::agent
