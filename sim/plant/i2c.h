// A modelled I2C bus: chips at addresses, faults on demand. The firmware's drivers meet the plant here, through the
// same calls that a board's bus hardware offers. No bit timing, no arbitration; transfers take no time unless a fault
// makes them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>

#include "base/status.h"

namespace faraday::sim {

// One part on a bus. A transfer reaches it whole; a read follows from where the last write left its pointer.
class I2cChip {
 public:
  virtual ~I2cChip() = default;
  virtual void OnWrite(std::span<const uint8_t> bytes) = 0;
  virtual void OnRead(std::span<uint8_t> bytes) = 0;
  // The part's reset pin or the loss of its supply.
  virtual void Reset() = 0;
};

class I2cBus {
 public:
  // How long a master waits for a transfer before it gives the bus up; the ast1030 driver's bound.
  static constexpr uint32_t kTransferLimitMs = 5;

  // `chip` must outlive the bus. REQUIRES: address < 128.
  void Attach(uint8_t address, I2cChip& chip);

  // Errors: kUnavailable nobody acknowledges, kDeadlineExceeded the bus is stuck.
  Status Write(uint8_t address, std::span<const uint8_t> out);
  Status WriteRead(uint8_t address, std::span<const uint8_t> out, std::span<uint8_t> in);

  // Fault: the part does not acknowledge. It keeps its outputs.
  void SetMissing(uint8_t address, bool missing);
  // Fault: a line is held low, every transfer times out after kTransferLimitMs.
  void SetStuck(bool stuck) { stuck_ = stuck; }
  // Fault: a part holds the clock low, so that each transfer takes `ms` longer (0: none). Beyond kTransferLimitMs the
  // master gives up: kDeadlineExceeded, and nothing was transferred.
  void SetStretch(uint32_t ms) { stretch_ms_ = ms; }
  // Who lets that time pass: called within the transfer. Without it slow transfers take no time.
  void OnTimePassing(std::function<void(uint32_t ms)> callback) { let_pass_ = std::move(callback); }
  // Resets every part on the bus.
  void Reset();
  // Transfers since construction.
  uint64_t transfers() const { return transfers_; }

 private:
  Status Find(uint8_t address, I2cChip*& chip);
  Status Wait();

  std::array<I2cChip*, 128> chips_{};
  std::array<bool, 128> missing_{};
  bool stuck_ = false;
  uint32_t stretch_ms_ = 0;
  std::function<void(uint32_t)> let_pass_;
  uint64_t transfers_ = 0;
};

}  // namespace faraday::sim
