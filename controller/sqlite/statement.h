// One prepared SQLite statement: bind in order, step, read columns in order. No exceptions.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <type_traits>

#include "base/result.h"

namespace faraday::controller {

inline Status SqliteError(sqlite3* db, const std::string& what) {
  const char* path = sqlite3_db_filename(db, "main");
  return {Code::kUnavailable,
          "store " + std::string(path == nullptr ? "" : path) + ": " + what + ": " + sqlite3_errmsg(db) +
              "; free space on that disk or mend it, then try again"};
}

class Statement {
 public:
  // A statement that does not compile shows at the first Step.
  Statement(sqlite3* db, const char* sql) : db_(db) { sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr); }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  template <typename... Values>
  Statement& Bind(const Values&... values) {
    (BindOne(values), ...);
    return *this;
  }
  // True: a row is there. False: done.
  Result<bool> Step() {
    const int code = statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return SqliteError(db_, "statement failed");
  }
  // For statements that return no rows.
  Status Run() {
    const auto row = Step();
    return row.ok() ? OkStatus() : row.status();
  }
  template <typename Value>
  Value Get(int column) const {
    if constexpr (std::is_same_v<Value, std::string>) {
      const void* bytes = sqlite3_column_blob(statement_, column);
      const int size = sqlite3_column_bytes(statement_, column);
      return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), static_cast<size_t>(size));
    } else {
      return static_cast<Value>(sqlite3_column_int64(statement_, column));
    }
  }

 private:
  template <typename Value>
  void BindOne(const Value& value) {
    ++index_;
    if constexpr (std::is_convertible_v<Value, std::string>) {
      const std::string text(value);
      sqlite3_bind_text(statement_, index_, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    } else {
      sqlite3_bind_int64(statement_, index_, static_cast<sqlite3_int64>(value));
    }
  }
  sqlite3* db_;
  sqlite3_stmt* statement_ = nullptr;
  int index_ = 0;
};

}  // namespace faraday::controller
