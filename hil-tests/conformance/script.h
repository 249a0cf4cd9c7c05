// A conformance script: what a host says to a board and what must come back, as data (README.md: the grammar). Read and
// checked as a whole, so that every mistake shows with file:line before a board is touched. Pure data afterwards.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "rackconfig/yaml_reader.h"

namespace faraday::hil {

enum class Action : uint8_t {
  kHello,      // opens a host term
  kConfigure,  // pushes the standard configuration with the named changes
  kDo,         // a command
  kAgain,      // the last command's frame once more
  kDamaged,    // a command's frame with one bit wrong
  kStop,       // the stop frame
  kEvent,      // the next event
  kRefusal,    // the next refusal
  kState,      // a slot in the telemetry
  kBoard,      // the board's conditions in the telemetry
  kTruth,      // the plant
  kCtl,        // a command to the bench
  kQuiet,      // the host says nothing for a while
  kAway,       // the host announces an absence
  kWait,       // time passes, the line is kept alive
  kReading,    // the host stops reading, or reads again
  kConnect,    // the host opens the line again
};

// Whose frame a command comes as.
enum class From : uint8_t { kUs, kOldTerm, kOtherSession, kAhead };

struct Step {
  int line = 0;
  Action action = Action::kWait;
  std::string text;
  std::optional<std::string> reply;
  std::optional<std::string> done;
  std::optional<std::string> refused;
  std::string as;  // hello: the rack's name
  From from = From::kUs;
  int64_t ms = 0;           // quiet, away, wait
  int64_t hold_ms = 0;      // stays so for that long
  int64_t at_least_ms = 0;  // since the last command was sent
};

struct Script {
  std::string name;  // the file's name without .yaml
  std::string file;
  std::string about;
  std::vector<std::string> boards;
  std::map<std::string, std::string> missing;  // board -> why the script is not for it
  std::map<std::string, int> tolerance;        // measured value -> how far two boards may differ
  std::vector<std::string> start_faults;       // "missing expander r01/07", "eeprom read-only"; own simulator
  bool blank = false;                          // needs a board whose memory is blank; own simulator
  bool fresh = false;                          // needs an MCU that has just started: without a bench it is skipped
  std::vector<Step> steps;

  bool For(const std::string& board) const;
  // Cannot share a simulator with other scripts.
  bool alone() const { return blank || !start_faults.empty(); }
};

struct LoadedScript {
  std::optional<Script> script;
  std::vector<rackconfig::Mistake> mistakes;
};

LoadedScript LoadScript(const std::string& path);
LoadedScript ParseScript(const std::string& text, const std::string& file);

// The standard configuration as one `configure` sentence, with "name=value" and "name[slot]=value" changed.
// Errors: kInvalidArgument naming the word.
Result<std::string> ConfigureSentence(const std::string& changes);

inline constexpr const char* kBoards[] = {"native", "ast1030"};

}  // namespace faraday::hil
