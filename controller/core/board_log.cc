#include "controller/core/board_log.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "controller/core/condition_table.h"
#include "controller/core/names.h"
#include "controller/core/words.h"

namespace faraday::controller {
namespace {

using link::LogKind;

constexpr size_t kMarksKept = 8;  // of a boot; chosen

// By link::LogKind.
constexpr std::array<std::string_view, 12> kKinds = {"damaged",
                                                     "boot",
                                                     "hello",
                                                     "trip",
                                                     "cleared",
                                                     "condition",
                                                     "condition-over",
                                                     "lease-ended",
                                                     "input",
                                                     "stop",
                                                     "configured",
                                                     "safe-state"};
constexpr std::array<std::string_view, 5> kStops = {
    "a command", "the stop frame", "the stop button", "a rack input", "outputs that did not obey"};
constexpr std::array<std::string_view, 3> kSafeStates = {"charge", "hold", "off"};

template <size_t kCount>
std::string_view NameIn(const std::array<std::string_view, kCount>& names, uint32_t index) {
  return index < kCount ? names.at(index) : "unknown";
}

// With the rail, bus, shelf or input of a board's condition.
std::string WithPart(const rackconfig::RackConfig& config, int board, const LogRecord& record, std::string text) {
  const auto which = static_cast<link::Condition>(record.detail);
  if (record.board_slot != 0 || record.limit >= link::kMaxSlots) return text;
  const std::string part = PartName(config, board, which, static_cast<int>(record.limit));
  return part.empty() ? text : part + ": " + text;
}

std::string TextOf(const rackconfig::RackConfig& config, int board, const LogRecord& record) {
  const auto condition = static_cast<link::Condition>(record.detail);
  switch (record.raw_kind) {
    case LogKind::kNone:
      return "the record is damaged";
    case LogKind::kBoot:
      return fmt::format(
          "boot after {}, session {:04x}", BootReasonText(static_cast<link::BootReason>(record.value)), record.limit);
    case LogKind::kHello:
      return fmt::format("a controller opened term {}", record.limit);
    case LogKind::kTrip:
      return "tripped: " + TripText(static_cast<link::TripReason>(record.detail), record.value, record.limit);
    case LogKind::kCleared:
      return record.board_slot == 0 ? "the rack's stop was ended" : "cleared";
    case LogKind::kCondition:
      return WithPart(
          config, board, record, ConditionText(condition, record.value, record.board_slot == 0 ? 0 : record.limit));
    case LogKind::kConditionOver:
      return WithPart(config, board, record, fmt::format("{} is over", ConditionName(condition)));
    case LogKind::kLeaseEnded:
      return fmt::format("the lease of epoch {} ran out and nobody had handed over", record.value);
    case LogKind::kInput:
      return fmt::format("{} {}",
                         InputName(config, board, static_cast<int>(record.detail)),
                         record.value != 0 ? "active" : "inactive");
    case LogKind::kStop:
      return fmt::format(
          "{} stopped by {}", record.board_slot == 0 ? "the board" : "the slot", NameIn(kStops, record.detail));
    case LogKind::kConfigured:
      return fmt::format("took the configuration of CRC {:08x}", record.value);
    case LogKind::kSafeState:
      return fmt::format("went to its safe state: {}", NameIn(kSafeStates, record.detail));
  }
  return fmt::format("a record of kind {} that this controller does not know", static_cast<int>(record.raw_kind));
}

}  // namespace

void BoardLogs::Read(int board, uint32_t before, uint32_t limit, Answer<LogView> answer, Now now) {
  const int boards = static_cast<int>(parts_.boards.size());
  if (board < 0 || board >= boards) {
    return answer(Status{Code::kNotFound, fmt::format("no board {}; this rack has 0 to {}", board, boards - 1)}, now);
  }
  if (limit > kLogMost) {
    return answer(Status{Code::kInvalidArgument,
                         fmt::format("limit {} is outside 1 to {} (0: {})", limit, kLogMost, kLogDefault)},
                  now);
  }
  auto reading = std::make_shared<Reading>();
  reading->board = board;
  reading->before = before;
  reading->limit = limit == 0 ? kLogDefault : limit;
  reading->answer = std::move(answer);
  auto& waiting = readings_[board];
  waiting.push_back(reading);
  if (waiting.size() == 1) Ask(reading, now);
}

void BoardLogs::Ask(const ReadingPtr& reading, Now now) {
  // The first question is only for the range.
  const uint32_t step = static_cast<uint32_t>(link::kMaxLogRecords);
  const uint32_t from = !reading->begun ? 0 : std::max(reading->floor, reading->at > step ? reading->at - step : 0);
  const uint32_t count = !reading->begun ? 1 : std::min(step, reading->at - from);
  reading->asked_from = from;
  reading->told = false;
  reading->give_up = now.boot + kPageWait;
  if (++reading->tries > kPageTries) {
    return Finish(reading,
                  {Code::kUnavailable,
                   fmt::format("board {}: its log's records from {} did not come; try again", reading->board, from)},
                  now);
  }
  const Status sent = parts_.boards.at(static_cast<size_t>(reading->board))
                          ->Send(
                              link::ReadLog{from, count},
                              fmt::format("board {}: read its log", reading->board),
                              [this, reading](const Outcome& outcome, Now at) { OnReply(reading, outcome, at); },
                              now);
  if (!sent.ok()) Finish(reading, sent, now);
}

void BoardLogs::OnReply(const ReadingPtr& reading, const Outcome& outcome, Now now) {
  const auto& waiting = readings_[reading->board];
  if (waiting.empty() || waiting.front() != reading) return;
  reading->told = true;
  if (outcome.reply.verdict == link::Verdict::kBusy) return;  // the flash or the line: asked again
  if (!outcome.status.ok()) return Finish(reading, outcome.status, now);
  reading->oldest = outcome.reply.value;
  reading->next = outcome.reply.limit;
  if (!reading->begun) {
    reading->begun = true;
    reading->end = reading->before == 0 ? reading->next : std::min(reading->before, reading->next);
    reading->end = std::max(reading->end, reading->oldest);
    reading->begin = std::max(reading->oldest, reading->end > reading->limit ? reading->end - reading->limit : 0);
    reading->floor =
        std::max(reading->oldest, reading->begin > kLogLookBack ? reading->begin - kLogLookBack : reading->oldest);
    reading->at = reading->end;
    reading->tries = 0;
    return Step(reading, now);
  }
  // The ring has moved on below us: what is gone cannot come.
  if (reading->at <= reading->oldest) Step(reading, now);
}

void BoardLogs::OnPage(int board, const link::LogPage& page, Now now) {
  const auto it = readings_.find(board);
  if (it == readings_.end() || it->second.empty() || !it->second.front()->begun) return;
  const ReadingPtr reading = it->second.front();
  uint32_t lowest = reading->at;
  for (size_t i = 0; i < page.kind.size(); ++i) {
    const LogRecord record = RecordOf(board, page, i);
    if (record.raw_kind == LogKind::kHello && record.value != 0) {
      auto& marks = marks_[{board, record.boot}];
      const bool known = std::ranges::find(marks, record.number, &Mark::number) != marks.end();
      if (!known && marks.size() < kMarksKept) marks.push_back({record.number, record.uptime_ms, record.value});
    }
    if (record.number >= reading->begin && record.number < reading->end) reading->records[record.number] = record;
    lowest = std::min(lowest, record.number);
  }
  const bool asked = page.first + page.kind.size() >= reading->at && lowest < reading->at;
  if (!asked) return;
  reading->at = lowest;
  reading->tries = 0;
  Step(reading, now);
}

// The oldest record's boot has a mark, or is this one.
bool BoardLogs::Placed(const Reading& reading) const {
  if (reading.records.empty()) return true;
  const uint32_t boot = reading.records.begin()->second.boot;
  return boot == parts_.boards.at(static_cast<size_t>(reading.board))->hello().boot_number ||
         marks_.contains({reading.board, boot});
}

void BoardLogs::Step(const ReadingPtr& reading, Now now) {
  const bool shown = reading->at <= std::max(reading->begin, reading->oldest);
  const bool looked = reading->at <= std::max(reading->floor, reading->oldest) || Placed(*reading);
  if (shown && looked) return Finish(reading, OkStatus(), now);
  Ask(reading, now);
}

void BoardLogs::Finish(const ReadingPtr& reading, const Status& status, Now now) {
  auto& waiting = readings_[reading->board];
  std::erase(waiting, reading);
  if (!waiting.empty()) Ask(ReadingPtr(waiting.front()), now);
  if (!status.ok()) return reading->answer(status, now);
  LogView view;
  view.oldest = reading->oldest;
  view.next = reading->next;
  for (auto& [number, record] : reading->records) {
    Place(*reading, &record, now);
    view.records.insert(view.records.begin(), record);
  }
  reading->answer(std::move(view), now);
}

LogRecord BoardLogs::RecordOf(int board, const link::LogPage& page, size_t i) const {
  const auto at = [i](const link::LogColumn& column) { return i < column.size() ? column[i] : 0U; };
  LogRecord record;
  record.number = page.first + static_cast<uint32_t>(i);
  record.boot = at(page.boot);
  record.uptime_ms = at(page.uptime_ms);
  record.raw_kind = static_cast<LogKind>(at(page.kind));
  record.board_slot = at(page.slot);
  record.detail = at(page.detail);
  record.value = at(page.value);
  record.limit = at(page.limit);
  record.kind = NameIn(kKinds, at(page.kind));
  const int slot = record.board_slot > link::kMaxSlots ? 0 : parts_.SlotAt(board, static_cast<int>(record.board_slot));
  if (record.board_slot != 0) {
    record.slot = slot != 0 ? parts_.NameOf(slot) : fmt::format("board {} slot {}", board, record.board_slot);
  }
  record.text = TextOf(parts_.config, board, record);
  return record;
}

void BoardLogs::Place(const Reading& reading, LogRecord* record, Now now) const {
  if (record->raw_kind == LogKind::kNone) return;
  const Board& board = *parts_.boards.at(static_cast<size_t>(reading.board));
  if (record->boot != 0 && record->boot == board.hello().boot_number) {
    record->utc = board.UtcOf(record->uptime_ms, now);
    record->utc_error_ms = kPlacedToMs;
    return;
  }
  const auto marks = marks_.find({reading.board, record->boot});
  if (marks == marks_.end()) return;
  const auto apart = [&](const Mark& mark) {
    return std::abs(static_cast<int64_t>(static_cast<int32_t>(record->uptime_ms - mark.uptime_ms)));
  };
  const Mark& nearest = *std::ranges::min_element(marks->second, {}, apart);
  const auto since = static_cast<int32_t>(record->uptime_ms - nearest.uptime_ms);
  record->utc = UtcTime{Milliseconds(int64_t{nearest.utc_s} * 1000 + since)};
  record->utc_error_ms = kMarkedToMs + static_cast<uint32_t>(apart(nearest) * kClockPpm / 1'000'000);
}

void BoardLogs::OnTime(Now now) {
  std::vector<ReadingPtr> late;
  for (const auto& [board, waiting] : readings_) {
    if (!waiting.empty() && waiting.front()->told && now.boot >= waiting.front()->give_up)
      late.push_back(waiting.front());
  }
  for (const ReadingPtr& reading : late) Ask(reading, now);
}

}  // namespace faraday::controller
