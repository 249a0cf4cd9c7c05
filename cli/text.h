// Text for people's terminals: foreign bytes made harmless, ages and times, aligned columns. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace faraday::cli {

// What came from a phone, a job or another person, safe to show: control bytes, C1 controls, direction overrides and
// broken UTF-8 become '?'.
std::string Printable(std::string_view text);

// What strings of the protocol must be.
bool IsUtf8(std::string_view text);

// A job's log on a terminal: lines and colours pass, every other escape sequence and control byte becomes '?'.
// Keeps its place between pieces.
class LogFilter {
 public:
  std::string Feed(std::string_view piece);

 private:
  std::string escape_;  // an escape sequence that has not ended yet
};

// "340ms", "3s", "5m", "2h", "4d": how long ago, in one unit.
std::string FormatAge(int64_t milliseconds);
// Local clock time: "14:20", with the date when it is not on the day of `now_utc_ms`: "24 Nov 14:20".
std::string FormatClock(int64_t utc_ms, int64_t now_utc_ms);
// "14:20:01", local.
std::string FormatSecond(int64_t utc_ms);
// Bytes for people: "812 B", "1.4 MiB".
std::string FormatSize(uint64_t bytes);
// "r01 is free" and such: "1 slot", "3 slots".
std::string Counted(uint64_t count, std::string_view one);

struct Column {
  std::string title;
  bool right = false;
};
// Rows under their titles, two spaces between columns, no spaces at line ends. The last column is not padded.
// `notes` (a row each, may be shorter) go under their row, indented; empty ones are left out.
std::string RenderTable(const std::vector<Column>& columns,
                        const std::vector<std::vector<std::string>>& rows,
                        const std::vector<std::string>& notes = {});
// Cut to `width` characters, the last being '~' when something is missing.
std::string Cut(const std::string& text, size_t width);

}  // namespace faraday::cli
