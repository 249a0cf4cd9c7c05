#include "lab/sqlite/database.h"

#include <fmt/core.h>

#include "base/log.h"

namespace faraday::lab {

Result<Database> Database::Open(const std::string& path, const std::vector<std::string>& migrations) {
  Database database;
  database.path_ = path;
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  database.handle_.reset(raw);
  if (opened != SQLITE_OK) return database.Error("open");
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, 1000);
  FARADAY_TRY(database.Execute("PRAGMA journal_mode=WAL"));
  FARADAY_TRY(database.Execute("PRAGMA synchronous=FULL"));
  FARADAY_TRY(database.Execute("PRAGMA foreign_keys=ON"));
  FARADAY_TRY(database.Migrate(migrations));
  return database;
}

Status Database::Migrate(const std::vector<std::string>& migrations) {
  int64_t version = 0;
  {
    Statement ask(*this, "PRAGMA user_version");
    FARADAY_TRY_ASSIGN(const bool row, ask.Next());
    if (row) version = ask.Int(0);
  }
  const auto newest = static_cast<int64_t>(migrations.size());
  if (version > newest) {
    return {
        Code::kFailedPrecondition,
        fmt::format(
            "{} has schema {}, this program knows up to {}: start the newer program again", path_, version, newest)};
  }
  for (; version < newest; ++version) {
    Transaction transaction(*this);
    FARADAY_TRY(transaction.begun());
    FARADAY_TRY(Execute(migrations[static_cast<size_t>(version)].c_str()));
    FARADAY_TRY(Execute(fmt::format("PRAGMA user_version={}", version + 1).c_str()));
    FARADAY_TRY(transaction.Commit());
  }
  return OkStatus();
}

Status Database::Execute(const char* sql) {
  if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return OkStatus();
  return Error("write");
}

Status Database::Error(std::string_view doing) const {
  const int code = handle_ ? sqlite3_errcode(handle_.get()) : SQLITE_NOMEM;
  const char* text = handle_ ? sqlite3_errmsg(handle_.get()) : "out of memory";
  if (code == SQLITE_FULL) {
    return {Code::kResourceExhausted, fmt::format("the disk that holds {} is full: make room, then repeat", path_)};
  }
  return {Code::kUnavailable, fmt::format("cannot {} {}: {}", doing, path_, text)};
}

Statement::Statement(Database& database, const char* sql) : database_(database) {
  sqlite3_stmt* raw = nullptr;
  Check(sqlite3_prepare_v2(database.handle(), sql, -1, &raw, nullptr));
  handle_.reset(raw);
}

void Statement::Check(int code) {
  if (failed_ == SQLITE_OK) failed_ = code;
}

Statement& Statement::Bind(int64_t value) {
  Check(sqlite3_bind_int64(handle_.get(), next_++, value));
  return *this;
}

Statement& Statement::Bind(std::string_view text) {
  Check(sqlite3_bind_text64(handle_.get(), next_++, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
  return *this;
}

Statement& Statement::BindBlob(std::string_view bytes) {
  // A null pointer would bind NULL: an empty blob needs any address.
  const char* data = bytes.empty() ? "" : bytes.data();
  Check(sqlite3_bind_blob64(handle_.get(), next_++, data, bytes.size(), SQLITE_TRANSIENT));
  return *this;
}

Status Statement::Run() {
  const auto row = Next();
  return row.ok() ? OkStatus() : row.status();
}

Result<bool> Statement::Next() {
  if (failed_ != SQLITE_OK) return database_.Error("use");
  switch (sqlite3_step(handle_.get())) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return database_.Error("use");
  }
}

std::string Statement::Text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(handle_.get(), column));
  const auto size = static_cast<size_t>(sqlite3_column_bytes(handle_.get(), column));
  return bytes == nullptr ? std::string() : std::string(bytes, size);
}

Transaction::~Transaction() {
  if (done_ || !begun_.ok()) return;
  if (const Status undone = database_.Execute("ROLLBACK"); !undone.ok()) log::Warn("rollback: {}", ToString(undone));
}

Status Transaction::Commit() {
  FARADAY_TRY(database_.Execute("COMMIT"));
  done_ = true;
  return OkStatus();
}

}  // namespace faraday::lab
