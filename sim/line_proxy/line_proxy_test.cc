// The decorator on a board's port, and the pump between two real ports: ends that come, go and come back.
#include "sim/line_proxy/line_proxy.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "sim/board/unix_socket.h"
#include "sim/line_proxy/damaged_line.h"

namespace faraday::sim {
namespace {

using testing::HasSubstr;
using Bytes = std::vector<uint8_t>;

const Bytes kFrame = {0, 5, 1, 2, 3, 4, 0};

struct MemoryPort : LinePort {
  Status Plug() override { return OkStatus(); }
  void Unplug() override {}
  bool plugged() const override { return true; }
  bool Connected() override { return there; }
  int poll_fd() const override { return -1; }
  std::string Describe() const override { return "memory"; }
  size_t Read(std::span<uint8_t> bytes) override {
    const size_t count = std::min(bytes.size(), from_host.size());
    std::copy_n(from_host.begin(), count, bytes.begin());
    from_host.erase(from_host.begin(), from_host.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }
  size_t Write(std::span<const uint8_t> bytes) override {
    const size_t count = std::min(bytes.size(), room);
    to_host.insert(to_host.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }
  bool there = true;
  size_t room = 1000;
  Bytes from_host;
  Bytes to_host;
};

struct DamagedLineTest : testing::Test {
  DamagedLineTest() {
    auto memory = std::make_unique<MemoryPort>();
    port = memory.get();
    line = std::make_unique<DamagedLine>(std::move(memory), [this] { return now_ms; });
  }
  Bytes Read() {
    Bytes bytes(100);
    bytes.resize(line->Read(bytes));
    return bytes;
  }
  static DamageRates Only(Damage kind) {
    DamageRates rates;
    rates[kind] = DamageRates::kAll;
    return rates;
  }
  uint64_t now_ms = 100;
  MemoryPort* port;
  std::unique_ptr<DamagedLine> line;
};

TEST_F(DamagedLineTest, WithoutDamage_BytesPassAsTheyCome) {
  port->from_host = {1, 2, 3};
  EXPECT_EQ(Read(), (Bytes{1, 2, 3}));
  EXPECT_EQ(line->Write(Bytes{7, 8}), 2u);
  EXPECT_EQ(port->to_host, (Bytes{7, 8}));
}

TEST_F(DamagedLineTest, DamageActsBothWaysAndEnds) {
  line->SetDamage(Only(Damage::kDrop), 1);
  port->from_host = kFrame;
  EXPECT_TRUE(Read().empty());
  EXPECT_EQ(line->Write(kFrame), kFrame.size());
  EXPECT_TRUE(port->to_host.empty());
  EXPECT_THAT(line->DescribeDamage(), HasSubstr("damage 100 %, to board: 1 frames, 1 damaged"));
  line->SetDamage({}, 1);
  port->from_host = kFrame;
  EXPECT_EQ(Read(), kFrame);
}

TEST_F(DamagedLineTest, DelayedBytesComeLaterEvenWhenTheDamageHasEnded) {
  line->SetDamage(Only(Damage::kDelay), 1);
  line->Write(kFrame);
  EXPECT_TRUE(port->to_host.empty());
  line->SetDamage({}, 1);
  now_ms += 1000;
  line->Connected();
  EXPECT_EQ(port->to_host, kFrame);
}

TEST_F(DamagedLineTest, HostThatDoesNotRead_StopsTheBoardAsThePortDoes) {
  line->SetDamage(Only(Damage::kDuplicate), 1);
  port->room = 0;
  size_t taken = 0;
  for (int i = 0; i < 10'000; ++i) taken += line->Write(kFrame);
  EXPECT_LT(taken, 20'000u);
}

TEST_F(DamagedLineTest, NextHost_GetsNothingOfTheLastOnes) {
  line->Connected();
  line->SetDamage(Only(Damage::kDelay), 1);
  line->Write(kFrame);
  port->there = false;
  line->Connected();
  now_ms += 1000;
  port->there = true;
  line->Connected();
  EXPECT_TRUE(port->to_host.empty());
}

// A board's socket and a controller's pty, the pump between them turned by the test.
struct LineProxyTest : testing::Test {
  LineProxyTest() {
    std::string form = (std::filesystem::temp_directory_path() / "faraday-proxy-XXXXXX").string();
    folder = ::mkdtemp(form.data());
    board = MakeSocketLine(folder + "/board");
  }
  ~LineProxyTest() override {
    if (host >= 0) ::close(host);
    proxy.reset();
    board.reset();
    std::filesystem::remove_all(folder);
  }
  void Make(const DamageRates& rates) {
    proxy = std::make_unique<LineProxy>(MakePtyLine(folder + "/host"),
                                        PortName{true, folder + "/board"},
                                        460800,
                                        rates,
                                        1,
                                        [this](const std::string& text) { said.push_back(text); });
  }
  bool TurnUntil(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < end) {
      EXPECT_TRUE(proxy->Turn(-1).ok());
      board->Connected();
    }
    return condition();
  }
  bool HostOpens() {
    return TurnUntil([this] {
      if (host < 0) host = ::open((folder + "/host").c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
      return host >= 0;
    });
  }
  bool Passes() {
    if (::write(host, kFrame.data(), kFrame.size()) < 0) return false;
    Bytes got;
    return TurnUntil([this, &got] {
      Bytes bytes(100);
      bytes.resize(board->Read(bytes));
      got.insert(got.end(), bytes.begin(), bytes.end());
      return got.size() >= kFrame.size();
    });
  }
  std::string folder;
  std::unique_ptr<LinePort> board;
  std::unique_ptr<LineProxy> proxy;
  std::vector<std::string> said;
  int host = -1;
};

TEST_F(LineProxyTest, PassesBytesAndSurvivesTheRestartOfEitherEnd) {
  Make({});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(proxy->Turn(-1).ok());
  EXPECT_FALSE(std::filesystem::exists(folder + "/host")) << "no board, no port";
  ASSERT_TRUE(board->Plug().ok());
  ASSERT_TRUE(HostOpens());
  EXPECT_TRUE(Passes());
  // The board's side restarts.
  board->Unplug();
  ASSERT_TRUE(TurnUntil([this] { return !std::filesystem::exists(folder + "/host"); }));
  ::close(host);
  host = -1;
  ASSERT_TRUE(board->Plug().ok());
  ASSERT_TRUE(HostOpens());
  EXPECT_TRUE(Passes());
  // The controller restarts.
  ::close(host);
  host = -1;
  ASSERT_TRUE(TurnUntil([this] { return said.back() == "the controller has gone"; }));
  ASSERT_TRUE(HostOpens());
  EXPECT_TRUE(Passes());
}

TEST_F(LineProxyTest, DamagesAndCounts) {
  DamageRates rates;
  rates[Damage::kDrop] = DamageRates::kAll;
  Make(rates);
  ASSERT_TRUE(board->Plug().ok());
  ASSERT_TRUE(HostOpens());
  ASSERT_GT(::write(host, kFrame.data(), kFrame.size()), 0);
  EXPECT_TRUE(TurnUntil([this] { return proxy->Counts().starts_with("to board: 1 frames, 1 damaged"); }));
}

TEST(PortName, FormsAndRefusal) {
  EXPECT_TRUE(ParsePortName("socket:/a")->socket);
  EXPECT_EQ(ParsePortName("pty:/a")->path, "/a");
  EXPECT_EQ(ParsePortName("/dev/ttyUSB0")->path, "/dev/ttyUSB0");
  EXPECT_THAT(ParsePortName("tty:").status().message(), HasSubstr("socket:PATH"));
}

}  // namespace
}  // namespace faraday::sim
