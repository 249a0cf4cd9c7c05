#include "model/slot_id.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace faraday::model {
namespace {

std::optional<uint32_t> ParseNumber(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

Status BadSlot(std::string_view text) {
  return {Code::kInvalidArgument, fmt::format("'{}' is not a slot; write rack/number, for example r01/07", text)};
}

Status BadLease(std::string_view text) {
  return {
      Code::kInvalidArgument,
      fmt::format("'{}' is not a lease; write rack-slot-epoch as 'faraday reserve' printed it, for example r01-07-42",
                  text)};
}

}  // namespace

bool IsRackName(std::string_view text) {
  if (text.empty() || text.size() > 15 || text[0] < 'a' || text[0] > 'z') return false;
  for (const char c : text) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
  }
  return true;
}

std::string ToString(const SlotId& slot) { return fmt::format("{}/{:02}", slot.rack, slot.number); }

Result<SlotId> ParseSlotId(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return BadSlot(text);
  const auto number = ParseNumber(text.substr(slash + 1));
  const auto rack = text.substr(0, slash);
  if (!IsRackName(rack) || !number || *number < 1 || *number > 9999) return BadSlot(text);
  return SlotId{std::string(rack), static_cast<int>(*number)};
}

std::string ToString(const LeaseId& lease) {
  return fmt::format("{}-{:02}-{}", lease.slot.rack, lease.slot.number, lease.epoch);
}

Result<LeaseId> ParseLeaseId(std::string_view text) {
  const auto last = text.rfind('-');
  if (last == std::string_view::npos || last == 0) return BadLease(text);
  const auto middle = text.rfind('-', last - 1);
  if (middle == std::string_view::npos) return BadLease(text);
  const auto epoch = ParseNumber(text.substr(last + 1));
  const auto number = ParseNumber(text.substr(middle + 1, last - middle - 1));
  const auto rack = text.substr(0, middle);
  if (!IsRackName(rack) || !number || *number < 1 || *number > 9999 || !epoch || *epoch == 0) return BadLease(text);
  return LeaseId{{std::string(rack), static_cast<int>(*number)}, *epoch};
}

}  // namespace faraday::model
