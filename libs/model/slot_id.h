// Names of racks, slots and leases: "r01", "r01/07", "r01-07-42". Freestanding parts stay out: host only.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace faraday::model {

// One phone's place. Numbers count from 1 over all boards of the rack, in the config's order.
struct SlotId {
  std::string rack;
  int number = 0;
  auto operator<=>(const SlotId&) const = default;
};

// "r01/07" (at least two digits).
std::string ToString(const SlotId& slot);
// Accepts "r01/7" and "r01/07". Errors: kInvalidArgument naming the text and the form.
Result<SlotId> ParseSlotId(std::string_view text);
// 1 to 15 of a-z, 0-9 and '-', beginning with a letter (it must fit the link's Hello.rack).
bool IsRackName(std::string_view text);

// The id of one tenure of one slot: "r01-07-42" is epoch 42 of r01/07.
struct LeaseId {
  SlotId slot;
  uint32_t epoch = 0;
  auto operator<=>(const LeaseId&) const = default;
};
std::string ToString(const LeaseId& lease);
// Errors: kInvalidArgument naming the text and the form.
Result<LeaseId> ParseLeaseId(std::string_view text);

}  // namespace faraday::model
