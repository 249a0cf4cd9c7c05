// faraday-lab: the front door over any number of racks. Parts list; decisions live in lab/core.
#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include "access/local_admin.h"
#include "base/log.h"
#include "evloop/loop.h"
#include "lab/config/lab_config.h"
#include "lab/core/lab.h"
#include "lab/sqlite/schema.h"
#include "lab/sqlite/spool.h"
#include "lab/sqlite/sqlite_store.h"
#include "lab/zmq/racks.h"
#include "lab/zmq/service.h"
#include "rpc/guard.h"
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

rpc::Guard::Options GuardOptions(const LabConfig& config) {
  return {.name = "lab",
          .role = access::Role::kLab,
          .state_dir = config.state_dir,
          .endpoint = config.listen,
          .plain = config.security == rackconfig::Security::kPlain,
          .audit_days = config.audit.keep_days,
          .audit_mb = config.audit.max_mb};
}

// Where agents and people find the enrolled controllers: the roster says it, from the lab's list of racks.
void FillEndpoints(rpc::Guard& guard, const std::vector<RackEntry>& racks) {
  for (const RackEntry& entry : racks) {
    if (guard.ControllerKey(entry.rack) == nullptr) continue;
    const Status filled = guard.registry()->FillEndpoint(entry.rack, entry.controller, UtcNow());
    if (!filled.ok()) log::Error("endpoint of {}: {}", entry.rack, filled.message());
  }
}

// A new signer for the rosters, while the lab is stopped.
Result<std::string> RotateSigner(const LabConfig& config) {
  FARADAY_TRY(access::CheckOwner(config.state_dir));
  if (const Status locked = LockStateDir(config.state_dir); !locked.ok()) {
    return Status(locked.code(), "the signer is replaced while the lab is stopped: " + locked.message());
  }
  FARADAY_TRY_ASSIGN(const std::string done, rpc::Guard::RotateSigner(GuardOptions(config)));
  return done + ". Start faraday-lab: controllers and agents follow by themselves; the old key is of no use then";
}

Result<int> Run(const LabConfig& config) {
  evloop::Loop loop;
  loop.OnSignals({SIGTERM, SIGINT}, [&loop](int) { loop.Stop(0); });
  FARADAY_TRY(LockStateDir(config.state_dir));
  zmq::context_t context;

  FARADAY_TRY_ASSIGN(const auto guard, rpc::Guard::Open(loop, context, GuardOptions(config)));
  FARADAY_TRY_ASSIGN(Database database, Database::Open(config.state_dir + "/lab.sqlite", LabMigrations()));
  SqliteStore store(database);
  FARADAY_TRY_ASSIGN(const auto spool, Spool::Open(database, config.state_dir + "/spool"));
  FARADAY_TRY_ASSIGN(const auto publisher, rpc::Publisher::Bind(loop, context, config.events, guard->security()));
  guard->Watch(*publisher);

  Racks racks(loop, context, *guard);
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
           },
           [&](const OwnAct& act) { guard->audit().Note(act.act, act.on, act.what, act.why, act.trace); }});
  FARADAY_TRY(lab.Start(ReadClocks()));
  service.emplace(loop, lab, racks, *spool, *publisher, *guard);
  racks.Start(AddressesOf(config.racks),
              {[&](RackFacts facts) { lab.OnRackFacts(std::move(facts), ReadClocks()); },
               [&](const model::SlotId& slot, const std::string& key, Result<LeaseFacts> lease) {
                 lab.OnAcquired(slot, key, std::move(lease), ReadClocks());
               },
               [&](const std::string& lease, const Status& status) { lab.OnReleased(lease, status, ReadClocks()); },
               [&] { return lab.anyone_waits(); }});
  uint64_t roster = 0;
  guard->OnLook([&] {
    FillEndpoints(*guard, config.racks);
    lab.CancelOfGone([&](const std::string& user) { return guard->WhyGone(user); }, ReadClocks());
    if (std::exchange(roster, guard->roster_number()) == guard->roster_number()) return;
    racks.BringRoster();
    service->OnRoster();
  });

  rpc::HandlerTable table = service->Table();
  guard->AddTo(&table);
  FARADAY_TRY_ASSIGN(const auto server,
                     rpc::Server::Bind(loop, context, config.listen, std::move(table), guard->security()));
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

namespace {

constexpr char kRotateSigner[] = "rotate-signer";

// The break-glass key opens this lab and no rack: only the lab's own log is asked for, unless the words say another.
std::vector<std::string> AdminWords(std::vector<std::string> words) {
  const auto has = [&words](const char* word) { return std::find(words.begin(), words.end(), word) != words.end(); };
  if (words.front() == "audit" && !has("--server") && !has("--rack") && !has("--file")) {
    words.insert(words.begin() + 1, "--server");
  }
  return words;
}

int Fail(const faraday::Status& status) {
  faraday::log::Error("{}", ToString(status));
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace faraday;
  log::Program() = "lab";
  ::umask(0077);  // keys, users and records are this user's alone
  CLI::App app{
      "faraday-lab: takes reservations and jobs, places them on the phones of its racks, keeps their history."};
  std::string path;
  bool check = false;
  app.add_option("--config", path, "the lab's YAML: listen, events, state_dir, racks [{rack, controller, events}]")
      ->required();
  app.add_flag("--check", check, "read the config, say every mistake, and end");
  app.set_version_flag("--version", "faraday-lab 0.1.0");
  app.prefix_command();
  app.footer(
      "Examples:\n"
      "  faraday-lab --config /etc/faraday/lab.yaml\n"
      "  faraday-lab --config /etc/faraday/lab.yaml user add ana --role user     the words of faraday, as local admin\n"
      "  faraday-lab --config /etc/faraday/lab.yaml audit --on ana          the lab's own log: what was done about "
      "ana\n"
      "  faraday-lab --config /etc/faraday/lab.yaml rotate-signer                a new key for the rosters; lab "
      "stopped\n"
      "\nExit codes: 0 ended by SIGTERM or SIGINT, 1 cannot "
      "serve (see stderr), 2 bad usage or config.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  lab::LabConfig config;
  const std::vector<std::string> words = app.remaining();
  const std::string word = words.empty() ? "" : words.front();
  if (!word.empty() && word != kRotateSigner && !access::IsAdminWord(word)) {
    fmt::print(stderr, "'{}' is no word of faraday-lab: see --help\n", word);
    return 2;
  }
  const auto mistakes = lab::ReadLabConfig(path, &config);
  fmt::print(stderr, "{}", rackconfig::Describe(mistakes));
  if (!rackconfig::Usable(mistakes)) return 2;
  if (check) {
    fmt::print("{}: good: {} rack(s)\n", path, config.racks.size());
    return 0;
  }
  if (access::IsAdminWord(word)) {
    const bool plain = config.security == rackconfig::Security::kPlain;
    return Fail(access::BecomeAdmin({config.state_dir, "--lab", plain, AdminWords(words)}));
  }
  if (word == kRotateSigner) {
    const auto done = lab::RotateSigner(config);
    if (!done.ok()) return Fail(done.status());
    fmt::print("{}\n", *done);
    return 0;
  }
  const auto code = lab::Run(config);
  return code.ok() ? *code : Fail(code.status());
}
