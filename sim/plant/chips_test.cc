// The chips as a driver meets them: through a bus, by register.
#include "sim/plant/chips.h"

#include <gtest/gtest.h>

namespace faraday::sim {
namespace {

constexpr uint8_t kAddress = 0x60;

struct PcaTest : ::testing::Test {
  PcaTest() { bus.Attach(kAddress, chip); }
  void Write(std::initializer_list<uint8_t> bytes) {
    ASSERT_TRUE(bus.Write(kAddress, std::span(bytes.begin(), bytes.size())).ok());
  }
  uint8_t Read(uint8_t reg) {
    uint8_t value = 0;
    EXPECT_TRUE(bus.WriteRead(kAddress, std::span(&reg, 1), std::span(&value, 1)).ok());
    return value;
  }
  uint16_t seen = 0;
  int changes = 0;
  Pca9552 chip{[this](uint16_t pins) {
    seen = pins;
    ++changes;
  }};
  I2cBus bus;
};

TEST_F(PcaTest, PowerUp_EveryPinFloats) {
  EXPECT_EQ(chip.pins(), 0);
  EXPECT_EQ(Read(6), 0x55);
  EXPECT_EQ(Read(0), 0xFF);
}

TEST_F(PcaTest, LedSelect_TurnsPinsOnByAutoIncrement) {
  Write({0x16, 0x54, 0x55, 0x55, 0x15});  // AI from LS0: pin 0 on, pin 15 on
  EXPECT_EQ(seen, 0x8001);
  EXPECT_EQ(Read(9), 0x15);
  EXPECT_EQ(Read(0), 0xFE);
  EXPECT_EQ(Read(1), 0x7F);
}

TEST_F(PcaTest, BlinkRates_SwitchNothing) {
  Write({0x06, 0x5A});  // pin 0 PWM0, pin 1 PWM0
  EXPECT_EQ(chip.pins(), 0);
}

TEST_F(PcaTest, ResetPin_DropsOutputsAndIgnoresWrites) {
  Write({0x06, 0x00});
  EXPECT_EQ(seen, 0x000F);
  chip.HoldReset(true);
  EXPECT_EQ(seen, 0);
  Write({0x06, 0x00});
  EXPECT_EQ(seen, 0);
  std::array<uint8_t, 2> selectors{};
  Write({0x16});
  chip.OnRead(selectors);
  EXPECT_EQ(selectors, (std::array<uint8_t, 2>{0x55, 0x55})) << "released, not the pins";
  chip.HoldReset(false);
  EXPECT_EQ(seen, 0);
  Write({0x06, 0x00});
  EXPECT_EQ(seen, 0x000F);
}

TEST_F(PcaTest, Bus_MissingPartDoesNotAcknowledgeAndKeepsItsPins) {
  Write({0x06, 0x00});
  bus.SetMissing(kAddress, true);
  const uint8_t bytes[] = {0x06, 0x55};
  EXPECT_EQ(bus.Write(kAddress, bytes).code(), Code::kUnavailable);
  EXPECT_EQ(chip.pins(), 0x000F);
}

TEST_F(PcaTest, Bus_StuckTimesOutAndEmptyAddressDoesNotAcknowledge) {
  const uint8_t bytes[] = {0};
  EXPECT_EQ(bus.Write(0x10, bytes).code(), Code::kUnavailable);
  bus.SetStuck(true);
  EXPECT_EQ(bus.Write(kAddress, bytes).code(), Code::kDeadlineExceeded);
}

uint16_t ReadWord(I2cChip& chip, uint8_t command) {
  uint8_t bytes[2] = {};
  chip.OnWrite(std::span(&command, 1));
  chip.OnRead(bytes);
  return static_cast<uint16_t>(bytes[0] | (bytes[1] << 8));
}

void WriteConfig(Adm1272& chip, uint8_t low) {
  const uint8_t config[] = {0xD4, low, 0x00};
  chip.OnWrite(config);
}

TEST(Adm1272, Voltage_VoutIsConvertedOnlyWhenEnabled) {
  Adm1272 chip(5000, [] { return MonitorReading{.vin_mv = 5150, .vout_mv = 5030, .iout_ma = 0}; });
  EXPECT_EQ(ReadWord(chip, 0xD4), 0x3F35);
  EXPECT_EQ(ReadWord(chip, 0x8B), 0);
  WriteConfig(chip, 0x27);
  EXPECT_NEAR(ReadWord(chip, 0x8B) * 100'000 / 4062, 5030, 13);  // half a step of 24.6 mV
  EXPECT_NEAR(ReadWord(chip, 0x88) * 100'000 / 4062, 5150, 13);
}

TEST(Adm1272, Voltage_The60VRangeIsFiner) {
  Adm1272 chip(5000, [] { return MonitorReading{.vout_mv = 5030}; });
  WriteConfig(chip, 0x07);
  EXPECT_NEAR(ReadWord(chip, 0x8B) * 100'000 / 6770, 5030, 8);
}

TEST(Adm1272, Current_ScalesWithTheShunt) {
  Adm1272 chip(5000, [] { return MonitorReading{.iout_ma = 1200}; });
  const int code = ReadWord(chip, 0x8C);
  EXPECT_NEAR((code - 2048) * 10'000 / (663 * 5), 1200, 3);  // 3 mA a step at 5 milliohm
}

TEST(Adm1272, Current_ZeroIsTheOffsetAndMuchIsFullScale) {
  int ma = 0;
  Adm1272 chip(5000, [&ma] { return MonitorReading{.iout_ma = ma}; });
  EXPECT_EQ(ReadWord(chip, 0x8C), 2048);
  ma = 50'000;
  EXPECT_EQ(ReadWord(chip, 0x8C), 4095);
}

TEST(Tmp105, Temperature_InHalfKelvinUntilConfiguredFiner) {
  int deci_c = 247;
  Tmp105 chip([&deci_c] { return deci_c; });
  uint8_t bytes[2] = {};
  const uint8_t pointer = 0;
  chip.OnWrite(std::span(&pointer, 1));
  chip.OnRead(bytes);
  EXPECT_EQ(bytes[0], 24);
  EXPECT_EQ(bytes[1], 0x80);
  const uint8_t twelve_bits[] = {1, 0x60};
  chip.OnWrite(twelve_bits);
  chip.OnWrite(std::span(&pointer, 1));
  chip.OnRead(bytes);
  EXPECT_EQ(bytes[0], 24);
  EXPECT_EQ(bytes[1], 0xB0);
  deci_c = -50;
  chip.OnRead(bytes);
  EXPECT_EQ(bytes[0], 0xFB);
}

TEST(At24, Write_WrapsWithinItsPageAndTellsOfTheChange) {
  At24 chip;
  size_t changed = 1;
  chip.OnChange([&changed](size_t page) { changed = page; });
  const uint8_t bytes[] = {0x00, 0x3F, 0xAA, 0xBB};
  chip.OnWrite(bytes);
  EXPECT_EQ(chip.contents()[0x3F], 0xAA);
  EXPECT_EQ(chip.contents()[0x20], 0xBB);
  EXPECT_EQ(changed, 0x20U);
}

TEST(At24, Memory_OutlivesReset) {
  At24 chip;
  const uint8_t write[] = {0x01, 0x00, 0x5A};
  chip.OnWrite(write);
  chip.Reset();
  const uint8_t address[] = {0x01, 0x00};
  uint8_t value = 0;
  chip.OnWrite(address);
  chip.OnRead(std::span(&value, 1));
  EXPECT_EQ(value, 0x5A);
}

TEST(At24, WornPage_KeepsItsBytesAndItsNeighboursWork) {
  At24 chip;
  const uint8_t before[] = {0x00, 0x3F, 0x11};
  chip.OnWrite(before);
  chip.Wear(1);
  const uint8_t worn[] = {0x00, 0x3F, 0xAA};
  const uint8_t next[] = {0x00, 0x40, 0xBB};
  chip.OnWrite(worn);
  chip.OnWrite(next);
  EXPECT_EQ(chip.contents()[0x3F], 0x11);
  EXPECT_EQ(chip.contents()[0x40], 0xBB);
}

TEST(At24, ReadOnly_ChangesNothingUntilWritableAgain) {
  At24 chip;
  const uint8_t write[] = {0x00, 0x00, 0xAA};
  chip.SetReadOnly(true);
  chip.OnWrite(write);
  EXPECT_EQ(chip.contents()[0], 0xFF);
  chip.SetReadOnly(false);
  chip.OnWrite(write);
  EXPECT_EQ(chip.contents()[0], 0xAA);
}

struct SlowBus : PcaTest {
  SlowBus() {
    bus.OnTimePassing([this](uint32_t ms) { passed_ms += ms; });
  }
  Status Touch() {
    const uint8_t reg = 6;
    return bus.Write(kAddress, std::span(&reg, 1));
  }
  uint32_t passed_ms = 0;
};

TEST_F(SlowBus, Stretch_TakesItsTimeAndTransfers) {
  bus.SetStretch(3);
  EXPECT_TRUE(Touch().ok());
  EXPECT_EQ(passed_ms, 3U);
  bus.SetStretch(0);
  EXPECT_TRUE(Touch().ok());
  EXPECT_EQ(passed_ms, 3U);
}

TEST_F(SlowBus, Stretch_BeyondTheLimitIsGivenUpThere) {
  bus.SetStretch(100);
  EXPECT_EQ(Touch().code(), Code::kDeadlineExceeded);
  EXPECT_EQ(passed_ms, I2cBus::kTransferLimitMs);
}

TEST_F(SlowBus, Stuck_CostsTheMastersWait) {
  bus.SetStuck(true);
  EXPECT_EQ(Touch().code(), Code::kDeadlineExceeded);
  EXPECT_EQ(passed_ms, I2cBus::kTransferLimitMs);
}

}  // namespace
}  // namespace faraday::sim
