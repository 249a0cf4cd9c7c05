#include "firmware/boards/ast1030/i2c.h"

#include <array>

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

constexpr uint32_t kMasterEnable = 1U << 0;

constexpr uint32_t kStart = 1U << 0;
constexpr uint32_t kTransmit = 1U << 1;
constexpr uint32_t kReceive = 1U << 3;
constexpr uint32_t kReceiveLast = 1U << 4;
constexpr uint32_t kStop = 1U << 5;
constexpr uint32_t kRecover = 1U << 11;  // clocks until SDA is free, then STOP
constexpr uint32_t kSclHigh = 1U << 17;  // read: the line's level
constexpr uint32_t kSdaHigh = 1U << 18;

constexpr uint32_t kAcknowledged = 1U << 0;
constexpr uint32_t kNotAcknowledged = 1U << 1;
constexpr uint32_t kReceived = 1U << 2;
constexpr uint32_t kArbitrationLost = 1U << 3;
constexpr uint32_t kStopped = 1U << 4;
constexpr uint32_t kAbnormal = 1U << 5;
constexpr uint32_t kSclTimeout = 1U << 6;
constexpr uint32_t kRecovered = 1U << 13;
constexpr uint32_t kSdaTimeout = 1U << 14;
constexpr uint32_t kDone = kAcknowledged | kReceived | kStopped;
// With one master on the bus, all of these mean that somebody else holds a line.
constexpr uint32_t kBusError = kArbitrationLost | kAbnormal | kSclTimeout | kSdaTimeout;
constexpr uint32_t kPolledStatus = kDone | kNotAcknowledged | kBusError | kRecovered;
constexpr uint32_t kAllStatus = 0xFFFFFFFF;

// The longest transfer, a page write of 35 bytes, takes 0.9 ms; the rest is room for clock stretching (chosen).
constexpr uint32_t kTransferLimitUs = 3000;
// Nine clocks and STOP take 26 us; a part may stretch them (chosen).
constexpr uint32_t kRecoveryLimitUs = 1000;

// Base clock 50 MHz / 2^3 = 160 ns. SCL low 9 of them = 1.44 us (fast mode asks 1.3), high 7 = 1.12 us (0.6): 390.6
// kHz. tBUF 9 = 1.44 us (1.3), tHDSTA 8 = 1.28 us (0.6). The base clock is an assumption, see the wiring page.
constexpr uint32_t kTiming400kHz = 8U << 28 | 7U << 24 | 7U << 20 | 6U << 16 | 8U << 12 | 3U;

constexpr uintptr_t BaseOf(size_t bus) { return kI2c + 0x80 + 0x80 * bus; }

void StartController(uintptr_t base) {
  WriteRegister(base + kFunction, 0);
  // A status bit shows only while its interrupt is enabled; the NVIC line stays disabled, the bits are polled.
  WriteRegister(base + kInterruptEnable, kPolledStatus);
  WriteRegister(base + kTiming1, kTiming400kHz);
  WriteRegister(base + kTiming2, 0);
  WriteRegister(base + kStatus, kAllStatus);
  WriteRegister(base + kFunction, kMasterEnable);
}

bool LinesFree(uintptr_t base) {
  const uint32_t lines = ReadRegister(base + kCommand);
  return (lines & kSdaHigh) != 0 && (lines & kSclHigh) != 0;
}

// What Linux does: SDA low asks for the recovery command; a transfer that hangs although SDA is high for STOP.
void RunRecovery(uintptr_t base) {
  const bool sda_low = (ReadRegister(base + kCommand) & kSdaHigh) == 0;
  const uint32_t done = sda_low ? kRecovered : kStopped;
  WriteRegister(base + kStatus, kAllStatus);
  WriteRegister(base + kCommand, sda_low ? kRecover : kStop);
  const uint32_t started_us = Timer::Micros();
  while ((ReadRegister(base + kStatus) & done) == 0) {
    if (Timer::Micros() - started_us > kRecoveryLimitUs) return;
  }
}

bool HasBefore(std::span<const RegisterRead> reads, size_t index, std::span<const bool> over) {
  for (size_t i = 0; i < index; ++i) {
    if (reads[i].bus == reads[index].bus && !over[i]) return true;
  }
  return false;
}

bool IsStuck(const Status& status) {
  return status.code() == Code::kDeadlineExceeded || status.code() == Code::kAborted;
}

}  // namespace

I2cTransfer::I2cTransfer(size_t bus, uint8_t address, std::span<const uint8_t> out, std::span<uint8_t> in)
    : base_(BaseOf(bus)), address_(address), phase_(Phase::kSend), started_us_(Timer::Micros()), out_(out), in_(in) {
  WriteRegister(base_ + kByte, static_cast<uint32_t>(address) << 1);
  Command(kStart | kTransmit);
}

bool I2cTransfer::Poll() {
  // The clock is read before the status: a finished step is never called late because the wait was long.
  const bool late = Timer::Micros() - started_us_ > kTransferLimitUs;
  const uint32_t status = ReadRegister(base_ + kStatus);
  const bool answered = (status & (kNotAcknowledged | kDone)) != 0;
  if ((status & kBusError) != 0 || (late && !answered))
    GiveUp();
  else if ((status & kNotAcknowledged) != 0)
    End({Code::kUnavailable, "I2C address or byte not acknowledged"});
  else if (answered)
    Next();
  return !under_way();
}

void I2cTransfer::Command(uint32_t command) {
  WriteRegister(base_ + kStatus, kAllStatus);
  WriteRegister(base_ + kCommand, command);
}

void I2cTransfer::Next() {
  switch (phase_) {
    case Phase::kSend:
      if (at_ < out_.size()) {
        WriteRegister(base_ + kByte, out_[at_++]);
        return Command(kTransmit);
      }
      if (in_.empty()) return End(OkStatus());
      phase_ = Phase::kAddressAgain;
      WriteRegister(base_ + kByte, static_cast<uint32_t>(address_) << 1 | 1U);
      return Command(kStart | kTransmit);
    case Phase::kReceive:
      in_[at_++] = static_cast<uint8_t>(ReadRegister(base_ + kByte) >> 8);
      if (at_ == in_.size()) return End(OkStatus());
      return Command(at_ + 1U == in_.size() ? kReceive | kReceiveLast : kReceive);
    case Phase::kAddressAgain:
      phase_ = Phase::kReceive;
      at_ = 0;
      return Command(in_.size() == 1 ? kReceive | kReceiveLast : kReceive);
    case Phase::kStop:
    case Phase::kIdle:
      phase_ = Phase::kIdle;
  }
}

// STOP, then over. What a STOP itself reports changes nothing.
void I2cTransfer::End(Status status) {
  if (phase_ == Phase::kStop) {
    phase_ = Phase::kIdle;
    return;
  }
  status_ = status;
  phase_ = Phase::kStop;
  Command(kStop);
}

void I2cTransfer::GiveUp() {
  phase_ = Phase::kIdle;
  RunRecovery(base_);
  const bool free = LinesFree(base_);
  StartController(base_);
  status_ = free ? Status(Code::kAborted, "I2C bus was stuck, is free again")
                 : Status(Code::kDeadlineExceeded, "I2C bus stuck");
}

void I2cMaster::Start() const { StartController(BaseOf(bus_)); }

Status I2cMaster::Wait(I2cTransfer transfer) {
  while (!transfer.Poll()) {
  }
  return transfer.status();
}

void ReadTogether(std::span<RegisterRead> reads) {
  std::array<I2cTransfer, kMostReads> transfers;
  std::array<bool, kMostReads> over{};
  for (size_t left = reads.size(); left > 0;) {
    for (size_t i = 0; i < reads.size(); ++i) {
      RegisterRead& read = reads[i];
      if (over[i] || HasBefore(reads, i, over)) continue;
      if (!transfers[i].under_way()) transfers[i] = {read.bus, read.address, std::span(&read.reg, 1), read.in};
      if (!transfers[i].Poll()) continue;
      read.status = transfers[i].status();
      over[i] = true;
      --left;
      for (size_t later = i + 1; later < reads.size() && IsStuck(read.status); ++later) {
        if (over[later] || reads[later].bus != read.bus) continue;
        reads[later].status = read.status;
        over[later] = true;
        --left;
      }
    }
  }
}

}  // namespace faraday::firmware::ast1030
