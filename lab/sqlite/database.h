// One SQLite file, opened the way the lab needs it (WAL, synchronous=FULL), and prepared statements. One thread.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace faraday::lab {

class Database {
 public:
  // Opens or creates `path` and brings its schema up: `migrations[n]` lifts user_version n to n + 1.
  // Errors: kUnavailable (cannot open, damaged), kFailedPrecondition (written by a newer program).
  static Result<Database> Open(const std::string& path, const std::vector<std::string>& migrations);

  Status Execute(const char* sql);
  // The last error as a Status: kResourceExhausted when the disk is full, else kUnavailable.
  Status Error(std::string_view doing) const;
  sqlite3* handle() const { return handle_.get(); }

 private:
  struct Closer {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  Status Migrate(const std::vector<std::string>& migrations);

  std::unique_ptr<sqlite3, Closer> handle_;
  std::string path_;
};

// One statement: bind in order, then Run() or step through rows. A mistake in the SQL or a failed bind shows in the
// status of Run/Next.
class Statement {
 public:
  Statement(Database& database, const char* sql);

  Statement& Bind(int64_t value);
  Statement& Bind(uint64_t value) { return Bind(static_cast<int64_t>(value)); }
  Statement& Bind(std::string_view text);
  Statement& BindBlob(std::string_view bytes);

  // For statements without rows.
  Status Run();
  // True: a row is there. False: no more.
  Result<bool> Next();
  int64_t Int(int column) const { return sqlite3_column_int64(handle_.get(), column); }
  uint64_t Number(int column) const { return static_cast<uint64_t>(Int(column)); }
  std::string Text(int column) const;

 private:
  struct Closer {
    void operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
  };
  void Check(int code);

  Database& database_;
  std::unique_ptr<sqlite3_stmt, Closer> handle_;
  int next_ = 1;
  int failed_ = SQLITE_OK;
};

// Rolled back when it goes away without a commit.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database), begun_(database.Execute("BEGIN IMMEDIATE")) {}
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  const Status& begun() const { return begun_; }
  Status Commit();

 private:
  Database& database_;
  Status begun_;
  bool done_ = false;
};

}  // namespace faraday::lab
