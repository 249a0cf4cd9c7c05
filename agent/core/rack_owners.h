// Which controller may speak about which slots: each about those of its own rack, whatever it names. A lost or lying
// controller must not end jobs on another's rack, nor plant epochs there. Pure; loop's thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "agent/core/wishes.h"

namespace faraday::agent {

inline constexpr size_t kMostSlotsASync = 1024;  // chosen: a rack has 32 at most today

class RackOwners {
 public:
  // `rack_at`: the rack that the roster in force gives a controller's endpoint, "" when it does not know it.
  explicit RackOwners(std::function<std::string(const std::string& endpoint)> rack_at) : rack_at_(std::move(rack_at)) {}

  // Numbers from 0 in the order of the calls.
  int Add(const std::string& endpoint);

  // Those of `slots` that belong to the controller's own rack: the roster's, else the rack that it names first, for
  // this run, unless that is another's already. What is left out is logged once a controller: slots of other racks,
  // names that are not written as slots are, and what is beyond kMostSlotsASync.
  std::vector<SlotWish> OwnOf(int controller, std::vector<SlotWish> slots);

 private:
  struct Controller {
    std::string endpoint;
    std::string rack;  // "": has none yet
    bool said = false;
  };
  std::string RackOf(int controller, const std::string& named);
  bool IsOfAnother(int controller, const std::string& rack) const;

  std::function<std::string(const std::string& endpoint)> rack_at_;
  std::vector<Controller> controllers_;
};

}  // namespace faraday::agent
