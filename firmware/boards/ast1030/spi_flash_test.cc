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
      if (!select && selected) End();
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
  // The command that ends when the part is deselected.
  void End() {
    if (sent.empty()) return;
    if (sent[0] == 0x06) write_enabled = !is_protected;
    if (sent[0] != 0x02 && sent[0] != 0x20) return;
    if (write_enabled) writes.push_back(sent);
    write_enabled = false;
    busy_reads = busy_after_write;
  }
  uint32_t Answer() {
    if (!present || sent.empty()) return 0xFF;
    const size_t at = taken++;
    if (sent[0] == 0x05) return (busy_reads-- > 0 ? 1U : 0U) | (write_enabled ? 2U : 0U);
    if (sent[0] == 0x9F) return std::array<uint8_t, 3>{0xEF, 0x40, 0x17}[at];
    return sent.size() == 4 ? sent[3] + static_cast<uint32_t>(at) : 0xFF;  // a byte is the lower byte of its address
  }
  FakeRegisters registers;
  std::vector<uint8_t> sent;
  size_t taken = 0;
  bool selected = false;
  bool present = true;
  bool write_enabled = false;
  bool is_protected = false;
  int busy_after_write = 0;
  std::vector<std::vector<uint8_t>> writes;  // programs and erases, as they came
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

TEST_F(SpiFlashTest, TheLogIsTheLast64KiBOfTheSameFlash) {
  std::array<uint8_t, 2> bytes{};
  ASSERT_TRUE(LogRegion().Read(0xFFFE, bytes).ok());
  EXPECT_EQ(sent, (std::vector<uint8_t>{0x03, 0x7F, 0xFF, 0xFE}));
  busy_after_write = 3;
  ASSERT_TRUE(LogRegion().Program(0x0110, std::array<uint8_t, 2>{0xAB, 0xCD}).ok());
  EXPECT_FALSE(LogRegion().Busy()) << "waited for";
  ASSERT_TRUE(LogRegion().BeginErase(0x3000).ok());
  EXPECT_TRUE(LogRegion().Busy()) << "not waited for";
  EXPECT_EQ(writes,
            (std::vector<std::vector<uint8_t>>{{0x02, 0x7F, 0x01, 0x10, 0xAB, 0xCD}, {0x20, 0x7F, 0x30, 0x00}}));
  EXPECT_EQ(registers.values[kFmc], 0U) << "nothing can be written by accident";
}

TEST_F(SpiFlashTest, NothingOutsideTheLogCanBeWritten) {
  const std::array<uint8_t, 33> bytes{};
  const auto some = [&](size_t n) { return std::span<const uint8_t>(bytes).first(n); };
  EXPECT_EQ(LogRegion().Program(0x10000, some(1)).code(), Code::kOutOfRange);
  EXPECT_EQ(LogRegion().Program(0xFFFFFFFF, some(1)).code(), Code::kOutOfRange);
  EXPECT_EQ(LogRegion().Program(0xFFF0, some(17)).code(), Code::kOutOfRange);
  EXPECT_EQ(LogRegion().Program(0x00F8, some(9)).code(), Code::kOutOfRange) << "two pages";
  EXPECT_EQ(LogRegion().Program(0, some(33)).code(), Code::kOutOfRange);
  EXPECT_EQ(LogRegion().BeginErase(0x10000).code(), Code::kOutOfRange);
  EXPECT_EQ(LogRegion().BeginErase(0x0800).code(), Code::kOutOfRange);
  EXPECT_TRUE(writes.empty());
}

TEST_F(SpiFlashTest, ABusyProtectedOrSilentPartTakesNothing) {
  const std::array<uint8_t, 1> byte{};
  busy_reads = 1;
  EXPECT_EQ(LogRegion().Program(0, byte).code(), Code::kUnavailable);
  busy_reads = 0;
  is_protected = true;
  EXPECT_EQ(LogRegion().Program(0, byte).code(), Code::kUnavailable);
  EXPECT_EQ(LogRegion().BeginErase(0).code(), Code::kUnavailable);
  present = false;
  EXPECT_EQ(LogRegion().BeginErase(0).code(), Code::kUnavailable);
  EXPECT_TRUE(writes.empty());
}

TEST_F(SpiFlashTest, AProgramThatDoesNotEndIsGivenUpWithinTwoMilliseconds) {
  busy_after_write = 1'000'000;
  const uint32_t started = registers.now_us;
  EXPECT_EQ(LogRegion().Program(0, std::array<uint8_t, 1>{}).code(), Code::kDeadlineExceeded);
  EXPECT_LT(registers.now_us - started, 2000U);
}

}  // namespace
}  // namespace faraday::firmware::ast1030
