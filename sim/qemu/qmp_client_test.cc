#include "sim/qemu/qmp_client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

#include "sim/qemu/gdb_stub.h"
#include "sim/qemu/unix_socket.h"

namespace faraday::sim::qemu {
namespace {

using namespace std::chrono_literals;

// A client and the other end of its line.
class QmpClientTest : public testing::Test {
 protected:
  QmpClientTest() : client_(MakeLine()) {}
  ~QmpClientTest() override { Hang(); }

  void Say(std::string_view text) { EXPECT_TRUE(SendAll(far_end_, text).ok()); }
  std::string Heard() {
    std::array<char, 1024> buffer{};
    const ssize_t count = recv(far_end_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    return {buffer.data(), count > 0 ? static_cast<size_t>(count) : 0};
  }
  void Hang() {
    if (far_end_ >= 0) close(far_end_);
    far_end_ = -1;
  }

  int far_end_ = -1;
  QmpClient client_;

 private:
  int MakeLine() {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    far_end_ = ends[1];
    return ends[0];
  }
};

TEST_F(QmpClientTest, ExecuteSendsJsonAndGivesTheAnswer) {
  Say("{\"return\": 48}\r\n");
  const auto answer = client_.Execute("qom-get", R"("path":"/a","property":"b")", 5s);
  ASSERT_TRUE(answer.ok()) << ToString(answer.status());
  EXPECT_EQ(*answer, "{\"return\": 48}");
  EXPECT_EQ(Heard(), "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/a\",\"property\":\"b\"}}\n");
}

TEST_F(QmpClientTest, EventsBeforeTheAnswerAreKept) {
  Say("{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"RESET\", \"data\": {}}\r\n{\"return\": "
      "{}}\r\n");
  ASSERT_TRUE(client_.Execute("cont", "", 5s).ok());
  const auto events = client_.TakeEvents();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].name, "RESET");
  EXPECT_TRUE(client_.TakeEvents().empty());
}

TEST_F(QmpClientTest, QemusErrorIsTold) {
  Say("{\"error\": {\"class\": \"GenericError\", \"desc\": \"Property 'x' not found\"}}\r\n");
  const auto answer = client_.Execute("qom-set", "", 5s);
  EXPECT_EQ(answer.status().code(), Code::kFailedPrecondition);
  EXPECT_NE(answer.status().message().find("Property 'x' not found"), std::string::npos);
}

TEST_F(QmpClientTest, SilenceAndHangUpAreErrors) {
  EXPECT_EQ(client_.Execute("cont", "", 1ms).status().code(), Code::kDeadlineExceeded);
  Hang();
  EXPECT_EQ(client_.Execute("cont", "", 5s).status().code(), Code::kUnavailable);
}

TEST_F(QmpClientTest, GarbageIsDataLoss) {
  Say("hello\n");
  EXPECT_EQ(client_.Receive().status().code(), Code::kDataLoss);
}

TEST(QmpConnect, NobodyThereIsUnavailable) {
  EXPECT_EQ(QmpClient::Connect("/nonexistent/qmp", 1ms).status().code(), Code::kUnavailable);
}

TEST(QmpConnect, TooLongPathIsSaid) {
  EXPECT_EQ(QmpClient::Connect(std::string(200, 'x'), 1ms).status().code(), Code::kInvalidArgument);
}

TEST(Gdb, PacketCarriesItsSum) { EXPECT_EQ(GdbPacket("g"), "$g#67"); }

}  // namespace
}  // namespace faraday::sim::qemu
