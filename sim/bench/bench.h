// The simulated rack as a whole: a thread per board (board_thread.h), the scenario's phones, the control socket and the
// timed events, put together in one loop's thread. main.cc makes one.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "evloop/loop.h"
#include "rackconfig/rack_config.h"
#include "sim/bench/control_command.h"
#include "sim/bench/control_server.h"
#include "sim/bench/scenario.h"
#include "sim/board/board_thread.h"
#include "sim/line_proxy/damaged_line.h"
#include "sim/phone/phone.h"

namespace faraday::sim {

class Bench {
 public:
  // Loop, config and scenario outlive the bench. `make_machine` makes each of the rack's boards.
  Bench(evloop::Loop& loop,
        const rackconfig::RackConfig& rack,
        const Scenario& scenario,
        std::filesystem::path run_dir,
        MachineFactory make_machine);
  ~Bench();

  // Brings everything up, then writes <run-dir>/endpoints and <run-dir>/ready. The first failure ends it.
  Status Start();

  // One control command; the answer without its newline.
  std::string Answer(const std::string& line);

 private:
  struct PhoneRow {
    std::unique_ptr<Phone> phone;
    SlotSide side;
    PhoneDraw draw;
  };
  struct Place {
    int board = 0;
    size_t index = 0;  // of the slot on its board, from 0
  };
  using CommandHandler = Result<std::string> (Bench::*)(const ControlCommand&);

  Status StartBoard(int board);
  Result<MachineOrder> OrderOf(int board) const;
  void FillPlant(Plant& plant, int board);
  Status StartPhones();
  Status WriteEndpoints() const;
  Place PlaceOf(int slot) const;
  std::string Name(int slot) const;
  void OnSlotChange(int slot, const SlotSide& side);
  void CarryDraws();

  Result<std::string> Execute(const ControlCommand& command);
  Result<std::string> Help(const ControlCommand& command);
  Result<std::string> List(const ControlCommand& command);
  Result<std::string> State(const ControlCommand& command);
  Result<std::string> BoardState(const ControlCommand& command);
  Result<std::string> SetFault(const ControlCommand& command);
  Result<std::string> ActOnPhone(const ControlCommand& command);
  Result<std::string> SetBattery(const ControlCommand& command);
  Result<std::string> ResetMcu(const ControlCommand& command);
  Result<std::string> SetLine(const ControlCommand& command);
  Result<std::string> DamageLine(const ControlCommand& command);
  Result<std::string> PressStopButton(const ControlCommand& command);
  Result<std::string> SetInput(const ControlCommand& command);
  Result<std::string> ResetExpander(const ControlCommand& command);
  Result<std::string> HangMcu(const ControlCommand& command);
  Result<std::string> SetBus(const ControlCommand& command);
  Result<std::string> WearEeprom(const ControlCommand& command);
  Result<PhoneRow*> FindPhone(int slot);
  BoardThread& BoardOf(const ControlCommand& command);
  // On the board's thread, waited for.
  Status OnMachine(const ControlCommand& command, const std::function<Status(Machine&)>& call);

  evloop::Loop& loop_;
  const rackconfig::RackConfig& rack_;
  const Scenario& scenario_;
  std::filesystem::path run_dir_;
  MachineFactory make_machine_;
  std::vector<std::unique_ptr<BoardThread>> boards_;
  std::vector<DamagedLine*> damaged_lines_;  // by board, owned by its machine, used on its thread
  std::map<int, PhoneRow> phones_;           // by slot number
  ControlServer control_;
  bool started_ = false;  // the run folder is ours
  evloop::Handle draw_timer_ = 0;
  std::vector<evloop::Handle> event_timers_;
};

}  // namespace faraday::sim
