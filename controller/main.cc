// faraday-controller: owns one rack's hardware and the leases on it. This file is the list of its parts.
#include <fmt/core.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "access/local_admin.h"
#include "base/log.h"
#include "controller/core/rack.h"
#include "controller/in_turn.h"
#include "controller/mcu_line/mcu_line.h"
#include "controller/sqlite/sqlite_store.h"
#include "controller/state_dir.h"
#include "controller/zmq/event_publisher.h"
#include "controller/zmq/rack_service.h"
#include "rackconfig/yaml_rack_config.h"
#include "rpc/enrolment.h"
#include "rpc/guard.h"

namespace faraday::controller {
namespace {

constexpr char kVersion[] = "0.1.0";
constexpr int kBadConfig = 2;
constexpr int kSuperseded = 3;
constexpr int kAwaySeconds = 60;        // what a restart or an upgrade may take; chosen
constexpr Milliseconds kFarewell{200};  // eight times the announcement; chosen
// Callers of commands under way are still told that the outcome is unknown.
constexpr Milliseconds kLastAnswers = kFreshAfterLoss + Milliseconds(200);

constexpr Milliseconds kLineTurn{2'000};  // chosen: a handshake takes some 200 ms

struct Flags {
  std::string config;
  std::string capture;
  int away_s = kAwaySeconds;
  bool check = false;
  std::string enrol;
  std::vector<std::string> words;  // of the local admin
};

int Fail(const Status& status) {
  log::Error("{}", status.message());
  return status.code() == Code::kInvalidArgument ? kBadConfig : 1;
}

Now Time() { return {BootClock::now(), UtcNow()}; }

Result<McuLine::Options> LineOptions(const rackconfig::RackConfig& config,
                                     int board,
                                     const std::string& capture,
                                     uint32_t seed) {
  const rackconfig::BoardConfig& wiring = config.boards.at(static_cast<size_t>(board));
  McuLine::Options options;
  options.rack = config.rack;
  options.version = kVersion;
  options.seed = seed;
  options.open = [port = wiring.port] { return OpenTransport(port); };
  std::string file = wiring.capture;
  if (!capture.empty()) file = config.boards.size() == 1 ? capture : capture + "." + std::to_string(board);
  if (!file.empty()) {
    FARADAY_TRY_ASSIGN(options.capture, Capture::Open(file));
  }
  return options;
}

// The rack's lines. Of two controllers that start at the same instant the same one must come last to every board, or
// both would end: so a board's line is opened once the board before it is in hand.
class Lines {
 public:
  Lines(evloop::Loop& loop, Rack& rack, std::vector<McuLine::Options> options)
      : loop_(loop), rack_(rack), options_(std::move(options)) {
    in_turn_.emplace(loop,
                     InTurn::Steps{.count = rack.boards(),
                                   .begin = [this](int board) { Open(board); },
                                   .done = [&rack](int board) { return Settled(rack.board(board)); },
                                   .longest = kLineTurn});
  }
  void AnnounceAbsence(Milliseconds away) {
    in_turn_->End();
    for (auto& line : lines_) line->AnnounceAbsence(away);
  }

 private:
  static bool Settled(const Board& board) { return board.ready() || board.state() == Board::State::kRefused; }
  void Open(int board) {
    McuLine::Options& options = options_[static_cast<size_t>(board)];
    options.superseded = [this](const std::string& why) { OnSuperseded(why); };
    lines_.push_back(std::make_unique<McuLine>(loop_, std::move(options), rack_.board(board)));
    rack_.board(board).SetLine(lines_.back().get());
  }
  void OnSuperseded(const std::string& why) {
    in_turn_->End();
    log::Error("{}; this one ends. One controller may own a rack: check for a second --config of it", why);
    loop_.AddTimer("last answers", BootClock::now() + kLastAnswers, [&loop = loop_] { loop.Stop(kSuperseded); });
  }

  evloop::Loop& loop_;
  Rack& rack_;
  std::vector<McuLine::Options> options_;
  std::vector<std::unique_ptr<McuLine>> lines_;
  std::optional<InTurn> in_turn_;
};

// systemd's watchdog is fed only while the loop turns.
void FeedWatchdog(evloop::Loop& loop) {
  uint64_t period_us = 0;
  if (sd_watchdog_enabled(0, &period_us) <= 0) return;
  loop.AddPeriodic("watchdog", Milliseconds(period_us / 3000), [] { sd_notify(0, "WATCHDOG=1"); });
}

bool IsPlain(const rackconfig::RackConfig& config) {
  return config.controller.security == rackconfig::Security::kPlain;
}

// One step for a person: the code comes on standard input.
int EnrolAt(const std::string& lab, const rackconfig::RackConfig& config) {
  if (IsPlain(config)) {
    return Fail({Code::kInvalidArgument, "controller.security is plain: no keys, nothing to enrol; take it out first"});
  }
  if (const Status mine = access::CheckOwner(config.controller.state_dir); !mine.ok()) return Fail(mine);
  const auto state_dir = StateDir::Open(config.controller.state_dir);
  if (!state_dir.ok()) return Fail(state_dir.status());
  rpc::EnrolMachine machine;
  machine.server = lab;
  machine.name = config.rack;
  machine.role = Role::kController;
  machine.state_dir = (*state_dir)->path();
  machine.key_file = "keys/server.key";
  const auto code = rpc::ReadCodeFromStdin();
  if (!code.ok()) return Fail(code.status());
  zmq::context_t context(1);
  const auto done = rpc::Enrol(context, machine, *code);
  if (!done.ok()) return Fail(done.status());
  std::printf("%s\nThe lab keeps its users from now on. Start faraday-controller.\n", done->c_str());
  return 0;
}

rpc::Guard::Options GuardOptions(const rackconfig::RackConfig& config) {
  return {.name = config.rack,
          .role = Role::kController,
          .state_dir = config.controller.state_dir,
          .endpoint = config.controller.listen,
          .plain = IsPlain(config),
          .audit_days = config.controller.audit.keep_days,
          .audit_mb = config.controller.audit.max_mb};
}

int Run(const rackconfig::RackConfig& config, const Flags& flags) {
  const auto state_dir = StateDir::Open(config.controller.state_dir);
  if (!state_dir.ok()) return Fail(state_dir.status());
  auto store = SqliteStore::Open((*state_dir)->path() + "/controller.db", config.rack);
  if (!store.ok()) return Fail(store.status());
  LeaseBook book(config, **store, BootId());
  if (const Status loaded = book.Load(Time()); !loaded.ok()) return Fail(loaded);

  evloop::Loop loop;
  std::optional<Lines> lines;
  loop.OnSignals({SIGTERM, SIGINT}, [&loop, &lines, &flags](int) {
    if (lines) lines->AnnounceAbsence(std::chrono::seconds(flags.away_s));
    loop.AddTimer("farewell", BootClock::now() + kFarewell, [&loop] { loop.Stop(0); });
  });
  zmq::context_t context(1);
  const auto guard = rpc::Guard::Open(loop, context, GuardOptions(config));
  if (!guard.ok()) return Fail(guard.status());
  std::random_device random;
  EventPublisher events(config.rack);
  Rack rack(config, book, events, random());
  auto publisher = rpc::Publisher::Bind(loop, context, config.controller.events, (*guard)->security());
  if (!publisher.ok()) return Fail(publisher.status());
  (*guard)->Watch(**publisher);
  RackService service(
      loop, rack, **store, **publisher, {kVersion, std::to_string(random()), [&guard](v1::RackState* state) {
                                           (*guard)->Tell(state);
                                         }});
  events.Attach(**publisher, rack, [&service] { service.OnSyncChange(); });
  rpc::HandlerTable table = service.Table();
  (*guard)->AddTo(&table);
  auto server = rpc::Server::Bind(loop, context, config.controller.listen, std::move(table), (*guard)->security());
  if (!server.ok()) return Fail(server.status());
  service.SetEndpoint((*server)->endpoint());
  if (const Status told = (*state_dir)->WriteEndpoints((*server)->endpoint(), (*publisher)->endpoint()); !told.ok()) {
    return Fail(told);
  }

  std::vector<McuLine::Options> options;
  for (int i = 0; i < rack.boards(); ++i) {
    auto of_board = LineOptions(config, i, flags.capture, random());
    if (!of_board.ok()) return Fail(of_board.status());
    options.push_back(std::move(*of_board));
  }
  lines.emplace(loop, rack, std::move(options));
  rack.grants().OnOwnEnd([&guard](const OwnEnd& end) {
    const std::string of = end.reservation.empty() ? "" : fmt::format(" of {}", end.reservation);
    const std::string what = fmt::format("{}'s lease {}{}", end.holder, end.lease, of);
    (*guard)->audit().Note("lease_ended", end.slot, what, end.why, end.trace);
  });
  (*guard)->OnLook([&rack, &guard] {
    rack.grants().EndOfGone([&guard](const std::string& holder) { return (*guard)->WhyGone(holder); }, Time());
  });
  loop.AddPeriodic("rack tick", kTick, [&] {
    rack.OnTime(Time());
    service.OnTime(Time());
  });
  FeedWatchdog(loop);

  log::Info("rack {}: {} slots on {} boards, listening on {}, events on {}",
            config.rack,
            config.slots.size(),
            config.boards.size(),
            (*server)->endpoint(),
            (*publisher)->endpoint());
  sd_notify(0, "READY=1");
  const int code = loop.Run();
  sd_notify(0, "STOPPING=1");
  lines.reset();  // before what they report to
  return code;
}

int Main(int argc, char** argv) {
  log::Program() = "controller";
  ::umask(0077);  // keys, users and records are this user's alone
  CLI::App app{
      "Owns one rack's hardware and the leases on it.\n\nExamples:\n"
      "  faraday-controller --config rack-configs/r01.yaml --check\n"
      "  faraday-controller --config /etc/faraday/r01.yaml --capture /tmp/r01.link\n"
      "  faraday-controller --config /etc/faraday/r01.yaml --enrol tcp://lab:7710 < code\n"
      "  faraday-controller --config /etc/faraday/r01.yaml user add ana --role user   (a rack without a lab)",
      "faraday-controller"};
  Flags flags;
  app.add_option("--config", flags.config, "the rack's YAML (docs/reference/rack-config.md)")->required();
  app.add_flag("--check", flags.check, "read the config, print every mistake, exit 0 or 2");
  app.add_option(
      "--capture", flags.capture, "append every frame of the line to this file; with several boards .0, .1, ...");
  app.add_option(
         "--enrol", flags.enrol, "enrol this rack at the lab with the one-time code on standard input, then end")
      ->type_name("tcp://LAB:PORT");
  app.add_option("--away", flags.away_s, "seconds of absence to announce to the boards on SIGTERM; 0: none")
      ->check(CLI::Range(0, 3600))
      ->capture_default_str();
  app.set_version_flag("--version", std::string("faraday-controller ") + kVersion);
  app.prefix_command();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadConfig;
  }
  flags.words = app.remaining();
  if (!flags.words.empty() && !access::IsAdminWord(flags.words.front())) {
    std::fprintf(stderr, "'%s' is no word of faraday-controller: see --help\n", flags.words.front().c_str());
    return kBadConfig;
  }
  const rackconfig::LoadedRack loaded = rackconfig::LoadRackConfig(flags.config);
  const std::string report = rackconfig::CheckReport(loaded, flags.config);
  if (!loaded.ok() || flags.check) {
    std::fputs(report.c_str(), loaded.ok() ? stdout : stderr);
    return loaded.ok() ? 0 : kBadConfig;
  }
  if (!flags.words.empty()) {
    return Fail(access::BecomeAdmin(
        {loaded.config->controller.state_dir, "--controller", IsPlain(*loaded.config), std::move(flags.words)}));
  }
  if (!flags.enrol.empty()) return EnrolAt(flags.enrol, *loaded.config);
  return Run(*loaded.config, flags);
}

}  // namespace
}  // namespace faraday::controller

int main(int argc, char** argv) { return faraday::controller::Main(argc, argv); }
