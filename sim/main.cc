// faraday-sim: a rack's boards, plant and phones on a bench. A parts list: read the files, build the bench, run the
// loop.
#include <fmt/core.h>
#include <signal.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <string>
#include <vector>

#include "base/log.h"
#include "evloop/loop.h"
#include "rackconfig/yaml_rack_config.h"
#include "sim/bench/bench.h"
#include "sim/bench/control_client.h"
#include "sim/bench/scenario.h"
#include "sim/board/native_machine.h"

#ifndef FARADAY_VERSION
#define FARADAY_VERSION "0.1.0"
#endif

namespace {

using namespace faraday;  // NOLINT: a program's own file

constexpr int kBadConfig = 2;

struct ServeOptions {
  std::string config;
  std::string scenario;
  std::string run_dir;
};

std::string Footer() {
  std::string text =
      "Runs the boards of a rack (native firmware, modelled chips and physics) and its phones.\n"
      "It makes each board's port.path (a pty) or port.socket appear, listens at each phone's adb address while its "
      "data\n"
      "path reaches that host, and takes commands at RUN_DIR/control. RUN_DIR/ready appears when all of it stands.\n\n"
      "Example:\n"
      "  export FARADAY_RUN=/tmp/rack\n"
      "  faraday-sim --config rack-configs/r01.yaml --scenario sim/scenarios/demo.yaml --run-dir /tmp/rack/sim &\n"
      "  faraday-sim ctl --run-dir /tmp/rack/sim state r01/01\n"
      "  faraday-sim ctl --run-dir /tmp/rack/sim fault r01/01 short on\n\nCommands of ctl:\n";
  for (const sim::CommandHelp& help : sim::ControlHelp()) text += fmt::format("  {:<38} {}\n", help.usage, help.text);
  return text;
}

int Refuse(const std::vector<rackconfig::Mistake>& mistakes) {
  fmt::print(stderr, "{}", rackconfig::Describe(mistakes));
  return kBadConfig;
}

int Serve(const ServeOptions& options) {
  const auto rack = rackconfig::LoadRackConfig(options.config);
  if (!rack.ok()) return Refuse(rack.mistakes);
  const auto loaded = sim::LoadScenario(options.scenario, *rack.config);
  if (!loaded.scenario) return Refuse(loaded.mistakes);
  for (const auto& warning : loaded.mistakes) log::Warn("{}", rackconfig::ToString(warning));

  evloop::Loop loop;
  loop.OnSignals({SIGTERM, SIGINT}, [&loop](int) { loop.Stop(0); });
  sim::Bench bench(loop, *rack.config, *loaded.scenario, options.run_dir, sim::NativeMachine::Make);
  if (const Status status = bench.Start(); !status.ok()) {
    log::Error("{}", status.message());
    return 1;
  }
  log::Info("rack {}: {} boards, {} slots, {} phones; control at {}/control",
            rack.config->rack,
            rack.config->boards.size(),
            rack.config->slots.size(),
            loaded.scenario->phones.size(),
            options.run_dir);
  return loop.Run();
}

}  // namespace

int main(int argc, char** argv) {
  log::Program() = "sim";
  CLI::App app{"faraday-sim: a simulated rack"};
  app.footer(Footer());
  app.set_version_flag("--version", FARADAY_VERSION);
  ServeOptions serve;
  auto* config = app.add_option("--config", serve.config, "the rack's YAML, the one that faraday-controller reads");
  auto* scenario = app.add_option("--scenario", serve.scenario, "the scenario's YAML: phones and timed faults");
  auto* run_dir = app.add_option("--run-dir", serve.run_dir, "folder for the control socket, phones' files, EEPROMs");

  std::vector<std::string> words;
  std::string ctl_dir;
  CLI::App* ctl = app.add_subcommand("ctl", "sends one command to a running simulator and prints its answer");
  ctl->footer(Footer());
  ctl->add_option("--run-dir", ctl_dir, "the simulator's --run-dir")->required();
  ctl->add_option("command", words, "see below")->required();
  ctl->positionals_at_end();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadConfig;
  }

  if (ctl->parsed()) return sim::RunControlClient(ctl_dir, words);
  for (const CLI::Option* needed : {config, scenario, run_dir}) {
    if (needed->count() > 0) continue;
    fmt::print(stderr, "faraday-sim: {} is missing; faraday-sim --help shows an example\n", needed->get_name());
    return kBadConfig;
  }
  return Serve(serve);
}
