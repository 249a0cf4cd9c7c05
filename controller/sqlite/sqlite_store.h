// The LeaseStore on SQLite: one file, WAL, synchronous=FULL, every Commit one transaction, on disk when it returns.
// Commits run in the loop's thread (docs/decisions/0003-store.md says why and what would change it).
#pragma once

#include <memory>
#include <string>

#include "controller/core/lease_store.h"

struct sqlite3;
struct sqlite3_stmt;

namespace faraday::controller {

class SqliteStore final : public LeaseStore {
 public:
  // Opens or creates `path` for `rack`, migrates it to the newest schema. Errors: kFailedPrecondition when it belongs
  // to another rack or to a newer controller, kUnavailable with SQLite's words and the path.
  static Result<std::unique_ptr<SqliteStore>> Open(const std::string& path, const std::string& rack);
  ~SqliteStore() override;

  Result<std::vector<Tenure>> Load() override;
  Result<std::optional<StopRecord>> LoadStop() override;
  Status Commit(const Change& change) override;
  Result<std::optional<OnceRecord>> FindOnce(const std::string& user, const std::string& key, UtcTime now) override;

 private:
  explicit SqliteStore(sqlite3* db) : db_(db) {}
  Status WriteTenure(const Tenure& tenure);
  Status WriteOnce(const OnceRecord& record);
  Status WriteStop(const StopRecord& stop);
  Status WriteAudit(const AuditLine& line);
  Status Write(const Change& change);

  sqlite3* db_;
};

}  // namespace faraday::controller
