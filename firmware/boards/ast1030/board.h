// The ast1030 board behind the Board concept of drivers/board.h: QEMU's machine `ast1030-evb` with the rack's chips
// on its buses. One instance, main loop only (UART bytes and pin edges come through interrupt handlers).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "firmware/boards/ast1030/eeprom.h"
#include "firmware/boards/ast1030/gpio.h"
#include "firmware/boards/ast1030/i2c.h"
#include "firmware/boards/ast1030/spi_flash.h"
#include "firmware/boards/ast1030/timer.h"
#include "firmware/boards/ast1030/uart.h"
#include "firmware/boards/ast1030/wiring.h"
#include "firmware/drivers/board.h"

namespace faraday::firmware::ast1030 {

class Ast1030 {
 public:
  // Brings the SoC up: watchdog first, then timer, pins (stop asserted), buses, line, tick. Once.
  void Start();
  // Sleeps until the next interrupt, at most 1 ms.
  void Sleep() { __asm volatile("wfi"); }

  const char* Name() const { return "ast1030"; }
  std::span<const SlotWiring> Slots() const { return kWiring; }
  MonitorScale Scale() const { return kMonitorScale; }
  uint32_t NowMs() { return timer_.NowMs(); }
  size_t UartRead(std::span<uint8_t> in) { return uart_.Read(in); }
  size_t UartWrite(std::span<const uint8_t> out) { return uart_.Write(out); }
  uint32_t LineErrors() const { return uart_.line_errors(); }
  // Bits 0-31 relay senses (GPIO A0 to D7), 32-63 rack inputs (GPIO E0 to H7).
  uint64_t ReadInputs() { return gpio_.TakeInputs(); }
  Signals TakeSignals() {
    Signals signals = gpio_.TakeSignals();
    signals.stop_frame = uart_.StopFrameWaits();
    return signals;
  }
  // GPIO M0, low-active at the pin: low holds every expander in reset and cuts the relay coils. A pressed stop button
  // keeps it low, and so does a stop frame that the UART's handler saw and the main loop has not taken.
  void SetStopPin(bool stop) {
    gpio_.SetStop(stop, [this] { return !uart_.StopFrameWaits(); });
  }
  void StopFrameTaken() { uart_.StopFrameTaken(); }
  // GPIO M2, high: alarm.
  void SetAlarmPin(bool alarm) { gpio_.SetAlarm(alarm); }
  void FeedWatchdog();
  link::BootReason BootCause() const { return boot_cause_; }
  uint32_t NewSession();
  Status NvmRead(uint32_t at, std::span<uint8_t> in) { return Eeprom(gpio_).Read(at, in); }
  Status NvmWrite(uint32_t at, std::span<const uint8_t> out) {
    return NvmWrite(at, out, [] {});
  }
  template <typename Idle>
  Status NvmWrite(uint32_t at, std::span<const uint8_t> out, Idle idle) {
    return Eeprom(gpio_).Write(at, out, idle);
  }
  I2cMaster Bus(size_t bus) const { return I2cMaster(bus); }
  void ReadTogether(std::span<RegisterRead> reads) const { ast1030::ReadTogether(reads); }
  // JEDEC id of the SPI flash that the firmware starts from; 0: silent.
  uint32_t FlashId() const;
  // The log's part of that flash (core/log_flash.h).
  Status LogRead(uint32_t at, std::span<uint8_t> in) { return LogRegion().Read(at, in); }
  Status LogProgram(uint32_t at, std::span<const uint8_t> out) { return LogRegion().Program(at, out); }
  Status LogBeginErase(uint32_t at) { return LogRegion().BeginErase(at); }
  bool LogBusy() { return LogRegion().Busy(); }
  // Looked at anew each second: it means reading the whole unused stack.
  uint32_t StackHighWaterBytes();
  // The UART's interrupt handler calls it.
  void OnUartInterrupt() {
    if (uart_.OnInterrupt()) gpio_.StopFromHandler();
  }
  // The pins' interrupt handler calls it.
  void OnGpioInterrupt() { gpio_.OnInterrupt(); }

 private:
  void Settle();

  Gpio gpio_;
  Uart uart_;
  Timer timer_;
  uint32_t stack_looked_us_ = 0;
  uint32_t stack_high_water_ = 0;
  link::BootReason boot_cause_ = link::BootReason::kUnknown;
};

}  // namespace faraday::firmware::ast1030
