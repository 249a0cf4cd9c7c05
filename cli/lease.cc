// `faraday reserve`, `renew`, `release`: a phone for a person.
#include <fmt/format.h>

#include <algorithm>

#include "cli/lease_target.h"
#include "cli/session.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "model/selector.h"
#include "rackconfig/yaml_reader.h"

namespace faraday::cli {
namespace {

constexpr int64_t kDay = 86'400'000;
constexpr Milliseconds kPoll{10'000};         // one long poll (design section 8)
constexpr Milliseconds kPollTimeout{15'000};  // of the call around it

int64_t NowMs() { return UtcNow().since_epoch.count(); }

void PrintLease(Session& session, const v1::Lease& lease) {
  session.Out(fmt::format("lease {} on slot {}, epoch {}, until {} ({} left)\n",
                          Printable(lease.id()),
                          Printable(lease.slot()),
                          lease.epoch(),
                          FormatClock(lease.end_utc_ms(), NowMs()),
                          FormatAge(lease.left_ms())));
}

void PrintNext(Session& session, const v1::Lease& lease) {
  const std::string slot = Printable(lease.slot());
  session.Out(
      fmt::format("next: faraday status {0}\n      faraday power on {0}\n      faraday usb connect {0}\n"
                  "      faraday renew {1} --for 30m\n      faraday release {1}\n",
                  slot,
                  Printable(lease.id())));
}

// ---- reserve at the lab ----

std::string WaitingWords(const v1::Reservation& reservation) {
  std::string words = "waiting";
  if (reservation.queue_position() > 0) words += fmt::format(" at position {}", reservation.queue_position());
  return reservation.reason().empty() ? words : words + ": " + reservation.reason();
}

int CancelWish(Session& session, const std::string& id) {
  v1::Request request;
  request.mutable_cancel_reservation()->set_id(id);
  const auto reply = session.CallLab(std::move(request));
  session.Say(reply.ok() ? "cancelled " + id : "could not cancel " + id + ": " + Printable(reply.status().message()));
  return kExitCancelled;
}

// Until the wish is no longer waiting.
Result<v1::Reservation> Await(Session& session, v1::Reservation reservation, BootTime give_up) {
  std::string said;
  while (reservation.state() == v1::RESERVATION_STATE_WAITING) {
    const std::string words = WaitingWords(reservation);
    if (words != said) session.Progress(reservation.id() + " is " + words);
    said = words;
    v1::Request request;
    auto& call = *request.mutable_get_reservation();
    call.set_id(reservation.id());
    call.set_wait_ms(static_cast<uint32_t>(kPoll.count()));
    call.set_while_state(v1::RESERVATION_STATE_WAITING);
    FARADAY_TRY_ASSIGN(v1::Reply reply, session.CallUntil(session.lab(), request, kPollTimeout, give_up));
    reservation = reply.reservation().reservation();
  }
  return reservation;
}

int ShowReservation(Session& session, const v1::Reservation& reservation) {
  if (session.json()) session.Json(reservation);
  if (reservation.state() != v1::RESERVATION_STATE_GRANTED) {
    session.Say("no phone: " +
                Printable(reservation.reason().empty() ? "the lab gave no reason" : reservation.reason()));
    return kExitRefused;
  }
  if (session.json()) return kExitOk;
  for (const v1::Lease& lease : reservation.leases()) {
    PrintLease(session, lease);
    PrintNext(session, lease);
  }
  return kExitOk;
}

int ReserveAtLab(Session& session, const v1::ReserveCall& call) {
  v1::Request request;
  *request.mutable_reserve() = call;
  request.set_idempotency_key(Session::NewKey());
  auto reply = session.CallLab(request);
  // Not known whether it was taken: the key makes asking again harmless.
  if (!reply.ok() && reply.status().code() == Code::kDeadlineExceeded) {
    reply = session.CallUntil(session.lab(), request, kPollTimeout, BootClock::now() + std::chrono::seconds(30));
  }
  if (!reply.ok()) return session.Fail(reply.status());
  const std::string id = reply->reservation().reservation().id();
  const BootTime give_up = BootClock::now() + std::chrono::seconds(call.wait_s() + 60);
  const auto reservation = Await(session, reply->reservation().reservation(), give_up);
  if (!reservation.ok() && session.interrupted()) return CancelWish(session, id);
  if (!reservation.ok()) return session.Fail(reservation.status());
  return ShowReservation(session, *reservation);
}

// ---- reserve at a controller, no lab ----

model::Attributes AttributesOf(const v1::SlotState& slot, const std::string& rack) {
  model::Attributes attributes(slot.labels().begin(), slot.labels().end());
  const v1::Device& device = slot.device();
  const auto set = [&](const char* name, const std::string& value) {
    if (!value.empty()) attributes[name] = value;
  };
  set("slot", slot.slot());
  set("rack", rack);
  set("model", device.model().empty() ? device.expected() : device.model());
  set("platform", device.platform());
  set("os", device.os_version());
  set("serial", device.serial());
  return attributes;
}

// One look over the rack: a lease, nullopt when nothing is free now, or why nothing ever will be.
Result<std::optional<v1::Lease>> TryAcquire(
    Session& session, const model::Selector& selector, int64_t for_ms, const std::string& note, std::string* why) {
  v1::Request get;
  get.mutable_get_rack();
  FARADAY_TRY_ASSIGN(v1::Reply reply, session.Call(session.controller(), std::move(get)));
  const v1::RackState& rack = reply.get_rack().rack();
  int matching = 0;
  for (const v1::SlotState& slot : rack.slots()) {
    if (!selector.Matches(AttributesOf(slot, rack.rack()))) continue;
    ++matching;
    if (slot.allocation() != v1::ALLOCATION_FREE || slot.health() != v1::HEALTH_GOOD) {
      *why = fmt::format(
          "{} is {}",
          slot.slot(),
          slot.allocation() == v1::ALLOCATION_LEASED ? "leased by " + slot.lease().holder() : slot.reason());
      continue;
    }
    v1::Request request;
    request.set_idempotency_key(Session::NewKey());
    auto& call = *request.mutable_acquire();
    call.set_slot(slot.slot());
    call.set_purpose(v1::PURPOSE_PERSON);
    call.set_duration_ms(static_cast<uint32_t>(for_ms));
    call.set_note(note);
    auto granted = session.Call(session.controller(), std::move(request));
    if (granted.ok()) return std::optional<v1::Lease>(granted->acquire().lease());
    const Code code = granted.status().code();
    if (code != Code::kAborted && code != Code::kFailedPrecondition) return granted.status();
    *why = granted.status().message();
  }
  if (matching == 0)
    return Status(Code::kNotFound, "no slot of this rack matches; see faraday status --json for what they offer");
  return std::optional<v1::Lease>();
}

int ReserveAtController(Session& session, const model::Selector& selector, const v1::ReserveCall& call) {
  const BootTime end = BootClock::now() + std::chrono::seconds(call.wait_s());
  std::string said;
  while (true) {
    std::string why;
    const auto lease = TryAcquire(session, selector, int64_t{call.duration_s()} * 1000, call.note(), &why);
    if (!lease.ok()) return session.Fail(lease.status());
    if (lease->has_value()) {
      if (session.json()) {
        session.Json(**lease);
      } else {
        PrintLease(session, **lease);
        PrintNext(session, **lease);
      }
      return kExitOk;
    }
    if (session.interrupted()) return kExitCancelled;
    if (BootClock::now() >= end) {
      session.Say("no phone is free: " + Printable(why));
      return kExitRefused;
    }
    if (why != said) session.Progress("waiting: " + why);
    said = why;
    timespec pause{.tv_sec = 1, .tv_nsec = 0};
    nanosleep(&pause, nullptr);
  }
}

int Reserve(Session& session, const Invocation& invocation) {
  const auto selector = model::Selector::Parse(invocation.Get("selector"));
  if (!selector.ok()) return session.Fail(selector.status());
  const auto duration = invocation.DurationMs("for", 30 * 60'000, 1000, 31 * kDay);
  if (!duration.ok()) return session.Fail(duration.status());
  const auto wait = invocation.DurationMs("wait", 0, 0, 7 * kDay);
  if (!wait.ok()) return session.Fail(wait.status());
  v1::ReserveCall call;
  call.set_selector(invocation.Get("selector"));
  call.set_duration_s(static_cast<uint32_t>((*duration + 999) / 1000));
  call.set_wait_s(static_cast<uint32_t>((*wait + 999) / 1000));
  call.set_note(invocation.Get("note"));
  return session.direct() ? ReserveAtController(session, *selector, call) : ReserveAtLab(session, call);
}

// ---- renew, release ----

int Renew(Session& session, const Invocation& invocation) {
  const auto duration = invocation.DurationMs("for", 30 * 60'000, 1000, 31 * kDay);
  if (!duration.ok()) return session.Fail(duration.status());
  const auto target = FindLease(session, invocation.Get("lease"));
  if (!target.ok()) return session.Fail(target.status());
  v1::Request request;
  request.mutable_renew()->set_lease(target->lease);
  request.mutable_renew()->set_duration_ms(static_cast<uint32_t>(*duration));
  const auto reply = session.Call(target->controller, std::move(request));
  if (!reply.ok()) return session.Fail(reply.status());
  if (session.json()) {
    session.Json(reply->renew().lease());
  } else {
    PrintLease(session, reply->renew().lease());
  }
  return kExitOk;
}

int Release(Session& session, const Invocation& invocation) {
  if (invocation.Has("force") && !invocation.Has("reason")) {
    return session.Fail({Code::kInvalidArgument, "--force ends another's lease: say why with --reason"});
  }
  const auto target = FindLease(session, invocation.Get("lease"));
  if (!target.ok()) return session.Fail(target.status());
  v1::Request request;
  request.mutable_release()->set_lease(target->lease);
  request.mutable_release()->set_force(invocation.Has("force"));
  request.mutable_release()->set_reason(invocation.Get("reason"));
  const auto reply = session.Call(target->controller, std::move(request));
  if (!reply.ok()) return session.Fail(reply.status());
  if (session.json()) {
    session.Json(reply->release().lease());
  } else {
    session.Out(fmt::format("released {}\n", Printable(target->lease)));
  }
  return kExitOk;
}

const Argument kSelector{
    Argument::Kind::kOption, "-l,--selector", "SELECTOR", "which phone: model=pixel-8,os>=14", true};
const Argument kLease{Argument::Kind::kPositional, "lease", "LEASE|SLOT", "r01-07-42, or the slot it is on", true};

}  // namespace

std::vector<Verb> LeaseVerbs() {
  using Kind = Argument::Kind;
  return {
      {.path = {"reserve"},
       .summary = "Get a phone for yourself, for a while",
       .arguments = {kSelector,
                     {Kind::kOption, "--for", "TIME", "how long, default 30m"},
                     {Kind::kOption, "--wait", "TIME", "how long to queue when none is free, default: not at all"},
                     {Kind::kOption, "--note", "TEXT", "what it is for; others see it"}},
       .examples =
           "  faraday reserve -l model=pixel-8                       for 30 minutes, if one is free\n"
           "  faraday reserve -l 'os>=14,model!=pixel-7a' --for 2h --wait 10m\n"
           "  faraday reserve -l slot=r01/07 --note 'modem bug 4711'\n"
           "  faraday reserve -l platform=android --json | jq -r '.leases[0].slot'\n"
           "\n"
           "Prints lease, slot, epoch and end. Ctrl-C while waiting takes the wish back. Nobody in time: exit 1.",
       .run = Reserve},
      {.path = {"renew"},
       .summary = "Keep a lease longer: it ends the given time from now",
       .arguments = {kLease, {Kind::kOption, "--for", "TIME", "from now, default 30m; the rack has a hard maximum"}},
       .examples = "  faraday renew r01-07-42 --for 1h\n  faraday renew r01/07",
       .run = Renew},
      {.path = {"release"},
       .summary = "Give a phone back",
       .arguments = {kLease,
                     {Kind::kFlag, "--force", "", "end another's lease (techs and admins)"},
                     {Kind::kOption, "--reason", "TEXT", "why, with --force; the holder sees it"}},
       .examples = "  faraday release r01-07-42\n"
                   "  faraday release r01/07\n"
                   "  faraday release r01/07 --force --reason 'cable is being replaced'",
       .run = Release},
  };
}

}  // namespace faraday::cli
