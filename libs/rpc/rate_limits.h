// How often one caller may call: a token bucket for each caller and class. In the loop's thread.
//
// People and CI make some 10 calls a second at most; machines carry a whole rack's traffic; an enrolment code is used
// once. A call beyond the rate is refused at once with the time after which it would be served.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "access/role.h"
#include "base/clock.h"
#include "base/status.h"

namespace faraday::rpc {

struct Rate {
  double per_second = 0;
  double burst = 0;  // calls at once after a pause
};

enum class RateClass : uint8_t { kPeople, kMachines, kCode };

constexpr RateClass RateClassOf(access::Role role) {
  if (role == access::Role::kCode) return RateClass::kCode;
  const bool machine = role == access::Role::kAgent || role == access::Role::kController || role == access::Role::kLab;
  return machine ? RateClass::kMachines : RateClass::kPeople;
}

struct RateTable {
  // All chosen. People: a follower of logs with 256 KiB chunks still gets 25 MiB/s. Machines: 32 slots, each at 60
  // calls a second. A call that is refused for another reason counts as people's.
  Rate people{100, 500};
  Rate machines{2000, 4000};
  Rate code{1, 5};
  // Most buckets kept (about 150 bytes each); callers beyond share one.
  size_t most = 10'000;
};

class RateLimits {
 public:
  explicit RateLimits(RateTable table = {}) : table_(table) {}

  // Counts one call. `identity`: the caller's key, or its name on a plain socket; `name`: for the text.
  // kResourceExhausted: "ana made more than 100 calls a second; again in 120 ms".
  Status Take(const std::string& identity, const std::string& name, RateClass of, BootTime now);
  size_t buckets() const { return buckets_.size(); }

 private:
  struct Bucket {
    double tokens = 0;
    BootTime filled;
  };
  using Key = std::pair<RateClass, std::string>;
  Bucket& BucketOf(Key key, const Rate& rate, BootTime now);
  void ForgetFull(BootTime now);
  const Rate& RateOf(RateClass of) const;

  RateTable table_;
  std::map<Key, Bucket> buckets_;
  std::optional<BootTime> swept_;
};

// For clients: how long such a refusal asks to wait; nullopt for any other status. The call was not served.
std::optional<Milliseconds> AskedToWait(const Status& status);

}  // namespace faraday::rpc
