// The UART driver against a 16550 in memory.
#include "firmware/boards/ast1030/uart.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>

#include "firmware/boards/ast1030/fake_registers.h"
#include "firmware/boards/ast1030/registers.h"
#include "link/frame.h"

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

struct UartStopTest : UartTest {
  UartStopTest() {
    const link::FrameHeader header{.channel = link::Channel::kStop};
    frame.resize(link::kMaxWire);
    frame.resize(*link::EncodeFrame(header, link::kStopMagic, frame));
  }
  bool Come(std::span<const uint8_t> bytes) {
    fifo.assign(bytes.begin(), bytes.end());
    return uart.OnInterrupt();
  }
  std::vector<uint8_t> frame;
};

TEST_F(UartStopTest, TheHandlerSeesAStopFrameInAnyPieces) {
  for (size_t cut = 1; cut + 1 < frame.size(); ++cut) {
    EXPECT_FALSE(Come(std::span(frame).first(cut)));
    EXPECT_TRUE(Come(std::span(frame).subspan(cut))) << cut;
  }
  frame[5] ^= 1;
  EXPECT_FALSE(Come(frame)) << "damaged";
}

TEST_F(UartStopTest, ItWaitsUntilTheMainLoopTookIt) {
  EXPECT_FALSE(uart.StopFrameWaits());
  Come(frame);
  EXPECT_TRUE(uart.StopFrameWaits());
  std::array<uint8_t, 64> in{};
  uart.Read(in);
  EXPECT_TRUE(uart.StopFrameWaits()) << "read, not yet looked at";
  uart.StopFrameTaken();
  EXPECT_FALSE(uart.StopFrameWaits());
  uart.Read(in);
  EXPECT_FALSE(uart.StopFrameWaits());
}

TEST_F(UartStopTest, SeenAlthoughTheRingIsFullAndForgottenWhenItIsEmpty) {
  Come(std::vector<uint8_t>(4096, 0));
  EXPECT_TRUE(Come(frame));
  std::array<uint8_t, 512> in{};
  while (uart.Read(in) > 0) EXPECT_TRUE(uart.StopFrameWaits());
  EXPECT_FALSE(uart.StopFrameWaits()) << "it was cut: the main loop will never find it";
}

}  // namespace
}  // namespace faraday::firmware::ast1030
