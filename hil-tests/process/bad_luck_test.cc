// Every program killed in the middle of a job, the line cut, the MCU reset: a job survives or ends with a stated
// reason, and a phone never has two holders.
#include <gtest/gtest.h>

#include <filesystem>

#include "hil-tests/process/rack_under_test.h"

namespace faraday::hil {
namespace {

using std::chrono::seconds;
using Part = RackUnderTest::Part;

constexpr char kSlot[] = "r01/02";

class BadLuckTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(Ok(rack_.StartAll())); }
  void TearDown() override {
    if (HasFailure()) rack_.KeepFolder();
  }
  static ::testing::AssertionResult Ok(const Status& status) {
    return status.ok() ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << status.message();
  }

  // Starts a job on kSlot that writes "started", waits for `go`, then writes "finished".
  Program StartJob() {
    Program cli = rack_.StartCli(
        {"run",
         "-l",
         std::string("slot=") + kSlot,
         "--timeout",
         "5m",
         "--out",
         rack_.folder() + "/out",
         "--",
         "sh",
         "-c",
         "echo started; until [ -e " + Go() + " ]; do sleep 0.2; done; adb shell true && echo finished"});
    EXPECT_TRUE(WaitFor([&] { return cli.out().find("started") != std::string::npos; }, seconds(120))) << cli.err();
    return cli;
  }
  std::string Go() const { return rack_.folder() + "/go"; }
  void LetItFinish() { WriteFile(Go(), "go"); }

  RackUnderTest rack_;
};

TEST_F(BadLuckTest, ControllerKilled_LeaseGoesOnAndTheJobPasses) {
  auto cli = StartJob();
  const auto before = rack_.Slot(kSlot).lease();
  ASSERT_EQ(before.purpose(), v1::PURPOSE_JOB);
  rack_.Kill9(Part::kController);
  ASSERT_TRUE(Ok(rack_.Start(Part::kController)));
  EXPECT_TRUE(rack_.WaitForSlot(kSlot, [&](const v1::SlotState& slot) {
    return slot.lease().epoch() == before.epoch() && slot.lease().holder() == before.holder();
  })) << rack_.Slot(kSlot).DebugString();
  LetItFinish();
  const auto output = cli.Finish(seconds(120));
  EXPECT_EQ(output.exit_code, 0) << output.out << output.err;
  EXPECT_TRUE(rack_.WaitForSlot(kSlot, [&](const v1::SlotState& slot) {
    return slot.allocation() == v1::ALLOCATION_FREE && slot.lease().epoch() > before.epoch();
  })) << rack_.Slot(kSlot).DebugString();
}

TEST_F(BadLuckTest, AgentKilled_JobIsAdoptedAndReportedOnce) {
  auto cli = StartJob();
  const auto before = rack_.Slot(kSlot).lease();
  rack_.Kill9(Part::kAgent);
  ASSERT_TRUE(Ok(rack_.Start(Part::kAgent)));
  LetItFinish();
  const auto output = cli.Finish(seconds(150));
  EXPECT_EQ(output.exit_code, 0) << output.out << output.err;
  EXPECT_NE(output.out.find("finished"), std::string::npos);
  EXPECT_TRUE(
      rack_.WaitForSlot(kSlot, [&](const v1::SlotState& slot) { return slot.lease().epoch() > before.epoch(); }));
}

TEST_F(BadLuckTest, LabKilled_JobGoesOnAndIsReportedToTheNextLab) {
  auto cli = StartJob();
  rack_.Kill9(Part::kLab);
  LetItFinish();
  ASSERT_TRUE(Ok(rack_.Start(Part::kLab)));
  const auto output = cli.Finish(seconds(150));
  EXPECT_EQ(output.exit_code, 0) << output.out << output.err;
  EXPECT_NE(output.out.find("finished"), std::string::npos) << output.out;
}

TEST_F(BadLuckTest, AgentGoneForGood_LeaseRunsOutBeforeAnyoneElseGetsThePhone) {
  auto cli = StartJob();
  const auto before = rack_.Slot(kSlot).lease();
  rack_.Kill9(Part::kAgent);
  const auto output = cli.Finish(seconds(240));
  EXPECT_EQ(output.exit_code, 3) << output.out << output.err;
  const auto after = rack_.Slot(kSlot);
  EXPECT_GT(after.lease().epoch(), before.epoch());
  EXPECT_NE(after.data().measured(), v1::DATA_PATH_HOST) << "data stays open until the agent has cleared";
  EXPECT_NE(after.allocation(), v1::ALLOCATION_FREE);
  EXPECT_TRUE(rack_.WaitForSlot(kSlot, [](const v1::SlotState& slot) { return slot.health() == v1::HEALTH_SUSPECT; }))
      << rack_.Slot(kSlot).DebugString();
  ASSERT_TRUE(Ok(rack_.Start(Part::kAgent)));
  EXPECT_TRUE(rack_.WaitForSlot(kSlot, [](const v1::SlotState& slot) {
    return slot.health() == v1::HEALTH_GOOD && slot.allocation() == v1::ALLOCATION_FREE;
  })) << rack_.Slot(kSlot).DebugString();
}

TEST_F(BadLuckTest, LineCutAndRestored_SaysWhyAndSwitchesNothingByItself) {
  const auto reserved = rack_.Cli({"reserve", "-l", std::string("slot=") + kSlot, "--for", "10m", "--wait", "1m"});
  ASSERT_EQ(reserved.exit_code, 0) << reserved.err;
  ASSERT_EQ(rack_.Cli({"power", "on", kSlot}).exit_code, 0);
  const auto before = rack_.Slot(kSlot).lease();
  ASSERT_TRUE(Ok(rack_.Sim("line 0 cut").status()));
  ASSERT_TRUE(rack_.WaitForSlot(kSlot,
                                [](const v1::SlotState& slot) {
                                  return slot.reason().find("line") != std::string::npos &&
                                         slot.vbus().measured_on() == v1::TRI_STATE_UNKNOWN;
                                }))
      << "without a line nothing is measured, and the reason is told: " << rack_.Slot(kSlot).DebugString();
  const auto refused = rack_.Cli({"power", "off", kSlot});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_NE(refused.err.find("line"), std::string::npos) << refused.err;
  ASSERT_TRUE(Ok(rack_.Sim("line 0 restore").status()));
  EXPECT_TRUE(rack_.WaitForSlot(kSlot, [&](const v1::SlotState& slot) {
    return slot.vbus().measured_on() == v1::TRI_STATE_YES && slot.lease().epoch() == before.epoch();
  })) << rack_.Slot(kSlot).DebugString();
  // The first calls after the return may meet the handshake: exit 3 says "again".
  Output off;
  EXPECT_TRUE(WaitFor([&] { return (off = rack_.Cli({"power", "off", kSlot})).exit_code != 3; }, seconds(30)));
  EXPECT_EQ(off.exit_code, 0) << off.err;
}

TEST(ConfigTest, Check_TellsEveryMistakeAtOnceWithFileAndLine) {
  RackUnderTest rack;
  const std::string path = rack.folder() + "/bad.yaml";
  WriteFile(path,
            "rack: R01\n"
            "boards:\n"
            "  - port: {pth: /dev/null}\n"
            "    rails: [{name: A, budget_ma: 16000}]\n"
            "slots:\n"
            "  list:\n"
            "    - {slots: 1-2, rail: A, current_limit_ma: 9000}\n");
  const std::string controller = std::string(FARADAY_BIN_DIR) + "/faraday-controller";
  const auto output = Program({controller, "--config", path, "--check"}, rack.environment(), rack.folder() + "/check")
                          .Finish(seconds(30));
  EXPECT_EQ(output.exit_code, 2);
  const std::string text = output.out + output.err;
  for (const char* part : {"bad.yaml:1", "bad.yaml:3", "bad.yaml:7", "path", "mA"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " is missing in: " << text;
  }
  const auto missing = Program({controller, "--config", path + ".none"}, rack.environment(), rack.folder() + "/none")
                           .Finish(seconds(30));
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_NE(missing.err.find("bad.yaml.none"), std::string::npos) << missing.err;
}

// Starts its parts itself.
class LateLineTest : public ::testing::Test {
 protected:
  RackUnderTest rack_;
};

TEST_F(LateLineTest, LineAbsentAtStart_ServesSaysWhyAndTakesTheLineWhenItComes) {
  const auto started = rack_.Start(Part::kController);
  ASSERT_TRUE(started.ok()) << started.message();
  const auto slot = rack_.Slot(kSlot);
  EXPECT_NE(slot.reason().find("board 0"), std::string::npos) << slot.DebugString();
  EXPECT_EQ(slot.vbus().measured_on(), v1::TRI_STATE_UNKNOWN);
  v1::Request acquire;
  acquire.mutable_acquire()->set_slot(kSlot);
  acquire.mutable_acquire()->set_purpose(v1::PURPOSE_PERSON);
  EXPECT_EQ(rack_.CallController(acquire, "tina", "tech").status().code(), Code::kUnavailable);
  const auto late = rack_.Start(Part::kSim);
  ASSERT_TRUE(late.ok()) << late.message();
  EXPECT_TRUE(rack_.WaitForSlot(kSlot, [](const v1::SlotState& now) {
    return now.vbus().measured_on() != v1::TRI_STATE_UNKNOWN;
  })) << rack_.Slot(kSlot).DebugString();
}

TEST_F(BadLuckTest, McuReset_LeavesOutputsOffAndTheLeaseInForce) {
  ASSERT_EQ(rack_.Cli({"reserve", "-l", std::string("slot=") + kSlot, "--for", "10m", "--wait", "1m"}).exit_code, 0);
  ASSERT_EQ(rack_.Cli({"power", "on", kSlot}).exit_code, 0);
  const auto before = rack_.Slot(kSlot).lease();
  ASSERT_TRUE(Ok(rack_.Sim("mcu-reset 0").status()));
  EXPECT_TRUE(rack_.WaitForSlot(kSlot, [&](const v1::SlotState& slot) {
    return slot.vbus().measured_on() == v1::TRI_STATE_NO && slot.lease().epoch() == before.epoch();
  })) << rack_.Slot(kSlot).DebugString();
  EXPECT_TRUE(WaitFor([&] { return rack_.Cli({"power", "on", kSlot}).exit_code == 0; }, seconds(30)));
  EXPECT_EQ(rack_.Slot(kSlot).vbus().measured_on(), v1::TRI_STATE_YES);
}

TEST_F(BadLuckTest, ShortOnVbus_TripsAndIsToldInPlainWords) {
  ASSERT_EQ(rack_.Cli({"reserve", "-l", std::string("slot=") + kSlot, "--for", "10m", "--wait", "1m"}).exit_code, 0);
  ASSERT_EQ(rack_.Cli({"power", "on", kSlot}).exit_code, 0);
  ASSERT_TRUE(Ok(rack_.Sim(std::string("fault ") + kSlot + " short on").status()));
  EXPECT_TRUE(rack_.WaitForSlot(kSlot, [](const v1::SlotState& slot) {
    return slot.trip().find("over-current") != std::string::npos && slot.vbus().measured_on() == v1::TRI_STATE_NO;
  })) << rack_.Slot(kSlot).DebugString();
  const auto refused = rack_.Cli({"power", "on", kSlot});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_NE(refused.err.find("over-current"), std::string::npos) << refused.err;
}

TEST_F(BadLuckTest, RelayStuck_IsAnErrorWithWhatWasMeasured) {
  ASSERT_EQ(rack_.Cli({"reserve", "-l", std::string("slot=") + kSlot, "--for", "10m", "--wait", "1m"}).exit_code, 0);
  ASSERT_TRUE(Ok(rack_.Sim(std::string("fault ") + kSlot + " relay-stuck on").status()));
  const auto refused = rack_.Cli({"shield", "couple", kSlot});
  EXPECT_NE(refused.exit_code, 0) << refused.out;
  EXPECT_NE(refused.err.find("relay"), std::string::npos) << refused.err;
}

TEST_F(BadLuckTest, SecondController_IsRefusedOrTheOlderOneExits) {
  // Same state folder: the second one must not even start.
  auto second = Program({std::string(FARADAY_BIN_DIR) + "/faraday-controller",
                         "--config",
                         std::string(FARADAY_SOURCE_DIR) + "/rack-configs/r01.yaml"},
                        rack_.environment(),
                        rack_.folder() + "/second");
  const auto output = second.Finish(seconds(60));
  EXPECT_NE(output.exit_code, 0);
  EXPECT_FALSE(output.err.empty());
  EXPECT_TRUE(rack_.program(Part::kController).running());
}

}  // namespace
}  // namespace faraday::hil
