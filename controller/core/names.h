// What people call the parts of a board, by the config: rails and rack inputs. Numbers where the config has no name.
#pragma once

#include <string>

#include "rackconfig/rack_config.h"

namespace faraday::controller {

// "rail A"
std::string RailName(const rackconfig::RackConfig& config, int board, int rail);
// "input door"
std::string InputName(const rackconfig::RackConfig& config, int board, int pin);

}  // namespace faraday::controller
