// OpenSerialPort() on emulated adapters: umockdev stands before /sys and /dev of this process (libumockdev-preload), a
// pty is the tty. Covered: finding by USB serial number, opening, locking, settings, data, unplug and replug. Not
// covered, because a pty has no modem lines (answered here), no baud rate and no hangup by the USB stack: those are
// hil-tests/guest's.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <umockdev.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>

#include "controller/mcu_line/fake_mcu.h"
#include "controller/mcu_line/mcu_line.h"
#include "controller/mcu_line/transport.h"

namespace faraday::controller {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int kBaud = 460800;
constexpr gulong kGetTermios2 = 0x802C542A;  // TCGETS2; its struct is in <linux/termios.h>, which excludes <termios.h>
constexpr size_t kTermios2Size = 44;
constexpr size_t kTermios2Speeds = 36;  // c_ispeed, c_ospeed

class EmulatedAdapters : public testing::Test {
 protected:
  void SetUp() override {
    bed_ = umockdev_testbed_new();
    if (umockdev_in_mock_environment() == 0) {
      GTEST_SKIP() << "SKIPPED: run by ctest, or under umockdev-wrapper: libumockdev-preload is not loaded";
    }
    g_autofree char* root = umockdev_testbed_get_root_dir(bed_);
    root_ = root;
    std::filesystem::create_directories(root_ + "/dev");
    std::filesystem::create_directories(root_ + "/sys/class/tty");  // empty, but there
    modem_ = umockdev_ioctl_base_new();
    g_signal_connect(modem_, "handle-ioctl", G_CALLBACK(OnIoctl), this);
  }
  void TearDown() override {
    while (!adapters_.empty()) Pull(adapters_.begin()->first);
    g_clear_object(&bed_);
    g_clear_object(&modem_);
  }

  // An adapter with one tty; an empty `serial` is one without serial number. The wire's other end is wire(tty).
  void Plug(const std::string& tty, const std::string& serial) {
    const std::string usb = "/devices/pci0000:00/usb1/1-" + std::to_string(++ports_);
    const std::string port = usb + "/interface/" + tty;
    std::string description = "P: " + usb + "\nE: SUBSYSTEM=usb\nA: busnum=1\nA: devnum=" + std::to_string(ports_) +
                              "\nA: idVendor=0403\nA: idProduct=6001\nA: product=USB Serial\n";
    if (!serial.empty()) description += "A: serial=" + serial + "\\n\n";
    description += "\nP: " + port + "/tty/" + tty + "\nE: SUBSYSTEM=tty\nL: device=../../../" + tty + "\n";
    ASSERT_TRUE(umockdev_testbed_add_from_string(bed_, description.c_str(), nullptr));
    const int wire = ::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    ASSERT_TRUE(wire >= 0 && ::grantpt(wire) == 0 && ::unlockpt(wire) == 0);
    std::filesystem::create_symlink(::ptsname(wire), root_ + "/dev/" + tty);
    ASSERT_TRUE(umockdev_testbed_attach_ioctl(bed_, ("/dev/" + tty).c_str(), modem_, nullptr));
    adapters_[tty] = {wire, "/sys" + usb, "/sys" + port + "/tty/" + tty};
  }
  void Pull(std::string tty) {  // by value: it may be the map's own key
    const Adapter adapter = adapters_.at(tty);
    adapters_.erase(tty);
    umockdev_testbed_detach_ioctl(bed_, ("/dev/" + tty).c_str(), nullptr);
    std::filesystem::remove(root_ + "/dev/" + tty);
    umockdev_testbed_remove_device(bed_, adapter.tty.c_str());
    umockdev_testbed_remove_device(bed_, adapter.usb.c_str());
    ::close(adapter.wire);
  }
  int wire(const std::string& tty) const { return adapters_.at(tty).wire; }

  static std::string Refusal(const std::string& serial, int baud = kBaud) {
    const auto port = OpenSerialPort(serial, baud);
    EXPECT_FALSE(port.ok());
    EXPECT_EQ(port.status().code(), Code::kUnavailable);
    return port.status().message();
  }
  // What the board at the other end of the wire gets.
  std::string Arrives(const std::string& tty) const {
    std::array<char, 64> bytes{};
    const ssize_t count = ::read(wire(tty), bytes.data(), bytes.size());
    return count <= 0 ? "" : std::string(bytes.data(), static_cast<size_t>(count));
  }
  termios Settings(const std::string& tty) const {
    termios settings{};
    const int fd = ::open((root_ + "/dev/" + tty).c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
    EXPECT_EQ(::tcgetattr(fd, &settings), 0);
    ::close(fd);
    return settings;
  }

  std::atomic<int> slowest_{0};  // not 0: whatever rate is asked for, the chip runs at this one

 private:
  struct Adapter {
    int wire;
    std::string usb;
    std::string tty;
  };
  // In umockdev's thread. A pty answers everything but the modem lines.
  static gboolean OnIoctl(UMockdevIoctlBase*, UMockdevIoctlClient* client, gpointer self) {
    auto* test = static_cast<EmulatedAdapters*>(self);
    switch (umockdev_ioctl_client_get_request(client)) {
      case TIOCMGET: {
        int bits = TIOCM_DTR | TIOCM_RTS;
        Give(client, &bits, sizeof(bits));
        umockdev_ioctl_client_complete(client, 0, 0);
        return TRUE;
      }
      case TIOCMBIS:
      case TIOCMBIC:
      case TIOCMSET:
        umockdev_ioctl_client_complete(client, 0, 0);
        return TRUE;
      case kGetTermios2:
        if (const int speed = test->slowest_; speed != 0) {
          std::array<uint8_t, kTermios2Size> settings{};
          std::memcpy(settings.data() + kTermios2Speeds, &speed, sizeof(speed));
          std::memcpy(settings.data() + kTermios2Speeds + sizeof(speed), &speed, sizeof(speed));
          Give(client, settings.data(), settings.size());
          umockdev_ioctl_client_complete(client, 0, 0);
          return TRUE;
        }
        [[fallthrough]];
      default: {
        int error = 0;
        const int result = umockdev_ioctl_client_execute(client, &error, nullptr);
        umockdev_ioctl_client_complete(client, result, error);
        return TRUE;
      }
    }
  }
  // Writes to where the ioctl's argument points.
  static void Give(UMockdevIoctlClient* client, const void* bytes, size_t size) {
    UMockdevIoctlData* pointer = umockdev_ioctl_client_get_arg(client);
    UMockdevIoctlData* target = umockdev_ioctl_data_resolve(pointer, 0, size, nullptr);
    umockdev_ioctl_data_update(target, 0, static_cast<guint8*>(const_cast<void*>(bytes)), static_cast<gint>(size));
    umockdev_ioctl_data_unref(target);
  }

  UMockdevTestbed* bed_ = nullptr;
  UMockdevIoctlBase* modem_ = nullptr;
  std::string root_;
  std::map<std::string, Adapter> adapters_;
  int ports_ = 0;
};

TEST_F(EmulatedAdapters, AmongSeveral_TheOneWithTheSerialNumberIsOpened) {
  Plug("ttyUSB0", "OTHER");
  Plug("ttyUSB1", "WANTED");
  Plug("ttyUSB2", "");
  const auto port = OpenSerialPort("WANTED", kBaud);
  ASSERT_TRUE(port.ok()) << port.status().message();
  const std::array<uint8_t, 3> hello = {'a', 0, '\r'};
  ASSERT_EQ((*port)->Write(hello).value(), 3U);
  EXPECT_EQ(Arrives("ttyUSB1"), std::string("a\0\r", 3));
  ASSERT_EQ(::write(wire("ttyUSB1"), "\n\x03\x11", 3), 3);
  std::array<uint8_t, 16> got{};
  EXPECT_EQ((*port)->Read(got).value(), 3U);
  EXPECT_EQ(got[0], '\n');
  EXPECT_EQ(got[1], 0x03) << "no byte is a signal";
  EXPECT_EQ(got[2], 0x11) << "none is flow control";
  EXPECT_EQ((*port)->Read(got).value(), 0U) << "quiet, not lost";
}

TEST_F(EmulatedAdapters, SettingsAreRaw8N1WithoutFlowControl_WhateverWasLeftOn) {
  Plug("ttyUSB0", "WANTED");
  termios left = Settings("ttyUSB0");
  left.c_cflag |= CRTSCTS | CSTOPB;
  left.c_iflag |= IXON | IXOFF | ICRNL | ISTRIP;
  ASSERT_EQ(::tcsetattr(wire("ttyUSB0"), TCSANOW, &left), 0);
  const auto port = OpenSerialPort("WANTED", kBaud);
  ASSERT_TRUE(port.ok()) << port.status().message();
  termios now{};
  ASSERT_EQ(::tcgetattr((*port)->fd(), &now), 0);
  EXPECT_EQ(now.c_cflag & (CSIZE | PARENB | CSTOPB | CRTSCTS), tcflag_t{CS8});
  EXPECT_EQ(now.c_iflag & (IXON | IXOFF | IXANY | ICRNL | INLCR | ISTRIP), 0U);
  EXPECT_EQ(now.c_oflag & OPOST, 0U);
  EXPECT_EQ(now.c_lflag & (ICANON | ECHO | ISIG), 0U);
  EXPECT_EQ(::cfgetospeed(&now), speed_t{B460800});
}

TEST_F(EmulatedAdapters, Absent_NamesTheWantedAndThePresent) {
  EXPECT_THAT(Refusal("WANTED"), AllOf(HasSubstr("WANTED"), HasSubstr("plugged in: no USB serial adapter")));
  Plug("ttyUSB0", "OTHER");
  Plug("ttyUSB1", "");
  EXPECT_THAT(Refusal("WANTED"),
              AllOf(HasSubstr("no adapter with USB serial number WANTED"),
                    HasSubstr("OTHER (/dev/ttyUSB0)"),
                    HasSubstr("no serial number (/dev/ttyUSB1)")));
}

TEST_F(EmulatedAdapters, TwoOfOneSerialNumber_AreBothLeftAlone) {
  Plug("ttyUSB0", "WANTED");
  Plug("ttyUSB1", "WANTED");
  EXPECT_THAT(Refusal("WANTED"),
              AllOf(HasSubstr("2 ports"), HasSubstr("/dev/ttyUSB0"), HasSubstr("/dev/ttyUSB1"), HasSubstr("by-path")));
}

TEST_F(EmulatedAdapters, InUse_IsRefusedUntilItIsClosed) {
  Plug("ttyUSB0", "WANTED");
  {
    const auto first = OpenSerialPort("WANTED", kBaud);
    ASSERT_TRUE(first.ok()) << first.status().message();
    EXPECT_THAT(Refusal("WANTED"), HasSubstr("/dev/ttyUSB0 is in use by another program"));
    const std::array<uint8_t, 1> byte = {'x'};
    EXPECT_EQ((*first)->Write(byte).value(), 1U) << "the first goes on";
  }
  EXPECT_TRUE(OpenSerialPort("WANTED", kBaud).ok());
}

TEST_F(EmulatedAdapters, RateThatTheChipCannotMake_IsRefused) {
  Plug("ttyUSB0", "WANTED");
  slowest_ = 9600;
  EXPECT_THAT(Refusal("WANTED", 250'000), AllOf(HasSubstr("runs at 9600 baud"), HasSubstr("asks for 250000")));
  slowest_ = 247'000;  // a chip's nearest divisor
  EXPECT_TRUE(OpenSerialPort("WANTED", 250'000).ok());
}

TEST_F(EmulatedAdapters, FullBuffer_TakesNothingAndIsNoLoss) {
  Plug("ttyUSB0", "WANTED");
  const auto port = OpenSerialPort("WANTED", kBaud);
  ASSERT_TRUE(port.ok()) << port.status().message();
  const std::vector<uint8_t> block(4096, 'x');
  Result<size_t> taken = size_t{1};
  for (int i = 0; i < 1000 && taken.ok() && *taken > 0; ++i) taken = (*port)->Write(block);
  ASSERT_TRUE(taken.ok()) << taken.status().message();
  EXPECT_EQ(*taken, 0U);
}

TEST_F(EmulatedAdapters, Pulled_IsALossAtTheNextRead_AndBackUnderAnotherNumber) {
  Plug("ttyUSB0", "OTHER");
  Plug("ttyUSB1", "WANTED");
  auto port = OpenSerialPort("WANTED", kBaud);
  ASSERT_TRUE(port.ok()) << port.status().message();
  Pull("ttyUSB1");
  std::array<uint8_t, 16> got{};
  const auto read = (*port)->Read(got);
  ASSERT_FALSE(read.ok()) << "an unplugged adapter is no quiet one";
  EXPECT_THAT(read.status().message(), AllOf(HasSubstr("WANTED (/dev/ttyUSB1)"), HasSubstr("gone")));
  EXPECT_THAT(Refusal("WANTED"), HasSubstr("no adapter with USB serial number WANTED"));
  Plug("ttyUSB1", "SQUATTER");
  Plug("ttyUSB2", "WANTED");
  port->reset();
  port = OpenSerialPort("WANTED", kBaud);
  ASSERT_TRUE(port.ok()) << port.status().message();
  const std::array<uint8_t, 1> byte = {'x'};
  ASSERT_EQ((*port)->Write(byte).value(), 1U);
  EXPECT_EQ(Arrives("ttyUSB2"), "x");
  EXPECT_EQ(Arrives("ttyUSB1"), "");
}

// ---- under the line -------------------------------------------------------------------------------------------------

class Sink final : public LineEvents {
 public:
  void OnUp(const link::HelloReply&, Now) override { ups += 1, up = true; }
  void OnDown(const std::string& why, Now) override {
    up = false;
    reasons += why + "\n";
  }
  void OnReply(const link::Reply&, Now) override {}
  void OnEvent(const link::Event&, Now) override {}
  void OnTelemetry(const link::Telemetry&, Now) override {}
  bool up = false;
  int ups = 0;
  std::string reasons;
};

class LineOnAdapters : public EmulatedAdapters {
 protected:
  void TearDown() override {
    line_.reset();
    loop_.Remove(watch_);
    EmulatedAdapters::TearDown();
  }
  void OpenLine() {
    McuLine::Options options;
    options.rack = "r01";
    options.version = "test";
    options.open = [] { return OpenSerialPort("WANTED", kBaud); };
    options.superseded = [](const std::string&) {};
    line_ = std::make_unique<McuLine>(loop_, std::move(options), sink_);
  }
  // A board at the wire of `tty`.
  void PlugBoard(const std::string& tty) {
    Plug(tty, "WANTED");
    watch_ = loop_.AddFd("board", wire(tty), POLLIN, [this, fd = wire(tty)](short) {
      std::array<uint8_t, 4096> bytes{};
      const ssize_t count = ::read(fd, bytes.data(), bytes.size());
      if (count <= 0) return;  // EIO: nobody has the adapter open
      std::vector<uint8_t> out;
      mcu_.Feed(std::span(bytes).first(static_cast<size_t>(count)), &out);
      [[maybe_unused]] const auto written = ::write(fd, out.data(), out.size());
    });
  }
  void PullBoard(const std::string& tty) {
    loop_.Remove(watch_);
    watch_ = 0;
    Pull(tty);
  }
  template <typename Condition>
  bool RunUntil(Condition done) {
    const BootTime limit = BootClock::now() + std::chrono::seconds(20);
    while (BootClock::now() < limit) {
      if (done()) return true;
      loop_.RunOnce(Milliseconds(20));
    }
    return false;
  }

  FakeBoard board_{4};
  FakeMcu mcu_{board_};
  Sink sink_;
  evloop::Loop loop_;
  evloop::Handle watch_ = 0;
  std::unique_ptr<McuLine> line_;
};

TEST_F(LineOnAdapters, PulledAndPluggedElsewhere_IsDownWithAReasonAndUpByItself) {
  Plug("ttyUSB0", "OTHER");
  PlugBoard("ttyUSB1");
  OpenLine();
  ASSERT_TRUE(RunUntil([this] { return sink_.up; }));
  PullBoard("ttyUSB1");
  ASSERT_TRUE(RunUntil([this] { return !sink_.up; }));
  EXPECT_THAT(sink_.reasons, HasSubstr("the serial adapter WANTED (/dev/ttyUSB1) is gone"));
  EXPECT_THAT(sink_.reasons, Not(HasSubstr("silent")));
  ASSERT_TRUE(RunUntil([this] { return sink_.reasons.find("plugged in: OTHER") != std::string::npos; }));
  PlugBoard("ttyUSB2");
  ASSERT_TRUE(RunUntil([this] { return sink_.up; }));
  EXPECT_EQ(sink_.ups, 2);
  EXPECT_EQ(mcu_.hellos, 2) << "one Hello for one plug";
}

}  // namespace
}  // namespace faraday::controller
