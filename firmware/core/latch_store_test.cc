// The latches over an EEPROM in memory.
#include "firmware/core/latch_store.h"

#include <gtest/gtest.h>

#include "firmware/core/fake_nvm.h"

namespace faraday::firmware {
namespace {

struct LatchStoreTest : testing::Test {
  LatchStoreTest() {
    store.Load();
    (void)latches.Load();
  }
  // What a reset brings back.
  Latches Kept() {
    EpochStore again_store(nvm);
    again_store.Load();
    LatchStore again(again_store);
    return again.Load();
  }

  FakeNvm nvm;
  EpochStore store{nvm};
  LatchStore latches{store};
};

TEST_F(LatchStoreTest, EachNewLatchIsKeptInItsPass) {
  Latches now{.stopped_slots = 1};
  latches.Keep(now, 1);
  EXPECT_EQ(Kept(), now);
  now.SetReason(7, link::TripReason::kOverCurrent);
  latches.Keep(now, 1);
  EXPECT_EQ(Kept(), now) << "a trip";
  now.rack_stopped = true;
  latches.Keep(now, 1);
  EXPECT_EQ(Kept(), now) << "the rack's stop";
  now.stopped_slots = 3;
  latches.Keep(now, 1);
  EXPECT_EQ(Kept(), now) << "a slot's stop";
}

TEST_F(LatchStoreTest, HeatBehindAnotherReasonIsKept) {
  Latches now;
  now.SetReason(4, link::TripReason::kOverCurrent);
  latches.Keep(now, 1);
  now.hot_slots = 1U << 4;
  latches.Keep(now, 1);
  EXPECT_EQ(Kept().hot_slots, 1U << 4);
  EXPECT_EQ(Kept().reason(4), link::TripReason::kOverCurrent);
}

TEST_F(LatchStoreTest, WhatOnlyTakesAwayWaits) {
  const Latches stopped{.stopped_slots = 3};
  latches.Keep(stopped, 1);
  const Latches cleared{.stopped_slots = 2};
  for (int pass = 0; pass < 99; ++pass) latches.Keep(cleared, 1);
  EXPECT_EQ(Kept(), stopped);
  latches.Keep(cleared, 1);
  EXPECT_EQ(Kept(), cleared);
}

// Cleared and latched again before the clear was kept: nothing is new.
TEST_F(LatchStoreTest, WhatComesAndGoesCostsNoWrite) {
  const Latches stopped{.stopped_slots = 1};
  latches.Keep(stopped, 1);
  const int writes = nvm.writes;
  for (int pass = 0; pass < 50; ++pass) latches.Keep(pass % 2 == 0 ? Latches{} : stopped, 1);
  EXPECT_EQ(nvm.writes, writes);
}

TEST_F(LatchStoreTest, APartThatTakesNoWriteIsAskedAgainASecondLater) {
  nvm.read_only = true;
  Latches now{.stopped_slots = 1};
  latches.Keep(now, 1);
  const int writes = nvm.writes;
  nvm.read_only = false;
  now.stopped_slots = 3;  // nor does a new latch hurry it
  for (int pass = 0; pass < 998; ++pass) latches.Keep(now, 1);
  EXPECT_EQ(nvm.writes, writes);
  for (int pass = 0; pass < 3; ++pass) latches.Keep(now, 1);
  EXPECT_EQ(Kept(), now);
}

}  // namespace
}  // namespace faraday::firmware
