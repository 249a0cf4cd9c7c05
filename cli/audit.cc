// `faraday audit [verify|export]`: who did what, at one server or at all of them, and whether the records still fit.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <fstream>

#include "access/audit_record.h"
#include "access/audit_search.h"
#include "cli/session.h"
#include "cli/text.h"
#include "cli/verbs.h"

namespace faraday::cli {
namespace {

constexpr int64_t kTenYears = 10 * int64_t{366} * 86'400'000;
constexpr uint32_t kDefaultLimit = 50;
constexpr uint32_t kPage = 1000;
constexpr uint32_t kAnchorsLookedAt = 20;
constexpr Milliseconds kVerifyTimeout{120'000};
constexpr size_t kShownHash = 16;

struct Server {
  std::string name;  // "lab", "r01", or the endpoint of a named controller
  std::string endpoint;
};

struct Servers {
  std::vector<Server> there;
  std::vector<std::string> away;  // in words
};

// Which servers are asked: a named rack's or controller; the lab alone; or the lab and every rack.
Result<Servers> ServersOf(Session& session, const Invocation& invocation) {
  const std::string rack = invocation.Get("rack");
  if (session.direct() || !rack.empty()) {
    FARADAY_TRY_ASSIGN(const std::string controller, session.ControllerOf(rack));
    return Servers{{{rack.empty() ? controller : rack, controller}}, {}};
  }
  Servers servers{{{"lab", session.lab()}}, {}};
  if (invocation.Has("server")) return servers;
  v1::Request request;
  request.mutable_list_racks();
  FARADAY_TRY_ASSIGN(const v1::Reply reply, session.CallLab(std::move(request)));
  for (const auto& one : reply.list_racks().racks()) {
    if (!one.reachable()) {
      servers.away.push_back(fmt::format("{} does not answer: {}", one.rack(), one.reason()));
      continue;
    }
    session.LearnKey(one.rack());
    servers.there.push_back({one.rack(), one.controller()});
  }
  return servers;
}

Result<v1::ReadAuditResult> Read(Session& session, const Server& server, const v1::ReadAuditCall& call) {
  v1::Request request;
  *request.mutable_read_audit() = call;
  FARADAY_TRY_ASSIGN(v1::Reply reply, session.Call(server.endpoint, std::move(request)));
  return std::move(*reply.mutable_read_audit());
}

// "2h" (ago), "2026-11-23", "2026-11-23 17:00", "2026-11-23T17:00:05", in this machine's time zone; with Z: UTC.
Result<int64_t> Instant(const Invocation& invocation, const std::string& name) {
  if (!invocation.Has(name)) return int64_t{0};
  const auto ago = invocation.DurationMs(name, 0, 1000, kTenYears);
  if (ago.ok()) return UtcNow().since_epoch.count() - *ago;
  const std::string text = invocation.Get(name);
  for (const char* format :
       {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
    tm broken{};
    broken.tm_isdst = -1;
    const char* end = strptime(text.c_str(), format, &broken);
    if (end == nullptr || (*end != '\0' && std::string_view(end) != "Z")) continue;
    return int64_t{*end == 'Z' ? timegm(&broken) : mktime(&broken)} * 1000;
  }
  return Status(Code::kInvalidArgument,
                fmt::format("--{} '{}' is no time; write 2h (ago), 2026-11-23 or 2026-11-23T17:00", name, text));
}

Result<v1::ReadAuditCall> CallOf(const Invocation& invocation) {
  v1::ReadAuditCall call;
  call.set_user(invocation.Get("user"));
  call.set_on(invocation.Get("on"));
  call.set_call(invocation.Get("call"));
  call.set_trace_id(invocation.Get("trace"));
  FARADAY_TRY_ASSIGN(const int64_t since, Instant(invocation, "since"));
  FARADAY_TRY_ASSIGN(const int64_t until, Instant(invocation, "until"));
  call.set_since_utc_ms(since);
  call.set_until_utc_ms(until);
  char* end = nullptr;
  const std::string limit = invocation.Get("limit", std::to_string(kDefaultLimit));
  const unsigned long number = std::strtoul(limit.c_str(), &end, 10);
  if (*end != '\0' || number < 1 || number > kPage) {
    return Status(Code::kInvalidArgument, fmt::format("--limit '{}' is outside 1 to {}", limit, kPage));
  }
  call.set_limit(static_cast<uint32_t>(number));
  call.set_newest(true);
  return call;
}

// ---- faraday audit ------------------------------------------------------------------------------------------------

std::string TimeOf(int64_t utc_ms) {
  const time_t seconds = utc_ms / 1000;
  tm local{};
  localtime_r(&seconds, &local);
  char text[32];
  const size_t size = std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local);
  return std::string(text, size);
}

std::string WhoOf(const v1::AuditRecord& record) {
  if (record.user().empty()) return record.kind() == v1::AuditRecord::KIND_NOTE ? record.server() : "?";
  std::string who = record.user() + " (" + record.role() + ")";
  if (!record.on_behalf_of().empty()) who += " for " + record.on_behalf_of();
  return record.break_glass() ? "BREAK-GLASS " + who : who;
}

std::string WordsOf(const v1::AuditRecord& record) {
  std::vector<std::string> words;
  const auto add = [&words](const std::string& before, const std::string& text) {
    if (!text.empty()) words.push_back(before + text);
  };
  add("", record.code());
  add("", record.what());
  add("", record.result());
  add("reason: ", record.kind() == v1::AuditRecord::KIND_ASKED ? record.reason() : "");
  add("before: ", record.before());
  add("after: ", record.after());
  for (const std::string& command : record.mcu_commands()) words.push_back(command);
  if (record.asked() != 0) words.push_back(fmt::format("asked #{}", record.asked()));
  add("trace ", record.trace_id());
  return fmt::format("{}", fmt::join(words, "; "));
}

void Print(Session& session, const v1::AuditRecord& record) {
  if (session.json()) return session.Out(access::AuditLineOf(record) + "\n");
  static constexpr const char* kKinds[] = {"?", "asked", "done", "note"};
  session.Out(Printable(fmt::format("{} {} #{} {} {} {} {}: {}",
                                    TimeOf(record.utc_ms()),
                                    record.server(),
                                    record.number(),
                                    kKinds[std::clamp(static_cast<int>(record.kind()), 0, 3)],
                                    WhoOf(record),
                                    record.call(),
                                    record.on(),
                                    WordsOf(record))) +
              "\n");
}

int Show(Session& session, const Invocation& invocation) {
  const auto call = CallOf(invocation);
  if (!call.ok()) return session.Fail(call.status());
  const auto servers = ServersOf(session, invocation);
  if (!servers.ok()) return session.Fail(servers.status());
  std::vector<v1::AuditRecord> records;
  bool more = false;
  int exit = kExitOk;
  for (const Server& server : servers->there) {
    const auto page = Read(session, server, *call);
    if (!page.ok()) {
      exit = session.Fail(page.status());  // the others are still shown
      continue;
    }
    more = more || page->more();
    records.insert(records.end(), page->records().begin(), page->records().end());
  }
  std::stable_sort(
      records.begin(), records.end(), [](const auto& a, const auto& b) { return a.utc_ms() < b.utc_ms(); });
  if (records.size() > call->limit()) {
    more = true;
    records.erase(records.begin(), records.end() - call->limit());
  }
  if (more)
    session.Progress(fmt::format("the newest {} that match; there are older ones: --limit, --until", records.size()));
  for (const auto& record : records) Print(session, record);
  for (const std::string& away : servers->away) session.Progress(away);
  return exit;
}

// ---- faraday audit export -----------------------------------------------------------------------------------------

int Export(Session& session, const Invocation& invocation) {
  const bool one = session.direct() || invocation.Has("rack") || invocation.Has("server");
  if (!one) {
    return session.Fail(
        {Code::kInvalidArgument, "an export is one server's chain: give --rack r01, or --server for the lab"});
  }
  const auto servers = ServersOf(session, invocation);
  if (!servers.ok()) return session.Fail(servers.status());
  v1::ReadAuditCall call;
  call.set_limit(kPage);
  for (bool more = true; more;) {
    const auto page = Read(session, servers->there.front(), call);
    if (!page.ok()) return session.Fail(page.status());
    for (const auto& record : page->records()) session.Out(access::AuditLineOf(record) + "\n");
    if (session.interrupted()) return kExitCancelled;
    more = page->more();
    call.set_after(page->next());
  }
  return kExitOk;
}

// ---- faraday audit verify -----------------------------------------------------------------------------------------

// Says how it stands; false when it is broken.
bool Tell(Session& session, const std::string& name, const v1::VerifyAuditResult& result) {
  if (session.json()) {
    session.Json(result, true);
  } else {
    session.Out(Printable(fmt::format("{}: {}: {}; head {}",
                                      name,
                                      result.good() ? "good" : "BROKEN",
                                      result.text(),
                                      result.head().substr(0, kShownHash))) +
                "\n");
  }
  return result.good();
}

int VerifyFile(Session& session, const std::string& path) {
  std::ifstream file(path);
  if (!file) return session.Fail({Code::kInvalidArgument, "cannot read " + path});
  access::AuditVerifier verifier;
  for (std::string line; std::getline(file, line) && verifier.Feed(line);) continue;
  return Tell(session, path, verifier.Outcome()) ? kExitOk : kExitRefused;
}

// Empty, or what does not fit between what the lab saw of a rack's log and the log.
Result<std::string> CompareAnchor(Session& session,
                                  const Server& rack,
                                  const v1::VerifyAuditResult& log,
                                  const v1::AuditRecord& anchor) {
  const uint64_t number = std::strtoull(anchor.what().c_str(), nullptr, 10);
  if (number < log.first() || number == 0) return std::string();  // removed by retention meanwhile
  v1::ReadAuditCall call;
  call.set_after(number - 1);
  call.set_limit(1);
  FARADAY_TRY_ASSIGN(const v1::ReadAuditResult page, Read(session, rack, call));
  const bool there = page.records_size() == 1 && page.records(0).number() == number;
  const auto place = access::CheckAuditLine(there ? access::AuditLineOf(page.records(0)) : "");
  if (place.ok() && place->hash == anchor.result()) return std::string();
  return fmt::format("its record {} is {}, but the lab saw {} on {}: history was rewritten",
                     number,
                     place.ok() ? place->hash.substr(0, kShownHash) : "missing",
                     anchor.result().substr(0, kShownHash),
                     TimeOf(anchor.utc_ms()));
}

// The lab's newest notes of the rack's head.
Result<std::string> CompareAnchors(Session& session,
                                   const Server& lab,
                                   const Server& rack,
                                   const v1::VerifyAuditResult& log) {
  v1::ReadAuditCall call;
  call.set_call("anchor");
  call.set_on(rack.name);
  call.set_newest(true);
  call.set_limit(kAnchorsLookedAt);
  FARADAY_TRY_ASSIGN(const v1::ReadAuditResult anchors, Read(session, lab, call));
  for (const auto& anchor : anchors.records()) {
    FARADAY_TRY_ASSIGN(std::string wrong, CompareAnchor(session, rack, log, anchor));
    if (!wrong.empty()) return wrong;
  }
  return std::string();
}

// One server's chain, and a rack's against what the lab saw of it.
Result<v1::VerifyAuditResult> VerifyServer(Session& session, const Server& server) {
  v1::Request request;
  request.mutable_verify_audit();
  FARADAY_TRY_ASSIGN(const v1::Reply reply, session.Call(server.endpoint, std::move(request), kVerifyTimeout));
  v1::VerifyAuditResult result = reply.verify_audit();
  if (!result.good() || session.direct() || server.name == "lab") return result;
  FARADAY_TRY_ASSIGN(const std::string wrong, CompareAnchors(session, {"lab", session.lab()}, server, result));
  if (wrong.empty()) return result;
  result.set_good(false);
  result.set_text(wrong);
  return result;
}

int Verify(Session& session, const Invocation& invocation) {
  if (invocation.Has("file")) return VerifyFile(session, invocation.Get("file"));
  const auto servers = ServersOf(session, invocation);
  if (!servers.ok()) return session.Fail(servers.status());
  int exit = servers->away.empty() ? kExitOk : kExitUnavailable;
  bool broken = false;
  for (const Server& server : servers->there) {
    const auto result = VerifyServer(session, server);
    if (!result.ok()) exit = session.Fail(result.status());  // the others are still verified
    if (result.ok() && !Tell(session, server.name, *result)) broken = true;
  }
  for (const std::string& away : servers->away) session.Progress(away + "; not verified");
  return broken ? kExitRefused : exit;
}

int Audit(Session& session, const Invocation& invocation) {
  const std::string what = invocation.Get("what");
  if (what.empty()) return Show(session, invocation);
  if (what == "verify") return Verify(session, invocation);
  if (what == "export") return Export(session, invocation);
  return session.Fail({Code::kInvalidArgument, fmt::format("audit '{}'? one of: verify, export; or nothing", what)});
}

}  // namespace

std::vector<Verb> AuditVerbs() {
  using Kind = Argument::Kind;
  return {
      {.path = {"audit"},
       .summary = "Show who did what; verify or export the audit logs",
       .arguments = {{Kind::kPositional, "what", "verify|export", "check every record's hash; or print all as stored"},
                     {Kind::kOption, "--rack", "RACK", "only this rack's controller; default: the lab and every rack"},
                     {Kind::kFlag, "--server", "", "only the lab"},
                     {Kind::kOption, "--user", "NAME", "what this user did, or what was done on their behalf"},
                     {Kind::kOption, "--on", "WHAT", "about r01/07, job-12, ana; r01/ for the whole rack"},
                     {Kind::kOption, "--call", "CALL", "power, acquire, add_user, ..."},
                     {Kind::kOption, "--trace", "ID", "all that one run of faraday caused, on every server"},
                     {Kind::kOption, "--since", "TIME", "2h (ago), 2026-11-23 or 2026-11-23T17:00"},
                     {Kind::kOption, "--until", "TIME", "the same"},
                     {Kind::kOption, "--limit", "N", "the newest N that match, 1 to 1000; default 50"},
                     {Kind::kOption, "--file", "FILE", "verify: an exported file instead of a server"}},
       .examples =
           "  faraday audit --on r01/07 --since 2h\n"
           "  faraday audit --trace 3f9a21c07be455d0\n"
           "  faraday audit --json --call power | jq 'select(.code != \"OK\")'\n"
           "  faraday audit verify                            every server's chain, and the lab's notes of the racks'\n"
           "  faraday audit export --rack r01 > r01.jsonl && faraday audit verify --file r01.jsonl\n"
           "\n"
           "A call that changes something has two records: asked, before it acts, and done. Users see their own,\n"
           "techs and admins all. verify: exit 1 when a chain is broken, 3 when a rack could not be asked.",
       .run = Audit}};
}

}  // namespace faraday::cli
