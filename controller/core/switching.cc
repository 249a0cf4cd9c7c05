#include "controller/core/switching.h"

#include <fmt/core.h>

#include <memory>
#include <utility>

#include "controller/core/rights.h"
#include "controller/core/words.h"

namespace faraday::controller {
namespace {

constexpr Milliseconds kCycleOff{2'000};       // envelope.proto
constexpr Milliseconds kCycleOffMax{600'000};  // link.proto

template <typename... F>
struct Overload : F... {
  using F::operator()...;
};
template <typename... F>
Overload(F...) -> Overload<F...>;

std::string ActionText(const SwitchAction& action) {
  return std::visit(
      Overload{[](const VbusLevel& a) -> std::string { return a.on ? "power on" : "power off"; },
               [](const VbusCycle&) -> std::string { return "power cycle"; },
               [](const ShieldLevel& a) -> std::string { return a.couple ? "shield couple" : "shield isolate"; },
               [](const DataLevel& a) -> std::string {
                 if (a.path == link::DataPath::kHost) return "usb connect";
                 return a.path == link::DataPath::kCharge ? "usb charge" : "usb open";
               }},
      action);
}

// The board said no before anything moved.
bool Refused(const Outcome& outcome) {
  const link::Verdict verdict = outcome.reply.verdict;
  return !outcome.unknown && verdict != link::Verdict::kOk && verdict != link::Verdict::kAccepted &&
         outcome.status.code() != Code::kInternal;
}

std::string_view ActionKind(const SwitchAction& action) {
  return std::visit(Overload{[](const VbusLevel& a) { return a.on ? "vbus.on" : "vbus.off"; },
                             [](const VbusCycle&) { return "vbus.cycled"; },
                             [](const ShieldLevel& a) { return a.couple ? "shield.coupled" : "shield.isolated"; },
                             [](const DataLevel& a) {
                               if (a.path == link::DataPath::kHost) return "data.connected";
                               return a.path == link::DataPath::kCharge ? "data.charge" : "data.open";
                             }},
                    action);
}

// Takes something away from the phone.
bool Takes(const SwitchAction& action) {
  return std::visit(Overload{[](const VbusLevel& a) { return !a.on; },
                             [](const VbusCycle&) { return false; },
                             [](const ShieldLevel& a) { return !a.couple; },
                             [](const DataLevel& a) { return a.path != link::DataPath::kHost; }},
                    action);
}

bool IsStopped(const Measured& measured) {
  const link::SlotBits& bits = measured.bits;
  return bits.vbus_measured_off && bits.data_measured == link::DataPath::kOpen &&
         bits.relay_sense == link::RelaySense::kIsolated;
}

access::Call CallOf(const SwitchAction& action) {
  return std::visit(Overload{[](const VbusLevel&) { return access::Call::kPower; },
                             [](const VbusCycle&) { return access::Call::kPower; },
                             [](const ShieldLevel&) { return access::Call::kShield; },
                             [](const DataLevel&) { return access::Call::kUsb; }},
                    action);
}

std::string MeasuredNow(const Measured& measured) {
  return MeasuredText(measured.vbus_mv, measured.vbus_ma, measured.bits);
}

}  // namespace

Status Switching::Audit(const CallContext& context, const char* call, int slot, const std::string& text, Now now) {
  return parts_.book.Note({now.utc, context.caller.user, std::string(RoleName(context.caller.role)), call, slot, text});
}

// ---- fenced calls -------------------------------------------------------------------------------------------------

Status Switching::CheckFence(const CallContext& context, const SwitchRequest& request, int slot, Now now) const {
  const Tenure& tenure = parts_.book.at(slot);
  const std::string name = parts_.NameOf(slot);
  const bool over = grants_.IsOver(slot, now);
  const std::string about =
      fmt::format("{} is {}", name, over ? "not leased: the lease has run out" : parts_.HeldTextOf(slot, now));
  const Ownership ownership = over ? Ownership::kOther : OwnershipOf(context.caller, tenure);
  const access::Call call = CallOf(request.action);
  const bool could_hold =
      RightOf(call, context.caller.role, Ownership::kHolder) != Right::kDenied || context.caller.role == Role::kAgent;
  if (could_hold && request.epoch != 0 && request.epoch != tenure.epoch) {
    return {Code::kAborted,
            fmt::format("{}: epoch {} is not current ({} is); {}", name, request.epoch, tenure.epoch, about)};
  }
  const bool by_crew = RightOf(call, context.caller.role, Ownership::kOther) == Right::kWithReason;
  if (could_hold && !by_crew && tenure.phase != Phase::kLeased) {
    return {Code::kFailedPrecondition, about + ": reserve it first"};
  }
  FARADAY_TRY(CheckRight(call, context.caller, ownership, request.reason, about));
  if (request.epoch != 0 || (by_crew && !request.reason.empty())) return OkStatus();
  return {Code::kInvalidArgument, fmt::format("{}: epoch is missing; give the lease's (now {})", name, tenure.epoch)};
}

Result<decltype(link::Command::call)> Switching::CommandFor(const SwitchRequest& request, int slot) const {
  using Call = decltype(link::Command::call);
  const uint32_t board_slot = parts_.BoardSlotOf(slot);
  const uint32_t epoch = parts_.book.at(slot).epoch;
  const std::string name = parts_.NameOf(slot);
  return std::visit(Overload{[&](const VbusLevel& a) -> Result<Call> {
                               return Call(link::SetVbus{board_slot, epoch, a.on});
                             },
                             [&](const VbusCycle& a) -> Result<Call> {
                               const Milliseconds off = a.off.count() == 0 ? kCycleOff : a.off;
                               const Milliseconds least(parts_.config.min_off_ms);
                               if (off >= least && off <= kCycleOffMax) {
                                 return Call(link::CycleVbus{board_slot, epoch, static_cast<uint32_t>(off.count())});
                               }
                               return Status{Code::kInvalidArgument,
                                             fmt::format("{}: power cycle: off_ms {} is outside {} to {} ms",
                                                         name,
                                                         off.count(),
                                                         least.count(),
                                                         kCycleOffMax.count())};
                             },
                             [&](const ShieldLevel& a) -> Result<Call> {
                               return Call(link::SetShield{board_slot, epoch, a.couple});
                             },
                             [&](const DataLevel& a) -> Result<Call> {
                               if (a.path != link::DataPath::kHost)
                                 return Call(link::SetData{board_slot, epoch, a.path, 0});
                               const auto& hosts = parts_.SlotOf(slot).hosts;
                               std::string known;
                               for (uint32_t i = 0; i < hosts.size(); ++i) {
                                 if (a.host.empty() || hosts[i].host == a.host) {
                                   return Call(link::SetData{board_slot, epoch, link::DataPath::kHost, i});
                                 }
                                 known += (known.empty() ? "" : ", ") + hosts[i].host;
                               }
                               return Status{Code::kInvalidArgument,
                                             fmt::format("{}: no host {} on its data path; it has: {}",
                                                         name,
                                                         a.host.empty() ? "at all" : a.host,
                                                         known.empty() ? "none" : known)};
                             }},
                    request.action);
}

void Switching::Switch(const CallContext& context, const SwitchRequest& request, Answer<SlotView> answer, Now now) {
  const auto found = parts_.FindSlot(request.slot);
  if (!found.ok()) return answer(found.status(), now);
  const int slot = *found;
  grants_.ExpireDue(now);
  if (const Status fence = CheckFence(context, request, slot, now); !fence.ok()) return answer(fence, now);
  const auto command = CommandFor(request, slot);
  if (!command.ok()) return answer(command.status(), now);
  const std::string text = ActionText(request.action);
  if (OwnershipOf(context.caller, parts_.book.at(slot)) == Ownership::kOther) {
    const Status noted = Audit(context, "switch", slot, text + ": " + request.reason, now);
    if (!noted.ok()) return answer(noted, now);
  }
  if (!IsUsers(parts_.book.at(slot))) care_.Drop(slot);
  // Before it is sent: a crash before the answer must not give back what is being taken.
  if (Takes(request.action) && parts_.BoardOf(slot).ready()) silence_.Forget(slot, now);
  const std::string kind(ActionKind(request.action));
  const uint32_t epoch = parts_.book.at(slot).epoch;
  const Status sent = parts_.BoardOf(slot).Send(
      *command,
      parts_.NameOf(slot) + ": " + text,
      [this, slot, text, kind, acted = request.acted, trace = context.trace, answer, epoch](const Outcome& outcome,
                                                                                            Now at) {
        if (acted) *acted = !Refused(outcome);
        if (outcome.unknown) {
          silence_.Forget(slot, at);  // perhaps it went off: nothing is given back by guess
          return AnswerUnknown(slot, outcome.status, answer, at);
        }
        if (!Refused(outcome)) silence_.Learn(slot, epoch, at);
        parts_.events.OnSlot(slot,
                             outcome.status.ok() ? kind : "switch.failed",
                             outcome.status.ok() ? fmt::format("{}: {}", text, MeasuredNow(parts_.MeasuredOf(slot)))
                                                 : outcome.status.message(),
                             trace,
                             at);
        parts_.events.OnSyncChange();
        if (!outcome.status.ok()) return answer(outcome.status, at);
        answer(views_.Of(slot, at), at);
      },
      now);
  if (!sent.ok()) return answer(sent, now);
  context.Sent(parts_.BoardOf(slot));
}

void Switching::AnswerUnknown(int slot, const Status& status, Answer<SlotView> answer, Now now) {
  auto finish = [this, slot, status, answer = std::move(answer)](bool measured, Now at) {
    const std::string seen = measured ? "measured since: " + MeasuredNow(parts_.MeasuredOf(slot))
                                      : "nothing measured since; read the slot again before repeating";
    answer(Status{Code::kUnknown, status.message() + "; " + seen}, at);
  };
  waiting_.push_back({slot, now.boot + kFreshAfterLoss, [](const Measured&) { return true; }, std::move(finish)});
}

// ---- stop and clear -----------------------------------------------------------------------------------------------

void Switching::Stop(
    const CallContext& context, const std::string& name, const std::string& reason, Answer<SlotView> answer, Now now) {
  const auto found = parts_.FindSlot(name);
  if (!found.ok()) return answer(found.status(), now);
  const int slot = *found;
  const Status right =
      CheckRight(access::Call::kStopSlot, context.caller, Ownership::kOther, reason, parts_.NameOf(slot));
  if (!right.ok()) return answer(right, now);
  care_.Drop(slot);
  const auto stored = std::make_shared<Status>();
  Answer<SlotView> both = [this, slot, stored, answer](Result<SlotView> view, Now at) {
    if (!view.ok() || stored->ok()) return answer(std::move(view), at);
    answer(Status{stored->code(),
                  fmt::format("{}: the hardware has stopped, but the stop is not stored: {}; stop it again",
                              parts_.NameOf(slot),
                              stored->message())},
           at);
  };
  // The safe direction waits for nothing, the store included.
  const Status sent = parts_.BoardOf(slot).Send(
      link::StopSlot{parts_.BoardSlotOf(slot)},
      parts_.NameOf(slot) + ": stop",
      [this, slot, both = std::move(both)](const Outcome& outcome, Now at) {
        if (outcome.unknown) return AnswerUnknown(slot, outcome.status, both, at);
        if (!outcome.status.ok()) return both(outcome.status, at);
        AwaitStopped(slot, both, at);
      },
      now);
  if (sent.ok()) context.Sent(parts_.BoardOf(slot));
  const std::string why = fmt::format("stopped by {}: {}", context.caller.user, reason);
  const AuditLine line{
      now.utc, context.caller.user, std::string(RoleName(context.caller.role)), "stop_slot", slot, why};
  *stored =
      parts_.book.SetHealth(slot, Health::kMaintenance, why + "; a tech ends it with: faraday slot clear", line, now);
  if (stored->ok() && parts_.book.at(slot).phase == Phase::kLeased)
    *stored = grants_.End(slot, context, "stop_slot", why, now);
  parts_.events.OnSlot(slot, "slot.stopped", why, context.trace, now);
  if (!sent.ok()) answer(sent, now);
}

void Switching::AwaitStopped(int slot, Answer<SlotView> answer, Now now) {
  auto finish = [this, slot, answer = std::move(answer)](bool stopped, Now at) {
    if (stopped) return answer(views_.Of(slot, at), at);
    answer(Status{Code::kFailedPrecondition,
                  fmt::format("{}: stop: read-back-mismatch: the hardware does not follow; measured: {}",
                              parts_.NameOf(slot),
                              MeasuredNow(parts_.MeasuredOf(slot)))},
           at);
  };
  waiting_.push_back({slot, now.boot + kReadBack, IsStopped, std::move(finish)});
}

void Switching::Clear(
    const CallContext& context, const std::string& name, const std::string& reason, Answer<SlotView> answer, Now now) {
  const auto found = parts_.FindSlot(name);
  if (!found.ok()) return answer(found.status(), now);
  const int slot = *found;
  const Status right =
      CheckRight(access::Call::kClearSlot, context.caller, Ownership::kOther, reason, parts_.NameOf(slot));
  if (!right.ok()) return answer(right, now);
  if (const Status may = MayClear(slot, now); !may.ok()) return answer(may, now);
  const Status sent = parts_.BoardOf(slot).Send(
      link::ClearTrip{parts_.BoardSlotOf(slot)},
      parts_.NameOf(slot) + ": clear",
      [this, slot, context, reason, answer](const Outcome& outcome, Now at) {
        if (outcome.unknown) return AnswerUnknown(slot, outcome.status, answer, at);
        if (!outcome.status.ok()) return answer(outcome.status, at);
        AwaitClear(context, slot, reason, answer, at);
      },
      now);
  if (!sent.ok()) return answer(sent, now);
  context.Sent(parts_.BoardOf(slot));
}

Status Switching::StillWrong(int slot, Now now) const {
  const std::string name = parts_.NameOf(slot);
  for (const ConditionView& condition : conditions_.OfSlot(slot)) {
    if (!condition.trip && !condition.quarantines) continue;
    return {Code::kFailedPrecondition,
            fmt::format("{}: clear: not cleared, still {}", name, Sentence(condition, now.utc))};
  }
  return OkStatus();
}

Status Switching::MayClear(int slot, Now now) const {
  // One slot's clear does not end the stop of all.
  const bool stopped = (parts_.BoardOf(slot).telemetry().faults & link::kFaultStopped) != 0;
  if (stopped || parts_.book.stop()) {
    return {Code::kFailedPrecondition,
            fmt::format("{}: clear: the whole rack is stopped and nothing on it can be switched on; end that first: "
                        "faraday rack resume {}",
                        parts_.NameOf(slot),
                        parts_.config.rack)};
  }
  // A trip is the board's to clear, which judges its cause itself.
  const Measured& measured = parts_.MeasuredOf(slot);
  const bool fresh = measured.ever && now.boot - measured.at <= kFresh;
  return fresh && !measured.bits.tripped ? StillWrong(slot, now) : OkStatus();
}

void Switching::AwaitClear(
    const CallContext& context, int slot, const std::string& reason, Answer<SlotView> answer, Now now) {
  auto finish = [this, context, slot, reason, answer = std::move(answer)](bool, Now at) {
    if (const Status wrong = StillWrong(slot, at); !wrong.ok()) return answer(wrong, at);
    const AuditLine line{
        at.utc, context.caller.user, std::string(RoleName(context.caller.role)), "clear_slot", slot, reason};
    if (const Status stored = parts_.book.SetHealth(slot, Health::kGood, "", line, at); !stored.ok()) {
      return answer(stored, at);
    }
    if (parts_.book.at(slot).phase == Phase::kCare) care_.Due(slot);
    // A stopped slot was kept dark; now care may take it to its safe state.
    if (!IsUsers(parts_.book.at(slot))) (void)parts_.BoardOf(slot).Give(grants_.LeaseFor(slot, true, at), nullptr, at);
    parts_.events.OnSlot(
        slot, "slot.cleared", fmt::format("cleared by {}: {}", context.caller.user, reason), context.trace, at);
    parts_.events.OnSyncChange();
    answer(views_.Of(slot, at), at);
  };
  const auto good = [this, slot](const Measured& measured) {
    return !measured.bits.tripped && conditions_.Quarantining(slot).empty();
  };
  waiting_.push_back({slot, now.boot + kReadBack, good, std::move(finish)});
}

// ---- answers that wait for a measurement --------------------------------------------------------------------------

void Switching::Finish(const std::function<bool(const Waiting&, bool*)>& due, Now now) {
  std::vector<std::pair<Waiting, bool>> ended;
  for (size_t i = 0; i < waiting_.size();) {
    bool enough = false;
    if (!due(waiting_[i], &enough)) {
      ++i;
      continue;
    }
    ended.emplace_back(std::move(waiting_[i]), enough);
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  for (auto& [waiting, enough] : ended) waiting.finish(enough, now);
}

void Switching::OnMeasured(int board, Now now) {
  Finish(
      [&](const Waiting& waiting, bool* enough) {
        if (parts_.SlotOf(waiting.slot).board != board) return false;
        *enough = waiting.enough(parts_.MeasuredOf(waiting.slot));
        return *enough;
      },
      now);
}

void Switching::OnTime(Now now) {
  Finish([&](const Waiting& waiting, bool*) { return now.boot >= waiting.give_up; }, now);
}

}  // namespace faraday::controller
