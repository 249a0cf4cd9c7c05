// The ast1030 board behind the Board concept of drivers/board.h: QEMU's machine `ast1030-evb` with the rack's chips
// on its buses. One instance, main loop only (UART bytes come through an interrupt handler and rings).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "firmware/boards/ast1030/eeprom.h"
#include "firmware/boards/ast1030/i2c.h"
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
  // Bits 0-31 relay senses (GPIO A0 to D7), 32-63 rack inputs (GPIO E0 to H7).
  uint64_t ReadInputs() const;
  // GPIO M0, low-active at the pin: low holds every expander in reset and cuts the relay coils.
  void SetStopPin(bool stop);
  void FeedWatchdog();
  link::BootReason BootCause() const { return boot_cause_; }
  uint32_t NewSession();
  Status NvmRead(uint32_t at, std::span<uint8_t> in) const { return Eeprom().Read(at, in); }
  Status NvmWrite(uint32_t at, std::span<const uint8_t> out) const { return Eeprom().Write(at, out); }
  I2cMaster Bus(size_t bus) const { return I2cMaster(bus); }
  // Looked at anew each second: it means reading the whole unused stack.
  uint32_t StackHighWaterBytes();
  // The UART's interrupt handler calls it.
  void OnUartInterrupt() { uart_.OnInterrupt(); }

 private:
  void Settle();

  Uart uart_;
  Timer timer_;
  uint32_t stack_looked_us_ = 0;
  uint32_t stack_high_water_ = 0;
  link::BootReason boot_cause_ = link::BootReason::kUnknown;
};

}  // namespace faraday::firmware::ast1030
