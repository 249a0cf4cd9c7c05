// Takes a slot out of use when its hardware is not to be trusted: stored, with the reason, until a tech clears it. A
// lease that runs goes on. One thread, time as an argument.
#pragma once

#include "controller/core/conditions.h"

namespace faraday::controller {

class Quarantine {
 public:
  Quarantine(RackParts& parts, const Conditions& conditions) : parts_(parts), conditions_(conditions) {}
  // REQUIRES: the conditions know the telemetry. What the store refuses is tried again with the next.
  void OnTelemetry(int board, Now now);

 private:
  RackParts& parts_;
  const Conditions& conditions_;
};

}  // namespace faraday::controller
