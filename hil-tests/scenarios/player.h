// Plays a scenario against its rig. One thread.
#pragma once

#include <string>

#include "base/status.h"
#include "hil-tests/scenarios/rig.h"
#include "hil-tests/scenarios/scenario.h"

namespace faraday::hil {

class ScenarioPlayer {
 public:
  // Both outlive the player.
  ScenarioPlayer(const ScenarioFile& scenario, ScenarioRig& rig) : scenario_(scenario), rig_(rig) {}

  // Leases and switches on what the scenario wants on, then every step. The first that fails ends it.
  // Errors: "FILE:LINE: what was expected and seen".
  Status Play();

 private:
  Status Prepare();
  Status PlayStep(const ScenarioStep& step);
  // Until `look` finds nothing wrong, and then for `hold_ms` more. `look` returns what is wrong.
  template <typename Look>
  Status Await(const ScenarioStep& step, Look look);
  Status Bench(const ScenarioStep& step);
  Status Cli(const ScenarioStep& step);
  std::string LookAtCli(const ScenarioStep& step);
  std::string LookAtTruth(const ScenarioStep& step);
  std::string LookAtStatus(const ScenarioStep& step);
  std::string LookAtEvents(const ScenarioStep& step);
  std::string LookAtLog(const ScenarioStep& step);
  Status Controller(const ScenarioStep& step);
  // What a bench command broke, on somebody's own bench.
  void Mend();

  const ScenarioFile& scenario_;
  ScenarioRig& rig_;
  std::vector<std::string> mends_;
};

// "fault r01/07 short on" is mended by "fault r01/07 short off"; empty: nothing to mend.
std::string MendOf(const std::string& command);

}  // namespace faraday::hil
