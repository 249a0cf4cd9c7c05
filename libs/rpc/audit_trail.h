// The audit of a daemon: a record before each mutating call acts and one when it is answered, on disk when they must
// be.
//
// A main wires it in four lines (after loop.OnSignals: it starts two threads):
//
//   FARADAY_TRY_ASSIGN(const auto audit, rpc::AuditTrail::Open(loop, {.folder = state_dir + "/audit", .server = "r01",
//                                                                    .keep_days = config.audit.keep_days,
//                                                                    .max_mb = config.audit.max_mb}));
//   rpc::Door door({.directory = &directory, .audit = audit.get()});
//   rpc::AuditCalls audit_calls(*audit);       // audit_calls.h: read_audit, verify_audit
//   audit_calls.AddTo(&table);                 // before Server::Bind
//   state->set_audit_records(audit->records()), state->set_audit_head(audit->head());   // where RackState is made
//
// Destroy it after the servers and the door. It logs once when the log cannot be written and once when it can again.
//
// What is recorded follows the kind of the call in access/rights.table:
//   once   ASKED before it acts; the reply leaves when ASKED and DONE are on disk
//   level  ASKED before it acts; the reply leaves at once, both are on disk within 1 s
//   safe   both, but never refused and never held up
//   feed, read   refusals only
// When the log cannot be written, `once` and `level` calls are refused kUnavailable before they act.
//
// Bounds, so that nobody can fill the disk with refusals: each identity has kRefusals tokens, one comes back each
// second, and all of them together kAllRefusals, five a second. A refusal that the door gives without a token is
// counted and told in one NOTE a minute; an identity without a token may make no more `once` and `level` calls until
// one is back (kResourceExhausted). put_roster, which takes rights away, is not held up by that.
//
// The loop's thread; fdatasync runs in a thread of its own (one for everything that waits: group commit), reading and
// verifying in another.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "access/audit_log.h"
#include "access/audit_search.h"
#include "access/rights.h"
#include "base/result.h"
#include "evloop/loop.h"
#include "faraday/v1/envelope.pb.h"

namespace faraday::rpc {

class Call;

class AuditTrail {
 public:
  static constexpr uint32_t kRefusals = 600;      // chosen: an honest program's mistakes of an hour
  static constexpr uint32_t kAllRefusals = 6000;  // chosen
  static constexpr size_t kMostIdentities = 1000;
  static constexpr Milliseconds kGroup{500};  // `level` records wait at most that long for their sync
  static constexpr size_t kMostReads = 16;    // reads and verifications in the queue

  // `files`: for tests; outlives the trail. Errors: of AuditLog::Open.
  static Result<std::unique_ptr<AuditTrail>> Open(evloop::Loop& loop,
                                                  access::AuditOptions options,
                                                  access::AuditFiles* files = nullptr);
  ~AuditTrail();  // syncs what is written; calls that wait are not answered any more

  // ---- for the door ----
  // Before the call is served. REQUIRES: its caller is set. Errors: kUnavailable (the log cannot be written),
  // kResourceExhausted (too many refused calls).
  Status Asked(Call& call, access::Call what);
  // With the answer; runs `send` once, now or when the records are on disk.
  void Done(const Call& call, const v1::Reply& reply, std::function<void()> send);

  // ---- for the server's own doings ----
  // A NOTE: what the server saw or did by itself. `call` is one word: "anchor", "roster", "lease_ended".
  void Note(const std::string& call,
            const std::string& on,
            const std::string& what,
            const std::string& result,
            const std::string& trace_id = "");

  // Of the newest record.
  uint64_t records() const;
  const std::string& head() const;
  // OK, or why nothing can be written: kUnavailable.
  const Status& status() const;

  // ---- for audit_calls.h: in the reading thread, then back in the loop. kUnavailable when the queue is full ----
  void Search(access::AuditQuery query, std::function<void(Result<v1::ReadAuditResult>)> done);
  void Verify(BootTime give_up, std::function<void(Result<v1::VerifyAuditResult>)> done);

 private:
  class Worker;
  struct Held {
    uint64_t number;  // send when this record is on disk
    BootTime until;   // its caller waits no longer
    std::function<void()> send;
  };
  struct Tokens {
    double left;
    BootTime at;
  };
  struct Untold {
    uint64_t count = 0;
    std::string last;
  };
  AuditTrail(evloop::Loop& loop, std::unique_ptr<access::AuditFiles> own, access::AuditLog log);
  v1::AuditRecord RecordOf(const Call& call, access::Call what) const;
  void Refused(const Call& call, access::Call what, const v1::Reply& reply);
  Tokens& TokensOf(const Call& call);
  bool Take(const Call& call);
  void SyncSoon();
  void SyncNow();
  void OnSynced(const access::AuditLog::SyncJob& job, const Status& done);
  void SendDurable();
  void Look();
  void TellUntold();
  void TellStatus();
  template <typename T>
  void InReader(std::function<Result<T>()> work, std::function<void(Result<T>)> done);

  evloop::Loop& loop_;
  std::unique_ptr<access::AuditFiles> own_files_;
  access::AuditLog log_;
  std::deque<Held> held_;  // numbers only grow
  std::map<std::string, Tokens> tokens_;
  Tokens all_tokens_;
  Untold untold_;
  bool told_broken_ = false;
  size_t reading_ = 0;
  evloop::Handle group_timer_ = 0;
  evloop::Handle watch_timer_ = 0;
  BootTime next_keep_;
  BootTime next_untold_;
  std::shared_ptr<AuditTrail*> self_;
  std::unique_ptr<Worker> syncer_;
  std::unique_ptr<Worker> reader_;
};

}  // namespace faraday::rpc
