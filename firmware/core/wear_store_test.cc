// The relays' wear over an EEPROM in memory.
#include "firmware/core/wear_store.h"

#include <gtest/gtest.h>

#include <optional>

#include "firmware/core/fake_nvm.h"

namespace faraday::firmware {
namespace {

struct WearStoreTest : testing::Test {
  WearStoreTest() { Boot(); }
  void Boot() {
    wear.emplace(nvm);
    wear->Load();
  }
  // Moves the slot's relay; every move ends a pass.
  void Move(size_t slot, int moves) {
    for (int i = 0; i < moves; ++i) {
      coils ^= uint32_t{1} << slot;
      wear->OnCoils(coils);
      wear->Advance(1);
    }
  }

  FakeNvm nvm;
  std::optional<WearStore> wear;
  uint32_t coils = 0;
};

TEST_F(WearStoreTest, EachCoilChangeCountsOnItsOwnSlot) {
  wear->OnCoils(0x8000'0001);
  wear->OnCoils(0x8000'0001);
  wear->OnCoils(0x0000'0001);
  EXPECT_EQ(wear->moves(0), 1U);
  EXPECT_EQ(wear->moves(31), 2U);
  EXPECT_EQ(wear->moves(1), 0U);
}

TEST_F(WearStoreTest, SixteenMovesMakeARecord) {
  Move(3, 15);
  EXPECT_EQ(nvm.writes, 0);
  Move(3, 1);
  EXPECT_EQ(nvm.writes, 1);
  Boot();
  EXPECT_EQ(wear->moves(3), 16U);
}

TEST_F(WearStoreTest, AnHourMakesOneToo) {
  Move(3, 1);
  wear->Advance(WearStore::kRecordAfterMs - 2);
  EXPECT_EQ(nvm.writes, 0);
  wear->Advance(2);
  EXPECT_EQ(nvm.writes, 1);
  wear->Advance(2 * WearStore::kRecordAfterMs);
  EXPECT_EQ(nvm.writes, 1) << "nothing moved";
  Boot();
  EXPECT_EQ(wear->moves(3), 1U);
}

TEST_F(WearStoreTest, TheRingSpreadsTheWritesAndStaysInItsPlace) {
  const auto blank = nvm.bytes;
  Move(0, 16 * 100);
  EXPECT_EQ(nvm.writes, 100);
  EXPECT_TRUE(std::equal(blank.begin(), blank.begin() + 0x1000, nvm.bytes.begin())) << "epochs and configuration";
  Boot();
  EXPECT_EQ(wear->moves(0), 1600U);
}

TEST_F(WearStoreTest, PowerCutAtAnyByteOfARecordLosesSixteenMovesAtMost) {
  Move(5, 16 * 40);
  const auto before = nvm.bytes;
  for (size_t cut = 0; cut <= 128; ++cut) {
    nvm.bytes = before;
    coils = 0;
    Boot();
    nvm.bytes_until_cut = cut;
    Move(5, 16);
    nvm.bytes_until_cut = SIZE_MAX;
    Boot();
    EXPECT_EQ(wear->moves(5), cut == 128 ? 656U : 640U) << cut;
    coils = 0;
    Move(5, 16);
    Boot();
    EXPECT_EQ(wear->moves(5), cut == 128 ? 672U : 656U) << cut;
  }
}

TEST_F(WearStoreTest, ANewRelayIsWrittenAtOnce) {
  Move(5, 20);
  wear->Set(5, 3);
  wear->Advance(1);
  Boot();
  EXPECT_EQ(wear->moves(5), 3U);
}

TEST_F(WearStoreTest, AMemoryThatTakesNothingIsNotHammered) {
  nvm.read_only = true;
  Move(1, 16);
  for (int i = 0; i < 1000; ++i) wear->Advance(1);
  nvm.read_only = false;
  EXPECT_EQ(nvm.writes, 0);
  wear->Advance(60'000);
  EXPECT_EQ(nvm.writes, 1);
  Boot();
  EXPECT_EQ(wear->moves(1), 16U);
}

TEST_F(WearStoreTest, AMemoryThatDidNotAnswerAtBootKeepsItsHistory) {
  Move(5, 32);
  Move(6, 16);
  nvm.missing = true;
  coils = 0;
  Boot();
  EXPECT_EQ(wear->moves(5), 0U);
  Move(5, 20);
  wear->Set(6, 3);
  nvm.missing = false;
  const int writes = nvm.writes;
  for (int i = 0; i < 1000; ++i) wear->Advance(1);
  EXPECT_EQ(nvm.writes, writes) << "nothing is written over what nobody has read";
  wear->Advance(60'000);
  EXPECT_EQ(wear->moves(5), 52U);
  EXPECT_EQ(wear->moves(6), 3U);
  wear->Advance(1);
  Boot();
  EXPECT_EQ(wear->moves(5), 52U);
  EXPECT_EQ(wear->moves(6), 3U);
}

TEST_F(WearStoreTest, CountingStaysAtItsTop) {
  wear->Set(2, WearStore::kMostMoves);
  Move(2, 2);
  EXPECT_EQ(wear->moves(2), WearStore::kMostMoves);
}

}  // namespace
}  // namespace faraday::firmware
