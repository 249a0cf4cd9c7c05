// The moment a decision is taken, as both clocks. The core never reads a clock: callers pass this.
#pragma once

#include "base/clock.h"

namespace faraday::controller {

struct Now {
  BootTime boot;  // every deadline
  UtcTime utc;    // what people read, and ends that must outlive a reboot
};

}  // namespace faraday::controller
