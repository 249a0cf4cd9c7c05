#include "agent/core/agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/core/fake_ports.h"

namespace faraday::agent {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// One slot, r01/01, and verbs that move a fake world forward.
class AgentCore : public testing::Test {
 protected:
  AgentCore() { NewAgent(); }
  void NewAgent() { agent_ = std::make_unique<Agent>("h01", world_.ports()); }

  SlotWish Leased(uint32_t epoch) {
    SlotWish wish;
    wish.slot = "r01/01";
    wish.epoch = epoch;
    wish.purpose = Purpose::kJob;
    wish.lease = "r01-01-" + std::to_string(epoch);
    wish.lease_end = now_ + 60s;
    wish.adb_address = "127.0.0.1:5601";
    return wish;
  }
  SlotWish Care(uint32_t epoch) {
    SlotWish wish = Leased(epoch);
    wish.purpose = Purpose::kCare;
    wish.lease.clear();
    return wish;
  }
  AttemptWish Wish(uint32_t epoch = 5) {
    return {
        "job-1.1", "job-1", "r01/01", "r01-01-" + std::to_string(epoch), epoch, {{"true"}, 600s, {}, "", {}}, "ana"};
  }
  Facts Booted() {
    Facts facts;
    facts.adb_state = "device";
    facts.adb_serial = "127.0.0.1:5601";
    facts.server_port = 40001;
    facts.serial = "X1";
    facts.model = "pixel-8";
    facts.booted = Facts::Booted::kYes;
    facts.measured = now_;
    return facts;
  }
  // Time passes in steps of 100 ms; answers come at once. A well-meaning controller renews for 60 s.
  void Pass(Milliseconds time) {
    for (Milliseconds t{0}; t < time; t += 100ms) {
      now_ += 100ms;
      world_.renewed_end = now_ + 60s;
      world_.Answer();
      agent_->Tick(now_, UtcTime{1s});
    }
    world_.Answer();
  }
  void Sync(const SlotWish& wish) { agent_->OnRackSync(0, {wish}, now_); }
  void GetRunning() {
    Sync(Leased(5));
    agent_->OnLabSync({Wish()}, now_);
    Pass(1s);
    agent_->OnFacts("r01/01", Booted(), now_);
    Pass(500ms);
    ASSERT_THAT(world_.done, Contains("run job-1.1"));
  }
  void Exit(int code, RunEnd::Why why = RunEnd::Why::kExited) {
    RunEnd end;
    end.why = why;
    end.exit_code = code;
    end.message = "what the runner says";
    agent_->OnRunEnded("job-1.1", end, now_);
  }
  const AttemptRecord& Last() { return world_.lab_reports.back(); }

  FakePorts world_;
  BootTime now_{1000s};
  std::unique_ptr<Agent> agent_;
};

TEST_F(AgentCore, Attempt_TracesItsSlotsCallsUntilItIsGivenBack) {
  Sync(Leased(5));
  AttemptWish wish = Wish();
  wish.trace = "0123456789abcdef";
  agent_->OnLabSync({wish}, now_);
  Pass(1s);
  EXPECT_EQ(world_.traces["r01/01"], "0123456789abcdef");
  agent_->OnFacts("r01/01", Booted(), now_);
  Pass(500ms);
  Exit(0);
  Pass(2s);
  EXPECT_EQ(world_.traces["r01/01"], "");
}

TEST_F(AgentCore, Attempt_GoesThroughAllStepsInOrder) {
  GetRunning();
  EXPECT_EQ(world_.environment["ANDROID_SERIAL"], "127.0.0.1:5601");
  EXPECT_EQ(world_.environment["ANDROID_ADB_SERVER_PORT"], "40001");
  EXPECT_EQ(world_.environment["FARADAY_SLOT"], "r01/01");
  EXPECT_EQ(world_.environment["FARADAY_LEASE"], "r01-01-5");
  EXPECT_EQ(world_.environment["FARADAY_JOB"], "job-1");
  Exit(0);
  Pass(2s);
  EXPECT_THAT(world_.done,
              ElementsAre("sample r01/01",
                          "power on r01/01 5",
                          "connect r01/01 5",
                          "session r01/01",
                          "run job-1.1",
                          "sample r01/01",
                          "sample r01/01",
                          "session end r01/01",
                          "open r01/01 5",
                          "release r01-01-5",
                          "upload"));
  EXPECT_EQ(Last().phase, Phase::kReport);
  EXPECT_EQ(Last().outcome, Outcome::kPassed);
  EXPECT_EQ(Last().serial, "X1");
  EXPECT_EQ(agent_->attempt_count(), 0u);
  EXPECT_TRUE(world_.journal.empty());
}

TEST_F(AgentCore, Attempt_WaitsUntilTheControllerShowsItsLease) {
  Sync(Care(4));
  agent_->OnLabSync({Wish()}, now_);
  Pass(5s);
  EXPECT_TRUE(world_.done.empty());
  Sync(Leased(5));
  Pass(1s);
  EXPECT_THAT(world_.done, Contains("power on r01/01 5"));
}

TEST_F(AgentCore, Attempt_OfAnEpochThatIsOver_IsLostUntouched) {
  Sync(Care(6));
  agent_->OnLabSync({Wish()}, now_);
  Pass(2s);
  EXPECT_THAT(world_.done, ElementsAre("upload"));
  EXPECT_EQ(Last().outcome, Outcome::kLeaseLost);
}

TEST_F(AgentCore, Attempt_WhoseLeaseNeverShows_IsInfrastructure) {
  agent_->OnLabSync({Wish()}, now_);
  Pass(59s);
  EXPECT_EQ(Last().phase, Phase::kLease);
  world_.rack_status = Status(Code::kNotFound, "no lease r01-01-5");
  Pass(3s);
  EXPECT_EQ(Last().outcome, Outcome::kInfrastructure);
  EXPECT_THAT(Last().reason, HasSubstr("60 s"));
}

TEST_F(AgentCore, Lease_IsRenewedEvery20Seconds) {
  GetRunning();
  Pass(100s);
  EXPECT_GE(world_.renewals, 5);
  EXPECT_LE(world_.renewals, 7);
  EXPECT_GE(world_.runner_ends.back(), now_ + 39s);
}

TEST_F(AgentCore, ControllerAway_JobGoesOnUntilItsOwnZero) {
  GetRunning();
  world_.rack_status = Status(Code::kDeadlineExceeded, "no answer from tcp://127.0.0.1:7700");
  Pass(30s);
  EXPECT_EQ(agent_->FindAttempt("job-1.1")->record().phase, Phase::kRun);
  EXPECT_EQ(agent_->FindAttempt("job-1.1")->record().outcome, Outcome::kNone);
  Pass(31s);
  EXPECT_LE(world_.runner_ends.back(), now_);  // the runner kills at once
  Exit(137, RunEnd::Why::kLeaseLost);
  Pass(2s);
  EXPECT_EQ(Last().outcome, Outcome::kLeaseLost);
  EXPECT_THAT(Last().reason, HasSubstr("no answer from"));
  EXPECT_THAT(world_.done, Not(Contains("open r01/01 5")));
}

TEST_F(AgentCore, ControllerBackBeforeZero_JobSurvives) {
  GetRunning();
  world_.rack_status = Status(Code::kUnavailable, "gone");
  Pass(35s);
  world_.rack_status = OkStatus();
  Pass(120s);
  Exit(0);
  Pass(2s);
  EXPECT_EQ(Last().outcome, Outcome::kPassed);
}

TEST_F(AgentCore, RenewRefused_IsLeaseLostAtOnce) {
  GetRunning();
  world_.renew_status = Status(Code::kNotFound, "no lease r01-01-5");
  Pass(21s);
  EXPECT_LE(world_.runner_ends.back(), now_);
  Exit(137, RunEnd::Why::kLeaseLost);
  Pass(2s);
  EXPECT_EQ(Last().outcome, Outcome::kLeaseLost);
}

TEST_F(AgentCore, LongPollAnsweredLate_NeverShortensTheLease) {
  GetRunning();
  const size_t told = world_.runner_ends.size();
  SlotWish stale = Leased(5);
  stale.lease_end = now_ + 3s;  // counted from before a poll of 10 s, and older than the renewal
  Sync(stale);
  EXPECT_EQ(world_.runner_ends.size(), told);
  Pass(10s);
  EXPECT_EQ(agent_->FindAttempt("job-1.1")->record().outcome, Outcome::kNone);
}

TEST_F(AgentCore, Cleared_IsSaidOnlyWhenNothingOfTheEpochIsLeft) {
  GetRunning();
  world_.sessions_linger = true;
  SlotWish cleaning = Care(6);
  cleaning.needs_clearing = true;
  cleaning.clearing_epoch = 5;
  Sync(cleaning);
  Pass(3s);
  for (const RackReport& report : world_.rack_reports) EXPECT_TRUE(report.cleared.empty()) << "the command still runs";
  Exit(137, RunEnd::Why::kLeaseLost);
  Pass(1s);
  for (const RackReport& report : world_.rack_reports)
    EXPECT_TRUE(report.cleared.empty()) << "its adb server still runs";
  world_.sessions_linger = false;
  Pass(1s);
  EXPECT_THAT(world_.rack_reports.back().cleared, ElementsAre(std::pair<std::string, uint32_t>("r01/01", 5)));
}

TEST_F(AgentCore, Cleared_IsSaidOnceAnAnswerAndAgainAfterAFailedReport) {
  SlotWish cleaning = Care(6);
  cleaning.needs_clearing = true;
  cleaning.clearing_epoch = 5;
  Sync(cleaning);
  Pass(5s);
  EXPECT_EQ(world_.rack_reports.size(), 1u);
  Sync(cleaning);  // the controller restarted and asks again
  Pass(1s);
  EXPECT_EQ(world_.rack_reports.size(), 2u);
  world_.rack_status = Status(Code::kUnavailable, "gone");
  Sync(cleaning);
  Pass(3500ms);
  EXPECT_GE(world_.rack_reports.size(), 4u);
  EXPECT_LE(world_.rack_reports.size(), 8u) << "a controller that is away is not flooded";
}

TEST_F(AgentCore, Cancelled_BeforeTheCommand_NeverStartsIt) {
  Sync(Leased(5));
  agent_->OnLabSync({Wish()}, now_);
  Pass(1s);
  agent_->OnLabSync({}, now_);
  Pass(3s);
  EXPECT_THAT(world_.done,
              AllOf(Contains("open r01/01 5"), Contains("release r01-01-5"), Not(Contains("run job-1.1"))));
  EXPECT_EQ(Last().outcome, Outcome::kCancelled);
}

TEST_F(AgentCore, Cancelled_WhileRunning_EndsTheCommandAndReleases) {
  GetRunning();
  world_.end_it = true;
  Pass(3s);  // the second "during" sample makes a report, its answer says: end it
  EXPECT_TRUE(world_.cancelled);
  Exit(143, RunEnd::Why::kCancelled);
  Pass(2s);
  EXPECT_EQ(Last().outcome, Outcome::kCancelled);
  EXPECT_THAT(world_.done, Contains("release r01-01-5"));
}

TEST_F(AgentCore, LabAway_AttemptGoesOnAndIsReportedLater) {
  GetRunning();
  world_.lab_status = Status(Code::kDeadlineExceeded, "no answer");
  const size_t heard = world_.lab_reports.size();
  Exit(0);
  Pass(60s);
  EXPECT_THAT(world_.done, Contains("release r01-01-5"));
  EXPECT_EQ(world_.lab_reports.size(), heard);
  EXPECT_EQ(agent_->attempt_count(), 1u);
  world_.lab_status = OkStatus();
  Pass(2s);
  EXPECT_EQ(Last().outcome, Outcome::kPassed);
  EXPECT_EQ(agent_->attempt_count(), 0u);
}

TEST_F(AgentCore, EndedAttempt_NamedByALateSync_DoesNotStartAgain) {
  GetRunning();
  Exit(0);
  Pass(2s);
  ASSERT_EQ(agent_->attempt_count(), 0u);
  agent_->OnLabSync({Wish()}, now_);
  EXPECT_EQ(agent_->attempt_count(), 0u);
}

TEST_F(AgentCore, PowerRefused_IsInfrastructureAndReleases) {
  world_.power_status = Status(Code::kFailedPrecondition, "slot r01/01 is tripped: over-current");
  Sync(Leased(5));
  agent_->OnLabSync({Wish()}, now_);
  Pass(3s);
  EXPECT_EQ(Last().outcome, Outcome::kInfrastructure);
  EXPECT_THAT(Last().reason, HasSubstr("tripped: over-current"));
  EXPECT_THAT(world_.done, Contains("release r01-01-5"));
}

TEST_F(AgentCore, PhoneNeverBoots_IsInfrastructure) {
  Sync(Leased(5));
  agent_->OnLabSync({Wish()}, now_);
  Pass(1s);
  Facts booting = Booted();
  booting.booted = Facts::Booted::kNo;
  agent_->OnFacts("r01/01", booting, now_);
  Pass(183s);
  EXPECT_EQ(Last().outcome, Outcome::kInfrastructure);
  EXPECT_THAT(Last().reason, HasSubstr("boot: not within 180 s"));
}

TEST_F(AgentCore, CommandFailed_PhoneGone_IsInfrastructure) {
  GetRunning();
  world_.probe_status = Status(Code::kUnavailable, "adb says offline");
  Exit(1);
  Pass(12s);
  EXPECT_EQ(Last().outcome, Outcome::kInfrastructure);
  EXPECT_THAT(Last().reason,
              AllOf(HasSubstr("exit code 1"), HasSubstr("the phone is no longer reachable: adb says offline")));
}

TEST_F(AgentCore, CommandFailed_PhoneBackAMomentLater_IsFailed) {
  GetRunning();
  world_.probe_status = Status(Code::kUnavailable, "the test has ended the adb server");
  Exit(1);
  Pass(8s);
  EXPECT_EQ(agent_->FindAttempt("job-1.1")->record().phase, Phase::kProbe);
  world_.probe_status = OkStatus();
  Pass(3s);
  EXPECT_EQ(Last().phase, Phase::kReport);
  EXPECT_EQ(Last().outcome, Outcome::kFailed);
  EXPECT_THAT(Last().reason, Not(HasSubstr("reachable")));
}

TEST_F(AgentCore, FilesThatNeverReachTheLab_AreNotPromised) {
  world_.collected.artifacts = {{"a", 1, "", ""}, {"b", 1, "", ""}};
  world_.uploaded = {{"a"}, "'a' is not at the lab: it cannot be read"};
  GetRunning();
  Exit(0);
  Pass(2s);
  EXPECT_EQ(Last().outcome, Outcome::kPassed);
  ASSERT_EQ(Last().artifacts.size(), 1u);
  EXPECT_EQ(Last().artifacts[0].name, "b");
  EXPECT_THAT(Last().reason, HasSubstr("cannot be read"));
}

TEST_F(AgentCore, Restart_AfterACancelThatTheRunnerNeverHeard_TellsItAgain) {
  GetRunning();
  agent_->OnLabSync({}, now_);
  const auto record = world_.journal.at("job-1.1");
  EXPECT_EQ(record.outcome, Outcome::kCancelled);
  world_.cancelled = false;
  NewAgent();
  agent_->TakeUp({record}, world_.epochs, now_);
  EXPECT_TRUE(world_.cancelled);
}

TEST_F(AgentCore, CommandFailed_PhoneThere_IsFailed) {
  GetRunning();
  Exit(134);
  Pass(2s);
  EXPECT_EQ(Last().outcome, Outcome::kFailed);
  EXPECT_EQ(Last().exit_code, 134);
  EXPECT_THAT(Last().reason, HasSubstr("signal 6"));
}

TEST_F(AgentCore, JunitFailures_FailACommandThatEndedWith0) {
  world_.collected.has_junit = true;
  world_.collected.junit = {10, 1, 1, 0};
  GetRunning();
  Exit(0);
  Pass(2s);
  EXPECT_EQ(Last().outcome, Outcome::kFailed);
  EXPECT_THAT(Last().reason, HasSubstr("2 of 10 tests failed"));
}

TEST_F(AgentCore, PromisedJunitMissing_FailsTheJob) {
  world_.collected.junit_bad = true;
  world_.collected.problem = "JUnit file r.xml: it was not written";
  GetRunning();
  Exit(0);
  Pass(2s);
  EXPECT_EQ(Last().outcome, Outcome::kFailed);
  EXPECT_THAT(Last().reason, HasSubstr("r.xml"));
}

TEST_F(AgentCore, Restart_WhileRunning_AdoptsAndKeepsTheLease) {
  GetRunning();
  auto record = world_.journal.at("job-1.1");
  EXPECT_EQ(record.phase, Phase::kRun);
  world_.done.clear();
  world_.kept_lease_end = now_ + 30s;
  NewAgent();
  agent_->TakeUp({record}, world_.epochs, now_);
  EXPECT_THAT(world_.done, ElementsAre("adopt job-1.1"));
  Sync(Leased(5));
  Pass(70s);  // longer than the lease was: it is renewed
  EXPECT_THAT(world_.done, Not(Contains("run job-1.1")));
  EXPECT_TRUE(world_.sessions.contains("r01/01")) << "the command needs its adb server";
  Exit(0);
  Pass(2s);
  EXPECT_EQ(Last().outcome, Outcome::kPassed);
}

TEST_F(AgentCore, Restart_WithTheControllerAway_EndsAtTheKeptDeadline) {
  GetRunning();
  auto record = world_.journal.at("job-1.1");
  world_.kept_lease_end = now_ + 30s;
  world_.rack_status = Status(Code::kUnavailable, "gone");
  NewAgent();
  agent_->TakeUp({record}, world_.epochs, now_);
  Pass(29s);
  EXPECT_EQ(agent_->FindAttempt("job-1.1")->record().outcome, Outcome::kNone);
  Pass(2s);
  EXPECT_EQ(agent_->FindAttempt("job-1.1")->record().outcome, Outcome::kLeaseLost);
}

TEST_F(AgentCore, Restart_WhilePreparing_PreparesAnew) {
  Sync(Leased(5));
  agent_->OnLabSync({Wish()}, now_);
  Pass(1s);
  const auto record = world_.journal.at("job-1.1");
  EXPECT_EQ(record.phase, Phase::kDevice);
  NewAgent();
  world_.done.clear();
  agent_->TakeUp({record}, world_.epochs, now_);
  Sync(Leased(5));
  Pass(1s);
  EXPECT_THAT(world_.done, Contains("power on r01/01 5"));
}

TEST_F(AgentCore, Epochs_AreKeptAndReported) {
  Sync(Leased(7));
  Pass(1s);
  EXPECT_EQ(world_.epochs.at("r01/01"), 7u);
  EXPECT_EQ(world_.rack_reports.back().epochs_seen.at("r01/01"), 7u);
  Sync(Care(3));  // a controller that lost its store: the agent still knows better
  Pass(11s);
  EXPECT_EQ(world_.rack_reports.back().epochs_seen.at("r01/01"), 7u);
}

TEST_F(AgentCore, Epochs_OfAWholeSyncAreWrittenOnce) {
  std::vector<SlotWish> slots(32, Leased(7));
  for (size_t i = 0; i < slots.size(); ++i) slots[i].slot = "r01/" + std::to_string(10 + i);
  agent_->OnRackSync(0, slots, now_);
  EXPECT_EQ(world_.epochs.size(), 32u);
  EXPECT_EQ(world_.epoch_writes, 1);
  agent_->OnRackSync(0, slots, now_);
  EXPECT_EQ(world_.epoch_writes, 1) << "nothing new";
}

TEST_F(AgentCore, Report_TellsEachControllerOfItsOwnSlotsOnly) {
  SlotWish theirs = Care(9);
  theirs.slot = "r02/01";
  Sync(Care(3));
  agent_->OnRackSync(1, {theirs}, now_);
  agent_->OnFacts("r01/01", Booted(), now_);
  agent_->OnFacts("r02/01", Booted(), now_);
  Pass(11s);
  const std::map<std::string, uint32_t> of_first = {{"r01/01", 3}};
  const std::map<std::string, uint32_t> of_second = {{"r02/01", 9}};
  EXPECT_EQ(world_.newest_report.at(0).epochs_seen, of_first);
  EXPECT_EQ(world_.newest_report.at(1).epochs_seen, of_second);
}

TEST_F(AgentCore, Discovery_OpensASessionOnlyWhileTheDataPathReachesThisHost) {
  SlotWish wish = Care(3);
  wish.discover = true;
  wish.data = DataPath::kHost;
  wish.data_host = "h02";
  Sync(wish);
  EXPECT_TRUE(world_.sessions.empty());
  wish.data_host = "h01";
  Sync(wish);
  EXPECT_TRUE(world_.sessions.contains("r01/01"));
  agent_->OnFacts("r01/01", Booted(), now_);
  Pass(500ms);
  ASSERT_EQ(world_.rack_reports.back().facts.size(), 1u);
  EXPECT_EQ(world_.rack_reports.back().facts[0].second.serial, "X1");
  Sync(Care(3));
  EXPECT_TRUE(world_.sessions.empty());
}

TEST_F(AgentCore, ControllerRestarted_IsToldEverythingAgain) {
  SlotWish wish = Care(3);
  wish.discover = true;
  wish.data = DataPath::kHost;
  wish.data_host = "h01";
  Sync(wish);
  agent_->OnFacts("r01/01", Booted(), now_);
  Sync(Care(3));
  Pass(2s);
  const size_t before = world_.rack_reports.size();
  agent_->OnRackBack(0);
  Pass(500ms);
  ASSERT_EQ(world_.rack_reports.size(), before + 1);
  EXPECT_EQ(world_.rack_reports.back().facts.size(), 1u);
}

TEST_F(AgentCore, Report_ComesEvery10SecondsWithoutNews) {
  Sync(Care(3));
  Pass(500ms);
  const size_t before = world_.rack_reports.size();
  Pass(30s);
  EXPECT_EQ(world_.rack_reports.size(), before + 3);
}

TEST_F(AgentCore, SlotNoLongerNamed_EndsItsSession) {
  SlotWish wish = Care(3);
  wish.discover = true;
  wish.data = DataPath::kHost;
  wish.data_host = "h01";
  Sync(wish);
  agent_->OnRackSync(0, {}, now_);
  EXPECT_TRUE(world_.sessions.empty());
}

}  // namespace
}  // namespace faraday::agent
