// The native board's wiring: each slot's pins, monitor, sensor and sense input end at that slot of the plant.
#include "firmware/boards/native/board.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "firmware/boards/native/image.h"
#include "link/frame.h"

namespace faraday::firmware {
namespace {

struct NoLine : SerialLine {
  size_t Read(std::span<uint8_t> in) override {
    const size_t n = std::min(in.size(), to_board.size());
    std::copy_n(to_board.begin(), n, in.begin());
    to_board.erase(to_board.begin(), to_board.begin() + static_cast<ptrdiff_t>(n));
    return n;
  }
  std::vector<uint8_t> to_board;
  size_t Write(std::span<const uint8_t> out) override { return out.size(); }
};

class NativeBoardTest : public ::testing::Test {
 protected:
  void WriteOutputs(size_t slot, uint8_t outputs) {
    const ExpanderPin& at = board_.Slots()[slot].outputs;
    unsigned fields = 0;
    for (unsigned pin = 0; pin < 8; ++pin) fields |= ((outputs >> pin) & 1) != 0 ? 0U : 1U << (2 * pin);
    const uint8_t bytes[] = {static_cast<uint8_t>(0x16 + at.first_pin / 4),
                             static_cast<uint8_t>(fields & 0xFF),
                             static_cast<uint8_t>(fields >> 8)};
    ASSERT_TRUE(board_.Bus(at.bus).Write(at.address, bytes).ok());
  }
  int ReadVout(size_t slot) {
    const ChipAddress& at = board_.Slots()[slot].monitor;
    const uint8_t config[] = {0xD4, 0x27, 0x00};  // VOUT on, 100 V range
    EXPECT_TRUE(board_.Bus(at.bus).Write(at.address, config).ok());
    const uint8_t command = 0x8B;
    uint8_t word[2] = {};
    EXPECT_TRUE(board_.Bus(at.bus).WriteRead(at.address, std::span(&command, 1), word).ok());
    return (word[0] | (word[1] << 8)) * 100'000 / 4062;
  }
  void Run(uint32_t ms) { plant_.AdvanceTo(now_ += ms); }

  uint32_t now_ = 0;
  sim::Plant plant_{std::vector<int>(32, 0)};
  NoLine line_;
  NativeBoard board_{plant_, line_, [this] { return now_; }};
};

TEST_F(NativeBoardTest, Wiring_EveryPartIsUsedOnce) {
  std::set<std::tuple<int, int, int>> parts;
  for (const SlotWiring& slot : board_.Slots()) {
    EXPECT_TRUE(parts.insert({slot.outputs.bus, slot.outputs.address, slot.outputs.first_pin}).second);
    EXPECT_TRUE(parts.insert({slot.monitor.bus, slot.monitor.address, -1}).second);
    EXPECT_TRUE(parts.insert({slot.temperature.bus, slot.temperature.address, -1}).second);
  }
  EXPECT_EQ(board_.Slots().size(), 32U);
}

TEST_F(NativeBoardTest, Outputs_ReachTheirOwnSlotAndItsMonitorSees) {
  Run(0);
  for (size_t slot = 0; slot < 32; ++slot) {
    WriteOutputs(slot, 0x01);
    Run(20);
    for (size_t other = 0; other < 32; ++other) EXPECT_EQ(plant_.slot(other).outputs().vbus, other == slot) << slot;
    EXPECT_NEAR(ReadVout(slot), plant_.slot(slot).vbus_mv(), 25);
    WriteOutputs(slot, 0);
    Run(500);
  }
}

TEST_F(NativeBoardTest, Inputs_RelaySensesBelowRackInputs) {
  Run(0);
  EXPECT_EQ(board_.ReadInputs(), 0xFFFF'FFFFULL);
  plant_.SetInput(1, true);
  WriteOutputs(4, 0x10);
  Run(1);
  EXPECT_EQ(board_.ReadInputs(), 0x2'FFFF'FFEFULL);
}

TEST_F(NativeBoardTest, StopPin_DropsEveryOutputAndHoldsThem) {
  Run(0);
  for (size_t slot = 0; slot < 32; ++slot) WriteOutputs(slot, 0xFF);
  board_.SetStopPin(true);
  WriteOutputs(3, 0x01);
  for (size_t slot = 0; slot < 32; ++slot) EXPECT_EQ(plant_.slot(slot).outputs(), sim::SlotOutputs{}) << slot;
  board_.SetStopPin(false);
  WriteOutputs(3, 0x01);
  EXPECT_TRUE(plant_.slot(3).outputs().vbus);
}

TEST_F(NativeBoardTest, Reset_DropsOutputsKeepsMemoryAndTellsTheCause) {
  EXPECT_EQ(board_.BootCause(), link::BootReason::kPowerOn);
  WriteOutputs(3, 0x01);
  const uint8_t kept[] = {1, 2, 3};
  ASSERT_TRUE(board_.NvmWrite(100, kept).ok());
  board_.Reset(link::BootReason::kWatchdog);
  EXPECT_FALSE(plant_.slot(3).outputs().vbus);
  EXPECT_EQ(board_.BootCause(), link::BootReason::kWatchdog);
  uint8_t read[3] = {};
  ASSERT_TRUE(board_.NvmRead(100, read).ok());
  EXPECT_TRUE(std::equal(read, read + 3, kept));
}

TEST_F(NativeBoardTest, Nvm_CrossesPagesAndKnowsItsEnd) {
  std::vector<uint8_t> bytes(1000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7);
  ASSERT_TRUE(board_.NvmWrite(17, bytes).ok());
  std::vector<uint8_t> read(1000);
  ASSERT_TRUE(board_.NvmRead(17, read).ok());
  EXPECT_EQ(read, bytes);
  EXPECT_EQ(board_.NvmWrite(8000, bytes).code(), Code::kOutOfRange);
  EXPECT_EQ(board_.NvmRead(0xFFFF'FFFF, read).code(), Code::kOutOfRange);
}

TEST_F(NativeBoardTest, Nvm_MissingPartIsUnavailable) {
  board_.Bus(9).SetMissing(0x50, true);
  uint8_t byte = 0;
  EXPECT_EQ(board_.NvmRead(0, std::span(&byte, 1)).code(), Code::kUnavailable);
}

TEST_F(NativeBoardTest, Nvm_ProtectedPartIsFoundByReadingBack) {
  board_.eeprom().SetReadOnly(true);
  const uint8_t bytes[] = {1, 2, 3};
  EXPECT_EQ(board_.NvmWrite(100, bytes).code(), Code::kUnavailable);
  board_.eeprom().SetReadOnly(false);
  EXPECT_TRUE(board_.NvmWrite(100, bytes).ok());
}

TEST_F(NativeBoardTest, StopButton_HoldsTheStopPinWhateverTheFirmwareWants) {
  Run(0);
  WriteOutputs(3, 0x01);
  board_.SetSignals({.stop_button = true, .psu_ok = 0xFF, .alert_buses = 0});
  EXPECT_FALSE(plant_.slot(3).outputs().vbus);
  board_.SetStopPin(false);
  EXPECT_TRUE(board_.stopped());
  EXPECT_TRUE(board_.TakeSignals().stop_button);
  board_.SetSignals({});
  board_.SetStopPin(false);
  EXPECT_FALSE(board_.stopped());
}

struct NativeStopTest : NativeBoardTest {
  void SendStop() {
    std::array<uint8_t, link::kMaxWire> wire{};
    const auto length = link::EncodeFrame({.channel = link::Channel::kStop}, link::kStopMagic, wire);
    line_.to_board.insert(line_.to_board.end(), wire.begin(), wire.begin() + static_cast<ptrdiff_t>(*length));
  }
};

TEST_F(NativeStopTest, ActsInTheReceivePathAndHoldsUntilTheFirmwareTookIt) {
  Run(0);
  WriteOutputs(3, 0x01);
  SendStop();
  board_.PollLine();
  EXPECT_TRUE(board_.stopped());
  EXPECT_FALSE(plant_.slot(3).outputs().vbus);
  EXPECT_TRUE(board_.TakeSignals().stop_frame);
  board_.SetStopPin(false);
  EXPECT_TRUE(board_.stopped()) << "nobody took it yet";
  std::array<uint8_t, 64> in{};
  EXPECT_GT(board_.UartRead(in), 20U);
  board_.StopFrameTaken();
  board_.SetStopPin(false);
  EXPECT_FALSE(board_.stopped());
}

TEST_F(NativeStopTest, ActsInsideATransferOnAStuckBus) {
  Run(0);
  WriteOutputs(3, 0x01);
  board_.Bus(2).SetStuck(true);
  SendStop();
  std::array<uint8_t, 2> word{};
  (void)board_.Bus(2).WriteRead(0x10, std::array<uint8_t, 1>{0x8B}, word);
  EXPECT_TRUE(board_.stopped());
}

TEST_F(NativeStopTest, ActsBehindMoreThanTheRingHolds) {
  line_.to_board.assign(100'000, 0x11);
  line_.to_board.push_back(0);
  SendStop();
  board_.PollLine();
  EXPECT_TRUE(board_.stopped());
  std::array<uint8_t, 512> in{};
  while (board_.UartRead(in) > 0) EXPECT_TRUE(board_.TakeSignals().stop_frame);
  EXPECT_FALSE(board_.TakeSignals().stop_frame) << "lost, not waiting for ever";
}

// Virtual time: every bus is stuck, so that each transfer costs 5 ms; the firmware runs, or hangs.
struct NativeStopInTimeTest : NativeStopTest {
  void Expect(bool hangs) {
    for (size_t bus = 2; bus < NativeBoard::kBuses; ++bus) board_.Bus(bus).SetStuck(true);
    NativeImage image(board_);
    for (int ms = 0; ms < 300; ++ms) Pass(image, hangs);
    ASSERT_FALSE(board_.stopped());
    for (int round = 0; round < 30; ++round) {
      SendStop();
      uint32_t waited = 0;
      while (!board_.stopped() && waited < 100) {
        Pass(image, hangs);
        ++waited;
      }
      EXPECT_LE(waited, 10U);
      if (hangs) return;
      for (int ms = 0; ms < 300; ++ms) Pass(image, hangs);
      EXPECT_TRUE(board_.stopped()) << "latched";
      board_.Reset(link::BootReason::kSoftware);
      image = NativeImage(board_);
      for (int ms = 0; ms < 300 + round; ++ms) Pass(image, hangs);
    }
  }
  // As sim/board does it: the clock goes on by a millisecond whatever the firmware is at.
  void Pass(NativeImage& image, bool hangs) {
    ++now_;
    plant_.AdvanceTo(board_.NowMs());
    board_.PollLine();
    if (!hangs && !board_.InTransfer()) image.Pass();
  }
};

TEST_F(NativeStopInTimeTest, WithinTenMillisecondsWithEveryBusStuck) { Expect(false); }
TEST_F(NativeStopInTimeTest, WithinTenMillisecondsWhileTheFirmwareHangs) { Expect(true); }

TEST_F(NativeBoardTest, LogIsKeptOverAReset) {
  const uint8_t record[] = {1, 2, 3};
  ASSERT_TRUE(board_.LogProgram(4096, record).ok());
  ASSERT_TRUE(board_.LogBeginErase(8192).ok());
  EXPECT_TRUE(board_.LogBusy());
  board_.Reset(link::BootReason::kWatchdog);
  EXPECT_FALSE(board_.LogBusy());
  uint8_t read[3] = {};
  ASSERT_TRUE(board_.LogRead(4096, read).ok());
  EXPECT_TRUE(std::equal(read, read + 3, record));
}

TEST_F(NativeBoardTest, Alert_ComesFromTheBusOfAnOverloadedSlot) {
  Run(0);
  EXPECT_EQ(board_.TakeSignals().alert_buses, 0);
  plant_.slot(20).SetFault(sim::SlotFault::kShort, true);
  WriteOutputs(20, 0x01);
  Run(20);
  EXPECT_EQ(board_.TakeSignals().alert_buses, 1U << 3);
}

TEST_F(NativeBoardTest, NewSession_IsNeverZeroAndDiffers) {
  const uint32_t first = board_.NewSession();
  EXPECT_NE(first, 0U);
  EXPECT_NE(first, board_.NewSession());
}

TEST_F(NativeBoardTest, AnOddNumberOfSlotsIsWired) {
  sim::Plant plant({0, 0, 0});
  NativeBoard board(plant, line_, [] { return 0U; });
  EXPECT_EQ(board.Slots().size(), 3U);
}

}  // namespace
}  // namespace faraday::firmware
