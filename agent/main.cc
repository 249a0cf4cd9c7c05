// faraday-agent: finds the phones whose cables run to this host and runs jobs on them. Parts list; decisions live in
// agent/core.
#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>

#include "access/local_admin.h"
#include "access/membership.h"
#include "agent/adb/adb_phones.h"
#include "agent/config/agent_config.h"
#include "agent/core/agent.h"
#include "agent/journal/file_journal.h"
#include "agent/runner/folder.h"
#include "agent/runner/process_runners.h"
#include "agent/runner/process_tree.h"
#include "agent/zmq/lab_link.h"
#include "agent/zmq/racks.h"
#include "agent/zmq/uploader.h"
#include "base/log.h"
#include "evloop/loop.h"
#include "rpc/enrolment.h"

namespace faraday::agent {
namespace {

constexpr char kKeyFile[] = "keys/agent.key";
constexpr Milliseconds kTick{50};  // chosen: the core's steps follow one another at this pace at most

// Keys, jobs' variables and logs lie in it.
Status CloseToOthers(const std::string& folder) {
  struct stat found {};
  if (::stat(folder.c_str(), &found) != 0) {
    return {Code::kUnavailable, fmt::format("state_dir {}: {}", folder, std::strerror(errno))};
  }
  if ((found.st_mode & (S_IRWXG | S_IRWXO)) == 0) return OkStatus();
  if (found.st_uid != ::geteuid() || ::chmod(folder.c_str(), S_IRWXU) != 0) {
    return {
        Code::kFailedPrecondition,
        fmt::format("state_dir {} is open to other accounts: its owner closes it with chmod 700 {}", folder, folder)};
  }
  log::Warn("state_dir {} was open to other accounts (mode {:o}): closed to 700", folder, found.st_mode & 07777U);
  return OkStatus();
}

// One agent a state folder; the kernel drops the lock however the program ends.
Status LockStateDir(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return {Code::kUnavailable, fmt::format("cannot make state_dir {}: {}", folder, error.message())};
  FARADAY_TRY(CloseToOthers(folder));
  const auto lock = folder::Lock(folder);
  if (lock.ok()) return OkStatus();  // held until the process ends
  if (lock.status().code() != Code::kAlreadyExists) return lock.status();
  return {Code::kFailedPrecondition,
          fmt::format("another faraday-agent runs on {}: end it, or give this one its own state_dir", folder)};
}

void FeedWatchdog(evloop::Loop& loop) {
  uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) <= 0) return;
  loop.AddPeriodic("watchdog", Milliseconds(microseconds / 3000), [] { sd_notify(0, "WATCHDOG=1"); });
}

bool IsPlain(const AgentConfig& config) { return config.security == rackconfig::Security::kPlain; }

// One step for a person: the code comes on standard input.
Result<std::string> EnrolAt(const std::string& server, const AgentConfig& config) {
  if (IsPlain(config)) {
    return Status(Code::kInvalidArgument, "security is plain: no keys, nothing to enrol; take it out first");
  }
  FARADAY_TRY(access::CheckOwner(config.state_dir));
  FARADAY_TRY(LockStateDir(config.state_dir));
  rpc::EnrolMachine machine;
  machine.server = !server.empty() ? server : config.lab.empty() ? config.controllers.front() : config.lab;
  machine.name = config.agent;
  machine.role = access::Role::kAgent;
  machine.state_dir = config.state_dir;
  machine.key_file = kKeyFile;
  // Controllers without a lab keep their users each for itself.
  machine.takes_roster = machine.server == config.lab;
  FARADAY_TRY_ASSIGN(const std::string code, rpc::ReadCodeFromStdin());
  zmq::context_t context;
  return rpc::Enrol(context, machine, code);
}

// Who the agent is, and whose keys it knows.
class Identity {
 public:
  static Result<std::unique_ptr<Identity>> Open(const AgentConfig& config) {
    std::unique_ptr<Identity> identity(new Identity(config));
    if (IsPlain(config)) {
      log::Warn("security: plain: nothing is encrypted and servers are believed; loopback and ipc only");
      return identity;
    }
    const std::string what = config.agent + " (agent)";
    FARADAY_TRY_ASSIGN(const access::SecretKey secret,
                       access::ReadOrMakeSecret(config.state_dir + "/" + kKeyFile, what));
    identity->keys_ = std::make_shared<const access::KeyPair>(access::KeyPairOf(secret));
    FARADAY_TRY_ASSIGN(identity->membership_, access::Membership::Open(config.state_dir, identity->directory_));
    const access::Membership& membership = *identity->membership_;
    if (!membership.roster().note().empty()) log::Warn("{}", membership.roster().note());
    if (membership.servers().empty()) {
      log::Warn(
          "this agent is not enrolled: get a code (user add {} --role agent), then: faraday-agent --config FILE "
          "--enrol",
          config.agent);
    }
    return identity;
  }
  rpc::Credentials AtLab() const {
    return As([this](const std::string& endpoint) { return membership_->KeeperKey(endpoint); });
  }
  rpc::Credentials AtControllers() const {
    return As([this](const std::string& endpoint) { return membership_->ControllerKey(endpoint); });
  }
  // "" when no roster says.
  std::string RackAt(const std::string& endpoint) const {
    const access::Entry* entry = directory_.FindEndpoint(endpoint);
    return entry == nullptr ? "" : entry->user;
  }
  uint64_t roster() const { return membership_ ? membership_->roster().number() : 0; }
  // The number in force, or that of the refused one.
  uint64_t TakeRoster(const v1::SignedRoster& roster) {
    if (!membership_) return 0;
    const Status taken = membership_->Accept(roster.SerializeAsString());
    if (taken.ok()) {
      log::Info("roster {} is in force", this->roster());
      return this->roster();
    }
    log::Error("the lab's roster is refused: {}", taken.message());
    v1::Roster refused;
    return refused.ParseFromString(roster.roster()) ? std::max(refused.number(), this->roster()) : UINT64_MAX;
  }

 private:
  explicit Identity(const AgentConfig& config) : agent_(config.agent) {}
  rpc::Credentials As(std::function<Result<access::PublicKey>(const std::string& endpoint)> server_key) const {
    rpc::Credentials who;
    who.caller.set_user(agent_);
    who.caller.set_role("agent");
    who.keys = keys_;
    if (keys_) who.server_key = std::move(server_key);
    return who;
  }

  std::string agent_;
  rpc::Keys keys_;
  access::RosterDirectory directory_;
  std::unique_ptr<access::Membership> membership_;  // null: plain
};

Result<int> Run(const AgentConfig& config) {
  evloop::Loop loop;
  loop.OnSignals({SIGTERM, SIGINT}, [&loop](int) { loop.Stop(0); });
  FARADAY_TRY(LockStateDir(config.state_dir));
  std::error_code ignored;
  std::filesystem::remove(config.state_dir + "/ready", ignored);
  if (sodium_init() < 0) return Status(Code::kInternal, "libsodium does not start");
  FARADAY_TRY_ASSIGN(const auto identity, Identity::Open(config));
  const std::string attempts_dir = config.state_dir + "/attempts";
  zmq::context_t context;

  std::optional<Agent> agent;  // the parts below speak to it only once the loop runs
  BecomeSubreaper();           // what a job that killed its runner leaves becomes ours
  FileJournal journal(loop, config.state_dir);
  AdbPhones phones(loop, config.adb, config.state_dir + "/adb", [&](const std::string& slot, Facts facts) {
    if (const auto name = config.model_names.find(facts.model); name != config.model_names.end())
      facts.model = name->second;
    agent->OnFacts(slot, facts, BootClock::now());
  });
  ProcessRunners runners(loop, config.runner, attempts_dir, [&](const std::string& attempt, const RunEnd& end) {
    agent->OnRunEnded(attempt, end, BootClock::now());
  });
  LabLink lab(
      loop,
      context,
      config.lab,
      identity->AtLab(),
      config.agent,
      config.host,
      [&](const std::vector<AttemptWish>& attempts) { agent->OnLabSync(attempts, BootClock::now()); },
      identity->roster(),
      [&](const v1::SignedRoster& roster) { return identity->TakeRoster(roster); });
  Uploader spool(loop, lab, attempts_dir);
  Racks racks(
      loop,
      context,
      identity->AtControllers(),
      config.agent,
      config.host,
      [&](const std::string& endpoint) { return identity->RackAt(endpoint); },
      [&](int controller, const std::vector<SlotWish>& slots, bool fresh) {
        if (fresh) agent->OnRackBack(controller);
        agent->OnRackSync(controller, slots, BootClock::now());
      });
  agent.emplace(config.host, Ports{racks, phones, runners, spool, lab, journal});
  agent->TakeUp(journal.LoadAttempts(), journal.LoadEpochs(), BootClock::now());
  for (const std::string& endpoint : config.controllers) racks.Add(endpoint);
  loop.AddPeriodic("agent", kTick, [&] { agent->Tick(BootClock::now(), UtcNow()); });

  FARADAY_TRY(folder::Replace(config.state_dir + "/ready", fmt::format("pid {}\n", ::getpid())));
  log::Info("agent {} of host {}: {} controllers, lab {}",
            config.agent,
            config.host,
            config.controllers.size(),
            config.lab.empty() ? "none" : config.lab);
  FeedWatchdog(loop);
  sd_notify(0, "READY=1");
  const int code = loop.Run();
  sd_notify(0, "STOPPING=1");
  std::filesystem::remove(config.state_dir + "/ready", ignored);
  phones.KillExcept(agent->SlotsInUse());
  log::Info("ends; {} running commands go on under their runners and are taken up by the next agent",
            runners.running());
  return code;
}

}  // namespace
}  // namespace faraday::agent

int main(int argc, char** argv) {
  using namespace faraday;
  log::Program() = "agent";
  ::umask(S_IRWXG | S_IRWXO);  // also of its runners, jobs and adb servers
  CLI::App app{"faraday-agent: finds the phones whose cables run to this host and runs jobs on them."};
  std::string path;
  bool check = false;
  std::string enrol;
  app.add_option("--config", path, "the agent's YAML: agent, host, controllers, lab, state_dir, adb, runner")
      ->required();
  app.add_flag("--check", check, "read the config, say every mistake, and end");
  auto* enrol_option =
      app.add_option(
             "--enrol",
             enrol,
             "enrol this agent with the one-time code on standard input, then end; at the config's lab, else its "
             "first controller, or at the endpoint given")
          ->expected(0, 1)
          ->type_name("[tcp://HOST:PORT]");
  app.set_version_flag("--version", "faraday-agent " FARADAY_VERSION);
  app.footer(
      "Examples:\n  faraday-agent --config /etc/faraday/agent.yaml\n"
      "  faraday-agent --config /etc/faraday/agent.yaml --enrol < code\n\nSIGTERM leaves running commands alone: the "
      "next "
      "agent takes them up.\nExit codes: 0 ended by SIGTERM or SIGINT, 1 cannot serve (see stderr), 2 bad usage or "
      "config.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  agent::AgentConfig config;
  const auto mistakes = agent::ReadAgentConfig(path, &config);
  if (!mistakes.empty()) fmt::print(stderr, "{}", rackconfig::Describe(mistakes));
  if (!rackconfig::Usable(mistakes)) return 2;
  if (check) return 0;
  if (enrol_option->count() > 0) {
    const auto done = agent::EnrolAt(enrol, config);
    if (done.ok()) fmt::print("{}\n", *done);
    if (!done.ok()) log::Error("{}", done.status().message());
    return done.ok() ? 0 : 1;
  }
  const auto code = agent::Run(config);
  if (code.ok()) return *code;
  log::Error("{}", code.status().message());
  return 1;
}
