// `faraday events`: what changes, as it changes, after a snapshot of how things stand.
#include <fmt/format.h>

#include <map>
#include <memory>

#include "cli/session.h"
#include "cli/slot_text.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "evloop/loop.h"
#include "rpc/publisher.h"

namespace faraday::cli {
namespace {

constexpr Milliseconds kFirstTick{3000};  // ticks come each second; then the subscription surely stands
constexpr Milliseconds kLook{100};        // how soon Ctrl-C is noticed

// Where a server that listens everywhere ("tcp://0.0.0.0:7701") publishes, seen from here: at the host it is called by.
std::string Reachable(const std::string& events, const std::string& server) {
  const size_t port = events.rfind(':');
  const size_t server_port = server.rfind(':');
  for (const char* everywhere : {"tcp://0.0.0.0", "tcp://*", "tcp://[::]"}) {
    if (events.substr(0, port) == everywhere && server_port > 5)
      return server.substr(0, server_port) + events.substr(port);
  }
  return events;
}

// How a slot stands, for its snapshot.
std::string StandingWords(const v1::Event& event) {
  std::string text = fmt::format("{}, {}", HealthWord(event.slot().health()), LeaseWords(event.slot(), event.utc_ms()));
  if (!event.slot().reason().empty()) text += ": " + Printable(event.slot().reason());
  return text;
}

// One server's events. Subscribes first and reads the snapshot once something has come, so that nothing falls between.
class Source {
 public:
  Source(Session& session, evloop::Loop& loop, std::string name, std::string server, bool is_rack)
      : session_(session), loop_(loop), name_(std::move(name)), server_(std::move(server)), is_rack_(is_rack) {}

  Status Begin() {
    FARADAY_TRY_ASSIGN(const v1::SnapshotResult snapshot, Snapshot());
    FARADAY_TRY_ASSIGN(const rpc::Credentials who, session_.CredentialsOf(server_));
    subscriber_ = std::make_unique<rpc::Subscriber>(loop_,
                                                    session_.context(),
                                                    Reachable(snapshot.events_endpoint(), server_),
                                                    who,
                                                    std::vector<std::string>{""},
                                                    [this](const v1::Event& event) { OnEvent(event); });
    loop_.AddTimer("first tick", BootClock::now() + kFirstTick, [this] { ReadState(); });
    return subscriber_->status();
  }

  // OK, or why no more events come: this key is no longer let in.
  const Status& status() const { return subscriber_->status(); }

 private:
  Result<v1::SnapshotResult> Snapshot() {
    v1::Request request;
    request.mutable_snapshot();
    FARADAY_TRY_ASSIGN(v1::Reply reply, session_.Call(server_, std::move(request)));
    return std::move(*reply.mutable_snapshot());
  }

  // Where every topic stands, then the state that goes with it.
  void ReadState() {
    if (has_state_) return;
    const auto snapshot = Snapshot();
    if (!snapshot.ok()) {
      session_.Progress(name_ + ": " + snapshot.status().message());
      loop_.AddTimer("snapshot again", BootClock::now() + kFirstTick, [this] { ReadState(); });
      return;
    }
    has_state_ = true;
    run_ = snapshot->publisher_run();
    seen_ = {snapshot->last_seq().begin(), snapshot->last_seq().end()};
    if (is_rack_) PrintRackState();
  }

  void PrintRackState() {
    v1::Request request;
    request.mutable_get_rack();
    const auto reply = session_.Call(server_, std::move(request));
    if (!reply.ok()) return session_.Progress(name_ + ": " + reply.status().message());
    const v1::RackState& rack = reply->get_rack().rack();
    for (const v1::BoardState& board : rack.boards()) {
      v1::Event event = SnapshotEvent(fmt::format("board/{}/{}/", rack.rack(), board.index()));
      *event.mutable_board() = board;
      Print(event);
    }
    for (const v1::SlotState& slot : rack.slots()) {
      v1::Event event = SnapshotEvent("slot/" + slot.slot() + "/");
      *event.mutable_slot() = slot;
      Print(event);
    }
  }

  v1::Event SnapshotEvent(const std::string& topic) const {
    v1::Event event;
    event.set_topic(topic);
    event.set_publisher_run(run_);
    event.set_kind("snapshot");
    event.set_utc_ms(UtcNow().since_epoch.count());
    return event;
  }

  void OnEvent(const v1::Event& event) {
    if (event.publisher_run() != run_ && has_state_) {
      session_.Progress(name_ + " has restarted; what happened meanwhile is not shown, its state now is");
      has_state_ = false;
    }
    ReadState();
    if (!has_state_) return;
    if (event.has_tick()) return OnTick(event.tick());
    // A topic's first event is its baseline: its count need not begin at 1.
    const auto [known, first] = seen_.try_emplace(event.topic(), event.seq());
    uint64_t& seen = known->second;
    if (!first && event.seq() <= seen) return;
    if (event.seq() > seen + 1) TellLost(event.topic(), event.seq() - seen - 1);
    seen = event.seq();
    Print(event);
  }

  void OnTick(const v1::Tick& tick) {
    for (const auto& [topic, last] : tick.last_seq()) {
      uint64_t& seen = seen_.try_emplace(topic, last).first->second;
      if (last > seen && topic != "tick/") TellLost(topic, last - seen);
      seen = std::max(seen, last);
    }
  }

  void TellLost(const std::string& topic, uint64_t count) {
    session_.Progress(fmt::format("{} of {} {} lost on the way (this program was too slow)",
                                  Counted(count, "event"),
                                  topic,
                                  count == 1 ? "was" : "were"));
  }

  void Print(const v1::Event& event) {
    if (session_.json()) return session_.Json(event, true);
    std::string text = Printable(event.text());
    if (event.kind() == "snapshot") text = event.has_board() ? BoardWords(event.board()) : StandingWords(event);
    session_.Out(fmt::format("{} {:<16} {:<18} {}\n",
                             FormatSecond(event.utc_ms()),
                             Printable(event.topic()),
                             Printable(event.kind()),
                             text));
  }

  Session& session_;
  evloop::Loop& loop_;
  std::string name_;
  std::string server_;
  bool is_rack_;
  std::unique_ptr<rpc::Subscriber> subscriber_;
  bool has_state_ = false;
  std::string run_;
  std::map<std::string, uint64_t> seen_;
};

struct Server {
  std::string name;
  std::string endpoint;
  bool is_rack = false;
};

// The named rack's controller; the named controller; or every rack's and the lab.
Result<std::vector<Server>> Servers(Session& session, const std::string& rack) {
  if (!rack.empty() || session.direct()) {
    FARADAY_TRY_ASSIGN(std::string controller, session.ControllerOf(rack));
    return std::vector<Server>{{"rack " + rack, controller, true}};
  }
  v1::Request request;
  request.mutable_list_racks();
  FARADAY_TRY_ASSIGN(v1::Reply reply, session.CallLab(std::move(request)));
  std::vector<Server> servers{{"the lab", session.lab(), false}};
  for (const auto& one : reply.list_racks().racks()) {
    if (one.reachable()) {
      session.LearnKey(one.rack());
      servers.push_back({"rack " + one.rack(), one.controller(), true});
    } else {
      session.Progress("rack " + one.rack() + " is left out: " + one.reason());
    }
  }
  return servers;
}

int Events(Session& session, const Invocation& invocation) {
  const auto limit = invocation.DurationMs("for", 0, 1000, 7 * int64_t{86'400'000});
  if (!limit.ok()) return session.Fail(limit.status());
  const auto servers = Servers(session, invocation.Get("rack"));
  if (!servers.ok()) return session.Fail(servers.status());
  evloop::Loop loop;
  std::vector<std::unique_ptr<Source>> sources;
  for (const Server& server : *servers) {
    sources.push_back(std::make_unique<Source>(session, loop, server.name, server.endpoint, server.is_rack));
    if (const Status begun = sources.back()->Begin(); !begun.ok()) return session.Fail(begun);
  }
  loop.AddPeriodic("Ctrl-C", kLook, [&] {
    if (session.interrupted()) loop.Stop(kExitOk);
    for (const auto& source : sources) {
      if (!source->status().ok()) loop.Stop(session.Fail(source->status()));
    }
  });
  if (*limit > 0) loop.AddTimer("end", BootClock::now() + Milliseconds(*limit), [&] { loop.Stop(kExitOk); });
  return loop.Run();
}

}  // namespace

std::vector<Verb> EventVerbs() {
  return {{.path = {"events"},
           .summary = "Show changes as they happen, after how things stand now",
           .arguments = {{Argument::Kind::kOption, "--rack", "RACK", "only this rack; default: every rack and the lab"},
                         {Argument::Kind::kOption, "--for", "TIME", "end after this time; default: until Ctrl-C"}},
           .examples = "  faraday events --rack r01\n"
                       "  faraday events --json | jq -c 'select(.kind == \"slot.tripped\")'\n"
                       "  faraday events --rack r01 --for 10s\n"
                       "\n"
                       "With --json each line is one Event; lines of kind \"snapshot\" come first and tell each "
                       "board's and slot's state.",
           .run = Events}};
}

}  // namespace faraday::cli
