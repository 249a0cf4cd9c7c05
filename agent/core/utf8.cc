#include "agent/core/utf8.h"

#include <cstddef>

namespace faraday::agent {
namespace {

unsigned char ByteAt(std::string_view text, size_t at) { return static_cast<unsigned char>(text[at]); }

// The rows of Unicode's table 3-7 "Well-Formed UTF-8 Byte Sequences": only the second byte's range varies.
struct Row {
  unsigned char first_from, first_to, second_from, second_to;
  size_t length;
};
constexpr Row kRows[] = {{0xC2, 0xDF, 0x80, 0xBF, 2},
                         {0xE0, 0xE0, 0xA0, 0xBF, 3},
                         {0xE1, 0xEC, 0x80, 0xBF, 3},
                         {0xED, 0xED, 0x80, 0x9F, 3},
                         {0xEE, 0xEF, 0x80, 0xBF, 3},
                         {0xF0, 0xF0, 0x90, 0xBF, 4},
                         {0xF1, 0xF3, 0x80, 0xBF, 4},
                         {0xF4, 0xF4, 0x80, 0x8F, 4}};

bool Fits(std::string_view text, const Row& row) {
  const unsigned char first = ByteAt(text, 0);
  if (first < row.first_from || first > row.first_to || text.size() < row.length) return false;
  if (ByteAt(text, 1) < row.second_from || ByteAt(text, 1) > row.second_to) return false;
  for (size_t i = 2; i < row.length; ++i) {
    if ((ByteAt(text, i) & 0xC0) != 0x80) return false;
  }
  return true;
}

// Bytes of the character at the front, 0 when it is broken.
size_t CharacterLength(std::string_view text) {
  if (ByteAt(text, 0) < 0x80) return 1;
  for (const Row& row : kRows) {
    if (Fits(text, row)) return row.length;
  }
  return 0;
}

}  // namespace

std::string CleanUtf8(std::string_view text) {
  std::string clean;
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    clean += length == 0 ? "?" : text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return clean;
}

}  // namespace faraday::agent
