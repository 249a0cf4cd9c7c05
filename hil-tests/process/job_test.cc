// The main job over the real programs: a phone chosen by selector, powered, tested, handed back.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <zmq.hpp>

#include "hil-tests/process/rack_under_test.h"

namespace faraday::hil {
namespace {

using std::chrono::seconds;
using Part = RackUnderTest::Part;

// One rack for every test of this file: they end what they begin.
class JobTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    rack_ = std::make_unique<RackUnderTest>();
    const auto started = rack_->StartAll();
    ASSERT_TRUE(started.ok()) << started.message();
  }
  static void TearDownTestSuite() { rack_.reset(); }
  void TearDown() override {
    if (HasFailure()) rack_->KeepFolder();
  }
  static Output Cli(std::vector<std::string> args, seconds limit = seconds(120)) {
    return rack_->Cli(std::move(args), limit);
  }
  static std::string Out(const std::string& name) { return rack_->folder() + "/" + name; }

  static std::unique_ptr<RackUnderTest> rack_;
};
std::unique_ptr<RackUnderTest> JobTest::rack_;

constexpr char kSuite[] = R"(set -e
adb=$(command -v adb)
echo hello from $FARADAY_SLOT >note.txt
"$adb" wait-for-device
"$adb" push note.txt /data/local/tmp/note.txt
"$adb" shell 'cat /data/local/tmp/note.txt; getprop ro.product.model' | tee $FARADAY_ARTIFACTS/phone.txt
"$adb" pull /data/local/tmp/note.txt $FARADAY_ARTIFACTS/back.txt
printf '<testsuite name="smoke" tests="2" failures="0"><testcase name="a"/><testcase name="b"/></testsuite>' >$FARADAY_ARTIFACTS/junit.xml
)";

TEST_F(JobTest, Run_PicksAPhoneBySelectorRunsTheCommandAndBringsArtefacts) {
  const auto output = Cli({"run",
                           "-l",
                           "model=pixel-8",
                           "--timeout",
                           "2m",
                           "--junit",
                           "junit.xml",
                           "--out",
                           Out("a"),
                           "--",
                           "sh",
                           "-c",
                           kSuite});
  EXPECT_EQ(output.exit_code, 0) << output.out << output.err;
  EXPECT_NE(output.out.find("hello from r01/"), std::string::npos) << output.out;
  EXPECT_NE(ReadFile(Out("a") + "/artifacts/back.txt").find("hello from r01/"), std::string::npos);
  EXPECT_NE(ReadFile(Out("a") + "/artifacts/phone.txt").find("Pixel 8"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(Out("a") + "/artifacts/junit.xml"));
}

TEST_F(JobTest, Run_ExitCodesTellWhoseFaultItWas) {
  EXPECT_EQ(Cli({"run", "-l", "platform=android", "--out", Out("b"), "--", "sh", "-c", "exit 9"}).exit_code, 1);
  EXPECT_EQ(Cli({"run", "-l", "model=~", "--", "true"}).exit_code, 2);
  EXPECT_EQ(Cli({"run", "-l", "model=no-such-phone", "--out", Out("c"), "--", "true"}).exit_code, 4);
  const auto timed_out =
      Cli({"run", "-l", "platform=android", "--timeout", "2s", "--out", Out("d"), "--", "sleep", "60"});
  EXPECT_EQ(timed_out.exit_code, 1);
  EXPECT_NE((timed_out.out + timed_out.err).find("2"), std::string::npos);
}

TEST_F(JobTest, Run_JunitFailuresFailTheJobEvenWithExitZero) {
  const auto output = Cli(
      {"run",
       "-l",
       "platform=android",
       "--junit",
       "r.xml",
       "--out",
       Out("e"),
       "--",
       "sh",
       "-c",
       "echo '<testsuite tests=\"3\" failures=\"1\"><testcase name=\"x\"><failure/></testcase></testsuite>' >r.xml"});
  EXPECT_EQ(output.exit_code, 1) << output.out << output.err;
}

TEST_F(JobTest, Run_PhoneThatVanishesIsInfrastructureNotAFailedTest) {
  auto cli = rack_->StartCli({"run",
                              "-l",
                              "slot=r01/03",
                              "--out",
                              Out("f"),
                              "--",
                              "sh",
                              "-c",
                              "echo started; while adb shell true; do :; done; exit 7"});
  ASSERT_TRUE(WaitFor([&] { return cli.out().find("started") != std::string::npos; }, seconds(90))) << cli.err();
  ASSERT_TRUE(rack_->Sim("phone r01/03 absent").ok());
  const auto output = cli.Finish(seconds(90));
  EXPECT_EQ(output.exit_code, 3) << output.out << output.err;
  ASSERT_TRUE(rack_->Sim("phone r01/03 ok").ok());
}

TEST_F(JobTest, Run_JobThatIgnoresSigtermIsCancelledAllTheSame) {
  auto cli = rack_->StartCli({"run",
                              "-l",
                              "platform=android",
                              "--out",
                              Out("g"),
                              "--",
                              "sh",
                              "-c",
                              "trap '' TERM; echo deaf; while :; do sleep 1; done"});
  ASSERT_TRUE(WaitFor([&] { return cli.out().find("deaf") != std::string::npos; }, seconds(90))) << cli.err();
  cli.Signal(SIGINT);
  const auto output = cli.Finish(seconds(60));
  EXPECT_EQ(output.exit_code, 5) << output.out << output.err;
}

TEST_F(JobTest, Run_100MegabytesOfLogAreBoundedAndTheJobPasses) {
  const auto output = Cli({"run",
                           "-l",
                           "platform=android",
                           "--out",
                           Out("h"),
                           "--",
                           "sh",
                           "-c",
                           "yes 0123456789abcdef | head -c 104857600; echo the end"},
                          seconds(240));
  EXPECT_EQ(output.exit_code, 0) << output.err;
  EXPECT_LT(output.out.size(), 40U << 20);
  EXPECT_NE(output.out.find("the end"), std::string::npos);
}

TEST_F(JobTest, Reservation_SwitchesItsSlotAndIsRefusedOthers) {
  const auto reserved = Cli({"reserve", "-l", "model=galaxy-s23", "--for", "10m", "--wait", "1m", "--json"});
  ASSERT_EQ(reserved.exit_code, 0) << reserved.out << reserved.err;
  const auto field = [&](const std::string& name) {
    const auto at = reserved.out.find("\"" + name + "\":");
    const auto open = reserved.out.find('"', at + name.size() + 3);
    return reserved.out.substr(open + 1, reserved.out.find('"', open + 1) - open - 1);
  };
  const std::string slot = field("slot");
  ASSERT_EQ(slot.substr(0, 4), "r01/") << reserved.out;
  const auto lease = rack_->Slot(slot).lease();
  EXPECT_EQ(lease.holder(), "ana");

  EXPECT_EQ(Cli({"power", "on", slot}).exit_code, 0);
  EXPECT_EQ(rack_->Slot(slot).vbus().measured_on(), v1::TRI_STATE_YES);
  EXPECT_GT(rack_->Slot(slot).vbus().measured_mv(), 4750U);
  EXPECT_EQ(Cli({"usb", "connect", slot}).exit_code, 0);
  EXPECT_EQ(rack_->Slot(slot).data().measured(), v1::DATA_PATH_HOST);
  EXPECT_EQ(Cli({"shield", "couple", slot}).exit_code, 0);
  EXPECT_EQ(rack_->Slot(slot).shield().measured(), v1::SHIELD_STATE_COUPLED);
  EXPECT_EQ(Cli({"shield", "isolate", slot}).exit_code, 0);
  EXPECT_EQ(rack_->Slot(slot).shield().measured(), v1::SHIELD_STATE_ISOLATED);
  EXPECT_EQ(Cli({"power", "cycle", slot, "--off-for", "1s"}).exit_code, 0);
  EXPECT_EQ(Cli({"power", "off", slot}).exit_code, 0);
  EXPECT_EQ(rack_->Slot(slot).vbus().measured_on(), v1::TRI_STATE_NO);

  const auto other = rack_->CliAs("bob", {"power", "on", slot});
  EXPECT_NE(other.exit_code, 0);
  EXPECT_NE(other.err.find("ana"), std::string::npos) << "a refusal names the holder: " << other.err;
  EXPECT_NE(rack_->CliAs("bob", {"release", lease.id()}).exit_code, 0);
  EXPECT_EQ(Cli({"renew", lease.id(), "--for", "20m"}).exit_code, 0);
  EXPECT_EQ(Cli({"release", lease.id()}).exit_code, 0);
  const auto stale = Cli({"power", "on", slot});
  EXPECT_NE(stale.exit_code, 0) << "the lease is over";
  EXPECT_TRUE(rack_->WaitForSlot(slot, [&](const v1::SlotState& state) {
    return state.allocation() == v1::ALLOCATION_FREE && state.lease().epoch() > lease.epoch();
  })) << rack_->Slot(slot).DebugString();
}

TEST_F(JobTest, Mistakes_AreAnsweredInPlainWords) {
  const auto slot = Cli({"power", "on", "r01/99"});
  EXPECT_NE(slot.exit_code, 0);
  EXPECT_NE(slot.err.find("r01/99"), std::string::npos) << slot.err;
  const auto selector = Cli({"reserve", "-l", "model=="});
  EXPECT_EQ(selector.exit_code, 2) << selector.err;
  EXPECT_NE(selector.err.find("column"), std::string::npos) << selector.err;
}

TEST_F(JobTest, GarbageOnTheRouters_HarmsNobody) {
  zmq::context_t context;
  for (const char* port : {"7700", "7710"}) {
    zmq::socket_t socket(context, zmq::socket_type::dealer);
    socket.set(zmq::sockopt::linger, 1000);
    socket.connect("tcp://" + rack_->address() + ":" + port);
    for (int i = 0; i < 200; ++i) {
      socket.send(zmq::buffer(std::string(static_cast<size_t>(i) * 7, static_cast<char>(i))), zmq::send_flags::none);
    }
  }
  EXPECT_EQ(Cli({"status", "r01"}).exit_code, 0);
}

}  // namespace
}  // namespace faraday::hil
