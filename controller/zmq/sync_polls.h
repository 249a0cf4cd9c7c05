// The agents' long polls: parked until something in the host's list changes, at most 10 s. The version counts changes
// of the list other than the passing of time. Loop's thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "controller/core/rack.h"
#include "rpc/server.h"

namespace faraday::controller {

inline constexpr Milliseconds kLongPoll{10'000};   // envelope.proto
inline constexpr Milliseconds kAnswerMargin{500};  // an answer leaves that long before the caller gives up; chosen

class SyncPolls {
 public:
  // `run` differs from run to run, so that a version of an earlier one never matches.
  SyncPolls(const Rack& rack, std::string run) : rack_(rack), run_(std::move(run)) {}

  // Answers now, or parks the call. A newer poll of the same host sends the older one home.
  // REQUIRES: AgentCalls::BeginSync was OK.
  void Take(const rpc::CallPtr& call, Now now);
  // Something may have changed, or time has passed.
  void Check(Now now);
  // Answers polls whose time is up with the list as last built.
  void AnswerDue(Now now);

 private:
  struct Host {
    uint64_t count = 0;
    std::vector<SyncSlot> slots;
    rpc::CallPtr parked;
    BootTime until;
  };
  // Builds the list anew, counts a change.
  void Refresh(const std::string& name, Host* host, Now now);
  std::string VersionOf(const Host& host) const;
  void Answer(Host* host, Now now);

  const Rack& rack_;
  std::string run_;
  std::map<std::string, Host> hosts_;
};

}  // namespace faraday::controller
