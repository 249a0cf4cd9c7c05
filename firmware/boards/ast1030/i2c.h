// The SoC's I2C controllers as bus masters: legacy register mode, byte by byte, polled, every wait bounded.
//
// I2cTransfer is one transfer under way, advanced by Poll(); transfers of different buses may be under way together
// (ReadTogether). I2cMaster is one bus with calls that wait, the I2cBus concept of drivers/board.h. Main loop only.
//
//   400 kHz fast mode   every part of the rack allows it: docs/reference/ast1030-wiring.md has sources and times
//   a part stretches the clock, or holds a line: after 3 ms the transfer is given up, the bus recovered (nine clocks
//   and STOP by the controller) and the controller reset
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "firmware/boards/ast1030/registers.h"
#include "firmware/drivers/board.h"

namespace faraday::firmware::ast1030 {

// Errors of a transfer: kUnavailable not acknowledged; kAborted the bus was stuck and is free again; kDeadlineExceeded
// it is still stuck.
class I2cTransfer {
 public:
  I2cTransfer() = default;
  // START address+W `out` [RESTART address+R `in`] STOP. An empty `in` reads nothing. The spans outlive the transfer.
  // REQUIRES: bus is 0 to 13 and no other transfer is under way on it.
  I2cTransfer(size_t bus, uint8_t address, std::span<const uint8_t> out, std::span<uint8_t> in);

  // Takes the next step if the controller is ready for it. True: over, status() says how.
  bool Poll();
  bool under_way() const { return phase_ != Phase::kIdle; }
  const Status& status() const { return status_; }

 private:
  enum class Phase : uint8_t { kIdle, kSend, kAddressAgain, kReceive, kStop };

  void Command(uint32_t command);
  void Next();
  void End(Status status);
  void GiveUp();

  uintptr_t base_ = 0;
  uint8_t address_ = 0;
  Phase phase_ = Phase::kIdle;
  uint16_t at_ = 0;  // in out or in
  uint32_t started_us_ = 0;
  std::span<const uint8_t> out_;
  std::span<uint8_t> in_;
  Status status_;
};

class I2cMaster {
 public:
  // REQUIRES: bus is 0 to 13.
  constexpr explicit I2cMaster(size_t bus) : bus_(bus) {}

  // Master function on, 400 kHz. Repeating it is harmless: it is also the controller's reset.
  void Start() const;
  Status Write(uint8_t address, std::span<const uint8_t> out) const { return Wait({bus_, address, out, {}}); }
  Status WriteRead(uint8_t address, std::span<const uint8_t> out, std::span<uint8_t> in) const {
    return Wait({bus_, address, out, in});
  }

 private:
  static Status Wait(I2cTransfer transfer);
  size_t bus_;
};

// Makes all reads; those on different buses at the same time, those on one bus in order. After a bus got stuck, the
// reads left on it fail at once with the same status. REQUIRES: at most kMostReads.
void ReadTogether(std::span<RegisterRead> reads);

}  // namespace faraday::firmware::ast1030
