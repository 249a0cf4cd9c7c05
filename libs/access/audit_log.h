// The audit log of one server: records, chained by hash, in segment files of JSON lines (audit_record.h).
//
//   <state_dir>/audit/00000000000000000001.jsonl   named by the number of its first record, mode 0600
//
// Append gives a record its number and hash and writes it; it is on disk once a sync that began after has ended well
// (durable()). When the disk does not take it, it waits in memory (at most kMostWaiting bytes) and status() says why;
// Retry tries again. Segments are closed at segment_bytes; retention removes whole oldest ones, after a NOTE that names
// them is on disk.
//
// A torn last line (a crash or power loss) is kept aside as `torn-<number>` and a NOTE says so. Other damage at the
// end: the log goes on in a new segment with a NOTE; Verify names the first record that does not fit.
//
// One thread, but SyncJob::Run and what works on a View: any.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "access/audit_files.h"
#include "access/audit_record.h"
#include "base/clock.h"
#include "base/result.h"

namespace faraday::access {

struct AuditOptions {
  std::string folder;                  // "<state_dir>/audit"
  std::string server;                  // "r01", "lab"
  uint32_t keep_days = 400;            // at least 1
  uint32_t max_mb = 1024;              // MiB of all segments together; at least 1
  uint64_t segment_bytes = 8U << 20U;  // chosen: read at each start
};

class AuditLog {
 public:
  static constexpr size_t kMostWaiting = 1U << 20U;  // bytes; chosen: 1000 records and more

  // A consistent look at the files, to search and verify them (audit_search.h).
  struct Segment {
    std::string name;
    uint64_t first = 0;  // number of its first record
    uint64_t bytes = 0;  // of whole lines
    int64_t first_utc_ms = 0;
  };
  struct View {
    AuditFiles* files = nullptr;  // outlives the view
    std::vector<Segment> segments;
    AuditPlace last;  // of the last whole line, as this process wrote it
  };
  struct SyncJob {
    AuditFiles* files = nullptr;
    std::string segment;
    bool folder = false;
    uint64_t number = 0;  // up to this record
    Status Run() const { return files->Sync(segment, folder); }
  };

  // `files` outlives the log. Closes ASKED records that have no DONE: their outcome is unknown. Errors: kUnavailable
  // when the folder cannot be read.
  static Result<AuditLog> Open(AuditOptions options, AuditFiles& files, UtcTime now);

  // Number, time, server, prev and hash are set here. Returns the record's number; 0: the disk takes nothing, memory is
  // full, the record is counted as lost and a NOTE will say so. REQUIRES: texts are valid UTF-8.
  uint64_t Append(v1::AuditRecord record, UtcTime now);
  // OK, or why records do not reach the disk: kUnavailable.
  const Status& status() const { return write_status_.ok() ? sync_status_ : write_status_; }
  // Writes what waits. Returns status().
  const Status& Retry(UtcTime now);

  uint64_t durable() const { return durable_; }
  const AuditPlace& head() const { return head_; }
  // What to sync now; nullopt when nothing is written that is not on disk, or a job is under way. The job's end comes
  // back through EndSync, in the log's thread.
  std::optional<SyncJob> BeginSync();
  void EndSync(const SyncJob& job, const Status& done, UtcTime now);
  // Writes and syncs all there is, in this thread: at the end. REQUIRES: no job is under way in another thread.
  void SyncAll();
  // Closes a segment that is old, removes what is too old or too much. Now and then, for example each hour.
  void Keep(UtcTime now);

  View Look() const;
  // What Open found, in words, empty when all was well.
  const std::vector<std::string>& findings() const { return findings_; }

 private:
  struct Removal {
    uint64_t note = 0;  // once this record is on disk
    std::string name;
  };
  AuditLog(AuditOptions options, AuditFiles& files) : options_(std::move(options)), files_(&files) {}
  Status Load();
  Status FindHeadBefore(size_t segment);
  std::string LastLineOf(const Segment& segment) const;
  void LoadNewest(std::string_view bytes);
  void SetTornAside(std::string_view torn, size_t good);
  void GoOnElsewhere(std::string_view rest, const std::string& why);
  void CloseOpen(UtcTime now);
  void NoteFindings(UtcTime now);
  void Note(
      const std::string& call, const std::string& on, const std::string& what, const std::string& result, UtcTime);
  void Push(v1::AuditRecord record, UtcTime now);
  std::string Waiting() const;
  void Write();
  void Rotate(UtcTime now);
  bool IsFull(UtcTime now) const;
  void RemoveOld(UtcTime now);
  void RemoveNoted();

  AuditOptions options_;
  AuditFiles* files_;
  std::vector<Segment> segments_;  // the last is written to; its `bytes` are those on disk
  bool new_segment_ = false;       // its name is not on disk yet
  AuditPlace head_;
  uint64_t durable_ = 0;
  std::string durable_hash_ = AuditPlace().hash;
  std::deque<std::string> tail_;  // lines with '\n' after durable_
  size_t tail_bytes_ = 0;
  size_t written_ = 0;      // bytes of the tail that are in the file
  size_t whole_lines_ = 0;  // lines of the tail that are in the file entirely
  size_t whole_bytes_ = 0;  // their bytes
  bool syncing_ = false;
  Status write_status_;
  Status sync_status_;
  uint64_t lost_ = 0;
  std::deque<Removal> removals_;
  std::vector<std::string> findings_;
};

}  // namespace faraday::access
