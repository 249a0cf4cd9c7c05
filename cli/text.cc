#include "cli/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

namespace faraday::cli {
namespace {

// One character of UTF-8 at the front: its length in bytes and its code point; length 0 when it is broken.
struct Character {
  size_t length = 0;
  uint32_t point = 0;
};

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

Character TakeMultibyte(std::string_view text, size_t length, uint32_t first_bits, uint32_t least) {
  if (text.size() < length) return {};
  uint32_t point = first_bits;
  for (size_t i = 1; i < length; ++i) {
    if (!IsContinuation(text[i])) return {};
    point = (point << 6) | (static_cast<unsigned char>(text[i]) & 0x3F);
  }
  const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
  if (point < least || point > 0x10FFFF || surrogate) return {};
  return {length, point};
}

Character TakeCharacter(std::string_view text) {
  const uint32_t first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return {1, first};
  if ((first & 0xE0) == 0xC0) return TakeMultibyte(text, 2, first & 0x1F, 0x80);
  if ((first & 0xF0) == 0xE0) return TakeMultibyte(text, 3, first & 0x0F, 0x800);
  if ((first & 0xF8) == 0xF0) return TakeMultibyte(text, 4, first & 0x07, 0x10000);
  return {};
}

// Characters that steer a terminal or turn the reading direction.
bool Steers(uint32_t point) {
  return point < 0x20 || (point >= 0x7F && point <= 0x9F) || (point >= 0x202A && point <= 0x202E) ||
         (point >= 0x2066 && point <= 0x2069);
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

}  // namespace

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = TakeCharacter(text).length;
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string Printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Character character = TakeCharacter(text);
    if (character.length == 0 || Steers(character.point)) {
      out += '?';
      text.remove_prefix(std::max<size_t>(character.length, 1));
    } else {
      out += text.substr(0, character.length);
      text.remove_prefix(character.length);
    }
  }
  return out;
}

std::string LogFilter::Feed(std::string_view piece) {
  // ESC [ digits and ';' m is a colour; anything else that begins with ESC loses its ESC.
  constexpr size_t kLongest = 24;  // chosen: longer than any colour
  std::string out;
  for (char c : piece) {
    if (!escape_.empty()) {
      escape_ += c;
      const bool second = escape_.size() == 2;
      const bool inside = !second && escape_.size() < kLongest && ((c >= '0' && c <= '9') || c == ';');
      if ((second && c == '[') || inside) continue;
      const bool colour = !second && c == 'm';
      out += colour ? escape_ : Printable(escape_.substr(0, escape_.size() - 1));
      escape_.clear();
      if (colour) continue;
    }
    if (c == '\x1b') {
      escape_ = c;
    } else if (c == '\n' || c == '\t' || c == '\r' || static_cast<unsigned char>(c) >= 0x20) {
      out += c == '\x7f' ? '?' : c;
    } else {
      out += '?';
    }
  }
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
  const tm then = LocalTime(utc_ms);
  const tm now = LocalTime(now_utc_ms);
  const bool same_day = then.tm_year == now.tm_year && then.tm_yday == now.tm_yday;
  return FormatTime(same_day ? "%H:%M" : "%d %b %H:%M", then);
}

std::string FormatSecond(int64_t utc_ms) { return FormatTime("%H:%M:%S", LocalTime(utc_ms)); }

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
