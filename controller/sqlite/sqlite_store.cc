#include "controller/sqlite/sqlite_store.h"

#include <fmt/core.h>

#include "controller/sqlite/migrations.h"
#include "controller/sqlite/statement.h"

namespace faraday::controller {
namespace {

// Small: the whole store is some tens of rows, and the daemon's memory is measured.
constexpr char kPragmas[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-256; PRAGMA busy_timeout=2000;"
    "PRAGMA wal_autocheckpoint=200;";

Status Exec(sqlite3* db, const char* sql) {
  return sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK ? OkStatus() : SqliteError(db, sql);
}

Status CheckRack(sqlite3* db, const std::string& rack) {
  Statement read(db, "SELECT name FROM rack");
  FARADAY_TRY_ASSIGN(const bool row, read.Step());
  if (!row) return Statement(db, "INSERT INTO rack VALUES (?)").Bind(rack).Run();
  const auto name = read.Get<std::string>(0);
  if (name == rack) return OkStatus();
  return {Code::kFailedPrecondition,
          fmt::format("store {} belongs to rack {}, the config says {}; check state_dir",
                      sqlite3_db_filename(db, "main"),
                      name,
                      rack)};
}

// As migration 3 lays it out.
uint32_t PackWanted(const Wanted& wanted) {
  return (wanted.vbus ? 1U : 0U) | (wanted.couple ? 2U : 0U) | (static_cast<uint32_t>(wanted.data) & 3U) << 2 |
         (wanted.host & 7U) << 4;
}

Wanted UnpackWanted(uint32_t bits) {
  Wanted wanted;
  wanted.vbus = (bits & 1U) != 0;
  wanted.couple = (bits & 2U) != 0;
  wanted.data = static_cast<link::DataPath>((bits >> 2) & 3U);
  wanted.host = static_cast<uint8_t>((bits >> 4) & 7U);
  return wanted;
}

Tenure ReadTenure(const Statement& row) {
  Tenure t;
  int at = 0;
  const auto text = [&] { return row.Get<std::string>(at++); };
  const auto number = [&] { return row.Get<int64_t>(at++); };
  t.slot = static_cast<int>(number());
  t.epoch = static_cast<uint32_t>(number());
  t.phase = static_cast<Phase>(number());
  t.purpose = static_cast<Purpose>(number());
  t.holder = text();
  t.team = text();
  t.granted_by = text();
  t.end.boot_id = text();
  t.end.boot_time = BootTime(Milliseconds(number()));
  t.end.utc = UtcTime{Milliseconds(number())};
  t.end.granted = Milliseconds(number());
  t.total = Milliseconds(number());
  t.agent = text();
  t.reservation = text();
  t.note = text();
  t.clearing_epoch = static_cast<uint32_t>(number());
  t.health = static_cast<Health>(number());
  t.health_reason = text();
  t.wanted = UnpackWanted(static_cast<uint32_t>(number()));
  t.wanted.session = static_cast<uint32_t>(number());
  return t;
}

}  // namespace

Result<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path, const std::string& rack) {
  sqlite3* db = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<SqliteStore> store(new SqliteStore(db));
  if (code != SQLITE_OK) {
    return Status{Code::kUnavailable,
                  fmt::format("store {}: {}; check the folder and its owner",
                              path,
                              db == nullptr ? "out of memory" : sqlite3_errmsg(db))};
  }
  FARADAY_TRY(Exec(db, kPragmas));
  FARADAY_TRY(Migrate(db));
  FARADAY_TRY(CheckRack(db, rack));
  return store;
}

SqliteStore::~SqliteStore() { sqlite3_close(db_); }

Result<std::vector<Tenure>> SqliteStore::Load() {
  Statement rows(db_,
                 "SELECT slot, epoch, phase, purpose, holder, team, granted_by, end_boot_id, end_boot_ms, end_utc_ms,"
                 " granted_ms, total_ms, agent, reservation, note, clearing_epoch, health, health_reason, wanted,"
                 " wanted_session FROM tenure");
  std::vector<Tenure> all;
  while (true) {
    FARADAY_TRY_ASSIGN(const bool row, rows.Step());
    if (!row) return all;
    all.push_back(ReadTenure(rows));
  }
}

Status SqliteStore::WriteTenure(const Tenure& t) {
  return Statement(db_, "INSERT OR REPLACE INTO tenure VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")
      .Bind(t.slot,
            t.epoch,
            static_cast<int>(t.phase),
            static_cast<int>(t.purpose),
            t.holder,
            t.team,
            t.granted_by,
            t.end.boot_id,
            t.end.boot_time.time_since_epoch().count(),
            t.end.utc.since_epoch.count(),
            t.end.granted.count(),
            t.total.count(),
            t.agent,
            t.reservation,
            t.note,
            t.clearing_epoch,
            static_cast<int>(t.health),
            t.health_reason,
            PackWanted(t.wanted),
            t.wanted.session)
      .Run();
}

Status SqliteStore::WriteOnce(const OnceRecord& record) {
  const int64_t oldest = (record.created.since_epoch - kOnceKept).count();
  FARADAY_TRY(Statement(db_, "DELETE FROM once WHERE created_utc_ms < ?").Bind(oldest).Run());
  Statement count(db_, "SELECT count(*) FROM once WHERE user = ? AND key <> ?");
  FARADAY_TRY_ASSIGN(const bool row, count.Bind(record.user, record.key).Step());
  if (row && count.Get<int>(0) >= kOncePerUser) {
    return {Code::kResourceExhausted,
            fmt::format("{} has used {} idempotency keys in 24 h, the most there may be; wait, or "
                        "make fewer calls with a key",
                        record.user,
                        kOncePerUser)};
  }
  return Statement(db_, "INSERT OR REPLACE INTO once VALUES (?,?,?,?,?)")
      .Bind(record.user, record.key, record.request_hash, record.reply, record.created.since_epoch.count())
      .Run();
}

Status SqliteStore::WriteAudit(const AuditLine& line) {
  return Statement(db_, "INSERT INTO audit (utc_ms, user, role, call, slot, text) VALUES (?,?,?,?,?,?)")
      .Bind(line.at.since_epoch.count(), line.user, line.role, line.call, line.slot, line.text)
      .Run();
}

Status SqliteStore::WriteStop(const StopRecord& stop) {
  FARADAY_TRY(Statement(db_, "DELETE FROM rack_stop").Run());
  if (stop.user.empty()) return OkStatus();
  return Statement(db_, "INSERT INTO rack_stop VALUES (?,?,?)")
      .Bind(stop.at.since_epoch.count(), stop.user, stop.reason)
      .Run();
}

Result<std::optional<StopRecord>> SqliteStore::LoadStop() {
  Statement read(db_, "SELECT utc_ms, user, reason FROM rack_stop");
  FARADAY_TRY_ASSIGN(const bool row, read.Step());
  if (!row) return std::optional<StopRecord>();
  return std::optional<StopRecord>(
      StopRecord{UtcTime{Milliseconds(read.Get<int64_t>(0))}, read.Get<std::string>(1), read.Get<std::string>(2)});
}

Status SqliteStore::Write(const Change& change) {
  for (const Tenure& tenure : change.tenures) FARADAY_TRY(WriteTenure(tenure));
  if (change.once) FARADAY_TRY(WriteOnce(*change.once));
  for (const AuditLine& line : change.audit) FARADAY_TRY(WriteAudit(line));
  if (change.stop) FARADAY_TRY(WriteStop(*change.stop));
  if (change.forget) {
    FARADAY_TRY(Statement(db_, "DELETE FROM once WHERE user = ? AND key = ?")
                    .Bind(change.forget->user, change.forget->key)
                    .Run());
  }
  return OkStatus();
}

Status SqliteStore::Commit(const Change& change) {
  FARADAY_TRY(Exec(db_, "BEGIN IMMEDIATE"));
  Status status = Write(change);
  if (status.ok()) status = Exec(db_, "COMMIT");
  if (!status.ok()) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
  return status;
}

Result<std::optional<OnceRecord>> SqliteStore::FindOnce(const std::string& user, const std::string& key, UtcTime now) {
  Statement find(db_, "SELECT request_hash, reply, created_utc_ms FROM once WHERE user = ? AND key = ?");
  FARADAY_TRY_ASSIGN(const bool row, find.Bind(user, key).Step());
  if (!row) return std::optional<OnceRecord>();
  OnceRecord record{
      user, key, find.Get<std::string>(0), find.Get<std::string>(1), UtcTime{Milliseconds(find.Get<int64_t>(2))}};
  if (now.since_epoch - record.created.since_epoch > kOnceKept) return std::optional<OnceRecord>();
  return std::optional<OnceRecord>(std::move(record));
}

}  // namespace faraday::controller
