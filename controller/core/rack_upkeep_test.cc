// Upkeep: the boards' logs, relay wear, blinking LEDs.
#include "controller/core/blink.h"
#include "controller/core/rack_fixture.h"

namespace faraday::controller {
namespace {

using link::LogKind;

class RackUpkeepTest : public RackTest {
 protected:
  void Log(
      uint32_t boot, uint32_t uptime_ms, LogKind kind, uint32_t slot, uint32_t detail, uint32_t value, uint32_t limit) {
    link::LogPage record;
    record.boot.push_back(boot);
    record.uptime_ms.push_back(uptime_ms);
    record.kind.push_back(static_cast<uint32_t>(kind));
    record.slot.push_back(slot);
    record.detail.push_back(detail);
    record.value.push_back(value);
    record.limit.push_back(limit);
    board.log.push_back(record);
  }
  Result<LogView> Read(uint32_t before, uint32_t limit, int index = 0, Role role = Role::kTech) {
    std::optional<Result<LogView>> answer;
    rack->ReadBoardLog(
        As("tina", role), index, before, limit, [&](Result<LogView> view, Now) { answer = std::move(view); }, now);
    for (int i = 0; i < 40 && !answer; ++i) {
      line->Run(now);
      now.boot += Milliseconds(100);
      rack->OnTime(now);
    }
    return answer ? *answer : Result<LogView>(Status{Code::kInternal, "no answer"});
  }
};

TEST_F(RackUpkeepTest, Log_NewestFirstPageByPageInWords) {
  board.log_oldest = 100;
  for (uint32_t i = 0; i < 30; ++i) Log(1, 1000 * i, LogKind::kCleared, 3, 0, 0, 0);
  Log(1, 31'000, LogKind::kTrip, 3, 1, 2410, 2000);
  Connect();
  const auto view = Read(0, 20);
  ASSERT_TRUE(view.ok()) << view.status().message();
  ASSERT_EQ(view->records.size(), 20u);
  EXPECT_EQ(view->oldest, 100u);
  EXPECT_EQ(view->next, 131u);
  EXPECT_EQ(view->records[0].number, 130u);
  EXPECT_EQ(view->records[0].text, "tripped: over-current 2.41 A > 2.00 A");
  EXPECT_EQ(view->records[0].slot, "r01/03");
  EXPECT_EQ(view->records[0].kind, "trip");
  EXPECT_EQ(view->records[19].number, 111u);
  const auto older = Read(111, 200);
  ASSERT_EQ(older->records.size(), 11u);
  EXPECT_EQ(older->records.back().number, 100u);
}

TEST_F(RackUpkeepTest, Log_LostPageIsAskedForAgain) {
  for (uint32_t i = 0; i < 20; ++i) Log(1, i, LogKind::kCleared, 1, 0, 0, 0);
  Connect();
  board.lose_pages = 3;
  const auto view = Read(0, 20);
  ASSERT_TRUE(view.ok()) << view.status().message();
  EXPECT_EQ(view->records.size(), 20u);
  board.lose_pages = 100;
  EXPECT_EQ(Read(0, 20).status().code(), Code::kUnavailable);
}

TEST_F(RackUpkeepTest, Log_IsPlacedInTheHostsTime) {
  const auto utc_s = static_cast<uint32_t>(now.utc.since_epoch.count() / 1000);
  Log(4, 500, LogKind::kBoot, 0, 0, 1, 7);                // no HELLO in that boot
  Log(5, 2'000, LogKind::kHello, 0, 0, utc_s - 1000, 3);  // an older boot
  Log(5, 12'000, LogKind::kTrip, 2, 1, 2410, 2000);
  Log(6, 50'000, LogKind::kTrip, 2, 1, 2410, 2000);  // this boot
  board.boot_number = 6;
  board.uptime_ms = 60'000;
  Connect();
  const Now then = now;
  const auto view = Read(0, 50);
  ASSERT_TRUE(view.ok());
  ASSERT_EQ(view->records.size(), 4u);
  EXPECT_NEAR(static_cast<double>((then.utc.since_epoch - view->records[0].utc.since_epoch).count()), 10'000, 500);
  EXPECT_EQ(view->records[0].utc_error_ms, kPlacedToMs);
  EXPECT_EQ(view->records[1].utc.since_epoch.count(), (int64_t{utc_s} - 1000) * 1000 + 10'000);
  EXPECT_EQ(view->records[1].utc_error_ms, 1'001u) << "the mark counts seconds, the crystal drifts";
  EXPECT_EQ(view->records[3].utc.since_epoch.count(), 0) << "nobody can tell";
}

TEST_F(RackUpkeepTest, Log_LooksFurtherBackForTheHelloOfItsOldestBoot) {
  const auto utc_s = static_cast<uint32_t>(now.utc.since_epoch.count() / 1000);
  Log(5, 2'000, LogKind::kHello, 0, 0, utc_s - 1000, 3);
  for (uint32_t i = 0; i < 40; ++i) Log(5, 3'000 + i, LogKind::kCleared, 1, 0, 0, 0);
  board.boot_number = 6;
  Connect();
  const auto view = Read(0, 4);
  ASSERT_EQ(view->records.size(), 4u);
  EXPECT_NE(view->records[3].utc.since_epoch.count(), 0);
}

TEST_F(RackUpkeepTest, Log_EmptyAndWrongAsks) {
  Connect();
  EXPECT_EQ(Read(0, 50)->records.size(), 0u);
  EXPECT_EQ(Read(0, 201).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Read(0, 50, 1).status().code(), Code::kNotFound);
  EXPECT_EQ(Read(0, 50, 0, Role::kUser).status().code(), Code::kPermissionDenied);
  line->Down("cut", now);
  EXPECT_EQ(Read(0, 50).status().code(), Code::kUnavailable);
}

TEST_F(RackUpkeepTest, RelayWear_IsReadWhenReadyAndEachHour) {
  board.capabilities = link::capability::kRfRelay;
  board.At(3).relay_moves = 4'711;
  Connect();
  Advance(seconds(5));
  EXPECT_EQ(View(3).relay.moves, 4'711u);
  EXPECT_EQ(View(3).relay.warn_at, 1'000'000u);
  board.At(3).relay_moves = 5'000;
  Advance(minutes(50));
  EXPECT_EQ(View(3).relay.moves, 4'711u);
  Advance(minutes(15));
  EXPECT_EQ(View(3).relay.moves, 5'000u);
}

TEST_F(RackUpkeepTest, FittedRelay_CountsAnewAndIsAudited) {
  board.capabilities = link::capability::kRfRelay;
  board.At(3).relay_moves = 1'000'000;
  Connect();
  Advance(seconds(5));
  const auto fit = [&](Role role, const std::string& reason) {
    std::optional<Status> answer;
    rack->relay_wear().Fit(
        As("tina", role), "r01/03", 12, reason, [&](const Result<int>& slot, Now) { answer = slot.status(); }, now);
    line->Run(now);
    return answer->code();
  };
  EXPECT_EQ(fit(Role::kUser, "x"), Code::kPermissionDenied);
  EXPECT_EQ(fit(Role::kTech, ""), Code::kInvalidArgument);
  EXPECT_EQ(fit(Role::kTech, "worn"), Code::kOk);
  EXPECT_EQ(View(3).relay.moves, 12u);
  EXPECT_EQ(board.At(3).relay_moves, 12u);
  EXPECT_EQ(store.audit.back().text, "another relay is fitted, 12 moves made: worn");
}

TEST_F(RackUpkeepTest, Blink_ByHolderAndCrewTheRackByCrew) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  const auto blink = [&](const std::string& name, const std::string& user, Role role, Milliseconds time) {
    std::optional<Status> answer;
    Blink(
        rack->parts(),
        As(user, role),
        name,
        time,
        [&](const Result<Milliseconds>& left, Now) { answer = left.status(); },
        now);
    line->Run(now);
    return answer ? answer->code() : Code::kInternal;
  };
  EXPECT_EQ(blink("r01/03", "ana", Role::kUser, minutes(1)), Code::kOk);
  EXPECT_EQ(std::get<link::Locate>(board.taken.back().call), (link::Locate{3, 60'000}));
  EXPECT_EQ(blink("r01/04", "ana", Role::kUser, minutes(1)), Code::kPermissionDenied);
  EXPECT_EQ(blink("r01", "ana", Role::kUser, minutes(1)), Code::kPermissionDenied);
  EXPECT_EQ(blink("r01", "tina", Role::kTech, Milliseconds(0)), Code::kOk);
  EXPECT_EQ(std::get<link::Locate>(board.taken.back().call), (link::Locate{0, 0}));
  EXPECT_EQ(blink("r01/03", "ana", Role::kUser, minutes(61)), Code::kInvalidArgument);
}

}  // namespace
}  // namespace faraday::controller
