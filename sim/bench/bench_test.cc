// The whole bench in one process: boards in real time, phones, control. A host at the board's line plays the
// controller.
#include "sim/bench/bench.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fstream>
#include <future>
#include <optional>
#include <thread>

#include "sim/bench/control_client.h"
#include "sim/board/native_machine.h"
#include "sim/board/test_line.h"
#include "sim/board/unix_socket.h"

namespace faraday::sim {
namespace {

namespace fs = std::filesystem;

// A port that was free a moment ago; the phones' addresses must be known before they listen.
int FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = static_cast<sockaddr*>(static_cast<void*>(&address));
  EXPECT_EQ(::bind(fd, generic, size), 0);
  EXPECT_EQ(::getsockname(fd, generic, &size), 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

// A machine whose next start takes as long as the test wants.
class SlowMachine : public NativeMachine {
 public:
  SlowMachine(MachineOrder order, std::shared_future<void> started)
      : NativeMachine(std::move(order)), started_(std::move(started)) {}
  Status McuReset(link::BootReason cause) override {
    started_.wait();
    return NativeMachine::McuReset(cause);
  }

 private:
  std::shared_future<void> started_;
};

// A client of the control socket that says all it has to say at once.
class Asker {
 public:
  Asker(const std::string& path, std::string_view lines) : fd_(*ConnectUnix(path)) {
    EXPECT_EQ(::send(fd_, lines.data(), lines.size(), MSG_NOSIGNAL), static_cast<ssize_t>(lines.size()));
    ::shutdown(fd_, SHUT_WR);
  }
  ~Asker() { ::close(fd_); }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;
  // Whether the last answer has come, too.
  bool Ended() {
    std::array<char, 4096> buffer{};
    ssize_t count = 0;
    while ((count = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0) {
      heard_.append(buffer.data(), static_cast<size_t>(count));
    }
    return count == 0;
  }
  const std::string& heard() const { return heard_; }

 private:
  int fd_;
  std::string heard_;
};

class BenchTest : public ::testing::Test {
 protected:
  BenchTest() {
    std::string form = (fs::temp_directory_path() / "faraday-bench-XXXXXX").string();
    folder_ = ::mkdtemp(form.data());
    rack_.rack = "r01";
    rack_.boards.emplace_back().port.path = folder_ + "/mcu0";
    rack_.rails.push_back({{"A", Milliamps(16'000)}});
    rack_.inputs.push_back({});
    rack_.inputs.back().name = "door";
    for (int number = 1; number <= 32; ++number) {
      rackconfig::SlotConfig& slot = rack_.slots.emplace_back();
      slot.number = slot.board_slot = number;
      if (number == 7) slot.hosts.push_back({"h01", "127.0.0.1:" + std::to_string(FreePort()), ""});
    }
    ScenarioPhone phone;
    phone.slot = 7;
    phone.model = "pixel-8";
    phone.serial = "A7";
    phone.battery_percent = 60;
    scenario_.phones.push_back(phone);
  }
  ~BenchTest() override {
    host_.reset();
    bench_.reset();
    fs::remove_all(folder_);
  }

  void StartBench(MachineFactory make = NativeMachine::Make) {
    bench_ = std::make_unique<Bench>(loop_, rack_, scenario_, folder_ + "/run", std::move(make));
    const Status status = bench_->Start();
    ASSERT_TRUE(status.ok()) << status.message();
  }
  // A controller whose slot 7 has VBUS and, when asked, data to host 0.
  void Connect(bool data) {
    host_ = std::make_unique<LiveHost>(::open((folder_ + "/mcu0").c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC),
                                       [this] { loop_.RunOnce(Milliseconds(0)); });
    ASSERT_TRUE(host_->Prepare());
    ASSERT_EQ(host_->Do(link::SetVbus{.slot = 7, .epoch = 1, .on = true}).verdict, link::Verdict::kAccepted);
    ASSERT_TRUE(host_->Await());
    if (!data) return;
    ASSERT_EQ(host_->Do(link::SetData{.slot = 7, .epoch = 1, .path = link::DataPath::kHost}).verdict,
              link::Verdict::kAccepted);
    ASSERT_TRUE(host_->Await());
  }
  std::string Ask(const std::string& line) {
    std::optional<std::string> answer;
    bench_->Answer(line, [&answer](const std::string& text) { answer = text; });
    while (!answer) loop_.RunOnce(Milliseconds(20));
    return *answer;
  }
  bool StateHas(const std::string& text) { return Ask("state r01/07").find(text) != std::string::npos; }
  bool StateBecomes(const std::string& text) {
    return host_->RunUntil(1000, [&] { return StateHas(text); });
  }

  std::string folder_;
  rackconfig::RackConfig rack_;
  Scenario scenario_;
  evloop::Loop loop_;
  std::unique_ptr<Bench> bench_;
  std::unique_ptr<LiveHost> host_;
};

TEST_F(BenchTest, Start_WritesReadyAndEndpoints) {
  StartBench();
  EXPECT_TRUE(fs::exists(folder_ + "/run/ready"));
  std::ifstream file(folder_ + "/run/endpoints");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_NE(text.find("control " + folder_ + "/run/control"), std::string::npos);
  EXPECT_NE(text.find("board0 pty " + folder_ + "/mcu0"), std::string::npos);
  EXPECT_NE(text.find("phone r01/07 " + rack_.slots[6].hosts[0].adb), std::string::npos);
  bench_.reset();
  EXPECT_FALSE(fs::exists(folder_ + "/run/ready"));
}

TEST_F(BenchTest, Phone_ListensWhileItsDataPathReachesTheHost) {
  StartBench();
  EXPECT_TRUE(StateHas("adb=none"));
  Connect(true);
  EXPECT_TRUE(StateBecomes("adb=" + rack_.slots[6].hosts[0].adb));
  ASSERT_EQ(host_->Do(link::SetVbus{.slot = 7, .epoch = 1, .on = false}).verdict, link::Verdict::kAccepted);
  EXPECT_TRUE(StateBecomes("adb=none"));
}

TEST_F(BenchTest, Phone_Absent_LeavesTheSlotWithoutCurrent) {
  StartBench();
  Connect(true);
  ASSERT_TRUE(StateBecomes("vbus_ma=500"));
  EXPECT_EQ(Ask("phone r01/07 absent").substr(0, 3), "ok ");
  EXPECT_TRUE(StateBecomes("vbus_ma=0"));
  EXPECT_TRUE(StateHas("adb=none"));
  EXPECT_TRUE(StateHas("present=no"));
  EXPECT_EQ(Ask("phone r01/07 ok").substr(0, 3), "ok ");
  EXPECT_TRUE(StateBecomes("vbus_ma=500"));
}

TEST_F(BenchTest, Phone_OfflineAndHung_StayPluggedIn) {
  StartBench();
  Connect(true);
  for (const std::string action : {"offline", "hang"}) {
    EXPECT_EQ(Ask("phone r01/07 " + action).substr(0, 3), "ok ");
    EXPECT_TRUE(StateHas(action == "hang" ? "phone_fault=hung" : "phone_fault=offline"));
    EXPECT_TRUE(StateHas("present=yes"));
  }
}

TEST_F(BenchTest, Battery_EmptySwitchesThePhoneOff) {
  StartBench();
  Connect(false);
  ASSERT_TRUE(StateHas("phone=booted"));
  ASSERT_EQ(host_->Do(link::SetVbus{.slot = 7, .epoch = 1, .on = false}).verdict, link::Verdict::kAccepted);
  ASSERT_TRUE(StateBecomes("outputs=led"));
  EXPECT_EQ(Ask("battery r01/07 0"), "ok r01/07 battery 0");
  EXPECT_TRUE(StateBecomes("phone=off"));
}

TEST_F(BenchTest, Fault_ShortTripsInRealTime) {
  StartBench();
  Connect(false);
  EXPECT_EQ(Ask("fault r01/07 short on"), "ok r01/07 short on");
  EXPECT_TRUE(host_->RunUntil(1000, [this] { return !host_->Events<link::Tripped>().empty(); }));
  EXPECT_TRUE(StateHas("outputs=none"));
  EXPECT_TRUE(StateHas("faults=short"));
}

TEST_F(BenchTest, Input_ReachesTelemetry) {
  StartBench();
  Connect(false);
  EXPECT_TRUE(host_->RunUntil(1000, [this] { return host_->telemetry && (host_->telemetry->inputs & 1) == 1; }));
  EXPECT_EQ(Ask("input door active"), "ok input door active");  // active low
  EXPECT_TRUE(host_->RunUntil(1000, [this] { return (host_->telemetry->inputs & 1) == 0; }));
}

TEST_F(BenchTest, StopButton_StopsTheBoardUntilReleased) {
  StartBench();
  Connect(false);
  EXPECT_EQ(Ask("input stop-button active"), "ok input stop-button active");
  EXPECT_TRUE(StateBecomes("outputs=none"));
  EXPECT_NE(Ask("state 0").find("stopped=yes"), std::string::npos);
  EXPECT_EQ(Ask("input stop-button inactive"), "ok input stop-button inactive");
}

TEST_F(BenchTest, LineDamage_LetsNothingThroughWhenAllIsDamagedAndHealsAgain) {
  StartBench();
  EXPECT_EQ(Ask("line 0 damage 0"), "ok line 0 damage 0 seed 1");
  EXPECT_EQ(Ask("line 0 damage 101 7").substr(0, 6), "error ");
  EXPECT_EQ(Ask("line 0 damage 100 7"), "ok line 0 damage 100 seed 7");
  EXPECT_EQ(Ask("line 0 damage 0"), "ok line 0 damage 0 seed 1");
  Connect(false);
  EXPECT_TRUE(StateHas("outputs=vbus"));
}

TEST_F(BenchTest, BoardFaults_HoldFromTheStart) {
  scenario_.board_faults.push_back({0, {StartFault::Kind::kMonitorMissing, 6}});
  scenario_.board_faults.push_back({0, {StartFault::Kind::kEepromReadOnly, 0}});
  StartBench();
  EXPECT_TRUE(StateHas("faults=monitor-missing"));
  host_ = std::make_unique<LiveHost>(::open((folder_ + "/mcu0").c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(host_->Hello());
  std::ifstream file(folder_ + "/run/board0.eeprom", std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(bytes, std::string(8192, '\xFF'));
}

TEST_F(BenchTest, EpochsOutliveTheSimulator) {
  StartBench();
  Connect(false);
  host_.reset();
  bench_.reset();
  StartBench();
  host_ = std::make_unique<LiveHost>(::open((folder_ + "/mcu0").c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  const auto hello = host_->Hello();
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->epochs[6], 1U);
  EXPECT_FALSE(hello->nvm_lost);
}

TEST_F(BenchTest, Events_HappenByThemselves) {
  ScenarioEvent event;
  event.after_ms = 50;
  event.text = "fault r01/07 relay-stuck on";
  scenario_.events.push_back(event);
  StartBench();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!StateHas("faults=relay-stuck") && std::chrono::steady_clock::now() < end) loop_.RunOnce(Milliseconds(20));
  EXPECT_TRUE(StateHas("faults=relay-stuck"));
}

TEST_F(BenchTest, Answers_AreErrorsForWhatCannotBe) {
  StartBench();
  EXPECT_EQ(Ask("gibberish").substr(0, 6), "error ");
  EXPECT_NE(Ask("phone r01/08 hang").find("no phone is in r01/08"), std::string::npos);
  EXPECT_NE(Ask("battery r01/08 5").find("no phone is in r01/08"), std::string::npos);
  EXPECT_EQ(Ask("list"), "ok r01/07");
  EXPECT_NE(Ask("help").find("mcu-reset BOARD [CAUSE]"), std::string::npos);
  EXPECT_NE(Ask("state 0").find("line=waiting"), std::string::npos);
}

TEST_F(BenchTest, LineCommands_CutAndRestore) {
  StartBench();
  EXPECT_EQ(Ask("line 0 cut"), "ok line 0 cut");
  EXPECT_NE(Ask("state 0").find("line=cut"), std::string::npos);
  EXPECT_FALSE(fs::exists(fs::symlink_status(folder_ + "/mcu0")));
  EXPECT_EQ(Ask("line 0 restore"), "ok line 0 restore");
  EXPECT_TRUE(fs::exists(folder_ + "/mcu0"));
  EXPECT_EQ(Ask("mcu-reset 0"), "ok board 0 reset");
  EXPECT_NE(Ask("state 0").find("boots=2"), std::string::npos);
}

TEST_F(BenchTest, TwoBoards_EachItsOwnLineAndSlots) {
  rack_.boards.emplace_back().port.socket = folder_ + "/mcu1.sock";
  for (int board_slot = 1; board_slot <= 2; ++board_slot) {
    rackconfig::SlotConfig& slot = rack_.slots.emplace_back();
    slot.number = 32 + board_slot;
    slot.board = 1;
    slot.board_slot = board_slot;
  }
  StartBench();
  const auto first = LiveHost(::open((folder_ + "/mcu0").c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC)).Hello();
  const auto second = LiveHost(*ConnectUnix(folder_ + "/mcu1.sock")).Hello();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->slots, 32U);
  EXPECT_EQ(second->slots, 2U);
  EXPECT_NE(first->session, second->session);
  EXPECT_EQ(Ask("fault r01/34 short on"), "ok r01/34 short on");
  EXPECT_NE(Ask("state r01/34").find("faults=short"), std::string::npos);
  EXPECT_NE(Ask("state r01/02").find("faults=none"), std::string::npos);
  EXPECT_EQ(Ask("line 1 cut"), "ok line 1 cut");
  EXPECT_NE(Ask("state 0").find("line="), std::string::npos);
  EXPECT_EQ(Ask("state 0").find("line=cut"), std::string::npos);
}

TEST_F(BenchTest, ControlSocket_ServesManyLinesAndBadClients) {
  StartBench();
  std::thread clients([this] {
    const auto rude = ConnectUnix(folder_ + "/run/control");  // says half a line and goes
    EXPECT_TRUE(rude.ok());
    EXPECT_EQ(::send(*rude, "stat", 4, MSG_NOSIGNAL), 4);
    ::close(*rude);
    const auto endless = ConnectUnix(folder_ + "/run/control");  // never ends its line
    EXPECT_TRUE(endless.ok());
    const std::string junk(8192, 'x');
    EXPECT_GT(::send(*endless, junk.data(), junk.size(), MSG_NOSIGNAL), 0);
    const auto answer = SendControl(folder_ + "/run", "state r01/07");
    EXPECT_TRUE(answer.ok() && answer->starts_with("r01/07 outputs=none"));
    const auto refused = SendControl(folder_ + "/run", "fault r01/77 short on");
    EXPECT_NE(refused.status().message().find("r01/01 to r01/32"), std::string::npos);
    ::close(*endless);
    loop_.Post([this] { loop_.Stop(0); });
  });
  loop_.Run();
  clients.join();
}

TEST_F(BenchTest, ABoardThatTakesLong_HoldsUpOnlyWhoAskedIt) {
  std::promise<void> started;
  StartBench([come = started.get_future().share()](MachineOrder order) -> Result<std::unique_ptr<Machine>> {
    return std::unique_ptr<Machine>(std::make_unique<SlowMachine>(std::move(order), come));
  });
  const auto run_until = [this](const auto& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < end) loop_.RunOnce(Milliseconds(20));
    return condition();
  };
  Asker patient(folder_ + "/run/control", "mcu-reset 0 software\nlist\nstate 0\n");
  { Asker gone(folder_ + "/run/control", "state 0\nline 0 damage 5\n"); }  // its lines count all the same
  Asker other(folder_ + "/run/control", "list\nhelp\n");
  EXPECT_TRUE(run_until([&] { return other.Ended(); }));
  EXPECT_EQ(other.heard().substr(0, 10), "ok r01/07\n");
  EXPECT_FALSE(patient.Ended());
  EXPECT_EQ(patient.heard(), "");
  started.set_value();
  EXPECT_TRUE(run_until([&] { return patient.Ended(); }));
  EXPECT_EQ(patient.heard().find("ok board 0 reset\nok r01/07\nok board=0 boots=2 "), 0U) << patient.heard();
}

TEST_F(BenchTest, LineDamage_IsCounted) {
  StartBench();
  EXPECT_NE(Ask("state 0").find(" damaged=0 "), std::string::npos);
  EXPECT_EQ(Ask("line 0 damage 100"), "ok line 0 damage 100 seed 1");
  LiveHost host(::open((folder_ + "/mcu0").c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  EXPECT_TRUE(host.RunUntil(1000, [&] {
    host.Keepalive();
    return Ask("state 0").find(" damaged=0 ") == std::string::npos;
  }));
}

TEST_F(BenchTest, Start_RefusesARunDirInUseAndARealAdapter) {
  StartBench();
  evloop::Loop other_loop;
  Bench other(other_loop, rack_, scenario_, folder_ + "/run", NativeMachine::Make);
  std::thread server([this] { loop_.Run(); });
  const Status status = other.Start();
  loop_.Post([this] { loop_.Stop(0); });
  server.join();
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_NE(status.message().find("another process serves"), std::string::npos);

  rack_.boards[0].port = {};
  rack_.boards[0].port.usb_serial = "FT1";
  Bench real(other_loop, rack_, scenario_, folder_ + "/run2", NativeMachine::Make);
  EXPECT_NE(real.Start().message().find("port.path or port.socket"), std::string::npos);
}

}  // namespace
}  // namespace faraday::sim
