// A LeaseDesk that only writes down what it was asked; the test answers, late, wrongly or never.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lab/core/lease_desk.h"

namespace faraday::lab {

class FakeLeaseDesk : public LeaseDesk {
 public:
  void Acquire(const AcquireOrder& order) override { acquires.push_back(order); }
  void Release(const std::string& lease, const std::string&, const std::string& trace) override {
    releases.push_back(lease);
    last_release_trace = trace;
  }

  // The orders since the last call.
  std::vector<AcquireOrder> TakeAcquires() { return std::exchange(acquires, {}); }
  std::vector<std::string> TakeReleases() { return std::exchange(releases, {}); }

  std::vector<AcquireOrder> acquires;
  std::vector<std::string> releases;
  std::string last_release_trace;
};

}  // namespace faraday::lab
