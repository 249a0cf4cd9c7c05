// faraday-sim: a rack's boards, plant and phones on a bench. A parts list: read the files, build the bench, run the
// loop.
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/log.h"
#include "evloop/loop.h"
#include "rackconfig/yaml_rack_config.h"
#include "sim/bench/bench.h"
#include "sim/bench/control_client.h"
#include "sim/bench/scenario.h"
#include "sim/board/native_machine.h"
#include "sim/qemu/qemu_machine.h"

#ifndef FARADAY_VERSION
#define FARADAY_VERSION "0.1.0"
#endif

namespace {

using namespace faraday;  // NOLINT: a program's own file

constexpr int kBadConfig = 2;

constexpr const char* kImage = "faraday-firmware-ast1030.elf";

struct ServeOptions {
  std::vector<std::string> configs;
  std::vector<std::string> scenarios;
  std::string run_dir;
  std::string board = "native";
  std::string firmware;
};

// One rack of the run; the bench refers to the other two.
struct Rack {
  rackconfig::RackConfig config;
  sim::Scenario scenario;
  std::string run_dir;
  std::unique_ptr<sim::Bench> bench;
};

std::string Footer() {
  std::string text =
      "Runs the boards of a rack and its phones: the firmware as a part of this process (--board native), or the real\n"
      "image, one qemu-system-arm a board (--board ast1030), with the same physics and control commands.\n"
      "It makes each board's port.path (a pty) or port.socket appear, listens at each phone's adb address while its "
      "data\n"
      "path reaches that host, and takes commands at RUN_DIR/control. RUN_DIR/ready appears when all of it stands.\n\n"
      "Example:\n"
      "  export FARADAY_RUN=/tmp/rack\n"
      "  faraday-sim --config rack-configs/r01.yaml --scenario sim/scenarios/demo.yaml --run-dir /tmp/rack/sim &\n"
      "  faraday-sim ctl --run-dir /tmp/rack/sim state r01/01\n"
      "  faraday-sim fault r01/01 short             (off mends it; run folder: --run-dir, else "
      "$FARADAY_RUN/sim)\n\nCommands of ctl:\n";
  for (const sim::CommandHelp& help : sim::ControlHelp()) text += fmt::format("  {:<38} {}\n", help.usage, help.text);
  return text;
}

int Refuse(const std::vector<rackconfig::Mistake>& mistakes) {
  fmt::print(stderr, "{}", rackconfig::Describe(mistakes));
  return kBadConfig;
}

int Refuse(const std::string& what) {
  fmt::print(stderr, "faraday-sim: {}\n", what);
  return kBadConfig;
}

// The image that the build puts beside this program.
std::string ImageBesideProgram() {
  std::error_code error;
  return (std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / kImage).string();
}

Result<sim::MachineFactory> MachinesOf(const ServeOptions& options) {
  if (options.board == "native") return sim::MachineFactory(sim::NativeMachine::Make);
  return sim::qemu::QemuMachine::Factory(options.firmware.empty() ? ImageBesideProgram() : options.firmware);
}

// 0, or the exit code after the mistakes were told.
int Load(const ServeOptions& options, size_t index, Rack& rack) {
  const auto config = rackconfig::LoadRackConfig(options.configs[index]);
  if (!config.ok()) return Refuse(config.mistakes);
  const auto loaded = sim::LoadScenario(options.scenarios[index], *config.config);
  if (!loaded.scenario) return Refuse(loaded.mistakes);
  for (const auto& warning : loaded.mistakes) log::Warn("{}", rackconfig::ToString(warning));
  rack.config = *config.config;
  rack.scenario = *loaded.scenario;
  rack.run_dir = options.configs.size() == 1 ? options.run_dir : options.run_dir + "/" + rack.config.rack;
  for (const rackconfig::BoardConfig& board : rack.config.boards) {
    if (board.kind.empty() || board.kind == options.board) continue;
    return Refuse(
        fmt::format("{} asks for a board of kind {}: add --board {}", options.configs[index], board.kind, board.kind));
  }
  return 0;
}

int LoadAll(const ServeOptions& options, std::vector<Rack>& racks) {
  if (options.configs.size() != options.scenarios.size()) {
    return Refuse(fmt::format("{} --config but {} --scenario: give them in pairs, one a rack",
                              options.configs.size(),
                              options.scenarios.size()));
  }
  std::set<std::string> names;
  for (size_t i = 0; i < options.configs.size(); ++i) {
    if (const int code = Load(options, i, racks.emplace_back()); code != 0) return code;
    if (names.insert(racks.back().config.rack).second) continue;
    return Refuse(
        fmt::format("two racks are called {}: each --config needs a name of its own", racks.back().config.rack));
  }
  return 0;
}

Status StartRack(evloop::Loop& loop, Rack& rack, const sim::MachineFactory& machines, const std::string& board) {
  rack.bench = std::make_unique<sim::Bench>(loop, rack.config, rack.scenario, rack.run_dir, machines);
  FARADAY_TRY(rack.bench->Start());
  log::Info("rack {}: {} {} boards, {} slots, {} phones; control at {}/control",
            rack.config.rack,
            rack.config.boards.size(),
            board,
            rack.config.slots.size(),
            rack.scenario.phones.size(),
            rack.run_dir);
  return OkStatus();
}

// Where the simulator that is meant runs; empty: nobody said.
std::string RunDirOf(const std::string& said) {
  const char* run = std::getenv("FARADAY_RUN");
  return !said.empty() || run == nullptr ? said : std::string(run) + "/sim";
}

// `faraday-sim fault r01/07 short [off]`, and `faraday-sim ctl WORDS`.
int Control(const std::string& said, std::vector<std::string> words, bool fault) {
  const std::string run_dir = RunDirOf(said);
  if (run_dir.empty())
    return Refuse("which simulator? Give --run-dir DIR, or set FARADAY_RUN (DIR is $FARADAY_RUN/sim)");
  if (fault && words.size() == 2) words.emplace_back("on");
  if (fault) words.insert(words.begin(), "fault");
  return sim::RunControlClient(run_dir, words);
}

int Serve(const ServeOptions& options) {
  std::vector<Rack> racks;
  racks.reserve(options.configs.size());  // benches refer to their racks
  if (const int code = LoadAll(options, racks); code != 0) return code;
  const auto machines = MachinesOf(options);
  if (!machines.ok()) {
    log::Error("--board {}: {}", options.board, machines.status().message());
    return 1;
  }
  evloop::Loop loop;
  loop.OnSignals({SIGTERM, SIGINT}, [&loop](int) { loop.Stop(0); });
  int code = 0;
  for (Rack& rack : racks) {
    const Status status = StartRack(loop, rack, *machines, options.board);
    if (status.ok()) continue;
    log::Error("{}", status.message());
    code = 1;
    break;
  }
  if (code == 0) code = loop.Run();
  for (Rack& rack : racks) rack.bench.reset();  // before the loop that they use
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  log::Program() = "sim";
  CLI::App app{"faraday-sim: a simulated rack"};
  app.footer(Footer());
  app.set_version_flag("--version", FARADAY_VERSION);
  ServeOptions serve;
  auto* config = app.add_option("--config", serve.configs, "a rack's YAML, the one that faraday-controller reads");
  auto* scenario = app.add_option("--scenario", serve.scenarios, "that rack's scenario: phones and timed faults");
  for (CLI::Option* pair : {config, scenario}) pair->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  auto* run_dir = app.add_option(
      "--run-dir", serve.run_dir, "folder for control socket, phones' files, EEPROMs; of several racks RUN_DIR/<rack>");
  app.add_option("--board", serve.board, "what the boards are: native (default) or ast1030, the real image in QEMU")
      ->check(CLI::IsMember({"native", "ast1030"}));
  app.add_option("--firmware",
                 serve.firmware,
                 std::string("image of --board ast1030, default: ") + kImage + " beside this program");

  std::vector<std::string> words;
  std::string ctl_dir;
  CLI::App* ctl = app.add_subcommand("ctl", "sends one command to a running simulator and prints its answer");
  ctl->footer(Footer());
  ctl->add_option("command", words, "see below")->required();
  CLI::App* fault = app.add_subcommand("fault", "breaks a slot's hardware in a running simulator: SLOT NAME [on|off]");
  fault->footer(
      fmt::format("Example:\n  faraday-sim fault r01/07 short\n  faraday-sim fault r01/07 short off\n\nNames: {}",
                  fmt::join(sim::FaultNames(), ", ")));
  fault->add_option("fault", words, "SLOT NAME [on|off]")->required()->expected(2, 3);
  for (CLI::App* sub : {ctl, fault}) {
    sub->add_option("--run-dir", ctl_dir, "the simulator's --run-dir; default: $FARADAY_RUN/sim");
    sub->positionals_at_end();
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadConfig;
  }

  if (ctl->parsed() || fault->parsed()) return Control(ctl_dir, words, fault->parsed());
  for (const CLI::Option* needed : {config, scenario, run_dir}) {
    if (needed->count() > 0) continue;
    return Refuse(fmt::format("{} is missing; faraday-sim --help shows an example", needed->get_name()));
  }
  return Serve(serve);
}
