#include "cli/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "base/plain_text.h"

namespace faraday::cli {
namespace {

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Calls `take(character, bytes)` for each character of the text; a byte that is no UTF-8 comes alone, length 0.
template <typename Take>
void ForEachCharacter(std::string_view text, Take take) {
  while (!text.empty()) {
    const Utf8Character character = FrontCharacter(text);
    const size_t length = std::max<size_t>(character.length, 1);
    take(character, text.substr(0, length));
    text.remove_prefix(length);
  }
}

// How many bytes the character that begins with this byte has; 1 for a byte that begins none.
size_t LengthOf(char first) {
  const auto byte = static_cast<unsigned char>(first);
  if (byte >= 0xC2 && byte <= 0xDF) return 2;
  if (byte >= 0xE0 && byte <= 0xEF) return 3;
  return byte >= 0xF0 && byte <= 0xF4 ? 4 : 1;
}

// Whether `text` is a beginning of a character that is not whole.
bool IsCutCharacter(std::string_view text) {
  return text.size() < LengthOf(text[0]) && std::all_of(text.begin() + 1, text.end(), IsContinuation);
}

// The numbers of "1;31"; an empty one is 0. Empty when one is above 255.
std::vector<unsigned> ColourNumbers(std::string_view parameters) {
  std::vector<unsigned> numbers = {0};
  for (const char c : parameters) {
    if (c == ';') {
      numbers.push_back(0);
    } else {
      numbers.back() = numbers.back() * 10 + static_cast<unsigned>(c - '0');
      if (numbers.back() > 255) return {};
    }
  }
  return numbers;
}

// Colour, weight, slant, underline, reverse - not conceal (8), not fonts.
bool IsColour(std::string_view parameters) {
  const std::vector<unsigned> numbers = ColourNumbers(parameters);
  for (size_t i = 0; i < numbers.size(); ++i) {
    const unsigned n = numbers[i];
    if (n == 38 || n == 48) {  // 38;5;N or 38;2;R;G;B
      if (i + 1 >= numbers.size() || (numbers[i + 1] != 5 && numbers[i + 1] != 2)) return false;
      i += numbers[i + 1] == 5 ? 2 : 4;
      if (i >= numbers.size()) return false;
      continue;
    }
    const bool style = n <= 7 || n == 9 || (n >= 21 && n <= 29);
    const bool colour = (n >= 30 && n <= 49) || (n >= 90 && n <= 107);
    if (!style && !colour) return false;
  }
  return !numbers.empty();
}

size_t Width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !IsContinuation(c); }));
}

std::string Padded(const std::string& text, size_t width, bool right) {
  const size_t have = Width(text);
  if (have >= width) return text;
  return right ? std::string(width - have, ' ') + text : text + std::string(width - have, ' ');
}

void TrimEnd(std::string* text) {
  while (!text->empty() && text->back() == ' ') text->pop_back();
}

tm LocalTime(int64_t utc_ms) {
  const time_t seconds = static_cast<time_t>(utc_ms / 1000);
  tm local{};
  localtime_r(&seconds, &local);
  return local;
}

std::string FormatTime(const char* format, const tm& local) {
  char buffer[40];
  return std::string(buffer, std::strftime(buffer, sizeof(buffer), format, &local));
}

bool IsSameDay(int64_t utc_ms, int64_t other_utc_ms) {
  const tm a = LocalTime(utc_ms);
  const tm b = LocalTime(other_utc_ms);
  return a.tm_year == b.tm_year && a.tm_yday == b.tm_yday;
}

}  // namespace

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = FrontCharacter(text).length;
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string Printable(std::string_view text) {
  std::string out;
  ForEachCharacter(text, [&](Utf8Character character, std::string_view bytes) {
    const bool harmless = character.length > 0 && !SteersTerminals(character.point);
    out += harmless ? bytes : "?";
  });
  return out;
}

std::string PrintableLines(std::string_view text) {
  std::string out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (at != 0) out += '\n';
    out += Printable(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

std::string PrintableJson(std::string_view json) {
  std::string out;
  ForEachCharacter(json, [&](Utf8Character character, std::string_view bytes) {
    const uint32_t point = character.point;
    if (character.length == 0) {
      out += '?';
    } else if (point == '\n' || !SteersTerminals(point)) {
      out += bytes;
    } else if (point < 0x10000) {
      out += fmt::format("\\u{:04x}", point);
    } else {
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xD7C0 + (point >> 10), 0xDC00 + (point & 0x3FF));
    }
  });
  return out;
}

std::string PrintableName(std::string_view name) {
  std::string out;
  ForEachCharacter(name, [&](Utf8Character character, std::string_view bytes) {
    if (character.length > 0 && !SteersTerminals(character.point)) {
      out += bytes;
    } else {
      for (const char byte : bytes) out += fmt::format("%{:02X}", static_cast<unsigned char>(byte));
    }
  });
  return out;
}

// The escape sequence at the front of `text`, which begins with ESC: how many bytes it takes, 0 when its end is still
// to come.
size_t LogFilter::TakeEscape(std::string_view text, std::string* out) {
  constexpr size_t kLongest = 24;  // chosen: longer than any colour
  size_t end = 2;
  if (text.size() >= 2 && text[1] != '[') end = 1;
  while (end >= 2 && end < text.size() && end < kLongest &&
         ((text[end] >= '0' && text[end] <= '9') || text[end] == ';'))
    ++end;
  if (end >= text.size() && end < kLongest) return 0;
  if (end >= 2 && end < kLongest && text[end] == 'm' && IsColour(text.substr(2, end - 2))) {
    const std::string_view parameters = text.substr(2, end - 2);
    coloured_ = !(parameters.empty() || parameters == "0");
    *out += text.substr(0, end + 1);
    return end + 1;
  }
  *out += '?';
  return 1;  // what follows the ESC is text
}

std::string LogFilter::Feed(std::string_view piece) {
  const std::string all = cut_ + std::string(piece);
  cut_.clear();
  std::string out;
  for (std::string_view rest = all; !rest.empty();) {
    if (rest[0] == '\x1b') {
      const size_t taken = TakeEscape(rest, &out);
      if (taken == 0) {
        cut_ = rest;
        break;
      }
      rest.remove_prefix(taken);
      continue;
    }
    if (IsCutCharacter(rest)) {
      cut_ = rest;
      break;
    }
    const Utf8Character character = FrontCharacter(rest);
    const size_t length = std::max<size_t>(character.length, 1);
    const bool layout = rest[0] == '\n' || rest[0] == '\t' || rest[0] == '\r';
    const bool harmless = layout || (character.length > 0 && !SteersTerminals(character.point));
    out += harmless ? rest.substr(0, length) : "?";
    rest.remove_prefix(length);
  }
  return out;
}

std::string LogFilter::End() {
  std::string out = cut_.empty() ? "" : "?";
  if (coloured_) out += "\x1b[0m";
  cut_.clear();
  coloured_ = false;
  return out;
}

std::string FormatAge(int64_t milliseconds) {
  if (milliseconds < 1000) return fmt::format("{}ms", std::max<int64_t>(milliseconds, 0));
  const int64_t seconds = milliseconds / 1000;
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 7200) return fmt::format("{}m", seconds / 60);
  if (seconds < 172'800) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86'400);
}

std::string FormatClock(int64_t utc_ms, int64_t now_utc_ms) {
  return FormatTime(IsSameDay(utc_ms, now_utc_ms) ? "%H:%M" : "%d %b %H:%M", LocalTime(utc_ms));
}

std::string FormatSecond(int64_t utc_ms) { return FormatTime("%H:%M:%S", LocalTime(utc_ms)); }

std::string FormatMoment(int64_t utc_ms, int64_t now_utc_ms) {
  return FormatTime(IsSameDay(utc_ms, now_utc_ms) ? "%H:%M:%S" : "%d %b %H:%M:%S", LocalTime(utc_ms));
}

std::string FormatSize(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  const double kib = static_cast<double>(bytes) / 1024;
  if (kib < 1024) return fmt::format("{:.1f} KiB", kib);
  return kib < 1024 * 1024 ? fmt::format("{:.1f} MiB", kib / 1024) : fmt::format("{:.1f} GiB", kib / 1024 / 1024);
}

std::string Counted(uint64_t count, std::string_view one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

std::string RenderTable(const std::vector<Column>& columns,
                        const std::vector<std::vector<std::string>>& rows,
                        const std::vector<std::string>& notes) {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns.size(); ++i) {
    size_t width = Width(columns[i].title);
    for (const auto& row : rows) width = std::max(width, Width(row[i]));
    widths.push_back(width);
  }
  std::string out;
  const auto add_line = [&](const auto& cell) {
    std::string line;
    for (size_t i = 0; i < columns.size(); ++i) {
      const bool last = i + 1 == columns.size();
      line +=
          (i == 0 ? "" : "  ") + (last && !columns[i].right ? cell(i) : Padded(cell(i), widths[i], columns[i].right));
    }
    TrimEnd(&line);
    out += line + "\n";
  };
  add_line([&](size_t i) { return columns[i].title; });
  for (size_t r = 0; r < rows.size(); ++r) {
    add_line([&](size_t i) { return rows[r][i]; });
    if (r < notes.size() && !notes[r].empty()) out += "        " + notes[r] + "\n";
  }
  return out;
}

std::string Cut(const std::string& text, size_t width) {
  if (Width(text) <= width || width == 0) return text;
  std::string out;
  size_t taken = 0;
  for (char c : text) {
    if (!IsContinuation(c) && ++taken == width) break;
    out += c;
  }
  return out + "~";
}

}  // namespace faraday::cli
