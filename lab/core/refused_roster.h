// The roster that a controller does not take: of a signer that was before its time. The next ones are brought past it;
// it is tried again now and then, since what was wrong may be mended.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.h"

namespace faraday::lab {

class RefusedRoster {
 public:
  static constexpr Milliseconds kAgain{60'000};  // chosen

  void Refused(uint64_t number, BootTime now) {
    number_ = number;
    again_ = now + kAgain;
  }
  // The next to bring is the one after this, for a controller that has number `have`.
  uint64_t After(uint64_t have, BootTime now) const { return now < again_ ? std::max(have, number_) : have; }

 private:
  uint64_t number_ = 0;
  BootTime again_;
};

}  // namespace faraday::lab
