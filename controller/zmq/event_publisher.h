// The core's events on the XPUB socket: topics slot/<rack>/<n>/ and board/<rack>/<n>/, each with the state after it.
// Also logs the few that an operator's journal should hold.
#pragma once

#include <functional>
#include <string>

#include "controller/core/event_sink.h"
#include "controller/core/rack.h"
#include "rpc/publisher.h"

namespace faraday::controller {

class EventPublisher final : public EventSink {
 public:
  explicit EventPublisher(std::string rack) : rack_(std::move(rack)) {}
  // Events before this are logged only. All must outlive the publisher.
  void Attach(rpc::Publisher& publisher, const Rack& state, std::function<void()> on_sync_change);

  void OnSlot(
      int slot, std::string_view kind, const std::string& text, const std::string& command_id, Now now) override;
  void OnBoard(int board, std::string_view kind, const std::string& text, Now now) override;
  void OnSyncChange() override;

 private:
  std::string rack_;
  rpc::Publisher* publisher_ = nullptr;
  const Rack* state_ = nullptr;
  std::function<void()> on_sync_change_;
};

}  // namespace faraday::controller
