#include "sim/qemu/qemu_machine.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "base/log.h"
#include "firmware/boards/ast1030/wiring.h"
#include "sim/qemu/gdb_stub.h"
#include "sim/qemu/unix_socket.h"

namespace faraday::sim::qemu {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr Milliseconds kStartLimit = 20s;   // chosen: half a second on an idle machine
constexpr Milliseconds kGdbLimit = 10s;     // chosen
constexpr Milliseconds kLockLimit = 5s;     // a killed QEMU's lock on the EEPROM goes with its last thread
constexpr Milliseconds kShortLife = 10s;    // chosen
constexpr int kShortLives = 3;              // chosen
constexpr uint32_t kSlipMs = 50;            // as PacedClock: a pass that comes later was starved
constexpr uint16_t kBranchToSelf = 0xE7FE;  // Thumb: b .
constexpr uint16_t kUndefined = 0xDE00;     // Thumb: udf #0

Status NotHere(std::string_view what) {
  return {Code::kUnimplemented, fmt::format("not on the emulated MCU: {}", what)};
}

// The id of the chip that a fault takes away.
std::string MissingPart(const StartFault& fault) {
  switch (fault.kind) {
    case StartFault::Kind::kExpanderMissing:
      return fmt::format("exp{}", DrivenPins::ExpanderOf(fault.slot_index));
    case StartFault::Kind::kMonitorMissing:
      return fmt::format("mon{}", fault.slot_index + 1);
    case StartFault::Kind::kSensorMissing:
      return fmt::format("tray{}", fault.slot_index + 1);
    default:
      return "nvm";
  }
}

MachineFaults FaultsOf(const std::vector<StartFault>& faults) {
  MachineFaults machine;
  for (const StartFault& fault : faults) {
    if (fault.kind == StartFault::Kind::kEepromReadOnly) {
      machine.eeprom_read_only = true;
    } else {
      machine.missing.insert(MissingPart(fault));
    }
  }
  return machine;
}

}  // namespace

Result<MachineFactory> QemuMachine::Factory(const std::string& elf) {
  FARADAY_TRY(CheckQemu());
  if (access(elf.c_str(), R_OK) != 0) {
    return Status(Code::kNotFound,
                  fmt::format("no firmware image at {}: build it (needs Debian's gcc-arm-none-eabi and "
                              "libstdc++-arm-none-eabi-newlib) or name one with --firmware",
                              elf));
  }
  return MachineFactory([elf](MachineOrder order) -> Result<std::unique_ptr<Machine>> {
    if (order.slot_rails.size() > firmware::ast1030::kSlots) {
      return Status(Code::kInvalidArgument,
                    fmt::format("{} has {} slots, the image drives at most {}",
                                order.name,
                                order.slot_rails.size(),
                                firmware::ast1030::kSlots));
    }
    return std::unique_ptr<Machine>(std::make_unique<QemuMachine>(std::move(order), elf));
  });
}

QemuMachine::QemuMachine(MachineOrder order, std::string elf)
    : name_(std::move(order.name)),
      elf_(std::move(elf)),
      files_(order.folder.string()),
      folder_(order.folder),
      slot_rails_(order.slot_rails),
      faults_(FaultsOf(order.faults)),
      line_(std::move(order.line)),
      plant_(order.slot_rails) {
  files_.eeprom = order.eeprom.string();
}

QemuMachine::~QemuMachine() { PowerDown(); }

// ---- life and death -----------------------------------------------------------------------------------------------

Status QemuMachine::Start() {
  std::error_code error;
  fs::create_directories(folder_, error);
  FARADAY_TRY(files_.Check());
  FARADAY_TRY(MakeBlankEeprom(files_.eeprom));
  return PowerUp();
}

// Without a running emulator the board is dead, whoever wanted it to start.
Status QemuMachine::PowerUp() {
  const Status started = LaunchPatiently();
  dead_ = started.ok() ? "" : started.message();
  return started;
}

// A QEMU that was killed a moment ago may hold the EEPROM's lock still.
Status QemuMachine::LaunchPatiently() {
  const BootTime deadline = BootClock::now() + kLockLimit;
  while (true) {
    const Status launched = Launch();
    if (launched.ok()) return launched;
    const std::string words = LastWords();
    PowerDown();
    if (words.find("lock") == std::string::npos || BootClock::now() >= deadline) {
      return {launched.code(), fmt::format("{}: {}; QEMU said: {}", name_, launched.message(), words)};
    }
    poll(nullptr, 0, 100);
  }
}

// Every part stands and every input is written before the first instruction.
Status QemuMachine::Launch() {
  files_.RemoveStale();
  unlink(files_.log.c_str());
  FARADAY_TRY_ASSIGN(TraceFeed trace, TraceFeed::Create(files_.trace));
  FARADAY_TRY_ASSIGN(QemuProcess process, QemuProcess::Start(files_, elf_, faults_));
  process_ = std::make_unique<QemuProcess>(std::move(process));
  const auto alive = [this] { return process_->running(); };
  FARADAY_TRY_ASSIGN(QmpClient qmp, QmpClient::Connect(files_.plant_qmp, kStartLimit, alive));
  FARADAY_TRY_ASSIGN(const int uart, ConnectUnix(files_.uart, BootClock::now() + kStartLimit, alive));
  uart_ = std::make_unique<UartPump>(uart, *line_);
  pins_ = std::make_unique<QemuPlant>(plant_, slot_rails_, faults_.missing, std::move(qmp), std::move(trace));
  pins_->PressStopButton(stop_pressed_);
  FARADAY_TRY(pins_->Prepare());
  started_ = BootClock::now();
  hung_ = false;
  resets_seen_ = 0;
  FARADAY_TRY(pins_->Continue());
  ++boots_before_;
  passed_ms_ = FreeRunningMs();
  return OkStatus();
}

// The outputs go with the machine.
void QemuMachine::PowerDown() {
  if (pins_ != nullptr) {
    boots_before_ += pins_->events().resets;
    bites_before_ += pins_->events().watchdog_bites;
  }
  pins_.reset();
  uart_.reset();
  process_.reset();
  files_.RemoveStale();
  for (size_t slot = 0; slot < plant_.slots(); ++slot) plant_.slot(slot).SetOutputs({});
}

void QemuMachine::OnTrouble(const Status& trouble) {
  const std::string words = LastWords();
  log::Warn("{}: the emulator has ended: {}; its last words: {}", name_, trouble.message(), words);
  short_lives_ = BootClock::now() - started_ < kShortLife ? short_lives_ + 1 : 1;
  PowerDown();
  if (short_lives_ >= kShortLives) {
    dead_ = fmt::format("qemu-system-arm ended {} times soon after its start", short_lives_);
    return log::Error("{} is dead: {}; see {}", name_, dead_, files_.log);
  }
  if (!PowerUp().ok()) log::Error("{} is dead: {}", name_, dead_);
}

// Its last line of its own; registers may follow it.
std::string QemuMachine::LastWords() const {
  std::ifstream log(files_.log);
  std::string last = "nothing";
  for (std::string line; std::getline(log, line);) {
    if (line.find("qemu") != std::string::npos) last = line;
  }
  return last.substr(0, 300);
}

// ---- one turn -----------------------------------------------------------------------------------------------------

void QemuMachine::CountSlip(uint32_t now_ms) {
  const uint32_t passed = now_ms - passed_ms_;
  passed_ms_ = now_ms;
  if (passed > kSlipMs) slipped_ms_ += passed - kSlipMs;
}

void QemuMachine::Pass() {
  const uint32_t now_ms = FreeRunningMs();
  CountSlip(now_ms);
  if (!dead_.empty()) {
    line_->Connected();
    return plant_.AdvanceTo(now_ms);
  }
  Status turn = pins_->Step(now_ms);
  if (turn.ok()) turn = uart_->Pass(now_ms);
  if (!turn.ok()) return OnTrouble(turn);
  if (pins_->events().resets == resets_seen_) return;
  resets_seen_ = pins_->events().resets;
  hung_ = false;
}

int QemuMachine::Watch(std::vector<pollfd>& watch) {
  if (!dead_.empty()) return 20;  // chosen: only the plant goes on
  const int plant_ms = pins_->Watch(watch);
  return std::min(plant_ms, uart_->Watch(watch, FreeRunningMs()));
}

BoardFacts QemuMachine::facts() {
  BoardFacts facts;
  facts.boots = boots_before_ + (pins_ != nullptr ? pins_->events().resets : 0);
  facts.watchdog_bites = bites_before_ + (pins_ != nullptr ? pins_->events().watchdog_bites : 0);
  facts.stopped = pins_ == nullptr || pins_->pins().stopped();
  facts.slipped_ms = slipped_ms_;
  facts.mcu = !dead_.empty() ? "dead: " + dead_ : hung_ ? "hung" : "alive";
  return facts;
}

std::string QemuMachine::Describe(size_t slot_index) const {
  std::vector<std::string_view> missing;
  const auto lacks = [&](StartFault::Kind kind) { return faults_.missing.contains(MissingPart({kind, slot_index})); };
  if (lacks(StartFault::Kind::kExpanderMissing)) missing.emplace_back("expander-missing");
  if (lacks(StartFault::Kind::kMonitorMissing)) missing.emplace_back("monitor-missing");
  if (lacks(StartFault::Kind::kSensorMissing)) missing.emplace_back("sensor-missing");
  return DescribeSlot(plant_, slot_index, missing);
}

// ---- what can be done to it ---------------------------------------------------------------------------------------

Status QemuMachine::Running() const {
  if (dead_.empty()) return OkStatus();
  return {Code::kFailedPrecondition,
          fmt::format("the board is dead: {}; \"mcu-reset BOARD power-on\" tries again", dead_)};
}

Status QemuMachine::McuReset(link::BootReason cause) {
  switch (cause) {
    case link::BootReason::kPowerOn:  // blank RAM: only a new machine has it
      PowerDown();
      short_lives_ = 0;
      return PowerUp();
    case link::BootReason::kWatchdog:  // a reset that the firmware did not announce counts as the watchdog's
      FARADAY_TRY(Running());
      return pins_->Execute("system_reset");
    case link::BootReason::kFault:
      return BreakFirmware(kUndefined);
    case link::BootReason::kBrownOut:
      return NotHere("brown-out; the machine has no supply to fail. Use --board native");
    default:
      return NotHere("a reset by the firmware's own wish; use watchdog, fault or power-on, or --board native");
  }
}

Status QemuMachine::BreakFirmware(uint16_t halfword) {
  FARADAY_TRY(Running());
  const Status broken = OverwriteInstruction(halfword);
  if (broken.ok()) return broken;
  // A debugger that came has stopped the machine, and its leaving alone does not start it.
  const Status runs_on = pins_->Execute("cont");
  if (runs_on.ok()) return broken;
  return {broken.code(), fmt::format("{}; and it does not run on: {}", broken.message(), runs_on.message())};
}

Status QemuMachine::OverwriteInstruction(uint16_t halfword) {
  FARADAY_TRY_ASSIGN(GdbStub gdb, GdbStub::Connect(files_.gdb, kGdbLimit));
  FARADAY_TRY_ASSIGN(const uint32_t counter, gdb.ProgramCounter());
  const std::array<uint8_t, 2> bytes = {static_cast<uint8_t>(halfword), static_cast<uint8_t>(halfword >> 8)};
  FARADAY_TRY(gdb.WriteMemory(counter, bytes));
  return gdb.Detach();
}

Status QemuMachine::McuHang() {
  FARADAY_TRY(BreakFirmware(kBranchToSelf));
  hung_ = true;
  return OkStatus();
}

Status QemuMachine::ResetExpander(size_t slot_index) {
  FARADAY_TRY(Running());
  const size_t expander = DrivenPins::ExpanderOf(slot_index);
  if (faults_.missing.contains(fmt::format("exp{}", expander))) {
    return {Code::kFailedPrecondition, "this slot's expander is missing by the scenario's board_faults"};
  }
  pins_->ResetExpander(expander);
  return OkStatus();
}

Status QemuMachine::SetFault(size_t slot_index, std::string_view name, bool on) {
  if (const auto fault = ParseSlotFault(name)) {
    plant_.slot(slot_index).SetFault(*fault, on);
    return OkStatus();
  }
  const std::vector<std::string> names = FaultNames();
  if (std::find(names.begin(), names.end(), name) != names.end()) {
    return NotHere("parts cannot come, go or break while it runs. Use board_faults in the scenario, or --board native");
  }
  return {Code::kInvalidArgument, fmt::format("no fault is named \"{}\"; there are {}", name, fmt::join(names, ", "))};
}

Status QemuMachine::PressStopButton(bool pressed) {
  stop_pressed_ = pressed;
  if (pins_ != nullptr) pins_->PressStopButton(pressed);
  return OkStatus();
}

Status QemuMachine::SetBusStuck(int, bool) {
  return NotHere("its I2C buses have no lines that could be held. Use --board native");
}

Status QemuMachine::SetBusStretch(int, int) { return NotHere("its I2C transfers take no time. Use --board native"); }

Status QemuMachine::SetBoardFault(std::string_view, bool) {
  return NotHere(
      "its parts and lines cannot change while it runs. Use board_faults in the scenario, or --board native");
}

Status QemuMachine::WearEepromPage(int) {
  return NotHere(
      "its EEPROM wears out as a whole or not at all. Use board_faults: eeprom: read-only, or --board native");
}

}  // namespace faraday::sim::qemu
