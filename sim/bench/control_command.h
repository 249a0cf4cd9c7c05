// The bench's control language: one line of text a command, one line back. Used by the control socket, `faraday-sim
// ctl` and the timed events of scenario files. This part only understands; bench.h acts.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rackconfig/rack_config.h"

namespace faraday::sim {

enum class Verb {
  kHelp,
  kList,
  kState,
  kFault,
  kPhone,
  kBattery,
  kMcuReset,
  kLine,
  kInput,
  kExpanderReset,
  kMcuHang,
  kBus,
  kEeprom,
  kLoad,
  kRail,
  kAmbient,
  kBoard
};

// An input that every board has, without the rack's config.
inline constexpr std::string_view kStopButton = "stop-button";

struct ControlCommand {
  Verb verb = Verb::kHelp;
  int slot = 0;      // rack number, from 1; 0: the command names none
  int board = -1;    // index; -1: the command names none
  std::string what;  // fault name, phone action, reset cause, input name; "cut", "restore", "damage"; "stuck", "ok",
                     // "stretch"; "worn"
  bool on = false;   // fault on/off, input active/inactive
  int percent = 0;   // battery
  int place = 0;     // I2C bus, EEPROM page, index of a rail on its board
  std::optional<int> amount;  // bus stretch: ms; line damage: percent of frames; load: mA; ambient: degC
  int seed = 1;               // line damage
};

// Understands one line. Slots are "r01/07" or "7".
// Errors: kInvalidArgument saying what is wrong, the choices, and the nearest one.
Result<ControlCommand> ParseControlCommand(std::string_view line, const rackconfig::RackConfig& rack);

// What `help` and `--help` list.
struct CommandHelp {
  std::string usage;
  std::string text;
};
std::vector<CommandHelp> ControlHelp();

}  // namespace faraday::sim
