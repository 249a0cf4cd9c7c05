// The lab's records in one SQLite file. One thread; a commit takes as long as the disk's fsync.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "lab/core/store.h"
#include "lab/sqlite/database.h"

namespace faraday::lab {

class SqliteStore : public Store {
 public:
  // `database` outlives the store and has LabMigrations().
  explicit SqliteStore(Database& database) : database_(database) {}

  Status Commit(const Changes& changes) override;
  Result<Loaded> Load() override;
  Result<Job> FindJob(uint64_t number) override;
  Result<Reservation> FindReservation(uint64_t number) override;
  Result<std::vector<Job>> ListJobs(size_t limit, uint64_t before, const std::string& user) override;
  Result<std::optional<Idempotency>> FindIdempotency(const std::string& user, const std::string& key) override;
  Result<size_t> CountIdempotency(const std::string& user, UtcTime oldest) override;

 private:
  Status Write(const Reservation& reservation);
  Status Write(const Job& job);
  Status Write(const Idempotency& entry);
  Status Write(const SlotUse& used);
  Result<std::vector<Job>> ReadJobs(Statement& select);
  Status ReadAttempts(Job* job);
  Result<std::vector<Reservation>> ReadReservations(Statement& select);
  Result<uint64_t> ReadNumber(const char* sql);

  Database& database_;
};

}  // namespace faraday::lab
