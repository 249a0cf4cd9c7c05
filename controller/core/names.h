// What people call the parts of a board, by the config: rails and rack inputs. Numbers where the config has no name.
#pragma once

#include <string>

#include "link/messages.h"
#include "rackconfig/rack_config.h"

namespace faraday::controller {

// "rail A"
std::string RailName(const rackconfig::RackConfig& config, int board, int rail);
// "input door"
std::string InputName(const rackconfig::RackConfig& config, int board, int pin);

// Which of a board's rails, buses, shelves or inputs a condition is of: "rail A", "bus 1"; empty when it is of none.
std::string PartName(const rackconfig::RackConfig& config, int board, link::Condition which, int index);

}  // namespace faraday::controller
