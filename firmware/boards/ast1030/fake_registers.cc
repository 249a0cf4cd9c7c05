#include "firmware/boards/ast1030/fake_registers.h"

#include <fmt/format.h>

#include "base/check.h"
#include "firmware/boards/ast1030/registers.h"

namespace faraday::firmware::ast1030 {
namespace {

FakeRegisters* the_block = nullptr;

FakeRegisters& Block() {
  FARADAY_CHECK(the_block != nullptr);
  return *the_block;
}

}  // namespace

uint32_t ReadRegister(uintptr_t address) { return Block().Read(address); }
void WriteRegister(uintptr_t address, uint32_t value) { Block().Write(address, value); }
uint8_t ReadByte(uintptr_t address) { return static_cast<uint8_t>(Block().Read(address)); }
void WriteByte(uintptr_t address, uint8_t value) { Block().Write(address, value); }

FakeRegisters::FakeRegisters() {
  FARADAY_CHECK(the_block == nullptr);
  the_block = this;
}

FakeRegisters::~FakeRegisters() { the_block = nullptr; }

uint32_t FakeRegisters::Read(uintptr_t address) {
  if (address == kTimer) return ~now_us++;
  const auto model = on_read.find(address);
  if (model == on_read.end()) return values[address];
  const auto answer = model->second;  // a copy: it may take itself away
  return answer();
}

void FakeRegisters::Write(uintptr_t address, uint32_t value) {
  const auto model = on_write.find(address);
  if (model != on_write.end()) return model->second(value);
  values[address] = value;
}

FakeI2cPort::FakeI2cPort(FakeRegisters& registers, int bus, std::vector<std::string>& log)
    : registers_(registers),
      base_(kI2c + 0x80 + 0x80 * static_cast<uintptr_t>(bus)),
      name_(std::to_string(bus)),
      log_(log) {
  registers_.on_read[base_ + 0x10] = [this] { return status_; };
  registers_.on_write[base_ + 0x10] = [this](uint32_t value) { status_ &= ~value; };
  registers_.on_read[base_ + 0x14] = [this] { return (sda_low ? 0U : 1U << 18) | 1U << 17; };
  registers_.on_write[base_ + 0x14] = [this](uint32_t command) { OnCommand(command); };
  registers_.on_write[base_ + 0x00] = [this](uint32_t value) {
    if (value == 0) Note("reset");
  };
}

void FakeI2cPort::Note(const std::string& what) { log_.push_back(name_ + ":" + what); }

void FakeI2cPort::OnCommand(uint32_t command) {
  if ((command & 1U << 11) != 0) {
    Note("recover");
    if (!recovery_works) return;
    sda_low = hangs = false;
    status_ = 1U << 13;
    return;
  }
  if ((command & 1U << 5) != 0) {
    Note("P");
    if (hangs) return;
    if (chip_ != nullptr && !reading_ && on_stop) on_stop(*chip_);
    chip_ = nullptr;
    status_ = 1U << 4;
    return;
  }
  if (hangs || sda_low) return;
  if ((command & 1U << 0) != 0) return OnStart();
  if ((command & 1U << 1) != 0) return OnTransmit();
  OnReceive((command & 1U << 4) != 0);
}

void FakeI2cPort::OnStart() {
  const uint32_t byte = registers_.values[base_ + 0x20] & 0xFF;
  Note(fmt::format("S{:02x}", byte));
  const auto found = chips.find(static_cast<uint8_t>(byte >> 1));
  const bool answers = found != chips.end() && found->second.silent_for-- <= 0;
  chip_ = answers ? &found->second : nullptr;
  reading_ = (byte & 1U) != 0;
  at_ = 0;
  if (answers && !reading_) chip_->written.clear();
  status_ = answers ? 1U << 0 : 1U << 1;
}

void FakeI2cPort::OnTransmit() {
  const auto byte = static_cast<uint8_t>(registers_.values[base_ + 0x20]);
  Note(fmt::format("{:02x}", byte));
  chip_->written.push_back(byte);
  status_ = 1U << 0;
}

void FakeI2cPort::OnReceive(bool last) {
  Note(last ? "n" : "r");
  const uint8_t byte = at_ < chip_->answer.size() ? chip_->answer[at_++] : uint8_t{0xFF};
  registers_.values[base_ + 0x20] = static_cast<uint32_t>(byte) << 8;
  status_ = 1U << 2;
}

}  // namespace faraday::firmware::ast1030
