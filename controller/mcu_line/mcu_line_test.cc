// McuLine on real file descriptors: absent at first, there, lost, back. A fake MCU answers in the same loop.
#include "controller/mcu_line/mcu_line.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "controller/mcu_line/fake_mcu.h"

namespace faraday::controller {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;

class Sink final : public LineEvents {
 public:
  void OnUp(const link::HelloReply&, Now) override { up = true; }
  void OnDown(const std::string& why, Now) override {
    up = false;
    reason = why;
  }
  void OnReply(const link::Reply& reply, Now) override { replied = reply.command_id; }
  void OnEvent(const link::Event&, Now) override {}
  void OnTelemetry(const link::Telemetry&, Now) override {}
  bool up = false;
  std::string reason;
  uint32_t replied = 0;
};

class McuLineTest : public testing::Test {
 protected:
  void TearDown() override {
    line.reset();
    Unplug();
  }
  void Open(std::unique_ptr<Capture> capture = nullptr) {
    McuLine::Options options;
    options.rack = "r01";
    options.version = "test";
    options.open = [this]() -> Result<std::unique_ptr<Transport>> {
      if (plugged < 0)
        return Status{Code::kUnavailable, "/dev/ttyTEST does not exist; check the cable, the controller retries"};
      return AdoptFd(plugged.exchange(-1));
    };
    options.capture = std::move(capture);
    options.superseded = [this](const std::string& why) { superseded.push_back(why); };
    line = std::make_unique<McuLine>(loop, std::move(options), sink);
  }
  void Plug() {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    board_end = ends[1];
    watch = loop.AddFd("fake mcu", board_end, POLLIN, [this](short) {
      uint8_t bytes[4096];
      const ssize_t n = ::read(board_end, bytes, sizeof(bytes));
      if (n <= 0) return;
      std::vector<uint8_t> out;
      mcu.Feed(std::span(bytes, static_cast<size_t>(n)), &out);
      [[maybe_unused]] const auto written = ::write(board_end, out.data(), out.size());
    });
    plugged = ends[0];
  }
  void Unplug() {
    loop.Remove(watch);
    if (board_end >= 0) ::close(board_end);
    board_end = -1;
    if (const int unused = plugged.exchange(-1); unused >= 0) ::close(unused);
  }
  template <typename Condition>
  bool RunUntil(Condition done) {
    const BootTime limit = BootClock::now() + seconds(20);
    while (BootClock::now() < limit) {
      if (done()) return true;  // once: a condition may take what it waited for
      loop.RunOnce(Milliseconds(20));
    }
    return false;
  }

  FakeBoard board{4};
  FakeMcu mcu{board};
  Sink sink;
  std::vector<std::string> superseded;
  evloop::Loop loop;
  std::atomic<int> plugged{-1};
  int board_end = -1;
  evloop::Handle watch = 0;
  std::unique_ptr<McuLine> line;
};

TEST_F(McuLineTest, AbsentThenThereThenLostThenBack) {
  Open();
  ASSERT_TRUE(RunUntil([this] { return !sink.reason.empty(); }));
  EXPECT_THAT(sink.reason, HasSubstr("does not exist"));
  Plug();
  ASSERT_TRUE(RunUntil([this] { return sink.up; }));
  ASSERT_TRUE(line->Send({7, link::Ping{1}}, {BootClock::now(), UtcNow()}).ok());
  ASSERT_TRUE(RunUntil([this] { return sink.replied == 7; }));
  Unplug();
  ASSERT_TRUE(RunUntil([this] { return !sink.up; }));
  EXPECT_EQ(sink.reason, "the line was lost: the other end closed the line");
  EXPECT_EQ(line->Send({8, link::Ping{1}}, {BootClock::now(), UtcNow()}).code(), Code::kUnavailable);
  Plug();
  ASSERT_TRUE(RunUntil([this] { return sink.up; }));
  EXPECT_EQ(mcu.hellos, 2);
}

TEST_F(McuLineTest, AnotherControllersBoard_IsLeftForGood) {
  Plug();
  Open();
  ASSERT_TRUE(RunUntil([this] { return sink.up; }));
  board.term += 1;
  mcu.nonce = 4711;
  ASSERT_TRUE(RunUntil([this] { return !superseded.empty(); }));
  EXPECT_THAT(superseded.front(), HasSubstr("another controller has taken over this board"));
  EXPECT_FALSE(sink.up);
  uint8_t byte = 0;
  EXPECT_TRUE(RunUntil([&] { return ::read(board_end, &byte, 1) == 0; })) << "the port is closed";
  const int hellos = mcu.hellos;
  loop.Remove(watch);
  ::close(board_end);
  Plug();
  // Three times the longest pause before a port is opened again would have passed.
  const BootTime end = BootClock::now() + 3 * kReopenMin;
  RunUntil([&] { return BootClock::now() >= end; });
  EXPECT_EQ(mcu.hellos, hellos);
  EXPECT_EQ(superseded.size(), 1u);
}

TEST_F(McuLineTest, Capture_HoldsEveryFrameOfBothWays) {
  std::string pattern = (std::filesystem::temp_directory_path() / "faraday-capture-XXXXXX").string();
  const int fd = ::mkstemp(pattern.data());
  ::close(fd);
  Plug();
  Open(std::move(*Capture::Open(pattern)));
  ASSERT_TRUE(RunUntil([this] { return sink.up; }));
  line.reset();
  std::ifstream file(pattern);
  std::string ms;
  std::string arrow;
  std::string hex;
  ASSERT_TRUE(file >> ms >> arrow >> hex);
  EXPECT_EQ(arrow, "->");
  EXPECT_THAT(hex, testing::MatchesRegex("00([0-9a-f][0-9a-f])+00"));
  ASSERT_TRUE(file >> ms >> arrow >> hex);
  EXPECT_EQ(arrow, "<-");
  std::filesystem::remove(pattern);
}

TEST(Transport, WhatIsNotThere_SaysWhatToCheck) {
  const auto tty = OpenTty("/nonexistent/tty", 115200);
  EXPECT_EQ(tty.status().message(), "/nonexistent/tty does not exist; check the cable, the controller retries");
  const auto socket = OpenUnixSocket("/nonexistent/socket");
  EXPECT_EQ(socket.status().code(), Code::kUnavailable);
  const auto port = OpenSerialPort("NO-SUCH-SERIAL", 115200);
  EXPECT_THAT(port.status().message(), HasSubstr("NO-SUCH-SERIAL"));
  EXPECT_THAT(OpenTty("/dev/null", 115200).status().message(), HasSubstr("/dev/null is no tty"));
}

TEST(Transport, ABaudRateThatTtysLackIsRefusedWithTheChoices) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(master, 0);
  ASSERT_EQ(grantpt(master) | unlockpt(master), 0);
  const std::string path = ptsname(master);
  EXPECT_THAT(OpenTty(path, 250'000).status().message(),
              AllOf(HasSubstr(path), HasSubstr("250000"), HasSubstr("460800, 921600")));
  EXPECT_TRUE(OpenTty(path, 460'800).ok());
  close(master);
}

}  // namespace
}  // namespace faraday::controller
