#include "sim/plant/i2c.h"

#include <algorithm>

#include "base/check.h"
#include "base/result.h"

namespace faraday::sim {

void I2cBus::Attach(uint8_t address, I2cChip& chip) {
  FARADAY_CHECK(address < chips_.size() && chips_[address] == nullptr);
  chips_[address] = &chip;
}

void I2cBus::SetMissing(uint8_t address, bool missing) {
  FARADAY_CHECK(address < missing_.size());
  missing_[address] = missing;
}

Status I2cBus::Wait() {
  const uint32_t wait_ms = stuck_ ? kTransferLimitMs : std::min(stretch_ms_, kTransferLimitMs);
  if (wait_ms > 0 && let_pass_) let_pass_(wait_ms);
  if (stuck_) return {Code::kDeadlineExceeded, "bus stuck"};
  if (stretch_ms_ > kTransferLimitMs) return {Code::kDeadlineExceeded, "clock held low for too long"};
  return OkStatus();
}

Status I2cBus::Find(uint8_t address, I2cChip*& chip) {
  ++transfers_;
  FARADAY_TRY(Wait());
  if (address >= chips_.size() || chips_[address] == nullptr || missing_[address]) {
    return {Code::kUnavailable, "no acknowledge"};
  }
  chip = chips_[address];
  return OkStatus();
}

Status I2cBus::Write(uint8_t address, std::span<const uint8_t> out) {
  I2cChip* chip = nullptr;
  FARADAY_TRY(Find(address, chip));
  chip->OnWrite(out);
  return OkStatus();
}

Status I2cBus::WriteRead(uint8_t address, std::span<const uint8_t> out, std::span<uint8_t> in) {
  I2cChip* chip = nullptr;
  FARADAY_TRY(Find(address, chip));
  chip->OnWrite(out);
  chip->OnRead(in);
  return OkStatus();
}

void I2cBus::Reset() {
  for (I2cChip* chip : chips_) {
    if (chip != nullptr) chip->Reset();
  }
}

}  // namespace faraday::sim
