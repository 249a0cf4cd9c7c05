// faraday-controller: owns one rack's hardware and the leases on it. This file is the list of its parts.
#include <systemd/sd-daemon.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <memory>
#include <random>
#include <vector>

#include "base/log.h"
#include "controller/core/rack.h"
#include "controller/mcu_line/mcu_line.h"
#include "controller/sqlite/sqlite_store.h"
#include "controller/state_dir.h"
#include "controller/zmq/event_publisher.h"
#include "controller/zmq/rack_service.h"
#include "rackconfig/yaml_rack_config.h"

namespace faraday::controller {
namespace {

constexpr char kVersion[] = "0.1.0";
constexpr int kBadConfig = 2;
constexpr int kSuperseded = 3;
constexpr int kAwaySeconds = 60;        // what a restart or an upgrade may take; chosen
constexpr Milliseconds kFarewell{200};  // eight times the announcement; chosen
// Callers of commands under way are still told that the outcome is unknown.
constexpr Milliseconds kLastAnswers = kFreshAfterLoss + Milliseconds(200);

struct Flags {
  std::string config;
  std::string capture;
  int away_s = kAwaySeconds;
  bool check = false;
};

int Fail(const Status& status) {
  log::Error("{}", status.message());
  return status.code() == Code::kInvalidArgument ? kBadConfig : 1;
}

Now Time() { return {BootClock::now(), UtcNow()}; }

Result<std::unique_ptr<McuLine>> MakeLine(
    evloop::Loop& loop, const rackconfig::RackConfig& config, Board& board, const std::string& capture, uint32_t seed) {
  const rackconfig::BoardConfig& wiring = config.boards.at(static_cast<size_t>(board.index()));
  McuLine::Options options;
  options.rack = config.rack;
  options.version = kVersion;
  options.seed = seed;
  options.open = [port = wiring.port] { return OpenTransport(port); };
  options.superseded = [&loop](const std::string& why) {
    log::Error("{}; this one ends. One controller may own a rack: check for a second --config of it", why);
    loop.AddTimer("last answers", BootClock::now() + kLastAnswers, [&loop] { loop.Stop(kSuperseded); });
  };
  std::string file = wiring.capture;
  if (!capture.empty()) file = config.boards.size() == 1 ? capture : capture + "." + std::to_string(board.index());
  if (!file.empty()) {
    FARADAY_TRY_ASSIGN(options.capture, Capture::Open(file));
  }
  return std::make_unique<McuLine>(loop, std::move(options), board);
}

// systemd's watchdog is fed only while the loop turns.
void FeedWatchdog(evloop::Loop& loop) {
  uint64_t period_us = 0;
  if (sd_watchdog_enabled(0, &period_us) <= 0) return;
  loop.AddPeriodic("watchdog", Milliseconds(period_us / 3000), [] { sd_notify(0, "WATCHDOG=1"); });
}

int Run(const rackconfig::RackConfig& config, const Flags& flags) {
  const auto state_dir = StateDir::Open(config.controller.state_dir);
  if (!state_dir.ok()) return Fail(state_dir.status());
  auto store = SqliteStore::Open((*state_dir)->path() + "/controller.db", config.rack);
  if (!store.ok()) return Fail(store.status());
  LeaseBook book(config, **store, BootId());
  if (const Status loaded = book.Load(Time()); !loaded.ok()) return Fail(loaded);

  evloop::Loop loop;
  std::vector<std::unique_ptr<McuLine>> lines;
  loop.OnSignals({SIGTERM, SIGINT}, [&loop, &lines, &flags](int) {
    for (auto& line : lines) line->AnnounceAbsence(std::chrono::seconds(flags.away_s));
    loop.AddTimer("farewell", BootClock::now() + kFarewell, [&loop] { loop.Stop(0); });
  });
  zmq::context_t context(1);
  std::random_device random;
  EventPublisher events(config.rack);
  Rack rack(config, book, events, random());
  auto publisher = rpc::Publisher::Bind(loop, context, config.controller.events);
  if (!publisher.ok()) return Fail(publisher.status());
  RackService service(loop, rack, **store, **publisher, {kVersion, std::to_string(random())});
  events.Attach(**publisher, rack, [&service] { service.OnSyncChange(); });
  auto server = rpc::Server::Bind(loop, context, config.controller.listen, service.Table());
  if (!server.ok()) return Fail(server.status());
  service.SetEndpoint((*server)->endpoint());
  if (const Status told = (*state_dir)->WriteEndpoints((*server)->endpoint(), (*publisher)->endpoint()); !told.ok()) {
    return Fail(told);
  }

  for (int i = 0; i < rack.boards(); ++i) {
    auto line = MakeLine(loop, config, rack.board(i), flags.capture, random());
    if (!line.ok()) return Fail(line.status());
    rack.board(i).SetLine(line->get());
    lines.push_back(std::move(*line));
  }
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
  lines.clear();  // before what they report to
  return code;
}

int Main(int argc, char** argv) {
  log::Program() = "controller";
  CLI::App app{
      "Owns one rack's hardware and the leases on it.\n\nExamples:\n"
      "  faraday-controller --config rack-configs/r01.yaml --check\n"
      "  faraday-controller --config /etc/faraday/r01.yaml --capture /tmp/r01.link",
      "faraday-controller"};
  Flags flags;
  app.add_option("--config", flags.config, "the rack's YAML (docs/reference/rack-config.md)")->required();
  app.add_flag("--check", flags.check, "read the config, print every mistake, exit 0 or 2");
  app.add_option(
      "--capture", flags.capture, "append every frame of the line to this file; with several boards .0, .1, ...");
  app.add_option("--away", flags.away_s, "seconds of absence to announce to the boards on SIGTERM; 0: none")
      ->check(CLI::Range(0, 3600))
      ->capture_default_str();
  app.set_version_flag("--version", std::string("faraday-controller ") + kVersion);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadConfig;
  }
  const rackconfig::LoadedRack loaded = rackconfig::LoadRackConfig(flags.config);
  const std::string report = rackconfig::CheckReport(loaded, flags.config);
  if (!loaded.ok() || flags.check) {
    std::fputs(report.c_str(), loaded.ok() ? stdout : stderr);
    return loaded.ok() ? 0 : kBadConfig;
  }
  return Run(*loaded.config, flags);
}

}  // namespace
}  // namespace faraday::controller

int main(int argc, char** argv) { return faraday::controller::Main(argc, argv); }
