// Keys that are taken back, the lab being away, and the local way in: the running daemons, over their wire.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>

#include "hil-tests/process/people.h"
#include "hil-tests/process/rack_under_test.h"

namespace faraday::hil {
namespace {

using Part = RackUnderTest::Part;
using std::chrono::seconds;

constexpr char kSlot[] = "r01/13";  // no phone: nothing else wants it
constexpr char kOther[] = "r01/14";
// The promise is 5 s while the lab is reachable. What the test itself asks on the way is within it.
constexpr seconds kEverywhere{5};

v1::Request Ping() {
  v1::Request request;
  request.mutable_ping();
  return request;
}

v1::Request Acquire(const char* slot) {
  v1::Request request;
  request.mutable_acquire()->set_slot(slot);
  request.mutable_acquire()->set_purpose(v1::PURPOSE_PERSON);
  request.mutable_acquire()->set_duration_ms(600'000);
  return request;
}

class RevokeTest : public testing::Test {
 protected:
  RevokeTest() { rack_.SetRackConfig("grants_users: false", "grants_users: true"); }
  void SetUp() override {
    for (const Part part : {Part::kLab, Part::kSim, Part::kController}) {
      const Status started = rack_.Start(part);
      ASSERT_TRUE(started.ok()) << started.message();
    }
    ASSERT_TRUE(rack_.WaitForSlot(kSlot, [](const v1::SlotState& slot) {
      return slot.allocation() == v1::ALLOCATION_FREE && slot.vbus().measured_on() == v1::TRI_STATE_NO;
    }));
  }
  void TearDown() override {
    if (HasFailure()) rack_.KeepFolder();
  }
  bool Refused(Part part, const char* user) {
    return rack_.CallWith(part, rack_.people().Of(user), Ping()).status().code() == Code::kUnauthenticated;
  }
  // The rack's first seconds refuse with a reason: ask again.
  bool Granted(const char* slot, const char* user, const char* role) {
    Status last;
    const bool granted = WaitFor(
        [&] {
          last = rack_.CallController(Acquire(slot), user, role).status();
          return last.ok();
        },
        seconds(30));
    EXPECT_TRUE(granted) << last.message();
    return granted;
  }
  std::string Holder(const char* slot) { return rack_.Slot(slot).lease().holder(); }
  v1::SignedRoster RosterInForce() {
    v1::Request request;
    request.mutable_who_am_i();
    const auto reply = rack_.CallLab(request, "ana", "user");
    EXPECT_TRUE(reply.ok()) << reply.status().message();
    return reply.ok() ? reply->who_am_i().signed_roster() : v1::SignedRoster();
  }
  Status PutRoster(const v1::SignedRoster& roster) {
    const auto lab = People::KeysOf(rack_.folder() + "/lab/keys/server.key");
    EXPECT_TRUE(lab.ok());
    v1::Request request;
    *request.mutable_put_roster()->mutable_roster() = roster;
    return rack_.CallWith(Part::kController, *lab, request).status();
  }

  RackUnderTest rack_;
};

TEST_F(RevokeTest, ADisabledKeyIsRefusedEverywhereWithin5sAndItsLeasesEnd) {
  ASSERT_TRUE(Granted(kSlot, "bob", "user"));
  const auto reserved =
      rack_.CliAs("bob", {"reserve", "-l", std::string("slot=") + kOther, "--for", "10m", "--wait", "1m"});
  ASSERT_EQ(reserved.exit_code, 0) << reserved.err;
  ASSERT_TRUE(Granted("r01/15", "ana", "user"));

  ASSERT_TRUE(rack_.people().Disable("bob", "laptop lost").ok());
  EXPECT_TRUE(WaitFor(
      [&] {
        return Refused(Part::kLab, "bob") && Refused(Part::kController, "bob") && Holder(kSlot) == "care" &&
               Holder(kOther) == "care";
      },
      kEverywhere))
      << Holder(kSlot) << ", " << Holder(kOther);
  EXPECT_EQ(Holder("r01/15"), "ana") << "nobody else's lease ends";
  const auto cli = rack_.CliAs("bob", {"status"});
  EXPECT_EQ(cli.exit_code, 1) << cli.out;
  EXPECT_NE(cli.err.find("key"), std::string::npos) << cli.err;
}

TEST_F(RevokeTest, ARunningEventStreamOfADisabledKeyEnds) {
  Program stream = rack_.StartCli({"events", "--rack", "r01"});  // as ana
  const auto seen = [&](const std::string& text) { return stream.out().find(text) != std::string::npos; };
  // A subscription takes effect at some point: switch until the first event is seen.
  const auto switch_once = [&](const char* slot) {
    const auto lease = rack_.CallController(Acquire(slot), "tina", "tech");
    if (!lease.ok()) return;
    v1::Request release;
    release.mutable_release()->set_lease(lease->acquire().lease().id());
    (void)rack_.CallController(release, "tina", "tech");
  };
  ASSERT_TRUE(WaitFor(
      [&] {
        switch_once(kSlot);
        return seen(kSlot);
      },
      seconds(60)))
      << stream.err();
  ASSERT_TRUE(rack_.people().Disable("ana", "left").ok());
  ASSERT_TRUE(WaitFor([&] { return Refused(Part::kController, "ana"); }, kEverywhere));
  const size_t until_then = stream.out().size();
  // Others' events go on; this stream has none of them.
  for (int i = 0; i < 5; ++i) switch_once("r01/16");
  EXPECT_EQ(stream.out().find("r01/16", until_then), std::string::npos) << stream.out().substr(until_then);
}

TEST_F(RevokeTest, WhileTheLabIsAwayTheNewestRosterStaysInForceOverARestart) {
  ASSERT_TRUE(rack_.people().Disable("bob", "laptop lost").ok());
  ASSERT_TRUE(WaitFor([&] { return Refused(Part::kController, "bob"); }, kEverywhere));
  rack_.Kill9(Part::kLab);
  rack_.Kill9(Part::kController);
  const Status again = rack_.Start(Part::kController);
  ASSERT_TRUE(again.ok()) << again.message();
  EXPECT_TRUE(Refused(Part::kController, "bob"));
  ASSERT_TRUE(rack_.WaitForSlot(
      kSlot, [](const v1::SlotState& slot) { return slot.vbus().measured_on() == v1::TRI_STATE_NO; }));
  EXPECT_TRUE(WaitFor([&] { return rack_.CallController(Acquire(kSlot), "tina", "tech").ok(); }, seconds(30)));
}

TEST_F(RevokeTest, AnOlderOrForgedRosterIsRefused) {
  const v1::SignedRoster before = RosterInForce();
  ASSERT_TRUE(rack_.people().Disable("bob", "laptop lost").ok());
  ASSERT_TRUE(WaitFor([&] { return Refused(Part::kController, "bob"); }, kEverywhere));
  EXPECT_FALSE(PutRoster(before).ok()) << "a replay would bring bob back";

  v1::SignedRoster forged = RosterInForce();
  v1::Roster roster;
  ASSERT_TRUE(roster.ParseFromString(forged.roster()));
  roster.set_number(roster.number() + 1000);
  for (auto& entry : *roster.mutable_entries()) entry.set_disabled(false);
  forged.set_roster(roster.SerializeAsString());
  EXPECT_FALSE(PutRoster(forged).ok()) << "the signature is of another roster";
  const access::SecretKey stranger = access::NewSecret();
  const access::PublicKey signer = access::SignerOf(stranger);
  forged.set_signer(signer.bytes.data(), signer.bytes.size());
  forged.set_signature(access::Sign(stranger, "faraday.v1.Roster" + forged.roster()));
  EXPECT_FALSE(PutRoster(forged).ok()) << "nobody trusts this signer";
  EXPECT_TRUE(Refused(Part::kController, "bob"));
}

TEST_F(RevokeTest, TheBreakGlassKeyOpensTheControllerWhileTheLabIsAwayAndIsAuditedLoudly) {
  rack_.Kill9(Part::kLab);
  const auto admin = People::KeysOf(rack_.folder() + "/controller/keys/admin.key");
  ASSERT_TRUE(admin.ok()) << admin.status().message();
  v1::Request stop;
  stop.mutable_stop_slot()->set_slot(kSlot);
  stop.mutable_stop_slot()->set_reason("smells");
  const auto stopped = rack_.CallWith(Part::kController, *admin, stop);
  ASSERT_TRUE(stopped.ok()) << stopped.status().message();
  v1::Request read;
  read.mutable_read_audit()->set_on(kSlot);
  const auto audit = rack_.CallWith(Part::kController, *admin, read);
  ASSERT_TRUE(audit.ok()) << audit.status().message();
  bool flagged = false;
  for (const auto& record : audit->read_audit().records())
    flagged = flagged || (record.break_glass() && record.call() == "stop_slot" && record.reason() == "smells");
  EXPECT_TRUE(flagged) << audit->DebugString();
  EXPECT_NE(rack_.program(Part::kController).err().find("break-glass"), std::string::npos);
}

TEST_F(RevokeTest, AKeyFileThatOthersMayReadStopsTheStart) {
  for (const auto& [part, file] : std::map<Part, std::string>{{Part::kController, "controller/keys/server.key"},
                                                              {Part::kLab, "lab/keys/signer.key"},
                                                              {Part::kAgent, "agent-h01/keys/agent.key"}}) {
    const std::string path = rack_.folder() + "/" + file;
    if (part != Part::kAgent) rack_.Stop(part);
    ASSERT_EQ(::chmod(path.c_str(), 0644), 0) << path;
    const Status started = rack_.Start(part);
    EXPECT_FALSE(started.ok()) << path;
    EXPECT_NE(started.message().find("chmod 600 " + path), std::string::npos) << started.message();
    ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  }
}

}  // namespace
}  // namespace faraday::hil
