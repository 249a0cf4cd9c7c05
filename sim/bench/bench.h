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

  // One control command; the answer without its newline, at once or later, on the loop's thread. A command for a board
  // waits until the board's thread takes it, and nothing else waits with it.
  void Answer(const std::string& line, ControlServer::Reply reply);

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
  using Told = std::function<void(const Result<std::string>& answer)>;  // once, on the loop's thread
  using CommandHandler = void (Bench::*)(const ControlCommand&, Told);
  using Work = std::function<Result<std::string>(Machine&)>;

  Status StartBoard(int board);
  Result<MachineOrder> OrderOf(int board) const;
  void FillPlant(Plant& plant, int board);
  Status StartPhones();
  Status WriteEndpoints() const;
  Place PlaceOf(int slot) const;
  std::string Name(int slot) const;
  void OnSlotChange(int slot, const SlotSide& side);
  void CarryDraws();

  void Execute(const ControlCommand& command, Told told);
  void Help(const ControlCommand& command, Told told);
  void List(const ControlCommand& command, Told told);
  void State(const ControlCommand& command, Told told);
  void SetFault(const ControlCommand& command, Told told);
  void ActOnPhone(const ControlCommand& command, Told told);
  void SetBattery(const ControlCommand& command, Told told);
  void ResetMcu(const ControlCommand& command, Told told);
  void SetLine(const ControlCommand& command, Told told);
  void DamageLine(const ControlCommand& command, Told told);
  void PressStopButton(const ControlCommand& command, Told told);
  void SetInput(const ControlCommand& command, Told told);
  void ResetExpander(const ControlCommand& command, Told told);
  void HangMcu(const ControlCommand& command, Told told);
  void SetBus(const ControlCommand& command, Told told);
  void WearEeprom(const ControlCommand& command, Told told);
  void SetLoad(const ControlCommand& command, Told told);
  void SetRail(const ControlCommand& command, Told told);
  void SetAmbient(const ControlCommand& command, Told told);
  void BreakBoard(const ControlCommand& command, Told told);
  std::string BoardState(Machine& machine, int board) const;
  std::string PhoneState(int slot) const;
  Result<PhoneRow*> FindPhone(int slot);
  int BoardOf(const ControlCommand& command) const;
  // `work` runs on the board's thread, `told` gets what it says.
  void OnMachine(int board, Work work, Told told);
  // The same, and what is told when the call went well.
  void OnMachine(int board, std::function<Status(Machine&)> call, std::string done, Told told);
  // From a board's thread; nothing runs once the bench is gone.
  void PostToLoop(std::function<void()> call);

  evloop::Loop& loop_;
  const rackconfig::RackConfig& rack_;
  const Scenario& scenario_;
  std::filesystem::path run_dir_;
  MachineFactory make_machine_;
  std::shared_ptr<int> here_ = std::make_shared<int>();  // gone with the bench; its end is seen on the loop's thread
  std::vector<std::unique_ptr<BoardThread>> boards_;
  std::vector<DamagedLine*> damaged_lines_;  // by board, owned by its machine, used on its thread
  std::map<int, PhoneRow> phones_;           // by slot number
  ControlServer control_;
  bool started_ = false;  // the run folder is ours
  evloop::Handle draw_timer_ = 0;
  std::vector<evloop::Handle> event_timers_;
};

}  // namespace faraday::sim
