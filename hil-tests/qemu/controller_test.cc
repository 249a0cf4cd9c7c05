// The whole rack side with the emulated board: faraday.v1 call, real controller, MCU link, firmware image, expander,
// plant, monitor, and back.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <zmq.hpp>

#include "faraday/v1/envelope.pb.h"
#include "hil-tests/qemu/bench.h"
#include "hil-tests/qemu/controller_process.h"
#include "rpc/client.h"

namespace faraday::hil {
namespace {

using firmware::Output;

constexpr int kSlot = 7;
constexpr const char* kSlotName = "r01/07";

class QemuController : public QemuBench {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(QemuBench::SetUp());
    if (IsSkipped()) return;
    Continue();
    WriteConfig();
    auto controller = ControllerProcess::Start(dir() + "/rack.yaml", dir() + "/controller.log");
    ASSERT_TRUE(controller.ok()) << ToString(controller.status());
    controller_.emplace(std::move(*controller));
    ASSERT_TRUE(Eventually([this] { return FindEndpoint() || !controller_->running(); }));
    ASSERT_FALSE(endpoint_.empty()) << "the controller ended";
  }

  void TearDown() override {
    if (controller_.has_value()) {
      const auto exit_status = controller_->Terminate(kGenerous);
      EXPECT_TRUE(exit_status.ok()) << ToString(exit_status.status());
      EXPECT_EQ(exit_status.ok() ? *exit_status : -1, 0);
    }
    if (HasFailure()) {
      std::ifstream log(dir() + "/controller.log");
      std::cerr << "controller said: " << std::string(std::istreambuf_iterator<char>(log), {}) << "\n";
    }
    QemuBench::TearDown();
  }

  // The reply; an error is a test failure.
  v1::Reply Must(const v1::Request& request) {
    const auto reply = Call(request);
    EXPECT_TRUE(reply.ok()) << ToString(reply.status());
    return reply.ok() ? *reply : v1::Reply{};
  }
  Result<v1::Reply> Call(v1::Request request) {
    request.mutable_caller()->set_user("ana");
    request.mutable_caller()->set_role("user");
    return rpc::CallOnce(context_, endpoint_, std::move(request), kGenerous);
  }
  v1::RackState Rack() {
    v1::Request request;
    request.mutable_get_rack()->set_slot(kSlotName);
    const auto reply = Call(request);
    return reply.ok() ? reply->get_rack().rack() : v1::RackState{};
  }
  bool BoardOnline() {
    const v1::RackState rack = Rack();
    return rack.boards_size() == 1 && rack.boards(0).online();
  }
  v1::Lease Acquire() {
    v1::Request request;
    request.set_idempotency_key("qemu-test");
    request.mutable_acquire()->set_slot(kSlotName);
    request.mutable_acquire()->set_purpose(v1::PURPOSE_PERSON);
    request.mutable_acquire()->set_duration_ms(600'000);
    Result<v1::Reply> reply = Status(Code::kUnknown, "not asked");
    Eventually([&] {
      reply = Call(request);
      return reply.ok() ||
             (reply.status().code() != Code::kUnavailable && reply.status().code() != Code::kFailedPrecondition);
    });
    EXPECT_TRUE(reply.ok()) << ToString(reply.status());
    return reply.ok() ? reply->acquire().lease() : v1::Lease{};
  }
  v1::SlotState Power(const v1::Lease& lease, v1::PowerCall::Action action) {
    v1::Request request;
    request.mutable_power()->set_slot(kSlotName);
    request.mutable_power()->set_epoch(lease.epoch());
    request.mutable_power()->set_action(action);
    return Must(request).slot().slot();
  }

 private:
  void WriteConfig() {
    std::ofstream(dir() + "/rack.yaml") << R"(rack: r01
controller: {listen: "tcp://127.0.0.1:0", events: "tcp://127.0.0.1:0", state_dir: state, security: plain}
boards:
  - port: {socket: uart}
    kind: ast1030
    rails: [{name: A, budget_ma: 20000}]
slots:
  defaults: {current_limit_ma: 600, safe_state: "off"}
  list: [{slots: 1-32, rail: A}]
)";
  }
  // From the file that the controller writes once it serves.
  bool FindEndpoint() {
    std::ifstream file(dir() + "/state/endpoints");
    std::string word;
    while (file >> word) {
      if (word == "listen") file >> endpoint_;
    }
    return !endpoint_.empty();
  }

  zmq::context_t context_;
  std::string endpoint_;
  std::optional<ControllerProcess> controller_;
};

TEST_F(QemuController, SwitchesVbusOfOneSlotAndShowsWhatIsMeasured) {
  plant().SetLoad(kSlot, 480);
  ASSERT_TRUE(Eventually([this] { return BoardOnline(); })) << Rack().ShortDebugString();
  EXPECT_EQ(Rack().boards(0).board(), "ast1030");
  EXPECT_EQ(Rack().boards(0).boot_reason(), "power-on");
  const v1::Lease lease = Acquire();
  ASSERT_GT(lease.epoch(), 0U);

  const v1::SlotState on = Power(lease, v1::PowerCall::ACTION_ON);
  EXPECT_TRUE(plant().Driven(kSlot, Output::kVbus));
  EXPECT_EQ(on.vbus().commanded_on(), v1::TRI_STATE_YES);
  EXPECT_EQ(on.vbus().measured_on(), v1::TRI_STATE_YES);
  EXPECT_GE(on.vbus().measured_mv(), 4750U);
  EXPECT_LE(on.vbus().measured_mv(), 5500U);
  EXPECT_TRUE(Eventually([this] {
    const v1::RackState rack = Rack();
    return rack.slots_size() == 1 && rack.slots(0).vbus().measured_ma() > 430 &&
           rack.slots(0).vbus().measured_ma() < 530;
  })) << Rack().ShortDebugString();

  const v1::SlotState off = Power(lease, v1::PowerCall::ACTION_OFF);
  EXPECT_FALSE(plant().Driven(kSlot, Output::kVbus));
  EXPECT_EQ(off.vbus().measured_on(), v1::TRI_STATE_NO);
  EXPECT_LT(off.vbus().measured_mv(), 800U);

  v1::Request release;
  release.mutable_release()->set_lease(lease.id());
  Must(release);
}

TEST_F(QemuController, ResetBoardIsGreetedAgain) {
  ASSERT_TRUE(Eventually([this] { return BoardOnline(); })) << Rack().ShortDebugString();
  const uint32_t session = Rack().boards(0).session();
  PressReset();
  EXPECT_TRUE(Eventually([this, session] {
    const v1::RackState rack = Rack();
    return rack.boards_size() == 1 && rack.boards(0).online() && rack.boards(0).session() != session;
  })) << Rack().ShortDebugString();
}

}  // namespace
}  // namespace faraday::hil
