// Conditions by name, with since and next step; quarantine and what ends it.
#include "controller/core/rack_fixture.h"

namespace faraday::controller {
namespace {

using testing::Contains;
using testing::Not;

class RackConditionTest : public RackTest {
 protected:
  void SetUp() override {
    RackTest::SetUp();
    Connect();
  }
  static const ConditionView* Find(const std::vector<ConditionView>& views, const std::string& name) {
    const auto it = std::ranges::find(views, name, &ConditionView::name);
    return it == views.end() ? nullptr : &*it;
  }
  void Tell(link::ConditionChanged changed, uint32_t uptime_ms = 0) {
    board.events.push_back({board.next_event++, uptime_ms, changed});
  }
  Status Clear(const std::string& slot) {
    std::optional<Status> answer;
    rack->switching().Clear(
        As("tina", Role::kTech),
        slot,
        "mended",
        [&](const Result<SlotView>& view, Now) { answer = view.ok() ? OkStatus() : view.status(); },
        now);
    Advance(seconds(4));
    return answer.value_or(Status{Code::kInternal, "no answer"});
  }
};

TEST_F(RackConditionTest, HasValueLimitPlaceSinceAndNextStep) {
  board.uptime_ms = 60'000;
  line->Run(now);
  board.At(3).marks.under_voltage = true;
  Tell({3, link::Condition::kUnderVoltage, true, 4610, 4750}, 57'000);
  line->Run(now);
  const SlotView view = View(3);
  ASSERT_EQ(view.condition_list.size(), 1u);
  const ConditionView& condition = view.condition_list[0];
  EXPECT_EQ(condition.name, "under-voltage");
  EXPECT_EQ(condition.place, "r01/03");
  EXPECT_EQ(condition.text, "under-voltage 4.61 V < 4.75 V");
  EXPECT_EQ(condition.next, "check the slot's cable and connector, then its switch");
  EXPECT_EQ(now.utc.since_epoch - condition.since.since_epoch, seconds(3)) << "by the event's own time";
  EXPECT_FALSE(condition.quarantines);
  EXPECT_EQ(view.conditions, std::vector<std::string>{"under-voltage"});
  EXPECT_EQ(view.health.health, Health::kGood);
  EXPECT_THAT(events.lines, Contains(HasSubstr("3 slot.condition under-voltage 4.61 V < 4.75 V since ")));
  board.At(3).marks.under_voltage = false;
  line->Run(now);
  EXPECT_THAT(View(3).condition_list, IsEmpty());
  EXPECT_EQ(events.lines.back(), "3 slot.condition_over under-voltage is over");
}

TEST_F(RackConditionTest, WithoutTheEvent_TelemetrySaysItOnce) {
  board.At(3).marks.tray_warm = true;
  Advance(seconds(5));
  const auto told = std::ranges::count_if(
      events.lines, [](const std::string& text) { return text.starts_with("3 slot.condition tray-warm"); });
  EXPECT_EQ(told, 1);
}

TEST_F(RackConditionTest, CameAndWentInTheDark_BothAreTold) {
  Tell({3, link::Condition::kBackFeed, true, 4700, 0});
  line->Run(now);
  EXPECT_THAT(events.lines, Contains(HasSubstr("3 slot.condition back-feed 4.70 V while off")));
  EXPECT_EQ(events.lines.back(), "3 slot.condition_over back-feed is over");
}

TEST_F(RackConditionTest, BoardsConditions_NameRailShelfAndInput) {
  config.inputs = {{"door", 0, 2, true, 50, rackconfig::InputAction::kBlockTurnOn, {}, false}};
  board.rails_down = 1;
  board.shelves_hot = 1U << 2;
  board.inputs = 1U << 2;
  board.faults = link::kFaultInput | link::kFaultRailDown | link::kFaultHotShelf | link::kFaultAlarm;
  Advance(seconds(2));
  const BoardView view = rack->views().BoardOf(0);
  EXPECT_TRUE(view.alarm);
  ASSERT_NE(Find(view.conditions, "rail-down"), nullptr);
  EXPECT_EQ(Find(view.conditions, "rail-down")->place, "r01 board 0 rail A");
  EXPECT_EQ(Find(view.conditions, "hot-shelf")->place, "r01 board 0 shelf 2");
  EXPECT_EQ(Find(view.conditions, "input-blocks")->place, "r01 board 0 input door");
  EXPECT_NE(Find(view.conditions, "alarm"), nullptr);
  board.faults = board.rails_down = board.shelves_hot = board.inputs = 0;
  line->Run(now);
  EXPECT_THAT(rack->views().BoardOf(0).conditions, IsEmpty());
  EXPECT_THAT(events.lines, Contains("board 0 board.condition_over r01 board 0 rail A: rail-down is over"));
}

TEST_F(RackConditionTest, SlotOfAHotShelf_IsNotOfferedMeanwhile) {
  board.At(3).marks.hot_shelf = true;
  board.shelves_hot = 1;
  board.faults = link::kFaultHotShelf;
  line->Run(now);
  const auto lease = Acquire("r01/03", "ana");
  EXPECT_EQ(lease.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(lease.status().message(), HasSubstr("r01 board 0 shelf 0: hot-shelf"));
  EXPECT_TRUE(Acquire("r01/04", "ana").ok()) << "its mark says no";
}

// ---- quarantine ---------------------------------------------------------------------------------------------------

TEST_F(RackConditionTest, StableForASecond_QuarantinesAndIsStored) {
  board.At(3).part_missing = true;
  line->Run(now);
  EXPECT_EQ(View(3).health.health, Health::kSuspect) << "not stable yet";
  Advance(seconds(2));
  EXPECT_EQ(View(3).health.health, Health::kQuarantined);
  EXPECT_EQ(store.tenures[3].health, Health::kQuarantined);
  EXPECT_THAT(View(3).health.reason,
              testing::MatchesRegex("part-missing since [0-9:]{8}; check the slot's expander, monitor and their plugs, "
                                    "then: faraday slot clear r01/03"));
  board.At(3).part_missing = false;
  Advance(seconds(5));
  EXPECT_EQ(View(3).health.health, Health::kQuarantined) << "only a person ends it";
  EXPECT_EQ(Acquire("r01/03", "ana").status().code(), Code::kFailedPrecondition);
  Kill();
  Start("boot-1");
  Connect();
  EXPECT_EQ(View(3).health.health, Health::kQuarantined) << "and no restart";
  EXPECT_TRUE(Clear("r01/03").ok());
  EXPECT_TRUE(Acquire("r01/03", "ana").ok());
}

TEST_F(RackConditionTest, AFlickerQuarantinesNothing) {
  for (int i = 0; i < 5; ++i) {
    board.At(3).part_missing = i % 2 == 0;
    now.boot += Milliseconds(700);
    line->Run(now);
  }
  EXPECT_NE(View(3).health.health, Health::kQuarantined);
}

TEST_F(RackConditionTest, RunningLease_GoesOn) {
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  board.At(3).relay_stuck = true;
  Advance(seconds(3));
  EXPECT_EQ(View(3).health.health, Health::kQuarantined);
  EXPECT_EQ(book->at(3).holder, "ana");
  EXPECT_TRUE(Power("r01/03", 2, As("ana")).ok());
}

TEST_F(RackConditionTest, StoreFails_QuarantineComesLater) {
  store.failing = true;
  board.At(3).relay_stuck = true;
  Advance(seconds(3));
  EXPECT_EQ(book->at(3).health, Health::kGood);
  store.failing = false;
  Advance(seconds(1));
  EXPECT_EQ(book->at(3).health, Health::kQuarantined);
}

TEST_F(RackConditionTest, ClearWhileItIsStillThere_IsRefusedSayingSo) {
  board.At(3).relay_stuck = true;
  Advance(seconds(3));
  board.taken.clear();
  const Status status = Clear("r01/03");
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("r01/03: clear: not cleared, still relay-stuck since "));
  EXPECT_EQ(View(3).health.health, Health::kQuarantined);
  for (const auto& command : board.taken) EXPECT_FALSE(std::holds_alternative<link::ClearTrip>(command.call));
}

TEST_F(RackConditionTest, TripThatComesBack_KeepsTheSlotUnclear) {
  board.At(3).tripped = true;
  board.keeps_trips = true;
  line->Run(now);
  const Status status = Clear("r01/03");
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("not cleared, still tripped: over-current"));
  board.keeps_trips = false;
  EXPECT_TRUE(Clear("r01/03").ok());
  EXPECT_THAT(events.lines, Contains("3 slot.cleared cleared by tina: mended"));
}

TEST_F(RackConditionTest, SwitchShortedTrip_QuarantinesThoughTheCurrentHasStopped) {
  board.At(3).tripped = true;
  board.At(3).reason = link::TripReason::kSwitchShorted;
  board.events.push_back({board.next_event++, 0, link::Tripped{3, link::TripReason::kSwitchShorted, 350, 50}});
  Advance(seconds(2));
  EXPECT_EQ(View(3).health.health, Health::kQuarantined);
  EXPECT_EQ(View(3).condition_list.at(0).text, "switch-shorted 0.35 A > 0.05 A");
  EXPECT_TRUE(View(3).condition_list.at(0).quarantines);
}

TEST_F(RackConditionTest, OtherTrips_QuarantineNothing) {
  board.At(3).tripped = true;
  Advance(seconds(3));
  EXPECT_EQ(View(3).health.health, Health::kSuspect);
  EXPECT_EQ(book->at(3).health, Health::kGood);
  EXPECT_EQ(Acquire("r01/03", "ana").status().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(View(3).condition_list.at(0).latched);
  EXPECT_THAT(View(3).conditions, Not(Contains("over-current"))) << "it has its own field";
}

}  // namespace
}  // namespace faraday::controller
