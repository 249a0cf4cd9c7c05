#include "controller/core/names.h"

#include <fmt/core.h>

namespace faraday::controller {

std::string RailName(const rackconfig::RackConfig& config, int board, int rail) {
  const auto& rails = config.rails.at(static_cast<size_t>(board));
  if (rail < 0 || rail >= static_cast<int>(rails.size())) return fmt::format("rail {}", rail);
  return "rail " + rails[static_cast<size_t>(rail)].name;
}

std::string InputName(const rackconfig::RackConfig& config, int board, int pin) {
  for (const auto& input : config.inputs) {
    if (input.board == board && input.pin == pin) return "input " + input.name;
  }
  return fmt::format("input {}", pin);
}

}  // namespace faraday::controller
