// The real program against fake controllers and a scripted agent: the ways of jobs and reservations, and bad luck.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "access/credential.h"
#include "access/roster.h"
#include "base/crc32.h"
#include "evloop/loop.h"
#include "lab/test/fake_controller.h"
#include "lab/test/lab_process.h"
#include "rpc/enrolment.h"
#include "rpc/publisher.h"

namespace faraday::lab {
namespace {

using testing::HasSubstr;

class LabProgram : public ::testing::Test {
 protected:
  void StartWith(std::vector<RackLine> racks) {
    lab_ = std::make_unique<LabProcess>(racks);
    lab_->Start();
  }
  void StartWithOneRack() { StartWith({{"r01", r01_.endpoint()}}); }

  std::string Submit(const std::string& selector, const std::string& key = "") {
    v1::Request request;
    request.set_idempotency_key(key);
    auto* spec = request.mutable_submit_job()->mutable_spec();
    spec->add_command("true");
    spec->set_selector(selector);
    const auto reply = lab_->AsAna(request);
    EXPECT_TRUE(reply.ok()) << ToString(reply.status());
    return reply.ok() ? reply->job().job().id() : "";
  }
  v1::Job JobNow(const std::string& id) {
    v1::Request request;
    request.mutable_get_job()->set_id(id);
    const auto reply = lab_->AsAna(request);
    EXPECT_TRUE(reply.ok()) << ToString(reply.status());
    return reply.ok() ? reply->job().job() : v1::Job();
  }
  bool Runs(const std::string& id) {
    return Eventually([&] { return JobNow(id).state() == v1::JOB_STATE_RUNNING; });
  }
  bool Finishes(const std::string& id) {
    return Eventually([&] { return JobNow(id).state() == v1::JOB_STATE_FINISHED; });
  }
  v1::SyncResult Sync(const std::string& have = "") {
    v1::Request request;
    request.mutable_sync()->set_agent("h01");
    request.mutable_sync()->set_have(have);
    const auto reply = lab_->AsAgent(request);
    EXPECT_TRUE(reply.ok()) << ToString(reply.status());
    return reply.ok() ? reply->sync() : v1::SyncResult();
  }
  Result<v1::Reply> Tell(const std::string& attempt,
                         v1::AttemptState state,
                         v1::Outcome outcome = v1::OUTCOME_UNSPECIFIED) {
    v1::Request request;
    request.mutable_report_attempt()->set_agent("h01");
    auto* told = request.mutable_report_attempt()->mutable_attempt();
    told->set_id(attempt);
    told->set_state(state);
    told->set_outcome(outcome);
    told->set_step("testing");
    return lab_->AsAgent(request);
  }
  Result<v1::Reply> Put(const std::string& attempt,
                        uint64_t offset,
                        const std::string& data,
                        bool complete = false,
                        const std::string& name = "log") {
    v1::Request request;
    auto* put = request.mutable_put_chunk();
    put->set_attempt(attempt);
    put->set_name(name);
    put->set_offset(offset);
    put->set_data(data);
    put->set_complete(complete);
    put->set_crc32(Crc32(data));
    return lab_->AsAgent(request);
  }
  Result<v1::Reply> Read(const std::string& attempt, uint64_t offset, uint32_t wait_ms = 5000) {
    v1::Request request;
    auto* read = request.mutable_read_chunk();
    read->set_attempt(attempt);
    read->set_name("log");
    read->set_offset(offset);
    read->set_wait_ms(wait_ms);
    return lab_->AsAna(request);
  }
  v1::Reservation Reserve(const std::string& selector, uint32_t wait_s = 0) {
    v1::Request request;
    request.mutable_reserve()->set_selector(selector);
    request.mutable_reserve()->set_wait_s(wait_s);
    const auto reply = lab_->AsAna(request);
    EXPECT_TRUE(reply.ok()) << ToString(reply.status());
    return reply.ok() ? reply->reservation().reservation() : v1::Reservation();
  }
  v1::Reservation ReservationNow(const std::string& id) {
    v1::Request request;
    request.mutable_get_reservation()->set_id(id);
    const auto reply = lab_->AsAna(request);
    EXPECT_TRUE(reply.ok()) << ToString(reply.status());
    return reply.ok() ? reply->reservation().reservation() : v1::Reservation();
  }
  bool Granted(const std::string& id) {
    return Eventually([&] { return ReservationNow(id).state() == v1::RESERVATION_STATE_GRANTED; });
  }

  FakeController r01_{"r01", 2};
  std::unique_ptr<LabProcess> lab_;
};

TEST_F(LabProgram, Job_IsPlacedRunReportedAndItsLogFollowed) {
  StartWithOneRack();
  const std::string job = Submit("model=pixel-8");
  ASSERT_TRUE(Runs(job));
  const v1::SyncResult desired = Sync();
  ASSERT_EQ(desired.attempts_size(), 1);
  const auto& wanted = desired.attempts(0);
  EXPECT_EQ(wanted.attempt(), job + ".1");
  EXPECT_EQ(wanted.lease(), r01_.LeaseOf(wanted.slot()).id());
  EXPECT_EQ(r01_.LeaseOf(wanted.slot()).holder(), "ana");
  ASSERT_TRUE(Tell(wanted.attempt(), v1::ATTEMPT_STATE_RUNNING).ok());
  ASSERT_TRUE(Put(wanted.attempt(), 0, "hello ").ok());
  auto piece = Read(wanted.attempt(), 0);
  ASSERT_TRUE(piece.ok()) << ToString(piece.status());
  EXPECT_EQ(piece->read_chunk().data(), "hello ");
  EXPECT_FALSE(piece->read_chunk().complete());
  ASSERT_TRUE(Put(wanted.attempt(), 6, "world", true).ok());
  piece = Read(wanted.attempt(), 6);
  ASSERT_TRUE(piece.ok());
  EXPECT_EQ(piece->read_chunk().data(), "world");
  EXPECT_TRUE(piece->read_chunk().complete());
  r01_.EndLease(wanted.slot());
  const auto ended = Tell(wanted.attempt(), v1::ATTEMPT_STATE_ENDED, v1::OUTCOME_PASSED);
  ASSERT_TRUE(ended.ok());
  EXPECT_FALSE(ended->report_attempt().end_it());
  EXPECT_EQ(JobNow(job).state(), v1::JOB_STATE_FINISHED);
  EXPECT_EQ(JobNow(job).outcome(), v1::OUTCOME_PASSED);
  EXPECT_EQ(Sync().attempts_size(), 0);
}

TEST_F(LabProgram, Reservation_IsGrantedWithLeaseAndControllerAndEndsWithTheLease) {
  StartWithOneRack();
  const std::string id = Reserve("slot=r01/02", 30).id();
  ASSERT_TRUE(Granted(id));
  const v1::Reservation granted = ReservationNow(id);
  ASSERT_EQ(granted.leases_size(), 1);
  EXPECT_EQ(granted.leases(0).slot(), "r01/02");
  EXPECT_EQ(granted.leases(0).id(), r01_.LeaseOf("r01/02").id());
  EXPECT_GT(granted.leases(0).left_ms(), 1'000'000u);
  EXPECT_EQ(granted.controller(), r01_.endpoint());
  r01_.EndLease("r01/02");
  EXPECT_TRUE(Eventually([&] { return ReservationNow(id).state() == v1::RESERVATION_STATE_ENDED; }));
}

TEST_F(LabProgram, KilledDuringAJob_JobGoesOnAndNothingIsDoubled) {
  StartWithOneRack();
  const std::string job = Submit("");
  const std::string kept = Reserve("", 30).id();
  ASSERT_TRUE(Runs(job));
  ASSERT_TRUE(Granted(kept));
  ASSERT_TRUE(Tell(job + ".1", v1::ATTEMPT_STATE_RUNNING).ok());
  ASSERT_TRUE(Put(job + ".1", 0, "before").ok());
  const std::string version = Sync().version();

  lab_->KillHard();
  lab_->Start();

  EXPECT_EQ(JobNow(job).state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(JobNow(job).attempts_size(), 1);
  EXPECT_EQ(Sync().version(), version);
  const auto resumed = Put(job + ".1", 0, "before");
  ASSERT_TRUE(resumed.ok());
  EXPECT_EQ(resumed->put_chunk().next_offset(), 6u);
  EXPECT_EQ(ReservationNow(kept).state(), v1::RESERVATION_STATE_GRANTED);
  const std::string other = Submit("");
  EXPECT_EQ(JobNow(other).state(), v1::JOB_STATE_QUEUED);
  ASSERT_TRUE(Tell(job + ".1", v1::ATTEMPT_STATE_ENDED, v1::OUTCOME_PASSED).ok());
  EXPECT_EQ(JobNow(job).outcome(), v1::OUTCOME_PASSED);
  // The scripted agent never released the lease: the lab gives back what no record needs, and the next job gets it.
  ASSERT_TRUE(Runs(other));
  EXPECT_EQ(r01_.acquires(), 3);
  EXPECT_EQ(r01_.leased(), 2);
}

TEST_F(LabProgram, KilledWhileWishesWait_OrderAndPlacesStay) {
  StartWithOneRack();
  ASSERT_TRUE(Granted(Reserve("slot=r01/01", 30).id()));
  const std::string first = Reserve("slot=r01/01", 600).id();
  const std::string second = Reserve("slot=r01/01", 600).id();
  lab_->KillHard();
  lab_->Start();
  EXPECT_EQ(ReservationNow(first).queue_position(), 1u);
  EXPECT_EQ(ReservationNow(second).queue_position(), 2u);
  r01_.EndLease("r01/01");
  ASSERT_TRUE(Granted(first));
  EXPECT_EQ(ReservationNow(second).state(), v1::RESERVATION_STATE_WAITING);
  EXPECT_NE(ReservationNow(second).reason().find("1 matches: 1 leased until"), std::string::npos)
      << ReservationNow(second).reason();
}

TEST_F(LabProgram, SameKeyTwice_OneJob) {
  StartWithOneRack();
  const std::string job = Submit("", "key-1");
  EXPECT_EQ(Submit("", "key-1"), job);
  lab_->KillHard();
  lab_->Start();
  EXPECT_EQ(Submit("", "key-1"), job);
  v1::Request other;
  other.set_idempotency_key("key-1");
  other.mutable_submit_job()->mutable_spec()->add_command("false");
  EXPECT_EQ(lab_->AsAna(other).status().code(), Code::kInvalidArgument);
}

TEST_F(LabProgram, BadRequests_AreClearErrors) {
  StartWithOneRack();
  v1::Request request;
  request.mutable_reserve()->set_selector("model==(");
  EXPECT_EQ(lab_->AsAna(request).status().code(), Code::kInvalidArgument);
  request.Clear();
  request.mutable_get_job()->set_id("job-99");
  EXPECT_EQ(lab_->AsAna(request).status().code(), Code::kNotFound);
  request.mutable_get_job()->set_id("../etc/passwd");
  EXPECT_EQ(lab_->AsAna(request).status().code(), Code::kNotFound);
  request.Clear();
  request.mutable_submit_job()->mutable_spec()->set_selector("model=pixel-8");
  EXPECT_EQ(lab_->AsAna(request).status().code(), Code::kInvalidArgument) << "no command";
  request.mutable_submit_job()->mutable_spec()->add_command("true");
  EXPECT_EQ(lab_->Call(request, "eve", "viewer").status().code(), Code::kPermissionDenied);
  request.Clear();
  request.mutable_locate()->set_rack("r07");
  EXPECT_EQ(lab_->AsAna(request).status().code(), Code::kNotFound);
  request.mutable_locate()->set_rack("r01-02-42");
  EXPECT_EQ(lab_->AsAna(request)->locate().controller(), r01_.endpoint());
  EXPECT_EQ(Put("job-1.1", 0, "x").status().code(), Code::kNotFound);
}

TEST_F(LabProgram, ImpossibleWish_FailsAtOnceAndNamesTheNearest) {
  StartWithOneRack();
  ASSERT_TRUE(Granted(Reserve("", 30).id()));
  const v1::Reservation failed = Reserve("model=pixel-9", 600);
  EXPECT_EQ(failed.state(), v1::RESERVATION_STATE_FAILED);
  EXPECT_NE(failed.reason().find("nearest that exists is model=pixel-8 (2 slots)"), std::string::npos)
      << failed.reason();
  const std::string job = Submit("os>=16");
  EXPECT_EQ(JobNow(job).outcome(), v1::OUTCOME_NO_DEVICE);
  EXPECT_NE(JobNow(job).reason().find("os=14"), std::string::npos) << JobNow(job).reason();
}

TEST_F(LabProgram, HungController_DelaysNoOtherRack) {
  FakeController r02("r02", 1);
  StartWith({{"r01", r01_.endpoint()}, {"r02", r02.endpoint()}});
  ASSERT_TRUE(Granted(Reserve("rack=r02", 30).id()));
  r01_.Hang(true);
  r02.EndLease("r02/01");
  const BootTime begin = BootClock::now();
  ASSERT_TRUE(Granted(Reserve("rack=r02", 30).id()));
  // Two seconds is the poll's timeout at the hung rack: had it been waited for, this would take longer.
  EXPECT_LT((BootClock::now() - begin).count(), 1900);
}

TEST_F(LabProgram, CancelledJob_LeavesTheAgentsListAndEndsWhenItReports) {
  StartWithOneRack();
  const std::string job = Submit("");
  ASSERT_TRUE(Runs(job));
  ASSERT_TRUE(Tell(job + ".1", v1::ATTEMPT_STATE_RUNNING).ok());
  v1::Request request;
  request.mutable_cancel_job()->set_id(job);
  request.mutable_cancel_job()->set_reason("wrong build");
  ASSERT_TRUE(lab_->AsAna(request).ok());
  EXPECT_EQ(lab_->Call(request, "bob", "user").status().code(), Code::kOk);
  EXPECT_EQ(Sync().attempts_size(), 0);
  EXPECT_EQ(JobNow(job).state(), v1::JOB_STATE_RUNNING);
  EXPECT_TRUE(Tell(job + ".1", v1::ATTEMPT_STATE_RUNNING)->report_attempt().end_it());
  ASSERT_TRUE(Tell(job + ".1", v1::ATTEMPT_STATE_ENDED, v1::OUTCOME_CANCELLED).ok());
  EXPECT_EQ(JobNow(job).outcome(), v1::OUTCOME_CANCELLED);
}

TEST_F(LabProgram, HundredMegabytesOfLog_ArriveAndCanBeReadAnywhere) {
  StartWithOneRack();
  const std::string job = Submit("");
  ASSERT_TRUE(Runs(job));
  const std::string block(256 * 1024, 'x');
  v1::Request request;
  auto* put = request.mutable_put_chunk();
  put->set_attempt(job + ".1");
  put->set_name("log");
  put->set_data(block);
  put->set_crc32(Crc32(block));
  request.mutable_caller()->set_user("h01");
  request.mutable_caller()->set_role("agent");
  zmq::context_t context;
  rpc::BlockingClient agent(context, lab_->endpoint(), request.caller());
  constexpr uint64_t kSize = 100ULL << 20;
  for (uint64_t offset = 0; offset < kSize; offset += block.size()) {
    put->set_offset(offset);
    const auto reply = agent.Call(request, Milliseconds(20'000));
    ASSERT_TRUE(reply.ok()) << ToString(reply.status());
    ASSERT_EQ(reply->put_chunk().next_offset(), offset + block.size());
  }
  const auto middle = Read(job + ".1", kSize / 2 - 5);
  ASSERT_TRUE(middle.ok());
  EXPECT_EQ(middle->read_chunk().data(), block);
  EXPECT_EQ(middle->read_chunk().size(), kSize);
}

TEST_F(LabProgram, GarbageOnTheSocket_IsAnsweredAndTheLabGoesOn) {
  StartWithOneRack();
  zmq::context_t context;
  zmq::socket_t dealer(context, zmq::socket_type::dealer);
  dealer.set(zmq::sockopt::linger, 0);
  dealer.set(zmq::sockopt::rcvtimeo, 20'000);
  dealer.connect(lab_->endpoint());
  dealer.send(zmq::buffer(std::string("\xff\xff\xff garbage")), zmq::send_flags::none);
  zmq::message_t answer;
  ASSERT_TRUE(dealer.recv(answer).has_value());
  v1::Reply reply;
  ASSERT_TRUE(reply.ParseFromArray(answer.data(), static_cast<int>(answer.size())));
  EXPECT_EQ(reply.status().code(), static_cast<int>(Code::kInvalidArgument));
  EXPECT_TRUE(Granted(Reserve("", 30).id()));
}

TEST_F(LabProgram, Events_TellOfReservationsAndJobsWithoutSecrets) {
  StartWithOneRack();
  evloop::Loop loop;
  zmq::context_t context;
  std::map<std::string, v1::Event> seen;  // by topic and kind
  const rpc::Subscriber subscriber(
      loop, context, lab_->events(), {}, {"job/", "reservation/", "tick/"}, [&](const v1::Event& event) {
        seen[event.topic() + event.kind()] = event;
      });
  const auto until = [&](const std::function<bool()>& condition) {
    return Eventually([&] {
      loop.RunOnce(Milliseconds(10));
      return condition();
    });
  };
  // A tick says that the subscription stands.
  ASSERT_TRUE(until([&] { return !seen.empty(); }));
  v1::Request request;
  request.mutable_submit_job()->mutable_spec()->add_command("true");
  (*request.mutable_submit_job()->mutable_spec()->mutable_environment())["TOKEN"] = "secret";
  ASSERT_TRUE(lab_->AsAna(request).ok());
  const std::string id = Reserve("", 30).id();
  EXPECT_TRUE(until([&] { return seen.contains("job/job-1/job.running"); }));
  EXPECT_TRUE(until([&] { return seen.contains("reservation/" + id + "/reservation.granted"); }));
  EXPECT_TRUE(seen["job/job-1/job.running"].job().spec().environment().empty());
  EXPECT_EQ(Sync().attempts(0).spec().environment().at("TOKEN"), "secret");
  EXPECT_EQ(JobNow("job-1").spec().environment().at("TOKEN"), "secret") << "the submitter's own";
  v1::Request get;
  get.mutable_get_job()->set_id("job-1");
  const auto seen_by_bo = lab_->Call(get, "bo", "user");
  ASSERT_TRUE(seen_by_bo.ok());
  EXPECT_EQ(seen_by_bo->job().job().spec().command(0), "true");
  EXPECT_TRUE(seen_by_bo->job().job().spec().environment().empty());
}

TEST_F(LabProgram, RackThatNamesAnothersLeases_EndsNoneOfThem) {
  FakeController r02("r02", 1);
  StartWith({{"r01", r01_.endpoint()}, {"r02", r02.endpoint()}});
  const std::string id = Reserve("rack=r02", 30).id();
  ASSERT_TRUE(Eventually([&] { return r02.leased() == 1; }));
  const v1::Lease victim = r02.LeaseOf("r02/01");
  r01_.Change("r01/01", [&](v1::SlotState* slot) {
    slot->set_allocation(v1::ALLOCATION_LEASED);
    *slot->mutable_lease() = victim;
    slot->mutable_lease()->set_reservation("res-77");
  });
  EXPECT_TRUE(Eventually([&] { return lab_->Log().find("speaks of what is not its own") != std::string::npos; }));
  // Placed after several more answers of both racks.
  const std::string job = Submit("slot=r01/02");
  EXPECT_TRUE(Runs(job));
  EXPECT_EQ(r02.leased(), 1);
  EXPECT_EQ(lab_->Log().find("giving back lease"), std::string::npos);
}

TEST_F(LabProgram, SecondLabOnOneStateFolder_IsRefused) {
  StartWithOneRack();
  EXPECT_EQ(lab_->RunAnother({"--config", lab_->folder() + "/lab.yaml"}), 1);
  EXPECT_EQ(lab_->RunAnother({"--config", lab_->folder() + "/lab.yaml", "--check"}), 0);
  EXPECT_EQ(lab_->RunAnother({"--config", lab_->folder() + "/nothing.yaml"}), 2);
  EXPECT_EQ(lab_->RunAnother({"--confg", "x"}), 2);
  EXPECT_EQ(lab_->RunAnother({"--help"}), 0);
  EXPECT_EQ(lab_->RunAnother({"--version"}), 0);
  EXPECT_TRUE(Granted(Reserve("", 30).id())) << "the first goes on";
}

TEST_F(LabProgram, Sigterm_EndsCleanly) {
  StartWithOneRack();
  EXPECT_EQ(lab_->End(), 0);
  std::ifstream log(lab_->folder() + "/lab.log");
  std::stringstream text;
  text << log.rdbuf();
  EXPECT_NE(text.str().find("serves 1 racks"), std::string::npos);
  EXPECT_EQ(text.str().find("Sanitizer"), std::string::npos) << text.str();
}

// ---- with keys
// --------------------------------------------------------------------------------------------------------

// The lab as it is without a word in its config: CURVE, one controller that enrols.
class GuardedLab : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = (std::filesystem::temp_directory_path() / "faraday-guarded-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    StartRack("tcp://127.0.0.1:0");
    lab_ = std::make_unique<LabProcess>(std::vector<RackLine>{{"r01", r01_->endpoint()}}, false);
    lab_->Start();
  }
  void TearDown() override {
    if (HasFailure()) fprintf(stderr, "%s\n", lab_->Log().c_str());
    r01_.reset();
    std::filesystem::remove_all(folder_);
  }
  void StartRack(const std::string& endpoint) {
    r01_.reset();
    r01_ = std::make_unique<FakeController>("r01", 2, folder_, endpoint);
    ASSERT_TRUE(r01_->endpoint().starts_with("tcp://")) << r01_->endpoint();
  }
  std::string AddUser(const std::string& name, const std::string& role) {
    v1::Request request;
    request.mutable_add_user()->set_name(name);
    request.mutable_add_user()->add_roles(role);
    const auto reply = lab_->AsLocalAdmin(request);
    EXPECT_TRUE(reply.ok()) << ToString(reply.status());
    return reply.ok() ? reply->user().secret() : "";
  }
  access::KeyPair Enrolled(const std::string& name, const std::string& role) {
    const auto code = access::ParseCredential(AddUser(name, role));
    const access::KeyPair own = access::NewKeyPair();
    v1::Request request;
    request.mutable_enrol()->set_key(std::string(own.public_key.bytes.begin(), own.public_key.bytes.end()));
    const auto reply = lab_->CallWith(request, code->keys);
    EXPECT_TRUE(reply.ok()) << ToString(reply.status());
    return own;
  }
  void EnrolTheRack() {
    const std::string code = AddUser("r01", "controller");
    const std::string endpoint = r01_->endpoint();
    r01_.reset();
    rpc::EnrolMachine machine;
    machine.server = lab_->endpoint();
    machine.name = "r01";
    machine.role = access::Role::kController;
    machine.state_dir = folder_;
    machine.key_file = "keys/server.key";
    zmq::context_t context;
    const auto done = rpc::Enrol(context, machine, code);
    ASSERT_TRUE(done.ok()) << ToString(done.status());
    StartRack(endpoint);
  }
  v1::ListRacksResult::Rack Rack() {
    v1::Request request;
    request.mutable_list_racks();
    const auto reply = lab_->AsLocalAdmin(request);
    return reply.ok() ? reply->list_racks().racks(0) : v1::ListRacksResult::Rack();
  }
  uint64_t LabsRoster() {
    v1::Request request;
    request.mutable_list_users();
    const auto reply = lab_->AsLocalAdmin(request);
    return reply.ok() ? reply->list_users().roster() : 0;
  }

  // The lab's newest audit record of that call.
  v1::AuditRecord Noted(const std::string& call) {
    v1::Request request;
    request.mutable_read_audit()->set_call(call);
    request.mutable_read_audit()->set_newest(true);
    request.mutable_read_audit()->set_limit(1);
    const auto reply = lab_->AsLocalAdmin(request);
    const bool found = reply.ok() && reply->read_audit().records_size() > 0;
    EXPECT_TRUE(found) << call << ": " << ToString(reply.status());
    return found ? reply->read_audit().records(0) : v1::AuditRecord();
  }

  std::string folder_;
  std::unique_ptr<FakeController> r01_;
  std::unique_ptr<LabProcess> lab_;
};

TEST_F(GuardedLab, NobodyComesInWithoutAKey) {
  v1::Request request;
  request.mutable_list_racks();
  EXPECT_FALSE(lab_->Call(request, "ana", "admin", Milliseconds(2'000)).ok()) << "plain text";
  EXPECT_EQ(lab_->CallWith(request, access::NewKeyPair()).status().code(), Code::kUnauthenticated);
  EXPECT_TRUE(lab_->AsLocalAdmin(request).ok());
}

TEST_F(GuardedLab, RackThatIsNotEnrolled_SaysWhatToRun_ThenIsServed) {
  EXPECT_TRUE(Eventually([&] { return Rack().reason().find("user add r01 --role controller") != std::string::npos; }))
      << Rack().reason();
  EnrolTheRack();
  ASSERT_TRUE(Eventually([&] { return Rack().reachable(); })) << Rack().reason();
  EXPECT_EQ(Rack().state().security(), "CURVE");
  v1::Request request;
  request.mutable_locate()->set_rack("r01/01");
  const auto located = lab_->AsLocalAdmin(request);
  ASSERT_TRUE(located.ok());
  const auto own = access::ReadSecret(folder_ + "/keys/server.key");
  const access::PublicKey key = access::KeyPairOf(*own).public_key;
  EXPECT_EQ(located->locate().public_key(), std::string(key.bytes.begin(), key.bytes.end()));
}

TEST_F(GuardedLab, Users_ReachControllersAndAgentsAtOnce) {
  EnrolTheRack();
  const access::KeyPair h01 = Enrolled("h01", "agent");
  const auto sync = [&](uint64_t roster, const std::string& have) {
    v1::Request request;
    request.mutable_sync()->set_agent("h01");
    request.mutable_sync()->set_roster(roster);
    request.mutable_sync()->set_have(have);
    const auto reply = lab_->CallWith(request, h01, Milliseconds(15'000));
    EXPECT_TRUE(reply.ok()) << ToString(reply.status());
    return reply.ok() ? reply->sync() : v1::SyncResult();
  };
  const access::KeyPair ana = Enrolled("ana", "user");
  v1::Request submit;
  submit.mutable_submit_job()->mutable_spec()->add_command("true");
  submit.mutable_submit_job()->mutable_spec()->set_queue_timeout_s(60);
  ASSERT_TRUE(lab_->CallWith(submit, ana).ok());
  ASSERT_TRUE(Eventually([&] { return sync(LabsRoster(), "").attempts_size() == 1; }));
  const v1::SyncResult first = sync(0, "");
  ASSERT_TRUE(first.has_roster());
  EXPECT_EQ(first.attempts_size(), 0) << "both may not fit into one frame";
  EXPECT_EQ(first.version(), "") << "the next question is answered at once";
  v1::Roster roster;
  ASSERT_TRUE(roster.ParseFromString(first.roster().roster()));
  EXPECT_TRUE(std::ranges::any_of(roster.entries(), [&](const auto& entry) {
    return entry.user() == "r01" && entry.endpoint() == r01_->endpoint();
  })) << "agents find their controllers in it";
  const v1::SyncResult list = sync(roster.number(), first.version());
  EXPECT_FALSE(list.has_roster());
  EXPECT_EQ(list.attempts_size(), 1);
  // A poll that waits is answered with the new roster, long before its 10 s.
  std::thread later([&] {
    ::usleep(300'000);
    AddUser("bo", "user");
  });
  const BootTime asked = BootClock::now();
  const v1::SyncResult next = sync(roster.number(), list.version());
  later.join();
  EXPECT_TRUE(next.has_roster());
  EXPECT_EQ(next.version(), list.version());
  EXPECT_LT(BootClock::now() - asked, Milliseconds(8'000));
  EXPECT_TRUE(Eventually([&] { return LabsRoster() > roster.number() && Rack().state().roster() == LabsRoster(); }));
}

TEST_F(GuardedLab, Disabled_ReservationIsCancelledAndTheLeaseGivenBack) {
  EnrolTheRack();
  const access::KeyPair ana = Enrolled("ana", "user");
  ASSERT_TRUE(Eventually([&] { return Rack().reachable() && Rack().state().slots_size() == 2; }));
  v1::Request request;
  request.mutable_reserve()->set_wait_s(60);
  const auto reserved = lab_->CallWith(request, ana);
  ASSERT_TRUE(reserved.ok()) << ToString(reserved.status());
  ASSERT_TRUE(Eventually([&] { return r01_->leased() == 1; }));
  v1::Request disable;
  disable.mutable_disable_user()->set_name("ana");
  disable.mutable_disable_user()->set_reason("has left");
  ASSERT_TRUE(lab_->AsLocalAdmin(disable).ok());
  EXPECT_EQ(lab_->CallWith(request, ana).status().code(), Code::kUnauthenticated);
  EXPECT_TRUE(Eventually([&] { return r01_->leased() == 0; }));
  v1::Request get;
  get.mutable_get_reservation()->set_id(reserved->reservation().reservation().id());
  ASSERT_TRUE(Eventually([&] {
    const auto seen = lab_->AsLocalAdmin(get);
    return seen.ok() && seen->reservation().reservation().state() == v1::RESERVATION_STATE_CANCELLED;
  }));
  EXPECT_EQ(lab_->AsLocalAdmin(get)->reservation().reservation().reason(),
            "cancelled: user ana is disabled at the lab");
  const v1::AuditRecord note = Noted("wish_cancelled");
  EXPECT_EQ(note.on(), get.get_reservation().id());
  EXPECT_EQ(note.result(), "user ana is disabled at the lab");
}

TEST_F(GuardedLab, UsersRestoredFromAnOlderCopy_AreToldLoudly) {
  namespace fs = std::filesystem;
  EnrolTheRack();
  ASSERT_TRUE(Eventually([&] { return Rack().state().roster() == LabsRoster(); }));
  lab_->End();
  fs::copy(lab_->folder() + "/state", lab_->folder() + "/older", fs::copy_options::recursive);
  lab_->Start();
  Enrolled("ana", "user");
  const uint64_t newest = LabsRoster();
  ASSERT_TRUE(Eventually([&] { return Rack().state().roster() == newest; }));
  lab_->End();
  for (const char* file : {"users", "roster"}) {
    if (!fs::exists(lab_->folder() + "/older/" + file)) continue;
    fs::copy(lab_->folder() + "/older/" + file,
             lab_->folder() + "/state/" + file,
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  }
  lab_->Start();
  ASSERT_TRUE(Eventually([&] { return LabsRoster() > newest; }));
  EXPECT_THAT(lab_->Log(), HasSubstr("this lab's users are an older copy"));
  const v1::AuditRecord note = Noted("older_users");
  EXPECT_EQ(note.on(), "r01");
  EXPECT_THAT(note.what(), HasSubstr(fmt::format("rack r01 has {}", newest)));
}

// The real programs: enrolment with the code on standard input, then a rack and an agent that know each other.
class EnrolledPrograms : public GuardedLab {
 protected:
  void SetUp() override {
    GuardedLab::SetUp();
    const std::string endpoint = r01_->endpoint();
    r01_.reset();
    std::ofstream(folder_ + "/r01.yaml")
        << "rack: r01\ncontroller: {listen: \"" << endpoint
        << "\", events: \"tcp://127.0.0.1:0\", state_dir: rack}\n"
           "hosts: [{name: h01}]\n"
           "boards: [{port: {path: /dev/nothing}, rails: [{name: A, budget_ma: 4000}]}]\n"
           "slots: [{slot: 1, current_limit_ma: 2000}]\n";
    std::ofstream(folder_ + "/agent.yaml")
        << "host: h01\ncontrollers: [\"" << endpoint << "\"]\nlab: " << lab_->endpoint() << "\nstate_dir: agent\n";
  }
  void TearDown() override {
    for (const pid_t pid : running_) {
      ::kill(pid, SIGTERM);
      int status = 0;
      ::waitpid(pid, &status, 0);
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << Said();
    }
    if (HasFailure()) fprintf(stderr, "%s\n", Said().c_str());
    GuardedLab::TearDown();
  }
  std::string Command(const std::string& program, const std::string& words) const {
    return fmt::format("exec {0}/{1} --config {2}/{3} {4} >>{2}/said 2>&1",
                       FARADAY_BIN_DIR,
                       program,
                       folder_,
                       program == "faraday-agent" ? "agent.yaml" : "r01.yaml",
                       words);
  }
  // Its exit code.
  int Enrol(const std::string& program, const std::string& words, const std::string& code) const {
    std::ofstream(folder_ + "/code") << code << "\n";
    const int status = std::system(Command(program, words + " <" + folder_ + "/code").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  }
  void Start(const std::string& program) {
    const std::string command = Command(program, "");
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      ::_exit(127);
    }
    running_.push_back(pid);
  }
  std::string Said() const {
    std::ifstream in(folder_ + "/said");
    return {std::istreambuf_iterator<char>(in), {}};
  }
  uint64_t RosterOf(const std::string& state_dir) const {
    const auto roster = access::RosterFile::Load(folder_ + "/" + state_dir + "/roster");
    return roster.ok() ? roster->number() : 0;
  }

  std::vector<pid_t> running_;
};

TEST_F(EnrolledPrograms, EnrolServeAndFollowTheRoster) {
  const std::string to_lab = "--enrol " + lab_->endpoint();
  const std::string code = AddUser("r01", "controller");
  EXPECT_EQ(Enrol("faraday-controller", to_lab, ""), 2);
  EXPECT_THAT(Said(), HasSubstr("no enrolment code on standard input"));
  EXPECT_EQ(Enrol("faraday-controller", to_lab, code.substr(0, code.size() - 2)), 2);
  EXPECT_EQ(Enrol("faraday-controller", to_lab, code), 0) << Said();
  EXPECT_THAT(Said(), HasSubstr("r01 (controller) is enrolled at " + lab_->endpoint()));
  EXPECT_EQ(Enrol("faraday-agent", "--enrol", AddUser("h01", "agent")), 0) << Said();
  EXPECT_EQ(Enrol("faraday-agent", "--enrol", code), 1) << "r01's code, used";
  EXPECT_THAT(Said(), testing::Not(HasSubstr(code)));
  Start("faraday-controller");
  ASSERT_TRUE(Eventually([&] { return Rack().reachable(); })) << Rack().reason() << Said();
  EXPECT_EQ(Enrol("faraday-controller", to_lab, code), 1);
  EXPECT_THAT(Said(), HasSubstr("is in use by another faraday-controller"));
  Start("faraday-agent");
  Enrolled("ana", "user");
  EXPECT_TRUE(Eventually([&] { return RosterOf("rack") == LabsRoster() && RosterOf("agent") == LabsRoster(); }));
  EXPECT_THAT(Said(), testing::Not(HasSubstr("controller " + Rack().controller() + ": the key of")));
}

TEST_F(GuardedLab, WordsOfTheLocalAdmin_NeedARunningLab_RotateSignerAStoppedOne) {
  const std::string config = lab_->folder() + "/lab.yaml";
  EXPECT_EQ(lab_->RunAnother({"--config", config, "user", "add", "ana", "--role", "user"}), 0) << lab_->Log();
  EXPECT_GE(LabsRoster(), 2u);
  // The rack does not know the lab's break-glass key and is not asked.
  EnrolTheRack();
  ASSERT_TRUE(Eventually([&] { return Rack().reachable(); }));
  EXPECT_EQ(lab_->RunAnother({"--config", config, "audit", "--on", "ana"}), 0) << lab_->Log();
  EXPECT_EQ(lab_->RunAnother({"--config", config, "audit", "verify"}), 0) << lab_->Log();
  EXPECT_EQ(lab_->RunAnother({"--config", config, "rotate-signer"}), 1);
  EXPECT_NE(lab_->Log().find("while the lab is stopped"), std::string::npos);
  EXPECT_EQ(lab_->RunAnother({"--config", config, "frobnicate"}), 2);
  lab_->End();
  EXPECT_EQ(lab_->RunAnother({"--config", config, "user", "list"}), 1);
  EXPECT_NE(lab_->Log().find("start it first"), std::string::npos);
  EXPECT_EQ(lab_->RunAnother({"--config", config, "rotate-signer"}), 0) << lab_->Log();
  lab_->Start();
}

TEST_F(GuardedLab, KeyThatOthersMayRead_RefusesToStart) {
  lab_->End();
  const std::string key = lab_->folder() + "/state/keys/server.key";
  ASSERT_EQ(::chmod(key.c_str(), 0644), 0);
  EXPECT_EQ(lab_->RunAnother({"--config", lab_->folder() + "/lab.yaml"}), 1);
  EXPECT_NE(lab_->Log().find("chmod"), std::string::npos);
  ASSERT_EQ(::chmod(key.c_str(), 0600), 0);
  lab_->Start();
}

}  // namespace
}  // namespace faraday::lab
