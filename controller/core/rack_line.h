// The line to one board, as the core sees it: commands out, answers and measurements in.
//
// Implementations: mcu_line/mcu_line.h, and core/fake_line.h. One thread; callbacks come from the loop, never from
// inside Send.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "controller/core/now.h"
#include "link/messages.h"

namespace faraday::controller {

class LineEvents {
 public:
  virtual ~LineEvents() = default;
  // A host term is open. May come again without OnDown between only after a term of the same line ended in OnDown.
  virtual void OnUp(const link::HelloReply& hello, Now now) = 0;
  // No line any more, or not yet: `reason` says why in plain words. The outcome of every command without its answer
  // is unknown; none is resent. May come again with another reason.
  virtual void OnDown(const std::string& reason, Now now) = 0;
  virtual void OnReply(const link::Reply& reply, Now now) = 0;
  virtual void OnEvent(const link::Event& event, Now now) = 0;  // each once
  virtual void OnTelemetry(const link::Telemetry& telemetry, Now now) = 0;
  // Records of the board's log, asked for by ReadLog. Unacknowledged: what does not come is asked for again.
  virtual void OnLogPage(const link::LogPage&, Now) {}
};

struct LineCounters {
  uint32_t frames_bad = 0;
  uint32_t telemetry_gaps = 0;
  uint32_t resends = 0;
};

class RackLine {
 public:
  virtual ~RackLine() = default;
  // Sends in order, executed at most once. The command's id is the caller's and must not be in use.
  // Errors: kUnavailable without an open term, kResourceExhausted when too many wait.
  virtual Status Send(const link::Command& command, Now now) = 0;
  // Writes the stop frame past everything that waits; needs no term and is not acknowledged: telemetry shows whether it
  // arrived. Without an open port nothing happens.
  virtual void SendStop() = 0;
  // The CRC-32 of the message's bytes as they travel, which both sides compare before any output moves; 0 when it
  // does not fit a frame.
  virtual uint32_t ConfigureCrc(const link::Configure& configure) const = 0;
  virtual LineCounters counters() const = 0;
};

}  // namespace faraday::controller
