// The whole program in this process, against a lab and a controller made of rpc::Server on loopback port 0.
#include "cli/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <mutex>
#include <sstream>

#include "cli/job_text.h"
#include "cli/probe.h"
#include "cli/program_fixture.h"
#include "cli/verbs.h"

namespace faraday::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// ---- usage ----

struct BadLine {
  const char* name;
  std::vector<std::string> args;
  const char* says;
};
class UsageTest : public ProgramTest, public ::testing::WithParamInterface<BadLine> {};

TEST_P(UsageTest, ExitsWith2AndSaysWhatToDo) {
  const Outcome outcome = Faraday(GetParam().args);
  EXPECT_EQ(outcome.exit, 2) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("faraday: "), HasSubstr(GetParam().says)));
  EXPECT_EQ(outcome.out, "");
}

const BadLine kBadLines[] = {
    {"nothing",
     {},
     "do what? one of: status, reserve, renew, release, power, shield, usb, slot, rack, locate, run, job, events, "
     "link, "
     "login, whoami, logout, user, audit\nSee: faraday --help"},
    {"misspelt_verb", {"reserv", "-l", "a"}, "'reserv' is no verb (did you mean \"reserve\"?)"},
    {"unknown_option", {"status", "--colour"}, "See: faraday status --help"},
    {"group_without_verb", {"power"}, "power what? one of: on, off, cycle\nSee: faraday power --help"},
    {"no_slot", {"power", "on"}, "slot is required"},
    {"no_rack", {"rack", "stop", "--reason", "x"}, "rack is required"},
    {"no_rack_name", {"rack", "stop", "r01/07", "--reason", "x"}, "'r01/07' is not a rack; write its name"},
    {"stop_without_reason", {"rack", "stop", "r01"}, "--reason is required"},
    {"resume_without_reason", {"rack", "resume", "r01"}, "--reason is required"},
    {"fitted_without_reason", {"slot", "relay-fitted", "r01/07"}, "--reason is required"},
    {"log_limit", {"rack", "log", "r01", "--limit", "5001"}, "--limit: '5001' is out of range, allowed 1 to 5000"},
    {"locate_what", {"locate", "7"}, "'7' is neither a rack (r01) nor a slot (r01/07)"},
    {"locate_too_long", {"locate", "r01", "--for", "2h"}, "--for: 2h is out of range, allowed 1s to 1h"},
    {"locate_both", {"locate", "r01", "--for", "2s", "--off"}, "--for and --off exclude each other"},
    {"no_selector", {"reserve"}, "--selector is required"},
    {"bad_selector", {"reserve", "-l", "model=="}, "column"},
    {"bad_time", {"reserve", "-l", "a", "--for", "5x"}, "--for: '5x' is no time: write 500ms, 2s, 30m or 8h"},
    {"time_out_of_range",
     {"power", "cycle", "r01/07", "--off-for", "1h"},
     "--off-for: 1h is out of range, allowed 500ms to 10m"},
    {"no_slot_name", {"power", "on", "seven"}, "'seven' is not a slot; write rack/number, for example r01/07"},
    {"no_lease_name", {"release", "xyz"}, "'xyz' is not a lease"},
    {"force_without_reason", {"release", "r01-07-42", "--force"}, "say why with --reason"},
    {"no_command", {"run", "-l", "a"}, "no command to run: put it after --"},
    {"empty_command", {"run", "-l", "a", "--"}, "nothing follows the --"},
    {"command_for_status", {"status", "--", "x"}, "this verb takes no command after --"},
    {"junit_outside", {"run", "-l", "a", "--junit", "../x", "--", "true"}, "--junit: '../x' must be a path inside"},
    {"bad_env", {"run", "-l", "a", "--env", "1=2", "--", "true"}, "--env: '1=2' is no NAME=VALUE"},
    {"no_endpoint", {"--lab", "lab", "job", "list"}, "'lab' is no endpoint; write tcp://127.0.0.1:7710"},
    {"plain_elsewhere", {"--lab", "tcp://10.0.0.1:7710", "job", "list"}, "plain text is allowed on loopback only"},
    {"plain_by_way_of_loopback",
     {"--lab", "tcp://127.0.0.1:0;127.77.9.9:7710", "job", "list"},
     "plain text is allowed on loopback only"},
    {"plain_to_a_name_like_loopback",
     {"--lab", "tcp://127.example.invalid:7710", "job", "list"},
     "plain text is allowed on loopback only"},
    {"plain_port_with_a_tail",
     {"--lab", "tcp://127.0.0.1:7710;10.0.0.1", "job", "list"},
     "plain text is allowed on loopback only"},
    {"neither_rack_nor_slot", {"status", "R_1"}, "'R_1' is neither a rack (r01) nor a slot (r01/07)"},
    {"limit", {"job", "list", "--limit", "0"}, "--limit: '0' is out of range, allowed 1 to 500"},
    {"limit_above_the_labs", {"job", "list", "--limit", "501"}, "--limit: '501' is out of range, allowed 1 to 500"},
    {"not_utf8", {"reserve", "-l", "a", "--note", "caf\xe9"}, "argument 5 ('caf?') is not UTF-8"},
    {"not_utf8_command", {"run", "-l", "a", "--", "sh", "\xff"}, "argument 6 ('?') is not UTF-8"},
};
INSTANTIATE_TEST_SUITE_P(All, UsageTest, ::testing::ValuesIn(kBadLines), [](const auto& param) {
  return param.param.name;
});

TEST_F(ProgramTest, EveryVerbTeachesByExample) {
  for (const char* line : {"status",       "reserve",     "renew",          "release",       "power on",
                           "power off",    "power cycle", "shield isolate", "shield couple", "usb open",
                           "usb charge",   "usb connect", "slot stop",      "slot clear",    "slot relay-fitted",
                           "rack stop",    "rack resume", "rack log",       "locate",        "run",
                           "job submit",   "job list",    "job show",       "job logs",      "job cancel",
                           "events",       "link decode", "link encode",    "link ping",     "login",
                           "whoami",       "logout",      "user add",       "user list",     "user role",
                           "user disable", "user enable", "user rotate",    "audit"}) {
    std::istringstream words{std::string(line)};
    std::vector<std::string> args{std::istream_iterator<std::string>(words), {}};
    args.push_back("--help");
    const Outcome outcome = Faraday(args);
    EXPECT_EQ(outcome.exit, 0) << line;
    EXPECT_THAT(outcome.out, AllOf(HasSubstr("Examples:"), HasSubstr(std::string("faraday ")), HasSubstr("--json")))
        << line;
  }
  EXPECT_THAT(Faraday({"--version"}).out, HasSubstr("faraday 0."));
}

TEST_F(ProgramTest, MistakesInTheConfigFileAreAllTold) {
  fs::create_directories(folder_ + "/.config/faraday");
  std::ofstream(folder_ + "/.config/faraday/config.yaml") << "labb: x\nlab: 7710\n";
  const Outcome outcome = Faraday({"status"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("config.yaml:1: unknown key \"labb\" (did you mean \"lab\"?)"),
                    HasSubstr("config.yaml:2: lab: \"7710\" is no endpoint")));
}

TEST_F(ProgramTest, NobodyThereIsSaidAtOnceWithExit3) {
  environment_["FARADAY_LAB"] = "ipc://" + folder_ + "/nobody";
  for (const auto& args :
       std::vector<std::vector<std::string>>{{"status"},
                                             {"reserve", "-l", "a"},
                                             {"run", "-l", "a", "--out", folder_ + "/o", "--", "true"},
                                             {"job", "list"},
                                             {"events"}}) {
    const Outcome outcome = Faraday(args);
    EXPECT_EQ(outcome.exit, 3) << args[0];
    EXPECT_THAT(outcome.err, HasSubstr("nothing answers at ipc://")) << args[0];
  }
}

TEST_F(ProgramTest, NothingConfiguredAndNothingRunningSaysWhereToBegin) {
  const char* guess = "tcp://127.0.0.1:7710";
  if (ProbeEndpoint(guess).ok()) GTEST_SKIP() << "something listens at " << guess;
  for (const char* plain : {"1", "0"}) {
    environment_["FARADAY_PLAIN"] = plain;
    const Outcome outcome = Faraday({"status"});
    EXPECT_EQ(outcome.exit, 3) << plain;
    EXPECT_THAT(
        outcome.err,
        AllOf(HasSubstr("nothing answers at tcp://127.0.0.1:7710, where a lab is looked for when none is named"),
              HasSubstr("./dev demo"),
              HasSubstr("docs/operate/first-ten-minutes.md"),
              Not(HasSubstr("no key is known"))))
        << plain;
    EXPECT_THAT(Faraday({"--lab", guess, "status"}).err, Not(HasSubstr("none is named")));
  }
}

TEST(ExitCodes, OfOutcomesAndStatuses) {
  EXPECT_EQ(ExitOfOutcome(v1::OUTCOME_PASSED), 0);
  EXPECT_EQ(ExitOfOutcome(v1::OUTCOME_FAILED), 1);
  EXPECT_EQ(ExitOfOutcome(v1::OUTCOME_INFRASTRUCTURE), 3);
  EXPECT_EQ(ExitOfOutcome(v1::OUTCOME_NO_DEVICE), 4);
  EXPECT_EQ(ExitOfOutcome(v1::OUTCOME_CANCELLED), 5);
  EXPECT_EQ(ExitOfOutcome(v1::OUTCOME_LEASE_LOST), 5);
  EXPECT_EQ(ExitOfOutcome(v1::OUTCOME_UNSPECIFIED), 3);
  EXPECT_EQ(ExitOf(Status(Code::kPermissionDenied, "")), 1);
  EXPECT_EQ(ExitOf(Status(Code::kInvalidArgument, "")), 2);
  EXPECT_EQ(ExitOf(Status(Code::kUnavailable, "")), 3);
  EXPECT_EQ(ExitOf(Status(Code::kDeadlineExceeded, "")), 3);
}

// ---- against servers ----

TEST_F(ProgramTest, StatusOfARackGoesToItsController) {
  FakeServer controller({{v1::Request::kGetRack, Answers(RackReply(SlotOf("r01/07", "ana")))}});
  FakeServer lab({{v1::Request::kLocate, Answers(LocateReply(controller.endpoint()))}});
  environment_["FARADAY_LAB"] = lab.endpoint();
  const Outcome text = Faraday({"status", "r01"});
  EXPECT_EQ(text.exit, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("rack r01"), HasSubstr("r01/07")));
  const Outcome json = Faraday({"status", "r01", "--json"});
  EXPECT_THAT(json.out, AllOf(HasSubstr("\"measured_mv\": 5021"), HasSubstr("\"never_seen\": false")));
  EXPECT_GT(std::count(json.out.begin(), json.out.end(), '\n'), 10) << "a field a line, for grep";
}

TEST_F(ProgramTest, StatusOfAllRacksShowsTheLabsCopyOfOneThatHangs) {
  v1::Reply racks;
  auto& rack = *racks.mutable_list_racks()->add_racks();
  rack.set_rack("r01");
  rack.set_reachable(false);
  rack.set_reason("no answer since 12 s");
  rack.set_age_ms(12'000);
  *rack.mutable_state() = RackReply(SlotOf("r01/07", "ana")).get_rack().rack();
  FakeServer lab({{v1::Request::kListRacks, Answers(racks)}});
  const Outcome outcome = Faraday({"--lab", lab.endpoint(), "status"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("rack r01 does not answer: no answer since 12 s"),
                    HasSubstr("as of 12s ago"),
                    HasSubstr("r01/07")));
}

TEST_F(ProgramTest, PowerSendsTheEpochAndPrintsWhatIsMeasured) {
  std::mutex mutex;
  v1::Request seen;
  v1::Reply switched;
  *switched.mutable_slot()->mutable_slot() = SlotOf("r01/07", "ana");
  FakeServer controller({{v1::Request::kGetRack, Answers(RackReply(SlotOf("r01/07", "ana")))},
                         {v1::Request::kPower, [&](const rpc::CallPtr& call) {
                            const std::lock_guard lock(mutex);
                            seen = call->request();
                            call->Answer(switched);
                          }}});
  const Outcome outcome =
      Faraday({"power", "cycle", "r01/7", "--off-for", "1s", "--controller", controller.endpoint()});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("r01/07: VBUS on, 5021 mV"));
  const std::lock_guard lock(mutex);
  EXPECT_EQ(seen.power().slot(), "r01/07");
  EXPECT_EQ(seen.power().epoch(), 42U);
  EXPECT_EQ(seen.power().off_ms(), 1000U);
  EXPECT_EQ(seen.caller().user(), "ana");
  EXPECT_EQ(seen.caller().role(), "user");
  EXPECT_EQ(seen.idempotency_key().size(), 32U) << "a cycle acts once";
}

TEST_F(ProgramTest, ATechWithAReasonActsWithoutALease) {
  std::atomic<uint32_t> epoch{99};
  v1::Reply switched;
  *switched.mutable_slot()->mutable_slot() = SlotOf("r01/07", "ana");
  FakeServer controller({{v1::Request::kGetRack, Answers(RackReply(SlotOf("r01/07", "ana")))},
                         {v1::Request::kPower, [&](const rpc::CallPtr& call) {
                            epoch = call->request().power().epoch();
                            call->Answer(switched);
                          }}});
  environment_["FARADAY_CONTROLLER"] = controller.endpoint();
  EXPECT_EQ(Faraday({"--user", "tom", "--role", "tech", "power", "off", "r01/07", "--reason", "hot"}).exit, 0);
  EXPECT_EQ(epoch, 0U);
  EXPECT_EQ(Faraday({"--user", "tom", "power", "off", "r01/07", "--reason", "hot"}).exit, 0);
  EXPECT_EQ(epoch, 42U);
}

TEST_F(ProgramTest, ARefusalIsPlainWordsAndExit1) {
  FakeServer controller(
      {{v1::Request::kGetRack, Answers(RackReply(SlotOf("r01/07", "ana")))},
       {v1::Request::kShield, Refuses(Code::kPermissionDenied, "r01/07 is leased by ana until 14:20\x1b[2J")}});
  environment_["FARADAY_CONTROLLER"] = controller.endpoint();
  const Outcome outcome = Faraday({"--user", "bob", "shield", "couple", "r01/07"});
  EXPECT_EQ(outcome.exit, 1);
  EXPECT_THAT(
      outcome.err,
      ::testing::MatchesRegex("faraday: r01/07 is leased by ana until 14:20\\?\\[2J \\(trace [0-9a-f]{16}\\)\n"));
}

TEST_F(ProgramTest, RenewAndReleaseTakeALeaseOrItsSlot) {
  std::mutex mutex;
  std::vector<std::string> leases;
  const auto note = [&](const std::string& lease) {
    const std::lock_guard lock(mutex);
    leases.push_back(lease);
  };
  FakeServer controller({{v1::Request::kGetRack, Answers(RackReply(SlotOf("r01/07", "ana")))},
                         {v1::Request::kRenew,
                          [&](const rpc::CallPtr& call) {
                            note("renew " + call->request().renew().lease());
                            v1::Reply reply;
                            *reply.mutable_renew()->mutable_lease() = SlotOf("r01/07", "ana").lease();
                            call->Answer(reply);
                          }},
                         {v1::Request::kRelease, [&](const rpc::CallPtr& call) {
                            note("release " + call->request().release().lease());
                            call->Answer(v1::Reply());
                          }}});
  environment_["FARADAY_CONTROLLER"] = controller.endpoint();
  EXPECT_EQ(Faraday({"renew", "r01-07-42", "--for", "1h"}).exit, 0);
  const Outcome outcome = Faraday({"release", "r01/07"});
  EXPECT_EQ(outcome.out, "released r01-07-42\n");
  const std::lock_guard lock(mutex);
  EXPECT_THAT(leases, ::testing::ElementsAre("renew r01-07-42", "release r01-07-42"));
}

v1::Reply ReservationReply(v1::ReservationState state, const std::string& reason) {
  v1::Reply reply;
  auto& reservation = *reply.mutable_reservation()->mutable_reservation();
  reservation.set_id("res-3");
  reservation.set_state(state);
  reservation.set_reason(reason);
  if (state == v1::RESERVATION_STATE_GRANTED) *reservation.add_leases() = SlotOf("r01/07", "ana").lease();
  return reply;
}

TEST_F(ProgramTest, ReserveWaitsByLongPollAndShowsWhatToDoNext) {
  std::atomic<int> polls{0};
  FakeServer lab({{v1::Request::kReserve,
                   Answers(ReservationReply(v1::RESERVATION_STATE_WAITING, "2 match: both leased until 14:20"))},
                  {v1::Request::kGetReservation, [&](const rpc::CallPtr& call) {
                     const bool granted = ++polls > 2;
                     call->Answer(ReservationReply(
                         granted ? v1::RESERVATION_STATE_GRANTED : v1::RESERVATION_STATE_WAITING, "1 matches"));
                   }}});
  environment_["FARADAY_LAB"] = lab.endpoint();
  const Outcome outcome = Faraday({"reserve", "-l", "model=pixel-8", "--wait", "10m"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("lease r01-07-42 on slot r01/07, epoch 42"),
                    HasSubstr("faraday power on r01/07"),
                    HasSubstr("faraday release r01-07-42")));
  EXPECT_THAT(outcome.err, HasSubstr("res-3 is waiting: 2 match: both leased until 14:20"));
}

TEST_F(ProgramTest, ReserveThatFailsSaysWhy) {
  FakeServer lab(
      {{v1::Request::kReserve, Answers(ReservationReply(v1::RESERVATION_STATE_FAILED, "no slot has model=pixel-9"))}});
  const Outcome outcome = Faraday({"reserve", "-l", "model=pixel-9", "--lab", lab.endpoint()});
  EXPECT_EQ(outcome.exit, 1);
  EXPECT_EQ(outcome.err, "faraday: no phone: no slot has model=pixel-9\n");
}

TEST_F(ProgramTest, CtrlCWhileWaitingTakesTheWishBack) {
  std::atomic<int> interrupts{0};
  std::atomic<bool> cancelled{false};
  FakeServer lab({{v1::Request::kReserve, Answers(ReservationReply(v1::RESERVATION_STATE_WAITING, ""))},
                  {v1::Request::kGetReservation,
                   [&](const rpc::CallPtr& call) {
                     interrupts = 1;
                     call->Answer(ReservationReply(v1::RESERVATION_STATE_WAITING, ""));
                   }},
                  {v1::Request::kCancelReservation, [&](const rpc::CallPtr& call) {
                     cancelled = true;
                     call->Answer(ReservationReply(v1::RESERVATION_STATE_CANCELLED, ""));
                   }}});
  environment_["FARADAY_LAB"] = lab.endpoint();
  const Outcome outcome = Faraday({"reserve", "-l", "", "--wait", "1h"}, [&] { return interrupts.load(); });
  EXPECT_EQ(outcome.exit, 5);
  EXPECT_TRUE(cancelled);
  EXPECT_THAT(outcome.err, HasSubstr("cancelled res-3"));
}

TEST_F(ProgramTest, ReserveWithoutALabTakesTheFirstFreeMatch) {
  v1::Reply rack = RackReply(SlotOf("r01/07", "bob"));
  *rack.mutable_get_rack()->mutable_rack()->add_slots() = SlotOf("r01/08", "care");
  rack.mutable_get_rack()->mutable_rack()->mutable_slots(0)->mutable_device()->set_model("pixel-8");
  rack.mutable_get_rack()->mutable_rack()->mutable_slots(1)->mutable_device()->set_model("pixel-8");
  FakeServer controller({{v1::Request::kGetRack, Answers(rack)},
                         {v1::Request::kAcquire, [&](const rpc::CallPtr& call) {
                            v1::Reply reply;
                            reply.mutable_acquire()->mutable_lease()->set_id("r01-08-5");
                            reply.mutable_acquire()->mutable_lease()->set_slot(call->request().acquire().slot());
                            call->Answer(reply);
                          }}});
  environment_["FARADAY_CONTROLLER"] = controller.endpoint();
  EXPECT_THAT(Faraday({"reserve", "-l", "model=pixel-8"}).out, HasSubstr("lease r01-08-5 on slot r01/08"));
  const Outcome none = Faraday({"reserve", "-l", "model=pixel-9"});
  EXPECT_EQ(none.exit, 1);
  EXPECT_THAT(none.err, HasSubstr("no slot of this rack matches"));
  EXPECT_THAT(Faraday({"reserve", "-l", "slot=r01/07"}).err, HasSubstr("no phone is free: r01/07 is leased by bob"));
}

// ---- run ----

// A lab with one job that goes through its states as it is looked at.
class FakeLab {
 public:
  FakeLab() {
    job_.set_id("job-12");
    job_.set_user("ana");
    job_.set_state(v1::JOB_STATE_QUEUED);
    job_.set_queue_position(2);
    job_.set_reason("1 matches: leased until 14:20");
  }
  rpc::HandlerTable Table() {
    return {{v1::Request::kSubmitJob, [this](const rpc::CallPtr& call) { Submit(call); }},
            {v1::Request::kGetJob, [this](const rpc::CallPtr& call) { Get(call); }},
            {v1::Request::kReadChunk, [this](const rpc::CallPtr& call) { Read(call); }},
            {v1::Request::kCancelJob, [this](const rpc::CallPtr& call) { Cancel(call); }}};
  }
  v1::Outcome outcome = v1::OUTCOME_PASSED;
  bool never_ends = false;
  std::string artifact_bytes = "shot";
  std::atomic<bool> running{false};
  std::atomic<bool> cancelled{false};
  std::atomic<int> submits{0};

 private:
  void Answer(const rpc::CallPtr& call) {
    v1::Reply reply;
    *reply.mutable_job()->mutable_job() = job_;
    reply.mutable_job()->set_change(change_);
    call->Answer(reply);
  }
  void Submit(const rpc::CallPtr& call) {
    ++submits;
    *job_.mutable_spec() = call->request().submit_job().spec();
    Answer(call);
  }
  void Get(const rpc::CallPtr& call) {
    ++change_;
    if (job_.state() == v1::JOB_STATE_QUEUED) {
      job_.set_state(v1::JOB_STATE_RUNNING);
      auto& attempt = *job_.add_attempts();
      attempt.set_id("job-12.1");
      attempt.set_slot("r01/03");
      attempt.set_state(v1::ATTEMPT_STATE_PREPARING);
      attempt.set_step("waiting for boot");
    } else if (job_.attempts(0).state() == v1::ATTEMPT_STATE_PREPARING) {
      job_.mutable_attempts(0)->set_state(v1::ATTEMPT_STATE_RUNNING);
      running = true;
    } else if (cancelled || (log_read_ && !never_ends)) {
      End(cancelled ? v1::OUTCOME_CANCELLED : outcome);
    }
    Answer(call);
  }
  void End(v1::Outcome how) {
    job_.set_state(v1::JOB_STATE_FINISHED);
    job_.set_outcome(how);
    auto& attempt = *job_.mutable_attempts(0);
    attempt.set_state(v1::ATTEMPT_STATE_ENDED);
    attempt.set_log_size(12);
    if (attempt.artifacts_size() > 0) return;
    auto& artifact = *attempt.add_artifacts();
    artifact.set_name("artifacts/shots/1.png");
    artifact.set_size(4);
    attempt.add_artifacts()->set_name("../../escape");
    for (const char* when : {"before", "during", "after"}) {
      auto& sample = *attempt.add_power();
      sample.set_when(when);
      sample.set_vbus_mv(5010);
      sample.set_vbus_ma(400);
    }
  }
  void Read(const rpc::CallPtr& call) {
    const auto& ask = call->request().read_chunk();
    const std::string whole = ask.name() == "log" ? "hello\nworld\n" : artifact_bytes;
    if (ask.offset() > whole.size()) return call->Fail(Status(Code::kOutOfRange, "beyond"));
    // Five bytes at a time: the reader must go on by itself.
    v1::Reply reply;
    auto& result = *reply.mutable_read_chunk();
    result.set_offset(ask.offset());
    result.set_data(whole.substr(ask.offset(), 5));
    result.set_size(whole.size());
    const bool at_end = ask.offset() + result.data().size() >= whole.size();
    result.set_complete(at_end && (ask.name() != "log" || !never_ends || cancelled));
    if (at_end && ask.name() == "log") log_read_ = true;
    call->Answer(reply);
  }
  void Cancel(const rpc::CallPtr& call) {
    cancelled = true;
    Answer(call);
  }

  v1::Job job_;
  uint64_t change_ = 1;
  bool log_read_ = false;
};

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_F(ProgramTest, RunStreamsTheLogBringsFilesAndExitsWithTheOutcome) {
  FakeLab fake;
  FakeServer lab(fake.Table());
  environment_["FARADAY_LAB"] = lab.endpoint();
  const Outcome outcome =
      Faraday({"run", "-l", "os>=14", "--out", folder_ + "/out", "--", "sh", "-c", "echo hello -- world"});
  // One of its artefacts would have left the folder: what passed is not what CI asked for.
  EXPECT_EQ(outcome.exit, 3) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("artefact '../../escape' is not kept"));
  EXPECT_EQ(outcome.out, "hello\nworld\n");
  EXPECT_EQ(ReadText(folder_ + "/out/log.txt"), "hello\nworld\n");
  EXPECT_EQ(ReadText(folder_ + "/out/artifacts/shots/1.png"), "shot");
  EXPECT_FALSE(fs::exists(folder_ + "/escape"));
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("job-12 is queued at position 2: 1 matches: leased until 14:20"),
                    HasSubstr("job-12.1 on r01/03 is preparing: waiting for boot"),
                    HasSubstr("job-12 passed"),
                    HasSubstr("before 5010 mV 400 mA, during 5010 mV 400 mA, after 5010 mV 400 mA")));
}

TEST_F(ProgramTest, RunOfAFailedTestExitsWith1AndOfNoDeviceWith4) {
  for (const auto& [how, exit] :
       std::map<v1::Outcome, int>{{v1::OUTCOME_FAILED, 1}, {v1::OUTCOME_NO_DEVICE, 4}, {v1::OUTCOME_LEASE_LOST, 5}}) {
    FakeLab fake;
    fake.outcome = how;
    FakeServer lab(fake.Table());
    EXPECT_EQ(Faraday({"run", "-l", "a", "--lab", lab.endpoint(), "--out", folder_ + "/o", "--", "true"}).exit, exit);
  }
}

TEST_F(ProgramTest, RunThatCannotKeepTheLogSaysSo) {
  FakeLab fake;
  FakeServer lab(fake.Table());
  fs::create_directories(folder_ + "/o/log.txt");
  const Outcome outcome = Faraday({"run", "-l", "a", "--lab", lab.endpoint(), "--out", folder_ + "/o", "--", "true"});
  EXPECT_EQ(outcome.exit, 3);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("/o/log.txt: Is a directory"), Not(HasSubstr("kept      " + folder_ + "/o/log.txt"))));
  EXPECT_EQ(outcome.out, "hello\nworld\n");
}

TEST_F(ProgramTest, RunWhoseDiskIsFullSaysThatTheLogIsNotWhole) {
  FakeLab fake;
  FakeServer lab(fake.Table());
  fs::create_directories(folder_ + "/o");
  fs::create_symlink("/dev/full", folder_ + "/o/log.txt");
  const Outcome outcome = Faraday({"run", "-l", "a", "--lab", lab.endpoint(), "--out", folder_ + "/o", "--", "true"});
  EXPECT_EQ(outcome.exit, 3);
  EXPECT_THAT(outcome.err, HasSubstr("/o/log.txt is not whole"));
}

TEST_F(ProgramTest, RunNoticesAnArtefactThatArrivesShort) {
  FakeLab fake;
  fake.artifact_bytes = "sh";
  FakeServer lab(fake.Table());
  const Outcome outcome = Faraday({"run", "-l", "a", "--lab", lab.endpoint(), "--out", folder_ + "/o", "--", "true"});
  EXPECT_EQ(outcome.exit, 3);
  EXPECT_THAT(outcome.err, HasSubstr("has 2 bytes, the agent counted 4"));
  EXPECT_FALSE(fs::exists(folder_ + "/o/artifacts/shots/1.png"));
}

TEST_F(ProgramTest, CtrlCCancelsTheJobAndExitsWith5) {
  FakeLab fake;
  fake.never_ends = true;
  FakeServer lab(fake.Table());
  const Outcome outcome =
      Faraday({"run", "-l", "a", "--lab", lab.endpoint(), "--out", folder_ + "/o", "--", "sleep", "99"},
              [&] { return fake.running ? 1 : 0; });
  EXPECT_EQ(outcome.exit, 5) << outcome.err;
  EXPECT_TRUE(fake.cancelled);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("cancelling job-12"), HasSubstr("job-12 cancelled")));
}

TEST_F(ProgramTest, RunGoesOnWhenTheLabRestarts) {
  const std::string endpoint = "ipc://" + folder_ + "/lab";
  FakeLab fake;
  fake.never_ends = true;
  auto lab = std::make_unique<FakeServer>(fake.Table(), false, endpoint);
  auto running = std::async(std::launch::async, [&] {
    return Faraday({"run", "-l", "a", "--lab", endpoint, "--out", folder_ + "/o", "--", "true"});
  });
  while (!fake.running) std::this_thread::yield();
  lab.reset();
  fake.never_ends = false;
  lab = std::make_unique<FakeServer>(fake.Table(), false, endpoint);
  const Outcome outcome = running.get();
  EXPECT_THAT(outcome.err, HasSubstr("job-12 passed"));
  EXPECT_EQ(outcome.out, "hello\nworld\n") << "nothing twice, nothing lost";
  EXPECT_EQ(fake.submits, 1);
}

TEST_F(ProgramTest, RunWithJsonGivesTheJobOnStdout) {
  FakeLab fake;
  FakeServer lab(fake.Table());
  const Outcome outcome =
      Faraday({"run", "-l", "a", "--json", "--lab", lab.endpoint(), "--out", folder_ + "/o", "--", "true"});
  EXPECT_EQ(outcome.out.front(), '{');
  EXPECT_THAT(outcome.out, HasSubstr("\"outcome\": \"OUTCOME_PASSED\""));
  EXPECT_THAT(outcome.err, HasSubstr("hello\nworld\n"));
}

// ---- events ----

TEST_F(ProgramTest, EventsBeginWithASnapshotThenTellChangesOnce) {
  std::unique_ptr<FakeServer> controller;
  controller = std::make_unique<FakeServer>(
      rpc::HandlerTable{{v1::Request::kSnapshot,
                         [&](const rpc::CallPtr& call) {
                           v1::Reply reply;
                           *reply.mutable_snapshot() = controller->publisher()->Snapshot();
                           reply.mutable_snapshot()->set_events_endpoint(controller->publisher()->endpoint());
                           call->Answer(reply);
                         }},
                        {v1::Request::kGetRack,
                         [&](const rpc::CallPtr& call) {
                           call->Answer(RackReply(SlotOf("r01/07", "ana")));
                           v1::Event event;
                           event.set_kind("lease.ended");
                           event.set_text("ana gave it back");
                           controller->publisher()->Publish("slot/r01/07/", event);
                         }}},
      true);
  environment_["FARADAY_CONTROLLER"] = controller->endpoint();
  const auto told = [this] { return Whole(out_).find("lease.ended") == std::string::npos ? 0 : 1; };
  const Outcome outcome = Faraday({"events", "--json", "--for", "60s"}, told);
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  const size_t snapshot = outcome.out.find("\"kind\":\"snapshot\"");
  const size_t change = outcome.out.find("\"kind\":\"lease.ended\"");
  ASSERT_NE(snapshot, std::string::npos) << outcome.out;
  ASSERT_NE(change, std::string::npos) << outcome.out;
  EXPECT_LT(snapshot, change);
  EXPECT_EQ(outcome.out.find("lease.ended", change + 25), std::string::npos);
}

// ---- racks and what is wrong with them ----

std::string ReadWhole(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The second words below a verb's first one; none: it stands alone.
std::vector<std::string> SecondWordsOf(const std::string& first) {
  std::vector<std::string> words;
  for (const Verb& verb : AllVerbs()) {
    if (verb.path[0] == first && verb.path.size() > 1) words.push_back(verb.path[1]);
  }
  return words;
}

// Takes what was asked of it.
class SafetyVerbsTest : public ProgramTest {
 protected:
  rpc::HandlerTable Serving(v1::Request::CallCase call, v1::Reply reply) {
    return {{call, [this, reply](const rpc::CallPtr& asked) {
               const std::lock_guard lock(mutex_);
               seen_.push_back(asked->request());
               asked->Answer(reply);
             }}};
  }
  std::mutex mutex_;
  std::vector<v1::Request> seen_;
};

TEST_F(SafetyVerbsTest, RackStopSaysWhatIsMeasuredAndFailsWhenASlotIsNotOff) {
  v1::Reply reply;
  reply.mutable_rack_stop()->set_slots_off(32);
  {
    FakeServer controller(Serving(v1::Request::kStopRack, reply));
    environment_["FARADAY_CONTROLLER"] = controller.endpoint();
    const Outcome all_off = Faraday({"rack", "stop", "r01", "--reason", "smoke"});
    EXPECT_EQ(all_off.exit, 0) << all_off.err;
    EXPECT_EQ(all_off.out, "rack r01 is stopped: 32 slots measured off\n");
    EXPECT_EQ(seen_.at(0).stop_rack().reason(), "smoke");
  }
  reply.mutable_rack_stop()->set_slots_off(31);
  reply.mutable_rack_stop()->set_slots_on(1);
  FakeServer controller(Serving(v1::Request::kStopRack, reply));
  environment_["FARADAY_CONTROLLER"] = controller.endpoint();
  const Outcome one_on = Faraday({"rack", "stop", "r01", "--reason", "smoke"});
  EXPECT_EQ(one_on.exit, 1);
  EXPECT_THAT(one_on.out, HasSubstr("31 slots measured off, 1 NOT: see faraday status r01, and cut"));
  EXPECT_EQ(Faraday({"rack", "stop", "r01", "--reason", "smoke", "--json"}).exit, 1);
}

TEST_F(SafetyVerbsTest, RackResumePassesARefusalOn) {
  FakeServer controller({{v1::Request::kResumeRack, Refuses(Code::kFailedPrecondition, "the stop button is pressed")}});
  environment_["FARADAY_CONTROLLER"] = controller.endpoint();
  const Outcome outcome = Faraday({"rack", "resume", "r01", "--reason", "checked"});
  EXPECT_EQ(outcome.exit, 1);
  EXPECT_THAT(outcome.err, HasSubstr("the stop button is pressed"));
}

TEST_F(SafetyVerbsTest, LocateBlinksASlotOrARackAndEnds) {
  v1::Reply reply;
  reply.mutable_blink()->set_duration_ms(600'000);
  FakeServer controller(Serving(v1::Request::kBlink, reply));
  environment_["FARADAY_CONTROLLER"] = controller.endpoint();
  EXPECT_EQ(Faraday({"locate", "r01/7", "--for", "10m"}).out,
            "r01/07: the slot's LED blinks fast for 10m; end it with: faraday locate r01/07 --off\n");
  EXPECT_THAT(Faraday({"locate", "r01"}).out, HasSubstr("r01: every slot's LED blinks fast for"));
  EXPECT_EQ(Faraday({"locate", "r01/07", "--off"}).out, "r01/07 no longer blinks\n");
  ASSERT_EQ(seen_.size(), 3U);
  EXPECT_EQ(seen_[0].blink().slot(), "r01/07");
  EXPECT_EQ(seen_[0].blink().duration_ms(), 600'000U);
  EXPECT_EQ(seen_[1].blink().slot(), "r01");
  EXPECT_EQ(seen_[1].blink().duration_ms(), 60'000U);
  EXPECT_EQ(seen_[2].blink().duration_ms(), 0U);
}

TEST_F(SafetyVerbsTest, RelayFittedTellsHowManyMovesItHasMade) {
  v1::Reply reply;
  *reply.mutable_slot()->mutable_slot() = SlotOf("r01/07", "care");
  FakeServer controller(Serving(v1::Request::kFitRelay, reply));
  environment_["FARADAY_CONTROLLER"] = controller.endpoint();
  EXPECT_EQ(Faraday({"slot", "relay-fitted", "r01/07", "--reason", "worn", "--moves", "12"}).exit, 0);
  EXPECT_EQ(seen_.at(0).fit_relay().slot(), "r01/07");
  EXPECT_EQ(seen_.at(0).fit_relay().moves(), 12U);
  EXPECT_EQ(seen_.at(0).fit_relay().reason(), "worn");
}

// A board's log of `count` records, in pages as they are asked for.
rpc::HandlerTable LogServer(uint32_t count, std::atomic<int>* asked) {
  return {{v1::Request::kReadBoardLog, [=](const rpc::CallPtr& call) {
             ++*asked;
             const auto& ask = call->request().read_board_log();
             v1::Reply reply;
             auto& page = *reply.mutable_read_board_log();
             page.set_oldest(1);
             page.set_next(count + 1);
             const uint32_t from = ask.before() == 0 ? count : ask.before() - 1;
             for (uint32_t number = from; number >= 1 && from - number < std::min(ask.limit(), 200U); --number) {
               auto& record = *page.add_records();
               record.set_number(number);
               record.set_boot(12);
               record.set_uptime_ms(3400);
               record.set_kind("trip");
               record.set_slot("r01/07");
               record.set_text("over-current 2.41 A > 2.00 A");
             }
             call->Answer(reply);
           }}};
}

TEST_F(SafetyVerbsTest, RackLogReadsPageAfterPageAndShowsTheOldestFirst) {
  std::atomic<int> asked{0};
  FakeServer controller(LogServer(450, &asked));
  environment_["FARADAY_CONTROLLER"] = controller.endpoint();
  const Outcome whole = Faraday({"rack", "log", "r01", "--limit", "5000"});
  EXPECT_EQ(whole.exit, 0) << whole.err;
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(std::count(whole.out.begin(), whole.out.end(), '\n'), 451) << "with its title";
  EXPECT_LT(whole.out.find("\n     1 "), whole.out.find("\n   450 ")) << whole.out;
  EXPECT_THAT(whole.out, HasSubstr("boot 12 +3.400 s  r01/07  trip  over-current 2.41 A > 2.00 A"));
  asked = 0;
  const Outcome few = Faraday({"rack", "log", "r01", "--limit", "3", "--before", "10"});
  EXPECT_EQ(asked, 1);
  EXPECT_THAT(few.out, AllOf(HasSubstr("     7  boot"), HasSubstr("     9  boot"), Not(HasSubstr("     6  boot"))));
}

TEST_F(SafetyVerbsTest, AnEmptyLogIsSaid) {
  std::atomic<int> asked{0};
  FakeServer controller(LogServer(0, &asked));
  environment_["FARADAY_CONTROLLER"] = controller.endpoint();
  EXPECT_EQ(Faraday({"rack", "log", "r01"}).out, "the board's log is empty\n");
}

TEST_F(SafetyVerbsTest, StatusBeginsWithAlerts) {
  v1::SlotState slot = SlotOf("r01/07", "care");
  slot.set_trip("over-current 2.41 A > 2.00 A");
  auto& trip = *slot.add_condition_list();
  trip.set_name("over-current");
  trip.set_place("r01/07");
  trip.set_text("over-current 2.41 A > 2.00 A");
  trip.set_next("inspect the cable, then: faraday slot clear r01/07");
  FakeServer controller({{v1::Request::kGetRack, Answers(RackReply(slot))}});
  v1::Reply racks;
  auto& rack = *racks.mutable_list_racks()->add_racks();
  rack.set_rack("r01");
  rack.set_reachable(true);
  rack.set_controller(controller.endpoint());
  FakeServer lab(
      {{v1::Request::kListRacks, Answers(racks)}, {v1::Request::kLocate, Answers(LocateReply(controller.endpoint()))}});
  environment_["FARADAY_LAB"] = lab.endpoint();
  const std::string alert =
      "1 alert:\n  r01/07 tripped: over-current 2.41 A > 2.00 A; inspect the cable, then: faraday slot clear r01/07\n";
  EXPECT_TRUE(Faraday({"status"}).out.starts_with(alert)) << Faraday({"status"}).out;
  EXPECT_TRUE(Faraday({"status", "r01"}).out.starts_with(alert));
  EXPECT_THAT(Faraday({"status", "r01/07"}).out, HasSubstr("  tripped   over-current 2.41 A > 2.00 A\n"));
}

// The words after a "faraday " at `at`: at most two, of small letters and '-'.
std::vector<std::string> CommandAt(std::string_view text, size_t at) {
  std::vector<std::string> words;
  text.remove_prefix(at);
  while (words.size() < 2) {
    const size_t length = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz-");
    if (length == 0) break;
    words.emplace_back(text.substr(0, length));
    if (length == std::string_view::npos || text[length] != ' ') break;
    text.remove_prefix(length + 1);
  }
  return words;
}

// What the repair pages tell people to type: every `faraday ...` in them has words that the program knows.
TEST_F(ProgramTest, EveryCommandOfTheRepairPagesExists) {
  constexpr std::string_view kName = "faraday ";
  int found = 0;
  for (const auto& page : fs::directory_iterator(FARADAY_SOURCE_DIR "/docs/operate/repair")) {
    const std::string text = ReadWhole(page.path());
    for (size_t at = text.find(kName); at != std::string::npos; at = text.find(kName, at + 1)) {
      std::vector<std::string> args = CommandAt(text, at + kName.size());
      ASSERT_FALSE(args.empty()) << page.path().filename() << ": " << text.substr(at, 40);
      if (SecondWordsOf(args[0]).empty()) args.resize(1);  // it stands alone: what follows is its argument
      args.emplace_back("--help");
      EXPECT_EQ(Faraday(args).exit, 0) << page.path().filename() << ": " << text.substr(at, 40);
      ++found;
    }
  }
  EXPECT_GT(found, 40);
}

// Every name that status can show has a heading with steps in the repair pages.
TEST_F(ProgramTest, EveryConditionHasItsHeadingInTheRepairPages) {
  std::string headings;
  for (const auto& page : fs::directory_iterator(FARADAY_SOURCE_DIR "/docs/operate/repair")) {
    std::istringstream lines(ReadWhole(page.path()));
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("## ")) headings += line + "\n";
    }
  }
  for (const char* name : {"over-current", "over-temperature", "switch-shorted", "stale-sensor",        "stopped",
                           "fast-rise",    "hot-swap-cut-off", "relay-stuck",    "read-back-mismatch",  "part-missing",
                           "back-feed",    "no-discharge",     "under-voltage",  "over-voltage",        "tray-warm",
                           "relay-worn",   "wrong-part",       "bus-lost",       "tray-sensor-missing", "rail-sag",
                           "rail-down",    "hot-shelf",        "host-silent",    "nvm-read-only",       "input-blocks",
                           "alarm",        "log-lost",         "config-waits",   "epoch-lost"}) {
    EXPECT_THAT(headings, HasSubstr(name));
  }
}

// ---- link ----

TEST_F(ProgramTest, LinkDecodePrintsACaptureAndNamesDamage) {
  std::ofstream(folder_ + "/line.txt")
      << "120 -> 00 03 01 02 01 02 01 04 ed 5e 01 01 01 02 01 01 01 0b 08 65 12 02 08 07 18 18 ee db 00\n"
      << "125 <- 00 03 01 02 01 00\n";
  const Outcome outcome = Faraday({"link", "decode", folder_ + "/line.txt"});
  EXPECT_EQ(outcome.exit, 1);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("120 -> command #1"), HasSubstr("<- damaged")));
  EXPECT_THAT(Faraday({"link", "decode", folder_ + "/line.txt", "--json"}).out,
              HasSubstr("{\"at_ms\": \"120\", \"direction\": \"to_mcu\", \"good\": true"));
  EXPECT_EQ(Faraday({"link", "decode", folder_ + "/none.txt"}).exit, 1);
}

// Every vector's sentence becomes its bytes, and those become the sentence again.
TEST_F(ProgramTest, LinkEncodeIsDecodesInverse) {
  std::string sentences;
  for (const auto& entry : fs::directory_iterator(FARADAY_SOURCE_DIR "/libs/link/vectors")) {
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("human: ")) sentences += line.substr(7) + "\n";
    }
  }
  std::ofstream(folder_ + "/sentences.txt") << sentences;
  const Outcome wire = Faraday({"link", "encode", folder_ + "/sentences.txt"});
  EXPECT_EQ(wire.exit, 0) << wire.err;
  std::ofstream(folder_ + "/wire.txt") << wire.out;
  EXPECT_EQ(Faraday({"link", "decode", folder_ + "/wire.txt"}).out, sentences);
}

TEST_F(ProgramTest, LinkEncodeNamesTheSentenceThatItCannotRead) {
  std::ofstream(folder_ + "/sentences.txt") << "# fine\n\n-> stop\n-> command #1 id=1 set_vbus slot=x\n";
  const Outcome outcome = Faraday({"link", "encode", folder_ + "/sentences.txt"});
  EXPECT_EQ(outcome.exit, 1);
  EXPECT_THAT(outcome.err, HasSubstr("sentences.txt:4: "));
}

TEST_F(ProgramTest, LinkPingGoesThroughTheBoard) {
  std::atomic<bool> through{false};
  FakeServer controller({{v1::Request::kPing, [&](const rpc::CallPtr& call) {
                            through = call->request().ping().through_mcu();
                            v1::Reply reply;
                            reply.mutable_ping()->set_mcu_round_trip_us(812);
                            call->Answer(reply);
                          }}});
  const Outcome outcome = Faraday({"link", "ping", "--controller", controller.endpoint()});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "board 0 of the rack: MCU answered in 812 us\n");
  EXPECT_TRUE(through);
}

}  // namespace
}  // namespace faraday::cli
