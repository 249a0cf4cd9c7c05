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

std::string PartName(const rackconfig::RackConfig& config, int board, link::Condition which, int index) {
  using link::Condition;
  if (which == Condition::kRailSag || which == Condition::kRailDown) return RailName(config, board, index);
  if (which == Condition::kBusLost) return fmt::format("bus {}", index);
  if (which == Condition::kHotShelf) return fmt::format("shelf {}", index);
  return which == Condition::kInputBlocks ? InputName(config, board, index) : std::string();
}

}  // namespace faraday::controller
