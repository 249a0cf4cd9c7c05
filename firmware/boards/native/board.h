// The native board: a board's hardware as part of a Linux process. Its buses end in the modelled chips of sim/plant at
// the same addresses as on the ast1030 board, its UART in a SerialLine, its clock in a function (real or a test's).
// Satisfies the Board concept of drivers/board.h. One thread owns board and plant together.
//
//   slots 1-32   outputs  PCA9552  bus 4 and 10, 0x60-0x67, two slots a chip
//                monitor  ADM1272  bus 2 and 3, 0x10-0x1f, 5 milliohm shunt
//                tray     TMP105   bus 5 to 8, 0x48-0x4f
//   memory                AT24C64  bus 9, 0x50
//   log                   64 KiB of a W25Q64
//   inputs       0-31 relay senses, 32-63 rack inputs
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "firmware/boards/native/serial_line.h"
#include "firmware/core/stop_watch.h"
#include "firmware/drivers/board.h"
#include "sim/plant/chips.h"
#include "sim/plant/i2c.h"
#include "sim/plant/nor_flash.h"
#include "sim/plant/plant.h"

namespace faraday::firmware {

class NativeBoard {
 public:
  static constexpr size_t kBuses = 11;
  static constexpr size_t kMaxBoardSlots = 32;
  static constexpr uint32_t kShuntMicroohm = 5000;
  static constexpr uint32_t kWatchdogMs = 2000;  // as on the ast1030 board

  // As many slots as the plant has (1 to 32). `clock` gives free-running milliseconds. Plant and line outlive the
  // board.
  NativeBoard(sim::Plant& plant, SerialLine& line, std::function<uint32_t()> clock);
  NativeBoard(const NativeBoard&) = delete;
  NativeBoard& operator=(const NativeBoard&) = delete;

  // ---- the Board concept: what the firmware sees ----
  const char* Name() const { return "native"; }
  std::span<const SlotWiring> Slots() const { return wiring_; }
  MonitorScale Scale() const { return {kShuntMicroohm}; }
  // The clock's time, or the end of a slow transfer when that is later.
  uint32_t NowMs();
  // The receive path looks for stop frames by itself, also inside slow transfers and while the firmware hangs
  // (PollLine).
  size_t UartRead(std::span<uint8_t> in);
  size_t UartWrite(std::span<const uint8_t> out) { return line_.Write(out); }
  uint64_t ReadInputs() const { return (uint64_t{plant_.inputs()} << 32) | plant_.relay_senses(); }
  // ALERT# as the monitors pull it: above the board's ceiling, or cut off. The rest as SetSignals left it.
  Signals TakeSignals() const;
  // A pressed stop button keeps it low, and so does a stop frame that the firmware has not taken yet.
  void SetStopPin(bool stop);
  void StopFrameTaken() { ++stops_taken_; }
  void SetAlarmPin(bool alarm) { alarm_ = alarm; }
  // Too late to help once the watchdog has bitten.
  void FeedWatchdog();
  link::BootReason BootCause() const { return boot_cause_; }
  uint32_t NewSession();
  Status NvmRead(uint32_t at, std::span<uint8_t> in);
  Status NvmWrite(uint32_t at, std::span<const uint8_t> out);
  Status LogRead(uint32_t at, std::span<uint8_t> in) { return flash_.Read(at, in, NowMs()); }
  Status LogProgram(uint32_t at, std::span<const uint8_t> out) { return flash_.Program(at, out, NowMs()); }
  Status LogBeginErase(uint32_t at) { return flash_.Erase(at, NowMs()); }
  bool LogBusy() { return flash_.Busy(NowMs()); }
  // REQUIRES: bus < kBuses.
  sim::I2cBus& Bus(size_t bus) { return buses_[bus]; }

  // ---- the simulator's side ----
  // The MCU's reset line: every part but the memory's contents returns to its reset state; the next BootCause is
  // `cause`. The firmware's objects must be made anew after it.
  void Reset(link::BootReason cause);
  // True once the watchdog was not fed for kWatchdogMs by board time: its reset is due. Ends with Reset().
  bool WatchdogBit();
  // The MCU is still in a slow transfer that has used up time which the clock has yet to reach.
  bool InTransfer();
  // The slot's expander loses its registers without the firmware's doing. It serves two slots.
  void ResetExpander(size_t slot);
  // Pins of the slot's VBUS switch that are stuck, whatever the expander's registers say.
  void SetVbusPinStuck(size_t slot, bool on, bool off);
  // Another model answers at the slot's monitor.
  void SetMonitorWrong(size_t slot, bool wrong);
  // The stop pin's line to the expanders is broken: the pin moves, the parts do not feel it.
  void SetResetLineBroken(bool broken);
  // The memory does not acknowledge.
  void SetEepromMissing(bool missing);
  // The board's own lines from now on: the stop button, PSU-OK of the rails, ALERT# beside what the monitors pull. At
  // rest: not pressed, all good, none.
  void SetSignals(const Signals& signals);
  bool stopped() const { return stopped_; }
  bool alarm() const { return alarm_; }
  sim::At24& eeprom() { return eeprom_; }
  sim::NorFlash& flash() { return flash_; }
  // The UART's interrupt: takes what came over the line. Call it when the firmware does not pass; UartRead and slow
  // transfers call it by themselves.
  void PollLine();

 private:
  void Wire(size_t slot);
  void LetTimePass(uint32_t ms);
  bool StopFrameWaits() const { return stops_seen_ != stops_taken_; }

  sim::Plant& plant_;
  SerialLine& line_;
  std::function<uint32_t()> clock_;
  std::vector<SlotWiring> wiring_;
  std::vector<std::unique_ptr<sim::Pca9552>> expanders_;
  std::vector<std::unique_ptr<sim::Adm1272>> monitors_;
  std::vector<std::unique_ptr<sim::Tmp105>> sensors_;
  sim::At24 eeprom_;
  sim::NorFlash flash_;
  std::array<uint8_t, 65'536> received_{};  // what finds it full is lost, as in a UART; a line here knows no baud rate
  size_t received_at_ = 0, received_size_ = 0;
  StopWatch stop_watch_;
  uint32_t stops_seen_ = 0, stops_taken_ = 0;
  bool alarm_ = false;
  std::array<sim::I2cBus, kBuses> buses_;
  link::BootReason boot_cause_ = link::BootReason::kPowerOn;
  bool stopped_ = false;
  bool reset_line_broken_ = false;
  std::vector<uint8_t> pins_stuck_;  // by slot: bit 0 on, bit 1 off
  Signals signals_;
  uint32_t fed_at_ms_ = 0;
  bool watchdog_bit_ = false;
  uint32_t transfer_ends_ms_ = 0;
};

static_assert(Board<NativeBoard> && HasLogFlash<NativeBoard> && SeesStopFrames<NativeBoard>);
static_assert(I2cBus<sim::I2cBus&>);

}  // namespace faraday::firmware
