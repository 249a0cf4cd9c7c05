// Debian's own adb, client and server, against phones in this process: what a user's tests will do.
// Each case has its own server on an abstract socket and ends only that one. Skipped, loudly, where adb is missing.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <future>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "evloop/loop.h"
#include "sim/phone/owned_fd.h"
#include "sim/phone/phone.h"
#include "sim/phone/scratch_folder.h"

extern char** environ;

namespace faraday::sim {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr Milliseconds kPatience{60'000};  // generous: two cores may be shared by many builds

std::string Slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string RandomBytes(size_t count) {
  std::mt19937_64 random(count);
  std::string out(count, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

struct Ran {
  int code = -1;  // -1: did not end in time and was killed
  std::string out;
  std::string err;
};

// A program with its own environment, its streams in files.
class Child {
 public:
  Child(const std::vector<std::string>& words,
        const std::map<std::string, std::string>& extra,
        const fs::path& files,
        const std::string& input = {})
      : out_(files.string() + ".out"), err_(files.string() + ".err") {
    const std::string in = files.string() + ".in";
    std::ofstream(in, std::ios::binary) << input;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, in.c_str(), O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_addopen(&actions, 2, err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    std::vector<std::string> environment;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string text = *entry;
      if (!extra.contains(text.substr(0, text.find('=')))) environment.push_back(text);
    }
    for (const auto& [name, value] : extra) environment.push_back(name + "=" + value);
    std::vector<std::string> copy = words;
    std::vector<char*> argv, envp;
    for (std::string& word : copy) argv.push_back(word.data());
    for (std::string& word : environment) envp.push_back(word.data());
    argv.push_back(nullptr);
    envp.push_back(nullptr);
    if (posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), envp.data()) != 0) pid_ = -1;
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Child() {
    if (pid_ > 0) Kill();
  }
  bool started() const { return pid_ > 0; }
  bool EndsWithin(Milliseconds patience) {
    const OwnedFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
    pollfd waiting{pidfd.get(), POLLIN, 0};
    return ::poll(&waiting, 1, static_cast<int>(patience.count())) == 1;
  }
  Ran Wait() {
    if (!EndsWithin(kPatience)) {
      Kill();
      return {-1, Slurp(out_), Slurp(err_)};
    }
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), Slurp(out_), Slurp(err_)};
  }
  void Kill() {
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, -1), nullptr, 0);
  }

 private:
  std::string out_;
  std::string err_;
  pid_t pid_ = -1;
};

// One adb server and the phones it may talk to, which live in a loop of their own thread.
class AdbTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("command -v adb >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "SKIPPED: adb is not installed, so nothing shows that real adb works (apt-get install adb)";
    }
    fs::create_directory(scratch_.path() / "home");
    environment_ = {{"HOME", scratch_.path() / "home"},
                    {"TMPDIR", scratch_.path()},
                    {"ADB_USB", "0"},
                    {"ADB_MDNS", "0"},
                    {"ADB_EMU", "0"},
                    {"ADB_SERVER_SOCKET", "localabstract:" + socket_}};
    // In the foreground, so that this very process can be ended whatever happens.
    server_ = std::make_unique<Child>(
        std::vector<std::string>{"adb", "server", "nodaemon"}, environment_, scratch_.path() / "server");
    ASSERT_TRUE(server_->started());
    // A client that comes too early would start a server of its own, which nobody would end.
    ASSERT_TRUE(Becomes([this] { return ServerListens(); })) << Slurp(scratch_.path() / "server.err");
    thread_ = std::thread([this] { loop_.Run(); });
  }
  void TearDown() override {
    if (thread_.joinable()) {
      InLoop([this] {
        phones_.clear();
        loop_.Stop();
      });
      thread_.join();
    }
    server_.reset();
  }

  bool ServerListens() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(socket_.begin(), socket_.end(), address.sun_path + 1);
    const OwnedFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + socket_.size());
    return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0;
  }
  void InLoop(const std::function<void()>& call) {
    std::promise<void> done;
    loop_.Post([&] {
      call();
      done.set_value();
    });
    done.get_future().wait();
  }
  // A phone with its data path on host 0; gives its adb serial.
  std::string MakePhone(const std::string& serial,
                        const std::string& model = "pixel-8",
                        PhonePower start = PhonePower::kBooted) {
    Phone* made = nullptr;
    InLoop([&] {
      auto phone = Phone::Create(loop_,
                                 {.model = *FindPhoneModel(model),
                                  .identity = {serial, ""},
                                  .listen = {"127.0.0.1:0", "127.0.0.1:0"},
                                  .folder = scratch_.path() / "phones" / serial,
                                  .start = start});
      ASSERT_TRUE(phone.ok()) << phone.status().message();
      made = phone->get();
      phones_[serial] = std::move(*phone);
    });
    if (made == nullptr) return "";
    Plug(serial, kConnected);
    return Address(serial);
  }
  void Plug(const std::string& serial, const SlotSide& slot) {
    InLoop([&] { phones_.at(serial)->Update(slot); });
  }
  std::string Address(const std::string& serial) {
    std::string address;
    InLoop([&] { address = phones_.at(serial)->listening(); });
    return address;
  }
  std::string Connect(const std::string& serial) {
    const std::string address = Address(serial);
    EXPECT_THAT(Adb({"connect", address}).out, HasSubstr("connected to"));
    return address;
  }
  Ran Adb(std::vector<std::string> words, const std::string& input = {}) { return StartAdb(words, input)->Wait(); }
  std::unique_ptr<Child> StartAdb(std::vector<std::string> words, const std::string& input = {}) {
    words.insert(words.begin(), "adb");
    return std::make_unique<Child>(words, environment_, scratch_.path() / ("run" + std::to_string(runs_++)), input);
  }
  Ran Shell(const std::string& phone, const std::string& line, const std::string& input = {}) {
    return Adb({"-s", phone, "shell", line}, input);
  }
  // Asks again until `good`, for what follows a change without a fixed delay.
  bool Becomes(const std::function<bool()>& good) {
    const BootTime end = BootClock::now() + kPatience;
    while (!good()) {
      if (BootClock::now() > end) return false;
      ::poll(nullptr, 0, 20);
    }
    return true;
  }
  bool Walled(const std::string& serial) {
    std::string walls;
    InLoop([&] { walls = phones_.at(serial)->walls(); });
    return walls != "bare";
  }

  static constexpr SlotSide kConnected{.present = true, .vbus = true, .data_host = 0, .battery_percent = 80};
  ScratchFolder scratch_;
  const std::string socket_ = scratch_.path().filename().string();  // of the abstract name space
  std::map<std::string, std::string> environment_;
  std::unique_ptr<Child> server_;
  evloop::Loop loop_;
  std::thread thread_;
  std::map<std::string, std::unique_ptr<Phone>> phones_;  // touched in the loop only, but for its shape
  int runs_ = 0;
};

TEST_F(AdbTest, ListsTwoPhonesWithTheirModels) {
  MakePhone("X1");
  MakePhone("X2", "galaxy-s23");
  const std::string one = Connect("X1");
  const std::string two = Connect("X2");
  const std::string list = Adb({"devices", "-l"}).out;
  EXPECT_THAT(list, HasSubstr(one + " "));
  EXPECT_THAT(list, HasSubstr("product:shiba model:Pixel_8 device:shiba"));
  EXPECT_THAT(list, HasSubstr("model:SM_S911B device:dm1q"));
  EXPECT_EQ(Shell(one, "getprop ro.serialno").out, "X1\n");
  EXPECT_EQ(Shell(two, "getprop ro.serialno").out, "X2\n");
}

TEST_F(AdbTest, ShellKeepsStatusInputAndBothOutputsApart) {
  MakePhone("X1");
  const std::string phone = Connect("X1");
  EXPECT_EQ(Shell(phone, "exit 7").code, 7);
  EXPECT_EQ(Shell(phone, "kill -TERM $$").code, 128 + SIGTERM);
  const Ran both = Shell(phone, "echo out; echo err >&2; exit 3");
  EXPECT_EQ(both.code, 3);
  EXPECT_EQ(both.out, "out\n");
  EXPECT_EQ(both.err, "err\n");
  const std::string input = RandomBytes(3'000'000);
  const Ran cat = Shell(phone, "cat", input);
  EXPECT_EQ(cat.code, 0);
  EXPECT_TRUE(cat.out == input) << cat.out.size() << " of " << input.size() << " bytes came back";
  EXPECT_EQ(Adb({"-s", phone, "exec-out", "printf 'a\\r\\nb'"}).out, "a\r\nb");
  EXPECT_EQ(Adb({"-s", phone, "shell"}, "echo one\nexit 9\n").code, 9);
  EXPECT_EQ(Shell(phone, "logcat").code, 127);
}

TEST_F(AdbTest, GivesATerminalWhenAsked) {
  MakePhone("X1");
  const std::string phone = Connect("X1");
  EXPECT_EQ(Adb({"-s", phone, "shell", "-t", "-t", "[ -t 0 ] && [ -t 2 ] && echo a terminal; exit 6"}).out,
            "a terminal\r\n");
  EXPECT_EQ(Adb({"-s", phone, "shell", "-t", "-t", "exit 6"}).code, 6);
  EXPECT_THAT(Adb({"-s", phone, "shell", "-t", "-t", "cat"}, "typed\n").out, HasSubstr("typed"));
  EXPECT_NE(Shell(phone, "[ -t 0 ]").code, 0);
}

TEST_F(AdbTest, PropertiesAndBatteryAreThePhonesOwn) {
  MakePhone("X1", "pixel-7a");
  const std::string phone = Connect("X1");
  EXPECT_EQ(Shell(phone, "getprop ro.product.model").out, "Pixel 7a\n");
  EXPECT_EQ(Shell(phone, "getprop ro.build.version.sdk").out, "33\n");
  EXPECT_EQ(Shell(phone, "getprop sys.boot_completed").out, "1\n");
  EXPECT_EQ(Shell(phone, "getprop no.such default").out, "default\n");
  EXPECT_THAT(Shell(phone, "getprop").out, HasSubstr("[ro.serialno]: [X1]"));
  EXPECT_THAT(Shell(phone, "dumpsys battery").out, HasSubstr("level: 80\n"));
  Plug("X1", {.present = true, .vbus = true, .data_host = 0, .charge_port = true, .battery_percent = 100});
  const std::string now = Shell(phone, "dumpsys battery").out;
  EXPECT_THAT(now, HasSubstr("AC powered: true"));
  EXPECT_THAT(now, HasSubstr("status: 5"));
}

TEST_F(AdbTest, PushesAndPullsFilesAndFolders) {
  MakePhone("X1");
  const std::string phone = Connect("X1");
  const fs::path big = scratch_.path() / "big";
  const std::string content = RandomBytes(5'000'000);
  std::ofstream(big, std::ios::binary) << content;
  ASSERT_EQ(Adb({"-s", phone, "push", big, "/data/local/tmp/big"}).code, 0);
  ASSERT_EQ(Adb({"-s", phone, "pull", "/data/local/tmp/big", scratch_.path() / "back"}).code, 0);
  EXPECT_TRUE(Slurp(scratch_.path() / "back") == content);
  fs::create_directories(scratch_.path() / "tree/deep/er");
  fs::create_directories(scratch_.path() / "got");
  std::ofstream(scratch_.path() / "tree/a") << "1";
  std::ofstream(scratch_.path() / "tree/deep/er/b") << "22";
  ASSERT_EQ(Adb({"-s", phone, "push", scratch_.path() / "tree", "/sdcard/"}).code, 0);
  const Ran pulled = Adb({"-s", phone, "pull", "/sdcard/tree", scratch_.path() / "got"});
  ASSERT_EQ(pulled.code, 0) << pulled.out << pulled.err;
  EXPECT_EQ(Slurp(scratch_.path() / "got/tree/a"), "1");
  EXPECT_EQ(Slurp(scratch_.path() / "got/tree/deep/er/b"), "22");
  EXPECT_THAT(Adb({"-s", phone, "ls", "/sdcard/tree"}).out, HasSubstr("deep"));
}

TEST_F(AdbTest, RefusesPathsThatAreNotThePhones) {
  MakePhone("X1");
  const std::string phone = Connect("X1");
  std::ofstream(scratch_.path() / "x") << "x";
  const Ran pushed = Adb({"-s", phone, "push", scratch_.path() / "x", "/system/bin/x"});
  EXPECT_NE(pushed.code, 0);
  EXPECT_THAT(pushed.out + pushed.err, HasSubstr("Read-only"));
  EXPECT_NE(Adb({"-s", phone, "pull", "/../../../../etc/hostname", scratch_.path() / "h"}).code, 0);
  EXPECT_NE(Adb({"-s", phone, "pull", "/none", scratch_.path() / "h"}).code, 0);
  EXPECT_FALSE(fs::exists(scratch_.path() / "h"));
}

TEST_F(AdbTest, RunsAPushedScriptBehindWalls) {
  MakePhone("X1");
  if (!Walled("X1")) GTEST_SKIP() << "SKIPPED: this machine forbids mount namespaces, phones run commands bare";
  const std::string phone = Connect("X1");
  std::ofstream(scratch_.path() / "t.sh") << "#!/system/bin/sh\necho \"ran $1\" | tee /sdcard/result\nexit 4\n";
  fs::permissions(scratch_.path() / "t.sh", fs::perms(0755));
  ASSERT_EQ(Adb({"-s", phone, "push", scratch_.path() / "t.sh", "/data/local/tmp/t.sh"}).code, 0);
  const Ran ran = Shell(phone, "sh /data/local/tmp/t.sh a");
  EXPECT_EQ(ran.code, 4);
  EXPECT_EQ(ran.out, "ran a\n");
  EXPECT_EQ(Shell(phone, "/data/local/tmp/t.sh b").out, "ran b\n");
  EXPECT_EQ(Slurp(scratch_.path() / "phones/X1/root/sdcard/result"), "ran b\n");
  EXPECT_NE(Shell(phone, "cat /etc/hostname").code, 0);
  EXPECT_NE(Shell(phone, "touch /system/x").code, 0);
  EXPECT_NE(Shell(phone, "ls " + scratch_.path().string()).code, 0) << "the host's files are out of reach";
  EXPECT_NE(Shell(phone, "id -u").out, "0\n");
  EXPECT_EQ(Shell(phone, "whoami").out, "shell\n");
}

TEST_F(AdbTest, ExecInFinishesAfterItsStreamIsClosed) {
  MakePhone("X1");
  const std::string phone = Connect("X1");
  EXPECT_EQ(Adb({"-s", phone, "exec-in", "cat > \"$EXTERNAL_STORAGE/f\""}, "kept").code, 0);
  EXPECT_TRUE(Becomes([&] { return Slurp(scratch_.path() / "phones/X1/root/sdcard/f") == "kept"; }));
}

TEST_F(AdbTest, ACommandEndsWithItsDataPath) {
  MakePhone("X1");
  const std::string phone = Connect("X1");
  const fs::path beat = scratch_.path() / "phones/X1/root/sdcard/beat";
  auto shell =
      StartAdb({"-s", phone, "shell", "while :; do date +%s%N > \"$EXTERNAL_STORAGE/beat\"; sleep 0.05; done"});
  ASSERT_TRUE(Becomes([&] { return !Slurp(beat).empty(); }));
  const SlotSide open{.present = true, .vbus = true, .data_host = -1, .battery_percent = 80};
  Plug("X1", open);
  EXPECT_EQ(Address("X1"), "");
  EXPECT_TRUE(shell->EndsWithin(kPatience)) << "adb 29 ends, with status 0: it cannot tell a cut from an exit";
  // The whole tree is gone once two looks, a beat apart, see the same.
  EXPECT_TRUE(Becomes([&] {
    const std::string before = Slurp(beat);
    ::poll(nullptr, 0, 300);
    return Slurp(beat) == before;
  }));
  EXPECT_THAT(Adb({"devices"}).out, Not(HasSubstr("\tdevice")));
}

TEST_F(AdbTest, APathThatOpensInMidPushFailsThePush) {
  MakePhone("X1");
  MakePhone("X2");
  const std::string phone = Connect("X1");
  const std::string other = Connect("X2");
  const fs::path big = scratch_.path() / "big";
  std::ofstream(big).close();
  fs::resize_file(big, 4'000'000'000);  // sparse: longer to send than it takes to look
  auto push = StartAdb({"-s", phone, "push", big, "/sdcard/big"});
  const fs::path arriving = scratch_.path() / "phones/X1/root/sdcard/big";
  ASSERT_TRUE(Becomes([&] { return fs::exists(arriving) && fs::file_size(arriving) > 1'000'000; }));
  Plug("X1", {.present = true, .vbus = true, .data_host = -1, .battery_percent = 80});
  const Ran pushed = push->Wait();
  EXPECT_GT(pushed.code, 0) << pushed.out << pushed.err;
  EXPECT_EQ(Shell(other, "echo fine").out, "fine\n");
  Plug("X1", kConnected);
  EXPECT_TRUE(Becomes([&] {
    Adb({"disconnect", phone});
    Adb({"connect", phone});
    return Shell(phone, "echo back").out == "back\n";
  }));
}

TEST_F(AdbTest, AHungPhoneDisturbsNoOther) {
  MakePhone("X1");
  MakePhone("X2");
  const std::string phone = Connect("X1");
  const std::string other = Connect("X2");
  InLoop([&] { phones_.at("X1")->SetFault(PhoneFault::kHung); });
  auto stuck = StartAdb({"-s", phone, "shell", "echo never"});
  EXPECT_EQ(Shell(other, "echo fine").out, "fine\n");
  EXPECT_THAT(Adb({"devices"}).out, HasSubstr(phone + "\tdevice")) << "adb cannot see that a phone hangs";
  EXPECT_FALSE(stuck->EndsWithin(Milliseconds(300)));
  InLoop([&] { phones_.at("X1")->SetFault(PhoneFault::kOk); });
  EXPECT_TRUE(stuck->EndsWithin(kPatience)) << "coming back ends what the hung phone never answered";
}

// A loopback TCP socket, bound to `port` and listening, or connected to it.
OwnedFd Loopback(uint16_t port, bool listen) {
  OwnedFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const bool good = listen ? ::bind(socket.get(), generic, sizeof(address)) == 0 && ::listen(socket.get(), 1) == 0
                           : ::connect(socket.get(), generic, sizeof(address)) == 0;
  EXPECT_TRUE(good) << std::strerror(errno);
  return socket;
}

uint16_t PortOf(const std::string& address) {
  return static_cast<uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
}

TEST_F(AdbTest, GarbageEndsItsOwnLinkOnly) {
  MakePhone("X1");
  const std::string phone = Connect("X1");
  const OwnedFd stranger = Loopback(PortOf(phone), false);
  const std::string garbage = RandomBytes(100);
  ASSERT_EQ(::send(stranger.get(), garbage.data(), garbage.size(), MSG_NOSIGNAL), 100);
  pollfd waiting{stranger.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&waiting, 1, static_cast<int>(kPatience.count())), 1);
  char byte = 0;
  EXPECT_LE(::recv(stranger.get(), &byte, 1, 0), 0) << "the link is dropped";
  EXPECT_EQ(Shell(phone, "echo fine").out, "fine\n");
}

TEST_F(AdbTest, ListensAsSoonAsItsPortIsFree) {
  MakePhone("X1");
  const std::string phone = Address("X1");
  Plug("X1", {.present = true, .vbus = true, .data_host = -1, .battery_percent = 80});
  OwnedFd squatter = Loopback(PortOf(phone), true);
  Plug("X1", kConnected);
  EXPECT_EQ(Address("X1"), "");
  squatter.Reset();
  EXPECT_TRUE(Becomes([&] { return Address("X1") == phone; }));
}

TEST_F(AdbTest, AnOfflinePhoneIsShownOffline) {
  MakePhone("X1");
  const std::string phone = Connect("X1");
  InLoop([&] { phones_.at("X1")->SetFault(PhoneFault::kOffline); });
  EXPECT_TRUE(Becomes([&] { return Adb({"devices"}).out.find(phone + "\toffline") != std::string::npos; }));
  InLoop([&] { phones_.at("X1")->SetFault(PhoneFault::kOk); });
  EXPECT_TRUE(Becomes([&] {
    Adb({"disconnect", phone});
    Adb({"connect", phone});
    return Adb({"devices"}).out.find(phone + "\tdevice") != std::string::npos;
  }));
}

TEST_F(AdbTest, AnAbsentPhoneIsNotThere) {
  MakePhone("X1");
  const std::string phone = Connect("X1");
  InLoop([&] { phones_.at("X1")->SetFault(PhoneFault::kAbsent); });
  EXPECT_EQ(Address("X1"), "");
  EXPECT_THAT(Adb({"connect", phone}).out, Not(HasSubstr("connected to " + phone + "\n")));
  InLoop([&] { phones_.at("X1")->SetFault(PhoneFault::kOk); });
  EXPECT_EQ(Address("X1"), phone) << "the same port again";
}

TEST_F(AdbTest, RebootsAndSaysWhenTheBootIsComplete) {
  MakePhone("X1");
  const std::string phone = Connect("X1");
  EXPECT_THAT(Adb({"-s", phone, "reboot", "bootloader"}).out, HasSubstr("no such mode"));
  EXPECT_EQ(Adb({"-s", phone, "reboot"}).code, 0);
  ASSERT_TRUE(Becomes([&] { return Address("X1").empty(); }));
  ASSERT_TRUE(Becomes([&] { return Address("X1") == phone; }));
  EXPECT_TRUE(Becomes([&] {
    Adb({"disconnect", phone});
    Adb({"connect", phone});
    return Shell(phone, "getprop sys.boot_completed").out == "1\n";
  }));
}

TEST_F(AdbTest, LivesOnItsBatteryAndReachesTheOtherHost) {
  MakePhone("X1");
  const std::string first = Address("X1");
  Plug("X1", {.present = true, .vbus = false, .data_host = 0, .battery_percent = 50});
  EXPECT_EQ(Address("X1"), "") << "no USB without VBUS";
  InLoop([&] { EXPECT_EQ(phones_.at("X1")->power(), PhonePower::kBooted); });
  Plug("X1", {.present = true, .vbus = true, .data_host = 1, .battery_percent = 50});
  const std::string second = Address("X1");
  EXPECT_NE(second, "");
  EXPECT_NE(second, first);
  EXPECT_EQ(Shell(Connect("X1"), "getprop sys.boot_completed").out, "1\n") << "it never rebooted";
  Plug("X1", {.present = true, .vbus = false, .data_host = -1, .battery_percent = 0});
  InLoop([&] {
    EXPECT_EQ(phones_.at("X1")->power(), PhonePower::kOff);
    EXPECT_FALSE(phones_.at("X1")->draw().running);
  });
  Plug("X1", {.present = true, .vbus = true, .data_host = 0, .battery_percent = 5});
  EXPECT_EQ(Address("X1"), "") << "VBUS charges a switched-off phone, it does not boot it";
  InLoop([&] { phones_.at("X1")->PowerOn(); });
  EXPECT_TRUE(Becomes([&] { return Address("X1") == first; }));
}

TEST(PhoneOptionsTest, RefusesBadAddressesAndSerials) {
  ScratchFolder scratch;
  evloop::Loop loop;
  const auto make = [&](const std::string& serial, const std::string& address) {
    return Phone::Create(loop,
                         {.model = *FindPhoneModel("pixel-8"),
                          .identity = {serial, ""},
                          .listen = {address},
                          .folder = scratch.path() / "p"})
        .status();
  };
  EXPECT_TRUE(make("X1", "127.0.0.1:0").ok());
  for (const char* address : {"127.0.0.1", "localhost:1", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:1x", ":1"}) {
    EXPECT_THAT(make("X1", address).message(), HasSubstr("e.g. 127.0.0.1:5601")) << address;
  }
  EXPECT_EQ(make("bad;serial=1", "127.0.0.1:0").code(), Code::kInvalidArgument);
  EXPECT_EQ(ParsePhoneFault("dead").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(*ParsePhoneFault("hang"), PhoneFault::kHung);
}

TEST(PhoneOptionsTest, SaysWhichFolderItCannotMake) {
  ScratchFolder scratch;
  std::ofstream(scratch.path() / "file") << "x";
  evloop::Loop loop;
  const auto phone = Phone::Create(
      loop,
      {.model = *FindPhoneModel("pixel-8"), .identity = {"X1", ""}, .listen = {}, .folder = scratch.path() / "file/p"});
  EXPECT_EQ(phone.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(phone.status().message(), HasSubstr((scratch.path() / "file/p").string()));
}

}  // namespace
}  // namespace faraday::sim
