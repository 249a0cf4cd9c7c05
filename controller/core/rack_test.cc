// The rack's stories with fake time, a fake board and a store that fails on demand.
#include "controller/core/rack.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "controller/core/fake_line.h"
#include "controller/core/memory_store.h"

namespace faraday::controller {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int kSlots = 4;

rackconfig::RackConfig MakeConfig() {
  rackconfig::RackConfig config;
  config.rack = "r01";
  config.boards.resize(1);
  config.boards[0].port.path = "/dev/ttyTEST";
  config.rails = {{{"A", Milliamps(16000)}}};
  config.hosts = {{"h01", ""}};
  for (int i = 1; i <= kSlots; ++i) {
    rackconfig::SlotConfig slot;
    slot.number = slot.board_slot = i;
    slot.current_limit = Milliamps(2000);
    if (i <= 2) slot.hosts = {{"h01", "127.0.0.1:5601", ""}};
    config.slots.push_back(slot);
  }
  return config;
}

class Recorder final : public EventSink {
 public:
  void OnSlot(int slot, std::string_view kind, const std::string& text, const std::string&, Now) override {
    lines.push_back(fmt::format("{} {} {}", slot, kind, text));
  }
  void OnBoard(int board, std::string_view kind, const std::string& text, Now) override {
    lines.push_back(fmt::format("board {} {} {}", board, kind, text));
  }
  void OnSyncChange() override { ++changes; }
  std::vector<std::string> lines;
  int changes = 0;
};

// Verbs: Start, Kill, Advance, Acquire, Power, Release. Slots 1 and 2 have an agent, 3 and 4 have none.
class RackTest : public testing::Test {
 protected:
  void SetUp() override { Start("boot-1"); }

  void Start(const std::string& boot_id) {
    book = std::make_unique<LeaseBook>(config, store, boot_id);
    ASSERT_TRUE(book->Load(now).ok());
    rack = std::make_unique<Rack>(config, *book, events, next_seed += 1000);
    line = std::make_unique<FakeLine>(board, rack->board(0));
    rack->board(0).SetLine(line.get());
  }
  void Connect() {
    line->Up(now);
    line->Run(now);
    rack->OnTime(now);
    line->Run(now);
  }
  // As kill -9 would: what is in memory is gone.
  void Kill() {
    rack.reset();
    book.reset();
    line.reset();
  }
  void Advance(Milliseconds by, Milliseconds utc_step = Milliseconds(0)) {
    now.utc.since_epoch += utc_step;
    for (Milliseconds done{0}; done < by; done += seconds(1)) {
      now.boot += seconds(1);
      now.utc.since_epoch += seconds(1);
      if (talking) line->Run(now);
      rack->OnTime(now);
      if (talking) line->Run(now);
    }
  }
  static CallContext As(const std::string& user, Role role = Role::kUser) { return {{user, role, ""}, "trace", {}}; }

  Result<LeaseView> Acquire(const std::string& slot,
                            const std::string& user,
                            Milliseconds duration = minutes(10),
                            Purpose purpose = Purpose::kPerson) {
    AcquireRequest request;
    request.slot = slot;
    request.purpose = purpose;
    request.duration = duration;
    std::optional<Result<LeaseView>> answer;
    rack->grants().Acquire(
        As(user), request, [&](Result<LeaseView> lease, Now) { answer = std::move(lease); }, now);
    line->Run(now);
    if (!answer) return Status{Code::kInternal, "no answer"};
    return *answer;
  }
  Status Power(
      const std::string& slot, uint32_t epoch, const CallContext& as, bool on = true, const std::string& reason = "") {
    std::optional<Status> answer;
    rack->switching().Switch(
        as,
        {slot, epoch, VbusLevel{on}, reason},
        [&](const Result<SlotView>& view, Now) { answer = view.ok() ? OkStatus() : view.status(); },
        now);
    line->Run(now);
    return answer.value_or(Status{Code::kInternal, "no answer"});
  }
  Status Report(const std::string& slot, const std::string& adb_state, std::optional<bool> booted = std::nullopt) {
    DeviceFacts facts;
    facts.adb_state = adb_state;
    facts.boot_completed = booted;
    facts.read_at = now.boot;
    return rack->agent_calls().Report({"h01", Role::kAgent, ""}, {"h01", "h01", {{slot, facts}}, {}, {}}, now);
  }
  Status Cleared(const std::string& slot, uint32_t epoch, const std::string& agent = "h01") {
    return rack->agent_calls().Report({agent, Role::kAgent, ""}, {agent, "h01", {}, {{slot, epoch}}, {}}, now);
  }
  SlotView View(int slot) { return rack->views().Of(slot, now); }

  rackconfig::RackConfig config = MakeConfig();
  MemoryStore store;
  FakeBoard board{kSlots};
  Recorder events;
  Now now{BootTime(Milliseconds(1'000'000)), UtcTime{Milliseconds(1'760'000'000'000)}};
  uint32_t next_seed = 0;
  bool talking = true;
  std::unique_ptr<LeaseBook> book;
  std::unique_ptr<Rack> rack;
  std::unique_ptr<FakeLine> line;
};

// ---- line ---------------------------------------------------------------------------------------------------------

TEST_F(RackTest, LineAbsentAtStart_ServesAndSlotsSayWhy) {
  line->Down("/dev/ttyTEST does not exist; check the cable, the controller retries", now);
  EXPECT_EQ(View(1).reason, "no line to board 0: /dev/ttyTEST does not exist; check the cable, the controller retries");
  EXPECT_FALSE(View(1).fresh);
  const auto lease = Acquire("r01/01", "ana");
  EXPECT_EQ(lease.status().code(), Code::kUnavailable);
  EXPECT_THAT(lease.status().message(), HasSubstr("/dev/ttyTEST does not exist"));
  EXPECT_EQ(book->at(1).phase, Phase::kCare);
}

TEST_F(RackTest, Handshake_ConfiguresThenTellsEverySlotItsHolder) {
  Connect();
  EXPECT_TRUE(rack->board(0).ready());
  EXPECT_TRUE(std::holds_alternative<link::Configure>(board.taken.at(0).call));
  for (uint32_t slot = 1; slot <= kSlots; ++slot) EXPECT_EQ(board.At(slot).epoch, 1u) << slot;
  EXPECT_EQ(View(3).reason, "");
}

TEST_F(RackTest, LineLostAndBack_NothingIsSwitched) {
  Connect();
  const auto lease = Acquire("r01/03", "ana");
  ASSERT_TRUE(Power("r01/03", lease->tenure.epoch, As("ana")).ok());
  board.At(4).vbus = true;  // care's duty
  line->Down("the line was lost", now);
  board.taken.clear();
  line->Up(now);
  line->Run(now);
  EXPECT_TRUE(board.At(3).vbus);
  EXPECT_TRUE(board.At(4).vbus);
  for (const auto& command : board.taken) EXPECT_TRUE(std::holds_alternative<link::SetLease>(command.call));
  EXPECT_EQ(board.At(3).left_ms, 602'000u) << "the lease's ten minutes and the firmware's two seconds";
}

TEST_F(RackTest, HandshakeCutInTheMiddle_NextOneIsStillANewSession) {
  Connect();
  ASSERT_TRUE(Report("r01/01", "device", true).ok());
  board.Reset();
  board.At(4).vbus = true;
  line->Down("the board has reset", now);
  line->Up(now);
  line->Down("the line was lost", now);
  line->Up(now);
  line->Run(now);
  EXPECT_TRUE(rack->board(0).ready());
  EXPECT_FALSE(board.At(4).vbus) << "care sends the slot to its safe state";
}

TEST_F(RackTest, EventOlderThanTheTelemetry_MeasuresNothing) {
  Connect();
  link::Telemetry telemetry = board.Telemetry();
  telemetry.uptime_ms = 5'000;
  rack->board(0).OnTelemetry(telemetry, now);
  link::CommandDone done;
  done.slot = 3;
  done.vbus_mv = 5'050;
  rack->board(0).OnEvent({1, 4'900, done}, now);
  rack->board(0).OnEvent({2, 4'900, link::Tripped{3, link::TripReason::kOverCurrent, 2'410, 2'000}}, now);
  EXPECT_EQ(View(3).measured.vbus_mv, 12u);
  EXPECT_FALSE(View(3).measured.bits.tripped);
  rack->board(0).OnEvent({3, 5'000, done}, now);
  EXPECT_EQ(View(3).measured.vbus_mv, 5'050u);
}

TEST_F(RackTest, AnotherKindOfBoard_IsRefusedWithTheReason) {
  config.boards[0].kind = "ast1030";
  Connect();
  EXPECT_EQ(
      View(1).reason,
      "no line to board 0: a board of kind fake answers, the config wants ast1030; check the cable or the config");
  EXPECT_THAT(board.taken, IsEmpty());
}

TEST_F(RackTest, ResetInMidCommand_AnswersUnknownWithWhatIsMeasuredAfter) {
  Connect();
  const auto lease = Acquire("r01/03", "ana");
  board.mute_done = true;
  std::optional<Status> answer;
  rack->switching().Switch(
      As("ana"),
      {"r01/03", lease->tenure.epoch, VbusLevel{true}, ""},
      [&](const Result<SlotView>& view, Now) { answer = view.status(); },
      now);
  line->Run(now);
  board.Reset();
  line->Down("the board has reset", now);
  EXPECT_FALSE(answer);
  board.taken.clear();
  now.boot += Milliseconds(200);
  line->Up(now);
  line->Run(now);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code(), Code::kUnknown);
  EXPECT_THAT(answer->message(),
              HasSubstr("outcome unknown: the board has reset; measured since: VBUS 12 mV 0 mA (off)"));
  for (const auto& command : board.taken) EXPECT_FALSE(std::holds_alternative<link::SetVbus>(command.call)) << "resent";
}

TEST_F(RackTest, NoWordOfTheEnd_AnswersUnknownInTime) {
  Connect();
  const auto lease = Acquire("r01/03", "ana");
  board.mute_done = true;
  std::optional<Status> answer;
  rack->switching().Switch(
      As("ana"),
      {"r01/03", lease->tenure.epoch, VbusLevel{true}, ""},
      [&](const Result<SlotView>& view, Now) { answer = view.status(); },
      now);
  Advance(seconds(5));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code(), Code::kUnknown);
  EXPECT_THAT(answer->message(), HasSubstr("the board did not say how it ended; measured since: VBUS 5050 mV"));
}

// ---- leases -------------------------------------------------------------------------------------------------------

TEST_F(RackTest, Grant_IsOnDiskBeforeTheAnswerAndAtTheBoard) {
  Connect();
  const auto lease = Acquire("r01/03", "ana");
  ASSERT_TRUE(lease.ok()) << lease.status().message();
  EXPECT_EQ(lease->id, "r01-03-2");
  EXPECT_EQ(store.tenures[3].phase, Phase::kLeased);
  EXPECT_EQ(board.At(3).epoch, 2u);
  EXPECT_EQ(board.At(3).left_ms, 602'000u);
}

TEST_F(RackTest, LeasedSlot_IsRefusedNamingHolderAndEnd) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  const auto lease = Acquire("r01/03", "bo");
  EXPECT_EQ(lease.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(lease.status().message(), HasSubstr("r01/03 is leased by ana until "));
  EXPECT_THAT(lease.status().message(), HasSubstr("(lease r01-03-2)"));
}

TEST_F(RackTest, CallsNameTheirBoardsCommands) {
  Connect();
  const auto lease = Acquire("r01/03", "ana");
  ASSERT_TRUE(lease.ok());
  CallContext context = As("ana");
  context.commands = std::make_shared<std::vector<std::string>>();
  ASSERT_TRUE(Power("r01/03", lease->tenure.epoch, context).ok());
  ASSERT_TRUE(Power("r01/03", lease->tenure.epoch, context, false).ok());
  ASSERT_EQ(context.commands->size(), 2U);
  EXPECT_THAT(context.commands->front(), testing::MatchesRegex("board 0 session [0-9a-f]{4,8} command [0-9]+"));
  EXPECT_NE(context.commands->front(), context.commands->back());
  ASSERT_TRUE(rack->grants().Release(context, {lease->id, false, ""}, now).ok());
  EXPECT_EQ(context.commands->size(), 3U) << "handing the slot back to care";
  EXPECT_FALSE(Power("r01/03", 1, context).ok());
  EXPECT_EQ(context.commands->size(), 3U) << "refused before a command was sent";
}

TEST_F(RackTest, Switch_NeedsTheCurrentEpochAndTheHolder) {
  Connect();
  const auto lease = Acquire("r01/03", "ana");
  ASSERT_TRUE(Acquire("r01/04", "ana").ok());
  struct Row {
    const char* what;
    uint32_t epoch;
    CallContext as;
    Code code;
  };
  const Row rows[] = {
      {"holder", 2, As("ana"), Code::kOk},
      {"another user", 2, As("bo"), Code::kPermissionDenied},
      {"an epoch that was", 1, As("ana"), Code::kAborted},
      {"an epoch to come", 3, As("ana"), Code::kAborted},
      {"holder without epoch", 0, As("ana"), Code::kInvalidArgument},
      {"viewer of the same name", 2, As("ana", Role::kViewer), Code::kPermissionDenied},
      {"another's agent", 2, As("h01", Role::kAgent), Code::kPermissionDenied},
      {"tech without reason", 0, As("tina", Role::kTech), Code::kInvalidArgument},
  };
  for (const Row& row : rows) EXPECT_EQ(Power("r01/03", row.epoch, row.as).code(), row.code) << row.what;
  EXPECT_TRUE(Power("r01/03", 0, As("tina", Role::kTech), true, "smells").ok());
  EXPECT_EQ(store.audit.back().text, "power on: smells");
  EXPECT_EQ(Power("r01/09", 2, As("ana")).code(), Code::kNotFound);
  EXPECT_EQ(Power("nonsense", 2, As("ana")).code(), Code::kInvalidArgument);
}

TEST_F(RackTest, FreeSlot_TellsToReserveFirst) {
  Connect();
  const Status status = Power("r01/03", 1, As("ana"));
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_EQ(status.message(), "r01/03 is free: reserve it first");
}

TEST_F(RackTest, LeasesAgentMaySwitch) {
  Connect();
  ASSERT_TRUE(Acquire("r01/01", "ana").ok());
  EXPECT_TRUE(Power("r01/01", 2, As("h01", Role::kAgent)).ok());
}

TEST_F(RackTest, Expiry_GivesTheSlotToCareAndFencesTheHolder) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana", seconds(20)).ok());
  Advance(seconds(19));
  EXPECT_EQ(book->at(3).phase, Phase::kLeased);
  Advance(seconds(2));
  EXPECT_EQ(book->at(3).phase, Phase::kCare) << "no agent, nothing to clean";
  EXPECT_EQ(board.At(3).epoch, 3u);
  EXPECT_TRUE(board.At(3).safe);
  const Status status = Power("r01/03", 2, As("ana"));
  EXPECT_EQ(status.code(), Code::kAborted);
  EXPECT_THAT(status.message(), HasSubstr("epoch 2 is not current (3 is)"));
}

TEST_F(RackTest, Release_OnlyByHolderOrForcedWithReason) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  EXPECT_EQ(rack->grants().Release(As("bo"), {"r01-03-2", true, "mine"}, now).status().code(), Code::kPermissionDenied);
  EXPECT_EQ(rack->grants().Release(As("tina", Role::kTech), {"r01-03-2", true, ""}, now).status().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(rack->grants().Release(As("tina", Role::kTech), {"r01-03-2", false, "fire"}, now).status().code(),
            Code::kFailedPrecondition);
  EXPECT_TRUE(rack->grants().Release(As("tina", Role::kTech), {"r01-03-2", true, "fire"}, now).ok());
  EXPECT_EQ(store.audit.back().text, "ended by tina: fire");
  EXPECT_EQ(rack->grants().Release(As("ana"), {"r01-03-2", false, ""}, now).status().code(), Code::kNotFound);
}

TEST_F(RackTest, HolderGone_LeaseEndsAndOthersStay) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  ASSERT_TRUE(Acquire("r01/04", "bo").ok());
  const auto ana_is_gone = [](const std::string& holder) {
    return holder == "ana" ? std::string("user ana is disabled at the lab") : std::string();
  };
  store.failing = true;
  rack->grants().EndOfGone(ana_is_gone, now);
  EXPECT_EQ(book->at(3).phase, Phase::kLeased) << "what is not on disk did not happen";
  store.failing = false;
  rack->grants().EndOfGone(ana_is_gone, now);
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
  EXPECT_EQ(book->at(4).phase, Phase::kLeased);
  EXPECT_EQ(store.audit.back().text, "user ana is disabled at the lab");
  EXPECT_THAT(events.lines.back(),
              HasSubstr("lease.ended ana's lease r01-03-2 is over: user ana is disabled at the lab"));
  EXPECT_EQ(Power("r01/03", 2, As("ana")).code(), Code::kAborted);
  line->Run(now);
  EXPECT_EQ(board.At(3).epoch, 3u) << "the board is told";
}

TEST_F(RackTest, EndWithoutACall_IsToldForTheAuditOthersAreNot) {
  Connect();
  std::vector<std::string> told;
  rack->grants().OnOwnEnd([&](const OwnEnd& end) {
    told.push_back(fmt::format("{} {} {} {} [{}]", end.slot, end.lease, end.holder, end.why, end.trace));
  });
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  ASSERT_TRUE(Acquire("r01/04", "bo", seconds(5)).ok());
  ASSERT_TRUE(Acquire("r01/01", "cem").ok());
  ASSERT_TRUE(rack->grants().Release(As("cem"), {"r01-01-2", false, ""}, now).ok());
  EXPECT_THAT(told, IsEmpty()) << "the call's own records say it";
  Advance(seconds(6));
  const auto ana_is_gone = [](const std::string& holder) { return std::string(holder == "ana" ? "gone" : ""); };
  store.failing = true;
  rack->grants().EndOfGone(ana_is_gone, now);
  EXPECT_EQ(told, std::vector<std::string>{"r01/04 r01-04-2 bo it has run out [trace]"});
  store.failing = false;
  rack->grants().EndOfGone(ana_is_gone, now);
  EXPECT_EQ(told.back(), "r01/03 r01-03-2 ana gone [trace]");
  EXPECT_EQ(told.size(), 2u);
}

TEST_F(RackTest, ReservationOfALab_IsSaidByLabsOnly) {
  Connect();
  AcquireRequest request;
  request.slot = "r01/03";
  request.purpose = Purpose::kPerson;
  request.reservation = "job-1.1";
  std::optional<Result<LeaseView>> answer;
  const auto take = [&](Result<LeaseView> lease, Now) { answer = std::move(lease); };
  rack->grants().Acquire(As("tina", Role::kTech), request, take, now);
  line->Run(now);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status().code(), Code::kInvalidArgument);
  EXPECT_THAT(answer->status().message(), HasSubstr("reservation job-1.1 is a lab's to say"));
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
  rack->grants().Acquire(As("lab", Role::kLab), request, take, now);
  line->Run(now);
  EXPECT_TRUE(answer->ok()) << answer->status().message();
}

TEST_F(RackTest, Renew_UpToTheHardMaximumFromTheGrant) {
  config.controller.lease_max_ms = Milliseconds(minutes(30)).count();
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana", minutes(10)).ok());
  Advance(minutes(8));
  ASSERT_TRUE(rack->grants().Renew(As("ana"), "r01-03-2", minutes(20), now).ok());
  EXPECT_EQ(book->LeftOf(3, now), minutes(20));
  line->Run(now);
  EXPECT_EQ(board.At(3).left_ms, 1'202'000u);
  const auto more = rack->grants().Renew(As("ana"), "r01-03-2", minutes(23), now);
  EXPECT_EQ(more.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(more.status().message(), HasSubstr("outside 1000 to 1320000 ms"));
}

TEST_F(RackTest, RenewWithoutALine_IsKeptAndToldAtTheNextHandshake) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana", seconds(60)).ok());
  line->Down("cut", now);
  ASSERT_TRUE(rack->grants().Renew(As("ana"), "r01-03-2", minutes(5), now).ok());
  line->Up(now);
  line->Run(now);
  EXPECT_EQ(board.At(3).left_ms, 302'000u);
}

// ---- restarts and clocks ------------------------------------------------------------------------------------------

TEST_F(RackTest, KilledAndRestarted_LeaseGoesOnWhateverUtcDid) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana", minutes(10)).ok());
  for (const Milliseconds step : {Milliseconds(std::chrono::hours(26)), -Milliseconds(std::chrono::hours(50))}) {
    Kill();
    now.boot += minutes(1);
    now.utc.since_epoch += step;
    Start("boot-1");
    EXPECT_EQ(book->at(3).epoch, 2u);
    EXPECT_EQ(book->at(3).holder, "ana");
  }
  EXPECT_EQ(book->LeftOf(3, now), minutes(8));
  Connect();
  EXPECT_TRUE(Power("r01/03", 2, As("ana")).ok());
}

TEST_F(RackTest, UtcSteps_ChangeNoLease) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana", minutes(10)).ok());
  Advance(seconds(5), std::chrono::hours(48));
  EXPECT_EQ(book->at(3).phase, Phase::kLeased);
  EXPECT_EQ(book->LeftOf(3, now), minutes(10) - seconds(5));
}

TEST_F(RackTest, OtherBoot_UsesUtcClampedToWhatWasGranted) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana", minutes(10)).ok());
  Kill();
  now.boot = BootTime(seconds(5));
  now.utc.since_epoch += minutes(3);
  Start("boot-2");
  EXPECT_EQ(book->LeftOf(3, now), minutes(7));
  Kill();
  now.utc.since_epoch -= std::chrono::hours(30);
  Start("boot-3");
  EXPECT_EQ(book->LeftOf(3, now), minutes(10)) << "never more than was granted";
}

TEST_F(RackTest, OtherBoot_TheMcuThatKeptCountingKnowsBetter) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana", minutes(10)).ok());
  Kill();
  now.boot = BootTime(seconds(5));
  Start("boot-2");
  board.At(3).left_ms = 242'000;
  Connect();
  EXPECT_EQ(book->LeftOf(3, now), minutes(4));
}

TEST_F(RackTest, KilledInMidGrant_TheGrantIsVoid) {
  Connect();
  AcquireRequest request;
  request.slot = "r01/03";
  request.purpose = Purpose::kPerson;
  bool answered = false;
  rack->grants().Acquire(
      As("ana"), request, [&](const Result<LeaseView>&, Now) { answered = true; }, now);
  EXPECT_EQ(store.tenures[3].phase, Phase::kGranting);
  EXPECT_FALSE(answered);
  board.At(3).epoch = 2;  // the board heard it
  Kill();
  Start("boot-1");
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
  EXPECT_EQ(book->at(3).epoch, 3u);
  Connect();
  EXPECT_EQ(board.At(3).epoch, 3u);
}

TEST_F(RackTest, FirmwareEpochAbove_VoidsTheStoredLease) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  Kill();
  board.At(3).epoch = 9;
  Start("boot-1");
  Connect();
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
  EXPECT_EQ(book->at(3).epoch, 10u);
  EXPECT_THAT(store.audit.back().text, HasSubstr("void: the board has epoch 9, the store had 2"));
}

TEST_F(RackTest, FirmwareEpochAbove_WinsThoughAnotherCellIsLost) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  Kill();
  board.nvm_lost = true;
  board.At(1).epoch = 0;
  board.At(3).epoch = 9;
  Start("boot-1");
  Connect();
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
  EXPECT_EQ(book->at(3).epoch, 10u);
  EXPECT_EQ(board.At(3).epoch, 10u);
}

TEST_F(RackTest, LargestEpoch_NeverWraps) {
  board.At(3).epoch = UINT32_MAX;
  Connect();
  EXPECT_EQ(View(3).health.health, Health::kMaintenance);
  EXPECT_EQ(book->at(3).epoch, UINT32_MAX);
}

TEST_F(RackTest, EpochJump_IsMaintenanceUntilTechConfirms) {
  board.At(3).epoch = 100'000;
  Connect();
  EXPECT_EQ(View(3).health.health, Health::kMaintenance);
  EXPECT_EQ(Acquire("r01/03", "ana").status().code(), Code::kFailedPrecondition);
  std::optional<Status> cleared;
  rack->switching().Clear(
      As("tina", Role::kTech),
      "r01/03",
      "board replaced",
      [&](const Result<SlotView>& view, Now) { cleared = view.status(); },
      now);
  Advance(seconds(2));
  ASSERT_TRUE(cleared);
  EXPECT_TRUE(cleared->ok()) << cleared->message();
  const auto lease = Acquire("r01/03", "ana");
  ASSERT_TRUE(lease.ok()) << lease.status().message();
  EXPECT_GT(lease->tenure.epoch, 100'000u);
}

TEST_F(RackTest, BlankMcuTable_TakesTheStoresEpochs) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  board.Reset();
  board.nvm_lost = true;
  board.At(3).epoch = 0;
  line->Down("the board has reset", now);
  Connect();
  EXPECT_EQ(board.At(3).epoch, 2u);
  EXPECT_EQ(book->at(3).holder, "ana");
}

TEST_F(RackTest, AgentsEpoch_IsAWitness) {
  Connect();
  ASSERT_TRUE(
      rack->agent_calls().Report({"h01", Role::kAgent, ""}, {"h01", "h01", {}, {}, {{"r01/01", 41}}}, now).ok());
  EXPECT_EQ(Acquire("r01/01", "ana")->tenure.epoch, 42u);
}

TEST_F(RackTest, SlotsThatAreNotItsHosts_AreRefusedByNameTheRestCounts) {
  Connect();
  DeviceFacts facts;
  facts.adb_state = "device";
  facts.serial = "FORGED";
  facts.read_at = now.boot;
  const Status told = rack->agent_calls().Report(
      {"h01", Role::kAgent, ""},
      {"h01", "h01", {{"r01/03", facts}, {"r01/01", facts}}, {{"r01/04", 1}}, {{"r01/03", 41}, {"r01/02", 41}}},
      now);
  EXPECT_EQ(told.code(), Code::kPermissionDenied);
  EXPECT_THAT(told.message(), HasSubstr("r01/03 is not a slot of host h01"));
  EXPECT_FALSE(View(3).device.has_value());
  ASSERT_TRUE(View(1).device.has_value());
  EXPECT_EQ(View(1).device->serial, "FORGED");
  EXPECT_EQ(Acquire("r01/03", "ana")->tenure.epoch, 2u) << "no forged witness";
  EXPECT_EQ(Acquire("r01/02", "ana")->tenure.epoch, 42u);
  EXPECT_EQ(Cleared("r01/04", 1).code(), Code::kPermissionDenied);
}

TEST_F(RackTest, AgentsEpochFarAbove_IsNotBelieved) {
  Connect();
  const auto report = [&](uint32_t epoch) {
    return rack->agent_calls().Report({"h01", Role::kAgent, ""}, {"h01", "h01", {}, {}, {{"r01/01", epoch}}}, now);
  };
  EXPECT_EQ(report(UINT32_MAX).code(), Code::kInvalidArgument);
  EXPECT_THAT(report(1 + kLargestEpochJump + 1).message(), HasSubstr("r01/01: epochs_seen 65538"));
  EXPECT_EQ(Acquire("r01/01", "ana")->tenure.epoch, 2u);
}

// ---- store --------------------------------------------------------------------------------------------------------

TEST_F(RackTest, StoreFails_NothingIsGranted) {
  Connect();
  store.failing = true;
  const auto lease = Acquire("r01/03", "ana");
  EXPECT_EQ(lease.status().code(), Code::kUnavailable);
  EXPECT_THAT(lease.status().message(), HasSubstr("not granted: store: disk full"));
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
  EXPECT_EQ(board.At(3).epoch, 1u);
}

TEST_F(RackTest, StoreFailsAfterTheBoardAgreed_TheGrantIsVoid) {
  Connect();
  store.fail_at = store.commits + 2;  // `granting` is stored, `leased` is not
  const auto lease = Acquire("r01/03", "ana");
  EXPECT_EQ(lease.status().code(), Code::kUnavailable);
  Advance(seconds(2));
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
  EXPECT_EQ(book->at(3).epoch, 3u);
  EXPECT_EQ(board.At(3).epoch, 3u);
  EXPECT_TRUE(Acquire("r01/03", "bo").ok());
}

TEST_F(RackTest, StoreFailsAtTheEnd_TheLeaseIsOverAllTheSame) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana", seconds(10)).ok());
  store.failing = true;
  Advance(seconds(12));
  EXPECT_EQ(Power("r01/03", 2, As("ana")).code(), Code::kPermissionDenied);
  EXPECT_EQ(rack->grants().Renew(As("ana"), "r01-03-2", minutes(1), now).status().code(), Code::kNotFound);
  store.failing = false;
  Advance(seconds(2));
  EXPECT_EQ(book->at(3).phase, Phase::kCare);
}

// ---- measured truth -----------------------------------------------------------------------------------------------

TEST_F(RackTest, RelayStuck_IsAMismatchByNameAndNotOffered) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  board.At(3).relay_stuck = true;
  std::optional<Status> answer;
  rack->switching().Switch(
      As("ana"),
      {"r01/03", 2, ShieldLevel{true}, ""},
      [&](const Result<SlotView>& view, Now) { answer = view.status(); },
      now);
  line->Run(now);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code(), Code::kFailedPrecondition);
  EXPECT_THAT(answer->message(), HasSubstr("relay-stuck; measured: VBUS 12 mV 0 mA (off), data open, isolated"));
  EXPECT_EQ(View(3).health.health, Health::kSuspect);
}

TEST_F(RackTest, Trip_KeepsItsFigures) {
  Connect();
  board.At(3).tripped = true;
  board.events.push_back({board.next_event++, 0, link::Tripped{3, link::TripReason::kOverCurrent, 2410, 2000}});
  line->Run(now);
  EXPECT_EQ(View(3).reason,
            "tripped: over-current 2410 mA > 2000 mA; inspect cable and phone, then a tech runs: faraday slot clear");
  EXPECT_EQ(Acquire("r01/03", "ana").status().code(), Code::kFailedPrecondition);
}

TEST_F(RackTest, StaleMeasurements_AreNoKnowledge) {
  Connect();
  EXPECT_TRUE(View(3).fresh);
  talking = false;
  Advance(seconds(2));
  EXPECT_FALSE(View(3).fresh);
  EXPECT_EQ(View(3).reason, "no fresh measurement from the board");
}

TEST_F(RackTest, Stop_NeedsNoLeaseEndsItAndKeepsTheSlotDark) {
  Connect();
  ASSERT_TRUE(Acquire("r01/03", "ana").ok());
  ASSERT_TRUE(Power("r01/03", 2, As("ana")).ok());
  std::optional<Status> answer;
  const auto keep = [&](const Result<SlotView>& view, Now) { answer = view.status(); };
  rack->switching().Stop(As("ana"), "r01/03", "smoke", keep, now);
  EXPECT_EQ(answer->code(), Code::kPermissionDenied);
  answer.reset();
  rack->switching().Stop(As("tina", Role::kTech), "r01/03", "smoke", keep, now);
  now.boot += Milliseconds(100);
  line->Run(now);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->ok()) << answer->message();
  EXPECT_FALSE(board.At(3).vbus);
  EXPECT_FALSE(board.At(3).safe) << "charge would switch VBUS on again";
  EXPECT_EQ(View(3).reason, "stopped by tina: smoke; a tech ends it with: faraday slot clear");
  EXPECT_EQ(book->at(3).epoch, 3u);
}

TEST_F(RackTest, StopTheStoreRefuses_StopsAndSaysSo) {
  Connect();
  std::optional<Status> answer;
  store.failing = true;
  rack->switching().Stop(
      As("tina", Role::kTech),
      "r01/03",
      "smoke",
      [&](const Result<SlotView>& view, Now) { answer = view.status(); },
      now);
  line->Run(now);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code(), Code::kUnavailable);
  EXPECT_THAT(answer->message(), HasSubstr("the hardware has stopped, but the stop is not stored"));
  EXPECT_TRUE(std::holds_alternative<link::StopSlot>(board.taken.back().call));
}

TEST_F(RackTest, ClearOnAStoppedBoard_IsRefused) {
  Connect();
  link::Telemetry telemetry = board.Telemetry();
  telemetry.faults = link::kFaultStopped;
  rack->board(0).OnTelemetry(telemetry, now);
  std::optional<Status> answer;
  rack->switching().Clear(
      As("tina", Role::kTech),
      "r01/03",
      "checked",
      [&](const Result<SlotView>& view, Now) { answer = view.status(); },
      now);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code(), Code::kFailedPrecondition);
}

// Every condition that a board can tell has words: none stays a bit.
TEST_F(RackTest, EachBoardConditionHasWords) {
  Connect();
  link::Telemetry telemetry = board.Telemetry();
  for (uint32_t bit = link::kFaultHostSilent; bit <= link::kFaultFlash; bit <<= 1) {
    telemetry.faults = bit;
    rack->board(0).OnTelemetry(telemetry, now);
    EXPECT_EQ(rack->views().BoardOf(0).faults.size(), 1U) << "fault bit " << bit;
  }
}

TEST_F(RackTest, AWrongMonitorMakesTheSlotSuspectByItsOwnName) {
  Connect();
  link::Telemetry telemetry = board.Telemetry();
  link::SlotBits bits = link::Unpack(telemetry.state[2]);
  bits.part_missing = bits.wrong_part = true;
  telemetry.state[2] = link::Pack(bits);
  rack->board(0).OnTelemetry(telemetry, now);
  const SlotView view = rack->views().Of(3, now);
  EXPECT_EQ(view.health.health, Health::kSuspect);
  EXPECT_THAT(view.reason, HasSubstr("wrong-part: the monitor is another part"));
}

// ---- agents and care ----------------------------------------------------------------------------------------------

TEST_F(RackTest, Discovery_ConnectsUntilFactsComeThenRests) {
  Connect();
  ASSERT_TRUE(Report("r01/01", "unknown").ok());
  Advance(seconds(1));
  EXPECT_TRUE(board.At(1).vbus);
  EXPECT_EQ(board.At(1).data, link::DataPath::kHost);
  EXPECT_TRUE(rack->agent_calls().SlotsFor("h01", now).at(0).discover);
  EXPECT_EQ(board.At(3).data, link::DataPath::kOpen) << "no host, no discovery";
  ASSERT_TRUE(Report("r01/01", "device", true).ok());
  line->Run(now);
  EXPECT_EQ(board.At(1).data, link::DataPath::kOpen);
  EXPECT_TRUE(board.At(1).safe);
  EXPECT_FALSE(rack->agent_calls().SlotsFor("h01", now).at(0).discover);
  EXPECT_EQ(board.At(1).epoch, 1u);
}

TEST_F(RackTest, Discovery_EndsByItself) {
  Connect();
  ASSERT_TRUE(Report("r01/01", "unknown").ok());
  Advance(seconds(46));
  EXPECT_EQ(board.At(1).data, link::DataPath::kOpen);
  EXPECT_TRUE(board.At(1).safe);
}

TEST_F(RackTest, LineLostInDiscovery_TheSlotGoesToItsSafeState) {
  Connect();
  ASSERT_TRUE(Report("r01/01", "unknown").ok());
  Advance(seconds(1));
  ASSERT_EQ(board.At(1).data, link::DataPath::kHost);
  line->Down("cut", now);
  line->Up(now);
  line->Run(now);
  EXPECT_EQ(board.At(1).data, link::DataPath::kOpen);
  EXPECT_TRUE(board.At(1).safe);
}

TEST_F(RackTest, SlotInDiscovery_IsLeasedAtOnce) {
  Connect();
  ASSERT_TRUE(Report("r01/01", "unknown").ok());
  Advance(seconds(1));
  const auto lease = Acquire("r01/01", "ana");
  ASSERT_TRUE(lease.ok()) << lease.status().message();
  Advance(seconds(60));
  EXPECT_EQ(board.At(1).epoch, 2u);
  EXPECT_EQ(board.At(1).data, link::DataPath::kHost) << "the abandoned discovery switches nothing any more";
}

TEST_F(RackTest, Cleaning_EndsWithTheAgentsWordOnly) {
  Connect();
  ASSERT_TRUE(Report("r01/01", "absent").ok());
  ASSERT_TRUE(Acquire("r01/01", "ana").ok());
  ASSERT_TRUE(rack->grants().Release(As("ana"), {"r01-01-2", false, ""}, now).ok());
  EXPECT_EQ(View(1).allocation, Allocation::kCleaning);
  const SyncSlot slot = rack->agent_calls().SlotsFor("h01", now).at(0);
  EXPECT_TRUE(slot.needs_clearing);
  EXPECT_EQ(slot.clearing_epoch, 2u);
  EXPECT_EQ(Acquire("r01/01", "bo").status().code(), Code::kFailedPrecondition);
  ASSERT_TRUE(Cleared("r01/01", 1).ok());
  EXPECT_EQ(View(1).allocation, Allocation::kCleaning) << "an older epoch's word";
  EXPECT_EQ(Cleared("r01/01", 2, "mallory").code(), Code::kPermissionDenied);
  ASSERT_TRUE(Cleared("r01/01", 2).ok());
  EXPECT_EQ(View(1).allocation, Allocation::kFree);
}

TEST_F(RackTest, SilentAgent_MakesTheSlotSuspectUntilItSpeaks) {
  Connect();
  ASSERT_TRUE(Report("r01/01", "absent").ok());
  ASSERT_TRUE(Acquire("r01/01", "ana").ok());
  ASSERT_TRUE(rack->grants().Release(As("ana"), {"r01-01-2", false, ""}, now).ok());
  Advance(seconds(31));
  EXPECT_EQ(View(1).health.health, Health::kSuspect);
  EXPECT_THAT(View(1).reason, HasSubstr("agent lost: no word from h01 for 31 s"));
  ASSERT_TRUE(Cleared("r01/01", 2).ok());
  EXPECT_EQ(View(1).health.health, Health::kGood);
}

TEST_F(RackTest, Jobs_WaitForAnAgentThatHasReported) {
  Connect();
  EXPECT_EQ(Acquire("r01/01", "lab", minutes(1), Purpose::kJob).status().code(), Code::kUnavailable);
  ASSERT_TRUE(Report("r01/01", "absent").ok());
  const auto lease = Acquire("r01/01", "lab", minutes(30), Purpose::kJob);
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(lease->left, seconds(60)) << "a job's lease is always 60 s";
}

TEST_F(RackTest, Sync_ShowsAGrantOnlyWhenItStands) {
  Connect();
  AcquireRequest request;
  request.slot = "r01/01";
  request.purpose = Purpose::kPerson;
  rack->grants().Acquire(
      As("ana"), request, [](const Result<LeaseView>&, Now) {}, now);
  EXPECT_EQ(rack->agent_calls().SlotsFor("h01", now).at(0).holder, "care");
  line->Run(now);
  const SyncSlot slot = rack->agent_calls().SlotsFor("h01", now).at(0);
  EXPECT_EQ(slot.holder, "ana");
  EXPECT_EQ(slot.lease, "r01-01-2");
  EXPECT_EQ(slot.adb, "127.0.0.1:5601");
}

TEST_F(RackTest, OnlyALabGrants_WhenTheConfigSaysSo) {
  config.controller.grants_users = false;
  Connect();
  EXPECT_EQ(Acquire("r01/03", "ana").status().code(), Code::kPermissionDenied);
  AcquireRequest request;
  request.slot = "r01/03";
  request.purpose = Purpose::kPerson;
  request.on_behalf_of = Caller{"ana", Role::kUser, "modem"};
  std::optional<Result<LeaseView>> answer;
  rack->grants().Acquire(
      As("lab", Role::kLab), request, [&](Result<LeaseView> lease, Now) { answer = std::move(lease); }, now);
  line->Run(now);
  ASSERT_TRUE(answer && answer->ok());
  EXPECT_EQ((*answer)->tenure.holder, "ana");
  EXPECT_TRUE(Power("r01/03", 2, As("ana")).ok());
  EXPECT_TRUE(rack->grants().Release(As("lab", Role::kLab), {"r01-03-2", false, ""}, now).ok());
}

}  // namespace
}  // namespace faraday::controller
