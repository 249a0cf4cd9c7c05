// The EEPROM driver against a part on an I2C controller in memory: protected, worn, slow, gone.
#include "firmware/boards/ast1030/eeprom.h"

#include <gtest/gtest.h>

#include <vector>

#include "firmware/boards/ast1030/fake_registers.h"
#include "firmware/boards/ast1030/wiring.h"

namespace faraday::firmware::ast1030 {
namespace {

struct EepromTest : testing::Test {
  EepromTest() {
    port.chips[kEepromAddress];
    port.on_stop = [this](FakeI2cPort::Chip& chip) { OnWritten(chip); };
  }
  // A write transfer of address and bytes is a page write, of the address alone the start of a read.
  void OnWritten(FakeI2cPort::Chip& chip) {
    if (chip.written.size() <= 2) return;
    const size_t at = static_cast<size_t>(chip.written[0] << 8 | chip.written[1]);
    was_protected = (registers.values[kGpio + 0x78] & kEepromWriteProtect.Mask()) != 0;
    if (!keeps_old)
      std::copy(chip.written.begin() + 2, chip.written.end(), memory.begin() + static_cast<ptrdiff_t>(at));
    chip.answer.assign(memory.begin() + static_cast<ptrdiff_t>(at), memory.begin() + static_cast<ptrdiff_t>(at) + 32);
    chip.silent_for = busy_for;
  }
  Status Write(std::span<const uint8_t> bytes) {
    return Eeprom(gpio).Write(64, bytes, [this] { ++idled; });
  }

  std::vector<std::string> log;
  FakeRegisters registers;
  FakeI2cPort port{registers, kEepromBus, log};
  Gpio gpio;
  std::vector<uint8_t> memory = std::vector<uint8_t>(8192, 0xFF);
  bool keeps_old = false;
  bool was_protected = true;
  int busy_for = 3;
  int idled = 0;
};

constexpr std::array<uint8_t, 8> kBytes = {1, 2, 3, 4, 5, 6, 7, 8};

TEST_F(EepromTest, WriteUnprotectsWaitsAndReadsBack) {
  gpio.Start();
  ASSERT_TRUE(Write(kBytes).ok());
  EXPECT_EQ(memory[64], 1);
  EXPECT_EQ(idled, 3) << "while the part writes, the caller goes on";
  EXPECT_FALSE(was_protected);
  EXPECT_NE(registers.values[kGpio + 0x78] & kEepromWriteProtect.Mask(), 0U) << "protected again";
}

TEST_F(EepromTest, ProtectedOrWornPartIsFoundByReadingBack) {
  keeps_old = true;
  EXPECT_EQ(Write(kBytes).code(), Code::kUnavailable);
}

TEST_F(EepromTest, PartThatNeverComesBack_IsWaitedForTenMilliseconds) {
  busy_for = 1'000'000;
  EXPECT_EQ(Write(kBytes).code(), Code::kUnavailable);
  EXPECT_GT(registers.now_us, 10'000U);
  EXPECT_LT(registers.now_us, 10'200U);
}

TEST_F(EepromTest, MissingPartIsUnavailableAtOnce) {
  port.chips.clear();
  EXPECT_EQ(Write(kBytes).code(), Code::kUnavailable);
  EXPECT_EQ(idled, 0);
  std::array<uint8_t, 4> in{};
  EXPECT_EQ(Eeprom(gpio).Read(0, in).code(), Code::kUnavailable);
}

TEST_F(EepromTest, EndOfThePartIsKnown) {
  EXPECT_EQ(Eeprom(gpio).Write(8190, kBytes, [] {}).code(), Code::kOutOfRange);
  std::array<uint8_t, 4> in{};
  EXPECT_EQ(Eeprom(gpio).Read(0xFFFFFFFF, in).code(), Code::kOutOfRange);
}

}  // namespace
}  // namespace faraday::firmware::ast1030
