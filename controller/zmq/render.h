// The core's plain structs as faraday.v1 messages, and callers and enums back.
#pragma once

#include "controller/core/agent_calls.h"
#include "controller/core/board_log.h"
#include "controller/core/slot_view.h"
#include "controller/core/switching.h"
#include "faraday/v1/envelope.pb.h"

namespace faraday::controller {

Caller FromWire(const v1::Caller& caller);
v1::Lease ToWire(const LeaseView& view);
v1::SlotState ToWire(const SlotView& view, Now now);
v1::BoardState ToWire(const BoardView& view);
v1::ReadBoardLogResult ToWire(const LogView& view);
v1::SyncResult::Slot ToWire(const SyncSlot& slot, Now now);
AgentReport FromWire(const v1::ReportCall& call, Now now);
// Errors: kInvalidArgument for an unknown action or path.
Result<SwitchAction> FromWire(const v1::PowerCall& call);
Result<SwitchAction> FromWire(const v1::UsbCall& call);

}  // namespace faraday::controller
