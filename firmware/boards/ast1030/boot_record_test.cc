// Runs on the host: the record's logic knows no register.
#include "firmware/boards/ast1030/boot_record.h"

#include <gtest/gtest.h>

#include <cstring>

#include "firmware/boards/ast1030/byte_ring.h"

namespace faraday::firmware::ast1030 {
namespace {

using link::BootReason;

BootRecord RamAfterPowerLoss(int content) {
  BootRecord record;
  std::memset(&record, content, sizeof(record));
  return record;
}

TEST(BootRecord, RamThatLostPowerMeansPowerOn) {
  for (const int content : {0x00, 0xFF, 0xA5}) {
    BootRecord record = RamAfterPowerLoss(content);
    EXPECT_EQ(OpenBootRecord(record), BootReason::kPowerOn);
    EXPECT_EQ(record.boots, 1U);
    EXPECT_EQ(record.fault.pc, 0U);
  }
}

TEST(BootRecord, ResetThatNobodyAnnouncedIsTheWatchdogs) {
  BootRecord record = RamAfterPowerLoss(0xFF);
  EXPECT_EQ(OpenBootRecord(record), BootReason::kPowerOn);
  EXPECT_EQ(OpenBootRecord(record), BootReason::kWatchdog);
  EXPECT_EQ(record.boots, 2U);
}

TEST(BootRecord, AnnouncedReasonIsToldOnceAndTheFaultsPlaceStays) {
  BootRecord record = RamAfterPowerLoss(0xFF);
  EXPECT_EQ(OpenBootRecord(record), BootReason::kPowerOn);
  record.fault.pc = 0x1234;
  AnnounceReset(record, BootReason::kFault);
  EXPECT_EQ(OpenBootRecord(record), BootReason::kFault);
  EXPECT_EQ(record.fault.pc, 0x1234U);
  EXPECT_EQ(OpenBootRecord(record), BootReason::kWatchdog);
}

TEST(BootRecord, OneDamagedBitMeansPowerOn) {
  BootRecord record = RamAfterPowerLoss(0xFF);
  EXPECT_EQ(OpenBootRecord(record), BootReason::kPowerOn);
  record.boots ^= 0x10;
  EXPECT_EQ(OpenBootRecord(record), BootReason::kPowerOn);
}

TEST(BootRecord, ReasonFromAnotherFirmwareIsUnknown) {
  BootRecord record = RamAfterPowerLoss(0xFF);
  EXPECT_EQ(OpenBootRecord(record), BootReason::kPowerOn);
  AnnounceReset(record, static_cast<BootReason>(200));
  EXPECT_EQ(OpenBootRecord(record), BootReason::kUnknown);
}

TEST(ByteRing, GivesBytesInOrderAndRefusesWhenFull) {
  ByteRing<4> ring;
  uint8_t byte = 0;
  EXPECT_TRUE(ring.empty());
  EXPECT_FALSE(ring.Take(byte));
  for (uint8_t round = 0; round < 10; ++round) {  // over the end of the array
    for (uint8_t i = 0; i < 4; ++i) EXPECT_TRUE(ring.Put(static_cast<uint8_t>(round + i)));
    EXPECT_FALSE(ring.Put(99));
    for (uint8_t i = 0; i < 4; ++i) {
      ASSERT_TRUE(ring.Take(byte));
      EXPECT_EQ(byte, round + i);
    }
  }
  EXPECT_TRUE(ring.empty());
}

}  // namespace
}  // namespace faraday::firmware::ast1030
