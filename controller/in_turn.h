// Begins steps one after the other: each once the one before is done or has had its time. Knows nothing of what they
// are. Belongs to the loop's thread.
#pragma once

#include <functional>

#include "base/clock.h"
#include "evloop/loop.h"

namespace faraday::controller {

class InTurn {
 public:
  struct Steps {
    int count = 0;
    std::function<void(int step)> begin;  // from 0
    std::function<bool(int step)> done;   // asked every kAsk of the step that was begun last
    Milliseconds longest{0};              // what a step that is not done may hold up the next
  };
  static constexpr Milliseconds kAsk{25};  // chosen

  // The first step begins at once.
  InTurn(evloop::Loop& loop, Steps steps);
  ~InTurn();
  InTurn(const InTurn&) = delete;
  InTurn& operator=(const InTurn&) = delete;

  // No further step begins.
  void End();

 private:
  void BeginNext();
  void Ask();

  evloop::Loop& loop_;
  Steps steps_;
  int next_ = 0;
  BootTime begun_;
  evloop::Handle asking_ = 0;
};

}  // namespace faraday::controller
