// Where the core's events go. Implementations: zmq/event_publisher.h, and a recorder in the tests.
#pragma once

#include <string>
#include <string_view>

#include "controller/core/now.h"

namespace faraday::controller {

class EventSink {
 public:
  virtual ~EventSink() = default;
  // Called after the state changed. `command_id` is the trace id of the call that caused it, or empty.
  virtual void OnSlot(
      int slot, std::string_view kind, const std::string& text, const std::string& command_id, Now now) = 0;
  virtual void OnBoard(int board, std::string_view kind, const std::string& text, Now now) = 0;
  // Something in an agent's Sync answer may have changed.
  virtual void OnSyncChange() = 0;
};

}  // namespace faraday::controller
