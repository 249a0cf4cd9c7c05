#include "sim/qemu/uart_pump.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

namespace faraday::sim::qemu {
namespace {

// A line whose far end the test is; it takes `room` bytes.
class FakeLine : public LinePort {
 public:
  Status Plug() override {
    connected = true;
    return OkStatus();
  }
  void Unplug() override { connected = false; }
  bool plugged() const override { return connected; }
  bool Connected() override { return connected; }
  int poll_fd() const override { return -1; }
  std::string Describe() const override { return "fake"; }
  size_t Read(std::span<uint8_t> in) override {
    const size_t count = std::min(in.size(), from_host.size());
    std::copy_n(from_host.begin(), count, in.begin());
    from_host.erase(0, count);
    return count;
  }
  size_t Write(std::span<const uint8_t> out) override {
    if (!connected) return out.size();
    const size_t count = std::min(out.size(), room);
    room -= count;
    to_host.append(out.begin(), out.begin() + static_cast<ptrdiff_t>(count));
    return count;
  }
  bool connected = true;
  size_t room = 1 << 30;
  std::string from_host;
  std::string to_host;
};

class UartPumpTest : public testing::Test {
 protected:
  UartPumpTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    qemu_ = ends[1];
    pump_ = std::make_unique<UartPump>(ends[0], line_);
  }
  ~UartPumpTest() override { Hang(); }
  void Hang() {
    if (qemu_ >= 0) close(qemu_);
    qemu_ = -1;
  }
  size_t Say(const std::string& text) {
    const ssize_t count = send(qemu_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return count > 0 ? static_cast<size_t>(count) : 0;
  }
  std::string Heard() {
    std::array<char, 65536> bytes{};
    const ssize_t count = recv(qemu_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    return {bytes.data(), count > 0 ? static_cast<size_t>(count) : 0};
  }
  void Pass(int times = 1) {
    for (int i = 0; i < times; ++i) EXPECT_TRUE(pump_->Pass(now_ms_++).ok());
  }

  FakeLine line_;
  int qemu_ = -1;
  uint32_t now_ms_ = 0;
  std::unique_ptr<UartPump> pump_;
};

TEST_F(UartPumpTest, CarriesBothWays) {
  Say("telemetry");
  line_.from_host = "hello";
  Pass();
  EXPECT_EQ(line_.to_host, "telemetry");
  EXPECT_EQ(Heard(), "hello");
}

TEST_F(UartPumpTest, AHostThatDoesNotReadStopsQemu) {
  line_.room = 100;
  size_t said = 0;
  for (size_t more = 1; more > 0; said += more) {
    more = Say(std::string(1000, 'x'));
    Pass();
  }
  Pass(100);
  EXPECT_EQ(line_.to_host.size(), 100U);
  EXPECT_EQ(Say("x"), 0U) << "QEMU's own writes find its socket full";
  line_.room = 1 << 30;
  Pass(static_cast<int>(said / UartPump::kBuffer) + 10);
  EXPECT_EQ(line_.to_host.size(), said) << "nothing was lost";
}

TEST_F(UartPumpTest, AFirmwareThatDoesNotReadStopsTheHost) {
  line_.from_host.assign(4 << 20, 'y');
  Pass(2000);
  const size_t left = line_.from_host.size();
  EXPECT_GT(left, 0U);
  Pass(100);
  EXPECT_EQ(line_.from_host.size(), left);
  EXPECT_FALSE(Heard().empty());
  Pass(10);
  EXPECT_LT(line_.from_host.size(), left);
}

TEST_F(UartPumpTest, WithNobodyThereTheLineTakesEverything) {
  line_.connected = false;
  for (int i = 0; i < 500; ++i) {
    EXPECT_GT(Say(std::string(1000, 'x')), 0U) << i;
    Pass();
  }
  EXPECT_TRUE(line_.to_host.empty());
}

TEST_F(UartPumpTest, QemuIsLeftAloneForAMillisecondAfterBytes) {
  std::vector<pollfd> watch;
  EXPECT_EQ(pump_->Watch(watch, 5), 5);
  EXPECT_EQ(watch.size(), 2U);
  Say("x");
  now_ms_ = 7;
  Pass();
  watch.clear();
  EXPECT_EQ(pump_->Watch(watch, 7), 1);
  EXPECT_EQ(watch.size(), 1U) << "only the line";
  watch.clear();
  pump_->Watch(watch, 8);
  EXPECT_EQ(watch.size(), 2U);
}

TEST_F(UartPumpTest, QemuGoneIsSaid) {
  Hang();
  EXPECT_EQ(pump_->Pass(0).code(), Code::kUnavailable);
}

}  // namespace
}  // namespace faraday::sim::qemu
