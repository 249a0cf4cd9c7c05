// A scenario file: which phones sit in which slots of a rack, and what happens to them when. sim/README.md documents
// the keys. Reading needs the rack's config, so that every mistake shows before anything starts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rackconfig/rack_config.h"
#include "rackconfig/yaml_reader.h"
#include "sim/bench/control_command.h"
#include "sim/board/machine.h"

namespace faraday::sim {

struct ScenarioPhone {
  int slot = 0;       // rack number
  std::string model;  // one of PhoneModels()
  std::string serial;
  std::string android;  // empty: as the model was shipped
  int battery_percent = 70;
  bool booted = true;  // false: switched off at the start
};

struct ScenarioEvent {
  int64_t after_ms = 0;  // from the start of the simulator
  std::string text;      // a control command
  ControlCommand command;
};

// What is wrong with a board before its MCU's first instruction.
struct ScenarioBoardFault {
  int board = 0;
  StartFault fault;
};

struct Scenario {
  std::string name;
  std::vector<ScenarioPhone> phones;  // a slot at most once
  std::vector<ScenarioEvent> events;
  std::vector<ScenarioBoardFault> board_faults;
};

struct LoadedScenario {
  std::optional<Scenario> scenario;  // set when there are at most warnings
  std::vector<rackconfig::Mistake> mistakes;
};

LoadedScenario LoadScenario(const std::string& path, const rackconfig::RackConfig& rack);
// The same from memory; `file` is for messages.
LoadedScenario ParseScenario(const std::string& text, const std::string& file, const rackconfig::RackConfig& rack);

}  // namespace faraday::sim
