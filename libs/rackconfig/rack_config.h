// One rack's configuration as plain structs. The YAML that gives them is read by yaml_rack_config.h;
// rack-configs/README.md and docs/reference/rack-config.md explain every key.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "rackconfig/serving.h"

namespace faraday::rackconfig {

enum class SafeState { kCharge, kHold, kOff };
enum class VbusSource { kRack, kHub };

// How the controller reaches one board: exactly one of the three is set.
struct PortConfig {
  std::string usb_serial;  // USB serial number of the adapter, opened through libserialport
  std::string path;        // a tty or pty, opened with termios
  std::string socket;      // a unix stream socket (a simulator's)
  int baud = 460800;       // with usb_serial and path
};

struct BoardConfig {
  PortConfig port;
  std::string kind;     // what must answer Hello ("native", "ast1030"); empty: any
  std::string capture;  // file that takes every frame of the line, empty: none
};

struct RailConfig {
  std::string name;
  Milliamps budget{0};
};

// Where the slot's phone is to be found from one host. Exactly one of the two is set.
struct SlotHost {
  std::string host;
  std::string adb;  // "127.0.0.1:5601"
  std::string usb;  // bus-port path, "1-1.4"
};

struct SlotConfig {
  int number = 0;      // 1.. over the rack
  int board = 0;       // index into boards
  int board_slot = 0;  // 1 to 32: the slot's number on its board
  int rail = 0;        // index into rails of that board
  Milliamps current_limit{0};
  Milliamps soft_limit{0};  // above it the slot trips in inverse time; 0: only the limit
  SafeState safe_state = SafeState::kCharge;
  VbusSource vbus_source = VbusSource::kRack;
  std::vector<SlotHost> hosts;  // index is the link's host_index
  std::string expected_phone;   // "pixel-8", empty: any
  std::map<std::string, std::string> labels;
};

enum class InputAction { kReport, kBlockTurnOn, kSafeRail, kStop };
struct InputConfig {
  std::string name;  // "door"
  int board = 0;
  int pin = 0;
  bool active_high = false;
  int debounce_ms = 50;
  InputAction action = InputAction::kReport;
  std::vector<std::string> rails;  // of kSafeRail, by name; empty: all of the board
  bool alarm = false;              // the alarm output follows it; kStop and kSafeRail always raise it
};

struct HostConfig {
  std::string name;   // "h01"
  std::string agent;  // the agent's name, default: the host's
};

struct ControllerConfig {
  std::string listen = "tcp://127.0.0.1:7700";
  std::string events = "tcp://127.0.0.1:7701";
  std::string state_dir = "/var/lib/faraday/controller";
  int64_t lease_default_ms = 30 * 60 * 1000;  // 30 min
  int64_t lease_max_ms = 8 * 60 * 60 * 1000;  // hard maximum
  int64_t agent_silent_ms = 30 * 1000;        // no clearing word that long: suspect(agent lost)
  bool grants_users = true;                   // false: only lab, tech and admin acquire (a lab is in charge)
  Security security = Security::kCurve;
  AuditConfig audit;
};

struct RackConfig {
  std::string rack;
  ControllerConfig controller;
  std::vector<BoardConfig> boards;
  std::vector<std::vector<RailConfig>> rails;  // a board each
  std::vector<HostConfig> hosts;
  std::vector<SlotConfig> slots;  // by number, no gaps
  std::vector<InputConfig> inputs;
  Milliamps rack_budget{0};
  int stagger_ms = 100;
  int min_off_ms = 500;
  int host_silent_ms = 10'000;
  int host_silent_max_ms = 600'000;
  int charge_on_ms = 20 * 60 * 1000;
  int charge_period_ms = 120 * 60 * 1000;
  int min_on_ms = 0;          // 0: the board's own
  int tray_warn_celsius = 0;  // 0: the board's ceiling
  int tray_trip_celsius = 0;  // 0: the board's ceiling
  int relay_warn_count = 0;   // 0: the board's default
};

}  // namespace faraday::rackconfig
