// Cross checks of a rack config; see rack_checks.h. Pure: no file, no clock.
#include "rackconfig/rack_checks.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "model/slot_id.h"

namespace faraday::rackconfig {
namespace {

constexpr int kBoardSlots = 32;    // of one MCU, design section 2
constexpr size_t kMaxRails = 8;    // of one MCU, as in link/messages.h
constexpr size_t kMaxInputs = 16;  // of one MCU, as in link/messages.h
constexpr size_t kMaxHosts = 8;    // data select is one of the slot's outputs: host_index 0 to 7 (chosen)

struct Checker {
  const std::vector<SlotDraft>& drafts;
  const RackLines& lines;
  RackConfig& config;
  Report& report;

  std::string Slot(const SlotConfig& slot) const {
    return "slot " + model::ToString(model::SlotId{.rack = config.rack, .number = slot.number});
  }
};

// A name that fits file names, topics and selectors.
bool IsWord(const std::string& text) {
  const auto valid = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  return !text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), valid);
}

int FirstOf(int line, int fallback) { return line > 0 ? line : fallback; }

void CheckIdentity(const Checker& at) {
  if (at.lines.rack == 0 || model::IsRackName(at.config.rack)) return;
  at.report.AddAt(at.lines.rack,
                  "",
                  fmt::format("rack: \"{}\" is no rack name: 1 to 15 of a-z, 0-9 and '-', beginning with a letter, "
                              "such as r01",
                              at.config.rack));
}

void CheckController(const Checker& at) {
  const ControllerConfig& controller = at.config.controller;
  if (controller.lease_default_ms > controller.lease_max_ms) {
    at.report.AddAt(at.lines.controller,
                    "controller",
                    fmt::format("lease_default {} is longer than lease_max {}",
                                FormatDuration(controller.lease_default_ms),
                                FormatDuration(controller.lease_max_ms)));
  }
  const bool port_0 =
      controller.listen.size() > 2 && controller.listen.compare(controller.listen.size() - 2, 2, ":0") == 0;
  if (controller.listen == controller.events && !port_0) {
    at.report.AddAt(at.lines.controller,
                    "controller",
                    fmt::format("listen and events are both {}: give each its own", controller.listen));
  }
  CheckPlain(controller.security,
             {{"listen", controller.listen, at.lines.listen}, {"events", controller.events, at.lines.events}},
             "controller",
             at.report);
}

void CheckHosts(const Checker& at) {
  std::map<std::string, int> first;
  for (size_t i = 0; i < at.config.hosts.size(); ++i) {
    const std::string& name = at.config.hosts[i].name;
    const int line = at.lines.hosts[i];
    const std::string where = fmt::format("host {}", i);
    if (name.empty()) continue;  // reported as missing
    if (!IsWord(name))
      at.report.AddAt(line, where, fmt::format("name: \"{}\" must be letters, digits, '-', '_', '.'", name));
    const auto [before, fresh] = first.emplace(name, line);
    if (!fresh)
      at.report.AddAt(line, where, fmt::format("name: \"{}\" is taken by the host in line {}", name, before->second));
  }
}

// What makes a port one and only: its kind and its address.
std::string PortName(const PortConfig& port) {
  if (!port.usb_serial.empty()) return "usb_serial " + port.usb_serial;
  if (!port.path.empty()) return "path " + port.path;
  return "socket " + port.socket;
}

void CheckPort(const Checker& at, size_t index, std::map<std::string, int>* first) {
  const PortConfig& port = at.config.boards[index].port;
  const int line = FirstOf(at.lines.boards[index].port, at.lines.boards[index].board);
  const std::string where = fmt::format("board {}, port", index);
  const int given = int{!port.usb_serial.empty()} + int{!port.path.empty()} + int{!port.socket.empty()};
  if (at.lines.boards[index].port == 0) return;  // reported as missing
  if (given != 1) {
    at.report.AddAt(
        line,
        where,
        fmt::format("has {} of usb_serial, path and socket: give exactly one", given == 0 ? "none" : "several"));
    return;
  }
  const auto [before, fresh] = first->emplace(PortName(port), line);
  if (!fresh)
    at.report.AddAt(line, where, fmt::format("{} is taken by the board in line {}", PortName(port), before->second));
}

void CheckRails(const Checker& at, size_t index) {
  const std::vector<RailConfig>& rails = at.config.rails[index];
  const BoardLines& lines = at.lines.boards[index];
  const std::string where = fmt::format("board {}", index);
  if (lines.rails > 0 && rails.empty())
    at.report.AddAt(lines.rails, where, "rails: needs at least one {name, budget_ma}");
  if (rails.size() > kMaxRails) {
    at.report.AddAt(
        lines.rails, where, fmt::format("rails: {} are given, a board has at most {}", rails.size(), kMaxRails));
  }
  std::map<std::string, int> first;
  for (size_t i = 0; i < rails.size(); ++i) {
    const int line = i < lines.rail.size() ? lines.rail[i] : lines.rails;
    const auto [before, fresh] = first.emplace(rails[i].name, line);
    if (!fresh && !rails[i].name.empty()) {
      at.report.AddAt(
          line, where, fmt::format("rail \"{}\" stands twice, first in line {}", rails[i].name, before->second));
    }
  }
}

void CheckBoards(const Checker& at) {
  if (at.lines.all_boards > 0 && at.config.boards.empty()) {
    at.report.AddAt(at.lines.all_boards, "", "boards: needs at least one");
  }
  std::map<std::string, int> first;
  for (size_t i = 0; i < at.config.boards.size(); ++i) {
    CheckPort(at, i, &first);
    CheckRails(at, i);
  }
}

void CheckNumbers(const Checker& at) {
  int expected = 1;
  for (const SlotDraft& draft : at.drafts) {
    const int number = draft.config.number;
    if (number > expected) {
      const std::string missing = number - 1 == expected ? fmt::format("slot {} is", expected)
                                                         : fmt::format("slots {}-{} are", expected, number - 1);
      at.report.AddAt(draft.lines.entry,
                      at.Slot(draft.config),
                      fmt::format("{} missing before it: slots are numbered from 1 without gaps", missing));
    }
    expected = number + 1;
  }
}

bool CheckBoardSlot(const Checker& at, const SlotDraft& draft, std::map<std::pair<int, int>, int>* first) {
  const SlotConfig& slot = draft.config;
  const int boards = static_cast<int>(at.config.boards.size());
  if (slot.board >= boards) {
    at.report.AddAt(FirstOf(draft.lines.board, draft.lines.entry),
                    at.Slot(slot),
                    fmt::format("board: there is no board {}, allowed 0 to {}", slot.board, boards - 1));
    return false;
  }
  const int line = FirstOf(draft.lines.board_slot, draft.lines.entry);
  if (slot.board_slot > kBoardSlots) {
    at.report.AddAt(
        line,
        at.Slot(slot),
        fmt::format("board_slot: {} is out of range, allowed 1 to {} (a board has at most {} slots: add a board)",
                    slot.board_slot,
                    kBoardSlots,
                    kBoardSlots));
    return true;
  }
  const auto [before, fresh] = first->emplace(std::pair(slot.board, slot.board_slot), slot.number);
  if (!fresh) {
    at.report.AddAt(line,
                    at.Slot(slot),
                    fmt::format("board_slot: {} of board {} is taken by slot {}",
                                slot.board_slot,
                                slot.board,
                                model::ToString(model::SlotId{.rack = at.config.rack, .number = before->second})));
  }
  return true;
}

// The slot's rail as an index; a board with one rail needs no name.
int ResolveRail(const Checker& at, const SlotDraft& draft) {
  const std::vector<RailConfig>& rails = at.config.rails[static_cast<size_t>(draft.config.board)];
  const int line = FirstOf(draft.lines.rail, draft.lines.entry);
  if (draft.rail.empty() && rails.size() == 1) return 0;
  std::vector<std::string> names;
  for (const RailConfig& rail : rails) {
    if (!draft.rail.empty() && rail.name == draft.rail) return static_cast<int>(names.size());
    names.push_back(rail.name);
  }
  if (rails.empty()) return 0;  // reported with the board
  at.report.AddAt(line,
                  at.Slot(draft.config),
                  draft.rail.empty()
                      ? fmt::format("rail: is missing: board {} has {}", draft.config.board, fmt::join(names, ", "))
                      : fmt::format("rail: \"{}\" is no rail of board {}: it has {}{}",
                                    draft.rail,
                                    draft.config.board,
                                    fmt::join(names, ", "),
                                    DidYouMean(draft.rail, names)));
  return 0;
}

void CheckCurrent(const Checker& at, const SlotDraft& draft, int rail) {
  const SlotConfig& slot = draft.config;
  const int line = FirstOf(draft.lines.current_limit, draft.lines.entry);
  if (slot.current_limit.count == 0) {
    at.report.AddAt(draft.lines.entry,
                    at.Slot(slot),
                    "current_limit_ma: is missing, allowed 100 to 3000 mA: give it here or in slots.defaults");
    return;
  }
  if (slot.soft_limit > slot.current_limit) {
    at.report.AddAt(FirstOf(draft.lines.soft_limit, line),
                    at.Slot(slot),
                    fmt::format("soft_limit_ma: {} mA is more than current_limit_ma: allowed 0 to {} mA",
                                slot.soft_limit.count,
                                slot.current_limit.count));
  }
  const std::vector<RailConfig>& rails = at.config.rails[static_cast<size_t>(slot.board)];
  if (rails.empty()) return;
  const RailConfig& supply = rails[static_cast<size_t>(rail)];
  if (supply.budget.count > 0 && slot.current_limit > supply.budget) {
    at.report.AddAt(line,
                    at.Slot(slot),
                    fmt::format("current_limit_ma: {} mA is more than its rail {} can give: at most {} mA",
                                slot.current_limit.count,
                                supply.name,
                                supply.budget.count));
  }
}

// "127.0.0.1:5601": a host and a port 1 to 65535.
bool IsAdbAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  int port = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  return parsed.ec == std::errc{} && parsed.ptr == end && port >= 1 && port <= 65535;
}

// "1-1.4": bus, '-', ports joined by '.'.
bool IsUsbPath(const std::string& text) {
  bool digit = false;
  size_t dashes = 0;
  for (char c : text) {
    if (c >= '0' && c <= '9') {
      digit = true;
      continue;
    }
    if (!digit || (c != '-' && c != '.') || (c == '.' && dashes == 0)) return false;
    dashes += c == '-' ? 1U : 0U;
    digit = false;
  }
  return digit && dashes == 1;
}

using Addresses = std::map<std::string, int>;  // what is taken -> by which slot number

void CheckOneHost(const Checker& at, const SlotDraft& draft, const SlotHost& host, Addresses* taken) {
  const int line = FirstOf(draft.lines.hosts, draft.lines.entry);
  const std::string where = at.Slot(draft.config) + ", host " + host.host;
  std::vector<std::string> names;
  for (const HostConfig& known : at.config.hosts) names.push_back(known.name);
  if (!host.host.empty() && std::find(names.begin(), names.end(), host.host) == names.end()) {
    at.report.AddAt(
        line, where, fmt::format("is not in hosts{}: add it there, or mend the name", DidYouMean(host.host, names)));
  }
  if (host.adb.empty() == host.usb.empty()) {
    at.report.AddAt(
        line, where, fmt::format("has {} adb and usb: give exactly one", host.adb.empty() ? "neither" : "both"));
    return;
  }
  if (!host.adb.empty() && !IsAdbAddress(host.adb)) {
    at.report.AddAt(line, where, fmt::format("adb: \"{}\" is no address: write HOST:PORT, port 1 to 65535", host.adb));
  }
  if (!host.usb.empty() && !IsUsbPath(host.usb)) {
    at.report.AddAt(
        line, where, fmt::format("usb: \"{}\" is no USB port path: write BUS-PORT.PORT such as 1-1.4", host.usb));
  }
  const std::string address =
      host.adb.empty() ? fmt::format("usb {} of host {}", host.usb, host.host) : "adb " + host.adb;
  const auto [before, fresh] = taken->emplace(address, draft.config.number);
  if (!fresh && before->second != draft.config.number) {
    at.report.AddAt(line,
                    where,
                    fmt::format("{} is taken by slot {}",
                                address,
                                model::ToString(model::SlotId{.rack = at.config.rack, .number = before->second})));
  }
}

void CheckSlotHosts(const Checker& at, const SlotDraft& draft, Addresses* taken) {
  const int line = FirstOf(draft.lines.hosts, draft.lines.entry);
  if (draft.config.hosts.size() > kMaxHosts) {
    at.report.AddAt(
        line,
        at.Slot(draft.config),
        fmt::format("hosts: {} are given, at most {} fit the data switch", draft.config.hosts.size(), kMaxHosts));
  }
  std::set<std::string> seen;
  for (const SlotHost& host : draft.config.hosts) {
    if (!seen.insert(host.host).second) {
      at.report.AddAt(line, at.Slot(draft.config), fmt::format("host {} stands twice: keep one", host.host));
    }
    CheckOneHost(at, draft, host, taken);
  }
}

void CheckSlots(const Checker& at) {
  if (at.lines.slots > 0 && at.drafts.empty() && at.report.errors() == 0) {
    at.report.AddAt(at.lines.slots, "slots", "needs at least one slot");
  }
  CheckNumbers(at);
  std::map<std::pair<int, int>, int> board_slots;
  Addresses taken;
  for (const SlotDraft& draft : at.drafts) {
    SlotConfig slot = draft.config;
    if (CheckBoardSlot(at, draft, &board_slots)) {
      slot.rail = ResolveRail(at, draft);
      CheckCurrent(at, draft, slot.rail);
    }
    CheckSlotHosts(at, draft, &taken);
    at.config.slots.push_back(std::move(slot));
  }
}

// What an input does to rails: known ones, and only where it does something to them.
void CheckInputRails(const Checker& at, const InputConfig& input, int line, const std::string& where) {
  if (input.rails.empty() || input.board >= static_cast<int>(at.config.rails.size())) return;
  if (input.action != InputAction::kSafeRail) {
    at.report.AddAt(line, where, "rails: only action safe_rail has rails: take them out, or set action: safe_rail");
    return;
  }
  std::vector<std::string> names;
  for (const RailConfig& rail : at.config.rails[static_cast<size_t>(input.board)]) names.push_back(rail.name);
  for (const std::string& rail : input.rails) {
    if (std::find(names.begin(), names.end(), rail) != names.end()) continue;
    at.report.AddAt(line,
                    where,
                    fmt::format("rails: \"{}\" is no rail of board {}: it has {}{}",
                                rail,
                                input.board,
                                fmt::join(names, ", "),
                                DidYouMean(rail, names)));
  }
}

void CheckInputCount(const Checker& at) {
  std::map<int, size_t> count;
  for (size_t i = 0; i < at.config.inputs.size(); ++i) {
    const int board = at.config.inputs[i].board;
    if (++count[board] != kMaxInputs + 1) continue;
    at.report.AddAt(at.lines.inputs[i],
                    "inputs",
                    fmt::format("board {} has more than {}: leave out those that nobody needs", board, kMaxInputs));
  }
}

void CheckInputs(const Checker& at) {
  CheckInputCount(at);
  std::map<std::string, int> names;
  std::map<std::pair<int, int>, int> pins;
  for (size_t i = 0; i < at.config.inputs.size(); ++i) {
    const InputConfig& input = at.config.inputs[i];
    const int line = at.lines.inputs[i];
    const std::string where = input.name.empty() ? fmt::format("input {}", i) : "input " + input.name;
    if (input.board >= static_cast<int>(at.config.boards.size())) {
      at.report.AddAt(line,
                      where,
                      fmt::format("board: there is no board {}, allowed 0 to {}",
                                  input.board,
                                  static_cast<int>(at.config.boards.size()) - 1));
    }
    const auto [name, new_name] = names.emplace(input.name, line);
    if (!new_name && !input.name.empty())
      at.report.AddAt(line, where, fmt::format("stands twice, first in line {}", name->second));
    const auto [pin, new_pin] = pins.emplace(std::pair(input.board, input.pin), line);
    if (!new_pin)
      at.report.AddAt(line, where, fmt::format("pin: {} is taken by the input in line {}", input.pin, pin->second));
    CheckInputRails(at, input, line, where);
  }
}

// Sums are warnings: the firmware queues turn-ons that a budget has no room for, it never exceeds one.
void CheckRailSums(const Checker& at) {
  for (size_t board = 0; board < at.config.rails.size(); ++board) {
    for (size_t rail = 0; rail < at.config.rails[board].size(); ++rail) {
      int64_t sum = 0;
      int count = 0;
      for (const SlotConfig& slot : at.config.slots) {
        if (slot.board != static_cast<int>(board) || slot.rail != static_cast<int>(rail)) continue;
        sum += slot.current_limit.count;
        ++count;
      }
      const RailConfig& supply = at.config.rails[board][rail];
      const int line = rail < at.lines.boards[board].rail.size() ? at.lines.boards[board].rail[rail] : 0;
      const std::string where = fmt::format("board {}, rail {}", board, supply.name);
      if (count == 0) {
        at.report.WarnAt(line, where, "feeds no slot");
      } else if (sum > supply.budget.count) {
        at.report.WarnAt(
            line,
            where,
            fmt::format("budget_ma: {} mA, but its {} slots may draw {} mA together: not all can charge at "
                        "full rate at once, turn-ons will be refused while it is full",
                        supply.budget.count,
                        count,
                        sum));
      }
    }
  }
}

void CheckRackBudget(const Checker& at) {
  int64_t rails = 0;
  int32_t largest = 0;
  for (const auto& board_rails : at.config.rails) {
    for (const RailConfig& rail : board_rails) rails += rail.budget.count;
  }
  for (const SlotConfig& slot : at.config.slots) largest = std::max(largest, slot.current_limit.count);
  Milliamps& budget = at.config.rack_budget;
  if (at.lines.rack_budget == 0) {
    budget = Milliamps(static_cast<int32_t>(std::min<int64_t>(rails, INT32_MAX)));
  } else if (budget.count < largest) {
    at.report.AddAt(
        at.lines.rack_budget,
        "budgets",
        fmt::format("rack_ma: {} mA is less than one slot's current limit: at least {} mA", budget.count, largest));
  } else if (budget.count < rails) {
    at.report.WarnAt(
        at.lines.rack_budget,
        "budgets",
        fmt::format("rack_ma: {} mA is less than its rails together ({} mA): the rack's budget is the tighter one",
                    budget.count,
                    rails));
  }
}

// Left out is the board's ceiling.
void CheckTray(const Checker& at) {
  constexpr int kWarn = 40;
  constexpr int kTrip = 50;
  constexpr int kApart = 5;  // a trip is cleared 5 K below it
  const RackConfig& config = at.config;
  const int warn = config.tray_warn_celsius == 0 ? kWarn : config.tray_warn_celsius;
  const int trip = config.tray_trip_celsius == 0 ? kTrip : config.tray_trip_celsius;
  if (trip - warn >= kApart) return;
  at.report.AddAt(
      FirstOf(at.lines.tray_trip, at.lines.tray_warn),
      "budgets",
      fmt::format(
          "tray_trip_celsius {} degC must be at least {} K above tray_warn_celsius {} degC", trip, kApart, warn));
}

void CheckTimes(const Checker& at) {
  const RackConfig& config = at.config;
  if (config.host_silent_max_ms <= config.host_silent_ms) {
    at.report.AddAt(FirstOf(at.lines.host_silent_max, at.lines.host_silent),
                    "budgets",
                    fmt::format("host_silent_max {} must be longer than host_silent {}",
                                FormatDuration(config.host_silent_max_ms),
                                FormatDuration(config.host_silent_ms)));
  }
  if (config.charge_on_ms > config.charge_period_ms) {
    at.report.AddAt(FirstOf(at.lines.charge_on, at.lines.charge_period),
                    "budgets",
                    fmt::format("charge_on {} is longer than charge_period {}",
                                FormatDuration(config.charge_on_ms),
                                FormatDuration(config.charge_period_ms)));
  }
}

}  // namespace

void CheckRack(const std::vector<SlotDraft>& drafts, const RackLines& lines, RackConfig* config, Report& report) {
  const Checker at{.drafts = drafts, .lines = lines, .config = *config, .report = report};
  CheckIdentity(at);
  CheckController(at);
  CheckHosts(at);
  CheckBoards(at);
  CheckSlots(at);
  CheckInputs(at);
  CheckTimes(at);
  CheckTray(at);
  // Sums over a half-understood file would only add noise.
  if (report.errors() > 0) return;
  CheckRailSums(at);
  CheckRackBudget(at);
}

}  // namespace faraday::rackconfig
