#include "sim/bench/bench.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>

#include "base/log.h"

namespace faraday::sim {
namespace {

namespace fs = std::filesystem;

constexpr Milliseconds kDrawPeriod{50};  // chosen: how fast a phone's consumption reaches the plant

Status CannotWrite(const fs::path& path) {
  return {Code::kFailedPrecondition,
          fmt::format("cannot write {}: check the folder's rights and free space", path.string())};
}

Status WriteWhole(const fs::path& path, const std::string& text) {
  const fs::path fresh = path.string() + ".new";
  {
    std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) return CannotWrite(path);
  }
  std::error_code error;
  fs::rename(fresh, path, error);
  return error ? CannotWrite(path) : OkStatus();
}

Result<std::unique_ptr<LinePort>> MakeLine(const rackconfig::PortConfig& port, int board) {
  if (!port.path.empty()) return MakePtyLine(port.path);
  if (!port.socket.empty()) return MakeSocketLine(port.socket);
  return Status{Code::kFailedPrecondition,
                fmt::format("board {}: port.usb_serial {} names a real adapter; the simulator needs port.path or "
                            "port.socket in its rack config",
                            board,
                            port.usb_serial)};
}

// Rails of a board's slots, by board slot. Positions the config does not name hang on rail 0, empty.
std::vector<int> RailsOf(const rackconfig::RackConfig& rack, int board) {
  std::vector<int> rails;
  for (const rackconfig::SlotConfig& slot : rack.slots) {
    if (slot.board != board) continue;
    if (rails.size() < static_cast<size_t>(slot.board_slot)) rails.resize(static_cast<size_t>(slot.board_slot), 0);
    rails[static_cast<size_t>(slot.board_slot) - 1] = slot.rail;
  }
  return rails;
}

// Rack slot numbers by position on the board; 0 where the config names none.
std::vector<int> NumbersOf(const rackconfig::RackConfig& rack, int board) {
  std::vector<int> numbers(RailsOf(rack, board).size(), 0);
  for (const rackconfig::SlotConfig& slot : rack.slots) {
    if (slot.board == board) numbers[static_cast<size_t>(slot.board_slot) - 1] = slot.number;
  }
  return numbers;
}

PhoneOptions OptionsOf(const ScenarioPhone& phone, const rackconfig::SlotConfig& slot, const fs::path& folder) {
  PhoneOptions options;
  options.model = *FindPhoneModel(phone.model);
  options.identity = {phone.serial, phone.android};
  for (const rackconfig::SlotHost& host : slot.hosts) options.listen.push_back(host.adb);
  options.folder = folder;
  options.start = phone.booted ? PhonePower::kBooted : PhonePower::kOff;
  return options;
}

Battery BatteryOf(const PhoneModel& model, int percent) {
  return {.capacity_mah = model.battery_mah, .percent = percent, .max_charge_ma = Battery{}.max_charge_ma};
}

link::BootReason CauseOf(const std::string& word) {
  constexpr std::array<std::pair<std::string_view, link::BootReason>, 5> kCauses = {{
      {"power-on", link::BootReason::kPowerOn},
      {"watchdog", link::BootReason::kWatchdog},
      {"software", link::BootReason::kSoftware},
      {"fault", link::BootReason::kFault},
      {"brown-out", link::BootReason::kBrownOut},
  }};
  for (const auto& [name, cause] : kCauses) {
    if (name == word) return cause;
  }
  return link::BootReason::kWatchdog;
}

}  // namespace

Bench::Bench(evloop::Loop& loop,
             const rackconfig::RackConfig& rack,
             const Scenario& scenario,
             fs::path run_dir,
             MachineFactory make_machine)
    : loop_(loop),
      rack_(rack),
      scenario_(scenario),
      run_dir_(std::move(run_dir)),
      make_machine_(std::move(make_machine)),
      control_(loop, [this](const std::string& line) { return Answer(line); }) {}

Bench::~Bench() {
  loop_.Remove(draw_timer_);
  for (evloop::Handle handle : event_timers_) loop_.Remove(handle);
  for (auto& board : boards_) board->Stop();
  std::error_code ignored;
  if (!started_) return;
  fs::remove(run_dir_ / "ready", ignored);
  fs::remove(run_dir_ / "endpoints", ignored);
}

Status Bench::Start() {
  std::error_code error;
  fs::create_directories(run_dir_, error);
  FARADAY_TRY(control_.Open((run_dir_ / "control").string()));  // also proves that no other simulator runs here
  started_ = true;
  fs::remove(run_dir_ / "ready", error);
  FARADAY_TRY(StartPhones());
  for (int board = 0; board < static_cast<int>(rack_.boards.size()); ++board) FARADAY_TRY(StartBoard(board));
  draw_timer_ = loop_.AddPeriodic("phone draws", kDrawPeriod, [this] { CarryDraws(); });
  for (const ScenarioEvent& event : scenario_.events) {
    event_timers_.push_back(
        loop_.AddTimer("scenario event", BootClock::now() + Milliseconds(event.after_ms), [this, &event] {
          log::Info("scenario: {}: {}", event.text, Answer(event.text));
        }));
  }
  FARADAY_TRY(WriteEndpoints());
  return WriteWhole(run_dir_ / "ready", "ready\n");
}

Bench::Place Bench::PlaceOf(int slot) const {
  const rackconfig::SlotConfig& config = rack_.slots[static_cast<size_t>(slot) - 1];
  return {config.board, static_cast<size_t>(config.board_slot) - 1};
}

std::string Bench::Name(int slot) const { return fmt::format("{}/{:02}", rack_.rack, slot); }

Status Bench::StartPhones() {
  for (const ScenarioPhone& phone : scenario_.phones) {
    const rackconfig::SlotConfig& slot = rack_.slots[static_cast<size_t>(phone.slot) - 1];
    const fs::path folder = run_dir_ / "phones" / fmt::format("{}-{:02}", rack_.rack, phone.slot);
    auto made = Phone::Create(loop_, OptionsOf(phone, slot, folder));
    if (!made.ok())
      return {made.status().code(), fmt::format("slot {}: {}", Name(phone.slot), made.status().message())};
    phones_[phone.slot].phone = std::move(*made);
  }
  return OkStatus();
}

Result<MachineOrder> Bench::OrderOf(int board) const {
  MachineOrder order;
  order.name = fmt::format("rack {} board {}", rack_.rack, board);
  order.slot_rails = RailsOf(rack_, board);
  FARADAY_TRY_ASSIGN(order.line, MakeLine(rack_.boards[static_cast<size_t>(board)].port, board));
  order.eeprom = run_dir_ / fmt::format("board{}.eeprom", board);
  order.folder = run_dir_ / fmt::format("board{}.machine", board);
  for (const ScenarioBoardFault& fault : scenario_.board_faults) {
    if (fault.board == board) order.faults.push_back(fault.fault);
  }
  return order;
}

Status Bench::StartBoard(int board) {
  FARADAY_TRY_ASSIGN(MachineOrder order, OrderOf(board));
  auto line = std::make_unique<DamagedLine>(std::move(order.line));
  damaged_lines_.push_back(line.get());
  order.line = std::move(line);
  FARADAY_TRY_ASSIGN(auto machine, make_machine_(std::move(order)));
  FillPlant(machine->plant(), board);
  boards_.push_back(std::make_unique<BoardThread>(
      std::move(machine), [this, numbers = NumbersOf(rack_, board)](size_t index, const SlotSide& side) {
        loop_.Post([this, slot = numbers[index], side] { OnSlotChange(slot, side); });
      }));
  return boards_.back()->Start();
}

// What hangs on the board when it starts: phones, their packs, inputs at rest.
void Bench::FillPlant(Plant& plant, int board) {
  const std::vector<int> numbers = NumbersOf(rack_, board);
  for (size_t i = 0; i < plant.slots(); ++i) plant.slot(i).SetPhonePresent(phones_.contains(numbers[i]));
  for (const ScenarioPhone& phone : scenario_.phones) {
    if (PlaceOf(phone.slot).board != board) continue;
    SlotPhysics& slot = plant.slot(PlaceOf(phone.slot).index);
    slot.SetBattery(BatteryOf(*FindPhoneModel(phone.model), phone.battery_percent));
    slot.SetDraw(phones_[phone.slot].draw = phones_[phone.slot].phone->draw());
  }
  for (const rackconfig::InputConfig& input : rack_.inputs) {
    if (input.board == board) plant.SetInput(input.pin, !input.active_high);
  }
}

Status Bench::WriteEndpoints() const {
  std::string text = fmt::format("control {}\n", (run_dir_ / "control").string());
  for (size_t i = 0; i < boards_.size(); ++i) {
    const rackconfig::PortConfig& port = rack_.boards[i].port;
    text += port.path.empty() ? fmt::format("board{} socket {}\n", i, port.socket)
                              : fmt::format("board{} pty {}\n", i, port.path);
  }
  for (const auto& [slot, row] : phones_) {
    text += fmt::format("phone {} {}\n", Name(slot), fmt::join(row.phone->options().listen, " "));
  }
  return WriteWhole(run_dir_ / "endpoints", text);
}

// ---- between plant and phones -------------------------------------------------------------------------------------

void Bench::OnSlotChange(int slot, const SlotSide& side) {
  const auto found = phones_.find(slot);
  if (found == phones_.end()) return;
  found->second.side = side;
  found->second.phone->Update(side);
}

void Bench::CarryDraws() {
  for (auto& [slot, row] : phones_) {
    const PhoneDraw draw = row.phone->draw();
    if (draw.running == row.draw.running && draw.system_ma == row.draw.system_ma) continue;
    row.draw = draw;
    const Place place = PlaceOf(slot);
    boards_[static_cast<size_t>(place.board)]->Post(
        [index = place.index, draw](Machine& machine) { machine.plant().slot(index).SetDraw(draw); });
  }
}

// ---- control ------------------------------------------------------------------------------------------------------

std::string Bench::Answer(const std::string& line) {
  const auto command = ParseControlCommand(line, rack_);
  if (!command.ok()) return "error " + command.status().message();
  const auto answer = Execute(*command);
  return answer.ok() ? "ok " + *answer : "error " + answer.status().message();
}

Result<std::string> Bench::Execute(const ControlCommand& command) {
  constexpr std::array<CommandHandler, 13> kHandlers = {&Bench::Help,
                                                        &Bench::List,
                                                        &Bench::State,
                                                        &Bench::SetFault,
                                                        &Bench::ActOnPhone,
                                                        &Bench::SetBattery,
                                                        &Bench::ResetMcu,
                                                        &Bench::SetLine,
                                                        &Bench::SetInput,
                                                        &Bench::ResetExpander,
                                                        &Bench::HangMcu,
                                                        &Bench::SetBus,
                                                        &Bench::WearEeprom};  // in Verb's order
  return (this->*kHandlers[static_cast<size_t>(command.verb)])(command);
}

Result<std::string> Bench::Help(const ControlCommand&) {
  std::vector<std::string> usages;
  for (const CommandHelp& help : ControlHelp()) usages.push_back(help.usage);
  return fmt::format("{}", fmt::join(usages, " | "));
}

Result<std::string> Bench::List(const ControlCommand&) {
  std::vector<std::string> names;
  for (const auto& [slot, row] : phones_) names.push_back(Name(slot));
  return fmt::format("{}", fmt::join(names, " "));
}

BoardThread& Bench::BoardOf(const ControlCommand& command) {
  const int board = command.slot == 0 ? command.board : PlaceOf(command.slot).board;
  return *boards_[static_cast<size_t>(board)];
}

Status Bench::OnMachine(const ControlCommand& command, const std::function<Status(Machine&)>& call) {
  Status status;
  BoardOf(command).Call([&](Machine& machine) { status = call(machine); });
  return status;
}

Result<std::string> Bench::State(const ControlCommand& command) {
  if (command.slot == 0) return BoardState(command);
  std::string text = Name(command.slot) + " ";
  BoardOf(command).Call([&](Machine& machine) { text += machine.Describe(PlaceOf(command.slot).index); });
  const auto phone = phones_.find(command.slot);
  if (phone == phones_.end()) return text + " phone=none";
  const Phone& it = *phone->second.phone;
  return text + fmt::format(" phone={} serial={} phone_fault={} adb={}",
                            PhonePowerName(it.power()),
                            it.options().identity.serial,
                            PhoneFaultName(it.fault()),
                            it.listening().empty() ? "none" : it.listening());
}

Result<std::string> Bench::BoardState(const ControlCommand& command) {
  std::string text;
  BoardOf(command).Call([&](Machine& machine) {
    const BoardFacts facts = machine.facts();
    LinePort& line = machine.line();
    text =
        fmt::format("board={} boots={} stopped={} line={} inputs={:#x} slots={} slipped_ms={} watchdog_bites={} mcu={}",
                    command.board,
                    facts.boots,
                    facts.stopped ? "yes" : "no",
                    !line.plugged()    ? "cut"
                    : line.Connected() ? "connected"
                                       : "waiting",
                    machine.plant().inputs(),
                    machine.plant().slots(),
                    facts.slipped_ms,
                    facts.watchdog_bites,
                    facts.mcu);
  });
  return text;
}

Result<std::string> Bench::SetFault(const ControlCommand& command) {
  FARADAY_TRY(OnMachine(command, [&](Machine& machine) {
    return machine.SetFault(PlaceOf(command.slot).index, command.what, command.on);
  }));
  return fmt::format("{} {} {}", Name(command.slot), command.what, command.on ? "on" : "off");
}

Result<Bench::PhoneRow*> Bench::FindPhone(int slot) {
  const auto found = phones_.find(slot);
  if (found != phones_.end()) return &found->second;
  return Status{Code::kNotFound,
                fmt::format("no phone is in {} by the scenario; \"list\" shows where they are", Name(slot))};
}

Result<std::string> Bench::ActOnPhone(const ControlCommand& command) {
  FARADAY_TRY_ASSIGN(PhoneRow * row, FindPhone(command.slot));
  Phone& phone = *row->phone;
  if (command.what == "power-on") {
    phone.PowerOn();
  } else if (command.what == "power-off") {
    phone.PowerOff();
  } else if (command.what == "reboot") {
    phone.Reboot();
  } else {
    FARADAY_TRY_ASSIGN(const PhoneFault fault, ParsePhoneFault(command.what));
    phone.SetFault(fault);
    BoardOf(command).Call([&](Machine& machine) {
      machine.plant().slot(PlaceOf(command.slot).index).SetPhonePresent(fault != PhoneFault::kAbsent);
    });
  }
  return fmt::format("{} {}", Name(command.slot), phone.Describe());
}

Result<std::string> Bench::SetBattery(const ControlCommand& command) {
  FARADAY_TRY_ASSIGN(PhoneRow * row, FindPhone(command.slot));
  const Battery battery = BatteryOf(row->phone->options().model, command.percent);
  BoardOf(command).Call(
      [&](Machine& machine) { machine.plant().slot(PlaceOf(command.slot).index).SetBattery(battery); });
  return fmt::format("{} battery {}", Name(command.slot), command.percent);
}

Result<std::string> Bench::ResetMcu(const ControlCommand& command) {
  FARADAY_TRY(OnMachine(command, [&](Machine& machine) { return machine.McuReset(CauseOf(command.what)); }));
  return fmt::format("board {} reset", command.board);
}

Result<std::string> Bench::SetLine(const ControlCommand& command) {
  if (command.what == "damage") return DamageLine(command);
  FARADAY_TRY(OnMachine(command, [&](Machine& machine) {
    if (command.what == "restore") return machine.line().Plug();
    machine.line().Unplug();
    return OkStatus();
  }));
  return fmt::format("line {} {}", command.board, command.what);
}

Result<std::string> Bench::DamageLine(const ControlCommand& command) {
  constexpr uint32_t kPerPercent = DamageRates::kAll / 100;
  const int percent = command.amount.value_or(0);
  DamagedLine* line = damaged_lines_[static_cast<size_t>(command.board)];
  FARADAY_TRY(OnMachine(command, [&](Machine&) {
    line->SetDamage(DamageRates::Mixed(static_cast<uint32_t>(percent) * kPerPercent),
                    static_cast<uint64_t>(command.seed));
    return OkStatus();
  }));
  return fmt::format("line {} damage {} seed {}", command.board, percent, command.seed);
}

// One button, wired to every board.
Result<std::string> Bench::PressStopButton(const ControlCommand& command) {
  for (auto& board : boards_) {
    Status status;
    board->Call([&](Machine& machine) { status = machine.PressStopButton(command.on); });
    FARADAY_TRY(status);
  }
  return fmt::format("input {} {}", command.what, command.on ? "active" : "inactive");
}

Result<std::string> Bench::SetInput(const ControlCommand& command) {
  const auto input = std::find_if(rack_.inputs.begin(),
                                  rack_.inputs.end(),
                                  [&command](const rackconfig::InputConfig& it) { return it.name == command.what; });
  if (input == rack_.inputs.end()) return PressStopButton(command);
  boards_[static_cast<size_t>(input->board)]->Call(
      [&](Machine& machine) { machine.plant().SetInput(input->pin, command.on == input->active_high); });
  return fmt::format("input {} {}", command.what, command.on ? "active" : "inactive");
}

Result<std::string> Bench::ResetExpander(const ControlCommand& command) {
  FARADAY_TRY(OnMachine(command, [&](Machine& machine) { return machine.ResetExpander(PlaceOf(command.slot).index); }));
  return fmt::format("{} expander reset", Name(command.slot));
}

Result<std::string> Bench::HangMcu(const ControlCommand& command) {
  FARADAY_TRY(OnMachine(command, [](Machine& machine) { return machine.McuHang(); }));
  return fmt::format("board {} hangs", command.board);
}

Result<std::string> Bench::SetBus(const ControlCommand& command) {
  FARADAY_TRY(OnMachine(command, [&](Machine& machine) {
    if (command.what == "stretch") return machine.SetBusStretch(command.place, *command.amount);
    return machine.SetBusStuck(command.place, command.what == "stuck");
  }));
  return fmt::format("board {} bus {} {}", command.board, command.place, command.what);
}

Result<std::string> Bench::WearEeprom(const ControlCommand& command) {
  FARADAY_TRY(OnMachine(command, [&](Machine& machine) { return machine.WearEepromPage(command.place); }));
  return fmt::format("board {} EEPROM page {} worn", command.board, command.place);
}

}  // namespace faraday::sim
