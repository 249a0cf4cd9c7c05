// Every call x every role x own, the agent's, the asker's, another's and no lease, against the running daemons: what
// the rights table allows is not refused, what it does not allow is. What is expected comes from the table alone.
//
// Nobody's agent runs: the test itself holds the keys of every role, the agent's, controller's and lab's too.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "access/credential.h"
#include "access/rights.h"
#include "hil-tests/process/people.h"
#include "hil-tests/process/rack_under_test.h"

namespace faraday::hil {
namespace {

using access::Call;
using access::Ownership;
using access::Right;
using access::Role;
using Part = RackUnderTest::Part;
using R = v1::Request;

constexpr char kOther[] = "zoe";  // whose things are another's
constexpr char kReason[] = "rights test";

// What one try is about.
struct Thing {
  std::string slot = {};
  uint32_t epoch = 0;
  std::string lease = {};
  std::string id = {};    // reservation or job
  std::string user = {};  // rotate_user, read_audit
};

using Build = std::function<R(const Thing&, bool with_reason)>;

R Acquire(const std::string& slot) {
  R request;
  request.mutable_acquire()->set_slot(slot);
  request.mutable_acquire()->set_purpose(v1::PURPOSE_PERSON);
  request.mutable_acquire()->set_duration_ms(60'000);
  return request;
}

// The smallest request of each call that reaches the check of rights. Levels are asked for as they are: nothing moves.
const std::map<Call, Build>& Requests() {
  static const std::map<Call, Build> requests = {
      {Call::kGetRack,
       [](const Thing&, bool) {
         R r;
         r.mutable_get_rack();
         return r;
       }},
      {Call::kAcquire, [](const Thing& t, bool) { return Acquire(t.slot); }},
      {Call::kRenew,
       [](const Thing& t, bool) {
         R r;
         r.mutable_renew()->set_lease(t.lease);
         r.mutable_renew()->set_duration_ms(60'000);
         return r;
       }},
      {Call::kRelease,
       [](const Thing& t, bool reason) {
         R r;
         r.mutable_release()->set_lease(t.lease);
         r.mutable_release()->set_force(reason);
         if (reason) r.mutable_release()->set_reason(kReason);
         return r;
       }},
      {Call::kPower,
       [](const Thing& t, bool reason) {
         R r;
         r.mutable_power()->set_slot(t.slot);
         r.mutable_power()->set_epoch(t.epoch);
         r.mutable_power()->set_action(v1::PowerCall::ACTION_OFF);
         if (reason) r.mutable_power()->set_reason(kReason);
         return r;
       }},
      {Call::kShield,
       [](const Thing& t, bool reason) {
         R r;
         r.mutable_shield()->set_slot(t.slot);
         r.mutable_shield()->set_epoch(t.epoch);
         if (reason) r.mutable_shield()->set_reason(kReason);
         return r;
       }},
      {Call::kUsb,
       [](const Thing& t, bool reason) {
         R r;
         r.mutable_usb()->set_slot(t.slot);
         r.mutable_usb()->set_epoch(t.epoch);
         r.mutable_usb()->set_path(v1::DATA_PATH_OPEN);
         if (reason) r.mutable_usb()->set_reason(kReason);
         return r;
       }},
      {Call::kStopSlot,
       [](const Thing& t, bool reason) {
         R r;
         r.mutable_stop_slot()->set_slot(t.slot);
         if (reason) r.mutable_stop_slot()->set_reason(kReason);
         return r;
       }},
      {Call::kClearSlot,
       [](const Thing& t, bool reason) {
         R r;
         r.mutable_clear_slot()->set_slot(t.slot);
         if (reason) r.mutable_clear_slot()->set_reason(kReason);
         return r;
       }},
      {Call::kStopRack,
       [](const Thing&, bool reason) {
         R r;
         r.mutable_stop_rack();
         if (reason) r.mutable_stop_rack()->set_reason(kReason);
         return r;
       }},
      {Call::kResumeRack,
       [](const Thing&, bool reason) {
         R r;
         r.mutable_resume_rack();
         if (reason) r.mutable_resume_rack()->set_reason(kReason);
         return r;
       }},
      {Call::kBlink,
       [](const Thing& t, bool) {
         R r;
         r.mutable_blink()->set_slot(t.slot);
         r.mutable_blink()->set_duration_ms(1000);
         return r;
       }},
      {Call::kReadBoardLog,
       [](const Thing&, bool) {
         R r;
         r.mutable_read_board_log()->set_limit(1);
         return r;
       }},
      {Call::kFitRelay,
       [](const Thing& t, bool reason) {
         R r;
         r.mutable_fit_relay()->set_slot(t.slot);
         if (reason) r.mutable_fit_relay()->set_reason(kReason);
         return r;
       }},
      {Call::kReport,
       [](const Thing& t, bool) {
         R r;
         r.mutable_report()->set_agent(t.user);
         r.mutable_report()->set_host("h01");
         return r;
       }},
      {Call::kSync,
       [](const Thing& t, bool) {
         R r;
         r.mutable_sync()->set_agent(t.user);
         r.mutable_sync()->set_host("h01");
         return r;
       }},
      {Call::kSnapshot,
       [](const Thing&, bool) {
         R r;
         r.mutable_snapshot();
         return r;
       }},
      {Call::kPing,
       [](const Thing&, bool) {
         R r;
         r.mutable_ping();
         return r;
       }},
      {Call::kWhoAmI,
       [](const Thing&, bool) {
         R r;
         r.mutable_who_am_i();
         return r;
       }},
      {Call::kReadAudit,
       [](const Thing& t, bool) {
         R r;
         r.mutable_read_audit()->set_user(t.user);
         r.mutable_read_audit()->set_limit(1);
         return r;
       }},
      {Call::kVerifyAudit,
       [](const Thing&, bool) {
         R r;
         r.mutable_verify_audit();
         return r;
       }},
      {Call::kEnrol,
       [](const Thing&, bool) {
         R r;
         r.mutable_enrol()->set_key("no key");
         return r;
       }},
      {Call::kAddUser,
       [](const Thing&, bool) {
         R r;
         r.mutable_add_user()->set_name("?");
         return r;
       }},
      {Call::kListUsers,
       [](const Thing&, bool) {
         R r;
         r.mutable_list_users();
         return r;
       }},
      {Call::kSetUser,
       [](const Thing&, bool) {
         R r;
         r.mutable_set_user()->set_name("nobody-here");
         return r;
       }},
      {Call::kDisableUser,
       [](const Thing&, bool) {
         R r;
         r.mutable_disable_user()->set_name("nobody-here");
         r.mutable_disable_user()->set_reason(kReason);
         return r;
       }},
      {Call::kRotateUser,
       [](const Thing& t, bool) {
         R r;
         r.mutable_rotate_user()->set_name(t.user);
         r.mutable_rotate_user()->set_keep(true);
         return r;
       }},
      {Call::kPutRoster,
       [](const Thing&, bool) {
         R r;
         r.mutable_put_roster()->mutable_roster()->set_roster("no roster");
         return r;
       }},
      {Call::kReserve,
       [](const Thing&, bool) {
         R r;
         r.mutable_reserve()->set_selector("slot=r01/99");
         return r;
       }},
      {Call::kGetReservation,
       [](const Thing& t, bool) {
         R r;
         r.mutable_get_reservation()->set_id(t.id);
         return r;
       }},
      {Call::kCancelReservation,
       [](const Thing& t, bool) {
         R r;
         r.mutable_cancel_reservation()->set_id(t.id);
         return r;
       }},
      {Call::kSubmitJob,
       [](const Thing&, bool) {
         R r;
         r.mutable_submit_job()->mutable_spec()->set_selector("?");
         return r;
       }},
      {Call::kGetJob,
       [](const Thing& t, bool) {
         R r;
         r.mutable_get_job()->set_id(t.id);
         return r;
       }},
      {Call::kListJobs,
       [](const Thing&, bool) {
         R r;
         r.mutable_list_jobs();
         return r;
       }},
      {Call::kCancelJob,
       [](const Thing& t, bool) {
         R r;
         r.mutable_cancel_job()->set_id(t.id);
         return r;
       }},
      {Call::kReadChunk,
       [](const Thing& t, bool) {
         R r;
         r.mutable_read_chunk()->set_attempt(t.id + ".1");
         r.mutable_read_chunk()->set_name("log");
         return r;
       }},
      {Call::kLocate,
       [](const Thing&, bool) {
         R r;
         r.mutable_locate()->set_rack("r01");
         return r;
       }},
      {Call::kListRacks,
       [](const Thing&, bool) {
         R r;
         r.mutable_list_racks();
         return r;
       }},
      {Call::kReportAttempt,
       [](const Thing& t, bool) {
         R r;
         r.mutable_report_attempt()->set_agent(t.user);
         r.mutable_report_attempt()->mutable_attempt()->set_id(t.id + ".1");
         r.mutable_report_attempt()->mutable_attempt()->set_state(v1::ATTEMPT_STATE_RUNNING);
         return r;
       }},
      {Call::kPutChunk,
       [](const Thing& t, bool) {
         R r;
         r.mutable_put_chunk()->set_agent(t.user);
         r.mutable_put_chunk()->set_attempt(t.id + ".1");
         r.mutable_put_chunk()->set_name("log");
         return r;
       }},
  };
  return requests;
}

// Somebody of each role.
struct Actor {
  Role role;
  std::string user;
  rpc::Keys keys;
};

enum class Answered { kServed, kRefused, kNeedsReason, kNoLease };

class RightsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    rack_ = std::make_unique<RackUnderTest>();
    rack_->SetRackConfig("grants_users: false", "grants_users: true");
    for (const Part part : {Part::kLab, Part::kSim, Part::kController}) {
      const Status started = rack_->Start(part);
      ASSERT_TRUE(started.ok()) << started.message();
    }
    ExpectEverySlotOffered();
    Gather();
  }
  // A fresh board has its epochs only some telemetry after it came online; until then its slots are not given.
  static void ExpectEverySlotOffered() {
    const auto is_offered = [](const v1::SlotState& slot) {
      return slot.allocation() == v1::ALLOCATION_FREE && slot.health() == v1::HEALTH_GOOD;
    };
    for (int slot = 1; slot <= 32; ++slot) {
      const std::string name = fmt::format("r01/{:02}", slot);
      ASSERT_TRUE(rack_->WaitForSlot(name, is_offered)) << rack_->Slot(name).DebugString();
    }
  }
  static void TearDownTestSuite() {
    if (testing::UnitTest::GetInstance()->current_test_suite()->Failed()) rack_->KeepFolder();
    rack_.reset();
  }

  static void Gather() {
    People& people = rack_->people();
    for (const auto& [user, role] : std::map<std::string, Role>{{"watcher", Role::kViewer},
                                                                {"ana", Role::kUser},
                                                                {"cai", Role::kCi},
                                                                {"tina", Role::kTech},
                                                                {"ada", Role::kAdmin},
                                                                {kOther, Role::kUser}}) {
      ASSERT_TRUE(people.Join(user, {std::string(RoleName(role))}).ok()) << user;
      if (user != kOther) actors_.push_back({role, user, people.Of(user)});
    }
    for (const auto& [file, actor] :
         std::map<std::string, Actor>{{"agent-h01/keys/agent.key", {Role::kAgent, "h01", {}}},
                                      {"controller/keys/server.key", {Role::kController, "r01", {}}},
                                      {"lab/keys/server.key", {Role::kLab, "lab", {}}}}) {
      const auto keys = People::KeysOf(rack_->folder() + "/" + file);
      ASSERT_TRUE(keys.ok()) << keys.status().message();
      actors_.push_back({actor.role, actor.user, *keys});
    }
    ASSERT_TRUE(people.Join("h02", {"agent"}).ok());
    const auto code = people.Add("newcomer", {"viewer"});
    ASSERT_TRUE(code.ok());
    const auto credential = access::ParseCredential(*code);
    ASSERT_TRUE(credential.ok());
    actors_.push_back({Role::kCode, "newcomer", std::make_shared<const access::KeyPair>(credential->keys)});
    // Everybody is in the controller's roster once the newest is.
    ASSERT_TRUE(
        WaitFor([&] { return Send("controller", people.Of("h02"), Requests().at(Call::kPing)({}, false)).ok(); },
                std::chrono::seconds(30)));
  }

  static Result<v1::Reply> Send(const std::string& server, const rpc::Keys& keys, const R& request) {
    for (;;) {
      auto reply = rack_->CallWith(server == "lab" ? Part::kLab : Part::kController, keys, request);
      if (reply.status().code() != Code::kResourceExhausted) return reply;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));  // the rate limit: ask again
    }
  }

  static Answered Judge(const Result<v1::Reply>& reply) {
    const Status& status = reply.status();
    if (status.code() == Code::kPermissionDenied || status.code() == Code::kUnauthenticated) return Answered::kRefused;
    if (status.code() == Code::kInvalidArgument && status.message().find("needs a reason") != std::string::npos)
      return Answered::kNeedsReason;
    if (status.code() == Code::kFailedPrecondition && status.message().find("reserve it first") != std::string::npos)
      return Answered::kNoLease;
    return Answered::kServed;
  }

  // What the table says of this try against what the server does; tries again with a reason where one is needed.
  static void Try(const std::string& server, Call call, const Actor& actor, Ownership ownership, const Thing& thing) {
    ++tries_;
    static constexpr const char* kWords[] = {"its own", "as its agent", "as its granter", "another's or none"};
    const std::string what = fmt::format("{} at {} by role {}, {}",
                                         RowOf(call).name,
                                         server,
                                         RoleName(actor.role),
                                         kWords[static_cast<size_t>(ownership)]);
    const auto reply = Send(server, actor.keys, Requests().at(call)(thing, false));
    const Answered answered = Judge(reply);
    switch (RightOf(call, actor.role, ownership)) {
      case Right::kAllowed:
        EXPECT_EQ(answered, Answered::kServed) << what << ": " << reply.status().message();
        return;
      case Right::kDenied:
        // Without a lease the missing lease may be named before the missing right.
        EXPECT_TRUE(answered == Answered::kRefused || (answered == Answered::kNoLease && thing.lease.empty()))
            << what << ": " << (reply.ok() ? "served" : reply.status().message());
        return;
      case Right::kWithReason:
        EXPECT_EQ(answered, Answered::kNeedsReason) << what << ": " << reply.status().message();
        break;
    }
    const auto with_reason = Send(server, actor.keys, Requests().at(call)(thing, true));
    EXPECT_EQ(Judge(with_reason), Answered::kServed) << what << " with a reason: " << with_reason.status().message();
  }

  // ---- things to be had ----

  static std::string NextSlot() {
    static int next = 12;  // slots 13 to 32 have no phone: nothing else wants them
    next = next >= 32 ? 13 : next + 1;
    return fmt::format("r01/{:02}", next);
  }
  static const Actor& Lab() {
    for (const Actor& actor : actors_) {
      if (actor.role == Role::kLab) return actor;
    }
    abort();
  }
  // A lease for `holder`, asked for by the lab, or by `by` for itself.
  static Thing Lease(const std::string& holder, const Actor* by = nullptr) {
    Thing thing;
    thing.slot = NextSlot();
    R request = Acquire(thing.slot);
    if (!holder.empty()) {
      request.mutable_acquire()->mutable_on_behalf_of()->set_user(holder);
      request.mutable_acquire()->mutable_on_behalf_of()->set_role("user");
    }
    const auto reply = Send("controller", by == nullptr ? Lab().keys : by->keys, request);
    EXPECT_TRUE(reply.ok()) << thing.slot << " for " << holder << ": " << reply.status().message();
    if (!reply.ok()) return thing;
    thing.lease = reply->acquire().lease().id();
    thing.epoch = reply->acquire().lease().epoch();
    return thing;
  }
  static void End(const Thing& thing) {
    R request;
    request.mutable_release()->set_lease(thing.lease);
    request.mutable_release()->set_force(true);
    request.mutable_release()->set_reason("done");
    (void)Send("controller", ActorOf(Role::kAdmin).keys, request);  // it may be over already
    // The agent's word that nothing is left of it.
    R report;
    report.mutable_report()->set_agent("h01");
    report.mutable_report()->set_host("h01");
    auto* cleared = report.mutable_report()->add_cleared();
    cleared->set_slot(thing.slot);
    cleared->set_epoch(thing.epoch);
    EXPECT_TRUE(Send("controller", ActorOf(Role::kAgent).keys, report).ok());
  }
  static const Actor& ActorOf(Role role) {
    for (const Actor& actor : actors_) {
      if (actor.role == role) return actor;
    }
    abort();
  }
  static std::string Reserve(const rpc::Keys& keys) {
    R request;
    request.mutable_reserve()->set_selector("expected=pixel-8");
    request.mutable_reserve()->set_wait_s(600);
    const auto reply = Send("lab", keys, request);
    EXPECT_TRUE(reply.ok()) << reply.status().message();
    return reply.ok() ? reply->reservation().reservation().id() : "";
  }
  static std::string Submit(const rpc::Keys& keys, const std::string& selector) {
    R request;
    auto* spec = request.mutable_submit_job()->mutable_spec();
    spec->add_command("true");
    spec->set_selector(selector);
    spec->set_queue_timeout_s(600);
    spec->set_timeout_s(60);
    const auto reply = Send("lab", keys, request);
    EXPECT_TRUE(reply.ok()) << reply.status().message();
    return reply.ok() ? reply->job().job().id() : "";
  }

  static std::unique_ptr<RackUnderTest> rack_;
  static std::vector<Actor> actors_;
  static int tries_;
};

std::unique_ptr<RackUnderTest> RightsTest::rack_;
std::vector<Actor> RightsTest::actors_;
int RightsTest::tries_ = 0;

const std::vector<Call> kOfLeases = {
    Call::kRenew, Call::kRelease, Call::kPower, Call::kShield, Call::kUsb, Call::kBlink};
const std::vector<Call> kOfReservations = {Call::kGetReservation, Call::kCancelReservation};
const std::vector<Call> kOfJobs = {Call::kGetJob, Call::kCancelJob, Call::kReadChunk};
const std::vector<Call> kOfAttempts = {Call::kReportAttempt, Call::kPutChunk};
const std::vector<Call> kOfUsers = {Call::kRotateUser, Call::kReadAudit};
const std::vector<Call> kOfSlots = {Call::kStopSlot, Call::kClearSlot, Call::kFitRelay};
const std::vector<Call> kOfTheRack = {Call::kStopRack, Call::kResumeRack};

bool Has(const std::vector<Call>& calls, Call call) {
  return std::find(calls.begin(), calls.end(), call) != calls.end();
}

std::vector<std::string> ServersOf(Call call) {
  switch (access::RowOf(call).at) {
    case access::At::kController:
      return {"controller"};
    case access::At::kBoth:
      return {"lab", "controller"};
    default:
      return {"lab"};
  }
}

TEST_F(RightsTest, EveryCallHasARequestHere) {
  for (size_t i = 1; i < access::kCallRows.size(); ++i) {
    EXPECT_TRUE(Requests().contains(static_cast<Call>(i))) << access::kCallRows[i].name;
  }
}

TEST_F(RightsTest, CallsAboutLeases) {
  for (const Call call : kOfLeases) {
    for (const Actor& actor : actors_) {
      const bool own = actor.role != Role::kAgent && actor.role != Role::kCode;
      if (own) {
        const Thing thing = actor.role == Role::kLab ? Lease("") : Lease(actor.user);
        Try("controller", call, actor, Ownership::kHolder, thing);
        End(thing);
      }
      if (actor.role == Role::kAgent) {
        const Thing thing = Lease(kOther);
        Try("controller", call, actor, Ownership::kAgent, thing);
        End(thing);
      }
      if (actor.role == Role::kLab) {
        const Thing thing = Lease(kOther);
        Try("controller", call, actor, Ownership::kGranter, thing);
        End(thing);
      }
      if (actor.role != Role::kAgent) {
        // Another's: the lab did not ask for this one.
        const Actor& another = actor.role == Role::kTech ? ActorOf(Role::kAdmin) : ActorOf(Role::kTech);
        const Thing thing = Lease("", &another);
        Try("controller", call, actor, Ownership::kOther, thing);
        End(thing);
      }
      if (call == Call::kPower || call == Call::kShield || call == Call::kUsb || call == Call::kBlink) {
        Thing none;
        none.slot = NextSlot();
        Try("controller", call, actor, Ownership::kOther, none);
      }
    }
  }
}

TEST_F(RightsTest, CallsAboutSlots) {
  for (const Call call : kOfSlots) {
    for (const Actor& actor : actors_) {
      Thing thing;
      thing.slot = "r01/32";
      Try("controller", call, actor, Ownership::kOther, thing);
    }
  }
  (void)Send("controller", ActorOf(Role::kAdmin).keys, Requests().at(Call::kClearSlot)({"r01/32"}, true));
}

// A stop ends every lease: nothing else holds one meanwhile, and the rack is as before when this ends.
TEST_F(RightsTest, CallsAboutTheRack) {
  for (const Call call : kOfTheRack) {
    for (const Actor& actor : actors_) Try("controller", call, actor, Ownership::kOther, {});
  }
  const auto resumed = Send("controller", ActorOf(Role::kAdmin).keys, Requests().at(Call::kResumeRack)({}, true));
  ASSERT_TRUE(resumed.ok()) << resumed.status().message();
  ExpectEverySlotOffered();
}

TEST_F(RightsTest, CallsAboutReservationsAndJobs) {
  const rpc::Keys other = rack_->people().Of(kOther);
  for (const Actor& actor : actors_) {
    const bool reserves = MayEver(Call::kReserve, actor.role);
    for (const Call call : kOfReservations) {
      if (reserves) Try("lab", call, actor, Ownership::kHolder, {.id = Reserve(actor.keys)});
      Try("lab", call, actor, Ownership::kOther, {.id = Reserve(other)});
    }
    for (const Call call : kOfJobs) {
      if (reserves) Try("lab", call, actor, Ownership::kHolder, {.id = Submit(actor.keys, "expected=pixel-8")});
      Try("lab", call, actor, Ownership::kOther, {.id = Submit(other, "expected=pixel-8")});
    }
  }
}

TEST_F(RightsTest, CallsAboutAttempts) {
  const std::string job = Submit(ActorOf(Role::kUser).keys, "expected=galaxy-s23");
  v1::Job seen;
  ASSERT_TRUE(WaitFor(
      [&] {
        const auto reply = Send("lab", ActorOf(Role::kUser).keys, Requests().at(Call::kGetJob)({.id = job}, false));
        if (reply.ok()) seen = reply->job().job();
        return seen.attempts_size() == 1;
      },
      std::chrono::seconds(60)))
      << seen.DebugString();
  const Actor stranger{Role::kAgent, "h02", rack_->people().Of("h02")};
  for (const Call call : kOfAttempts) {
    for (const Actor& actor : actors_) {
      const auto ownership = actor.role == Role::kAgent ? Ownership::kAgent : Ownership::kOther;
      Try("lab", call, actor, ownership, {.id = job, .user = actor.user});
    }
    Try("lab", call, stranger, Ownership::kOther, {.id = job, .user = stranger.user});
  }
}

TEST_F(RightsTest, CallsAboutUsers) {
  for (const Call call : kOfUsers) {
    for (const std::string& server : ServersOf(call)) {
      for (const Actor& actor : actors_) {
        Try(server, call, actor, Ownership::kHolder, {.user = actor.user});
        Try(server, call, actor, Ownership::kOther, {.user = kOther});
      }
    }
  }
}

TEST_F(RightsTest, EveryOtherCall) {
  std::vector<Call> last;  // once an agent has spoken, slots are cleaned between leases: nothing here does that
  for (size_t i = 1; i < access::kCallRows.size(); ++i) {
    const auto call = static_cast<Call>(i);
    if (Has(kOfLeases, call) || Has(kOfSlots, call) || Has(kOfTheRack, call) || Has(kOfReservations, call) ||
        Has(kOfJobs, call) || Has(kOfAttempts, call) || Has(kOfUsers, call))
      continue;
    if (call == Call::kReport || call == Call::kSync) {
      last.push_back(call);
      continue;
    }
    for (const std::string& server : ServersOf(call)) {
      for (const Actor& actor : actors_) {
        const auto ownership =
            call == Call::kEnrol && actor.role == Role::kCode ? Ownership::kHolder : Ownership::kOther;
        Thing thing;
        if (call == Call::kAcquire) thing.slot = NextSlot();
        thing.user = actor.user;
        Try(server, call, actor, ownership, thing);
      }
    }
  }
  for (const Call call : last) {
    for (const std::string& server : ServersOf(call)) {
      for (const Actor& actor : actors_) Try(server, call, actor, Ownership::kOther, {.user = actor.user});
    }
  }
  RecordProperty("tries", tries_);
  fmt::print("{} tries in all\n", tries_);
}

TEST_F(RightsTest, OnBehalfOfIsTheLabsAlone) {
  for (const Actor& actor : actors_) {
    if (!MayEver(Call::kAcquire, actor.role) || actor.role == Role::kLab) continue;
    R request = Acquire(NextSlot());
    request.mutable_acquire()->mutable_on_behalf_of()->set_user(kOther);
    EXPECT_EQ(Send("controller", actor.keys, request).status().code(), Code::kPermissionDenied) << actor.user;
  }
}

TEST_F(RightsTest, AStrangersKeyIsRefusedEverywhere) {
  const auto stranger = std::make_shared<const access::KeyPair>(access::NewKeyPair());
  for (const char* server : {"lab", "controller"}) {
    EXPECT_EQ(Send(server, stranger, Requests().at(Call::kPing)({}, false)).status().code(), Code::kUnauthenticated);
  }
}

}  // namespace
}  // namespace faraday::hil
