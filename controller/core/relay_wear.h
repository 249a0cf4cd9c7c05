// How often each slot's RF relay has moved, read from the boards when they are ready and each hour; and the tech's word
// that another one is fitted. One thread, time as an argument.
#pragma once

#include <map>
#include <string>

#include "controller/core/rack_parts.h"

namespace faraday::controller {

inline constexpr Milliseconds kWearPeriod = std::chrono::hours(1);  // relays live for a million moves; chosen

class RelayWear {
 public:
  struct Count {
    uint32_t moves = 0;
    uint32_t warn_at = 0;
  };
  explicit RelayWear(RackParts& parts) : parts_(parts) {}

  // Zeros while nothing was read.
  Count Of(int slot) const;
  // `moves` is what the new relay has made already. Errors: kPermissionDenied, kInvalidArgument (no reason), kNotFound,
  // kUnimplemented (no relay), kUnavailable (no line, the store).
  void Fit(const CallContext& context,
           const std::string& slot,
           uint32_t moves,
           const std::string& reason,
           Answer<int> answer,
           Now now);
  void OnBoardReady(int board);
  // At most one question to a board at a time.
  void OnTime(Now now);

 private:
  struct Slot {
    Count count;
    BootTime due;
  };
  void Read(int slot, Now now);

  RackParts& parts_;
  std::map<int, Slot> slots_;
  std::map<int, bool> asking_;  // by board
};

}  // namespace faraday::controller
