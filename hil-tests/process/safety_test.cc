// What people see of a rack that protects itself, over the real programs: trips, quarantine, a rack's stop, a host that
// fell silent, the board's own memory. ana is a user, tina a tech.
#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <regex.h>

#include <chrono>

#include "hil-tests/process/rack_under_test.h"

namespace faraday::hil {
namespace {

using std::chrono::seconds;
using Part = RackUnderTest::Part;

constexpr char kSlot[] = "r01/02";
constexpr char kOther[] = "r01/03";

int64_t NowMs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

// POSIX extended; a line end is no special character.
bool Matches(const std::string& text, const char* pattern) {
  regex_t regex;
  if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0) abort();
  const bool matches = regexec(&regex, text.c_str(), 0, nullptr, 0) == 0;
  regfree(&regex);
  return matches;
}

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

class SafetyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Ok(rack_.StartAll()));
    ASSERT_TRUE(Ok(rack_.Login("tina")));
  }
  void TearDown() override {
    if (HasFailure()) rack_.KeepFolder();
  }
  static ::testing::AssertionResult Ok(const Status& status) {
    return status.ok() ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << status.message();
  }
  static ::testing::AssertionResult Done(const Output& output) {
    if (output.exit_code == 0) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "exit " << output.exit_code << ": " << output.out << output.err;
  }

  Output Reserve(const std::string& slot, const std::string& wait = "1m") {
    return rack_.Cli({"reserve", "-l", "slot=" + slot, "--for", "30m", "--wait", wait});
  }
  Output Tech(std::vector<std::string> args) { return rack_.CliAs("tina", std::move(args)); }
  // A command that may meet a handshake: exit 3 says "again".
  Output Again(const std::string& user, const std::vector<std::string>& args) {
    Output output;
    WaitFor([&] { return (output = rack_.CliAs(user, args)).exit_code != 3; }, seconds(60));
    return output;
  }
  void LeaseWithVbusOn(const std::string& slot) {
    ASSERT_TRUE(Done(Reserve(slot)));
    ASSERT_TRUE(Done(rack_.Cli({"power", "on", slot})));
  }
  void Fault(const std::string& words) { ASSERT_TRUE(Ok(rack_.Sim("fault " + words).status())); }
  void Trip(const std::string& slot) {
    Fault(slot + " short on");
    ASSERT_TRUE(rack_.WaitForSlot(slot, [](const v1::SlotState& now) {
      return now.trip().find("over-current") != std::string::npos && now.vbus().measured_on() == v1::TRI_STATE_NO;
    })) << rack_.Slot(slot).DebugString();
  }
  v1::RackState Whole() {
    v1::Request request;
    request.mutable_get_rack();
    const auto reply = rack_.CallController(std::move(request), "watcher", "viewer");
    return reply.ok() ? reply->get_rack().rack() : v1::RackState();
  }
  static const v1::Condition* Find(const v1::SlotState& slot, const std::string& name) {
    for (const v1::Condition& condition : slot.condition_list()) {
      if (condition.name() == name) return &condition;
    }
    return nullptr;
  }
  static bool IsReady(const v1::SlotState& slot) {
    return slot.health() == v1::HEALTH_GOOD && slot.allocation() == v1::ALLOCATION_FREE;
  }

  RackUnderTest rack_;
};

TEST_F(SafetyTest, Short_TripsIsToldTakesNoLeaseAndServesAgainOnceCleared) {
  LeaseWithVbusOn(kSlot);
  auto events = rack_.StartCli({"events", "--rack", "r01"});
  ASSERT_TRUE(WaitFor([&] { return Has(events.out(), "snapshot"); }, seconds(60))) << events.err();
  const int64_t before = NowMs();
  Trip(kSlot);

  const v1::SlotState slot = rack_.Slot(kSlot);
  const v1::Condition* trip = Find(slot, "over-current");
  ASSERT_NE(trip, nullptr) << slot.DebugString();
  EXPECT_EQ(trip->place(), kSlot);
  EXPECT_TRUE(Matches(trip->text(), "over-current [0-9]+\\.[0-9]{2} A > 2\\.00 A")) << trip->text();
  EXPECT_TRUE(Has(trip->next(), std::string("faraday slot clear ") + kSlot)) << trip->next();
  EXPECT_TRUE(trip->latched());
  EXPECT_GE(trip->since_utc_ms(), before - 2000);
  EXPECT_LE(trip->since_utc_ms(), NowMs() + 2000);

  const auto status = rack_.Cli({"status"});
  EXPECT_TRUE(Has(status.out.substr(0, status.out.find("rack r01")), std::string(kSlot) + " tripped: over-current"))
      << "the alert comes before the table: " << status.out;
  EXPECT_TRUE(
      WaitFor([&] { return Has(events.out(), "slot.tripped") && Has(events.out(), "over-current"); }, seconds(30)))
      << events.out();

  EXPECT_NE(rack_.Cli({"power", "on", kSlot}).exit_code, 0);
  ASSERT_TRUE(Done(rack_.Cli({"release", kSlot})));
  const auto refused = Reserve(kSlot, "3s");
  EXPECT_NE(refused.exit_code, 0) << "a tripped slot gets no lease";
  EXPECT_TRUE(Has(refused.out + refused.err, "tripped")) << "and it is said why: " << refused.out << refused.err;

  Fault(std::string(kSlot) + " short off");
  EXPECT_NE(rack_.Cli({"slot", "clear", kSlot, "--reason", "I think it is fine"}).exit_code, 0) << "no tech";
  ASSERT_TRUE(Done(Tech({"slot", "clear", kSlot, "--reason", "cable replaced"})));
  EXPECT_TRUE(rack_.WaitForSlot(kSlot, IsReady)) << rack_.Slot(kSlot).DebugString();
  EXPECT_EQ(rack_.Slot(kSlot).condition_list_size(), 0) << rack_.Slot(kSlot).DebugString();
  LeaseWithVbusOn(kSlot);
}

// Off until the firmware no longer says read-back-mismatch of a slot that was on when the rack was stopped: it
// quarantines a healthy slot.
TEST_F(SafetyTest, RackStop_TurnsAllOffEndsLeasesAndRefusesUntilResumed) {
  LeaseWithVbusOn(kSlot);
  const auto epoch = rack_.Slot(kSlot).lease().epoch();
  EXPECT_NE(rack_.Cli({"rack", "stop", "r01", "--reason", "I am no tech"}).exit_code, 0);
  EXPECT_EQ(rack_.Slot(kSlot).vbus().measured_on(), v1::TRI_STATE_YES);

  const auto stopped = Tech({"rack", "stop", "r01", "--reason", "smells hot"});
  ASSERT_TRUE(Done(stopped));
  EXPECT_TRUE(Has(stopped.out, "32 slots measured off")) << stopped.out;
  const v1::RackState rack = Whole();
  EXPECT_TRUE(rack.boards(0).stopped()) << rack.boards(0).DebugString();
  EXPECT_TRUE(rack.boards(0).alarm()) << rack.boards(0).DebugString();
  for (const v1::SlotState& slot : rack.slots()) {
    EXPECT_EQ(slot.vbus().measured_on(), v1::TRI_STATE_NO) << slot.DebugString();
    EXPECT_NE(slot.allocation(), v1::ALLOCATION_LEASED) << slot.DebugString();
  }
  EXPECT_GT(rack_.Slot(kSlot).lease().epoch(), epoch) << "the lease is over";
  EXPECT_TRUE(Has(rack_.Cli({"status"}).out, "faraday rack resume r01")) << rack_.Cli({"status"}).out;

  const auto refused = Tech({"power", "on", kSlot, "--reason", "try"});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_TRUE(Has(refused.err, "stop")) << refused.err;
  const auto waiting = Reserve(kSlot, "3s");
  EXPECT_NE(waiting.exit_code, 0) << waiting.out;
  EXPECT_TRUE(Has(waiting.out + waiting.err, "stop")) << waiting.out << waiting.err;

  ASSERT_TRUE(Done(Tech({"rack", "resume", "r01", "--reason", "found nothing"})));
  EXPECT_FALSE(Whole().boards(0).stopped());
  EXPECT_TRUE(rack_.WaitForSlot(kSlot, IsReady)) << rack_.Slot(kSlot).DebugString();
  LeaseWithVbusOn(kSlot);
}

TEST_F(SafetyTest, StopButton_IsToldAndResumeWaitsUntilItIsReleased) {
  LeaseWithVbusOn(kSlot);
  ASSERT_TRUE(Ok(rack_.Sim("input stop-button active").status()));
  ASSERT_TRUE(WaitFor([&] { return Whole().boards_size() == 1 && Whole().boards(0).stopped(); }, seconds(30)));
  EXPECT_TRUE(rack_.WaitForSlot(
      kSlot, [](const v1::SlotState& slot) { return slot.vbus().measured_on() == v1::TRI_STATE_NO; }));
  const auto refused = Tech({"rack", "resume", "r01", "--reason", "too early"});
  EXPECT_NE(refused.exit_code, 0) << refused.out;
  EXPECT_TRUE(Has(refused.err, "button")) << refused.err;
  ASSERT_TRUE(Ok(rack_.Sim("input stop-button inactive").status()));
  Output resumed;
  EXPECT_TRUE(WaitFor(
      [&] {
        return (resumed = Tech({"rack", "resume", "r01", "--reason", "released"})).exit_code == 0;
      },
      seconds(30)))
      << resumed.err;
  EXPECT_TRUE(rack_.WaitForSlot(kSlot, [](const v1::SlotState& slot) {
    return slot.vbus().measured_on() == v1::TRI_STATE_NO;
  })) << "nothing turns on by itself";
}

TEST_F(SafetyTest, Locate_BlinksTheLedOfWhoeverMayAsk) {
  ASSERT_TRUE(Done(Reserve(kSlot)));
  const auto led = [&](const std::string& slot) {
    const auto state = rack_.Sim("state " + slot);
    EXPECT_TRUE(state.ok()) << state.status().message();
    return state.ok() && Has(*state, "led");
  };
  ASSERT_TRUE(Done(rack_.Cli({"locate", kSlot, "--for", "2m"})));
  EXPECT_TRUE(WaitFor([&] { return led(kSlot); }, seconds(20)));
  EXPECT_TRUE(WaitFor([&] { return !led(kSlot); }, seconds(20))) << "it blinks, a leased slot's LED rests on";
  EXPECT_TRUE(WaitFor([&] { return led(kSlot); }, seconds(20)));
  EXPECT_NE(rack_.Cli({"locate", kOther}).exit_code, 0) << "not hers";
  EXPECT_NE(rack_.Cli({"locate", "r01"}).exit_code, 0) << "nor is the rack";
  ASSERT_TRUE(Done(Tech({"locate", "r01", "--for", "2m"})));
  EXPECT_TRUE(WaitFor([&] { return led(kOther); }, seconds(20)));
  ASSERT_TRUE(Done(Tech({"locate", "r01", "--off"})));
  EXPECT_TRUE(WaitFor([&] { return !led(kOther); }, seconds(20)));
}

TEST_F(SafetyTest, RelayStuck_QuarantinesThroughAControllersDeathUntilCleared) {
  ASSERT_TRUE(Done(Reserve(kSlot)));
  Fault(std::string(kSlot) + " relay-stuck on");
  EXPECT_NE(rack_.Cli({"shield", "couple", kSlot}).exit_code, 0);
  const auto quarantined = [](const v1::SlotState& slot) { return slot.health() == v1::HEALTH_QUARANTINED; };
  ASSERT_TRUE(rack_.WaitForSlot(kSlot, quarantined)) << rack_.Slot(kSlot).DebugString();
  const v1::SlotState slot = rack_.Slot(kSlot);
  const v1::Condition* stuck = Find(slot, "relay-stuck");
  ASSERT_NE(stuck, nullptr) << slot.DebugString();
  EXPECT_TRUE(stuck->quarantines());
  EXPECT_TRUE(Has(stuck->next(), std::string("faraday slot clear ") + kSlot)) << stuck->next();
  EXPECT_TRUE(Has(rack_.Cli({"status", kSlot}).out, "gets no new lease until it is cleared"));

  ASSERT_TRUE(Done(rack_.Cli({"release", kSlot})));
  Fault(std::string(kSlot) + " relay-stuck off");
  rack_.Kill9(Part::kController);
  ASSERT_TRUE(Ok(rack_.Start(Part::kController)));
  ASSERT_TRUE(rack_.WaitForSlot(
      kSlot, [](const v1::SlotState& now) { return now.vbus().measured_on() != v1::TRI_STATE_UNKNOWN; }));
  EXPECT_TRUE(quarantined(rack_.Slot(kSlot))) << "only a person ends it: " << rack_.Slot(kSlot).DebugString();
  const auto refused = Reserve(kSlot, "3s");
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_TRUE(Has(refused.out + refused.err, "quarantined")) << refused.out << refused.err;
  ASSERT_TRUE(Done(Again("tina", {"slot", "clear", kSlot, "--reason", "relay replaced"})));
  EXPECT_TRUE(rack_.WaitForSlot(kSlot, IsReady)) << rack_.Slot(kSlot).DebugString();
  EXPECT_TRUE(Done(Reserve(kSlot)));
}

TEST_F(SafetyTest, RackLog_KnowsTheTripAndItsTimeAfterAnMcuReset) {
  LeaseWithVbusOn(kSlot);
  const int64_t before = NowMs();
  Trip(kSlot);
  const int64_t after = NowMs();
  ASSERT_TRUE(Ok(rack_.Sim("mcu-reset 0 watchdog").status()));
  Output log;
  ASSERT_TRUE(WaitFor(
      [&] {
        log = Again("tina", {"rack", "log", "r01", "--json"});
        return log.exit_code == 0 && Has(log.out, "over-current");
      },
      seconds(60)))
      << log.out << log.err;
  v1::ReadBoardLogResult records;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(log.out, &records).ok());
  bool found = false;
  for (const auto& record : records.records()) {
    if (record.slot() != kSlot || record.kind() != "trip") continue;
    found = true;
    ASSERT_NE(record.utc_ms(), 0) << record.DebugString();
    EXPECT_GE(record.utc_ms(), before - 2000 - record.utc_error_ms()) << record.DebugString();
    EXPECT_LE(record.utc_ms(), after + 2000 + record.utc_error_ms()) << record.DebugString();
    EXPECT_TRUE(Has(record.text(), "over-current")) << record.DebugString();
  }
  EXPECT_TRUE(found) << log.out;
  const auto table = Tech({"rack", "log", "r01"});
  EXPECT_TRUE(Matches(table.out, "~?[0-9]{2}:[0-9]{2}:[0-9]{2} +r01/02 +trip +")) << table.out;
  EXPECT_TRUE(Has(table.out, "watchdog")) << "and the boot: " << table.out;
  EXPECT_NE(rack_.Cli({"rack", "log", "r01"}).exit_code, 0) << "ana is no tech";
}

// ---- the controller away for longer than the board waits ----

class SilenceTest : public SafetyTest {
 protected:
  void SetUp() override {
    rack_.SetRackConfig("slots:\n  defaults:",
                        "budgets: {host_silent: 2s, host_silent_max: 10s}\n\nslots:\n  defaults:");
    rack_.SetRackConfig("safe_state: charge", "safe_state: off");  // a charging duty would look like a restore
    SafetyTest::SetUp();
  }
  bool VbusOf(const std::string& slot, bool on, seconds limit = seconds(60)) {
    return WaitFor(
        [&] {
          const auto state = rack_.Sim("state " + slot);
          if (!state.ok()) return false;
          const size_t at = state->find("vbus_mv=");
          if (at == std::string::npos) return false;
          const int mv = std::stoi(state->substr(at + 8));
          return on ? mv >= 4750 : mv < 800;
        },
        limit);
  }
};

TEST_F(SilenceTest, ALeasedSlotGoesSafeAndIsRestoredWithItsLease) {
  LeaseWithVbusOn(kSlot);
  ASSERT_TRUE(Done(rack_.Cli({"usb", "connect", kSlot})));
  LeaseWithVbusOn(kOther);
  ASSERT_TRUE(Done(rack_.Cli({"power", "off", kOther})));
  const auto lease = rack_.Slot(kSlot).lease();
  rack_.Kill9(Part::kController);
  ASSERT_TRUE(VbusOf(kSlot, false)) << "no host at all: the board itself lets go";
  ASSERT_TRUE(Ok(rack_.Start(Part::kController)));
  EXPECT_TRUE(rack_.WaitForSlot(kSlot, [&](const v1::SlotState& slot) {
    return slot.lease().epoch() == lease.epoch() && slot.lease().holder() == "ana" &&
           slot.vbus().measured_on() == v1::TRI_STATE_YES && slot.data().measured() == v1::DATA_PATH_HOST;
  })) << rack_.Slot(kSlot).DebugString();
  EXPECT_TRUE(VbusOf(kSlot, true));
  EXPECT_EQ(rack_.Slot(kOther).vbus().commanded_on(), v1::TRI_STATE_NO) << "what she had switched off stays off";
  EXPECT_TRUE(VbusOf(kOther, false));
  EXPECT_TRUE(Done(Again("ana", {"power", "cycle", kSlot, "--off-for", "1s"}))) << "turn-ons are allowed again";
}

}  // namespace
}  // namespace faraday::hil
