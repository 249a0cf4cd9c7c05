// The plant at a machine's pins, with the test at the other ends: it answers QMP and writes trace lines.
#include "sim/qemu/qemu_plant.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>

#include "sim/qemu/unix_socket.h"

namespace faraday::sim::qemu {
namespace {

// Answers every command with {"return": {}} (qom-get of a driven LED with "on") until its line ends, and remembers it.
class FakeMonitor {
 public:
  explicit FakeMonitor(int fd) : fd_(fd), thread_([this] { Run(); }) {}
  ~FakeMonitor() {
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }
  std::vector<std::string> Heard() {
    const std::lock_guard lock(mutex_);
    return std::exchange(heard_, {});
  }
  void Drive(const std::string& path, const std::string& property) {
    const std::lock_guard lock(mutex_);
    driven_.push_back("\"path\":\"" + path + "\",\"property\":\"" + property + "\"");
  }
  void Say(const std::string& line) { EXPECT_TRUE(SendAll(fd_, line + "\r\n").ok()); }
  std::atomic<bool> silent{false};

 private:
  void Run() {
    std::string text;
    std::array<char, 4096> bytes{};
    for (ssize_t count = read(fd_, bytes.data(), bytes.size()); count > 0;
         count = read(fd_, bytes.data(), bytes.size())) {
      text.append(bytes.data(), static_cast<size_t>(count));
      for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
        if (!silent) (void)SendAll(fd_, Answer(text.substr(0, end)) + "\r\n");  // the plant may be gone
        text.erase(0, end + 1);
      }
    }
  }
  std::string Answer(const std::string& command) {
    const std::lock_guard lock(mutex_);
    heard_.push_back(command);
    if (command.find("qom-get") == std::string::npos) return R"({"return": {}})";
    for (const std::string& driven : driven_) {
      if (command.find(driven) != std::string::npos)
        return driven.find("led") != std::string::npos ? R"({"return": "on"})" : R"({"return": true})";
    }
    return R"({"return": "off"})";
  }

  int fd_;
  std::mutex mutex_;
  std::vector<std::string> heard_;   // guarded by mutex_
  std::vector<std::string> driven_;  // guarded by mutex_
  std::thread thread_;
};

class QemuPlantTest : public testing::Test {
 protected:
  QemuPlantTest() : physics_(std::vector<int>(32, 0)) {
    std::string form = (std::filesystem::temp_directory_path() / "faraday-plant-XXXXXX").string();
    folder_ = mkdtemp(form.data());
    auto trace = TraceFeed::Create(folder_ + "/trace");
    EXPECT_TRUE(trace.ok());
    trace_end_ = open((folder_ + "/trace").c_str(), O_WRONLY | O_CLOEXEC);
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    monitor_ = std::make_unique<FakeMonitor>(ends[1]);
    plant_ = std::make_unique<QemuPlant>(
        physics_, std::vector<int>(32, 0), std::set<std::string>{}, QmpClient(ends[0]), std::move(*trace));
  }
  ~QemuPlantTest() override {
    plant_.reset();
    monitor_.reset();
    close(trace_end_);
    std::filesystem::remove_all(folder_);
  }
  void Trace(const std::string& line) {
    const std::string text = line + "\n";
    EXPECT_EQ(write(trace_end_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void ReleaseStop() {
    Trace("aspeed_gpio_write offset: 0x78 value 0x1");
    Trace("aspeed_gpio_write offset: 0x7c value 0x1");
  }
  // Steps through `ms` of plant time until `condition`; false when it never held.
  template <typename Condition>
  bool StepUntil(uint32_t ms, Condition condition) {
    for (uint32_t i = 0; i < ms; ++i) {
      EXPECT_TRUE(plant_->Step(now_ms_++).ok());
      if (condition()) return true;
      pollfd wait{-1, 0, 0};
      poll(&wait, 1, 1);  // the monitor answers in its own thread
    }
    return false;
  }
  bool HeardAny(const std::string& text) {
    for (const std::string& line : monitor_->Heard()) {
      if (line.find(text) != std::string::npos) return true;
    }
    return false;
  }

  std::string folder_;
  int trace_end_ = -1;
  uint32_t now_ms_ = 1000;
  Plant physics_;
  std::unique_ptr<FakeMonitor> monitor_;
  std::unique_ptr<QemuPlant> plant_;
};

TEST_F(QemuPlantTest, PrepareWritesEveryInputAndLetsNothingRun) {
  Trace("resettable_reset obj=0x5634fad94c00 cold=0");
  ASSERT_TRUE(plant_->Prepare().ok());
  const auto heard = monitor_->Heard();
  EXPECT_EQ(heard.size(), 32U * 5 + 32 + 2 + 8 + 1);
  for (const std::string& line : heard) EXPECT_NE(line.find("qom-set"), std::string::npos) << line;
}

TEST_F(QemuPlantTest, AnOutputBecomesAVoltageAtItsMonitor) {
  ASSERT_TRUE(plant_->Prepare().ok());
  monitor_->Heard();
  ReleaseStop();
  Trace("pca955x_gpio_change exp3 GPIO id:0 status: 0 -> 1");
  EXPECT_TRUE(
      StepUntil(5000, [this] { return HeardAny(R"("path":"/machine/peripheral/mon7","property":"vout","value":5)"); }));
  EXPECT_GT(physics_.slot(6).vbus_mv(), 4750);
}

TEST_F(QemuPlantTest, OneSetIsUnderWayAtATime) {
  ASSERT_TRUE(plant_->Prepare().ok());
  monitor_->Heard();
  monitor_->silent = true;
  ReleaseStop();
  for (int pin = 0; pin < 16; pin += 8)
    Trace("pca955x_gpio_change exp3 GPIO id:" + std::to_string(pin) + " status: 0 -> 1");
  const uint64_t before = plant_->sets();
  StepUntil(50, [] { return false; });
  EXPECT_EQ(plant_->sets(), before + 1);
}

TEST_F(QemuPlantTest, AResetHaltsWritesAndContinues) {
  ASSERT_TRUE(plant_->Prepare().ok());
  ReleaseStop();
  Trace("pca955x_gpio_change exp3 GPIO id:0 status: 0 -> 1");
  ASSERT_TRUE(StepUntil(1000, [this] { return physics_.slot(6).outputs().vbus; }));
  monitor_->Heard();
  monitor_->Say(
      R"({"timestamp": {"seconds": 1, "microseconds": 2}, "event": "WATCHDOG", "data": {"action": "reset"}})");
  monitor_->Say(R"({"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESET", "data": {"guest": true}})");
  Trace("resettable_reset obj=0x5634fad94c00 cold=0");
  ASSERT_TRUE(StepUntil(1000, [this] { return plant_->events().resets == 1 && !physics_.slot(6).outputs().vbus; }));
  EXPECT_EQ(plant_->events().watchdog_bites, 1);
  EXPECT_TRUE(plant_->pins().stopped());
  std::string order;
  for (const std::string& line : monitor_->Heard()) {
    order += line.find("\"stop\"") != std::string::npos ? 's' : line.find("\"cont\"") != std::string::npos ? 'c' : 'w';
  }
  EXPECT_EQ(order.substr(order.find('s')).find_first_not_of('w', 1), order.substr(order.find('s')).find('c')) << order;
  EXPECT_GT(order.size(), 100U) << "every monitor was written anew";
}

TEST_F(QemuPlantTest, TheStopPinReleasesTheExpandersPins) {
  ASSERT_TRUE(plant_->Prepare().ok());
  ReleaseStop();
  Trace("pca955x_gpio_change exp3 GPIO id:0 status: 0 -> 1");
  ASSERT_TRUE(StepUntil(1000, [this] { return physics_.slot(6).outputs().vbus; }));
  monitor_->Heard();
  Trace("aspeed_gpio_write offset: 0x78 value 0x0");
  EXPECT_TRUE(StepUntil(
      2000, [this] { return HeardAny(R"("path":"/machine/peripheral/exp3","property":"led0","value":"off")"); }));
  EXPECT_FALSE(physics_.slot(6).outputs().vbus);
}

TEST_F(QemuPlantTest, AttachReadsPinsBackWritesInputsAndContinues) {
  monitor_->Drive("/machine/soc/gpio", "gpioM0");
  monitor_->Drive("/machine/peripheral/exp3", "led0");
  ASSERT_TRUE(plant_->Attach().ok());
  EXPECT_TRUE(physics_.slot(6).outputs().vbus);
  EXPECT_FALSE(physics_.slot(7).outputs().vbus);
  EXPECT_FALSE(plant_->pins().stopped());
  const auto heard = monitor_->Heard();
  EXPECT_NE(heard.front().find("\"stop\""), std::string::npos);
  EXPECT_NE(heard.back().find("\"cont\""), std::string::npos);
  EXPECT_EQ(heard.size(), 1U + 1 + 256 + (32 * 5 + 32 + 2 + 8 + 1) + 1);
}

TEST_F(QemuPlantTest, ShutdownAndHangUpAreSeen) {
  ASSERT_TRUE(plant_->Prepare().ok());
  monitor_->Say(R"({"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "data": {"guest": false}})");
  EXPECT_TRUE(StepUntil(1000, [this] { return plant_->events().shut_down; }));
  monitor_.reset();
  EXPECT_EQ(plant_->Step(now_ms_).code(), Code::kUnavailable);
}

TEST_F(QemuPlantTest, QemusErrorIsTold) {
  ASSERT_TRUE(plant_->Prepare().ok());
  monitor_->Say(R"({"error": {"class": "GenericError", "desc": "Device not found"}})");
  Status step;
  for (int i = 0; i < 1000 && step.ok(); ++i) step = plant_->Step(now_ms_);
  EXPECT_EQ(step.code(), Code::kFailedPrecondition);
  EXPECT_NE(step.message().find("Device not found"), std::string::npos);
}

}  // namespace
}  // namespace faraday::sim::qemu
