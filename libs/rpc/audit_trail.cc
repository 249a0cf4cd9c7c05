#include "rpc/audit_trail.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/log.h"
#include "rpc/audit_words.h"
#include "rpc/server.h"

namespace faraday::rpc {
namespace {

constexpr Milliseconds kLook{500};              // how often a broken log is tried again; chosen
constexpr Milliseconds kUntold{60'000};         // chosen
constexpr Milliseconds kKeepPeriod{3'600'000};  // chosen
constexpr size_t kMostName = 64;
constexpr size_t kMostArguments = 1000;
constexpr size_t kMostRefusedArguments = 200;
constexpr size_t kMostWords = 500;
constexpr double kPerSecond = 1;
constexpr double kAllPerSecond = 5;

Code CodeOf(const v1::Reply& reply) { return static_cast<Code>(reply.status().code()); }

bool IsRefusal(Code code) { return code == Code::kPermissionDenied || code == Code::kUnauthenticated; }

// Mistakes cost two records each and nothing else: they count like refusals. Machines meet such answers all the time.
bool IsPersonsMistake(const Call& call, Code code) {
  const access::Role role = access::ParseRole(call.caller().role());
  const bool person = role == access::Role::kViewer || role == access::Role::kUser || role == access::Role::kCi;
  return person && (code == Code::kInvalidArgument || code == Code::kNotFound || code == Code::kFailedPrecondition);
}

bool IsRecorded(access::Kind kind) {
  return kind == access::Kind::kOnce || kind == access::Kind::kLevel || kind == access::Kind::kSafe;
}

access::Call WhatOf(const Call& call) { return access::CallOfNumber(static_cast<int>(call.request().call_case())); }

}  // namespace

// ---- a thread for what blocks -------------------------------------------------------------------------------------

class AuditTrail::Worker {
 public:
  Worker() : thread_([this] { Run(); }) {}
  // Runs the job under way to its end and drops the others.
  ~Worker() {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  void Do(std::function<void()> job) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return ends_ || !jobs_.empty(); });
      if (ends_) return;
      const auto job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      lock.lock();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;  // guarded by mutex_
  bool ends_ = false;                       // guarded by mutex_
  std::thread thread_;
};

// ---- life ---------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<AuditTrail>> AuditTrail::Open(evloop::Loop& loop,
                                                     access::AuditOptions options,
                                                     access::AuditFiles* files) {
  std::unique_ptr<access::AuditFiles> own;
  if (files == nullptr) {
    FARADAY_TRY_ASSIGN(auto folder, access::PosixAuditFiles::Open(options.folder));
    own = std::make_unique<access::PosixAuditFiles>(std::move(folder));
    files = own.get();
  }
  FARADAY_TRY_ASSIGN(access::AuditLog opened, access::AuditLog::Open(std::move(options), *files, UtcNow()));
  for (const std::string& finding : opened.findings()) log::Error("audit: {}", finding);
  return std::unique_ptr<AuditTrail>(new AuditTrail(loop, std::move(own), std::move(opened)));
}

AuditTrail::AuditTrail(evloop::Loop& loop, std::unique_ptr<access::AuditFiles> own, access::AuditLog log)
    : loop_(loop),
      own_files_(std::move(own)),
      log_(std::move(log)),
      all_tokens_{kAllRefusals, BootClock::now()},
      next_keep_(BootClock::now()),
      next_untold_(BootClock::now() + kUntold),
      self_(std::make_shared<AuditTrail*>(this)),
      syncer_(std::make_unique<Worker>()),
      reader_(std::make_unique<Worker>()) {
  watch_timer_ = loop_.AddPeriodic("audit", kLook, [this] { Look(); });
  SyncSoon();
}

AuditTrail::~AuditTrail() {
  loop_.Remove(watch_timer_);
  loop_.Remove(group_timer_);
  reader_.reset();
  syncer_.reset();
  (void)log_.Retry(UtcNow());
  log_.SyncAll();
}

uint64_t AuditTrail::records() const { return log_.head().number; }
const std::string& AuditTrail::head() const { return log_.head().hash; }
const Status& AuditTrail::status() const { return log_.status(); }

// ---- the door's two ends --------------------------------------------------------------------------------------------

v1::AuditRecord AuditTrail::RecordOf(const Call& call, access::Call what) const {
  using access::CleanText;
  const v1::Request& request = call.request();
  const AuditFacts& facts = call.audit();
  v1::AuditRecord record;
  // With a key only what it proves: anybody may claim a name and a role. The role is chosen when the call is let in.
  const bool believed = !call.peer_key();
  record.set_user(CleanText(believed ? call.caller().user() : facts.proven, kMostName));
  if (believed || facts.let_in) record.set_role(CleanText(call.caller().role(), kMostName));
  record.set_on_behalf_of(CleanText(OnBehalfOf(request), kMostName));
  record.set_from(CleanText(call.peer_address(), kMostName));
  if (call.peer_key()) record.set_key(Fingerprint(*call.peer_key()));
  record.set_call(std::string(RowOf(what).name));
  record.set_on(CleanText(facts.on.empty() ? SubjectOf(request) : facts.on, kMostName));
  record.set_reason(CleanText(ReasonOf(request), kMostWords));
  record.set_trace_id(CleanText(request.trace_id(), kMostName));
  record.set_break_glass(facts.break_glass);
  return record;
}

Status AuditTrail::Asked(Call& call, access::Call what) {
  const access::Kind kind = RowOf(what).kind;
  if (!IsRecorded(kind)) return OkStatus();
  const bool safe = kind == access::Kind::kSafe;
  const bool revokes = what == access::Call::kPutRoster;  // who is disabled must get known, whatever was refused before
  const auto broken = [this] {
    return Status(Code::kUnavailable,
                  fmt::format("nothing is switched or changed while the audit log cannot be written: {}; make room or "
                              "mend the disk, the service returns by itself (stopping a slot works)",
                              log_.status().message()));
  };
  if (!safe && !log_.Retry(UtcNow()).ok()) return broken();
  if (!safe && !revokes && TokensOf(call).left < 1) {
    return {Code::kResourceExhausted, "too many refused calls by this caller; wait some seconds, then try again"};
  }
  v1::AuditRecord record = RecordOf(call, what);
  record.set_kind(v1::AuditRecord::KIND_ASKED);
  record.set_what(ArgumentsOf(call.request(), kMostArguments));
  const uint64_t asked = log_.Append(std::move(record), UtcNow());
  call.audit().asked = asked;
  call.audit().entered = true;
  SyncSoon();
  if (!safe && asked == 0) {
    return {Code::kUnavailable, "too much waits for the audit log's disk; nothing was done, try again in a second"};
  }
  if (!safe && !log_.status().ok()) return broken();
  return OkStatus();
}

void AuditTrail::Done(const Call& call, const v1::Reply& reply, std::function<void()> send) {
  const access::Call what = WhatOf(call);
  if (what == access::Call::kNone) return send();
  const access::Kind kind = RowOf(what).kind;
  const bool refusal = IsRefusal(CodeOf(reply));
  if (!call.audit().entered) {
    const bool too_often = CodeOf(reply) == Code::kResourceExhausted && kind != access::Kind::kRead;
    if (refusal || too_often) Refused(call, what, reply);
    return send();
  }
  if (refusal || IsPersonsMistake(call, CodeOf(reply))) (void)Take(call);
  v1::AuditRecord record = RecordOf(call, what);
  record.set_kind(v1::AuditRecord::KIND_DONE);
  record.set_asked(call.audit().asked);
  if (record.on().empty()) record.set_on(access::CleanText(SubjectOf(reply), kMostName));
  record.set_code(std::string(CodeName(CodeOf(reply))));
  record.set_result(access::CleanText(ResultOf(reply), kMostWords));
  record.set_before(access::CleanText(call.audit().before, kMostWords));
  record.set_after(access::CleanText(call.audit().after, kMostWords));
  for (const std::string& command : call.audit().mcu_commands) {
    record.add_mcu_commands(access::CleanText(command, kMostName));
  }
  (void)log_.Append(std::move(record), UtcNow());
  if (kind != access::Kind::kOnce) {
    SyncSoon();
    return send();
  }
  held_.push_back({log_.head().number, call.deadline(), std::move(send)});
  SyncNow();
}

// The door said no. One record tells it all.
void AuditTrail::Refused(const Call& call, access::Call what, const v1::Reply& reply) {
  v1::AuditRecord record = RecordOf(call, what);
  if (!Take(call)) {
    ++untold_.count;
    untold_.last = fmt::format("{} by {} from {}", record.call(), record.user(), record.from());
    return;
  }
  record.set_kind(v1::AuditRecord::KIND_DONE);
  std::string what_asked = ArgumentsOf(call.request(), kMostRefusedArguments);
  if (const std::string& claimed = call.caller().user(); !claimed.empty() && claimed != record.user()) {
    what_asked =
        fmt::format("claims to be {}; {}", access::AuditQuoted(access::CleanText(claimed, kMostName)), what_asked);
  }
  record.set_what(what_asked);
  record.set_code(std::string(CodeName(CodeOf(reply))));
  record.set_result(access::CleanText(ResultOf(reply), kMostRefusedArguments));
  (void)log_.Append(std::move(record), UtcNow());
  SyncSoon();
}

void AuditTrail::Note(const std::string& call,
                      const std::string& on,
                      const std::string& what,
                      const std::string& result,
                      const std::string& trace_id) {
  v1::AuditRecord record;
  record.set_kind(v1::AuditRecord::KIND_NOTE);
  record.set_call(access::CleanText(call, kMostName));
  record.set_on(access::CleanText(on, kMostName));
  record.set_what(access::CleanText(what, kMostArguments));
  record.set_result(access::CleanText(result, kMostWords));
  record.set_trace_id(access::CleanText(trace_id, kMostName));
  (void)log_.Append(std::move(record), UtcNow());
  SyncSoon();
}

// ---- bounds on refusals ---------------------------------------------------------------------------------------------

// A proven key; on plain sockets the address: names there are anybody's.
AuditTrail::Tokens& AuditTrail::TokensOf(const Call& call) {
  const auto fill = [](Tokens& tokens, double per_second, double most, BootTime now) {
    const double seconds = static_cast<double>((now - tokens.at).count()) / 1000;
    tokens = {std::min(most, tokens.left + seconds * per_second), now};
  };
  const BootTime now = loop_.now();
  fill(all_tokens_, kAllPerSecond, kAllRefusals, std::max(now, all_tokens_.at));
  const std::string& proven = call.audit().proven;
  std::string who = !call.peer_key() ? "plain " + call.peer_address()
                    : proven.empty() ? access::ToHex(*call.peer_key())
                                     : "user " + proven;
  if (tokens_.size() >= kMostIdentities && tokens_.count(who) == 0) {
    std::erase_if(tokens_, [now](const auto& item) {
      return item.second.left + static_cast<double>((now - item.second.at).count()) / 1000 >= kRefusals;
    });
    if (tokens_.size() >= kMostIdentities) who = "others";
  }
  Tokens& tokens = tokens_.try_emplace(who, Tokens{kRefusals, now}).first->second;
  fill(tokens, kPerSecond, kRefusals, std::max(now, tokens.at));
  return tokens;
}

bool AuditTrail::Take(const Call& call) {
  Tokens& tokens = TokensOf(call);
  if (tokens.left < 1 || all_tokens_.left < 1) return false;
  tokens.left -= 1;
  all_tokens_.left -= 1;
  return true;
}

void AuditTrail::TellUntold() {
  next_untold_ = loop_.now() + kUntold;
  if (untold_.count == 0) return;
  const Untold untold = std::exchange(untold_, {});
  Note("refused",
       "",
       fmt::format("{} more refused calls were not recorded one by one; the last: {}", untold.count, untold.last),
       "");
}

// ---- syncing
// ----------------------------------------------------------------------------------------------------------

void AuditTrail::SyncSoon() {
  if (group_timer_ != 0) return;
  group_timer_ = loop_.AddTimer("audit sync", BootClock::now() + kGroup, [this] {
    group_timer_ = 0;
    SyncNow();
  });
}

void AuditTrail::SyncNow() {
  const auto job = log_.BeginSync();
  if (!job) return;
  syncer_->Do([job = *job, &loop = loop_, self = std::weak_ptr<AuditTrail*>(self_)] {
    const Status done = job.Run();
    loop.Post([self, job, done] {
      if (const auto trail = self.lock()) (*trail)->OnSynced(job, done);
    });
  });
}

void AuditTrail::OnSynced(const access::AuditLog::SyncJob& job, const Status& done) {
  log_.EndSync(job, done, UtcNow());
  TellStatus();
  SendDurable();
  if (!done.ok()) return;  // Look tries again
  if (!held_.empty()) return SyncNow();
  if (log_.durable() < log_.head().number) SyncSoon();
}

void AuditTrail::SendDurable() {
  while (!held_.empty() && held_.front().number <= log_.durable()) {
    const auto send = std::move(held_.front().send);
    held_.pop_front();
    send();
  }
}

void AuditTrail::Look() {
  (void)log_.Retry(UtcNow());
  TellStatus();
  if (!held_.empty() || !log_.status().ok()) SyncNow();
  // Nobody waits for these any more; their outcome is in the records.
  std::erase_if(held_, [now = loop_.now()](const Held& held) { return now > held.until; });
  if (loop_.now() >= next_untold_) TellUntold();
  if (loop_.now() < next_keep_) return;
  next_keep_ = loop_.now() + kKeepPeriod;
  log_.Keep(UtcNow());
}

void AuditTrail::TellStatus() {
  const bool broken = !log_.status().ok();
  if (broken == told_broken_) return;
  told_broken_ = broken;
  if (broken) {
    log::Error("audit: cannot be written: {}; calls that change anything are refused until it can",
               log_.status().message());
  } else {
    log::Warn("audit: can be written again");
  }
}

// ---- reading
// ----------------------------------------------------------------------------------------------------------

template <typename T>
void AuditTrail::InReader(std::function<Result<T>()> work, std::function<void(Result<T>)> done) {
  if (reading_ >= kMostReads) {
    return done(Status(Code::kUnavailable, "too many readers of the audit log at once; try again"));
  }
  ++reading_;
  reader_->Do(
      [work = std::move(work), done = std::move(done), &loop = loop_, self = std::weak_ptr<AuditTrail*>(self_)] {
        auto result = std::make_shared<Result<T>>(work());
        loop.Post([self, result, done] {
          const auto trail = self.lock();
          if (!trail) return;
          --(*trail)->reading_;
          done(std::move(*result));
        });
      });
}

void AuditTrail::Search(access::AuditQuery query, std::function<void(Result<v1::ReadAuditResult>)> done) {
  InReader<v1::ReadAuditResult>([view = log_.Look(), query = std::move(query)] { return SearchAudit(view, query); },
                                std::move(done));
}

void AuditTrail::Verify(BootTime give_up, std::function<void(Result<v1::VerifyAuditResult>)> done) {
  InReader<v1::VerifyAuditResult>([view = log_.Look(), give_up] { return VerifyAudit(view, give_up); },
                                  std::move(done));
}

}  // namespace faraday::rpc
