// The chips' drivers over registers in memory.
#include <gtest/gtest.h>

#include "firmware/drivers/adm127x.h"
#include "firmware/drivers/fake_board.h"
#include "firmware/drivers/pca9552.h"
#include "firmware/drivers/tmp105.h"

namespace faraday::firmware {
namespace {

TEST(Adm127xScale, Adm1272FollowsTheDataSheet) {
  const Adm127xScale scale({5000});
  EXPECT_EQ(scale.Milliamps(2048), 0U);  // b = 20480, R = -1: the zero point
  EXPECT_EQ(scale.Milliamps(2047), 0U);  // below zero
  EXPECT_EQ(scale.Milliamps(2049), 3U);  // 10 / 3315 A
  EXPECT_EQ(scale.Milliamps(4095), 6175U);
  EXPECT_EQ(scale.Millivolts(203), 4998U);
  EXPECT_EQ(scale.Millivolts(4095), 100'812U);
  EXPECT_EQ(Adm127xScale({300}).Milliamps(2049), 50U);
  EXPECT_EQ(scale.CurrentCode(3000), 3042U);
  EXPECT_EQ(scale.CurrentCode(100'000), 4095U) << "beyond the range";
}

// Full-scale values and the code of 5 V and 1 A, worked out by hand from each data sheet's m, b, R at 5 milliohm.
TEST(Adm127xScale, EveryRowOfTheFamily) {
  struct Row {
    MonitorRange range;
    uint32_t code_of_5v, most_mv, code_of_1a, most_ma;
  };
  for (const Row& row : {
           Row{MonitorRange::kAdm1272_60V_30mV, 339, 60'487, 2379, 6175},
           Row{MonitorRange::kAdm1272_60V_15mV, 339, 60'487, 2711, 3087},
           Row{MonitorRange::kAdm1275_6V, 3360, 6094, 2451, 5074},
           Row{MonitorRange::kAdm1275_20V, 960, 21'329, 2451, 5074},
           Row{MonitorRange::kAdm1276_6V, 3360, 6094, 2451, 5074},
           Row{MonitorRange::kAdm1276_20V, 960, 21'329, 2451, 5074},
           Row{MonitorRange::kAdm1278_20V, 980, 20'894, 2447, 5119},
       }) {
    const Adm127xScale scale({5000, row.range});
    EXPECT_NEAR(scale.Millivolts(row.code_of_5v), 5000, 8) << scale.row().model;
    EXPECT_EQ(scale.Millivolts(4095), row.most_mv) << scale.row().model;
    EXPECT_NEAR(scale.Milliamps(row.code_of_1a), 1000, 3) << scale.row().model;
    EXPECT_EQ(scale.Milliamps(4095), row.most_ma) << scale.row().model;
    EXPECT_EQ(scale.CurrentCode(1000), row.code_of_1a) << scale.row().model;
  }
}

// Data sheets, PMON_CONFIG: VI_AVG is bits 10 to 8 of the wide register, bits 2 to 0 of the narrow one.
TEST(Adm127x, EveryRowAveragesEightVoltagesAndCurrents) {
  for (const Adm127xRow& row : kAdm127xRows) {
    EXPECT_EQ(row.pmon_config >> (row.wide_registers ? 8 : 0) & 7, 3) << row.model;
    const int power = row.wide_registers ? row.pmon_config >> 11 & 7 : 3;
    EXPECT_EQ(power, 3) << row.model;
  }
}

TEST(Adm127x, SetUpStopsTheMonitorAndArmsTheAlert) {
  FakeBoard board;
  FakeChip& chip = board.Monitor(0);
  const Adm127xScale scale({5000});
  Adm127x monitor(board.buses[FakeBoard::kMonitors], 0x10, scale);
  ASSERT_TRUE(monitor.CheckIdentity().ok());
  ASSERT_TRUE(monitor.Configure().ok());
  EXPECT_EQ(chip.words[0xD4], (std::array<uint8_t, 2>{0x37, 0x1B}))
      << "continuous, VOUT on, 8 averages of power, voltage and current";
  EXPECT_EQ(
      chip.log,
      (std::vector<std::vector<uint8_t>>{{0xD3, 0x00}, {0xD3, 0x01}, {0x4A, 0xE2, 0x0B}, {0xD5, 0x00, 0x44}, {0x03}}))
      << "stopped, running, 3 A warning, it and a cut-off on ALERT#, faults cleared";
}

TEST(Adm127x, NarrowRegistersOfTheAdm1275) {
  FakeBoard board;
  FakeChip& chip = board.Monitor(0);
  chip.blocks[0x9A] = "ADM1275-3";
  const Adm127xScale scale({5000, MonitorRange::kAdm1275_6V});
  Adm127x monitor(board.buses[FakeBoard::kMonitors], 0x10, scale);
  ASSERT_TRUE(monitor.CheckIdentity().ok());
  ASSERT_TRUE(monitor.Configure().ok());
  EXPECT_EQ(chip.words[0xD4][0], 0xCB);
  EXPECT_EQ(chip.log[3], (std::vector<uint8_t>{0xD5, 0x44}));
}

TEST(Adm127x, AnotherPartIsNamedAndLeftAlone) {
  FakeBoard board;
  FakeChip& chip = board.Monitor(0);
  const Adm127xScale scale({5000});
  Adm127x monitor(board.buses[FakeBoard::kMonitors], 0x10, scale);
  chip.blocks[0x9A] = "ADM1278-1";
  EXPECT_EQ(monitor.CheckIdentity().code(), Code::kFailedPrecondition);
  chip.blocks[0x9A] = "ADM1272-A1";
  chip.blocks[0x99] = "TI";
  EXPECT_EQ(monitor.CheckIdentity().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(chip.log.empty());
}

TEST(Tmp105, BelowZeroToo) {
  RegisterRead read = Tmp105::Temperature({.bus = 7, .address = 0x48});
  EXPECT_EQ(read.bus, 7);
  EXPECT_EQ(read.address, 0x48);
  read.in = {0x19, 0x80};
  EXPECT_EQ(Tmp105::DeciCelsius(read), 255);
  read.in = {0xFE, 0x80};
  EXPECT_EQ(Tmp105::DeciCelsius(read), -15);
}

TEST(Pca9552, WritesAndReadsItsHalfOnly) {
  FakeBoard board;
  FakeBus& bus = board.buses[FakeBoard::kExpanders];
  ASSERT_TRUE(Pca9552(bus, board.wiring[1].outputs).Write(0b1010'0001).ok());
  EXPECT_EQ(board.Selectors(0), 0x5555);
  for (unsigned pin = 0; pin < 8; ++pin) EXPECT_EQ(board.PinOn(1, pin), (0b1010'0001 >> pin & 1) != 0) << pin;
  ASSERT_TRUE(Pca9552(bus, board.wiring[1].outputs).WriteUpper(0b0011'0000).ok());
  for (unsigned pin = 0; pin < 8; ++pin) EXPECT_EQ(board.PinOn(1, pin), (0b0011'0001 >> pin & 1) != 0) << pin;
  EXPECT_EQ(board.Selectors(0), 0x5555);
  ASSERT_TRUE(Pca9552(bus, board.wiring[1].outputs).WriteUpper(0b1010'0000).ok());
  RegisterRead read = Pca9552<FakeBus>::ReadBack(board.wiring[1].outputs);
  ASSERT_TRUE(bus.WriteRead(read.address, std::span(&read.reg, 1), read.in).ok());
  EXPECT_EQ(Pca9552<FakeBus>::Outputs(read), 0b1010'0001);
}

}  // namespace
}  // namespace faraday::firmware
