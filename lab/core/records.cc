#include "lab/core/records.h"

#include <charconv>
#include <string_view>

namespace faraday::lab {
namespace {

std::optional<uint64_t> ParseNumber(std::string_view digits) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size() || number == 0) return std::nullopt;
  return number;
}

std::optional<uint64_t> ParseNamed(std::string_view prefix, std::string_view name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  return ParseNumber(name.substr(prefix.size()));
}

// Bytes of the UTF-8 character that begins with `lead`; 0 for a byte that follows in one.
size_t CharacterBytes(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  if (byte < 0x80) return 1;
  if (byte < 0xc0) return 0;
  return byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

}  // namespace

std::string CutText(std::string_view text, size_t most) {
  text = text.substr(0, most);
  size_t last = text.size();  // where the last character begins
  while (last > 0 && CharacterBytes(text[--last]) == 0) {
  }
  const bool whole = text.empty() || last + CharacterBytes(text[last]) <= text.size();
  return std::string(text.substr(0, whole ? text.size() : last));
}

std::string ReservationName(uint64_t number) { return "res-" + std::to_string(number); }
std::string JobName(uint64_t number) { return "job-" + std::to_string(number); }
std::string AttemptName(uint64_t job, size_t attempt) { return JobName(job) + "." + std::to_string(attempt); }

std::optional<uint64_t> ParseReservationName(const std::string& name) { return ParseNamed("res-", name); }
std::optional<uint64_t> ParseJobName(const std::string& name) { return ParseNamed("job-", name); }

std::optional<uint64_t> JobOfAttemptName(const std::string& name) {
  const size_t dot = name.find('.');
  if (dot == std::string::npos || !ParseNumber(std::string_view(name).substr(dot + 1))) return std::nullopt;
  return ParseJobName(name.substr(0, dot));
}

std::string RackOf(const std::string& slot) { return slot.substr(0, slot.find('/')); }

}  // namespace faraday::lab
