// Foreign text made harmless for logs and terminals. Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace faraday {

// One character of UTF-8 at the front of a text: its bytes and its code point; length 0 when it is broken (cut short,
// overlong, a surrogate, beyond U+10FFFF).
struct Utf8Character {
  size_t length = 0;
  uint32_t point = 0;
};

// REQUIRES: text is not empty.
constexpr Utf8Character FrontCharacter(std::string_view text) {
  const auto byte = [&text](size_t at) { return static_cast<uint32_t>(static_cast<unsigned char>(text[at])); };
  struct Form {
    uint32_t mask, mark, least;
    size_t length;
  };
  constexpr Form kForms[] = {
      {0x80, 0x00, 0, 1}, {0xE0, 0xC0, 0x80, 2}, {0xF0, 0xE0, 0x800, 3}, {0xF8, 0xF0, 0x10000, 4}};
  for (const Form& form : kForms) {
    if ((byte(0) & form.mask) != form.mark) continue;
    if (text.size() < form.length) return {};
    uint32_t point = byte(0) & ~form.mask;
    for (size_t i = 1; i < form.length; ++i) {
      if ((byte(i) & 0xC0) != 0x80) return {};
      point = (point << 6) | (byte(i) & 0x3F);
    }
    const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
    if (point < form.least || point > 0x10FFFF || surrogate) return {};
    return {form.length, point};
  }
  return {};
}

// Characters that steer a terminal, turn the reading direction, break lines, or cannot be seen at all.
constexpr bool SteersTerminals(uint32_t point) {
  struct Points {
    uint32_t first, last;
  };
  constexpr Points kSteering[] = {
      {0x00, 0x1F},        // C0 controls: ESC, BEL, backspace
      {0x7F, 0x9F},        // DEL, C1 controls: U+009B is CSI to some terminals
      {0x061C, 0x061C},    // Arabic letter mark
      {0x180E, 0x180E},    // Mongolian vowel separator
      {0x200B, 0x200B},    // zero-width space
      {0x200E, 0x200F},    // direction marks
      {0x2028, 0x202E},    // line and paragraph separators, direction embeddings and overrides
      {0x2060, 0x206F},    // invisible operators, direction isolates
      {0xFEFF, 0xFEFF},    // byte order mark
      {0xFFF9, 0xFFFB},    // interlinear annotation
      {0xE0000, 0xE007F},  // tags: invisible ASCII
  };
  for (const Points& range : kSteering) {
    if (point >= range.first && point <= range.last) return true;
  }
  return false;
}

// The text in one line of well-formed UTF-8 that steers nothing: newline and tab become a space, everything else that
// steers, and every byte that is no UTF-8, becomes '?'.
inline std::string PlainLine(std::string_view text) {
  std::string plain;
  while (!text.empty()) {
    const Utf8Character character = FrontCharacter(text);
    const size_t length = character.length == 0 ? 1 : character.length;
    if (character.length == 1 && (text[0] == '\n' || text[0] == '\t'))
      plain += ' ';
    else if (character.length == 0 || SteersTerminals(character.point))
      plain += '?';
    else
      plain += text.substr(0, length);
    text.remove_prefix(length);
  }
  return plain;
}

}  // namespace faraday
