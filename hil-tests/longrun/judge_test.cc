// Short stories that the long runs found hard to judge: each plays in seconds what took days to meet.
#include <gtest/gtest.h>

#include "hil-tests/longrun/rig.h"

namespace faraday::longrun {
namespace {

// Every slot of care is off by command, then nobody speaks for `gap_ms`; the host is back with a new term.
void BeSilentFor(Rig& rig, uint64_t gap_ms) {
  ASSERT_TRUE(rig.host().Prepare());
  for (uint32_t slot = 1; slot <= kSlots; ++slot) {
    (void)rig.host().Do(link::SetVbus{.slot = slot, .epoch = 1, .on = false});
  }
  rig.Run(2000);
  rig.FineFor(30'000);
  const uint64_t heard_ms = rig.judge.claims().heard_ms();
  rig.alive = false;
  while (rig.now_ms() < heard_ms + gap_ms) rig.Pass(1);
  rig.alive = true;
  ASSERT_TRUE(rig.host().Hello());
  rig.Run(3000);
}

// A silence that ends just as it becomes one: whether care's slots went to their charge duty, only the board knows, and
// their turn-ons come a stagger apart, some of them after the host is back (design.md section 10).
TEST(JudgeTest, ASilenceThatJustBeganMayGoOnCharging) {
  for (const uint64_t gap_ms : {9'900U, 9'990U, 10'001U, 10'020U, 10'080U, 10'150U}) {
    Rig rig(1);
    BeSilentFor(rig, gap_ms);
    EXPECT_TRUE(rig.judge.broken().empty()) << gap_ms << " ms\n" << rig.Story();
    if (gap_ms > 10'001) {
      EXPECT_GT(rig.judge.seen("turn-ons"), 0) << gap_ms << " ms";
    }
  }
}

// And one that is clearly none excuses nothing.
TEST(JudgeTest, AShortSilenceExcusesNoTurnOn) {
  Rig rig(1);
  BeSilentFor(rig, 9'000);
  for (size_t i = 0; i < kSlots; ++i) EXPECT_FALSE(rig.judge.claims().MayRest(i)) << i;
  EXPECT_EQ(rig.judge.seen("turn-ons"), 0);
}

// Heat has other causes than a fault of the tray: what a shorted switch feeds warms it, and a sensor that comes back
// sees it all at once.
TEST(JudgeTest, ATripForHeatThatIsThereAccusesNobodyFalsely) {
  Rig rig(1);
  ASSERT_TRUE(rig.host().Prepare());
  rig.Fault(1, "sensor-missing", true);
  rig.Fault(1, "switch-shorted", true);
  rig.Load(1, 3400);
  rig.Run(1'200'000);
  ASSERT_GE(rig.slot(1).tray_deci_c(), 500);
  const int64_t trips = rig.judge.seen("trips");
  rig.Fault(1, "sensor-missing", false);
  rig.Run(5'000);
  EXPECT_EQ(rig.judge.seen("trips"), trips + 1);
  EXPECT_TRUE(rig.judge.broken().empty()) << rig.Story();
}

// Every host counts its commands for itself: the end of another slot's command, or of one before, says nothing.
TEST(JudgeTest, OnlyItsOwnEndEndsAWish) {
  Rig rig(1);
  ASSERT_TRUE(rig.host().Prepare());
  ASSERT_EQ(rig.host().Do(link::SetVbus{.slot = 3, .epoch = 1, .on = true}).verdict, link::Verdict::kAccepted);
  ASSERT_TRUE(rig.host().Await());
  rig.Run(2000);
  ASSERT_EQ(rig.host().Do(link::CycleVbus{.slot = 3, .epoch = 1, .off_ms = 2000}).verdict, link::Verdict::kAccepted);
  const uint32_t id = rig.judge.claims().slot(2).wish_id;
  ASSERT_NE(id, 0U);
  const auto told = [&rig](uint32_t slot, uint32_t command_id, uint64_t at_ms) {
    const link::Event event{.id = 9'999,
                            .uptime_ms = static_cast<uint32_t>(at_ms - rig.judge.claims().boot_ms()),
                            .kind = link::CommandDone{.command_id = command_id, .slot = slot}};
    std::array<uint8_t, link::kMaxPayload> payload{};
    const auto length = link::EncodeMessage(event, payload);
    rig.judge.claims().OnMcuFrame({{.channel = link::Channel::kEvent}, std::span(payload).first(*length)});
  };
  told(4, id, rig.now_ms());
  EXPECT_EQ(rig.judge.claims().slot(2).wish_id, id) << "another slot's";
  told(3, id, rig.now_ms() - 1000);
  EXPECT_EQ(rig.judge.claims().slot(2).wish_id, id) << "an older one";
  told(3, id, rig.now_ms());
  EXPECT_EQ(rig.judge.claims().slot(2).wish_id, 0U);
}

// The part measures in steps of 3 mA (docs/reference/protection.md): less is no crossing, more is.
TEST(JudgeTest, ACurrentIsJudgedToAStepOfThePart) {
  for (const int over_ma : {1, 3, 10}) {
    Rig rig(1);
    ASSERT_TRUE(rig.host().Prepare());
    rig.slot(2).SetPhonePresent(false);
    ASSERT_EQ(rig.host().Do(link::SetVbus{.slot = 3, .epoch = 1, .on = true}).verdict, link::Verdict::kAccepted);
    rig.Run(1000);
    rig.Load(2, 2000 + over_ma);
    rig.Run(1000);
    EXPECT_TRUE(rig.judge.broken().empty()) << over_ma << " mA over\n" << rig.Story();
    if (over_ma != 3) {
      EXPECT_EQ(rig.judge.seen("trips"), over_ma == 10 ? 1 : 0) << over_ma << " mA over";
    }
  }
}

// A tray that was hot half an hour ago is no reason.
TEST(JudgeTest, ATripForHeatThatIsGoneAccusesFalsely) {
  Rig rig(1);
  ASSERT_TRUE(rig.host().Prepare());
  rig.Fault(1, "hot-tray", true);
  rig.Run(60'000);
  rig.Fault(1, "hot-tray", false);
  rig.Run(600'000);
  ASSERT_LT(rig.slot(1).tray_deci_c(), 480);
  link::Event event;
  event.uptime_ms = static_cast<uint32_t>(rig.now_ms() - rig.judge.claims().boot_ms());
  event.kind = link::Tripped{.slot = 2, .reason = link::TripReason::kOverTemperature, .value = 555, .limit = 500};
  rig.judge.claims().on_event(event);
  EXPECT_FALSE(rig.judge.broken().empty());
}

}  // namespace
}  // namespace faraday::longrun
