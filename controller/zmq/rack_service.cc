#include "controller/zmq/rack_service.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "controller/core/words.h"
#include "controller/zmq/render.h"
#include "model/slot_id.h"

namespace faraday::controller {
namespace {

constexpr Milliseconds kCheckPeriod{1'000};  // what only time changes in a Sync answer (a stale measurement); chosen

v1::Reply SlotReply(const SlotView& view, Now now) {
  v1::Reply reply;
  *reply.mutable_slot()->mutable_slot() = ToWire(view, now);
  return reply;
}

v1::Reply ReplyOf(const Status& status) { return rpc::ErrorReply(status); }

}  // namespace

RackService::RackService(evloop::Loop& loop, Rack& rack, LeaseStore& store, rpc::Publisher& publisher, Options options)
    : loop_(loop),
      rack_(rack),
      store_(store),
      publisher_(publisher),
      options_(std::move(options)),
      once_(store),
      polls_(rack, options_.run) {
  once_.SetRefresh([this](v1::Reply* reply, Now now) { RefreshLease(reply, now); });
}

RackService::~RackService() { loop_.Remove(check_); }

rpc::HandlerTable RackService::Table() {
  using R = v1::Request;
  struct Row {
    R::CallCase call;
    Member member;
  };
  static constexpr Row kRows[] = {
      {R::kGetRack, &RackService::GetRack},
      {R::kAcquire, &RackService::Acquire},
      {R::kRenew, &RackService::Renew},
      {R::kRelease, &RackService::Release},
      {R::kPower, &RackService::Power},
      {R::kShield, &RackService::Shield},
      {R::kUsb, &RackService::Usb},
      {R::kStopSlot, &RackService::StopSlot},
      {R::kClearSlot, &RackService::ClearSlot},
      {R::kStopRack, &RackService::StopRack},
      {R::kResumeRack, &RackService::ResumeRack},
      {R::kBlink, &RackService::Blink},
      {R::kReadBoardLog, &RackService::ReadBoardLog},
      {R::kFitRelay, &RackService::FitRelay},
      {R::kReport, &RackService::Report},
      {R::kSync, &RackService::Sync},
      {R::kSnapshot, &RackService::Snapshot},
      {R::kPing, &RackService::Ping},
  };
  rpc::HandlerTable table;
  for (const Row& row : kRows) {
    table[row.call] = [this, member = row.member](const rpc::CallPtr& call) { (this->*member)(call, Time()); };
  }
  return table;
}

Now RackService::Time() { return {BootClock::now(), UtcNow()}; }

// ---- time ---------------------------------------------------------------------------------------------------------

void RackService::OnSyncChange() {
  if (check_ != 0) return;
  check_ = loop_.AddTimer("sync polls", loop_.now(), [this] {
    check_ = 0;
    polls_.Check(Time());
  });
}

void RackService::Watch(const rpc::CallPtr& call) { watched_.push_back(call); }

void RackService::OnTime(Now now) {
  std::erase_if(watched_, [](const rpc::CallPtr& call) { return call->answered(); });
  for (const rpc::CallPtr& call : watched_) {
    if (now.boot < call->deadline()) continue;
    call->Fail(
        {Code::kDeadlineExceeded, "no answer within the call's time; the outcome is unknown, read the slot again"});
  }
  polls_.AnswerDue(now);
  if (now.boot < next_check_) return;
  next_check_ = now.boot + kCheckPeriod;
  polls_.Check(now);
}

// ---- reading ------------------------------------------------------------------------------------------------------

void RackService::GetRack(const rpc::CallPtr& call, Now now) {
  const std::string& only = call->request().get_rack().slot();
  int wanted = 0;
  if (!only.empty()) {
    const auto slot = rack_.parts().FindSlot(only);
    if (!slot.ok()) return call->Fail(slot.status());
    wanted = *slot;
  }
  v1::Reply reply;
  v1::RackState* state = reply.mutable_get_rack()->mutable_rack();
  state->set_rack(rack_.parts().config.rack);
  state->set_controller_version(options_.version);
  if (options_.tell_more) options_.tell_more(state);
  for (int i = 0; i < rack_.boards(); ++i) *state->add_boards() = ToWire(rack_.views().BoardOf(i));
  for (const auto& slot : rack_.parts().config.slots) {
    if (wanted == 0 || wanted == slot.number) *state->add_slots() = ToWire(rack_.views().Of(slot.number, now), now);
  }
  call->Answer(std::move(reply));
}

void RackService::Snapshot(const rpc::CallPtr& call, Now) {
  v1::Reply reply;
  *reply.mutable_snapshot() = publisher_.Snapshot();
  reply.mutable_snapshot()->set_events_endpoint(publisher_.endpoint());
  call->Answer(std::move(reply));
}

void RackService::Ping(const rpc::CallPtr& call, Now now) {
  const v1::PingCall& ping = call->request().ping();
  v1::Reply reply;
  reply.mutable_ping();
  if (!ping.through_mcu()) return call->Answer(std::move(reply));
  Watch(call);
  // The loop's clock counts milliseconds; a round trip is shorter.
  const auto begun = std::chrono::steady_clock::now();
  rack_.Ping(
      static_cast<int>(std::min<uint32_t>(ping.board(), INT32_MAX)),
      [call, begun](const Result<bool>& done, Now) {
        if (!done.ok()) return call->Fail(done.status());
        const auto took = std::chrono::steady_clock::now() - begun;
        v1::Reply answer;
        answer.mutable_ping()->set_mcu_round_trip_us(
            static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
        call->Answer(std::move(answer));
      },
      now);
}

// ---- leases -------------------------------------------------------------------------------------------------------

CallContext RackService::ContextOf(const rpc::CallPtr& call, std::function<v1::Reply(const Tenure&)> reply_of) const {
  CallContext context{FromWire(call->caller()), call->request().trace_id(), {}};
  // Goes straight into the call's facts for the audit.
  context.commands = {call, &call->audit().mcu_commands};
  if (!reply_of) return context;
  context.once = OnceCalls::Key(call->request());
  context.once.reply = [reply_of = std::move(reply_of)](const Tenure& held) {
    return reply_of(held).SerializeAsString();
  };
  return context;
}

v1::Reply RackService::AcquireReply(const LeaseView& lease) const {
  v1::Reply reply;
  *reply.mutable_acquire()->mutable_lease() = ToWire(lease);
  reply.mutable_acquire()->set_controller(endpoint_);
  return reply;
}

// A stored lease's time has gone on; what is left is said anew, 0 when it is over.
void RackService::RefreshLease(v1::Reply* reply, Now now) const {
  v1::Lease* lease = reply->has_acquire() ? reply->mutable_acquire()->mutable_lease()
                     : reply->has_renew() ? reply->mutable_renew()->mutable_lease()
                                          : nullptr;
  if (lease == nullptr) return;
  lease->set_left_ms(0);
  const auto slot = rack_.parts().FindSlot(lease->slot());
  if (!slot.ok() || rack_.parts().book.at(*slot).epoch != lease->epoch()) return;
  lease->set_left_ms(static_cast<uint32_t>(rack_.parts().book.LeftOf(*slot, now).count()));
}

void RackService::TellHolder(const std::string& name, std::string* text, Now now) const {
  const auto lease = model::ParseLeaseId(name);
  const auto slot = rack_.parts().FindSlot(lease.ok() ? model::ToString(lease->slot) : name);
  if (!slot.ok()) return;
  const LeaseBook& book = rack_.parts().book;
  *text = HolderText(book.at(*slot), book.LeftOf(*slot, now), now);
}

void RackService::Acquire(const rpc::CallPtr& call, Now now) {
  if (!once_.Begin(call, now)) return;
  Watch(call);
  const v1::AcquireCall& wire = call->request().acquire();
  TellHolder(wire.slot(), &call->audit().before, now);
  AcquireRequest request{wire.slot(),
                         static_cast<Purpose>(wire.purpose()),
                         Milliseconds(wire.duration_ms()),
                         {},
                         wire.agent(),
                         wire.reservation(),
                         wire.note()};
  if (wire.has_on_behalf_of()) request.on_behalf_of = FromWire(wire.on_behalf_of());
  const auto reply_of = [this](const Tenure& held) {
    return AcquireReply(rack_.views().LeaseOf(held, held.end.granted, Time()));
  };
  rack_.grants().Acquire(
      ContextOf(call, reply_of),
      request,
      [this, call](const Result<LeaseView>& lease, Now at) {
        TellHolder(call->request().acquire().slot(), &call->audit().after, at);
        once_.Answer(call, lease.ok() ? AcquireReply(*lease) : ReplyOf(lease.status()));
      },
      now);
}

void RackService::Renew(const rpc::CallPtr& call, Now now) {
  if (!once_.Begin(call, now)) return;
  const auto render = [](const LeaseView& lease) {
    v1::Reply reply;
    *reply.mutable_renew()->mutable_lease() = ToWire(lease);
    return reply;
  };
  const auto reply_of = [this, render](const Tenure& held) {
    return render(rack_.views().LeaseOf(held, held.end.granted, Time()));
  };
  const v1::RenewCall& wire = call->request().renew();
  TellHolder(wire.lease(), &call->audit().before, now);
  const auto lease =
      rack_.grants().Renew(ContextOf(call, reply_of), wire.lease(), Milliseconds(wire.duration_ms()), now);
  TellHolder(wire.lease(), &call->audit().after, now);
  once_.Answer(call, lease.ok() ? render(*lease) : ReplyOf(lease.status()));
}

void RackService::Release(const rpc::CallPtr& call, Now now) {
  if (!once_.Begin(call, now)) return;
  const auto render = [](const LeaseView& lease) {
    v1::Reply reply;
    *reply.mutable_release()->mutable_lease() = ToWire(lease);
    return reply;
  };
  const auto reply_of = [this, render](const Tenure& held) {
    return render(rack_.views().LeaseOf(held, Milliseconds(0), Time()));
  };
  const v1::ReleaseCall& wire = call->request().release();
  TellHolder(wire.lease(), &call->audit().before, now);
  const auto lease =
      rack_.grants().Release(ContextOf(call, reply_of), {wire.lease(), wire.force(), wire.reason()}, now);
  TellHolder(wire.lease(), &call->audit().after, now);
  once_.Answer(call, lease.ok() ? render(*lease) : ReplyOf(lease.status()));
}

// ---- hardware -----------------------------------------------------------------------------------------------------

void RackService::Measure(const std::string& name, std::string* text, Now now) const {
  const auto slot = rack_.parts().FindSlot(name);
  if (!slot.ok()) return;
  const SlotView view = rack_.views().Of(*slot, now);
  const Measured& measured = view.measured;
  *text = view.fresh ? MeasuredText(measured.vbus_mv, measured.vbus_ma, measured.bits) : "not measured";
}

Answer<SlotView> RackService::SlotAnswer(const rpc::CallPtr& call, const std::string& slot) {
  Watch(call);
  Measure(slot, &call->audit().before, Time());
  return [this, call, slot](const Result<SlotView>& view, Now now) {
    Measure(slot, &call->audit().after, now);
    if (!view.ok()) return call->Fail(view.status());
    call->Answer(SlotReply(*view, now));
  };
}

void RackService::Switch(const rpc::CallPtr& call, SwitchRequest request, Now now) {
  rack_.switching().Switch(ContextOf(call, nullptr), request, SlotAnswer(call, request.slot), now);
}

// Not a level: with a key it acts once. "Outcome unknown" is stored before it begins, so that a controller killed in
// mid command answers a repetition honestly instead of cycling again.
void RackService::Cycle(const rpc::CallPtr& call, SwitchRequest request, Now now) {
  if (!once_.Begin(call, now)) return;
  Watch(call);
  const OnceKey key = OnceCalls::Key(call->request());
  const auto store = [this, key](const v1::Reply& reply) {
    if (key.key.empty()) return OkStatus();
    return store_.Commit(
        {{}, OnceRecord{key.user, key.key, key.request_hash, reply.SerializeAsString(), Time().utc}, {}});
  };
  const Status begun = store(ReplyOf({Code::kUnknown,
                                      request.slot + ": power cycle: outcome unknown: the controller ended "
                                                     "before it did; read the slot again before repeating"}));
  if (!begun.ok()) return once_.Answer(call, ReplyOf(begun));
  request.acted = std::make_shared<bool>(false);
  Measure(request.slot, &call->audit().before, now);
  rack_.switching().Switch(
      ContextOf(call, nullptr),
      request,
      [this, call, key, store, slot = request.slot, acted = request.acted](const Result<SlotView>& view, Now at) {
        Measure(slot, &call->audit().after, at);
        v1::Reply reply = view.ok() ? SlotReply(*view, at) : ReplyOf(view.status());
        // A refusal switched nothing: the same key may try again.
        const Status kept = *acted ? store(reply)
                            : key.key.empty()
                                ? OkStatus()
                                : store_.Commit({{}, {}, {}, OnceRecord{key.user, key.key, "", "", at.utc}});
        if (!kept.ok()) log::Error("power cycle's reply not kept: {}", kept.message());
        once_.Answer(call, std::move(reply));
      },
      now);
}

void RackService::Power(const rpc::CallPtr& call, Now now) {
  const v1::PowerCall& wire = call->request().power();
  const auto action = FromWire(wire);
  if (!action.ok()) return call->Fail(action.status());
  SwitchRequest request{wire.slot(), wire.epoch(), *action, wire.reason()};
  if (std::holds_alternative<VbusCycle>(*action)) return Cycle(call, std::move(request), now);
  Switch(call, std::move(request), now);
}

void RackService::Shield(const rpc::CallPtr& call, Now now) {
  const v1::ShieldCall& wire = call->request().shield();
  Switch(call, {wire.slot(), wire.epoch(), ShieldLevel{wire.couple()}, wire.reason()}, now);
}

void RackService::Usb(const rpc::CallPtr& call, Now now) {
  const v1::UsbCall& wire = call->request().usb();
  const auto action = FromWire(wire);
  if (!action.ok()) return call->Fail(action.status());
  Switch(call, {wire.slot(), wire.epoch(), *action, wire.reason()}, now);
}

void RackService::StopSlot(const rpc::CallPtr& call, Now now) {
  const v1::StopSlotCall& wire = call->request().stop_slot();
  rack_.switching().Stop(ContextOf(call, nullptr), wire.slot(), wire.reason(), SlotAnswer(call, wire.slot()), now);
}

void RackService::ClearSlot(const rpc::CallPtr& call, Now now) {
  const v1::ClearSlotCall& wire = call->request().clear_slot();
  rack_.switching().Clear(ContextOf(call, nullptr), wire.slot(), wire.reason(), SlotAnswer(call, wire.slot()), now);
}

// ---- agents -------------------------------------------------------------------------------------------------------

void RackService::Report(const rpc::CallPtr& call, Now now) {
  const Status status =
      rack_.agent_calls().Report(FromWire(call->caller()), FromWire(call->request().report(), now), now);
  if (!status.ok()) return call->Fail(status);
  v1::Reply reply;
  reply.mutable_report();
  call->Answer(std::move(reply));
}

void RackService::Sync(const rpc::CallPtr& call, Now now) {
  const v1::SyncCall& sync = call->request().sync();
  const Status status = rack_.agent_calls().BeginSync(FromWire(call->caller()), sync.agent(), sync.host(), now);
  if (!status.ok()) return call->Fail(status);
  polls_.Take(call, now);
}

}  // namespace faraday::controller
