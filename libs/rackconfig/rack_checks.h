// The checks of a rack config that need more than one key: references, doubles, gaps, sums. Internal to this library.
#pragma once

#include <string>
#include <vector>

#include "rackconfig/rack_config.h"
#include "rackconfig/yaml_reader.h"

namespace faraday::rackconfig {

// Lines where things stand in the file; 0: not given.
struct SlotLines {
  int entry = 0;
  int board = 0;
  int board_slot = 0;
  int rail = 0;
  int current_limit = 0;
  int soft_limit = 0;
  int hosts = 0;
};
struct BoardLines {
  int board = 0;
  int port = 0;
  int rails = 0;
  std::vector<int> rail;
};
struct RackLines {
  int rack = 0;
  int controller = 0;
  int listen = 0;
  int events = 0;
  int all_boards = 0;
  int slots = 0;
  int rack_budget = 0;
  int host_silent = 0;
  int host_silent_max = 0;
  int charge_on = 0;
  int charge_period = 0;
  int tray_warn = 0;
  int tray_trip = 0;
  std::vector<int> hosts;
  std::vector<BoardLines> boards;
  std::vector<int> inputs;
};

// A slot as the file lays it out, its rail still a name.
struct SlotDraft {
  SlotConfig config;
  std::string rail;
  SlotLines lines;
};

// Reports what is wrong, and moves the slots into `config` with their rails resolved. `drafts` are in number order.
void CheckRack(const std::vector<SlotDraft>& drafts, const RackLines& lines, RackConfig* config, Report& report);

}  // namespace faraday::rackconfig
