// The board in real time: its thread answers at the line, takes calls, reports what phones feel, lives through a cut.
#include "sim/board/board_thread.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>

#include "sim/board/native_machine.h"
#include "sim/board/test_line.h"

namespace faraday::sim {
namespace {

namespace fs = std::filesystem;

class BoardThreadTest : public ::testing::Test {
 protected:
  BoardThreadTest() {
    std::string form = (fs::temp_directory_path() / "faraday-board-XXXXXX").string();
    folder_ = ::mkdtemp(form.data());
    path_ = folder_ + "/mcu";
    MachineOrder order;
    order.slot_rails.assign(32, 0);
    order.line = MakePtyLine(path_);
    thread_ = std::make_unique<BoardThread>(std::make_unique<NativeMachine>(std::move(order)),
                                            [this](size_t slot, const SlotSide& side) {
                                              const std::lock_guard lock(mutex_);
                                              sides_[slot] = side;
                                            });
  }
  ~BoardThreadTest() override {
    thread_.reset();
    fs::remove_all(folder_);
  }
  std::unique_ptr<LiveHost> Connect() {
    return std::make_unique<LiveHost>(::open(path_.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  }
  // On the board's thread, waited for.
  void Call(const std::function<void(Machine&)>& call) {
    std::promise<void> done;
    thread_->Post([&](Machine& machine) {
      call(machine);
      done.set_value();
    });
    done.get_future().wait();
  }
  bool Feels(size_t slot_index, bool vbus) {
    const std::lock_guard lock(mutex_);
    return sides_[slot_index].vbus == vbus;
  }

  std::string folder_;
  std::string path_;
  std::mutex mutex_;
  std::array<SlotSide, 32> sides_{};  // guarded by mutex_
  std::unique_ptr<BoardThread> thread_;
};

TEST_F(BoardThreadTest, VbusOn_OverAPtyIsMeasuredAndFeltByThePhone) {
  ASSERT_TRUE(thread_->Start().ok());
  const auto host = Connect();
  ASSERT_TRUE(host->Prepare());
  ASSERT_EQ(host->Do(link::SetVbus{.slot = 7, .epoch = 1, .on = true}).verdict, link::Verdict::kAccepted);
  const auto done = host->Await();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, link::DoneCode::kOk);
  EXPECT_GE(done->vbus_mv, 4750U);
  EXPECT_TRUE(host->RunUntil(1000, [this] { return Feels(6, true); }));
  EXPECT_TRUE(Feels(7, false));
}

TEST_F(BoardThreadTest, LineCutAndRestored_TheSameSessionAnswersAgain) {
  ASSERT_TRUE(thread_->Start().ok());
  const auto before = Connect()->Hello();
  ASSERT_TRUE(before);
  Call([](Machine& machine) { machine.line().Unplug(); });
  EXPECT_LT(::open(path_.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC), 0);
  Status restored;
  Call([&restored](Machine& machine) { restored = machine.line().Plug(); });
  ASSERT_TRUE(restored.ok());
  const auto after = Connect()->Hello();
  ASSERT_TRUE(after);
  EXPECT_EQ(after->session, before->session);  // the MCU ran on
  EXPECT_GT(after->term, before->term);
}

TEST_F(BoardThreadTest, McuReset_AnswersWithAnotherSession) {
  ASSERT_TRUE(thread_->Start().ok());
  const auto host = Connect();
  const auto before = host->Hello();
  ASSERT_TRUE(before);
  Call([](Machine& machine) { EXPECT_TRUE(machine.McuReset(link::BootReason::kSoftware).ok()); });
  const auto after = host->Hello();
  ASSERT_TRUE(after);
  EXPECT_NE(after->session, before->session);
  EXPECT_EQ(after->boot_reason, link::BootReason::kSoftware);
}

TEST_F(BoardThreadTest, Start_SaysWhenTheLinesPathIsTaken) {
  fs::create_directories(path_);
  const Status status = thread_->Start();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_NE(status.message().find(path_), std::string::npos);
}

TEST_F(BoardThreadTest, Stop_TakesTheLineAway) {
  ASSERT_TRUE(thread_->Start().ok());
  thread_->Stop();
  EXPECT_FALSE(fs::exists(fs::symlink_status(path_)));
}

}  // namespace
}  // namespace faraday::sim
