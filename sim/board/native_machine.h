// The native firmware as a Machine: SimBoard in real time. Its clock stands still while this process is starved
// (paced_clock.h).
#pragma once

#include <memory>

#include "sim/board/machine.h"
#include "sim/board/paced_clock.h"
#include "sim/board/sim_board.h"

namespace faraday::sim {

class NativeMachine : public Machine {
 public:
  static Result<std::unique_ptr<Machine>> Make(MachineOrder order);
  explicit NativeMachine(MachineOrder order);

  Status Start() override;
  void Pass() override;
  int Watch(std::vector<pollfd>& watch) override;
  Plant& plant() override { return board_.plant(); }
  LinePort& line() override { return *line_; }
  BoardFacts facts() override;
  std::string Describe(size_t slot_index) const override { return board_.Describe(slot_index); }
  Status McuReset(link::BootReason cause) override;
  Status McuHang() override;
  Status ResetExpander(size_t slot_index) override;
  Status SetFault(size_t slot_index, std::string_view name, bool on) override;
  Status PressStopButton(bool pressed) override;
  Status SetBusStuck(int bus, bool stuck) override;
  Status SetBusStretch(int bus, int ms) override;
  Status SetBoardFault(std::string_view name, bool on) override;
  Status WearEepromPage(int page) override;

 private:
  Status KeepEeprom();
  Status KeepFlash();
  Status Apply(const StartFault& fault);
  void DriveSignals();

  std::filesystem::path eeprom_path_;
  std::vector<StartFault> start_faults_;
  std::unique_ptr<LinePort> line_;
  PacedClock clock_;
  std::vector<int> slot_rails_;
  SimBoard board_;
  bool stop_pressed_ = false;
};

}  // namespace faraday::sim
