#include "access/audit_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

namespace faraday::access {
namespace {

constexpr std::string_view kEnding = ".jsonl";
constexpr size_t kDigits = 20;
constexpr uint64_t kWriteBytes = 256U << 10U;
constexpr uint64_t kLongestLine = 64U << 10U;  // far beyond any record
constexpr int64_t kDayMs = 86'400'000;
constexpr int64_t kOldestOpenDays = 30;  // a segment is closed after that, so that retention can remove it; chosen

std::string NameOf(uint64_t first) { return fmt::format("{:020}{}", first, kEnding); }

// The first record's number in a segment's name, 0 for another file.
uint64_t FirstOf(const std::string& name) {
  if (name.size() != kDigits + kEnding.size() || !name.ends_with(kEnding)) return 0;
  uint64_t first = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kDigits, first);
  return error == std::errc() && end == name.data() + kDigits ? first : 0;
}

bool OnlyZeros(std::string_view bytes) { return bytes.find_first_not_of('\0') == std::string_view::npos; }

std::string_view NextLine(std::string_view bytes) { return bytes.substr(0, bytes.find('\n')); }

}  // namespace

// ---- start --------------------------------------------------------------------------------------------------------

Result<AuditLog> AuditLog::Open(AuditOptions options, AuditFiles& files, UtcTime now) {
  AuditLog log(std::move(options), files);
  // Four segments at least, so that retention has something to remove.
  log.options_.segment_bytes =
      std::min<uint64_t>(log.options_.segment_bytes, (uint64_t{log.options_.max_mb} << 20U) / 4);
  FARADAY_TRY(log.Load());
  log.NoteFindings(now);
  log.CloseOpen(now);
  log.Note("start", "", "the server starts", "", now);
  return log;
}

Status AuditLog::Load() {
  FARADAY_TRY_ASSIGN(const auto names, files_->List());
  for (const std::string& name : names) {
    Segment segment{name, FirstOf(name), 0, 0};
    if (segment.first == 0) continue;
    FARADAY_TRY_ASSIGN(segment.bytes, files_->Size(name));
    FARADAY_TRY_ASSIGN(const std::string begin, files_->Read(name, 0, kLongestLine));
    segment.first_utc_ms = UtcOfLine(NextLine(begin));
    segments_.push_back(std::move(segment));
  }
  if (segments_.empty()) {
    segments_.push_back({NameOf(1), 1, 0, 0});
    new_segment_ = true;
    return OkStatus();
  }
  FARADAY_TRY_ASSIGN(const std::string bytes, files_->Read(segments_.back().name, 0, segments_.back().bytes));
  FARADAY_TRY(FindHeadBefore(segments_.size() - 1));
  LoadNewest(bytes);
  durable_ = head_.number;
  durable_hash_ = head_.hash;
  return OkStatus();
}

// The last record before a segment, unchecked: Verify does that.
Status AuditLog::FindHeadBefore(size_t segment) {
  head_ = {segments_[segment].first - 1, AuditPlace().hash};
  if (segment == 0) return OkStatus();
  const std::string line = LastLineOf(segments_[segment - 1]);
  if (HashOfLine(line).size() == head_.hash.size()) head_.hash = std::string(HashOfLine(line));
  return OkStatus();
}

std::string AuditLog::LastLineOf(const Segment& segment) const {
  const uint64_t from = segment.bytes > kLongestLine ? segment.bytes - kLongestLine : 0;
  auto end = files_->Read(segment.name, from, segment.bytes - from);
  if (!end.ok()) return "";
  std::string text = std::move(*end);
  while (text.ends_with('\n')) text.pop_back();
  const size_t begin = text.rfind('\n');
  return begin == std::string::npos ? text : text.substr(begin + 1);
}

void AuditLog::LoadNewest(std::string_view bytes) {
  size_t good = 0;
  bool first = true;
  while (good < bytes.size()) {
    const std::string_view rest = bytes.substr(good);
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos || OnlyZeros(rest)) return SetTornAside(rest, good);
    const std::string_view line = rest.substr(0, end);
    const auto place = first ? CheckAuditLine(line) : CheckAuditLine(line, head_);
    if (!place.ok()) return GoOnElsewhere(rest, place.status().message());
    head_ = *place;
    first = false;
    good += end + 1;
  }
}

// A crash or power loss cut the last write short.
void AuditLog::SetTornAside(std::string_view torn, size_t good) {
  Segment& newest = segments_.back();
  const std::string aside = fmt::format("torn-{}", head_.number + 1);
  (void)files_->Append(aside, torn);
  if (const Status cut = files_->Truncate(newest.name, good); !cut.ok()) return GoOnElsewhere(torn, cut.message());
  newest.bytes = good;
  findings_.push_back(fmt::format(
      "the last line was torn by a crash: {} bytes after record {} set aside in {}", torn.size(), head_.number, aside));
}

// Nobody may mend history: it stays as it is, and the log goes on in a new segment.
void AuditLog::GoOnElsewhere(std::string_view rest, const std::string& why) {
  findings_.push_back(
      fmt::format("DAMAGED: {} in {}; going on in a new file; run: faraday audit verify", why, segments_.back().name));
  while (!rest.empty()) {
    const std::string_view line = NextLine(rest);
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (NumberOfLine(line) > head_.number && CheckAuditLine(line).ok()) {
      head_ = {NumberOfLine(line), std::string(HashOfLine(line))};
    }
  }
  head_.number = std::max(head_.number, segments_.back().first);
  segments_.push_back({NameOf(head_.number + 1), head_.number + 1, 0, 0});
  new_segment_ = true;
}

void AuditLog::NoteFindings(UtcTime now) {
  for (const std::string& finding : findings_) Note("start", "", finding, "", now);
}

// ASKED records of a server that was killed.
void AuditLog::CloseOpen(UtcTime now) {
  std::map<uint64_t, std::string> open;
  constexpr size_t kLookedAt = 2;
  for (size_t i = segments_.size() - std::min(kLookedAt, segments_.size()); i < segments_.size(); ++i) {
    const auto read = files_->Read(segments_[i].name, 0, segments_[i].bytes);
    if (!read.ok()) continue;
    for (std::string_view rest = *read; !rest.empty();) {
      const std::string_view line = NextLine(rest);
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      if (line.find("\"kind\":\"KIND_ASKED\"") != std::string_view::npos) open[NumberOfLine(line)] = line;
      if (line.find("\"kind\":\"KIND_DONE\"") != std::string_view::npos) open.erase(AskedOfLine(line));
    }
  }
  for (const auto& [number, line] : open) {
    auto asked = ParseAuditLine(line);
    if (!asked.ok()) continue;
    asked->set_kind(v1::AuditRecord::KIND_DONE);
    asked->set_asked(number);
    asked->set_code(std::string(CodeName(Code::kUnknown)));
    asked->set_result("outcome unknown: the server ended before it answered");
    Push(std::move(*asked), now);
  }
}

// ---- writing ------------------------------------------------------------------------------------------------------

uint64_t AuditLog::Append(v1::AuditRecord record, UtcTime now) {
  if (tail_.empty() && IsFull(now)) Rotate(now);
  if (tail_bytes_ - written_ > kMostWaiting) {
    ++lost_;
    return 0;
  }
  Push(std::move(record), now);
  return head_.number;
}

void AuditLog::Note(
    const std::string& call, const std::string& on, const std::string& what, const std::string& result, UtcTime now) {
  v1::AuditRecord record;
  record.set_kind(v1::AuditRecord::KIND_NOTE);
  record.set_call(call);
  record.set_on(on);
  record.set_what(what);
  record.set_result(result);
  Push(std::move(record), now);
}

void AuditLog::Push(v1::AuditRecord record, UtcTime now) {
  record.set_utc_ms(now.since_epoch.count());
  record.set_server(options_.server);
  if (segments_.back().first_utc_ms == 0) segments_.back().first_utc_ms = record.utc_ms();
  tail_.push_back(SealAudit(&record, &head_) + "\n");
  tail_bytes_ += tail_.back().size();
  Write();
}

bool AuditLog::IsFull(UtcTime now) const {
  const Segment& newest = segments_.back();
  if (newest.bytes + written_ >= options_.segment_bytes) return true;
  const int64_t age = now.since_epoch.count() - newest.first_utc_ms;
  return newest.bytes > 0 && age > std::min<int64_t>(kOldestOpenDays, std::max(1U, options_.keep_days / 4)) * kDayMs;
}

// What waits, from the byte that the file has not.
std::string AuditLog::Waiting() const {
  std::string bytes;
  for (size_t i = whole_lines_; i < tail_.size() && bytes.size() < kWriteBytes; ++i) bytes += tail_[i];
  return bytes.substr(written_ - whole_bytes_);
}

void AuditLog::Write() {
  while (written_ < tail_bytes_) {
    // A full segment gets no new line; EndSync opens the next.
    if (written_ == whole_bytes_ && segments_.back().bytes + written_ >= options_.segment_bytes) return;
    const std::string bytes = Waiting();
    const auto took = files_->Append(segments_.back().name, bytes);
    if (!took.ok() || *took == 0) {
      write_status_ = took.ok() ? Status(Code::kUnavailable, "the disk takes nothing") : took.status();
      return;
    }
    written_ += *took;
    while (whole_lines_ < tail_.size() && whole_bytes_ + tail_[whole_lines_].size() <= written_) {
      whole_bytes_ += tail_[whole_lines_++].size();
    }
  }
  write_status_ = OkStatus();
}

const Status& AuditLog::Retry(UtcTime now) {
  if (status().ok() && lost_ == 0) return status();
  Write();
  if (write_status_.ok() && lost_ > 0) {
    const uint64_t lost = std::exchange(lost_, 0);
    Note("lost", "", fmt::format("{} records could be kept neither on disk nor in memory", lost), "", now);
  }
  return status();
}

// ---- syncing ------------------------------------------------------------------------------------------------------

std::optional<AuditLog::SyncJob> AuditLog::BeginSync() {
  if (syncing_ || whole_lines_ == 0) return std::nullopt;
  syncing_ = true;
  return SyncJob{files_, segments_.back().name, new_segment_, durable_ + whole_lines_};
}

void AuditLog::EndSync(const SyncJob& job, const Status& done, UtcTime now) {
  syncing_ = false;
  sync_status_ = done;
  if (!done.ok()) {
    // After a failed sync nobody knows what the disk has (the kernel forgets it): write it all again.
    if (files_->Truncate(job.segment, segments_.back().bytes).ok()) written_ = whole_lines_ = whole_bytes_ = 0;
    return;
  }
  if (job.folder) new_segment_ = false;
  for (; durable_ < job.number; ++durable_) {
    const size_t bytes = tail_.front().size();
    durable_hash_ = std::string(HashOfLine(std::string_view(tail_.front()).substr(0, bytes - 1)));
    segments_.back().bytes += bytes;
    tail_bytes_ -= bytes;
    written_ -= bytes;
    whole_bytes_ -= bytes;
    --whole_lines_;
    tail_.pop_front();
  }
  RemoveNoted();
  if (written_ == 0 && segments_.back().bytes >= options_.segment_bytes) Rotate(now);
  Write();
}

void AuditLog::SyncAll() {
  syncing_ = false;
  const UtcTime now = UtcNow();
  while (const auto job = BeginSync()) {
    const Status done = job->Run();
    EndSync(*job, done, now);
    if (!done.ok()) return;
  }
}

// ---- segments and retention ---------------------------------------------------------------------------------------

// REQUIRES: the newest segment is on disk entirely.
void AuditLog::Rotate(UtcTime now) {
  segments_.push_back({NameOf(durable_ + 1), durable_ + 1, 0, now.since_epoch.count()});
  new_segment_ = true;
  RemoveOld(now);
}

void AuditLog::Keep(UtcTime now) {
  if (tail_.empty() && IsFull(now)) return Rotate(now);
  RemoveOld(now);
}

void AuditLog::RemoveOld(UtcTime now) {
  uint64_t total = 0;
  for (const Segment& segment : segments_) total += segment.bytes;
  const int64_t oldest = now.since_epoch.count() - int64_t{options_.keep_days} * kDayMs;
  for (size_t i = 0; i + 1 < segments_.size(); ++i) {
    const Segment& segment = segments_[i];
    if (i >= removals_.size()) {
      const bool too_old = segments_[i + 1].first_utc_ms < oldest;
      const bool too_much = total > uint64_t{options_.max_mb} << 20U;
      if (!too_old && !too_much) return;
      const uint64_t next = segments_[i + 1].first;
      const std::string why = too_old ? fmt::format("older than {} days", options_.keep_days)
                                      : fmt::format("the log is larger than {} MiB", options_.max_mb);
      const std::string hash(HashOfLine(LastLineOf(segment)));
      Note("retention",
           std::to_string(next),
           fmt::format("records {} to {} are removed: {}", segment.first, next - 1, why),
           hash,
           now);
      removals_.push_back({head_.number, segment.name});
    }
    total -= segment.bytes;
  }
}

void AuditLog::RemoveNoted() {
  while (!removals_.empty() && removals_.front().note <= durable_) {
    if (!files_->Remove(removals_.front().name).ok()) return;
    std::erase_if(segments_, [&](const Segment& segment) { return segment.name == removals_.front().name; });
    removals_.pop_front();
  }
}

AuditLog::View AuditLog::Look() const {
  View view{files_, segments_, {durable_, durable_hash_}};
  view.segments.back().bytes += whole_bytes_;
  if (whole_lines_ > 0) {
    const std::string_view line = tail_[whole_lines_ - 1];
    view.last = {durable_ + whole_lines_, std::string(HashOfLine(line.substr(0, line.size() - 1)))};
  }
  return view;
}

}  // namespace faraday::access
