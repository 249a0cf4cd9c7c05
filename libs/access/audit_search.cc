#include "access/audit_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace faraday::access {
namespace {

constexpr uint64_t kPiece = 1U << 20U;
constexpr size_t kPageBytes = 900'000;  // a frame holds 1 MiB

// Calls `each` with every whole line of a segment until it returns false. Errors: the file cannot be read, or is
// shorter than it was.
Status EachLine(const AuditLog::View& view,
                const AuditLog::Segment& segment,
                const std::function<bool(std::string_view)>& each) {
  std::string carry;
  for (uint64_t at = 0; at < segment.bytes;) {
    FARADAY_TRY_ASSIGN(const std::string piece,
                       view.files->Read(segment.name, at, std::min(kPiece, segment.bytes - at)));
    if (piece.empty()) {
      return {Code::kDataLoss,
              fmt::format("{} ends after {} of {} bytes: it was cut", segment.name, at, segment.bytes)};
    }
    at += piece.size();
    carry += piece;
    size_t done = 0;
    for (size_t end = carry.find('\n'); end != std::string::npos; end = carry.find('\n', done)) {
      if (!each(std::string_view(carry).substr(done, end - done))) return OkStatus();
      done = end + 1;
    }
    carry.erase(0, done);
  }
  if (!carry.empty()) each(carry);
  return OkStatus();
}

// Finds a field by its text. Quotes inside values are escaped, so this can match nothing else.
class Matcher {
 public:
  explicit Matcher(const AuditQuery& query) : call_(query.call) {
    AddPerson(query.only_of);
    AddPerson(call_.user());
    Add("call", call_.call());
    Add("trace_id", call_.trace_id());
    const std::string on = Field("on", call_.on());
    if (!call_.on().empty()) any_of_.push_back({call_.on().ends_with('/') ? on.substr(0, on.size() - 1) : on});
  }

  bool operator()(std::string_view line) const {
    if (NumberOfLine(line) <= call_.after()) return false;
    const int64_t utc = UtcOfLine(line);
    if (utc < call_.since_utc_ms() || (call_.until_utc_ms() != 0 && utc > call_.until_utc_ms())) return false;
    return std::all_of(any_of_.begin(), any_of_.end(), [line](const std::vector<std::string>& texts) {
      return std::any_of(texts.begin(), texts.end(), [line](const std::string& text) {
        return line.find(text) != std::string_view::npos;
      });
    });
  }

 private:
  static std::string Field(const std::string& name, const std::string& value) {
    return ",\"" + name + "\":" + AuditQuoted(value);
  }
  void Add(const std::string& name, const std::string& value) {
    if (!value.empty()) any_of_.push_back({Field(name, value)});
  }
  void AddPerson(const std::string& user) {
    if (!user.empty()) any_of_.push_back({Field("user", user), Field("on_behalf_of", user)});
  }

  const v1::ReadAuditCall& call_;
  std::vector<std::vector<std::string>> any_of_;  // each must match in one of its texts
};

// One page of records.
class Page {
 public:
  explicit Page(uint32_t limit) : limit_(limit) {}
  // False when there is no room.
  bool Add(std::string_view line) {
    if (records_.size() >= limit_ || bytes_ + line.size() > kPageBytes) return false;
    auto record = ParseAuditLine(line);
    if (!record.ok()) return true;
    bytes_ += line.size();
    records_.push_back(std::move(*record));
    return true;
  }
  const std::vector<v1::AuditRecord>& records() const { return records_; }

 private:
  uint32_t limit_;
  size_t bytes_ = 0;
  std::vector<v1::AuditRecord> records_;
};

Status Forward(const AuditLog::View& view, const AuditQuery& query, v1::ReadAuditResult* result) {
  const Matcher matches(query);
  Page page(query.call.limit());
  result->set_next(query.call.after());
  for (size_t i = 0; i < view.segments.size() && !result->more(); ++i) {
    if (i + 1 < view.segments.size() && view.segments[i + 1].first <= query.call.after() + 1) continue;
    FARADAY_TRY(EachLine(view, view.segments[i], [&](std::string_view line) {
      const bool late = BootClock::now() >= query.give_up;
      if (late || (matches(line) && !page.Add(line))) {
        result->set_more(true);
        return false;
      }
      result->set_next(std::max(result->next(), NumberOfLine(line)));
      return true;
    }));
  }
  for (const auto& record : page.records()) *result->add_records() = record;
  return OkStatus();
}

Status Backward(const AuditLog::View& view, const AuditQuery& query, v1::ReadAuditResult* result) {
  const Matcher matches(query);
  Page page(query.call.limit());
  for (size_t i = view.segments.size(); i-- > 0 && !result->more();) {
    if (BootClock::now() >= query.give_up) result->set_more(true);
    std::vector<std::string> found;
    FARADAY_TRY(EachLine(view, view.segments[i], [&](std::string_view line) {
      if (matches(line)) found.emplace_back(line);
      if (found.size() > 2 * size_t{query.call.limit()}) found.erase(found.begin(), found.begin() + query.call.limit());
      return true;
    }));
    for (auto line = found.rbegin(); line != found.rend() && !result->more(); ++line) {
      if (!page.Add(*line)) result->set_more(true);
    }
  }
  for (auto record = page.records().rbegin(); record != page.records().rend(); ++record)
    *result->add_records() = *record;
  if (result->records_size() > 0) result->set_next(result->records(0).number());
  return OkStatus();
}

v1::VerifyAuditResult Broken(v1::VerifyAuditResult result, std::string why) {
  result.set_good(false);
  result.set_text(std::move(why));
  return result;
}

}  // namespace

Result<v1::ReadAuditResult> SearchAudit(const AuditLog::View& view, const AuditQuery& query) {
  v1::ReadAuditResult result;
  FARADAY_TRY(query.call.newest() ? Backward(view, query, &result) : Forward(view, query, &result));
  return result;
}

bool AuditVerifier::Feed(std::string_view line) {
  if (!broken_.empty()) return false;
  const auto place = first_ == 0 ? CheckAuditLine(line) : CheckAuditLine(line, place_);
  if (!place.ok()) {
    const std::string after = first_ == 0 ? "at the beginning" : fmt::format("after record {}", place_.number);
    broken_ = fmt::format("{}: {}", after, place.status().message());
    return false;
  }
  place_ = *place;
  const bool is_note = line.find(",\"call\":\"retention\"") != std::string_view::npos;
  if (first_ == 0 || is_note) {
    const auto record = ParseAuditLine(line);
    if (!record.ok()) return broken_ = fmt::format("record {} is no audit record", place_.number), false;
    if (first_ == 0) {
      first_ = place_.number;
      first_prev_ = record->prev();
    }
    const bool base = is_note && record->kind() == v1::AuditRecord::KIND_NOTE;
    if (base && record->on() == std::to_string(first_) && record->result() == first_prev_) base_told_ = true;
  }
  return true;
}

v1::VerifyAuditResult AuditVerifier::Outcome() const {
  v1::VerifyAuditResult result;
  result.set_first(first_);
  result.set_last(place_.number);
  result.set_head(place_.hash);
  if (!broken_.empty()) return Broken(std::move(result), broken_);
  if (first_ == 1 && first_prev_ != AuditPlace().hash) {
    return Broken(std::move(result), "record 1 follows something: its prev is not zeros");
  }
  if (first_ > 1 && !base_told_) {
    return Broken(
        std::move(result),
        fmt::format("the log begins with record {}, and no record says that the ones before were removed", first_));
  }
  result.set_good(true);
  result.set_text(first_ == 0 ? "no records" : fmt::format("records {} to {} fit", first_, place_.number));
  return result;
}

Result<v1::VerifyAuditResult> VerifyAudit(const AuditLog::View& view, BootTime give_up) {
  AuditVerifier verifier;
  bool late = false;
  for (const auto& segment : view.segments) {
    const Status read = EachLine(view, segment, [&](std::string_view line) {
      late = BootClock::now() >= give_up;
      return !late && verifier.Feed(line);
    });
    if (late)
      return Status(Code::kDeadlineExceeded, "the log is too long for the call's time; export it, verify the file");
    if (read.code() == Code::kDataLoss) return Broken(verifier.Outcome(), read.message());
    FARADAY_TRY(read);
  }
  auto result = verifier.Outcome();
  if (result.good() && (result.last() != view.last.number || (result.last() != 0 && result.head() != view.last.hash))) {
    return Broken(std::move(result),
                  fmt::format("the files end with record {} {}, this server wrote {} {}",
                              result.last(),
                              result.head().substr(0, 12),
                              view.last.number,
                              view.last.hash.substr(0, 12)));
  }
  return result;
}

}  // namespace faraday::access
