// The SPI flash driver against a flash behind the controller's window, in memory.
#include "firmware/boards/ast1030/spi_flash.h"

#include <gtest/gtest.h>

#include <array>

#include "firmware/boards/ast1030/fake_registers.h"
#include "firmware/boards/ast1030/registers.h"

namespace faraday::firmware::ast1030 {
namespace {

struct SpiFlashTest : testing::Test {
  SpiFlashTest() {
    registers.on_write[kFmc + 0x10] = [this](uint32_t control) {
      const bool select = (control & 7U) == 3;
      if (select && !selected) sent.clear();
      selected = select;
      last_control = control;
    };
    registers.on_read[kFmc + 0x10] = [] { return 0x600U; };  // the read mode of the reset state
    registers.on_write[kFmcWindow] = [this](uint32_t byte) {
      if (selected && (registers.values[kFmc] & 1U << 16) != 0) sent.push_back(static_cast<uint8_t>(byte));
      taken = 0;
    };
    registers.on_read[kFmcWindow] = [this]() -> uint32_t { return selected ? Answer() : 0; };
  }
  uint32_t Answer() {
    if (!present || sent.empty()) return 0xFF;
    const size_t at = taken++;
    if (sent[0] == 0x05) return busy_reads-- > 0 ? 1 : 0;
    if (sent[0] == 0x9F) return std::array<uint8_t, 3>{0xEF, 0x40, 0x17}[at];
    return sent.size() == 4 ? sent[3] + static_cast<uint32_t>(at) : 0xFF;  // a byte is the lower byte of its address
  }
  FakeRegisters registers;
  std::vector<uint8_t> sent;
  size_t taken = 0;
  bool selected = false;
  bool present = true;
  int busy_reads = 0;
  uint32_t last_control = 0;
};

TEST_F(SpiFlashTest, ReadsItsIdAndLeavesTheControllerAsItWas) {
  const auto id = SpiFlash().ReadId();
  ASSERT_TRUE(id.ok()) << ToString(id.status());
  EXPECT_EQ(*id, 0xEF4017U);
  EXPECT_FALSE(selected);
  EXPECT_EQ(last_control, 0x600U);
  EXPECT_EQ(registers.values[kFmc], 0U) << "nothing can be written by accident";
}

TEST_F(SpiFlashTest, ReadsBytes) {
  std::array<uint8_t, 4> bytes{};
  ASSERT_TRUE(SpiFlash().Read(0x123456, bytes).ok());
  EXPECT_EQ(sent, (std::vector<uint8_t>{0x03, 0x12, 0x34, 0x56}));
  EXPECT_EQ(bytes, (std::array<uint8_t, 4>{0x56, 0x57, 0x58, 0x59}));
  EXPECT_EQ(SpiFlash().Read(0xFFFFFE, bytes).code(), Code::kOutOfRange);
}

TEST_F(SpiFlashTest, NoPartIsUnavailable) {
  present = false;
  EXPECT_EQ(SpiFlash().ReadId().status().code(), Code::kUnavailable);
}

TEST_F(SpiFlashTest, BusyPartIsWaitedForButNotForEver) {
  busy_reads = 5;
  EXPECT_TRUE(SpiFlash().ReadId().ok());
  busy_reads = 1'000'000;
  const uint32_t started = registers.now_us;
  EXPECT_EQ(SpiFlash().ReadId().status().code(), Code::kDeadlineExceeded);
  EXPECT_LT(registers.now_us - started, 10'100U);
}

}  // namespace
}  // namespace faraday::firmware::ast1030
