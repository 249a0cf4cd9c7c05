// Logs and artefacts: files under <state_dir>/spool/<attempt>/<name>, which grow by chunks in order. A file is complete
// once it is on disk with its SHA-256 in the `files` table. Not the agent's spool. One thread; writes block for as long
// as the disk takes.
#pragma once

#include <sodium.h>

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "lab/sqlite/database.h"

namespace faraday::lab {

inline constexpr size_t kMaxChunkBytes = 256 * 1024;
inline constexpr uint64_t kMaxAttemptBytes = 512ULL << 20;
// Of all names of one attempt (chosen: far above what test suites leave behind).
inline constexpr size_t kMaxAttemptFiles = 2000;

struct Chunk {
  std::string attempt;  // "job-12.1"
  std::string name;     // "log", "artifacts/shot.png"
  uint64_t offset = 0;
  std::string_view data;
  uint32_t crc32 = 0;  // IEEE, of data
  bool complete = false;
  std::string sha256;  // hex, of the whole file, with `complete`; empty: not checked
};

struct Piece {
  std::string data;
  uint64_t size = 0;  // of the file as it is now
  bool complete = false;
  std::string sha256;
};

// OK for a relative path with '/' of at most 512 bytes: no "..", ".", empty part, backslash or control byte.
Status CheckFileName(const std::string& name);

class Spool {
 public:
  // `database` outlives the spool. `folder` is made when missing.
  static Result<std::unique_ptr<Spool>> Open(Database& database,
                                             std::string folder,
                                             uint64_t max_attempt_bytes = kMaxAttemptBytes);
  ~Spool();

  // Appends when `offset` is the file's size; answers the offset to send next in any case. Errors: kInvalidArgument
  // (name, chunk size), kDataLoss (crc32: send again; sha256: the file was dropped, send from 0), kResourceExhausted
  // (the attempt's own bound: final), kUnavailable (the disk is full or fails: send again later).
  Result<uint64_t> Put(const Chunk& chunk);
  // At most `max_bytes` (1 to kMaxChunkBytes, 0: kMaxChunkBytes) from `offset`. kNotFound when there is no such file,
  // kOutOfRange beyond its end.
  Result<Piece> Read(const std::string& attempt, const std::string& name, uint64_t offset, uint32_t max_bytes);
  // The attempt has ended: what is remembered of its files goes. The files stay, and more chunks are still taken.
  void Forget(const std::string& attempt);

 private:
  // A file that is not complete. Its hash is kept also while it is closed, so that it need not be read again.
  struct Growing {
    std::string path;
    int fd = -1;
    uint64_t size = 0;
    uint64_t synced = 0;
    crypto_hash_sha256_state hash{};
    Growing();
    ~Growing();
    Growing(const Growing&) = delete;
    Growing& operator=(const Growing&) = delete;
  };
  struct Totals {
    uint64_t bytes = 0;
    size_t files = 0;
  };

  Spool(Database& database, std::string folder, uint64_t max_attempt_bytes)
      : database_(database), folder_(std::move(folder)), max_attempt_bytes_(max_attempt_bytes) {}
  std::string PathOf(const std::string& attempt, const std::string& name) const;
  Result<bool> FindComplete(const std::string& attempt, const std::string& name, uint64_t* size, std::string* sha256);
  Status ReadBytes(const std::string& path, uint64_t offset, uint32_t max_bytes, Piece* piece) const;
  Result<Growing*> OpenForAppend(const std::string& attempt, const std::string& name);
  Status Create(const std::string& path) const;
  Status TakeUp(Growing* file) const;
  Status HashWhatIsThere(Growing* file) const;
  void LimitWhatIsKept();
  void Drop(Growing* file);
  Totals& TotalsOf(const std::string& attempt);
  Status CheckBounds(const Chunk& chunk, const Totals& totals) const;
  Status Append(std::string_view data, Growing* file) const;
  Status Complete(const Chunk& chunk, Growing* file);

  Database& database_;
  std::string folder_;
  uint64_t max_attempt_bytes_;
  std::map<std::string, Growing> growing_;  // by path
  std::list<Growing*> open_;                // those with a descriptor, last used first
  std::map<std::string, Totals> totals_;
};

}  // namespace faraday::lab
