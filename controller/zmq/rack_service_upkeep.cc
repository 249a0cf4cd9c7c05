// The calls that are of the whole rack, and those of upkeep: stop, resume, blink, the boards' logs, a new relay.
#include <fmt/core.h>

#include "controller/core/blink.h"
#include "controller/zmq/rack_service.h"
#include "controller/zmq/render.h"

namespace faraday::controller {
namespace {

std::string OutcomeText(const RackOutcome& outcome) {
  return fmt::format("{} slots measured off, {} not", outcome.slots_off, outcome.slots_on);
}

}  // namespace

Answer<RackOutcome> RackService::RackAnswer(const rpc::CallPtr& call) {
  Watch(call);
  return [this, call](const Result<RackOutcome>& outcome, Now) {
    if (!outcome.ok()) return call->Fail(outcome.status());
    call->audit().after = OutcomeText(*outcome);
    v1::Reply reply;
    v1::RackStopResult* result = reply.mutable_rack_stop();
    for (int i = 0; i < rack_.boards(); ++i) *result->add_boards() = ToWire(rack_.views().BoardOf(i));
    result->set_slots_off(outcome->slots_off);
    result->set_slots_on(outcome->slots_on);
    call->Answer(std::move(reply));
  };
}

void RackService::StopRack(const rpc::CallPtr& call, Now now) {
  rack_.rack_stop().Stop(ContextOf(call, nullptr), call->request().stop_rack().reason(), RackAnswer(call), now);
}

void RackService::ResumeRack(const rpc::CallPtr& call, Now now) {
  rack_.rack_stop().Resume(ContextOf(call, nullptr), call->request().resume_rack().reason(), RackAnswer(call), now);
}

void RackService::Blink(const rpc::CallPtr& call, Now now) {
  Watch(call);
  const v1::BlinkCall& wire = call->request().blink();
  controller::Blink(
      rack_.parts(),
      ContextOf(call, nullptr),
      wire.slot(),
      Milliseconds(wire.duration_ms()),
      [call](const Result<Milliseconds>& left, Now) {
        if (!left.ok()) return call->Fail(left.status());
        v1::Reply reply;
        reply.mutable_blink()->set_duration_ms(static_cast<uint32_t>(left->count()));
        call->Answer(std::move(reply));
      },
      now);
}

void RackService::ReadBoardLog(const rpc::CallPtr& call, Now now) {
  Watch(call);
  const v1::ReadBoardLogCall& wire = call->request().read_board_log();
  rack_.ReadBoardLog(
      ContextOf(call, nullptr),
      static_cast<int>(std::min<uint32_t>(wire.board(), INT32_MAX)),
      wire.before(),
      wire.limit(),
      [call](const Result<LogView>& view, Now) {
        if (!view.ok()) return call->Fail(view.status());
        v1::Reply reply;
        *reply.mutable_read_board_log() = ToWire(*view);
        call->Answer(std::move(reply));
      },
      now);
}

void RackService::FitRelay(const rpc::CallPtr& call, Now now) {
  const v1::FitRelayCall& wire = call->request().fit_relay();
  const Answer<SlotView> answer = SlotAnswer(call, wire.slot());
  rack_.relay_wear().Fit(
      ContextOf(call, nullptr),
      wire.slot(),
      wire.moves(),
      wire.reason(),
      [this, answer](const Result<int>& slot, Now at) {
        if (!slot.ok()) return answer(slot.status(), at);
        answer(rack_.views().Of(*slot, at), at);
      },
      now);
}

}  // namespace faraday::controller
