// A scenario: one plant fault, and what firmware, controller and CLI have to do about it, as data. README.md has the
// keys.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rackconfig/yaml_reader.h"

namespace faraday::hil {

enum class Do { kBench, kCli, kTruth, kStatus, kEvent, kLog, kController, kWait };

struct ScenarioStep {
  int line = 0;
  Do action = Do::kWait;
  std::string text;                            // the action's words
  std::optional<std::string> refused;          // bench: part of the error that is expected
  std::string as = "user";                     // cli: user, tech, admin, viewer
  int exit_code = 0;                           // cli
  std::vector<std::string> says;               // cli: parts of its output; "*" stands for any text
  std::map<std::string, std::string> has;      // status, event: field and pattern
  std::map<std::string, std::string> has_not;  // status
  std::optional<int64_t> within_ms;            // until then it is tried again; not said: cli at once, the others 20 s
  int64_t hold_ms = 0;                         // truth, status: stays so
  int64_t wait_ms = 0;
};

struct ScenarioFile {
  std::string file;
  std::string name;  // the file's, without folder and ending
  std::string about;
  std::vector<std::string> boards = {"native"};
  std::string pending;                      // why it cannot pass yet; empty: it must
  std::map<std::string, std::string> rack;  // parts of the rack's config: slots, overrides, inputs, budgets (YAML text)
  std::vector<std::string> start_faults;    // "missing expander r01/05", "eeprom read-only"
  std::vector<std::string> on;              // slots that ana has leased and switched on before the first step
  std::vector<ScenarioStep> steps;

  bool RunsOn(const std::string& board) const;
};

struct LoadedScenarioFile {
  std::optional<ScenarioFile> scenario;  // set when there are no mistakes
  std::vector<rackconfig::Mistake> mistakes;
};
LoadedScenarioFile LoadScenarioFile(const std::string& path);
LoadedScenarioFile ParseScenarioFile(const std::string& text, const std::string& file);

}  // namespace faraday::hil
