#include "hil-tests/scenarios/rig.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "hil-tests/scenarios/facts.h"

namespace faraday::hil {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kStartWithin = 60000ms;  // sanitizers, QEMU, a busy two-core machine
constexpr auto kCommandWithin = 60000ms;

std::string Part(const ScenarioFile& scenario, const std::string& name, const std::string& otherwise) {
  const auto found = scenario.rack.find(name);
  return found == scenario.rack.end() ? otherwise : found->second;
}

// 16 slots on two shelves and two rails; nobody's computers, so that no port of the machine is taken.
std::string RackYaml(const std::string& dir, const ScenarioFile& scenario) {
  return fmt::format(
      "rack: r01\n"
      "controller: {{listen: 'tcp://127.0.0.1:0', events: 'tcp://127.0.0.1:0', security: plain, state_dir: "
      "{0}/state}}\n"
      "boards:\n"
      "  - port: {{path: {0}/sim/board0}}\n"
      "    rails: [{{name: A, budget_ma: 16000}}, {{name: B, budget_ma: 16000}}]\n"
      "slots:\n"
      "  defaults: {1}\n"
      "  list: [{{slots: 1-8, rail: A}}, {{slots: 9-16, rail: B}}]\n"
      "  overrides: {2}\n"
      "inputs: {3}\n"
      "budgets: {4}\n",
      dir,
      Part(scenario, "slots", "{current_limit_ma: 2000, safe_state: 'off'}"),
      Part(scenario, "overrides", "[]"),
      Part(scenario, "inputs", "[]"),
      Part(scenario, "budgets", "{}"));
}

std::string BenchYaml(const ScenarioFile& scenario) {
  std::string text =
      "name: scenario\n"
      "phones:\n"
      "  - {slot: 7, model: pixel-8, serial: SCENARIO07, battery: 40}\n"
      "  - {slot: 9, model: pixel-8, serial: SCENARIO09, battery: 40}\n";
  if (!scenario.start_faults.empty()) text += "board_faults:\n";
  for (const std::string& fault : scenario.start_faults) {
    const size_t space = std::min(fault.find(' '), fault.size() - 1);
    text += fmt::format("  - {{board: 0, {}: {}}}\n", fault.substr(0, space), fault.substr(space + 1));
  }
  return text;
}

std::string Tail(const std::string& text) {
  constexpr size_t kTail = 2500;
  return text.size() > kTail ? "..." + text.substr(text.size() - kTail) : text;
}

}  // namespace

Result<std::unique_ptr<ScenarioRig>> ScenarioRig::Start(const RigOptions& options, const ScenarioFile& scenario) {
  auto rig = std::unique_ptr<ScenarioRig>(new ScenarioRig(options));
  std::string pattern = "/tmp/faraday-scn-XXXXXX";  // short: a unix socket's path holds 107 bytes
  if (::mkdtemp(pattern.data()) == nullptr) return Status{Code::kFailedPrecondition, "no temporary folder in /tmp"};
  rig->dir_ = pattern;
  rig->controller_ = options.controller;
  fs::create_directory(rig->dir_ + "/cli");
  if (!rig->own()) {
    rig->Follow();
    return rig;
  }
  WriteFile(rig->dir_ + "/rack.yaml", RackYaml(rig->dir_, scenario));
  WriteFile(rig->dir_ + "/bench.yaml", BenchYaml(scenario));
  FARADAY_TRY(rig->StartSim(scenario));
  FARADAY_TRY(rig->StartController());
  return rig;
}

ScenarioRig::~ScenarioRig() {
  events_.clear();
  for (Program* program : {daemon_.get(), sim_.get()}) {
    if (program == nullptr || !program->running()) continue;
    program->Signal(SIGTERM);
    program->Wait(10000ms);
  }
  daemon_.reset();
  sim_.reset();
  std::error_code ignored;
  if (!options_.keep) fs::remove_all(dir_, ignored);
}

Environment ScenarioRig::environment() const {
  Environment environment;
  if (own()) environment = {{"FARADAY_RUN", dir_}, {"XDG_CONFIG_HOME", dir_ + "/cli"}, {"HOME", dir_ + "/cli"}};
  return environment;
}

Status ScenarioRig::StartSim(const ScenarioFile&) {
  std::vector<std::string> argv = {options_.bin_dir + "/faraday-sim",
                                   "--config",
                                   dir_ + "/rack.yaml",
                                   "--scenario",
                                   dir_ + "/bench.yaml",
                                   "--run-dir",
                                   dir_ + "/sim",
                                   "--board",
                                   options_.board};
  if (!options_.firmware.empty()) argv.insert(argv.end(), {"--firmware", options_.firmware});
  sim_ = std::make_unique<Program>(argv, environment(), dir_ + "/sim-log");
  const std::string ready = dir_ + "/sim/ready";
  if (WaitFor([&] { return fs::exists(ready) || !sim_->running(); }, kStartWithin) && fs::exists(ready)) {
    return OkStatus();
  }
  return {Code::kFailedPrecondition, "faraday-sim does not get ready; " + Said()};
}

// Ready when it has configured its board: all slots are measured.
Status ScenarioRig::StartController() {
  const std::string endpoints = dir_ + "/state/endpoints";
  std::error_code ignored;
  fs::remove(endpoints, ignored);
  daemon_ = std::make_unique<Program>(
      std::vector<std::string>{options_.bin_dir + "/faraday-controller", "--config", dir_ + "/rack.yaml"},
      environment(),
      fmt::format("{}/controller-log", dir_));
  if (!WaitFor([&] { return fs::exists(endpoints) || !daemon_->running(); }, kStartWithin) || !fs::exists(endpoints)) {
    return {Code::kFailedPrecondition, "faraday-controller does not serve; " + Said()};
  }
  std::istringstream words(ReadFile(endpoints));
  for (std::string name; words >> name;) {
    if (name == "listen") words >> controller_;
  }
  Output seen;
  const bool online = WaitFor(
      [&] {
        seen = Cli({"status", "r01", "--json"}, "viewer");
        return seen.exit_code == 0 && Unmet({{"boards.online", "true"}}, FactsOf(seen.out)).empty();
      },
      kStartWithin);
  if (!online) return {Code::kFailedPrecondition, "the board does not come online; " + Said() + seen.out + seen.err};
  Follow();
  return OkStatus();
}

void ScenarioRig::Follow() {
  std::vector<std::string> argv = Faraday("viewer");
  argv.insert(argv.end(), {"events", "--rack", "r01", "--json"});
  events_.push_back(std::make_unique<Program>(argv, environment(), fmt::format("{}/events-{}", dir_, events_.size())));
  WaitFor([&] { return !events_.back()->out().empty(); }, 20000ms);  // the snapshot
}

Status ScenarioRig::KillController() {
  daemon_->Signal(SIGKILL);
  if (daemon_->Wait(10000ms)) return OkStatus();
  return {Code::kInternal, "the controller does not die"};
}

Status ScenarioRig::StopController() {
  daemon_->Signal(SIGTERM);
  const auto code = daemon_->Wait(30000ms);
  if (code == 0) return OkStatus();
  return {Code::kInternal, fmt::format("the controller ends with {}", code.value_or(-1))};
}

Result<std::string> ScenarioRig::Bench(const std::string& command) {
  std::vector<std::string> argv = {
      options_.bin_dir + "/faraday-sim", "ctl", "--run-dir", own() ? dir_ + "/sim" : options_.bench};
  for (std::string& word : SplitCommand(command)) argv.push_back(std::move(word));
  const Output output =
      Program(argv, environment(), fmt::format("{}/cli/{}", dir_, commands_++)).Finish(kCommandWithin);
  if (output.exit_code == 0) return output.out.size() > 3 ? output.out.substr(3) : std::string();
  return Status{Code::kFailedPrecondition, output.out + output.err};
}

std::vector<std::string> ScenarioRig::Faraday(const std::string& role) const {
  std::vector<std::string> argv = {options_.bin_dir + "/faraday"};
  if (!controller_.empty()) argv.insert(argv.end(), {"--controller", controller_});
  if (own()) argv.insert(argv.end(), {"--plain", "--user", role == "user" ? "ana" : role == "tech" ? "tina" : "ada"});
  argv.insert(argv.end(), {"--role", role});
  return argv;
}

Output ScenarioRig::Cli(std::vector<std::string> words, const std::string& role) {
  std::vector<std::string> argv = Faraday(role);
  argv.insert(argv.end(), words.begin(), words.end());
  return Program(argv, environment(), fmt::format("{}/cli/{}", dir_, commands_++)).Finish(kCommandWithin);
}

std::vector<std::string> ScenarioRig::Events() {
  std::vector<std::string> events;
  for (const auto& program : events_) {
    std::istringstream lines(program->out());
    for (std::string line; std::getline(lines, line);) events.push_back(line);
  }
  return events;
}

std::string ScenarioRig::Said() const {
  std::string text;
  if (daemon_) text += "\n--- faraday-controller said:\n" + Tail(daemon_->out() + daemon_->err());
  if (sim_) text += "\n--- faraday-sim said:\n" + Tail(sim_->out() + sim_->err());
  return text;
}

}  // namespace faraday::hil
