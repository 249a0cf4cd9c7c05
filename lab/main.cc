// faraday-lab: the front door over any number of racks. Parts list; decisions live in lab/core.
#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/file.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

#include "base/log.h"
#include "evloop/loop.h"
#include "lab/config/lab_config.h"
#include "lab/core/lab.h"
#include "lab/sqlite/schema.h"
#include "lab/sqlite/spool.h"
#include "lab/sqlite/sqlite_store.h"
#include "lab/zmq/racks.h"
#include "lab/zmq/service.h"
#include "rpc/publisher.h"
#include "rpc/server.h"

namespace faraday::lab {
namespace {

// One lab a state folder; the kernel drops the lock however the program ends.
Status LockStateDir(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return {Code::kUnavailable, fmt::format("cannot make state_dir {}: {}", folder, error.message())};
  const std::string path = folder + "/lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return {Code::kUnavailable, fmt::format("cannot open {}: {}", path, std::strerror(errno))};
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return OkStatus();
  ::close(fd);
  return {Code::kFailedPrecondition,
          fmt::format("another faraday-lab runs on {}: end it, or give this one its own state_dir", folder)};
}

Status WriteEndpoints(const std::string& folder, const std::string& listen, const std::string& events) {
  const std::string path = folder + "/endpoints";
  {
    std::ofstream out(path + ".new");
    out << "listen " << listen << "\nevents " << events << "\n";
    if (!out.flush()) return {Code::kUnavailable, fmt::format("cannot write {}.new", path)};
  }
  if (std::rename((path + ".new").c_str(), path.c_str()) == 0) return OkStatus();
  return {Code::kUnavailable, fmt::format("cannot write {}: {}", path, std::strerror(errno))};
}

std::vector<std::string> NamesOf(const std::vector<RackEntry>& racks) {
  std::vector<std::string> names;
  for (const auto& entry : racks) names.push_back(entry.rack);
  return names;
}

std::vector<RackAddress> AddressesOf(const std::vector<RackEntry>& racks) {
  std::vector<RackAddress> addresses;
  for (const auto& entry : racks) addresses.push_back({entry.rack, entry.controller, entry.events});
  return addresses;
}

void FeedWatchdog(evloop::Loop& loop) {
  uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) <= 0) return;
  loop.AddPeriodic("watchdog", Milliseconds(microseconds / 3000), [] { sd_notify(0, "WATCHDOG=1"); });
}

Result<int> Run(const LabConfig& config) {
  evloop::Loop loop;
  loop.OnSignals({SIGTERM, SIGINT}, [&loop](int) { loop.Stop(0); });
  FARADAY_TRY(LockStateDir(config.state_dir));
  zmq::context_t context;

  FARADAY_TRY_ASSIGN(Database database, Database::Open(config.state_dir + "/lab.sqlite", LabMigrations()));
  SqliteStore store(database);
  FARADAY_TRY_ASSIGN(const auto spool, Spool::Open(database, config.state_dir + "/spool"));
  FARADAY_TRY_ASSIGN(const auto publisher, rpc::Publisher::Bind(loop, context, config.events, rpc::Plain()));

  Racks racks(loop, context);
  std::optional<Service> service;
  const std::string run = fmt::format("{}-{}", UtcNow().since_epoch.count(), ::getpid());
  Lab lab(store,
          racks,
          NamesOf(config.racks),
          run,
          {[&](const Reservation& reservation) {
             if (service) service->OnChanged(reservation);
           },
           [&](const Job& job) {
             if (service) service->OnChanged(job);
           }});
  FARADAY_TRY(lab.Start(ReadClocks()));
  service.emplace(loop, lab, racks, *spool, *publisher);
  racks.Start(AddressesOf(config.racks),
              {[&](RackFacts facts) { lab.OnRackFacts(std::move(facts), ReadClocks()); },
               [&](const model::SlotId& slot, const std::string& key, Result<LeaseFacts> lease) {
                 lab.OnAcquired(slot, key, std::move(lease), ReadClocks());
               },
               [&](const std::string& lease, const Status& status) { lab.OnReleased(lease, status, ReadClocks()); },
               [&] { return lab.anyone_waits(); }});

  FARADAY_TRY_ASSIGN(const auto server, rpc::Server::Bind(loop, context, config.listen, service->Table(), rpc::Plain()));
  FARADAY_TRY(WriteEndpoints(config.state_dir, server->endpoint(), publisher->endpoint()));
  log::Info("serves {} racks on {}, events on {}", config.racks.size(), server->endpoint(), publisher->endpoint());
  FeedWatchdog(loop);
  sd_notify(0, "READY=1");
  const int code = loop.Run();
  sd_notify(0, "STOPPING=1");
  log::Info("ends");
  return code;
}

}  // namespace
}  // namespace faraday::lab

int main(int argc, char** argv) {
  using namespace faraday;
  log::Program() = "lab";
  CLI::App app{
      "faraday-lab: takes reservations and jobs, places them on the phones of its racks, keeps their history."};
  std::string path;
  bool check = false;
  app.add_option("--config", path, "the lab's YAML: listen, events, state_dir, racks [{rack, controller, events}]")
      ->required();
  app.add_flag("--check", check, "read the config, say every mistake, and end");
  app.set_version_flag("--version", "faraday-lab 0.1.0");
  app.footer(
      "Example:\n  faraday-lab --config /etc/faraday/lab.yaml\n\nExit codes: 0 ended by SIGTERM or SIGINT, 1 cannot "
      "serve (see stderr), 2 bad usage or config.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  lab::LabConfig config;
  const auto mistakes = lab::ReadLabConfig(path, &config);
  fmt::print(stderr, "{}", rackconfig::Describe(mistakes));
  if (!rackconfig::Usable(mistakes)) return 2;
  if (check) {
    fmt::print("{}: good: {} rack(s)\n", path, config.racks.size());
    return 0;
  }
  const auto code = lab::Run(config);
  if (code.ok()) return *code;
  log::Error("{}", ToString(code.status()));
  return 1;
}
