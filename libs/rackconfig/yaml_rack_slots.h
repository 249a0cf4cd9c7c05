// The slots of a rack's YAML: the tables of their keys, and the laying out: defaults, then the list (each slot once),
// then overrides, then templates. Internal to this library.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rackconfig/rack_checks.h"
#include "rackconfig/yaml_reader.h"

namespace faraday::rackconfig {

// What one entry says of its slots; what it does not say is empty and leaves the earlier word in force.
struct SlotWords {
  std::vector<int> numbers;
  int line = 0;
  std::optional<int> board;
  std::optional<int> board_slot;
  std::optional<std::string> rail;
  std::optional<int> current_limit_ma;
  std::optional<int> soft_limit_ma;
  std::optional<SafeState> safe_state;
  std::optional<VbusSource> vbus_source;
  std::optional<std::vector<SlotHost>> hosts;
  std::optional<std::string> expected_phone;
  std::map<std::string, std::string> labels;
  SlotLines lines;
};

struct SlotEntries {
  SlotWords defaults;
  std::vector<SlotWords> list;
  std::vector<SlotWords> overrides;
};

Table SlotHostTable(SlotHost* host);
// Keys of an entry of `slots.list`.
Table SlotListTable(SlotWords* words);
Table SlotsTable(SlotEntries* entries);
// `slots:` is a map of defaults, list and overrides, or the list alone.
Setter Slots(SlotEntries* entries);
// The slots in number order, with their places on the boards; reports what is laid out twice or not at all.
std::vector<SlotDraft> LayOutSlots(const SlotEntries& entries, const std::string& rack, Report& report);
// Puts the slot's numbers into its addresses and labels.
void FillInSlot(const std::string& rack, SlotDraft* draft, Report& report);

}  // namespace faraday::rackconfig
