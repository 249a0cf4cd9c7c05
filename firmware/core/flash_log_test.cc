// The board's log over a flash in memory: order, wrap, power cuts at every byte, a part that fails.
#include "firmware/core/flash_log.h"

#include <gtest/gtest.h>

#include <optional>

#include "firmware/core/event_log.h"
#include "firmware/core/fake_log_flash.h"

namespace faraday::firmware {
namespace {

using link::LogKind;

struct FlashLogTest : testing::Test {
  FlashLogTest() { Boot(); }
  // A reset: the flash stays, and finishes its erase.
  void Boot() {
    flash.busy_looks = 0;
    log.emplace(&flash);
    log->Mount();
  }
  void Run(int passes) {
    for (int i = 0; i < passes; ++i) log->Advance(1);
  }
  void Write(uint32_t value) {
    log->Write(LogKind::kHello, 0, 0, value);
    Run(8);
  }
  // The values of the records from `from` on; -1 for a damaged one.
  std::vector<int64_t> Values(uint32_t from = 0) {
    std::vector<int64_t> values;
    for (link::LogPage page; log->Read(std::max(from, log->oldest()), 8, page) && !page.kind.empty();) {
      for (size_t i = 0; i < page.kind.size(); ++i) values.push_back(page.kind[i] == 0 ? -1 : int64_t{page.value[i]});
      from = page.first + static_cast<uint32_t>(page.kind.size());
    }
    return values;
  }

  FakeLogFlash flash;
  std::optional<FlashLog> log;
};

TEST_F(FlashLogTest, ARecordComesBackWholeAfterAReset) {
  EXPECT_EQ(log->boot_number(), 1U);
  Run(10);
  log->Write(LogKind::kTrip, 7, 1, 2410, 2000);
  Run(1);
  Boot();
  EXPECT_EQ(log->boot_number(), 2U);
  EXPECT_EQ(log->oldest(), 1U);
  EXPECT_EQ(log->next(), 2U);
  link::LogPage page;
  ASSERT_TRUE(log->Read(0, 8, page));
  ASSERT_EQ(page.kind.size(), 1U);
  EXPECT_EQ(page.first, 1U);
  EXPECT_EQ(page.boot[0], 1U);
  EXPECT_EQ(page.uptime_ms[0], 10U);
  EXPECT_EQ(page.kind[0], static_cast<uint32_t>(LogKind::kTrip));
  EXPECT_EQ(page.slot[0], 7U);
  EXPECT_EQ(page.detail[0], 1U);
  EXPECT_EQ(page.value[0], 2410U);
  EXPECT_EQ(page.limit[0], 2000U);
}

TEST_F(FlashLogTest, BootsCountWhenEachWroteSomething) {
  for (uint32_t boot = 1; boot < 5; ++boot) {
    EXPECT_EQ(log->boot_number(), boot);
    Write(boot);
    Boot();
  }
}

TEST_F(FlashLogTest, TheRingWrapsAndKeepsTheNewest) {
  for (uint32_t i = 1; i <= 5000; ++i) {
    Write(i);
    if (i % 700 == 0) Boot();
  }
  EXPECT_FALSE(flash.crossed_page);
  const auto values = Values();
  EXPECT_GE(values.size(), FlashLog::kRecords - 2 * FlashLog::kPerSector);
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(values[i], static_cast<int64_t>(5000 - values.size() + 1 + i));
  }
  EXPECT_GE(log->next(), 5001U);
  const auto oldest = log->oldest();
  Boot();
  EXPECT_LE(log->oldest(), oldest);
  EXPECT_EQ(Values(), values);
}

// Whatever byte the power goes at: what was there stays, the numbers grow, and the log works on after the reset.
TEST_F(FlashLogTest, PowerCutAtAnyByteOfARecordLosesAtMostThatOne) {
  for (uint32_t i = 1; i <= 3; ++i) Write(i);
  const auto before = flash.bytes;
  for (size_t cut = 0; cut <= FlashLog::kRecordBytes; ++cut) {
    flash = {};
    flash.bytes = before;
    Boot();
    Run(10);  // the sector ahead
    flash.bytes_until_cut = cut;
    Write(4);
    flash.bytes_until_cut = SIZE_MAX;
    Boot();
    const bool whole = log->next() > 4 && Values(4) == std::vector<int64_t>{4};
    Write(5);
    std::vector<int64_t> values = Values();
    std::erase(values, -1);
    const std::vector<int64_t> with = {1, 2, 3, 4, 5}, without = {1, 2, 3, 5};
    EXPECT_EQ(values, whole ? with : without) << cut;
    EXPECT_EQ(whole, cut == FlashLog::kRecordBytes) << cut;
    EXPECT_FALSE(log->failed()) << cut;
  }
}

TEST_F(FlashLogTest, PowerCutInAnyErase) {
  for (uint32_t i = 1; i <= FlashLog::kRecords + 200; ++i) Write(i);
  const auto before = flash.bytes;
  const uint32_t next = log->next();
  for (size_t cut = 0; cut < LogFlash::kSectorSize; cut += 97) {
    flash = {};
    flash.bytes = before;
    flash.bytes_until_cut = cut;
    Boot();
    Run(1);  // erases the sector ahead anew
    ASSERT_EQ(flash.erases, 1);
    flash.bytes_until_cut = SIZE_MAX;
    Boot();
    ASSERT_EQ(log->next(), next) << cut;
    for (uint32_t i = 0; i < 400; ++i) Write(9000 + i);
    const auto values = Values();
    for (size_t i = 1; i < values.size(); ++i) ASSERT_GT(values[i], values[i - 1]) << cut;
    EXPECT_EQ(values.back(), 9399) << cut;
  }
}

TEST_F(FlashLogTest, WhileTheFlashErasesRecordsWaitInTheQueue) {
  flash.erase_looks = 400;
  Run(1);  // the first erase
  for (uint32_t i = 1; i <= FlashLog::kQueue; ++i) log->Write(LogKind::kHello, 0, 0, i);
  Run(200);
  link::LogPage page;
  EXPECT_FALSE(log->Read(0, 8, page)) << "busy";
  Run(800);  // and the erase of the sector ahead
  EXPECT_EQ(Values().size(), FlashLog::kQueue);
  EXPECT_FALSE(log->failed());
}

TEST_F(FlashLogTest, WhatFoundTheQueueFullIsCountedInTheLog) {
  for (uint32_t i = 0; i < FlashLog::kQueue + 5; ++i) log->Write(LogKind::kHello, 0, 0, i);
  Run(100);
  link::LogPage page;
  ASSERT_TRUE(log->Read(FlashLog::kQueue + 1, 8, page));
  ASSERT_EQ(page.kind.size(), 1U);
  EXPECT_EQ(page.kind[0], static_cast<uint32_t>(LogKind::kCondition));
  EXPECT_EQ(page.detail[0], static_cast<uint32_t>(link::Condition::kLogLost));
  EXPECT_EQ(page.value[0], 5U);
}

TEST_F(FlashLogTest, APlaceThatTakesNothingIsTriedAgain) {
  Run(10);
  flash.failing_programs = 2;
  Write(1);
  EXPECT_EQ(Values(), std::vector<int64_t>{1});
  EXPECT_FALSE(log->failed());
}

TEST_F(FlashLogTest, APartThatFailsIsSaidAndHeals) {
  Run(10);
  flash.silent = true;
  Write(1);
  EXPECT_TRUE(log->failed());
  flash.silent = false;
  log->Advance(2000);
  EXPECT_FALSE(log->failed());
  EXPECT_EQ(Values(), std::vector<int64_t>{1});
}

TEST_F(FlashLogTest, APlaceThatIsNotErasedIsLeftBehindDamaged) {
  Run(10);
  flash.bytes[0] = 0;
  Write(1);
  EXPECT_EQ(Values(), (std::vector<int64_t>{-1, 1}));
}

TEST_F(FlashLogTest, ASilentPartAtBootIsAFailedLog) {
  flash.silent = true;
  Boot();
  EXPECT_TRUE(log->failed());
  EXPECT_EQ(log->boot_number(), 0U);
  log->Write(LogKind::kHello, 0);
  Run(5);
  link::LogPage page;
  EXPECT_TRUE(log->Read(0, 8, page));
  EXPECT_TRUE(page.kind.empty());
}

TEST(FlashLog, ABoardWithoutOneSaysNothing) {
  FlashLog log(nullptr);
  log.Mount();
  log.Write(LogKind::kBoot, 0);
  log.Advance(1);
  EXPECT_FALSE(log.failed());
  EXPECT_EQ(log.boot_number(), 0U);
}

TEST_F(FlashLogTest, EventsThatMustOutliveAResetAreWritten) {
  EventLog events(*log);
  events.Latch(link::Tripped{.slot = 3, .reason = link::TripReason::kOverCurrent, .value = 2410, .limit = 2000});
  events.Latch(link::CommandDone{.command_id = 1});
  events.Latch(link::LeaseEnded{.slot = 4, .epoch = 9});
  events.Latch(link::InputChanged{.input = 2, .active = true});
  events.Latch(link::ConditionChanged{.slot = 5, .condition = link::Condition::kBackFeed, .active = true});
  events.Latch(link::ConditionChanged{.slot = 5, .condition = link::Condition::kBackFeed, .active = false});
  events.Log(LogKind::kCleared, 3);
  Run(20);
  link::LogPage page;
  ASSERT_TRUE(log->Read(0, 8, page));
  std::vector<std::tuple<LogKind, uint32_t, uint32_t, uint32_t, uint32_t>> told;
  for (size_t i = 0; i < page.kind.size(); ++i) {
    told.emplace_back(static_cast<LogKind>(page.kind[i]), page.slot[i], page.detail[i], page.value[i], page.limit[i]);
  }
  EXPECT_EQ(told,
            (decltype(told){{LogKind::kTrip, 3, 1, 2410, 2000},
                            {LogKind::kLeaseEnded, 4, 0, 9, 0},
                            {LogKind::kInput, 0, 2, 1, 0},
                            {LogKind::kCondition, 5, 5, 0, 0},
                            {LogKind::kConditionOver, 5, 5, 0, 0},
                            {LogKind::kCleared, 3, 0, 0, 0}}));
}

}  // namespace
}  // namespace faraday::firmware
