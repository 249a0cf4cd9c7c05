// The line between the real programs: damaged by faraday-line-proxy, wanted by two controllers, its MCU reset in the
// middle of a command, its controller ended by intent. What the hardware did is asked of the simulator.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>

#include "hil-tests/line/line_rack.h"
#include "sim/qemu/qemu_machine.h"

namespace faraday::hil {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

constexpr char kSlot[] = "r01/04";
constexpr seconds kLimit{60};

::testing::AssertionResult Ok(const Status& status) {
  return status.ok() ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << status.message();
}

v1::Request Shield(const std::string& slot, uint32_t epoch, bool couple) {
  v1::Request request;
  request.mutable_shield()->set_slot(slot);
  request.mutable_shield()->set_epoch(epoch);
  request.mutable_shield()->set_couple(couple);
  return request;
}

v1::Request Power(const std::string& slot, uint32_t epoch, v1::PowerCall::Action action) {
  v1::Request request;
  request.mutable_power()->set_slot(slot);
  request.mutable_power()->set_epoch(epoch);
  request.mutable_power()->set_action(action);
  return request;
}

class LineTest : public ::testing::Test {
 protected:
  explicit LineTest(const char* board = "native") : rack_(board) {}
  void TearDown() override {
    if (HasFailure()) rack_.KeepFolder();
  }
  Controller StartController(const std::string& name, const std::string& port) {
    auto started = rack_.StartController(name, port);
    EXPECT_TRUE(Ok(started.status()));
    return started.ok() ? std::move(*started) : Controller{};
  }
  std::string Truth(const std::string& what) {
    const auto state = rack_.Sim("state " + what);
    return state.ok() ? *state : state.status().message();
  }
  void DamagedCommands(int commands);
  LineRack rack_;
};

// Counts what cannot be repeated without being seen: each call must find the hardware as the last one left it, and
// leave it as it was told.
void LineTest::DamagedCommands(int commands) {
  ASSERT_TRUE(Ok(rack_.StartSim(rack_.Pty("good0"))));
  ASSERT_TRUE(Ok(rack_.StartProxy("bad0", "good0", "5%")));
  const Controller controller = StartController("controller", rack_.Pty("bad0"));
  ASSERT_TRUE(rack_.WaitUntilMeasured(controller, kSlot));
  const uint32_t epoch = rack_.Acquire(controller, kSlot);
  ASSERT_NE(epoch, 0u);
  bool coupled = false;
  bool on = false;
  int in_doubt = 0;
  ASSERT_TRUE(Ok(rack_.Call(controller, Power(kSlot, epoch, v1::PowerCall::ACTION_OFF)).status()));
  for (int i = 0; i < commands; ++i) {
    const bool relay = i % 5 != 0;
    bool& level = relay ? coupled : on;
    const v1::Request request = relay
                                    ? Shield(kSlot, epoch, !level)
                                    : Power(kSlot, epoch, level ? v1::PowerCall::ACTION_OFF : v1::PowerCall::ACTION_ON);
    const auto reply = rack_.Call(controller, request);
    // A starved machine may lose the session for real: that must be said, and is asked of the hardware then.
    const Code code = reply.status().code();
    const bool unknown = code == Code::kUnknown || code == Code::kUnavailable || code == Code::kDeadlineExceeded;
    ASSERT_TRUE(reply.ok() || unknown) << reply.status().message();
    const std::string truth = Truth(kSlot);
    if (!unknown) level = !level;
    if (unknown) {
      ++in_doubt;
      coupled = truth.find("relay=coupled") != std::string::npos;
      on = truth.find("outputs=vbus") != std::string::npos;
    }
    ASSERT_THAT(truth, HasSubstr(coupled ? "relay=coupled" : "relay=isolated")) << "call " << i;
    ASSERT_EQ(truth.find("outputs=vbus") != std::string::npos, on) << "call " << i << ": " << truth;
  }
  EXPECT_LE(in_doubt * 20, commands) << "nearly all of them were answered for certain";
  rack_.proxy().Signal(SIGUSR1);
  EXPECT_TRUE(WaitFor([&] { return rack_.proxy().out().find("to host: ") != std::string::npos; }, kLimit));
  EXPECT_THAT(rack_.proxy().out(), testing::Not(HasSubstr(" 0 damaged"))) << "the line was bad";
  rack_.proxy().Signal(SIGTERM);
  EXPECT_EQ(rack_.proxy().Wait(kLimit).value_or(-1), 0);
  fmt::print("{} commands, {} in doubt\n{}", commands, in_doubt, rack_.proxy().out());
}

// FARADAY_LINE_COMMANDS: 10,000 in a nightly run.
int CommandsWanted(int otherwise) {
  const char* wanted = std::getenv("FARADAY_LINE_COMMANDS");
  return wanted == nullptr ? otherwise : std::max(10, std::atoi(wanted));
}

TEST_F(LineTest, FivePercentDamaged_EveryCommandActsAsAnswered) { DamagedCommands(CommandsWanted(200)); }

class ImageLineTest : public LineTest {
 protected:
  ImageLineTest() : LineTest("ast1030") {}
  void SetUp() override {
    const Status image = sim::qemu::QemuMachine::Factory(FARADAY_BIN_DIR "/faraday-firmware-ast1030.elf").status();
    if (!image.ok()) GTEST_SKIP() << "SKIPPED: " << image.message();
  }
};

TEST_F(ImageLineTest, FivePercentDamaged_EveryCommandActsAsAnswered) { DamagedCommands(CommandsWanted(60)); }

TEST_F(LineTest, SecondController_TakesThePtyOverAndTheOlderExits) {
  ASSERT_TRUE(Ok(rack_.StartSim(rack_.Pty("board0"))));
  Controller older = StartController("older", rack_.Pty("board0"));
  ASSERT_TRUE(rack_.WaitUntilMeasured(older, kSlot));
  Controller newer = StartController("newer", rack_.Pty("board0"));
  EXPECT_EQ(older.program->Wait(kLimit).value_or(-1), 3);
  EXPECT_THAT(older.program->err(), HasSubstr("another controller has taken over this board"));
  EXPECT_THAT(older.program->err(), HasSubstr("this one ends"));
  EXPECT_TRUE(rack_.WaitUntilMeasured(newer, kSlot));
  EXPECT_TRUE(newer.program->running());
  // Started again by intent, the older is the newest.
  older = StartController("older", rack_.Pty("board0"));
  EXPECT_EQ(newer.program->Wait(kLimit).value_or(-1), 3);
  EXPECT_TRUE(rack_.WaitUntilMeasured(older, kSlot));
}

// A socket has one far end at a time. The older loses it, the newer gets it, and when both want it again and again only
// the newer may have it.
TEST_F(LineTest, SecondControllerOnASocket_OlderThatLostTheLineDoesNotTakeItBack) {
  ASSERT_TRUE(Ok(rack_.StartSim(rack_.Socket("board0"))));
  Controller older = StartController("older", rack_.Socket("board0"));
  ASSERT_TRUE(rack_.WaitUntilMeasured(older, kSlot));
  older.program->Signal(SIGSTOP);
  ASSERT_TRUE(Ok(rack_.Sim("line 0 cut").status()));
  ASSERT_TRUE(Ok(rack_.Sim("line 0 restore").status()));
  Controller newer = StartController("newer", rack_.Socket("board0"));
  ASSERT_TRUE(rack_.WaitUntilMeasured(newer, kSlot));
  older.program->Signal(SIGCONT);
  // Whoever comes first after a cut has the socket; the other waits in its queue. The older is let in first here.
  EXPECT_TRUE(WaitFor(
      [&] {
        if (!older.program->running() || !newer.program->running()) return true;
        newer.program->Signal(SIGSTOP);  // else it is always first at the line
        (void)rack_.Sim("line 0 cut");
        (void)rack_.Sim("line 0 restore");
        const bool ended = older.program->Wait(std::chrono::milliseconds(5000)).has_value();
        newer.program->Signal(SIGCONT);
        return ended;
      },
      kLimit * 2));
  EXPECT_EQ(older.program->Wait(seconds(1)).value_or(-1), 3) << older.program->err();
  EXPECT_THAT(older.program->err(), HasSubstr("another controller has taken over this board"));
  EXPECT_TRUE(newer.program->running()) << newer.program->err();
  EXPECT_TRUE(rack_.WaitUntilMeasured(newer, kSlot));
}

TEST_F(LineTest, McuResetInACycle_IsAnsweredUnknownWithWhatIsMeasuredSince) {
  ASSERT_TRUE(Ok(rack_.StartSim(rack_.Pty("board0"))));
  const Controller controller = StartController("controller", rack_.Pty("board0"));
  ASSERT_TRUE(rack_.WaitUntilMeasured(controller, kSlot));
  const uint32_t epoch = rack_.Acquire(controller, kSlot);
  ASSERT_NE(epoch, 0u);
  ASSERT_TRUE(Ok(rack_.Call(controller, Power(kSlot, epoch, v1::PowerCall::ACTION_ON)).status()));
  Program cycle = rack_.StartCli(controller, {"power", "cycle", kSlot, "--off-for", "30s"});
  ASSERT_TRUE(WaitFor([&] { return Truth(kSlot).find("outputs=vbus") == std::string::npos; }, kLimit))
      << cycle.out() << cycle.err();
  ASSERT_TRUE(Ok(rack_.Sim("mcu-reset 0").status()));
  const Output output = cycle.Finish(kLimit);
  EXPECT_EQ(output.exit_code, 1) << output.out << output.err;
  EXPECT_THAT(output.err, HasSubstr("r01/04: power cycle: outcome unknown: the board has reset"));
  EXPECT_THAT(output.err, HasSubstr("measured since: VBUS"));
  // Not repeated by anybody; asked again, it works.
  EXPECT_TRUE(rack_.WaitUntilMeasured(controller, kSlot));
  EXPECT_EQ(Truth(kSlot).find("outputs=vbus"), std::string::npos);
  EXPECT_TRUE(
      WaitFor([&] { return rack_.Call(controller, Power(kSlot, epoch, v1::PowerCall::ACTION_ON)).ok(); }, kLimit));
  EXPECT_THAT(Truth(kSlot), HasSubstr("outputs=vbus"));
}

TEST_F(LineTest, ControllerEndedByIntent_AnnouncesItsAbsence) {
  ASSERT_TRUE(Ok(rack_.StartSim(rack_.Pty("board0"))));
  const Controller controller = StartController("controller", rack_.Pty("board0"));
  ASSERT_TRUE(rack_.WaitUntilMeasured(controller, kSlot));
  controller.program->Signal(SIGTERM);
  EXPECT_EQ(controller.program->Wait(kLimit).value_or(-1), 0);
  const Output frames = rack_.Cli(controller, {"link", "decode", controller.capture});
  const size_t announced = frames.out.find("away_ms=60000");
  ASSERT_NE(announced, std::string::npos) << frames.out;
  const size_t last_command = frames.out.rfind("-> command");
  EXPECT_LT(last_command, announced) << "nothing is asked after it";
}

}  // namespace
}  // namespace faraday::hil
