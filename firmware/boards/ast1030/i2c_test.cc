// The I2C driver's register sequences against a controller in memory: what QEMU cannot do to it (a stuck bus, slow
// steps).
#include "firmware/boards/ast1030/i2c.h"

#include <gtest/gtest.h>

#include "firmware/boards/ast1030/fake_registers.h"

namespace faraday::firmware::ast1030 {
namespace {

RegisterRead Read(uint8_t bus, uint8_t address, uint8_t reg) {
  RegisterRead read;
  read.bus = bus;
  read.address = address;
  read.reg = reg;
  return read;
}

struct I2cTest : testing::Test {
  using Wire = std::vector<std::string>;
  Status ReadWord(size_t bus, uint8_t address, uint8_t reg) {
    return I2cMaster(bus).WriteRead(address, std::array<uint8_t, 1>{reg}, word);
  }
  Wire log;
  FakeRegisters registers;
  FakeI2cPort two{registers, 2, log};
  FakeI2cPort three{registers, 3, log};
  std::array<uint8_t, 2> word{};
};

TEST_F(I2cTest, Start_SetsFastModeWithLegalLowTime) {
  I2cMaster(2).Start();
  const uint32_t timing = registers.values[kI2c + 0x180 + 0x04];
  const uint32_t base_ns = 20U << (timing & 0xF);  // 50 MHz
  const uint32_t low_ns = base_ns * ((timing >> 12 & 0xF) + 1);
  const uint32_t high_ns = base_ns * ((timing >> 16 & 0xF) + 1);
  EXPECT_GE(low_ns, 1300U) << "I2C specification, fast mode, tLOW";
  EXPECT_GE(high_ns, 600U) << "tHIGH";
  EXPECT_GE(low_ns + high_ns, 2500U) << "not above 400 kHz";
  EXPECT_LE(low_ns + high_ns, 2600U) << "and hardly below";
  EXPECT_GE(base_ns * ((timing >> 28) + 1), 1300U) << "tBUF";
  EXPECT_GE(base_ns * ((timing >> 24 & 0xF) + 1), 600U) << "tHD;STA";
}

TEST_F(I2cTest, WordRead_IsWriteRestartReadStop) {
  two.chips[0x10].answer = {0x34, 0x12};
  ASSERT_TRUE(ReadWord(2, 0x10, 0x8C).ok());
  EXPECT_EQ(word, (std::array<uint8_t, 2>{0x34, 0x12}));
  EXPECT_EQ(log, (Wire{"2:S20", "2:8c", "2:S21", "2:r", "2:n", "2:P"}));
}

TEST_F(I2cTest, SilentAddress_IsUnavailableAfterAStop) {
  EXPECT_EQ(ReadWord(2, 0x11, 0x8C).code(), Code::kUnavailable);
  EXPECT_EQ(log, (Wire{"2:S22", "2:P"}));
}

TEST_F(I2cTest, AddressAlone_IsTheEepromsQuestion) {
  two.chips[0x50];
  EXPECT_TRUE(I2cMaster(2).Write(0x50, {}).ok());
  EXPECT_EQ(log, (Wire{"2:Sa0", "2:P"}));
}

TEST_F(I2cTest, SdaHeldLow_GetsTheRecoveryCommandAndAResetController) {
  two.chips[0x10].answer = {1, 2};
  two.sda_low = true;
  EXPECT_EQ(ReadWord(2, 0x10, 0x8C).code(), Code::kAborted);
  EXPECT_EQ(log, (Wire{"2:recover", "2:reset"}));
  EXPECT_LT(registers.now_us, 4000U);
  log.clear();
  EXPECT_TRUE(ReadWord(2, 0x10, 0x8C).ok()) << "free again";
}

TEST_F(I2cTest, SdaThatStaysLow_IsGivenUpInBoundedTime) {
  two.sda_low = true;
  two.recovery_works = false;
  EXPECT_EQ(ReadWord(2, 0x10, 0x8C).code(), Code::kDeadlineExceeded);
  EXPECT_EQ(log, (Wire{"2:recover", "2:reset"}));
  EXPECT_LT(registers.now_us, 4100U) << "3 ms for the transfer, 1 ms for the recovery";
}

TEST_F(I2cTest, StepThatNeverEndsWithLinesHigh_GetsAStop) {
  two.hangs = true;
  EXPECT_EQ(ReadWord(2, 0x10, 0x8C).code(), Code::kAborted);
  EXPECT_EQ(log, (Wire{"2:P", "2:reset"}));
  EXPECT_LT(registers.now_us, 4100U);
}

TEST_F(I2cTest, LostArbitration_IsABusErrorAtOnce) {
  const uintptr_t status = kI2c + 0x180 + 0x10;
  registers.on_read[status] = [] { return 1U << 3; };
  EXPECT_EQ(ReadWord(2, 0x10, 0x8C).code(), Code::kAborted);
  EXPECT_LT(registers.now_us, 1100U) << "only the recovery's wait";
}

TEST_F(I2cTest, ReadTogether_BusesShareTheTimeOneBusKeepsItsOrder) {
  two.chips[0x10].answer = {1, 0};
  two.chips[0x11].answer = {2, 0};
  three.chips[0x10].answer = {3, 0};
  std::array<RegisterRead, 3> reads = {Read(2, 0x10, 0x8C), Read(2, 0x11, 0x8C), Read(3, 0x10, 0x8B)};
  ReadTogether(reads);
  for (const RegisterRead& read : reads) EXPECT_TRUE(read.status.ok());
  EXPECT_EQ(reads[0].in[0], 1);
  EXPECT_EQ(reads[1].in[0], 2);
  EXPECT_EQ(reads[2].in[0], 3);
  EXPECT_EQ(log,
            (Wire{"2:S20",
                  "2:8c",
                  "3:S20",
                  "3:8b",
                  "2:S21",
                  "3:S21",
                  "2:r",
                  "3:r",
                  "2:n",
                  "3:n",
                  "2:P",
                  "3:P",
                  "2:S22",
                  "2:8c",
                  "2:S23",
                  "2:r",
                  "2:n",
                  "2:P"}))
      << "bus 3 is done while bus 2 is at its first read";
}

TEST_F(I2cTest, ReadTogether_StuckBusFailsItsOtherReadsWithoutWaitingAgain) {
  two.chips[0x10].answer = {1, 0};
  three.chips[0x10].answer = {3, 0};
  two.sda_low = true;
  two.recovery_works = false;
  std::array<RegisterRead, 4> reads = {
      Read(2, 0x10, 0x8C), Read(3, 0x10, 0x8C), Read(2, 0x11, 0x8C), Read(2, 0x12, 0x8C)};
  ReadTogether(reads);
  for (const size_t i : {0U, 2U, 3U}) EXPECT_EQ(reads[i].status.code(), Code::kDeadlineExceeded) << i;
  EXPECT_TRUE(reads[1].status.ok());
  EXPECT_EQ(reads[1].in[0], 3);
  EXPECT_LT(registers.now_us, 4100U);
}

}  // namespace
}  // namespace faraday::firmware::ast1030
