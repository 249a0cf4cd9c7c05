#include "sim/qemu/gdb_stub.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <optional>

#include "sim/board/unix_socket.h"
#include "sim/qemu/unix_socket.h"

namespace faraday::sim::qemu {
namespace {

using namespace std::chrono_literals;

// A debugger and the emulator's end of its line.
class GdbStubTest : public testing::Test {
 protected:
  GdbStubTest() {
    std::string form = (std::filesystem::temp_directory_path() / "faraday-gdb-XXXXXX").string();
    folder_ = ::mkdtemp(form.data());
    const auto listener = ListenUnix(folder_ + "/gdb");
    EXPECT_TRUE(listener.ok());
    auto connected = GdbStub::Connect(folder_ + "/gdb", 5s);
    EXPECT_TRUE(connected.ok());
    gdb_.emplace(std::move(*connected));
    far_end_ = accept(*listener, nullptr, nullptr);
    close(*listener);
  }
  ~GdbStubTest() override {
    close(far_end_);
    std::filesystem::remove_all(folder_);
  }
  void Say(const std::string& packet) { EXPECT_TRUE(SendAll(far_end_, "+" + GdbPacket(packet)).ok()); }
  // All that the debugger said until it went.
  std::string HeardToItsEnd() {
    gdb_.reset();
    std::string heard;
    std::array<char, 1024> buffer{};
    for (ssize_t count = 1; count > 0; heard.append(buffer.data(), static_cast<size_t>(std::max<ssize_t>(count, 0)))) {
      count = recv(far_end_, buffer.data(), buffer.size(), 0);
    }
    return heard;
  }

  std::string folder_;
  int far_end_ = -1;
  std::optional<GdbStub> gdb_;
};

TEST_F(GdbStubTest, LeavesARunningMachineAfterAFailure) {
  Say("E01");
  const std::array<uint8_t, 2> bytes{0xFE, 0xE7};
  EXPECT_EQ(gdb_->WriteMemory(0x1000, bytes).code(), Code::kFailedPrecondition);
  EXPECT_TRUE(HeardToItsEnd().ends_with(GdbPacket("D")));
}

TEST_F(GdbStubTest, LetsGoOnce) {
  Say("OK");
  EXPECT_TRUE(gdb_->Detach().ok());
  const std::string heard = HeardToItsEnd();
  EXPECT_EQ(heard.find(GdbPacket("D")), heard.rfind(GdbPacket("D")));
}

TEST_F(GdbStubTest, ARefusedDetachIsAnError) {
  Say("E22");
  EXPECT_EQ(gdb_->Detach().code(), Code::kFailedPrecondition);
}

}  // namespace
}  // namespace faraday::sim::qemu
