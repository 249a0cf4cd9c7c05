// The line's lives at its far end: opened, left, opened again, too slow, cut and restored; pty and socket alike.
#include "sim/board/line_port.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "sim/board/unix_socket.h"

namespace faraday::sim {
namespace {

namespace fs = std::filesystem;

class LinePortTest : public ::testing::TestWithParam<bool> {
 protected:
  LinePortTest() {
    std::string form = (fs::temp_directory_path() / "faraday-line-XXXXXX").string();
    folder_ = ::mkdtemp(form.data());
    path_ = folder_ + "/sub/mcu";
    line_ = is_pty() ? MakePtyLine(path_) : MakeSocketLine(path_);
  }
  ~LinePortTest() override {
    line_.reset();
    fs::remove_all(folder_);
  }
  bool is_pty() const { return GetParam(); }
  int OpenFarEnd() {
    if (is_pty()) return ::open(path_.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
    const auto fd = ConnectUnix(path_);
    return fd.ok() ? *fd : -1;
  }
  // Passes by until the condition holds.
  bool Becomes(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }
  bool Connects() {
    return Becomes([this] { return line_->Connected(); });
  }
  bool FarEndGets(int fd, const std::string& text) {
    pollfd watch{fd, POLLIN, 0};
    if (::poll(&watch, 1, 10'000) != 1) return false;
    std::array<char, 64> buffer{};
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    return count > 0 && std::string(buffer.data(), static_cast<size_t>(count)) == text;
  }
  std::string NearEndReads() {
    std::array<uint8_t, 64> buffer{};
    size_t count = 0;
    Becomes([&] { return (count = line_->Read(buffer)) > 0; });
    return {buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count)};
  }
  size_t NearEndWrites(const std::string& text) {
    return line_->Write(std::span(static_cast<const uint8_t*>(static_cast<const void*>(text.data())), text.size()));
  }

  std::string folder_;
  std::string path_;
  std::unique_ptr<LinePort> line_;
};

INSTANTIATE_TEST_SUITE_P(PtyAndSocket, LinePortTest, ::testing::Bool(), [](const ::testing::TestParamInfo<bool>& it) {
  return it.param ? "Pty" : "Socket";
});

TEST_P(LinePortTest, EveryByteValuePassesBothWays) {
  ASSERT_TRUE(line_->Plug().ok());
  const int far = OpenFarEnd();
  ASSERT_GE(far, 0);
  ASSERT_TRUE(Connects());
  std::string all;
  for (int i = 0; i < 256; i += 5) all += static_cast<char>(i);  // includes 0x00, 0x03, 0x0d, 0x11: raw mode shows
  EXPECT_EQ(NearEndWrites(all), all.size());
  EXPECT_TRUE(FarEndGets(far, all));
  ASSERT_EQ(::write(far, all.data(), all.size()), static_cast<ssize_t>(all.size()));
  EXPECT_EQ(NearEndReads(), all);
  ::close(far);
}

TEST_P(LinePortTest, NobodyThere_TakesEverythingAndKeepsNothing) {
  ASSERT_TRUE(line_->Plug().ok());
  EXPECT_FALSE(line_->Connected());
  EXPECT_EQ(line_->poll_fd(), -1);
  for (int i = 0; i < 10'000; ++i) ASSERT_EQ(NearEndWrites("old"), 3U);
  const int far = OpenFarEnd();
  ASSERT_TRUE(Connects());
  NearEndWrites("new");
  EXPECT_TRUE(FarEndGets(far, "new"));
  ::close(far);
}

TEST_P(LinePortTest, FarEndDies_TheNextOneIsServed) {
  ASSERT_TRUE(line_->Plug().ok());
  const int first = OpenFarEnd();
  ASSERT_TRUE(Connects());
  NearEndWrites("unread");
  ::close(first);
  std::array<uint8_t, 8> buffer{};
  ASSERT_TRUE(Becomes([&] {
    line_->Read(buffer);
    return !line_->Connected();
  }));
  const int second = OpenFarEnd();
  ASSERT_TRUE(Connects());
  NearEndWrites("fresh");
  EXPECT_TRUE(FarEndGets(second, "fresh"));
  ::close(second);
}

TEST_P(LinePortTest, FarEndDoesNotRead_WriteTakesLessAndNeverWaits) {
  ASSERT_TRUE(line_->Plug().ok());
  const int far = OpenFarEnd();
  ASSERT_TRUE(Connects());
  const std::string block(1024, 'x');
  int blocks = 0;
  while (NearEndWrites(block) == block.size()) ASSERT_LT(++blocks, 10'000);
  EXPECT_TRUE(line_->Connected());
  ::close(far);
}

TEST_P(LinePortTest, Unplug_FarEndSeesItAndThePathVanishes) {
  ASSERT_TRUE(line_->Plug().ok());
  const int far = OpenFarEnd();
  ASSERT_TRUE(Connects());
  line_->Unplug();
  EXPECT_FALSE(line_->Connected());
  EXPECT_FALSE(fs::exists(fs::symlink_status(path_)));
  pollfd watch{far, POLLIN, 0};
  ASSERT_EQ(::poll(&watch, 1, 10'000), 1);
  char byte = 0;
  const ssize_t count = ::read(far, &byte, 1);
  EXPECT_TRUE(count == 0 || (count < 0 && errno == EIO));
  ::close(far);
}

TEST_P(LinePortTest, PlugAgain_AnotherFarEndIsServed) {
  ASSERT_TRUE(line_->Plug().ok());
  line_->Unplug();
  ASSERT_TRUE(line_->Plug().ok());
  const int far = OpenFarEnd();
  ASSERT_GE(far, 0);
  ASSERT_TRUE(Connects());
  NearEndWrites("back");
  EXPECT_TRUE(FarEndGets(far, "back"));
  ::close(far);
}

TEST_P(LinePortTest, Plug_ReplacesWhatADeadSimulatorLeft) {
  fs::create_directories(fs::path(path_).parent_path());
  if (is_pty()) {
    fs::create_symlink("/dev/pts/999999", path_);
  } else {
    const auto fd = ListenUnix(path_);
    ASSERT_TRUE(fd.ok());
    ::close(*fd);  // the file stays, as after kill -9
  }
  EXPECT_TRUE(line_->Plug().ok());
}

TEST_P(LinePortTest, Plug_DoesNotDestroyAFile) {
  fs::create_directories(fs::path(path_).parent_path());
  ::close(::open(path_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  const Status status = line_->Plug();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_NE(status.message().find(path_), std::string::npos);
  EXPECT_TRUE(fs::is_regular_file(path_));
}

TEST(ListenUnix, RefusesALivingServersSocketAndTooLongPaths) {
  std::string form = (fs::temp_directory_path() / "faraday-line-XXXXXX").string();
  const std::string folder = ::mkdtemp(form.data());
  const auto first = ListenUnix(folder + "/s");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(ListenUnix(folder + "/s").status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(ListenUnix(folder + "/" + std::string(120, 'x')).status().code(), Code::kInvalidArgument);
  ::close(*first);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace faraday::sim
