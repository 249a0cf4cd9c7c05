#include "cli/lease_target.h"

#include <fmt/format.h>

namespace faraday::cli {

Result<SlotTarget> FindSlot(Session& session, const std::string& text) {
  SlotTarget target;
  FARADAY_TRY_ASSIGN(target.slot, model::ParseSlotId(text));
  target.name = model::ToString(target.slot);
  FARADAY_TRY_ASSIGN(target.controller, session.ControllerOf(target.slot.rack));
  v1::Request request;
  request.mutable_get_rack()->set_slot(target.name);
  FARADAY_TRY_ASSIGN(v1::Reply reply, session.Call(target.controller, std::move(request)));
  if (reply.get_rack().rack().slots_size() != 1) {
    return Status(Code::kNotFound,
                  fmt::format("there is no slot {}; see faraday status {}", target.name, target.slot.rack));
  }
  target.state = reply.get_rack().rack().slots(0);
  return target;
}

Result<LeaseTarget> FindLease(Session& session, const std::string& text) {
  if (text.find('/') != std::string::npos) {
    FARADAY_TRY_ASSIGN(SlotTarget slot, FindSlot(session, text));
    if (slot.state.allocation() != v1::ALLOCATION_LEASED) {
      return Status(Code::kFailedPrecondition, fmt::format("{} is not leased", slot.name));
    }
    return LeaseTarget{.lease = slot.state.lease().id(), .controller = slot.controller};
  }
  FARADAY_TRY_ASSIGN(model::LeaseId id, model::ParseLeaseId(text));
  FARADAY_TRY_ASSIGN(std::string controller, session.ControllerOf(id.slot.rack));
  return LeaseTarget{.lease = model::ToString(id), .controller = std::move(controller)};
}

}  // namespace faraday::cli
