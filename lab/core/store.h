// Port: where the lab's records live. Two real implementations: SQLite (lab/sqlite) and a fault-injecting memory store
// (fake_store.h). Called from the loop's thread only.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/core/records.h"

namespace faraday::lab {

// One request that acts once: scope (user, key), kept 24 h.
struct Idempotency {
  std::string user;
  std::string key;
  std::string request_hash;
  std::string result;  // the id it led to: "res-3", "job-12"
  UtcTime created;
};

struct SlotUse {
  std::string slot;
  uint64_t sequence = 0;
};

// What becomes durable together.
struct Changes {
  std::vector<Reservation> reservations;
  std::vector<Job> jobs;
  std::optional<Idempotency> idempotency;
  std::optional<SlotUse> used;
};

struct Loaded {
  std::vector<Reservation> reservations;  // active ones
  std::vector<Job> jobs;                  // unfinished ones
  uint64_t last_reservation = 0;
  uint64_t last_job = 0;
  uint64_t last_arrival = 0;
  std::map<std::string, uint64_t> slot_use;
};

class Store {
 public:
  virtual ~Store() = default;

  // All or nothing; on disk when OK. kResourceExhausted when the disk is full, kUnavailable for other disk errors.
  virtual Status Commit(const Changes& changes) = 0;
  virtual Result<Loaded> Load() = 0;

  // kNotFound when there is none of that number.
  virtual Result<Job> FindJob(uint64_t number) = 0;
  virtual Result<Reservation> FindReservation(uint64_t number) = 0;
  // Newest first; `before` 0: from the newest; `user` empty: everybody's.
  virtual Result<std::vector<Job>> ListJobs(size_t limit, uint64_t before, const std::string& user) = 0;

  virtual Result<std::optional<Idempotency>> FindIdempotency(const std::string& user, const std::string& key) = 0;
  // How many of `user` are kept, after those created before `oldest` were dropped.
  virtual Result<size_t> CountIdempotency(const std::string& user, UtcTime oldest) = 0;
};

}  // namespace faraday::lab
