#include "controller/zmq/event_publisher.h"

#include <fmt/core.h>

#include "base/log.h"
#include "controller/zmq/render.h"

namespace faraday::controller {

void EventPublisher::Attach(rpc::Publisher& publisher, const Rack& state, std::function<void()> on_sync_change) {
  publisher_ = &publisher;
  state_ = &state;
  on_sync_change_ = std::move(on_sync_change);
}

void EventPublisher::OnSlot(
    int slot, std::string_view kind, const std::string& text, const std::string& command_id, Now now) {
  // Measurements and facts are news to subscribers, not to the journal.
  if (kind != "slot.measured" && kind != "phone.facts" && kind != "care.rests") {
    log::Info("{}/{:02}: {}: {}", rack_, slot, kind, text);
  }
  if (publisher_ == nullptr) return;
  v1::Event event;
  event.set_kind(std::string(kind));
  event.set_text(text);
  event.set_command_id(command_id);
  *event.mutable_slot() = ToWire(state_->views().Of(slot, now), now);
  publisher_->Publish(fmt::format("slot/{}/{:02}/", rack_, slot), std::move(event));
}

void EventPublisher::OnBoard(int board, std::string_view kind, const std::string& text, Now) {
  log::Info("{}: {}", kind, text);
  if (publisher_ == nullptr) return;
  v1::Event event;
  event.set_kind(std::string(kind));
  event.set_text(text);
  *event.mutable_board() = ToWire(state_->views().BoardOf(board));
  publisher_->Publish(fmt::format("board/{}/{}/", rack_, board), std::move(event));
}

void EventPublisher::OnSyncChange() {
  if (on_sync_change_) on_sync_change_();
}

}  // namespace faraday::controller
