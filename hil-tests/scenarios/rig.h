// The real programs around a scenario: faraday-sim with one board of 16 slots, faraday-controller (plain text on
// loopback, free ports) and the faraday command; in a temporary folder. Or somebody's own bench, where nothing is
// started. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "hil-tests/process/program.h"
#include "hil-tests/scenarios/scenario.h"

namespace faraday::hil {

struct RigOptions {
  std::string bin_dir;           // where the programs are
  std::string board = "native";  // native or ast1030
  std::string firmware;          // ELF for ast1030; empty: faraday-sim's default
  std::string bench;             // run folder of a simulator that runs already; empty: starts all
  std::string controller;        // with bench: the controller's endpoint; empty: as the environment says
  bool keep = false;             // leaves the folder
};

class ScenarioRig {
 public:
  // Starts what the scenario needs, and waits until the controller has its board. Errors: with what the programs said.
  static Result<std::unique_ptr<ScenarioRig>> Start(const RigOptions& options, const ScenarioFile& scenario);
  ~ScenarioRig();

  // A command of faraday-sim ctl; its answer without "ok". Errors: kFailedPrecondition with its words.
  Result<std::string> Bench(const std::string& command);
  // A faraday command to its end, in that role.
  Output Cli(std::vector<std::string> words, const std::string& role);
  // Events since the start, JSON, a line each.
  std::vector<std::string> Events();
  Status KillController();
  Status StopController();
  Status StartController();
  bool own() const { return options_.bench.empty(); }
  // The ends of the programs' logs.
  std::string Said() const;
  const std::string& folder() const { return dir_; }

 private:
  explicit ScenarioRig(const RigOptions& options) : options_(options) {}
  Status StartSim(const ScenarioFile& scenario);
  void Follow();
  Environment environment() const;
  std::vector<std::string> Faraday(const std::string& role) const;

  RigOptions options_;
  std::string dir_;
  std::string controller_;
  std::unique_ptr<Program> sim_;
  std::unique_ptr<Program> daemon_;
  std::vector<std::unique_ptr<Program>> events_;  // one each life of the controller
  int commands_ = 0;
};

}  // namespace faraday::hil
