// `faraday status`: what is commanded and what is measured, of all racks, one rack or one slot.
#include <fmt/format.h>

#include "cli/condition_text.h"
#include "cli/session.h"
#include "cli/slot_text.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "model/slot_id.h"

namespace faraday::cli {
namespace {

constexpr Milliseconds kRackTimeout{3000};  // one hung rack costs a look at the others this much (chosen)

int64_t NowMs() { return UtcNow().since_epoch.count(); }

Result<v1::RackState> GetRack(Session& session,
                              const std::string& rack,
                              const std::string& slot,
                              Milliseconds timeout) {
  FARADAY_TRY_ASSIGN(std::string controller, session.ControllerOf(rack));
  v1::Request request;
  request.mutable_get_rack()->set_slot(slot);
  FARADAY_TRY_ASSIGN(v1::Reply reply, session.Call(controller, std::move(request), timeout));
  return reply.get_rack().rack();
}

void PrintRack(Session& session, const v1::RackState& rack, int64_t age_ms) {
  session.Out(RenderRack(rack, NowMs(), session.Width(), age_ms));
  session.Out(SecurityWords("rack " + rack.rack(), rack.security()));
}

int ShowSlot(Session& session, const std::string& text) {
  const auto id = model::ParseSlotId(text);
  if (!id.ok()) return session.Fail(id.status());
  const auto rack = GetRack(session, id->rack, model::ToString(*id), Milliseconds(10'000));
  if (!rack.ok()) return session.Fail(rack.status());
  if (rack->slots_size() != 1) return session.Fail({Code::kNotFound, fmt::format("there is no slot {}", text)});
  if (session.json()) {
    session.Json(rack->slots(0));
  } else {
    session.Out(RenderCard(rack->slots(0), NowMs()));
  }
  return kExitOk;
}

int ShowRack(Session& session, const std::string& name) {
  const auto rack = GetRack(session, name, "", Milliseconds(10'000));
  if (!rack.ok()) return session.Fail(rack.status());
  if (!name.empty() && rack->rack() != name) {
    return session.Fail({Code::kNotFound, fmt::format("the controller serves rack {}, not {}", rack->rack(), name)});
  }
  if (session.json()) {
    session.Json(*rack);
  } else {
    session.Out(RenderAlerts(AlertsOf(*rack, NowMs()), "", SIZE_MAX));
    PrintRack(session, *rack, 0);
  }
  return kExitOk;
}

// The controller's own word where it answers, else the lab's last copy with its age.
void Refresh(Session& session, v1::ListRacksResult::Rack* rack) {
  if (!rack->reachable()) return;
  session.LearnKey(rack->rack());
  v1::Request request;
  request.mutable_get_rack();
  const auto reply = session.Call(rack->controller(), std::move(request), kRackTimeout);
  if (reply.ok()) {
    *rack->mutable_state() = reply->get_rack().rack();
    rack->set_age_ms(0);
  } else {
    rack->set_reachable(false);
    rack->set_reason(reply.status().message());
  }
}

// Of all racks, before any table.
void PrintAlerts(Session& session, const v1::ListRacksResult& racks) {
  std::vector<std::string> alerts;
  for (const auto& rack : racks.racks()) {
    for (std::string& alert : AlertsOf(rack.state(), NowMs())) alerts.push_back(std::move(alert));
  }
  session.Out(RenderAlerts(alerts, "faraday status RACK"));
}

int ShowAll(Session& session) {
  v1::Request request;
  request.mutable_list_racks();
  auto reply = session.CallLab(std::move(request));
  if (!reply.ok()) return session.Fail(reply.status());
  v1::ListRacksResult& racks = *reply->mutable_list_racks();
  for (auto& rack : *racks.mutable_racks()) Refresh(session, &rack);
  if (session.json()) {
    session.Json(racks);
    return kExitOk;
  }
  PrintAlerts(session, racks);
  if (session.plain()) session.Out(SecurityWords("the lab", "plain text, loopback only"));
  for (const auto& rack : racks.racks()) {
    if (!rack.reachable())
      session.Out(fmt::format("rack {} does not answer: {}\n", Printable(rack.rack()), Printable(rack.reason())));
    if (rack.state().slots_size() > 0) PrintRack(session, rack.state(), rack.age_ms());
  }
  if (racks.racks_size() == 0) session.Out("this lab has no racks; name them in the lab's config\n");
  return kExitOk;
}

int Status(Session& session, const Invocation& invocation) {
  const std::string what = invocation.Get("what");
  if (what.find('/') != std::string::npos) return ShowSlot(session, what);
  if (!what.empty() && !model::IsRackName(what)) {
    return session.Fail(
        {Code::kInvalidArgument, fmt::format("'{}' is neither a rack (r01) nor a slot (r01/07)", what)});
  }
  return what.empty() && !session.direct() ? ShowAll(session) : ShowRack(session, what);
}

}  // namespace

std::vector<Verb> StatusVerbs() {
  return {{.path = {"status"},
           .summary = "Show what is wrong, then slots: phone, health, lease, VBUS, shield, data, reason",
           .arguments = {{Argument::Kind::kPositional, "what", "RACK|SLOT", "r01 or r01/07; nothing: every rack"}},
           .examples =
               "  faraday status                     every slot of every rack\n"
               "  faraday status r01                 one rack\n"
               "  faraday status r01/07              everything about one slot\n"
               "  faraday status r01 --json | jq '.slots[] | select(.allocation == \"ALLOCATION_FREE\") | .slot'\n"
               "\n"
               "Alerts come first: what is wrong where, since when, and what to do next; docs/operate/repair explains "
               "each.\n"
               "VBUS, SHIELD and DATA show what is measured; on>off means: on was asked, off is measured.\n"
               "SEEN is the age of the phone's facts. A phone in brackets, (pixel-8?), is expected but was never seen.",
           .run = Status}};
}

}  // namespace faraday::cli
