// Facts of a made-up rack, for tests: free slots with seen phones, changed by hand.
#pragma once

#include <string>

#include "lab/core/facts.h"

namespace faraday::lab {

inline SlotFacts FakeSlot(const std::string& rack, int number, const std::string& model = "pixel-8") {
  SlotFacts slot;
  slot.slot = {rack, number};
  slot.health = Health::kGood;
  slot.allocation = Allocation::kFree;
  slot.lease.slot = model::ToString(slot.slot);
  slot.lease.epoch = 1;
  slot.lease.purpose = Purpose::kCare;
  slot.lease.holder = "care";
  slot.device.never_seen = false;
  slot.device.expected = model;
  slot.device.model = model;
  slot.device.platform = "android";
  slot.device.os_version = "14";
  slot.device.serial = "SER" + std::to_string(number);
  slot.device.battery_percent = 80;
  slot.device.adb_state = "device";
  slot.hosts = {"h01"};
  return slot;
}

inline RackFacts FakeRack(const std::string& name, int slots, BootTime asked = {}) {
  RackFacts rack;
  rack.rack = name;
  rack.ever_seen = true;
  rack.reachable = true;
  rack.asked = asked;
  for (int number = 1; number <= slots; ++number) rack.slots.push_back(FakeSlot(name, number));
  return rack;
}

// What the controller shows after a grant: the next epoch, leased.
inline void Lease(
    SlotFacts* slot, const std::string& reservation, Purpose purpose, UtcTime end, BootTime boot_end = {}) {
  LeaseFacts& lease = slot->lease;
  ++lease.epoch;
  lease.id = model::ToString(model::LeaseId{slot->slot, lease.epoch});
  lease.holder = "ana";
  lease.purpose = purpose;
  lease.end_utc = end;
  lease.end = boot_end;
  lease.agent = "h01";
  lease.reservation = reservation;
  slot->allocation = Allocation::kLeased;
}

// What it shows after the lease's end.
inline void EndLease(SlotFacts* slot) {
  const uint32_t epoch = slot->lease.epoch + 1;
  slot->lease = {};
  slot->lease.slot = model::ToString(slot->slot);
  slot->lease.epoch = epoch;
  slot->lease.purpose = Purpose::kCare;
  slot->lease.holder = "care";
  slot->allocation = Allocation::kFree;
}

}  // namespace faraday::lab
