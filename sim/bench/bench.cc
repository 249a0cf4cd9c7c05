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
      control_(loop, [this](const std::string& line, ControlServer::Reply reply) { Answer(line, std::move(reply)); }) {}

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
          Answer(event.text,
                 [&event](const std::string& answer) { log::Info("scenario: {}: {}", event.text, answer); });
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
        PostToLoop([this, slot = numbers[index], side] { OnSlotChange(slot, side); });
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

void Bench::Answer(const std::string& line, ControlServer::Reply reply) {
  const auto command = ParseControlCommand(line, rack_);
  if (!command.ok()) return reply("error " + command.status().message());
  Execute(*command, [reply = std::move(reply)](const Result<std::string>& answer) {
    reply(answer.ok() ? "ok " + *answer : "error " + answer.status().message());
  });
}

void Bench::Execute(const ControlCommand& command, Told told) {
  constexpr std::array<CommandHandler, 17> kHandlers = {&Bench::Help,
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
                                                        &Bench::WearEeprom,
                                                        &Bench::SetLoad,
                                                        &Bench::SetRail,
                                                        &Bench::SetAmbient,
                                                        &Bench::BreakBoard};  // in Verb's order
  (this->*kHandlers[static_cast<size_t>(command.verb)])(command, std::move(told));
}

void Bench::PostToLoop(std::function<void()> call) {
  loop_.Post([bench = std::weak_ptr(here_), call = std::move(call)] {
    if (!bench.expired()) call();
  });
}

void Bench::OnMachine(int board, Work work, Told told) {
  boards_[static_cast<size_t>(board)]->Post([this, work = std::move(work), told = std::move(told)](Machine& machine) {
    PostToLoop([answer = work(machine), told] { told(answer); });
  });
}

void Bench::OnMachine(int board, std::function<Status(Machine&)> call, std::string done, Told told) {
  OnMachine(
      board,
      [call = std::move(call), done = std::move(done)](Machine& machine) -> Result<std::string> {
        FARADAY_TRY(call(machine));
        return done;
      },
      std::move(told));
}

void Bench::Help(const ControlCommand&, Told told) {
  std::vector<std::string> usages;
  for (const CommandHelp& help : ControlHelp()) usages.push_back(help.usage);
  told(fmt::format("{}", fmt::join(usages, " | ")));
}

void Bench::List(const ControlCommand&, Told told) {
  std::vector<std::string> names;
  for (const auto& [slot, row] : phones_) names.push_back(Name(slot));
  told(fmt::format("{}", fmt::join(names, " ")));
}

int Bench::BoardOf(const ControlCommand& command) const {
  return command.slot == 0 ? command.board : PlaceOf(command.slot).board;
}

void Bench::State(const ControlCommand& command, Told told) {
  if (command.slot == 0) {
    return OnMachine(
        command.board, [this, board = command.board](Machine& machine) { return BoardState(machine, board); }, told);
  }
  OnMachine(
      BoardOf(command),
      [index = PlaceOf(command.slot).index](Machine& machine) { return machine.Describe(index); },
      [this, slot = command.slot, told = std::move(told)](const Result<std::string>& board) {
        told(fmt::format("{} {} {}", Name(slot), *board, PhoneState(slot)));
      });
}

std::string Bench::PhoneState(int slot) const {
  const auto found = phones_.find(slot);
  if (found == phones_.end()) return "phone=none";
  const Phone& phone = *found->second.phone;
  return fmt::format("phone={} serial={} phone_fault={} adb={}",
                     PhonePowerName(phone.power()),
                     phone.options().identity.serial,
                     PhoneFaultName(phone.fault()),
                     phone.listening().empty() ? "none" : phone.listening());
}

// On the board's thread.
std::string Bench::BoardState(Machine& machine, int board) const {
  const BoardFacts facts = machine.facts();
  LinePort& line = machine.line();
  const LineDamager& damager = damaged_lines_[static_cast<size_t>(board)]->damager();
  return fmt::format(
      "board={} boots={} stopped={} line={} damaged={} inputs={:#x} slots={} slipped_ms={} watchdog_bites={} mcu={}",
      board,
      facts.boots,
      facts.stopped ? "yes" : "no",
      !line.plugged()    ? "cut"
      : line.Connected() ? "connected"
                         : "waiting",
      damager.counts(Way::kToBoard).damaged() + damager.counts(Way::kToHost).damaged(),
      machine.plant().inputs(),
      machine.plant().slots(),
      facts.slipped_ms,
      facts.watchdog_bites,
      facts.mcu);
}

void Bench::SetFault(const ControlCommand& command, Told told) {
  OnMachine(
      BoardOf(command),
      [index = PlaceOf(command.slot).index, command](Machine& machine) {
        return machine.SetFault(index, command.what, command.on);
      },
      fmt::format("{} {} {}", Name(command.slot), command.what, command.on ? "on" : "off"),
      std::move(told));
}

Result<Bench::PhoneRow*> Bench::FindPhone(int slot) {
  const auto found = phones_.find(slot);
  if (found != phones_.end()) return &found->second;
  return Status{Code::kNotFound,
                fmt::format("no phone is in {} by the scenario; \"list\" shows where they are", Name(slot))};
}

void Bench::ActOnPhone(const ControlCommand& command, Told told) {
  const auto row = FindPhone(command.slot);
  if (!row.ok()) return told(row.status());
  Phone& phone = *(*row)->phone;
  const auto describe = [this, slot = command.slot, &phone] {
    return fmt::format("{} {}", Name(slot), phone.Describe());
  };
  if (command.what == "power-on") {
    phone.PowerOn();
  } else if (command.what == "power-off") {
    phone.PowerOff();
  } else if (command.what == "reboot") {
    phone.Reboot();
  } else {
    const auto fault = ParsePhoneFault(command.what);
    if (!fault.ok()) return told(fault.status());
    phone.SetFault(*fault);
    return OnMachine(
        BoardOf(command),
        [index = PlaceOf(command.slot).index, present = *fault != PhoneFault::kAbsent](Machine& machine) {
          machine.plant().slot(index).SetPhonePresent(present);
          return OkStatus();
        },
        describe(),
        std::move(told));
  }
  told(describe());
}

void Bench::SetBattery(const ControlCommand& command, Told told) {
  const auto row = FindPhone(command.slot);
  if (!row.ok()) return told(row.status());
  OnMachine(
      BoardOf(command),
      [index = PlaceOf(command.slot).index,
       battery = BatteryOf((*row)->phone->options().model, command.percent)](Machine& machine) {
        machine.plant().slot(index).SetBattery(battery);
        return OkStatus();
      },
      fmt::format("{} battery {}", Name(command.slot), command.percent),
      std::move(told));
}

void Bench::ResetMcu(const ControlCommand& command, Told told) {
  OnMachine(
      command.board,
      [cause = CauseOf(command.what)](Machine& machine) { return machine.McuReset(cause); },
      fmt::format("board {} reset", command.board),
      std::move(told));
}

void Bench::SetLine(const ControlCommand& command, Told told) {
  if (command.what == "damage") return DamageLine(command, std::move(told));
  OnMachine(
      command.board,
      [restore = command.what == "restore"](Machine& machine) {
        if (restore) return machine.line().Plug();
        machine.line().Unplug();
        return OkStatus();
      },
      fmt::format("line {} {}", command.board, command.what),
      std::move(told));
}

void Bench::DamageLine(const ControlCommand& command, Told told) {
  constexpr uint32_t kPerPercent = DamageRates::kAll / 100;
  const int percent = command.amount.value_or(0);
  OnMachine(
      command.board,
      [line = damaged_lines_[static_cast<size_t>(command.board)],
       rates = DamageRates::Mixed(static_cast<uint32_t>(percent) * kPerPercent),
       seed = static_cast<uint64_t>(command.seed)](Machine&) {
        line->SetDamage(rates, seed);
        return OkStatus();
      },
      fmt::format("line {} damage {} seed {}", command.board, percent, command.seed),
      std::move(told));
}

// One button, wired to every board; answered when all have it.
void Bench::PressStopButton(const ControlCommand& command, Told told) {
  const auto left = std::make_shared<size_t>(boards_.size());
  const auto answer = std::make_shared<Result<std::string>>(
      fmt::format("input {} {}", command.what, command.on ? "active" : "inactive"));
  for (int board = 0; board < static_cast<int>(boards_.size()); ++board) {
    OnMachine(
        board,
        [on = command.on](Machine& machine) { return machine.PressStopButton(on); },
        "",
        [left, answer, told](const Result<std::string>& pressed) {
          if (!pressed.ok()) *answer = pressed;
          if (--*left == 0) told(*answer);
        });
  }
}

void Bench::SetInput(const ControlCommand& command, Told told) {
  const auto input = std::find_if(rack_.inputs.begin(),
                                  rack_.inputs.end(),
                                  [&command](const rackconfig::InputConfig& it) { return it.name == command.what; });
  if (input == rack_.inputs.end()) return PressStopButton(command, std::move(told));
  OnMachine(
      input->board,
      [pin = input->pin, level = command.on == input->active_high](Machine& machine) {
        machine.plant().SetInput(pin, level);
        return OkStatus();
      },
      fmt::format("input {} {}", command.what, command.on ? "active" : "inactive"),
      std::move(told));
}

void Bench::ResetExpander(const ControlCommand& command, Told told) {
  OnMachine(
      BoardOf(command),
      [index = PlaceOf(command.slot).index](Machine& machine) { return machine.ResetExpander(index); },
      fmt::format("{} expander reset", Name(command.slot)),
      std::move(told));
}

void Bench::HangMcu(const ControlCommand& command, Told told) {
  OnMachine(
      command.board,
      [](Machine& machine) { return machine.McuHang(); },
      fmt::format("board {} hangs", command.board),
      std::move(told));
}

void Bench::SetBus(const ControlCommand& command, Told told) {
  OnMachine(
      command.board,
      [command](Machine& machine) {
        if (command.what == "stretch") return machine.SetBusStretch(command.place, *command.amount);
        return machine.SetBusStuck(command.place, command.what == "stuck");
      },
      fmt::format("board {} bus {} {}", command.board, command.place, command.what),
      std::move(told));
}

void Bench::WearEeprom(const ControlCommand& command, Told told) {
  OnMachine(
      command.board,
      [page = command.place](Machine& machine) { return machine.WearEepromPage(page); },
      fmt::format("board {} EEPROM page {} worn", command.board, command.place),
      std::move(told));
}

void Bench::SetLoad(const ControlCommand& command, Told told) {
  OnMachine(
      BoardOf(command),
      [index = PlaceOf(command.slot).index, load = *command.amount](Machine& machine) {
        machine.plant().slot(index).SetTestLoad(load);
        return OkStatus();
      },
      fmt::format("{} load {}", Name(command.slot), *command.amount),
      std::move(told));
}

void Bench::SetRail(const ControlCommand& command, Told told) {
  RailFault fault = RailFault::kNone;
  for (int i = 0; i < kRailFaults; ++i) {
    if (ToString(static_cast<RailFault>(i)) == command.what) fault = static_cast<RailFault>(i);
  }
  OnMachine(
      command.board,
      [rail = static_cast<size_t>(command.place), fault](Machine& machine) -> Status {
        if (rail >= machine.plant().rails()) return {Code::kFailedPrecondition, "no slot hangs on this rail"};
        machine.plant().SetRailFault(rail, fault);
        return OkStatus();
      },
      fmt::format("board {} rail {} {}",
                  command.board,
                  rack_.rails[static_cast<size_t>(command.board)][static_cast<size_t>(command.place)].name,
                  command.what),
      std::move(told));
}

void Bench::SetAmbient(const ControlCommand& command, Told told) {
  OnMachine(
      command.board,
      [celsius = *command.amount](Machine& machine) {
        machine.plant().SetAmbient(celsius);
        return OkStatus();
      },
      fmt::format("board {} ambient {}", command.board, *command.amount),
      std::move(told));
}

void Bench::BreakBoard(const ControlCommand& command, Told told) {
  OnMachine(
      command.board,
      [command](Machine& machine) { return machine.SetBoardFault(command.what, command.on); },
      fmt::format("board {} {} {}", command.board, command.what, command.on ? "on" : "off"),
      std::move(told));
}

}  // namespace faraday::sim
