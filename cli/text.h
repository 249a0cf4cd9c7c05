// Text for people's terminals: foreign bytes made harmless, ages and times, aligned columns. Pure.
//
// Whatever a server, phone, job, file or other person wrote passes one of these before it is shown.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace faraday::cli {

// What came from a phone, a job or another person, safe to show: control bytes, C1 controls, direction overrides and
// broken UTF-8 become '?'.
std::string Printable(std::string_view text);

// The same, line by line: '\n' stays.
std::string PrintableLines(std::string_view text);
// A JSON text with the same meaning in which nothing steers a terminal: such characters become \u escapes.
std::string PrintableJson(std::string_view json);
// A name for a file, of foreign text: what Printable would replace is written %1B, so that it can be typed and seen.
std::string PrintableName(std::string_view name);

// What strings of the protocol must be.
bool IsUtf8(std::string_view text);

// A job's log on a terminal: lines, tabs and colours pass; every other escape sequence, control, direction override and
// broken byte becomes '?'. An ESC goes out only as the first byte of a whole, known colour ("\x1b[1;31m"); text made
// invisible (conceal) is no colour. Keeps its place between pieces, in at most 24 bytes.
class LogFilter {
 public:
  std::string Feed(std::string_view piece);
  // What undoes a colour that is still on.
  std::string End();

 private:
  size_t TakeEscape(std::string_view text, std::string* out);

  std::string cut_;  // the beginning of an escape sequence or a character that has not ended yet
  bool coloured_ = false;
};

// "340ms", "3s", "5m", "2h", "4d": how long ago, in one unit.
std::string FormatAge(int64_t milliseconds);
// Local clock time: "14:20", with the date when it is not on the day of `now_utc_ms`: "24 Nov 14:20".
std::string FormatClock(int64_t utc_ms, int64_t now_utc_ms);
// "14:20:01", local.
std::string FormatSecond(int64_t utc_ms);
// The same, with the date when it is not on the day of `now_utc_ms`: "24 Nov 14:20:01".
std::string FormatMoment(int64_t utc_ms, int64_t now_utc_ms);
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
