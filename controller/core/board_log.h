// The logs that the boards keep in flash: reads them page by page over the line, says them in people's words and places
// them in time. Records of this boot by the board's clock; of older boots by the nearest HELLO record of the same boot,
// which holds the host's UTC; else not at all. One thread, time as an argument.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controller/core/rack_parts.h"

namespace faraday::controller {

inline constexpr uint32_t kLogDefault = 50;     // envelope.proto
inline constexpr uint32_t kLogMost = 200;       // envelope.proto
inline constexpr uint32_t kLogLookBack = 64;    // further records that are read to place the oldest; chosen
inline constexpr Milliseconds kPageWait{500};   // a page takes 20 ms at 460800 baud; chosen
inline constexpr int kPageTries = 4;            // chosen
inline constexpr uint32_t kClockPpm = 100;      // the MCU's crystal; chosen, twice what parts promise
inline constexpr uint32_t kPlacedToMs = 200;    // by the board's clock: two telemetry periods
inline constexpr uint32_t kMarkedToMs = 1'000;  // host_mark counts seconds

struct LogRecord {
  uint32_t number = 0;
  uint32_t boot = 0;
  uint32_t uptime_ms = 0;
  UtcTime utc;  // 0: cannot be placed
  uint32_t utc_error_ms = 0;
  std::string kind;  // "trip", "boot"
  std::string slot;  // "r01/07"; empty: the board
  std::string text;
  // As the board wrote it.
  link::LogKind raw_kind{};
  uint32_t board_slot = 0;
  uint32_t detail = 0;
  uint32_t value = 0;
  uint32_t limit = 0;
};

struct LogView {
  std::vector<LogRecord> records;  // newest first
  uint32_t oldest = 0;
  uint32_t next = 0;
};

class BoardLogs {
 public:
  explicit BoardLogs(RackParts& parts) : parts_(parts) {}

  // The newest `limit` records (0: kLogDefault) older than `before` (0: from the newest). One reading of a board at a
  // time, others wait. Errors: kNotFound (no such board), kInvalidArgument (limit), kUnavailable (no line, pages lost),
  // kUnimplemented (older firmware). Rights are the caller's to check.
  void Read(int board, uint32_t before, uint32_t limit, Answer<LogView> answer, Now now);
  void OnPage(int board, const link::LogPage& page, Now now);
  void OnTime(Now now);

 private:
  struct Mark {
    uint32_t number = 0;
    uint32_t uptime_ms = 0;
    uint32_t utc_s = 0;
  };
  struct Reading {
    int board = 0;
    uint32_t before = 0;
    uint32_t limit = 0;
    Answer<LogView> answer;
    bool begun = false;  // the range is known
    uint32_t begin = 0;  // of what is shown
    uint32_t end = 0;
    uint32_t floor = 0;  // how far back to look for a mark
    uint32_t at = 0;     // records from `at` on are here
    int tries = 0;
    bool told = false;  // the last question was answered
    BootTime give_up;
    uint32_t asked_from = 0;
    uint32_t oldest = 0;
    uint32_t next = 0;
    std::map<uint32_t, LogRecord> records;
  };
  using ReadingPtr = std::shared_ptr<Reading>;
  void Ask(const ReadingPtr& reading, Now now);
  void OnReply(const ReadingPtr& reading, const Outcome& outcome, Now now);
  void Step(const ReadingPtr& reading, Now now);
  bool Placed(const Reading& reading) const;
  void Finish(const ReadingPtr& reading, const Status& status, Now now);
  void Place(const Reading& reading, LogRecord* record, Now now) const;
  LogRecord RecordOf(int board, const link::LogPage& page, size_t i) const;

  RackParts& parts_;
  std::map<int, std::vector<ReadingPtr>> readings_;              // by board; the first runs
  std::map<std::pair<int, uint32_t>, std::vector<Mark>> marks_;  // by board and boot, as learned
};

}  // namespace faraday::controller
