#include "controller/sqlite/migrations.h"

#include <fmt/core.h>

#include <array>

#include "controller/sqlite/statement.h"

namespace faraday::controller {
namespace {

// Times are milliseconds; phase, purpose and health are numbers of core/tenure.h.
constexpr std::array<const char*, kSchemaVersion> kSteps = {
    // 1: slots, their tenures, the rack's name
    R"sql(
      CREATE TABLE rack (name TEXT NOT NULL);
      CREATE TABLE tenure (
        slot INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, phase INTEGER NOT NULL, purpose INTEGER NOT NULL,
        holder TEXT NOT NULL, team TEXT NOT NULL, granted_by TEXT NOT NULL,
        end_boot_id TEXT NOT NULL, end_boot_ms INTEGER NOT NULL, end_utc_ms INTEGER NOT NULL,
        granted_ms INTEGER NOT NULL, total_ms INTEGER NOT NULL,
        agent TEXT NOT NULL, reservation TEXT NOT NULL, note TEXT NOT NULL, clearing_epoch INTEGER NOT NULL,
        health INTEGER NOT NULL, health_reason TEXT NOT NULL);
      CREATE TABLE audit (
        id INTEGER PRIMARY KEY, utc_ms INTEGER NOT NULL, user TEXT NOT NULL, role TEXT NOT NULL,
        call TEXT NOT NULL, slot INTEGER NOT NULL, text TEXT NOT NULL);
    )sql",
    // 2: calls that act once
    R"sql(
      CREATE TABLE once (
        user TEXT NOT NULL, key TEXT NOT NULL, request_hash TEXT NOT NULL, reply BLOB NOT NULL,
        created_utc_ms INTEGER NOT NULL, PRIMARY KEY (user, key)) WITHOUT ROWID;
      CREATE INDEX once_by_age ON once (created_utc_ms);
    )sql",
    // 3: what the holder last commanded, given back after a silence: bit 0 VBUS, 1 couple, 2-3 data, 4-6 host
    R"sql(
      ALTER TABLE tenure ADD COLUMN wanted INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE tenure ADD COLUMN wanted_session INTEGER NOT NULL DEFAULT 0;
    )sql",
    // 4: the stop of the whole rack in force, at most one row
    R"sql(
      CREATE TABLE rack_stop (utc_ms INTEGER NOT NULL, user TEXT NOT NULL, reason TEXT NOT NULL);
    )sql"};

Status RunScript(sqlite3* db, const std::string& sql) {
  if (sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return OkStatus();
  Status error = SqliteError(db, "migration");
  sqlite3_exec(db, "ROLLBACK", nullptr, nullptr, nullptr);
  return error;
}

}  // namespace

Status Migrate(sqlite3* db, int to) {
  Statement version(db, "PRAGMA user_version");
  FARADAY_TRY_ASSIGN(const bool row, version.Step());
  int at = row ? version.Get<int>(0) : 0;
  if (at > kSchemaVersion) {
    return {Code::kFailedPrecondition,
            fmt::format("store {} has schema {}, this controller knows up to {}; start the newer "
                        "controller",
                        sqlite3_db_filename(db, "main"),
                        at,
                        kSchemaVersion)};
  }
  for (; at < to; ++at) {
    FARADAY_TRY(RunScript(
        db,
        fmt::format(
            "BEGIN IMMEDIATE; {} PRAGMA user_version = {}; COMMIT;", kSteps.at(static_cast<size_t>(at)), at + 1)));
  }
  return OkStatus();
}

}  // namespace faraday::controller
