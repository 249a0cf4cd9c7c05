// `faraday power`, `shield`, `usb`, `slot`: switch one slot, answer with what is measured.
#include <fmt/format.h>

#include "cli/lease_target.h"
#include "cli/session.h"
#include "cli/slot_text.h"
#include "cli/verbs.h"
#include "rackconfig/yaml_reader.h"

namespace faraday::cli {
namespace {

// A tech or admin who gives a reason acts without a lease. Without a wished role the server takes the one that may.
bool ActsWithoutLease(const Session& session, const std::string& reason) {
  const std::string& role = session.role();
  return !reason.empty() && (role.empty() || role == "tech" || role == "admin");
}

int Send(Session& session, const std::string& controller, v1::Request request, Milliseconds timeout) {
  const auto reply = session.Call(controller, std::move(request), timeout);
  if (!reply.ok()) return session.Fail(reply.status());
  if (session.json()) {
    session.Json(reply->slot().slot());
  } else {
    session.Out(RenderMeasured(reply->slot().slot()));
  }
  return kExitOk;
}

// Fills slot, epoch and reason into `call`, a member of `request`, and sends it.
template <typename Call>
int Switch(Session& session, const Invocation& invocation, v1::Request* request, Call* call, Milliseconds extra) {
  const auto target = FindSlot(session, invocation.Get("slot"));
  if (!target.ok()) return session.Fail(target.status());
  const std::string reason = invocation.Get("reason");
  const bool without_lease = ActsWithoutLease(session, reason) && target->state.lease().holder() != session.user();
  call->set_slot(target->name);
  call->set_epoch(without_lease ? 0 : target->state.lease().epoch());
  call->set_reason(reason);
  return Send(session, target->controller, std::move(*request), Milliseconds(10'000) + extra);
}

std::function<int(Session&, const Invocation&)> Power(v1::PowerCall::Action action) {
  return [action](Session& session, const Invocation& invocation) {
    const auto off = invocation.DurationMs("off-for", 2000, 500, 600'000);
    if (!off.ok()) return session.Fail(off.status());
    v1::Request request;
    v1::PowerCall* call = request.mutable_power();
    call->set_action(action);
    const bool cycle = action == v1::PowerCall::ACTION_CYCLE;
    if (cycle) {
      call->set_off_ms(static_cast<uint32_t>(*off));
      request.set_idempotency_key(Session::NewKey());
    }
    return Switch(session, invocation, &request, call, Milliseconds(cycle ? *off : 0));
  };
}

std::function<int(Session&, const Invocation&)> Shield(bool couple) {
  return [couple](Session& session, const Invocation& invocation) {
    v1::Request request;
    v1::ShieldCall* call = request.mutable_shield();
    call->set_couple(couple);
    return Switch(session, invocation, &request, call, Milliseconds(0));
  };
}

std::function<int(Session&, const Invocation&)> Usb(v1::DataPath path) {
  return [path](Session& session, const Invocation& invocation) {
    v1::Request request;
    v1::UsbCall* call = request.mutable_usb();
    call->set_path(path);
    call->set_host(invocation.Get("host"));
    return Switch(session, invocation, &request, call, Milliseconds(0));
  };
}

// Never fenced: no epoch, but a role and a reason.
template <typename Call>
int SendUnfenced(Session& session, const Invocation& invocation, v1::Request* request, Call* call) {
  const auto slot = model::ParseSlotId(invocation.Get("slot"));
  if (!slot.ok()) return session.Fail(slot.status());
  const auto controller = session.ControllerOf(slot->rack);
  if (!controller.ok()) return session.Fail(controller.status());
  call->set_slot(model::ToString(*slot));
  call->set_reason(invocation.Get("reason"));
  return Send(session, *controller, std::move(*request), Milliseconds(10'000));
}

int StopSlot(Session& session, const Invocation& invocation) {
  v1::Request request;
  return SendUnfenced(session, invocation, &request, request.mutable_stop_slot());
}

int ClearSlot(Session& session, const Invocation& invocation) {
  v1::Request request;
  return SendUnfenced(session, invocation, &request, request.mutable_clear_slot());
}

int RelayFitted(Session& session, const Invocation& invocation) {
  const auto moves = invocation.Number("moves", 0, 0, 100'000'000);
  if (!moves.ok()) return session.Fail(moves.status());
  v1::Request request;
  request.mutable_fit_relay()->set_moves(*moves);
  return SendUnfenced(session, invocation, &request, request.mutable_fit_relay());
}

using Kind = Argument::Kind;
const Argument kSlot{Kind::kPositional, "slot", "SLOT", "r01/07", true};
const Argument kReason{Kind::kOption, "--reason", "TEXT", "why, when a tech or admin acts without a lease"};
const Argument kMustReason{Kind::kOption, "--reason", "TEXT", "why; it is recorded", true};

constexpr char kLeaseHint[] =
    "\n\nYou need the slot's lease (faraday reserve). The answer is what is measured after switching; a mismatch is an "
    "error.";

Verb SwitchVerb(std::vector<std::string> path,
                std::string summary,
                std::vector<Argument> more,
                std::string examples,
                std::function<int(Session&, const Invocation&)> run) {
  Verb verb{.path = std::move(path),
            .summary = std::move(summary),
            .arguments = {kSlot},
            .examples = std::move(examples) + kLeaseHint,
            .run = std::move(run)};
  for (Argument& argument : more) verb.arguments.push_back(std::move(argument));
  verb.arguments.push_back(kReason);
  return verb;
}

}  // namespace

std::vector<Verb> HardwareVerbs() {
  return {
      SwitchVerb({"power", "on"}, "VBUS on", {}, "  faraday power on r01/07", Power(v1::PowerCall::ACTION_ON)),
      SwitchVerb({"power", "off"},
                 "VBUS off: stops charging and USB; the phone runs on from its battery",
                 {},
                 "  faraday power off r01/07\n  faraday power off r01/07 --reason 'smells hot'",
                 Power(v1::PowerCall::ACTION_OFF)),
      SwitchVerb({"power", "cycle"},
                 "VBUS off, a pause, on again: one command, run by the board",
                 {{Kind::kOption, "--off-for", "TIME", "500ms to 10m, default 2s"}},
                 "  faraday power cycle r01/07\n  faraday power cycle r01/07 --off-for 10s",
                 Power(v1::PowerCall::ACTION_CYCLE)),
      SwitchVerb({"shield", "isolate"},
                 "RF coupler onto its termination",
                 {},
                 "  faraday shield isolate r01/07",
                 Shield(false)),
      SwitchVerb(
          {"shield", "couple"}, "RF coupler to the rack's feed", {}, "  faraday shield couple r01/07", Shield(true)),
      SwitchVerb({"usb", "open"}, "Data lines to nowhere", {}, "  faraday usb open r01/07", Usb(v1::DATA_PATH_OPEN)),
      SwitchVerb({"usb", "charge"},
                 "Data lines to the charge port",
                 {},
                 "  faraday usb charge r01/07",
                 Usb(v1::DATA_PATH_CHARGE)),
      SwitchVerb({"usb", "connect"},
                 "Data lines to a host (VBUS must be on)",
                 {{Kind::kOption, "--host", "NAME", "which of the slot's hosts, default its first"}},
                 "  faraday usb connect r01/07\n  faraday usb connect r01/07 --host h02",
                 Usb(v1::DATA_PATH_HOST)),
      {.path = {"slot", "stop"},
       .summary = "VBUS off, data open, isolated, at once; ends the lease (tech, admin)",
       .arguments = {kSlot, kMustReason},
       .examples = "  faraday slot stop r01/07 --reason 'battery swells'",
       .run = StopSlot},
      {.path = {"slot", "clear"},
       .summary = "Clear a trip or quarantine after the cause is mended (tech, admin)",
       .arguments = {kSlot, kMustReason},
       .examples = "  faraday slot clear r01/07 --reason 'cable replaced'\n"
                   "\n"
                   "faraday status SLOT says what to mend first. What is still wrong is found again at once.",
       .run = ClearSlot},
      {.path = {"slot", "relay-fitted"},
       .summary = "Tell the board that another RF relay is fitted: its moves are counted anew (tech, admin)",
       .arguments = {kSlot,
                     kMustReason,
                     {Kind::kOption, "--moves", "N", "moves that the fitted relay has made already, default 0"}},
       .examples = "  faraday slot relay-fitted r01/07 --reason 'relay replaced, ticket 311'",
       .run = RelayFitted},
  };
}

}  // namespace faraday::cli
