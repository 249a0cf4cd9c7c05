// faraday-scenarios: plant faults as data, and what firmware, controller and CLI have to do about each.
#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "hil-tests/scenarios/player.h"
#include "hil-tests/scenarios/rig.h"
#include "hil-tests/scenarios/scenario.h"

namespace {

using namespace faraday;       // NOLINT: a program's own file
using namespace faraday::hil;  // NOLINT

namespace fs = std::filesystem;

constexpr int kFailed = 1;
constexpr int kBadUse = 2;
constexpr int kNothingToRunOn = 77;  // what ctest takes for skipped

constexpr const char* kFooter =
    "Examples:\n"
    "  faraday-scenarios hil-tests/scenarios/files/short.yaml          starts all it needs\n"
    "  faraday-scenarios --board ast1030                               those for the emulated MCU\n"
    "  faraday-scenarios --bench $FARADAY_RUN/sim --controller tcp://127.0.0.1:7700 FILE\n"
    "                                                                  your own bench: outputs MOVE\n"
    "Exit codes: 0 passed, 1 one failed, 2 wrong files or flags, 77 nothing could be run.";

struct Options {
  std::vector<std::string> files;
  RigOptions rig;
  bool list = false;
  bool pending = false;
};

std::vector<std::string> DefaultFiles() {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(FARADAY_SCENARIO_DIR)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path().string());
  }
  std::ranges::sort(files);
  return files;
}

// What keeps it from being run here; empty: nothing.
std::string Obstacle(const Options& options, const ScenarioFile& scenario) {
  if (!scenario.pending.empty() && !options.pending) return "PENDING: " + scenario.pending;
  if (options.rig.bench.empty()) return {};
  if (!scenario.rack.empty() || !scenario.start_faults.empty()) return "needs a rack config or a start of its own";
  const bool dies =
      std::ranges::any_of(scenario.steps, [](const auto& step) { return step.action == Do::kController; });
  return dies ? "ends the controller" : "";
}

// 0 passed, 1 failed, 77 not run.
int RunOne(const Options& options, const ScenarioFile& scenario) {
  if (const std::string obstacle = Obstacle(options, scenario); !obstacle.empty()) {
    fmt::print("SKIPPED: {}: {}\n", scenario.name, obstacle);
    return kNothingToRunOn;
  }
  const BootTime began = BootClock::now();
  auto rig = ScenarioRig::Start(options.rig, scenario);
  const Status status = rig.ok() ? ScenarioPlayer(scenario, **rig).Play() : rig.status();
  fmt::print("{}: {} ({} ms)\n", status.ok() ? "passed" : "FAILED", scenario.name, (BootClock::now() - began).count());
  if (status.ok()) return 0;
  fmt::print("{}\n{}\n", status.message(), rig.ok() ? (*rig)->Said() : "");
  if (options.rig.keep && rig.ok()) fmt::print("kept for you: {}\n", (*rig)->folder());
  return kFailed;
}

int Run(const Options& options, const std::vector<ScenarioFile>& scenarios) {
  int passed = 0;
  int failed = 0;
  int skipped = 0;
  for (const ScenarioFile& scenario : scenarios) {
    if (options.rig.bench.empty() && !scenario.RunsOn(options.rig.board)) continue;
    const int code = RunOne(options, scenario);
    ++(code == 0 ? passed : code == kFailed ? failed : skipped);
    std::fflush(stdout);
  }
  fmt::print("{} passed, {} failed, {} skipped\n", passed, failed, skipped);
  if (failed > 0) return kFailed;
  return passed > 0 ? 0 : kNothingToRunOn;
}

std::optional<std::vector<ScenarioFile>> LoadAll(const std::vector<std::string>& files) {
  std::vector<ScenarioFile> scenarios;
  bool good = true;
  for (const std::string& file : files) {
    auto loaded = LoadScenarioFile(file);
    fmt::print(stderr, "{}", rackconfig::Describe(loaded.mistakes));
    if (!loaded.scenario) {
      good = false;
      continue;
    }
    scenarios.push_back(std::move(*loaded.scenario));
  }
  if (!good) return std::nullopt;
  return scenarios;
}

int List(const std::vector<ScenarioFile>& scenarios) {
  for (const ScenarioFile& scenario : scenarios) {
    fmt::print("{:<24} {:<8} {}{}\n",
               scenario.name,
               scenario.RunsOn("ast1030") ? "both" : "native",
               scenario.about,
               scenario.pending.empty() ? "" : " PENDING: " + scenario.pending);
  }
  return 0;
}

int Main(Options options) {
  std::error_code error;
  if (options.rig.bin_dir.empty()) options.rig.bin_dir = fs::read_symlink("/proc/self/exe", error).parent_path();
  const auto scenarios = LoadAll(options.files.empty() ? DefaultFiles() : options.files);
  if (!scenarios) return kBadUse;
  if (options.list) return List(*scenarios);
  if (options.rig.board == "ast1030" && options.rig.firmware.empty() &&
      !fs::exists(options.rig.bin_dir + "/faraday-firmware-ast1030.elf")) {
    fmt::print("SKIPPED: no firmware image beside the programs; give one with --firmware\n");
    return kNothingToRunOn;
  }
  return Run(options, *scenarios);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"faraday-scenarios: faults of the plant, and what the rack does about them"};
  app.footer(kFooter);
  Options options;
  app.add_option("FILE", options.files, "scenario files; default: all of hil-tests/scenarios/files")
      ->check(CLI::ExistingFile);
  app.add_option("--board", options.rig.board, "what the boards are: native (default) or ast1030")
      ->check(CLI::IsMember({"native", "ast1030"}));
  app.add_option("--firmware", options.rig.firmware, "with --board ast1030: the image");
  app.add_option("--bin-dir", options.rig.bin_dir, "where the programs are; default: beside this one");
  app.add_option("--bench", options.rig.bench, "run folder of a faraday-sim that runs; starts nothing");
  app.add_option("--controller", options.rig.controller, "with --bench: its controller; default: as for faraday");
  app.add_flag("--pending", options.pending, "run those too that are marked pending");
  app.add_flag("--keep", options.rig.keep, "leave the folder with every log");
  app.add_flag("--list", options.list, "list the scenarios and their boards");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadUse;
  }
  return Main(std::move(options));
}
