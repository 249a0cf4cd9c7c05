// The UART driver against a 16550 in memory.
#include "firmware/boards/ast1030/uart.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>

#include "firmware/boards/ast1030/fake_registers.h"
#include "firmware/boards/ast1030/registers.h"

namespace faraday::firmware::ast1030 {
namespace {

struct UartTest : testing::Test {
  UartTest() {
    registers.on_write[kUart5] = [this](uint32_t value) {
      if ((registers.values[kUart5 + 0x0C] & 0x80) != 0)
        divisor = value;
      else
        sent.push_back(static_cast<uint8_t>(value));
    };
    registers.on_read[kUart5] = [this]() -> uint32_t {
      if (fifo.empty()) return 0;
      const uint32_t byte = fifo.front();
      fifo.pop_front();
      return byte;
    };
    registers.on_read[kUart5 + 0x14] = [this] { return std::exchange(errors, 0U) | (fifo.empty() ? 0U : 1U) | 0x60U; };
    registers.on_write[kUart5 + 0x08] = [this](uint32_t value) { fifo_control = value; };
    registers.on_read[kUart5 + 0x08] = [this]() -> uint32_t {  // which interrupt is due
      if (errors != 0) return 0x06;
      if (!fifo.empty()) return 0x04;
      return (registers.values[kUart5 + 0x04] & 2) != 0 ? 0x02 : 0x01;
    };
    uart.Start();
  }
  FakeRegisters registers;
  std::deque<uint8_t> fifo;
  std::vector<uint8_t> sent;
  uint32_t divisor = 0, fifo_control = 0, errors = 0;
  Uart uart;
};

TEST_F(UartTest, Start_Is460800BaudWithinHalfAPercent) {
  EXPECT_NE(registers.values[kScu + 0xC0] & 1U << 12, 0U) << "divided by 13";
  EXPECT_NE(registers.values[kScu + 0x304] & 1U << 14, 0U) << "from 192 MHz";
  EXPECT_EQ(registers.values[kScu], 0U) << "locked again";
  const double baud = 192e6 / 13 / 16 / divisor;
  EXPECT_NEAR(baud, 460'800, 460'800 * 0.005);
  EXPECT_EQ(registers.values[kUart5 + 0x0C], 0x03U) << "8N1, divisor latch closed";
  EXPECT_EQ(fifo_control, 0x87U);
}

TEST_F(UartTest, MovesBytesBothWays) {
  fifo = {1, 2, 3};
  uart.OnInterrupt();
  std::array<uint8_t, 8> in{};
  EXPECT_EQ(uart.Read(in), 3U);
  EXPECT_EQ(in[2], 3);
  EXPECT_EQ(uart.Write(std::array<uint8_t, 2>{8, 9}), 2U);
  uart.OnInterrupt();
  EXPECT_EQ(sent, (std::vector<uint8_t>{8, 9}));
  EXPECT_EQ(uart.line_errors(), 0U);
}

TEST_F(UartTest, OverrunFramingErrorAndBreakAreCounted) {
  for (const uint32_t error : {0x02U, 0x08U, 0x10U}) {
    errors = error;
    fifo = {0};
    uart.OnInterrupt();
  }
  EXPECT_EQ(uart.line_errors(), 3U);
}

TEST_F(UartTest, FullRingIsCountedAndWhatCameFirstIsKept) {
  for (int i = 0; i < 4096 + 5; ++i) fifo.push_back(static_cast<uint8_t>(i));
  uart.OnInterrupt();
  EXPECT_EQ(uart.line_errors(), 5U);
  std::array<uint8_t, 4> in{};
  EXPECT_EQ(uart.Read(in), 4U);
  EXPECT_EQ(in, (std::array<uint8_t, 4>{0, 1, 2, 3}));
}

}  // namespace
}  // namespace faraday::firmware::ast1030
