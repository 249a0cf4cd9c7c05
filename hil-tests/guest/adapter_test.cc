// The controller's real serial path: libserialport on adapters of a real Linux USB stack, the firmware's own image at
// the other end of the wire, plugs pulled in use. One boot of the guest serves the whole suite.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <iostream>
#include <zmq.hpp>

#include "faraday/v1/envelope.pb.h"
#include "hil-tests/guest/board.h"
#include "hil-tests/guest/deadlines.h"
#include "hil-tests/guest/guest.h"
#include "rpc/client.h"

namespace faraday::hil {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int kSlot = 7;
constexpr const char* kSlotName = "r01/07";
constexpr Milliseconds kCall{5'000};  // one call; waits ask again
constexpr int kFirst = 7700;          // the controller under test
constexpr int kSecond = 7702;         // a second one, or one with another config

class Adapter : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (Status missing = Board::CheckPrerequisites(); !missing.ok()) skip_ = missing.message();
    if (Status missing = Guest::CheckPrerequisites(); !missing.ok()) skip_ = missing.message();
    if (!skip_.empty()) return;
    std::string pattern = "/tmp/faraday-guest-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
    auto board = Board::Start(dir_);
    ASSERT_TRUE(board.ok()) << ToString(board.status());
    board_ = std::move(*board);
    auto guest = Guest::Boot(dir_, board_->uart());
    ASSERT_TRUE(guest.ok()) << ToString(guest.status());
    guest_ = std::move(*guest);
  }
  static void TearDownTestSuite() {
    guest_.reset();
    board_.reset();
    if (dir_.empty()) return;
    if (testing::UnitTest::GetInstance()->Failed()) {
      std::cerr << "kept for you: " << dir_ << " (console.log, guest-qemu.err, faraday-sim.err)\n";
      return;
    }
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }

  void SetUp() override {
    if (!skip_.empty()) GTEST_SKIP() << "SKIPPED: " << skip_;
    ASSERT_NE(guest_, nullptr);
    Shell("date >>/dev/console; echo '" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) +
          "' >>/dev/console");
  }
  void TearDown() override {
    if (guest_ == nullptr) return;
    if (HasFailure())
      std::cerr << "the guest: "
                << Shell("tail -n 30 /tmp/run-*/log; ls -l /tmp /dev/ttyUSB*; ps; free; dmesg | tail -20") << "\n";
    EndControllers();
  }

  // ---- in the guest ----
  static std::string Shell(const std::string& line) {
    const auto answer = guest_->Shell(line, kGenerous);
    EXPECT_TRUE(answer.ok()) << line << ": " << ToString(answer.status());
    return answer.ok() ? answer->text : "";
  }
  // Starts a controller as `user`, in a folder of its own, and returns its process id; `variables` are rack.yaml's.
  static std::string StartController(int port, const std::string& user = "faraday", const std::string& variables = "") {
    const std::string folder = "/tmp/run-" + std::to_string(++runs_);
    Shell("mkdir -m 777 " + folder);
    std::string pid = Shell("PORT=" + std::to_string(port) + " RUN=" + folder + " " + variables + " su " + user +
                            " -c 'exec /faraday/faraday-controller --config /faraday/rack.yaml' >" + folder +
                            "/log 2>&1 & echo -n $!");
    EXPECT_TRUE(!pid.empty() && pid.find_first_not_of("0123456789") == std::string::npos) << pid;
    return pid;
  }
  static void EndController(const std::string& pid) {
    Shell("kill " + pid + "; while kill -0 " + pid + " 2>/dev/null; do usleep 50000; done");
  }
  static void EndControllers() {
    Shell("killall faraday-controller; while pidof faraday-controller; do usleep 50000; done");
  }

  // ---- calls ----
  static Result<v1::Reply> Call(v1::Request request, int port) {
    request.mutable_caller()->set_user("ana");
    request.mutable_caller()->set_role("user");
    return rpc::CallOnce(context_, guest_->Endpoint(port), std::move(request), kCall);
  }
  static v1::RackState Rack(int port = kFirst) {
    v1::Request request;
    request.mutable_get_rack()->set_slot(kSlotName);
    const auto reply = Call(request, port);
    return reply.ok() ? reply->get_rack().rack() : v1::RackState{};
  }
  // The board as the controller sees it.
  static v1::BoardState Line(int port = kFirst) {
    const v1::RackState rack = Rack(port);
    return rack.boards_size() == 1 ? rack.boards(0) : v1::BoardState{};
  }
  static bool Online(int port = kFirst) { return Line(port).online(); }
  v1::Lease Acquire() {
    v1::Request request;
    request.set_idempotency_key(testing::UnitTest::GetInstance()->current_test_info()->name());
    request.mutable_acquire()->set_slot(kSlotName);
    request.mutable_acquire()->set_purpose(v1::PURPOSE_PERSON);
    request.mutable_acquire()->set_duration_ms(600'000);
    Result<v1::Reply> reply = Status(Code::kUnknown, "not asked");
    WaitFor(
        [&] {
          reply = Call(request, kFirst);
          return reply.ok();
        },
        kGenerous);
    EXPECT_TRUE(reply.ok()) << ToString(reply.status());
    return reply.ok() ? reply->acquire().lease() : v1::Lease{};
  }
  v1::SlotState Power(const v1::Lease& lease, v1::PowerCall::Action action) {
    v1::Request request;
    request.mutable_power()->set_slot(kSlotName);
    request.mutable_power()->set_epoch(lease.epoch());
    request.mutable_power()->set_action(action);
    const auto reply = Call(request, kFirst);
    EXPECT_TRUE(reply.ok()) << ToString(reply.status());
    return reply.ok() ? reply->slot().slot() : v1::SlotState{};
  }
  void Release(const v1::Lease& lease) {
    v1::Request request;
    request.mutable_release()->set_lease(lease.id());
    const auto reply = Call(request, kFirst);
    EXPECT_TRUE(reply.ok()) << ToString(reply.status());
  }
  // The line is down for a reason like that.
  static bool DownFor(const std::string& reason, int port) {
    const v1::BoardState line = Line(port);
    return !line.online() && line.reason().find(reason) != std::string::npos;
  }

  static inline std::string skip_;
  static inline std::string dir_;
  static inline std::unique_ptr<Board> board_;
  static inline std::unique_ptr<Guest> guest_;
  static inline zmq::context_t context_;
  static inline int runs_ = 0;  // controllers started
};

TEST_F(Adapter, WithTheConfigsSerialNumberIsOpened_AndTheImageSwitchesASlot) {
  ASSERT_THAT(Shell("cat /sys/class/tty/ttyUSB0/device/../../serial"), HasSubstr("FT4RACK02"));
  Shell("stty -F /dev/ttyUSB1 crtscts");  // what another program may have left on; nobody drives CTS here
  StartController(kFirst);
  ASSERT_TRUE(WaitFor([] { return Online(); }, kGenerous)) << Line().ShortDebugString();
  EXPECT_EQ(Line().board(), "ast1030");
  EXPECT_THAT(Shell("stty -F /dev/ttyUSB1 -a"),
              AllOf(HasSubstr("speed 460800 baud"),
                    HasSubstr(" cs8 "),
                    HasSubstr("-parenb"),
                    HasSubstr("-cstopb"),
                    HasSubstr("-crtscts"),
                    HasSubstr("-ixon"),
                    HasSubstr("-ixoff"),
                    HasSubstr("-icanon"),
                    HasSubstr("-opost"),
                    HasSubstr("-echo ")));
  EXPECT_EQ(Shell("cat /sys/class/tty/ttyUSB1/device/latency_timer"), "1\n") << "short answers come at once";

  const v1::Lease lease = Acquire();
  const v1::SlotState on = Power(lease, v1::PowerCall::ACTION_ON);
  EXPECT_TRUE(board_->VbusOn(kSlot));
  EXPECT_EQ(on.vbus().measured_on(), v1::TRI_STATE_YES);
  EXPECT_GE(on.vbus().measured_mv(), 4750U);
  EXPECT_LE(on.vbus().measured_mv(), 5500U);
  const v1::SlotState off = Power(lease, v1::PowerCall::ACTION_OFF);
  EXPECT_FALSE(board_->VbusOn(kSlot));
  EXPECT_EQ(off.vbus().measured_on(), v1::TRI_STATE_NO);
  Release(lease);
}

TEST_F(Adapter, PulledInUseIsReported_AndComesBackByItselfUnderAnotherTtyNumber) {
  StartController(kFirst);
  ASSERT_TRUE(WaitFor([] { return Online(); }, kGenerous)) << Line().ShortDebugString();
  const v1::BoardState before = Line();
  const v1::Lease lease = Acquire();
  ASSERT_EQ(Power(lease, v1::PowerCall::ACTION_ON).vbus().measured_on(), v1::TRI_STATE_YES);

  ASSERT_TRUE(guest_->Pull("ours").ok());
  EXPECT_TRUE(WaitFor([] { return !Online(); }, kGenerous));
  EXPECT_TRUE(WaitFor([] { return DownFor("no adapter with USB serial number FT4RACK01", kFirst); }, kGenerous))
      << Line().ShortDebugString();
  EXPECT_THAT(Line().reason(), HasSubstr("plugged in: FT4RACK02 (/dev/ttyUSB0)"));
  EXPECT_TRUE(board_->VbusOn(kSlot)) << "a lost line switches nothing";

  ASSERT_TRUE(guest_->Plug("squatter", "FT4RACK03", "spare").ok());  // takes the number that has become free
  ASSERT_TRUE(WaitFor(
      [] { return Shell("cat /sys/class/tty/ttyUSB1/device/../../serial").find("FT4RACK03") != std::string::npos; },
      kGenerous));
  ASSERT_TRUE(guest_->Plug("ours", "FT4RACK01", "board").ok());
  ASSERT_TRUE(WaitFor([] { return Online(); }, kGenerous)) << Line().ShortDebugString();
  EXPECT_THAT(Shell("cat /sys/class/tty/ttyUSB2/device/../../serial"), HasSubstr("FT4RACK01"));
  const v1::BoardState after = Line();
  EXPECT_EQ(after.session(), before.session()) << "the board was not reset";
  EXPECT_EQ(after.term(), before.term() + 1) << "one Hello for one plug";

  EXPECT_TRUE(board_->VbusOn(kSlot));
  const v1::RackState rack = Rack();
  ASSERT_EQ(rack.slots_size(), 1);
  EXPECT_EQ(rack.slots(0).lease().id(), lease.id());
  EXPECT_EQ(rack.slots(0).lease().epoch(), lease.epoch());
  EXPECT_EQ(Power(lease, v1::PowerCall::ACTION_OFF).vbus().measured_on(), v1::TRI_STATE_NO);
  EXPECT_FALSE(board_->VbusOn(kSlot));
  Release(lease);
  EXPECT_TRUE(guest_->Pull("squatter").ok());
}

TEST_F(Adapter, InUseRefusesASecondController_AndTheFirstNoticesNothing) {
  StartController(kFirst);
  ASSERT_TRUE(WaitFor([] { return Online(); }, kGenerous)) << Line().ShortDebugString();
  const v1::BoardState before = Line();
  for (const char* user : {"faraday", "root"}) {
    const std::string second = StartController(kSecond, user);
    EXPECT_TRUE(WaitFor([] { return DownFor("is in use by another program", kSecond); }, kGenerous))
        << user << ": " << Line(kSecond).ShortDebugString();
    EndController(second);
  }
  EXPECT_TRUE(Online());
  EXPECT_EQ(Line().session(), before.session());
  EXPECT_EQ(Line().term(), before.term());
}

TEST_F(Adapter, WithoutPermissionNamesTheGroup) {
  StartController(kFirst, "nobody");
  EXPECT_TRUE(WaitFor([] { return DownFor("permission denied", kFirst); }, kGenerous)) << Line().ShortDebugString();
  EXPECT_THAT(Line().reason(), HasSubstr("group dialout"));
}

TEST_F(Adapter, AskedForABaudRateThatItCannotMakeSaysWhatItDoes) {
  StartController(kFirst, "faraday", "BAUD=4000000");  // this chip ends at 3000000, its driver falls to 9600
  EXPECT_TRUE(WaitFor([] { return DownFor("runs at 9600 baud", kFirst); }, kGenerous)) << Line().ShortDebugString();
  EXPECT_THAT(Line().reason(), HasSubstr("asks for 4000000"));
}

TEST_F(Adapter, OfTwoWithOneSerialNumberNeitherIsOpened) {
  ASSERT_TRUE(guest_->Plug("twin", "FT4RACK01", "spare").ok());
  ASSERT_TRUE(WaitFor([] { return Shell("ls /dev/ttyUSB* | wc -l") == "3\n"; }, kGenerous));
  StartController(kFirst);
  EXPECT_TRUE(WaitFor([] { return DownFor("2 ports have the USB serial number FT4RACK01", kFirst); }, kGenerous))
      << Line().ShortDebugString();
  ASSERT_TRUE(guest_->Pull("twin").ok());
  EXPECT_TRUE(WaitFor([] { return Online(); }, kGenerous)) << Line().ShortDebugString();
}

}  // namespace
}  // namespace faraday::hil
