#include "firmware/boards/ast1030/i2c.h"

#include "firmware/boards/ast1030/timer.h"

namespace faraday::firmware::ast1030 {
namespace {

// Offsets in a bus's register block (legacy mode; Linux drivers/i2c/busses/i2c-aspeed.c).
constexpr uintptr_t kFunction = 0x00;
constexpr uintptr_t kTiming1 = 0x04;
constexpr uintptr_t kTiming2 = 0x08;
constexpr uintptr_t kInterruptEnable = 0x0C;
constexpr uintptr_t kStatus = 0x10;
constexpr uintptr_t kCommand = 0x14;
constexpr uintptr_t kByte = 0x20;  // 0-7 to send, 8-15 received

constexpr uint32_t kStart = 1U << 0;
constexpr uint32_t kTransmit = 1U << 1;
constexpr uint32_t kReceive = 1U << 3;
constexpr uint32_t kReceiveLast = 1U << 4;
constexpr uint32_t kStop = 1U << 5;

constexpr uint32_t kAcknowledged = 1U << 0;
constexpr uint32_t kNotAcknowledged = 1U << 1;
constexpr uint32_t kReceived = 1U << 2;
constexpr uint32_t kArbitrationLost = 1U << 3;
constexpr uint32_t kStopped = 1U << 4;
constexpr uint32_t kAbnormal = 1U << 5;
constexpr uint32_t kPolledStatus = 0x3F;
constexpr uint32_t kAllStatus = 0xFFFFFFFF;

constexpr uint32_t kTransferLimitUs = 5000;

// 50 MHz APB / 2^4 / (16 + 16): 97.7 kHz, the parts' common speed.
constexpr uint32_t kTiming100kHz = 15U << 16 | 15U << 12 | 4U;

}  // namespace

void I2cMaster::Start() const {
  WriteRegister(base_ + kFunction, 0);
  // A status bit shows only while its interrupt is enabled; the NVIC line stays disabled, the bits are polled.
  WriteRegister(base_ + kInterruptEnable, kPolledStatus);
  WriteRegister(base_ + kTiming1, kTiming100kHz);
  WriteRegister(base_ + kTiming2, 0);
  WriteRegister(base_ + kStatus, kAllStatus);
  WriteRegister(base_ + kFunction, 1);
}

Status I2cMaster::Write(uint8_t address, std::span<const uint8_t> out) const {
  const uint32_t started_us = Timer::Micros();
  return Stop(Send(address, out, started_us), started_us);
}

Status I2cMaster::WriteRead(uint8_t address, std::span<const uint8_t> out, std::span<uint8_t> in) const {
  const uint32_t started_us = Timer::Micros();
  Status result = Send(address, out, started_us);
  if (result.ok()) result = Receive(address, in, started_us);
  return Stop(result, started_us);
}

Status I2cMaster::Run(uint32_t command, uint32_t started_us) const {
  WriteRegister(base_ + kStatus, kAllStatus);
  WriteRegister(base_ + kCommand, command);
  while (true) {
    // The clock is read before the status: a finished transfer is never called late because the wait was long.
    const bool late = Timer::Micros() - started_us > kTransferLimitUs;
    const uint32_t status = ReadRegister(base_ + kStatus);
    if ((status & (kNotAcknowledged | kArbitrationLost | kAbnormal)) != 0) {
      return {Code::kUnavailable, "I2C address or byte not acknowledged"};
    }
    if ((status & (kAcknowledged | kReceived | kStopped)) != 0) return OkStatus();
    if (late) return {Code::kDeadlineExceeded, "I2C bus stuck"};
  }
}

Status I2cMaster::Send(uint8_t address, std::span<const uint8_t> out, uint32_t started_us) const {
  WriteRegister(base_ + kByte, static_cast<uint32_t>(address) << 1);
  FARADAY_TRY(Run(kStart | kTransmit, started_us));
  for (const uint8_t byte : out) {
    WriteRegister(base_ + kByte, byte);
    FARADAY_TRY(Run(kTransmit, started_us));
  }
  return OkStatus();
}

Status I2cMaster::Receive(uint8_t address, std::span<uint8_t> in, uint32_t started_us) const {
  WriteRegister(base_ + kByte, static_cast<uint32_t>(address) << 1 | 1U);
  FARADAY_TRY(Run(kStart | kTransmit, started_us));
  for (size_t i = 0; i < in.size(); ++i) {
    const bool last = i + 1 == in.size();
    FARADAY_TRY(Run(last ? kReceive | kReceiveLast : kReceive, started_us));
    in[i] = static_cast<uint8_t>(ReadRegister(base_ + kByte) >> 8);
  }
  return OkStatus();
}

Status I2cMaster::Stop(Status result, uint32_t started_us) const {
  if (result.code() == Code::kDeadlineExceeded) {
    Start();
    return result;
  }
  const Status stopped = Run(kStop, started_us);
  if (stopped.code() == Code::kDeadlineExceeded) {
    Start();
    return stopped;
  }
  return result;
}

}  // namespace faraday::firmware::ast1030
