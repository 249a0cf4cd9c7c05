// Calls that wait for something to change. Each waits on one topic ("job-12"); a change of the topic tries its calls
// again, and a call whose time is over is answered with what is there. In the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "evloop/loop.h"
#include "rpc/server.h"

namespace faraday::lab {

inline constexpr Milliseconds kMaxWait{60'000};
// Over all topics (chosen: far above the people and agents of one lab).
inline constexpr size_t kMaxWaitingCalls = 4000;

class LongPolls {
 public:
  // Answers the call and returns true; may return false (not yet) unless `last`.
  using Try = std::function<bool(bool last)>;

  explicit LongPolls(evloop::Loop& loop);
  ~LongPolls();

  // Tries at once; keeps the call for at most `wait` (and not beyond its own deadline) while `attempt` says not yet.
  void Serve(const std::string& topic, const rpc::CallPtr& call, Milliseconds wait, Try attempt);
  // The calls on `topic` are tried again, later in the loop.
  void Wake(const std::string& topic);
  // The same for every topic that begins so.
  void WakeAll(const std::string& prefix);
  size_t waiting() const { return waiting_.size(); }

 private:
  struct Waiter {
    BootTime until;
    Try attempt;
  };
  void TryWoken();
  void EndOverdue();

  evloop::Loop& loop_;
  std::multimap<std::string, Waiter> waiting_;
  std::set<std::string> woken_;
  evloop::Handle wake_timer_ = 0;
  evloop::Handle ticker_ = 0;
};

}  // namespace faraday::lab
