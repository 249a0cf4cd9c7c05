#include "firmware/core/epoch_store.h"

#include <gtest/gtest.h>

#include "firmware/core/fake_nvm.h"

namespace faraday::firmware {
namespace {

EpochStore Loaded(FakeNvm& nvm) {
  EpochStore store(nvm);
  store.Load();
  return store;
}

TEST(EpochStore, BlankMemory_IsLost) {
  for (uint8_t blank : {uint8_t{0xFF}, uint8_t{0x00}}) {
    FakeNvm nvm;
    nvm.bytes.fill(blank);
    const EpochStore store = Loaded(nvm);
    EXPECT_EQ(store.term(), 0U);
    for (size_t i = 0; i < link::kMaxSlots; ++i) EXPECT_FALSE(store.known(i)) << i;
    EXPECT_TRUE(store.rack().empty());
  }
}

TEST(EpochStore, ValuesComeBack) {
  FakeNvm nvm;
  EpochStore store = Loaded(nvm);
  store.SaveTerm(7);
  store.SaveRack("r01");
  for (size_t i = 0; i < link::kMaxSlots; ++i) store.SaveEpoch(i, static_cast<uint32_t>(1000 + i));
  const EpochStore back = Loaded(nvm);
  EXPECT_EQ(back.term(), 7U);
  EXPECT_EQ(back.rack(), "r01");
  EXPECT_FALSE(back.failed());
  for (size_t i = 0; i < link::kMaxSlots; ++i) {
    EXPECT_TRUE(back.known(i)) << i;
    EXPECT_EQ(back.epoch(i), 1000 + i);
  }
}

TEST(EpochStore, PowerCutAnywhereInAWrite_LeavesTheOldOrTheNewValue) {
  for (size_t cut = 0; cut <= 8; ++cut) {
    FakeNvm nvm;
    EpochStore store = Loaded(nvm);
    store.SaveEpoch(3, 10);
    store.SaveEpoch(3, 11);
    nvm.bytes_until_cut = cut;
    store.SaveEpoch(3, 12);
    const EpochStore back = Loaded(nvm);
    EXPECT_TRUE(back.known(3));
    EXPECT_TRUE(back.epoch(3) == 11 || back.epoch(3) == 12) << back.epoch(3);
  }
}

TEST(EpochStore, AnyFlippedBit_LosesNoMoreThanTheNewestValue) {
  FakeNvm fresh;
  EpochStore store = Loaded(fresh);
  store.SaveEpoch(0, 20);
  store.SaveEpoch(0, 21);
  for (size_t bit = 16 * 8; bit < 32 * 8; ++bit) {
    FakeNvm nvm = fresh;
    nvm.bytes[bit / 8] = static_cast<uint8_t>(nvm.bytes[bit / 8] ^ 1U << bit % 8);
    const EpochStore back = Loaded(nvm);
    EXPECT_TRUE(back.known(0));
    EXPECT_TRUE(back.epoch(0) == 20 || back.epoch(0) == 21) << back.epoch(0);
  }
}

TEST(EpochStore, BytesInTheWrongCell_AreNotTaken) {
  FakeNvm nvm;
  EpochStore store = Loaded(nvm);
  store.SaveEpoch(0, 20);
  std::copy_n(nvm.bytes.begin() + 16, 16, nvm.bytes.begin() + 32);
  EXPECT_FALSE(Loaded(nvm).known(1));
}

TEST(EpochStore, MissingPart_IsLostAndStoresNothing) {
  FakeNvm nvm;
  nvm.missing = true;
  EpochStore store = Loaded(nvm);
  for (size_t i = 0; i < link::kMaxSlots; ++i) EXPECT_FALSE(store.known(i)) << i;
  EXPECT_FALSE(store.SaveEpoch(0, 5));
  EXPECT_TRUE(store.failed());
  EXPECT_EQ(store.epoch(0), 5U) << "RAM still counts";
}

TEST(EpochStore, TwoFailedTransfers_ChangeNothing) {
  FakeNvm nvm;
  EpochStore store = Loaded(nvm);
  store.SaveTerm(7);
  nvm.failures = 2;
  EXPECT_TRUE(store.SaveTerm(8));
  nvm.failures = 2;
  const EpochStore back = Loaded(nvm);
  EXPECT_EQ(back.term(), 8U);
  EXPECT_FALSE(back.failed());
}

TEST(EpochStore, FailedWrite_KeepsTheGoodCopyAndIsRemembered) {
  FakeNvm nvm;
  EpochStore store = Loaded(nvm);
  store.SaveEpoch(3, 10);
  store.SaveEpoch(3, 11);
  for (uint32_t epoch = 12; epoch < 14; ++epoch) {
    nvm.failures = 3;
    EXPECT_FALSE(store.SaveEpoch(3, epoch));
    nvm.failures = 0;
    EXPECT_EQ(store.epoch(3), epoch) << "RAM goes on";
    EXPECT_EQ(Loaded(nvm).epoch(3), 11U) << "the good copy was not torn";
  }
  EXPECT_TRUE(store.SaveEpoch(3, 14));
  EXPECT_EQ(Loaded(nvm).epoch(3), 14U);
  EXPECT_TRUE(store.failed()) << "a later success does not hide it";
}

}  // namespace
}  // namespace faraday::firmware
