// The real image as a Machine: one qemu-system-arm with the board's chips, the plant at its pins, its UART pumped to
// the line. A QEMU that ends by itself is started again, as a board whose supply came back (boot reason power-on); one
// that does so three times within 10 s of its start leaves the board dead, and says why.
//
// Time: virtual time is host time, the plant's too. A machine that gets no processor for long is a board that stood
// still while the world went on: its samples age (300 ms) and its watchdog bites (2 s). BoardFacts::slipped_ms tells
// how much the machine's own thread was starved, which is the best sign that QEMU was.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "sim/board/machine.h"
#include "sim/qemu/qemu_plant.h"
#include "sim/qemu/qemu_process.h"
#include "sim/qemu/uart_pump.h"

namespace faraday::sim::qemu {

class QemuMachine : public Machine {
 public:
  // Makes machines that run `elf`. Errors of the call: as CheckQemu(), kNotFound no such file; those of the factory:
  // kInvalidArgument.
  static Result<MachineFactory> Factory(const std::string& elf);
  QemuMachine(MachineOrder order, std::string elf);
  ~QemuMachine() override;

  Status Start() override;
  void Pass() override;
  int Watch(std::vector<pollfd>& watch) override;
  Plant& plant() override { return plant_; }
  LinePort& line() override { return *line_; }
  BoardFacts facts() override;
  std::string Describe(size_t slot_index) const override;
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
  Status PowerUp();
  Status LaunchPatiently();
  Status Launch();
  void PowerDown();
  void OnTrouble(const Status& trouble);
  Status BreakFirmware(uint16_t halfword);
  Status OverwriteInstruction(uint16_t halfword);
  Status Running() const;
  void CountSlip(uint32_t now_ms);
  std::string LastWords() const;

  std::string name_;
  std::string elf_;
  MachineFiles files_;
  std::filesystem::path folder_;
  std::vector<int> slot_rails_;
  MachineFaults faults_;
  std::unique_ptr<LinePort> line_;
  Plant plant_;

  std::unique_ptr<QemuProcess> process_;
  std::unique_ptr<QemuPlant> pins_;
  std::unique_ptr<UartPump> uart_;
  std::string dead_;  // why; empty while pins_ and uart_ stand
  bool hung_ = false;
  bool stop_pressed_ = false;
  int resets_seen_ = 0;
  int boots_before_ = 0;  // MCU starts of earlier processes
  int bites_before_ = 0;
  int short_lives_ = 0;
  BootTime started_{};
  uint32_t passed_ms_ = 0;
  uint64_t slipped_ms_ = 0;
};

}  // namespace faraday::sim::qemu
