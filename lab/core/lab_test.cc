#include "lab/core/lab.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lab/core/fake_lease_desk.h"
#include "lab/core/fake_rack.h"
#include "lab/core/fake_store.h"
#include "lab/core/refused_roster.h"

namespace faraday::lab {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Person kAna{"ana", "user", "radio"};

// One rack of two slots whose controller the test plays by hand; time moves only by After().
class LabCore : public ::testing::Test {
 protected:
  void SetUp() override {
    StartLab();
    See();
  }

  void StartLab() {
    Notices notices{[this](const Reservation& r) { last_reservation_ = r; },
                    [this](const Job& j) { last_job_ = j; },
                    [this](const OwnAct& act) { acts_.push_back(act.act + " " + act.on + " " + act.why + act.trace); }};
    desk_ = {};
    lab_ = std::make_unique<Lab>(store_, desk_, racks_, "run", notices);
    const Status started = lab_->Start(now_);
    ASSERT_TRUE(started.ok()) << ToString(started);
  }

  void After(milliseconds time) {
    now_.boot += time;
    now_.utc.since_epoch += time;
    lab_->Tick(now_);
  }
  // The controller answers with the rack as it is.
  void See() {
    rack_.asked = now_.boot;
    now_.boot += milliseconds(5);
    lab_->OnRackFacts(rack_, now_);
  }
  void SeeNothing() {
    RackFacts silent;
    silent.rack = "r01";
    silent.reason = "no answer within 2000 ms";
    lab_->OnRackFacts(silent, now_);
  }
  SlotFacts& Slot(int number) { return rack_.slots[static_cast<size_t>(number - 1)]; }

  std::string Reserve(const std::string& selector, uint32_t wait_s = 600) {
    Reservation wish;
    wish.person = kAna;
    wish.selector = selector;
    wish.wait_s = wait_s;
    const auto view = lab_->Reserve(wish, {}, now_);
    EXPECT_TRUE(view.ok()) << ToString(view.status());
    return view.ok() ? ReservationName(view->reservation.number) : "";
  }
  std::string Submit(const std::string& selector, const Person& person = kAna) {
    JobSpec spec;
    spec.command = {"true"};
    spec.selector = selector;
    const auto view = lab_->SubmitJob(person, spec, {}, now_);
    EXPECT_TRUE(view.ok()) << ToString(view.status());
    return view.ok() ? JobName(view->job.number) : "";
  }
  Reservation R(const std::string& id) { return lab_->GetReservation(id, now_)->reservation; }
  Job J(const std::string& id) { return lab_->GetJob(id, now_)->job; }

  // The controller grants one order: the slot shows it, then the answer comes.
  LeaseFacts GrantAtController(const AcquireOrder& order) {
    SlotFacts& slot = Slot(order.slot.number);
    const milliseconds length = order.purpose == Purpose::kJob ? milliseconds(60'000) : milliseconds(order.duration_ms);
    Lease(&slot, order.reservation, order.purpose, {now_.utc.since_epoch + length}, now_.boot + length);
    return slot.lease;
  }
  void Grant(const AcquireOrder& order) {
    const LeaseFacts lease = GrantAtController(order);
    lab_->OnAcquired(order.slot, order.key, lease, now_);
  }
  AcquireOrder OnlyOrder() {
    const auto orders = desk_.TakeAcquires();
    EXPECT_EQ(orders.size(), 1u);
    return orders.empty() ? AcquireOrder{} : orders.front();
  }
  std::string RunningJob() {
    const std::string job = Submit("");
    Grant(OnlyOrder());
    EXPECT_EQ(J(job).state, JobState::kRunning);
    return job;
  }
  bool Report(const std::string& job, AttemptState state, Outcome outcome = Outcome::kNone) {
    Attempt report;
    report.id = job + ".1";
    report.state = state;
    report.outcome = outcome;
    const auto end_it = lab_->ReportAttempt("h01", report, now_);
    EXPECT_TRUE(end_it.ok()) << ToString(end_it.status());
    return end_it.ok() && *end_it;
  }

  Now now_{BootTime(hours(1)), {hours(14)}};
  FakeStore store_;
  FakeLeaseDesk desk_;
  std::vector<std::string> racks_ = {"r01"};
  RackFacts rack_ = FakeRack("r01", 2);
  std::unique_ptr<Lab> lab_;
  Reservation last_reservation_;
  Job last_job_;
  std::vector<std::string> acts_;
};

TEST(RefusedRoster, IsPassedOverAndTriedAgainAfterAMinute) {
  const BootTime now{hours(1)};
  RefusedRoster refused;
  EXPECT_EQ(refused.After(7, now), 7u);
  refused.Refused(8, now);
  EXPECT_EQ(refused.After(7, now + seconds(59)), 8u);
  EXPECT_EQ(refused.After(9, now + seconds(59)), 9u);
  EXPECT_EQ(refused.After(7, now + seconds(60)), 7u);
}

TEST(CutText, NeverSplitsACharacter) {
  EXPECT_EQ(CutText("abc", 5), "abc");
  EXPECT_EQ(CutText("abc", 2), "ab");
  EXPECT_EQ(CutText("", 0), "");
  EXPECT_EQ(CutText("a\u00fcb", 3), "a\u00fc");
  EXPECT_EQ(CutText("a\u00fcb", 2), "a");
  EXPECT_EQ(CutText("\u20ac", 2), "");
  EXPECT_EQ(CutText("a\U0001F4F1", 5), "a\U0001F4F1");
  EXPECT_EQ(CutText("a\U0001F4F1", 4), "a");
  EXPECT_EQ(CutText("a\xe2\x82", 9), "a") << "cut before, by somebody else";
}

TEST_F(LabCore, LongReasonOfAReport_IsCutBetweenCharacters) {
  const std::string job = RunningJob();
  Attempt report;
  report.id = job + ".1";
  report.state = AttemptState::kEnded;
  report.outcome = Outcome::kFailed;
  report.reason = "x";
  while (report.reason.size() < 3000) report.reason += "\u00fc";
  ASSERT_TRUE(lab_->ReportAttempt("h01", report, now_).ok());
  EXPECT_EQ(J(job).reason.size(), 1999u);
}

// ---- reservations ---------------------------------------------------------------------------------------------------

TEST_F(LabCore, Reserve_AcquiresForThePersonAndIsGranted) {
  const std::string id = Reserve("model=pixel-8");
  const AcquireOrder order = OnlyOrder();
  EXPECT_EQ(order.on_behalf_of.user, "ana");
  EXPECT_EQ(order.on_behalf_of.team, "radio");
  EXPECT_EQ(order.reservation, id);
  EXPECT_EQ(order.purpose, Purpose::kPerson);
  EXPECT_EQ(order.duration_ms, 1'800'000u);
  EXPECT_EQ(R(id).state, ReservationState::kWaiting);
  EXPECT_EQ(R(id).reason, "being granted on r01/01");
  Grant(order);
  EXPECT_EQ(R(id).state, ReservationState::kGranted);
  EXPECT_EQ(R(id).lease->id, "r01-01-2");
  EXPECT_EQ(last_reservation_.state, ReservationState::kGranted);
}

TEST_F(LabCore, NothingFreeAndNoWait_FailsAtOnceWithTheReason) {
  Slot(1).health = Slot(2).health = Health::kQuarantined;
  Slot(1).health_reason = Slot(2).health_reason = "relay stuck";
  See();
  const Reservation failed = R(Reserve("", 0));
  EXPECT_EQ(failed.state, ReservationState::kFailed);
  EXPECT_EQ(failed.reason, "nothing is free now: 2 match: 2 quarantined: relay stuck");
}

TEST_F(LabCore, WaitRunsOut_FailsWithTheReason) {
  Slot(1).allocation = Slot(2).allocation = Allocation::kCleaning;
  See();
  const std::string id = Reserve("", 60);
  After(seconds(59));
  EXPECT_EQ(R(id).state, ReservationState::kWaiting);
  After(seconds(2));
  EXPECT_EQ(R(id).state, ReservationState::kFailed);
  EXPECT_THAT(R(id).reason, HasSubstr("not within 60 s: 2 match: 2 being cleaned"));
}

TEST_F(LabCore, Queue_IsFirstComeFirstServedOverReservationsAndJobs) {
  RunningJob();
  RunningJob();
  const std::string first = Reserve("");
  const std::string second = Submit("");
  const std::string third = Reserve("");
  EXPECT_EQ(lab_->GetReservation(first, now_)->position, 1u);
  EXPECT_EQ(lab_->GetJob(second, now_)->position, 2u);
  EXPECT_EQ(lab_->GetReservation(third, now_)->position, 3u);
  After(seconds(5));
  EndLease(&Slot(2));
  See();
  EXPECT_EQ(OnlyOrder().reservation, first);
}

TEST_F(LabCore, RefusedSlot_IsPassedOverForAWhile) {
  const std::string id = Reserve("");
  const AcquireOrder refused = OnlyOrder();
  EXPECT_EQ(refused.slot.number, 1);
  lab_->OnAcquired(refused.slot, refused.key, Status(Code::kUnavailable, "line 0 is down"), now_);
  const AcquireOrder next = OnlyOrder();
  EXPECT_EQ(next.slot.number, 2);
  EXPECT_NE(next.key, refused.key);
  lab_->OnAcquired(next.slot, next.key, Status(Code::kUnavailable, "line 0 is down"), now_);
  EXPECT_THAT(R(id).reason, HasSubstr("2 refused by its controller: line 0 is down"));
  After(seconds(3));
  EXPECT_EQ(OnlyOrder().reservation, id);
}

TEST_F(LabCore, RequestThatEveryControllerRefuses_Fails) {
  const std::string id = Reserve("");
  const AcquireOrder order = OnlyOrder();
  lab_->OnAcquired(order.slot, order.key, Status(Code::kInvalidArgument, "duration beyond 8 h"), now_);
  EXPECT_EQ(R(id).state, ReservationState::kFailed);
  EXPECT_THAT(R(id).reason, HasSubstr("duration beyond 8 h"));
}

TEST_F(LabCore, LeaseEndsAtTheController_ReservationEnds) {
  const std::string id = Reserve("");
  Grant(OnlyOrder());
  After(seconds(5));
  EndLease(&Slot(1));
  See();
  EXPECT_EQ(R(id).state, ReservationState::kEnded);
  EXPECT_EQ(R(id).reason, "released");
}

TEST_F(LabCore, LeaseRunsOut_SaysWhen) {
  const std::string id = Reserve("");
  Grant(OnlyOrder());
  After(minutes(30));
  EndLease(&Slot(1));
  See();
  EXPECT_THAT(R(id).reason, HasSubstr("ran out at 14:30 UTC"));
}

TEST_F(LabCore, RenewAtTheController_IsNoticed) {
  const std::string id = Reserve("");
  Grant(OnlyOrder());
  After(seconds(5));
  Slot(1).lease.end_utc.since_epoch += hours(1);
  See();
  EXPECT_EQ(R(id).lease->end_utc.since_epoch, hours(15) + minutes(30));
  EXPECT_EQ(store_.FindReservation(1)->lease->end_utc.since_epoch, hours(15) + minutes(30));
}

// The answer to a question that was asked before the grant shows the slot free: it must end nothing.
TEST_F(LabCore, FactsOlderThanTheGrant_EndNothingAndPlaceNothing) {
  RackFacts old = rack_;
  old.asked = now_.boot;
  now_.boot += milliseconds(5);
  const std::string id = Reserve("slot=r01/01");
  Grant(OnlyOrder());
  lab_->OnRackFacts(old, now_);
  EXPECT_EQ(R(id).state, ReservationState::kGranted);
  Reserve("slot=r01/01");
  EXPECT_THAT(desk_.acquires, IsEmpty());
}

TEST_F(LabCore, CancelWaiting_EndsAtOnce) {
  RunningJob();
  RunningJob();
  const std::string id = Reserve("");
  EXPECT_EQ(lab_->CancelReservation(id, kAna, now_)->reservation.state, ReservationState::kCancelled);
  EXPECT_FALSE(lab_->anyone_waits());
}

TEST_F(LabCore, CancelWhileBeingGranted_GivesTheLeaseBack) {
  const std::string id = Reserve("");
  const AcquireOrder order = OnlyOrder();
  EXPECT_EQ(lab_->CancelReservation(id, kAna, now_)->reservation.state, ReservationState::kCancelled);
  Grant(order);
  EXPECT_EQ(R(id).state, ReservationState::kCancelled);
  EXPECT_EQ(desk_.TakeReleases(), std::vector<std::string>{"r01-01-2"});
}

TEST_F(LabCore, CancelGranted_ReleasesThenIsCancelled) {
  const std::string id = Reserve("");
  Grant(OnlyOrder());
  EXPECT_EQ(lab_->CancelReservation(id, kAna, now_)->reservation.state, ReservationState::kGranted);
  EXPECT_EQ(desk_.TakeReleases(), std::vector<std::string>{"r01-01-2"});
  // The first release is lost; the facts still show the lease.
  lab_->OnReleased("r01-01-2", Status(Code::kDeadlineExceeded, "no answer"), now_);
  After(seconds(4));
  See();
  EXPECT_EQ(desk_.TakeReleases(), std::vector<std::string>{"r01-01-2"});
  lab_->OnReleased("r01-01-2", OkStatus(), now_);
  EXPECT_EQ(R(id).state, ReservationState::kCancelled);
}

TEST_F(LabCore, OthersMayNotCancel_TechsMay) {
  const std::string id = Reserve("");
  const std::string job = Submit("");
  EXPECT_EQ(lab_->CancelReservation(id, {"bob", "user", ""}, now_).status().code(), Code::kPermissionDenied);
  EXPECT_EQ(lab_->CancelJob(job, {"bob", "ci", ""}, "", now_).status().code(), Code::kPermissionDenied);
  EXPECT_TRUE(lab_->CancelReservation(id, {"tom", "tech", ""}, now_).ok());
  EXPECT_TRUE(lab_->CancelJob(job, {"tom", "admin", ""}, "", now_).ok());
}

TEST_F(LabCore, Gone_TheirsEndsAndOthersStays) {
  const std::string mine = Reserve("");
  Grant(OnlyOrder());
  const std::string bobs_job = Submit("", {"bob", "ci", ""});
  Grant(OnlyOrder());
  const std::string bobs_queued = Submit("", {"bob", "ci", ""});
  const std::string my_queued = Submit("");
  const auto ana_is_gone = [](const std::string& user) {
    return user == "ana" ? std::string("user ana is disabled at the lab") : std::string();
  };
  lab_->CancelOfGone(ana_is_gone, now_);
  EXPECT_EQ(acts_,
            (std::vector<std::string>{"wish_cancelled res-1 user ana is disabled at the lab",
                                      "wish_cancelled job-3 user ana is disabled at the lab"}));
  EXPECT_EQ(desk_.TakeReleases(), std::vector<std::string>{"r01-01-2"});
  lab_->OnReleased("r01-01-2", OkStatus(), now_);
  EXPECT_EQ(R(mine).state, ReservationState::kCancelled);
  EXPECT_EQ(R(mine).reason, "cancelled: user ana is disabled at the lab");
  EXPECT_EQ(J(my_queued).outcome, Outcome::kCancelled);
  EXPECT_EQ(J(my_queued).reason, "cancelled: user ana is disabled at the lab");
  EXPECT_EQ(J(bobs_job).state, JobState::kRunning);
  EXPECT_FALSE(J(bobs_job).cancel_asked);
  EXPECT_EQ(J(bobs_queued).state, JobState::kQueued);
}

TEST_F(LabCore, Gone_RunningJobLeavesItsAgentsList) {
  const std::string job = RunningJob();
  lab_->CancelOfGone([](const std::string&) { return std::string("user ana is not known at the lab"); }, now_);
  EXPECT_THAT(lab_->JobsOf("h01"), IsEmpty());
  EXPECT_THAT(J(job).reason, HasSubstr("user ana is not known at the lab"));
}

TEST_F(LabCore, Gone_StoreFails_IsTriedAgain) {
  Slot(1).allocation = Slot(2).allocation = Allocation::kCleaning;
  See();
  const std::string id = Reserve("");
  const auto gone = [](const std::string&) { return std::string("user ana is disabled at the lab"); };
  store_.Break({Code::kResourceExhausted, "disk full"});
  lab_->CancelOfGone(gone, now_);
  EXPECT_EQ(R(id).state, ReservationState::kWaiting);
  store_.Break(OkStatus());
  lab_->CancelOfGone(gone, now_);
  EXPECT_EQ(R(id).state, ReservationState::kCancelled);
}

// ---- jobs -----------------------------------------------------------------------------------------------------------

TEST_F(LabCore, Job_IsAssignedReportedAndFinished) {
  const std::string job = Submit("");
  const AcquireOrder order = OnlyOrder();
  EXPECT_EQ(order.purpose, Purpose::kJob);
  EXPECT_EQ(order.reservation, job + ".1");
  Grant(order);
  ASSERT_EQ(lab_->JobsOf("h01").size(), 1u);
  EXPECT_EQ(lab_->JobsOf("h02").size(), 0u);
  EXPECT_FALSE(Report(job, AttemptState::kPreparing));
  EXPECT_FALSE(Report(job, AttemptState::kRunning));
  EXPECT_FALSE(Report(job, AttemptState::kPreparing)) << "an old report that came late";
  EXPECT_EQ(J(job).current()->state, AttemptState::kRunning);
  EXPECT_FALSE(Report(job, AttemptState::kEnded, Outcome::kFailed));
  EXPECT_EQ(J(job).state, JobState::kFinished);
  EXPECT_EQ(J(job).outcome, Outcome::kFailed);
  EXPECT_TRUE(lab_->JobsOf("h01").empty());
  EXPECT_TRUE(Report(job, AttemptState::kEnded, Outcome::kFailed)) << "repeated until acknowledged";
  EXPECT_EQ(J(job).outcome, Outcome::kFailed);
}

TEST_F(LabCore, Job_NoDeviceInTime) {
  Slot(1).allocation = Slot(2).allocation = Allocation::kCleaning;
  See();
  const std::string job = Submit("");
  After(seconds(601));
  EXPECT_EQ(J(job).outcome, Outcome::kNoDevice);
  EXPECT_THAT(J(job).reason, HasSubstr("not within 600 s"));
}

TEST_F(LabCore, Job_AbsentPhoneIsNotUsed) {
  Slot(1).device.adb_state = Slot(2).device.adb_state = "absent";
  See();
  const std::string job = Submit("");
  EXPECT_THAT(J(job).reason, HasSubstr("2 without a phone"));
  EXPECT_THAT(desk_.acquires, IsEmpty());
}

TEST_F(LabCore, LeaseEndedAndAgentSilent_IsInfrastructure) {
  const std::string job = RunningJob();
  Report(job, AttemptState::kRunning);
  After(seconds(60));
  EndLease(&Slot(1));
  See();
  After(seconds(29));
  EXPECT_EQ(J(job).state, JobState::kRunning);
  After(seconds(2));
  EXPECT_EQ(J(job).outcome, Outcome::kInfrastructure);
  EXPECT_THAT(J(job).reason, HasSubstr("agent lost"));
  EXPECT_TRUE(Report(job, AttemptState::kEnded, Outcome::kPassed)) << "too late: people were told";
  EXPECT_EQ(J(job).outcome, Outcome::kInfrastructure);
}

TEST_F(LabCore, AgentThatStillUploads_IsNotLost) {
  const std::string job = RunningJob();
  Report(job, AttemptState::kCollecting);
  After(seconds(5));
  EndLease(&Slot(1));
  See();
  for (int i = 0; i < 10; ++i) {
    After(seconds(20));
    EXPECT_TRUE(lab_->OnUpload("h01", job + ".1", now_).ok());
  }
  EXPECT_EQ(J(job).state, JobState::kRunning);
  Report(job, AttemptState::kEnded, Outcome::kPassed);
  EXPECT_EQ(J(job).outcome, Outcome::kPassed);
}

TEST_F(LabCore, SilentAgentWithALeaseInForce_IsWaitedFor) {
  const std::string job = RunningJob();
  After(hours(2));
  See();
  After(hours(2));
  EXPECT_EQ(J(job).state, JobState::kRunning) << "never before the controller says that the epoch ended";
}

TEST_F(LabCore, CancelQueuedJob_EndsAtOnce) {
  RunningJob();
  RunningJob();
  const std::string job = Submit("");
  EXPECT_EQ(lab_->CancelJob(job, kAna, "wrong build", now_)->job.outcome, Outcome::kCancelled);
  EXPECT_EQ(J(job).reason, "cancelled by ana: wrong build");
}

TEST_F(LabCore, CancelRunningJob_LeavesTheListAndEndsWithTheReport) {
  const std::string job = RunningJob();
  Report(job, AttemptState::kRunning);
  EXPECT_EQ(lab_->CancelJob(job, kAna, "", now_)->job.state, JobState::kRunning);
  EXPECT_TRUE(lab_->JobsOf("h01").empty());
  EXPECT_THAT(desk_.releases, IsEmpty()) << "the agent ends it and gives the lease back";
  EXPECT_TRUE(Report(job, AttemptState::kRunning));
  EXPECT_FALSE(Report(job, AttemptState::kCollecting)) << "it has ended: the log may come";
  Report(job, AttemptState::kEnded, Outcome::kCancelled);
  EXPECT_EQ(J(job).outcome, Outcome::kCancelled);
}

TEST_F(LabCore, CancelJobThatNoAgentBegan_GivesTheLeaseBack) {
  const std::string job = RunningJob();
  lab_->CancelJob(job, kAna, "", now_).ok();
  EXPECT_EQ(desk_.TakeReleases(), std::vector<std::string>{"r01-01-2"});
  lab_->OnReleased("r01-01-2", OkStatus(), now_);
  EXPECT_EQ(J(job).outcome, Outcome::kCancelled);
}

TEST_F(LabCore, ReportsOfOthers_AreRefused) {
  const std::string job = RunningJob();
  Attempt report;
  report.id = job + ".1";
  report.state = AttemptState::kEnded;
  EXPECT_EQ(lab_->ReportAttempt("h02", report, now_).status().code(), Code::kPermissionDenied);
  report.lease = "r01-01-1";
  EXPECT_TRUE(*lab_->ReportAttempt("h01", report, now_)) << "of an older lease";
  report.id = "job-77.1";
  EXPECT_TRUE(*lab_->ReportAttempt("h01", report, now_)) << "unknown";
  EXPECT_EQ(J(job).state, JobState::kRunning);
}

// ---- restart, lost answers, broken disks ----------------------------------------------------------------------------

TEST_F(LabCore, Restart_KeepsQueueAndWaits) {
  RunningJob();
  const std::string granted = Reserve("");
  Grant(OnlyOrder());
  const std::string waiting = Reserve("", 60);
  const std::string job = Submit("");
  After(seconds(40));
  StartLab();
  EXPECT_EQ(R(granted).state, ReservationState::kGranted);
  EXPECT_EQ(lab_->GetReservation(waiting, now_)->position, 1u);
  EXPECT_EQ(lab_->GetJob(job, now_)->position, 2u);
  After(seconds(15));
  EXPECT_EQ(R(waiting).state, ReservationState::kWaiting);
  After(seconds(6));
  EXPECT_EQ(R(waiting).state, ReservationState::kFailed);
  EXPECT_EQ(Reserve(""), "res-3") << "numbers go on";
}

TEST_F(LabCore, KilledBetweenOrderAndAnswer_AdoptsTheLease) {
  const std::string job = Submit("");
  GrantAtController(OnlyOrder());
  StartLab();
  See();
  EXPECT_EQ(J(job).state, JobState::kRunning);
  EXPECT_EQ(J(job).current()->lease, "r01-01-2");
  EXPECT_THAT(desk_.acquires, IsEmpty());
  EXPECT_THAT(desk_.releases, IsEmpty());
  EXPECT_EQ(acts_, std::vector<std::string>{"lease_adopted job-1 the answer that granted it was lost"});
}

// Whoever may acquire at a rack, or is the rack, can write any reservation's name into a lease.
TEST_F(LabCore, LeaseThatOnlyNamesAWish_IsNotItsGrant) {
  const auto forge = [this](const std::function<void(SlotFacts*)>& change) {
    rack_ = FakeRack("r01", 2);
    store_ = FakeStore();
    StartLab();
    SeeNothing();
    const std::string job = Submit("slot=r01/01");
    EXPECT_EQ(J(job).state, JobState::kQueued);
    Lease(&Slot(1), "job-1.1", Purpose::kJob, {hours(20)});
    Slot(2).health = Health::kQuarantined;
    change(&Slot(1));
    See();
    return J(job).state;
  };
  EXPECT_EQ(forge([](SlotFacts*) {}), JobState::kRunning) << "all as asked";
  EXPECT_EQ(forge([](SlotFacts* slot) { slot->lease.holder = "tina"; }), JobState::kQueued);
  EXPECT_EQ(desk_.TakeReleases(), std::vector<std::string>{"r01-01-2"});
  EXPECT_EQ(forge([](SlotFacts* slot) { slot->lease.purpose = Purpose::kPerson; }), JobState::kQueued);
  EXPECT_EQ(forge([](SlotFacts* slot) { slot->lease.agent.clear(); }), JobState::kQueued);
  EXPECT_EQ(forge([this](SlotFacts*) {
              Slot(2).health = Health::kGood;
              Lease(&Slot(2), "job-1.1", Purpose::kJob, {hours(20)});
              EndLease(&Slot(1));
              Slot(1).health = Health::kQuarantined;
            }),
            JobState::kQueued)
      << "a slot that the wish does not want";
  EXPECT_EQ(desk_.TakeReleases(), std::vector<std::string>{"r01-02-2"});
}

TEST_F(LabCore, RefusedRelease_IsNotAskedAgainAndAgain) {
  Lease(&Slot(1), "res-77", Purpose::kPerson, {hours(20)});
  See();
  EXPECT_EQ(desk_.TakeReleases(), std::vector<std::string>{"r01-01-2"});
  lab_->OnReleased("r01-01-2", Status(Code::kUnavailable, "no answer"), now_);
  After(seconds(4));
  See();
  EXPECT_EQ(desk_.TakeReleases(), std::vector<std::string>{"r01-01-2"}) << "it may work next time";
  lab_->OnReleased("r01-01-2", Status(Code::kPermissionDenied, "not the lab's"), now_);
  After(seconds(500));
  See();
  EXPECT_THAT(desk_.releases, IsEmpty());
  After(seconds(120));
  See();
  EXPECT_EQ(desk_.TakeReleases(), std::vector<std::string>{"r01-01-2"});
}

TEST_F(LabCore, AnswerLost_PlacesElsewhereAndGivesTheStrayBack) {
  const std::string id = Reserve("");
  const AcquireOrder lost = OnlyOrder();
  lab_->OnAcquired(lost.slot, lost.key, Status(Code::kDeadlineExceeded, "no answer"), now_);
  const AcquireOrder second = OnlyOrder();
  EXPECT_EQ(second.slot.number, 2);
  GrantAtController(lost);
  See();
  EXPECT_EQ(desk_.TakeReleases(), std::vector<std::string>{"r01-01-2"});
  Grant(second);
  EXPECT_EQ(R(id).lease->id, "r01-02-2");
}

TEST_F(LabCore, LeaseOfOursThatNoRecordNeeds_IsGivenBack) {
  Lease(&Slot(1), "res-77", Purpose::kPerson, {hours(20)});
  Lease(&Slot(2), "somebody else's note", Purpose::kPerson, {hours(20)});
  After(seconds(1));
  See();
  EXPECT_EQ(desk_.TakeReleases(), std::vector<std::string>{"r01-01-2"});
}

TEST_F(LabCore, DiskFull_NothingIsAcknowledgedAndNothingLost) {
  store_.Break({Code::kResourceExhausted, "the disk is full"});
  Reservation wish;
  wish.person = kAna;
  EXPECT_EQ(lab_->Reserve(wish, {}, now_).status().code(), Code::kResourceExhausted);
  EXPECT_FALSE(lab_->anyone_waits());
  store_.Break(OkStatus());
  const std::string id = Reserve("");
  EXPECT_EQ(id, "res-1");
  const AcquireOrder order = OnlyOrder();
  store_.Break({Code::kResourceExhausted, "the disk is full"});
  Grant(order);
  EXPECT_EQ(R(id).state, ReservationState::kWaiting) << "not on disk, so not granted";
  store_.Break(OkStatus());
  After(seconds(1));
  See();
  EXPECT_EQ(R(id).state, ReservationState::kGranted) << "adopted from the facts";
  EXPECT_EQ(R(id).lease->id, "r01-01-2");
}

TEST_F(LabCore, ReportThatCannotBeStored_IsNotAcknowledged) {
  const std::string job = RunningJob();
  store_.Break({Code::kUnavailable, "I/O error"});
  Attempt report;
  report.id = job + ".1";
  report.state = AttemptState::kEnded;
  report.outcome = Outcome::kPassed;
  EXPECT_FALSE(lab_->ReportAttempt("h01", report, now_).ok());
  EXPECT_EQ(J(job).state, JobState::kRunning);
  store_.Break(OkStatus());
  EXPECT_TRUE(lab_->ReportAttempt("h01", report, now_).ok());
  EXPECT_EQ(J(job).outcome, Outcome::kPassed);
}

TEST_F(LabCore, ControllerLostItsRecords_ReservationEnds) {
  const std::string id = Reserve("");
  Grant(OnlyOrder());
  After(seconds(5));
  Slot(1) = FakeSlot("r01", 1);
  See();
  EXPECT_EQ(R(id).state, ReservationState::kEnded);
}

TEST_F(LabCore, RackGoneFromTheList_ItsReservationsEndAndItsSilentJobsAreLost) {
  const std::string job = RunningJob();
  const std::string id = Reserve("");
  Grant(OnlyOrder());
  racks_ = {"r02"};
  StartLab();
  EXPECT_EQ(R(id).state, ReservationState::kEnded);
  After(seconds(31));
  EXPECT_EQ(J(job).outcome, Outcome::kInfrastructure);
}

TEST_F(LabCore, SilentRack_EndsNothing) {
  const std::string id = Reserve("");
  const std::string job = Submit("");
  for (const auto& order : desk_.TakeAcquires()) Grant(order);
  SeeNothing();
  After(hours(3));
  EXPECT_EQ(R(id).state, ReservationState::kGranted);
  EXPECT_EQ(J(job).state, JobState::kRunning);
}

TEST_F(LabCore, WallClockSteps_DoNotShortenWaits) {
  RunningJob();
  RunningJob();
  const std::string id = Reserve("", 60);
  now_.utc.since_epoch += hours(48);
  After(seconds(30));
  EXPECT_EQ(R(id).state, ReservationState::kWaiting);
  now_.utc.since_epoch -= hours(96);
  After(seconds(31));
  EXPECT_EQ(R(id).state, ReservationState::kFailed);
}

// ---- bounds and bad input -------------------------------------------------------------------------------------------

TEST_F(LabCore, SameKey_SameRecord_OtherRequestIsRefused) {
  Reservation wish;
  wish.person = kAna;
  wish.wait_s = 60;
  const auto first = lab_->Reserve(wish, {"k", "hash"}, now_);
  EXPECT_EQ(lab_->Reserve(wish, {"k", "hash"}, now_)->reservation.number, first->reservation.number);
  EXPECT_EQ(lab_->Reserve(wish, {"k", "other"}, now_).status().code(), Code::kInvalidArgument);
  wish.person.user = "bob";
  EXPECT_NE(lab_->Reserve(wish, {"k", "hash"}, now_)->reservation.number, first->reservation.number)
      << "scope (user, key)";
  wish.person = kAna;
  After(hours(25));
  EXPECT_NE(lab_->Reserve(wish, {"k", "other"}, now_)->reservation.number, first->reservation.number) << "kept 24 h";
}

TEST_F(LabCore, BadWishes_AreRefusedWithTheRange) {
  Reservation wish;
  wish.person = kAna;
  wish.duration_s = 700'000;
  EXPECT_THAT(lab_->Reserve(wish, {}, now_).status().message(), HasSubstr("1 to 604800 s"));
  wish.duration_s = 60;
  wish.selector = "model==(";
  EXPECT_EQ(lab_->Reserve(wish, {}, now_).status().code(), Code::kInvalidArgument);
  JobSpec spec;
  EXPECT_THAT(lab_->SubmitJob(kAna, spec, {}, now_).status().message(), HasSubstr("spec.command is empty"));
  spec.command = {std::string(30'000, 'x')};
  EXPECT_THAT(lab_->SubmitJob(kAna, spec, {}, now_).status().message(), HasSubstr("at most 24576 bytes"));
  for (const char* id : {"", "job-", "job-0", "job-1x", "res-1", "job-99999999999999999999"}) {
    EXPECT_EQ(lab_->GetJob(id, now_).status().code(), Code::kNotFound) << id;
  }
}

TEST_F(LabCore, FullQueue_IsRefusedNotLost) {
  RunningJob();
  RunningJob();
  for (size_t i = 0; i < kMaxWaiting; ++i) ASSERT_NE(Submit("slot=r01/01"), "");
  JobSpec spec;
  spec.command = {"true"};
  EXPECT_EQ(lab_->SubmitJob(kAna, spec, {}, now_).status().code(), Code::kResourceExhausted);
}

// ---- traces ---------------------------------------------------------------------------------------------------------

TEST_F(LabCore, ATraceGoesFromTheWishToEveryOrder) {
  Reservation wish;
  wish.person = kAna;
  wish.wait_s = 600;
  wish.trace = "0123456789abcdef";
  const auto view = lab_->Reserve(wish, {}, now_);
  ASSERT_TRUE(view.ok()) << ToString(view.status());
  const AcquireOrder order = OnlyOrder();
  EXPECT_EQ(order.trace, "0123456789abcdef");
  Grant(order);
  ASSERT_TRUE(lab_->CancelReservation(ReservationName(view->reservation.number), kAna, now_).ok());
  EXPECT_EQ(desk_.TakeReleases().size(), 1u);
  EXPECT_EQ(desk_.last_release_trace, "0123456789abcdef");
  JobSpec spec;
  spec.command = {"true"};
  ASSERT_TRUE(lab_->SubmitJob(kAna, spec, {}, now_, "fedcba9876543210").ok());
  EXPECT_EQ(OnlyOrder().trace, "fedcba9876543210");
}

}  // namespace
}  // namespace faraday::lab
