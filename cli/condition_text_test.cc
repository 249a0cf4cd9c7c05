#include "cli/condition_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "cli/slot_text.h"

namespace faraday::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int64_t kNow = 1'795'435'200'000;      // 2026-11-23T12:00Z
constexpr int64_t kAt = kNow - 3600'000 - 5000;  // 10:59:55

void SetCondition(v1::Condition* condition,
                  const std::string& name,
                  const std::string& place,
                  const std::string& text) {
  condition->set_name(name);
  condition->set_place(place);
  condition->set_text(text);
  condition->set_since_utc_ms(kAt);
  condition->set_next("mend it, then: faraday slot clear " + place);
}

v1::SlotState Tripped() {
  v1::SlotState slot;
  slot.set_slot("r01/07");
  slot.set_health(v1::HEALTH_SUSPECT);
  slot.set_trip("over-current 2.41 A > 2.00 A");
  auto* trip = slot.add_condition_list();
  SetCondition(trip, "over-current", "r01/07", "over-current 2.41 A > 2.00 A");
  trip->set_latched(true);
  return slot;
}

v1::SlotState With(const std::string& name, const std::string& condition, bool quarantines) {
  v1::SlotState slot;
  slot.set_slot(name);
  slot.set_health(quarantines ? v1::HEALTH_QUARANTINED : v1::HEALTH_GOOD);
  auto* one = slot.add_condition_list();
  SetCondition(one, condition, name, condition);
  one->set_quarantines(quarantines);
  one->set_latched(quarantines);
  return slot;
}

class ConditionTextTest : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
    rack_.set_rack("r01");
    rack_.add_boards()->set_online(true);
  }
  std::vector<std::string> Alerts() const { return AlertsOf(rack_, kNow); }
  v1::RackState rack_;
};

TEST_F(ConditionTextTest, ATripSaysWhatWhereWhenAndWhatToDo) {
  *rack_.add_slots() = Tripped();
  EXPECT_THAT(Alerts(),
              ElementsAre("r01/07 tripped: over-current 2.41 A > 2.00 A at 10:59:55; mend it, then: faraday slot clear "
                          "r01/07"));
}

TEST_F(ConditionTextTest, BoardsFirstThenWhatIsLatchedThenTheRest) {
  *rack_.add_slots() = With("r01/01", "tray-warm", false);
  *rack_.add_slots() = With("r01/02", "relay-stuck", true);
  *rack_.add_slots() = Tripped();
  SetCondition(rack_.mutable_boards(0)->add_condition_list(), "rail-sag", "r01 board 0 rail A", "rail-sag 4.81 V");
  rack_.mutable_boards(0)->mutable_condition_list(0)->clear_next();
  EXPECT_THAT(Alerts(),
              ElementsAre("r01 board 0 rail A rail-sag 4.81 V since 10:59:55",
                          "r01/02 relay-stuck since 10:59:55; mend it, then: faraday slot clear r01/02",
                          HasSubstr("r01/07 tripped:"),
                          HasSubstr("r01/01 tray-warm")));
}

TEST_F(ConditionTextTest, AStoppedRackIsOneAlertNotThirtyTwo) {
  rack_.mutable_boards(0)->set_stopped(true);
  SetCondition(rack_.mutable_boards(0)->add_condition_list(), "stopped", "r01 board 0", "stopped");
  for (const char* name : {"r01/01", "r01/02"}) {
    v1::SlotState slot = With(name, "stopped", false);
    slot.set_trip("stopped");
    *rack_.add_slots() = slot;
  }
  EXPECT_EQ(Alerts().size(), 1U);
  rack_.mutable_boards(0)->set_stopped(false);
  EXPECT_EQ(Alerts().size(), 3U) << "stopped one by one, each is told";
}

TEST_F(ConditionTextTest, ABoardThatIsAwayAndAQuarantineWithoutConditionAreAlerts) {
  rack_.mutable_boards(0)->set_online(false);
  rack_.mutable_boards(0)->set_reason("no cable");
  v1::SlotState slot;
  slot.set_slot("r01/03");
  slot.set_health(v1::HEALTH_QUARANTINED);
  slot.set_health_reason("swollen battery");
  *rack_.add_slots() = slot;
  EXPECT_THAT(Alerts(), ElementsAre("r01 board 0 is OFFLINE: no cable", "r01/03 quarantined: swollen battery"));
}

TEST_F(ConditionTextTest, NothingWrongIsNothing) {
  *rack_.add_slots() = v1::SlotState();
  EXPECT_THAT(Alerts(), IsEmpty());
  EXPECT_EQ(RenderAlerts({}, "more"), "");
}

TEST_F(ConditionTextTest, TheListIsShortAndSaysWhereTheRestIs) {
  EXPECT_EQ(RenderAlerts({"a"}, "see x"), "1 alert:\n  a\n");
  EXPECT_EQ(RenderAlerts({"a", "b", "c"}, "see x", 2), "3 alerts:\n  a\n  b\n  and 1 more: see x\n");
}

TEST_F(ConditionTextTest, AnOlderOneHasItsDateAndAnUnknownTimeIsLeftOut) {
  v1::Condition condition;
  SetCondition(&condition, "relay-stuck", "r01/07", "");
  condition.set_since_utc_ms(kNow - 86'400'000);
  EXPECT_EQ(ConditionWords(condition, false, kNow), "relay-stuck since 22 Nov 12:00:00");
  condition.set_since_utc_ms(0);
  EXPECT_EQ(ConditionWords(condition, true, kNow), "relay-stuck");
}

TEST_F(ConditionTextTest, TheCardHasEachConditionItsNextStepAndTheRelaysWear) {
  v1::SlotState slot = Tripped();
  auto* stuck = slot.add_condition_list();
  SetCondition(stuck, "relay-stuck", "r01/07", "relay-stuck");
  stuck->set_quarantines(true);
  slot.set_relay_moves(12'034);
  slot.set_relay_warn_count(1'000'000);
  EXPECT_THAT(RenderCard(slot, kNow),
              AllOf(HasSubstr("  tripped   over-current 2.41 A > 2.00 A at 10:59:55\n"
                              "            mend it, then: faraday slot clear r01/07\n"
                              "  condition relay-stuck since 10:59:55\n"
                              "            mend it, then: faraday slot clear r01/07\n"
                              "            gets no new lease until it is cleared\n"),
                    HasSubstr("  relay     12034 moves since it was fitted, worn from 1000000\n")));
  EXPECT_THAT(RenderCard(v1::SlotState(), kNow), Not(HasSubstr("relay ")));
}

}  // namespace
}  // namespace faraday::cli
