// What the agents said: when each spoke last, the facts of the phones, the largest epochs they have seen. In memory
// only: an agent repeats all of it within 10 s.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "controller/core/now.h"

namespace faraday::controller {

struct DeviceFacts {
  std::string serial;
  std::string model;
  std::string platform;
  std::string os_version;
  int battery_percent = -1;
  std::string adb_state;
  std::optional<bool> boot_completed;
  BootTime read_at;
  std::string agent;
};

class Agents {
 public:
  void Spoke(const std::string& agent, Now now) { last_word_[agent] = now.boot; }
  // In this run of the controller.
  std::optional<BootTime> LastWord(const std::string& agent) const {
    const auto it = last_word_.find(agent);
    return it == last_word_.end() ? std::nullopt : std::optional(it->second);
  }
  void SetFacts(int slot, DeviceFacts facts) { facts_[slot] = std::move(facts); }
  const DeviceFacts* FactsOf(int slot) const {
    const auto it = facts_.find(slot);
    return it == facts_.end() ? nullptr : &it->second;
  }
  void SawEpoch(int slot, uint32_t epoch) { epochs_[slot] = std::max(epochs_[slot], epoch); }
  uint32_t EpochSeen(int slot) const {
    const auto it = epochs_.find(slot);
    return it == epochs_.end() ? 0 : it->second;
  }

 private:
  std::map<std::string, BootTime> last_word_;
  std::map<int, DeviceFacts> facts_;
  std::map<int, uint32_t> epochs_;
};

}  // namespace faraday::controller
