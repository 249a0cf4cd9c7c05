// A modelled I2C bus: chips at addresses, faults on demand. The firmware's drivers meet the plant here, through the
// same calls that a board's bus hardware offers. No bit timing, no arbitration, no clock stretching.
#pragma once

#include <array>
#include <cstdint>
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
  // `chip` must outlive the bus. REQUIRES: address < 128.
  void Attach(uint8_t address, I2cChip& chip);

  // Errors: kUnavailable nobody acknowledges, kDeadlineExceeded the bus is stuck.
  Status Write(uint8_t address, std::span<const uint8_t> out);
  Status WriteRead(uint8_t address, std::span<const uint8_t> out, std::span<uint8_t> in);

  // Fault: the part does not acknowledge. It keeps its outputs.
  void SetMissing(uint8_t address, bool missing);
  // Fault: a line is held low, every transfer times out.
  void SetStuck(bool stuck) { stuck_ = stuck; }
  // Resets every part on the bus.
  void Reset();
  // Transfers since construction.
  uint64_t transfers() const { return transfers_; }

 private:
  Status Find(uint8_t address, I2cChip*& chip);

  std::array<I2cChip*, 128> chips_{};
  std::array<bool, 128> missing_{};
  bool stuck_ = false;
  uint64_t transfers_ = 0;
};

}  // namespace faraday::sim
