// What a silence of the controller took is given back, and nothing else.
#include "controller/core/rack_fixture.h"

namespace faraday::controller {
namespace {

using testing::Contains;

class RackSilenceTest : public RackTest {
 protected:
  void SetUp() override {
    RackTest::SetUp();
    Connect();
    const auto lease = Acquire("r01/01", "ana");
    ASSERT_TRUE(lease.ok());
    ASSERT_TRUE(Power("r01/01", 2, As("ana")).ok());
    rack->switching().Switch(
        As("ana"),
        {"r01/01", 2, DataLevel{link::DataPath::kHost, "h01"}, ""},
        [](const Result<SlotView>&, Now) {},
        now);
    line->Run(now);
    ASSERT_EQ(board.At(1).data, link::DataPath::kHost);
  }
  // As the board does after host_silent_max: outputs taken, latched until ClearSilence.
  void FallSilent() {
    line->Down("cut", now);
    for (auto& slot : board.slots) {
      slot.vbus = slot.couple = false;
      slot.data = link::DataPath::kOpen;
    }
    board.faults = link::kFaultHostSilent;
    board.taken.clear();
    now.boot += seconds(30);
    now.utc.since_epoch += seconds(30);
  }
  void Back() {
    line->Up(now);
    line->Run(now);
    Advance(seconds(3));
  }
  template <typename Call>
  int Count() const {
    return static_cast<int>(std::ranges::count_if(
        board.taken, [](const link::Command& command) { return std::holds_alternative<Call>(command.call); }));
  }
};

TEST_F(RackSilenceTest, LeasedSlot_GetsBackWhatItsHolderCommanded) {
  FallSilent();
  Back();
  EXPECT_EQ(Count<link::ClearSilence>(), 1);
  EXPECT_TRUE(board.At(1).vbus);
  EXPECT_EQ(board.At(1).data, link::DataPath::kHost);
  EXPECT_EQ(board.faults, 0u);
  EXPECT_THAT(events.lines,
              Contains("1 slot.restored given back after the controller's silence: VBUS on, data to host h01"));
  EXPECT_THAT(store.audit, Contains(testing::Field(&AuditLine::call, "restore")));
}

TEST_F(RackSilenceTest, AfterAKill_TheStoreRemembers) {
  FallSilent();
  Kill();
  Start("boot-1");
  Back();
  EXPECT_TRUE(board.At(1).vbus);
  EXPECT_EQ(board.At(1).data, link::DataPath::kHost);
}

TEST_F(RackSilenceTest, WithoutASilence_AReconnectGivesNothingBack) {
  FallSilent();
  board.faults = 0;
  Back();
  EXPECT_EQ(Count<link::SetVbus>(), 0);
}

TEST_F(RackSilenceTest, LeaseOver_NothingIsGivenBack) {
  FallSilent();
  Advance(minutes(11));
  Back();
  EXPECT_FALSE(board.At(1).vbus);
  EXPECT_EQ(Count<link::ClearSilence>(), 1);
}

TEST_F(RackSilenceTest, OffByCommand_StaysOff) {
  ASSERT_TRUE(Power("r01/01", 2, As("ana"), false).ok());
  FallSilent();
  Back();
  EXPECT_FALSE(board.At(1).vbus);
}

TEST_F(RackSilenceTest, KilledBeforeTheOffWasAnswered_StaysOff) {
  rack->switching().Switch(
      As("ana"), {"r01/01", 2, VbusLevel{false}, ""}, [](const Result<SlotView>&, Now) {}, now);
  Kill();
  Start("boot-1");
  FallSilent();
  Back();
  EXPECT_EQ(Count<link::SetVbus>(), 0) << "its holder had turned it off";
  EXPECT_FALSE(board.At(1).vbus);
}

TEST_F(RackSilenceTest, TrippedMeanwhile_StaysOffThoughItWasCleared) {
  FallSilent();
  board.events.push_back({board.next_event++, 0, link::Tripped{1, link::TripReason::kOverCurrent, 2410, 2000}});
  Back();
  EXPECT_FALSE(board.At(1).vbus);
  EXPECT_EQ(Count<link::SetVbus>(), 0);
}

TEST_F(RackSilenceTest, RailDownMeanwhile_StaysOff) {
  FallSilent();
  board.events.push_back({board.next_event++, 0, link::ConditionChanged{0, link::Condition::kRailDown, true, 0, 0}});
  Back();
  EXPECT_EQ(Count<link::SetVbus>(), 0);
}

TEST_F(RackSilenceTest, BoardThatHasReset_GetsNothingBack) {
  FallSilent();
  board.Reset();
  board.faults = link::kFaultHostSilent;
  Back();
  EXPECT_EQ(Count<link::SetVbus>(), 0) << "an MCU reset is at most once";
}

TEST_F(RackSilenceTest, SlotInTrouble_StaysOff) {
  FallSilent();
  board.At(1).marks.hot_shelf = true;
  Back();
  EXPECT_EQ(Count<link::SetVbus>(), 0);
}

TEST_F(RackSilenceTest, StoreThatRefusedTheLastWord_GivesNothingBack) {
  store.failing = true;
  (void)Power("r01/01", 2, As("ana"), false);
  store.failing = false;
  FallSilent();
  Back();
  EXPECT_FALSE(board.At(1).vbus) << "the store still says on";
}

TEST_F(RackSilenceTest, NewHolder_StartsWithNothing) {
  ASSERT_TRUE(rack->grants().Release(As("ana"), {"r01-01-2", false, ""}, now).ok());
  line->Run(now);
  ASSERT_TRUE(Cleared("r01/01", 2).ok());
  EXPECT_TRUE(book->at(1).wanted.Nothing());
}

}  // namespace
}  // namespace faraday::controller
