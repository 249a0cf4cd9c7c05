// Where tenures, idempotency keys and their history live. A transaction is data: one Change, all of it or nothing.
//
// Implementations: sqlite/sqlite_store.h, and core/memory_store.h that fails on demand. One thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "controller/core/tenure.h"

namespace faraday::controller {

// An answered call that must act once. Scope (user, key).
struct OnceRecord {
  std::string user;
  std::string key;
  std::string request_hash;
  std::string reply;  // opaque to the core
  UtcTime created;
};

// The store's own history of ended leases and changed health, in the effect's own transaction, of those too that no
// call caused. Who called what is in the audit log (access/audit_log.h).
struct AuditLine {
  UtcTime at;
  std::string user;
  std::string role;
  std::string call;  // "acquire", "stop_slot", ...
  int slot = 0;
  std::string text;
};

// The stop of the whole rack in force.
struct StopRecord {
  UtcTime at;
  std::string user;
  std::string reason;
  bool operator==(const StopRecord&) const = default;
};

struct Change {
  std::vector<Tenure> tenures;  // replace those of the same slot
  std::optional<OnceRecord> once;
  std::vector<AuditLine> audit;
  std::optional<OnceRecord> forget = std::nullopt;  // its (user, key) is as if never used
  std::optional<StopRecord> stop = std::nullopt;    // with an empty user: the rack's stop is over
};

inline constexpr Milliseconds kOnceKept = std::chrono::hours(24);
inline constexpr int kOncePerUser = 10'000;  // chosen: a lab that starts a job every 9 s all day stays below

class LeaseStore {
 public:
  virtual ~LeaseStore() = default;

  virtual Result<std::vector<Tenure>> Load() = 0;
  virtual Result<std::optional<StopRecord>> LoadStop() = 0;
  // On disk when it returns OK; otherwise nothing of it is. Errors: kUnavailable (disk full, I/O: says which),
  // kResourceExhausted when the user has kOncePerUser keys younger than kOnceKept.
  virtual Status Commit(const Change& change) = 0;
  // The record of (user, key) when it is younger than kOnceKept.
  virtual Result<std::optional<OnceRecord>> FindOnce(const std::string& user, const std::string& key, UtcTime now) = 0;
};

}  // namespace faraday::controller
