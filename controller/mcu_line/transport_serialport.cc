// Real serial ports through libserialport, found by the USB serial number of their adapter: never by ttyUSB number,
// which changes with every replug. A port is raw, 8N1, without flow control, and this program's alone while open.
//
// libserialport 0.1.1 leaves four things undone, which are mended here: it never clears RTS/CTS flow control that an
// earlier program left on (it looks for the bit in the wrong flag word), it takes a full output buffer for an error, it
// reads 0 both from a quiet port and from one whose adapter is gone, and it does not keep other programs out.
#include <fcntl.h>
#include <fmt/core.h>
#include <libserialport.h>
#include <linux/serial.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/mcu_line/transport.h"

namespace faraday::controller {
namespace {

// UART receivers stand 4 to 5 % between both ends; the board's own crystal and PLL take their part.
constexpr int kBaudTolerancePercent = 2;

// Text that an adapter's maker wrote: for messages, which go into Protobuf strings.
std::string Printable(const char* text) {
  std::string copy = text == nullptr ? "" : text;
  std::ranges::replace_if(
      copy, [](char c) { return c < ' ' || c > '~'; }, '?');
  return copy;
}

// ---- errors -------------------------------------------------------------------------------------------------------

Status Refused(const std::string& path, int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return {
          Code::kUnavailable,
          fmt::format("{}: permission denied; add the controller's user to group dialout (usermod -aG dialout USER; "
                      "in its systemd unit SupplementaryGroups=dialout), the controller retries",
                      path)};
    case EBUSY:
    case EWOULDBLOCK:
      return {
          Code::kUnavailable,
          fmt::format("{} is in use by another program (`fuser -v {}` names it); only one may speak to a board: end "
                      "that one, the controller retries",
                      path,
                      path)};
    case ENOENT:
    case ENODEV:
    case ENXIO:
    case EIO:
      return {Code::kUnavailable,
              fmt::format("{}: the adapter went away while it was opened ({}); check the cable, the controller retries",
                          path,
                          std::strerror(error))};
    default:
      return {Code::kUnavailable, fmt::format("{}: {}; the controller retries", path, std::strerror(error))};
  }
}

// What libserialport says of its last call: an errno, or its own refusal of an argument.
Status Refused(const std::string& path, sp_return result) {
  if (result == SP_ERR_FAIL) return Refused(path, sp_last_error_code());
  return {Code::kUnavailable, fmt::format("{}: libserialport refuses, code {}", path, static_cast<int>(result))};
}

// ---- what is plugged in -------------------------------------------------------------------------------------------

class PortList {
 public:
  PortList() = default;
  PortList(const PortList&) = delete;
  PortList& operator=(const PortList&) = delete;
  ~PortList() {
    if (ports_ != nullptr) sp_free_port_list(ports_);
  }
  Status Read(const std::string& wanted) {
    // A port that vanishes while sysfs is walked fails the whole list; the next try sees the rest.
    if (sp_list_ports(&ports_) == SP_OK) return OkStatus();
    return {Code::kUnavailable,
            fmt::format("looking for the adapter with USB serial number {}: {}; the controller retries",
                        wanted,
                        std::strerror(sp_last_error_code()))};
  }
  std::vector<sp_port*> WithSerial(std::string_view usb_serial) const {
    std::vector<sp_port*> found;
    for (sp_port** at = ports_; *at != nullptr; ++at) {
      const char* serial = sp_get_port_usb_serial(*at);
      if (serial != nullptr && serial == usb_serial) found.push_back(*at);
    }
    return found;
  }
  // "FT4RACK02 (/dev/ttyUSB1), no serial number (/dev/ttyUSB2)"
  std::string Describe() const {
    std::string text;
    for (sp_port** at = ports_; *at != nullptr; ++at) {
      if (sp_get_port_transport(*at) != SP_TRANSPORT_USB) continue;
      const std::string serial = Printable(sp_get_port_usb_serial(*at));
      text += fmt::format(
          "{}{} ({})", text.empty() ? "" : ", ", serial.empty() ? "no serial number" : serial, sp_get_port_name(*at));
    }
    return text.empty() ? "no USB serial adapter" : text;
  }

 private:
  sp_port** ports_ = nullptr;
};

// Exactly one, else nothing is opened: a wrong guess would switch another rack's phones.
Result<sp_port*> TheOne(const PortList& list, const std::string& usb_serial) {
  const std::vector<sp_port*> found = list.WithSerial(usb_serial);
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    return Status{Code::kUnavailable,
                  fmt::format("no adapter with USB serial number {}; plugged in: {}. Check the cable and the config's "
                              "usb_serial, the controller retries",
                              usb_serial,
                              list.Describe())};
  }
  return Status{Code::kUnavailable,
                fmt::format("{} ports have the USB serial number {} ({}); name the board's port by `path: "
                            "/dev/serial/by-path/...` or give its adapter a number of its own",
                            found.size(),
                            usb_serial,
                            list.Describe())};
}

// ---- one open port ------------------------------------------------------------------------------------------------

// Keeps others out from before the first setting is touched: by an advisory lock, which holds root's programs off too
// when they ask for it (controllers do), and once the port is open by TIOCEXCL, which refuses every ordinary open().
class PortLock {
 public:
  PortLock() = default;
  PortLock(const PortLock&) = delete;
  PortLock& operator=(const PortLock&) = delete;
  ~PortLock() {
    if (fd_ < 0) return;
    ::ioctl(fd_, TIOCNXCL);
    ::close(fd_);
  }
  Status Take(const std::string& path) {
    fd_ = ::open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd_ < 0 || ::flock(fd_, LOCK_EX | LOCK_NB) != 0) return Refuse(path);
    return OkStatus();
  }
  Status CloseDoor(const std::string& path) { return ::ioctl(fd_, TIOCEXCL) == 0 ? OkStatus() : Refuse(path); }

 private:
  // Lets go at once: another's TIOCEXCL is not ours to lift.
  Status Refuse(const std::string& path) {
    const int error = errno;
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    return Refused(path, error);
  }
  int fd_ = -1;
};

class SerialPort final : public Transport {
 public:
  // Takes the port over.
  SerialPort(sp_port* port, const std::string& usb_serial)
      : port_(port), path_(sp_get_port_name(port)), usb_serial_(Printable(usb_serial.c_str())) {}
  ~SerialPort() override {
    if (fd_ >= 0) {
      // Closing waits up to 30 s for output that an adapter does not take (the kernel's closing_wait).
      ::tcflush(fd_, TCIOFLUSH);
      sp_close(port_);
    }
    sp_free_port(port_);
  }
  SerialPort(const SerialPort&) = delete;
  SerialPort& operator=(const SerialPort&) = delete;

  Status Open(int baud) {
    FARADAY_TRY(lock_.Take(path_));
    if (const sp_return opened = sp_open(port_, SP_MODE_READ_WRITE); opened != SP_OK) return Refused(path_, opened);
    if (const sp_return got = sp_get_port_handle(port_, &fd_); got != SP_OK) return Refused(path_, got);
    ::fcntl(fd_, F_SETFD, FD_CLOEXEC);
    FARADAY_TRY(lock_.CloseDoor(path_));
    FARADAY_TRY(Set(baud));
    FARADAY_TRY(MakeRaw());
    FARADAY_TRY(CheckBaud(baud));
    FARADAY_TRY(CheckSerial());
    AskForLowLatency();
    ::tcflush(fd_, TCIOFLUSH);
    return OkStatus();
  }

  int fd() const override { return fd_; }
  Result<size_t> Write(std::span<const uint8_t> bytes) override {
    return Count(sp_nonblocking_write(port_, bytes.data(), bytes.size()));
  }
  Result<size_t> Read(std::span<uint8_t> bytes) override {
    const sp_return count = sp_nonblocking_read(port_, bytes.data(), bytes.size());
    if (count == 0 && HungUp()) return Gone("hung up");
    return Count(count);
  }

 private:
  Status Set(int baud) {
    sp_return result = sp_set_baudrate(port_, baud);
    if (result == SP_OK) result = sp_set_bits(port_, 8);
    if (result == SP_OK) result = sp_set_parity(port_, SP_PARITY_NONE);
    if (result == SP_OK) result = sp_set_stopbits(port_, 1);
    if (result == SP_OK) result = sp_set_flowcontrol(port_, SP_FLOWCONTROL_NONE);
    return result == SP_OK ? OkStatus() : Refused(path_, result);
  }

  Status MakeRaw() {
    termios settings{};
    if (::tcgetattr(fd_, &settings) != 0) return Refused(path_, errno);
    ::cfmakeraw(&settings);
    settings.c_iflag &= ~static_cast<tcflag_t>(IXOFF | IXANY | INPCK);
    settings.c_cflag &= ~static_cast<tcflag_t>(CRTSCTS | CSTOPB);
    settings.c_cflag |= CLOCAL | CREAD;
    if (::tcsetattr(fd_, TCSANOW, &settings) != 0) return Refused(path_, errno);
    return OkStatus();
  }

  // Drivers take the nearest rate that their chip makes, or 9600 when they cannot, and only say so when asked.
  Status CheckBaud(int baud) {
    sp_port_config* config = nullptr;
    int actual = 0;
    if (const sp_return made = sp_new_config(&config); made != SP_OK) return Refused(path_, made);
    const bool read = sp_get_config(port_, config) == SP_OK && sp_get_config_baudrate(config, &actual) == SP_OK;
    sp_free_config(config);
    if (read && std::abs(actual - baud) <= baud / 100 * kBaudTolerancePercent) return OkStatus();
    return {Code::kUnavailable,
            fmt::format("{}: the adapter runs at {} baud where the config's `baud` asks for {} (at most {} % off is "
                        "allowed); choose a rate that it can make, such as 115200, and the same at the board",
                        path_,
                        actual,
                        baud,
                        kBaudTolerancePercent)};
  }

  // Between the look into sysfs and open() another adapter may have come to this tty number. Not after: an open tty
  // keeps its number.
  Status CheckSerial() {
    sp_port* now = nullptr;
    if (const sp_return looked = sp_get_port_by_name(path_.c_str(), &now); looked != SP_OK) {
      return Refused(path_, looked);
    }
    const bool same = Printable(sp_get_port_usb_serial(now)) == usb_serial_;
    sp_free_port(now);
    return same ? OkStatus() : Refused(path_, ENODEV);
  }

  // FTDI chips hold short answers back for up to 16 ms otherwise. Drivers that know no such thing refuse: so be it.
  void AskForLowLatency() {
    serial_struct info{};
    if (::ioctl(fd_, TIOCGSERIAL, &info) != 0) return;
    info.flags |= ASYNC_LOW_LATENCY;
    ::ioctl(fd_, TIOCSSERIAL, &info);
  }

  bool HungUp() const {
    pollfd poll{fd_, 0, 0};
    return ::poll(&poll, 1, 0) == 1;  // POLLERR, POLLHUP and POLLNVAL come unasked
  }
  Status Gone(const std::string& why) const {
    return {Code::kUnavailable, fmt::format("the serial adapter {} ({}) is gone: {}", usb_serial_, path_, why)};
  }
  Result<size_t> Count(sp_return n) const {
    if (n >= 0) return static_cast<size_t>(n);
    const int error = sp_last_error_code();
    if (n == SP_ERR_FAIL && (error == EAGAIN || error == EINTR)) return size_t{0};
    return Gone(std::strerror(error));
  }

  sp_port* port_;
  std::string path_;
  std::string usb_serial_;
  PortLock lock_;
  int fd_ = -1;
};

}  // namespace

Result<std::unique_ptr<Transport>> OpenSerialPort(const std::string& usb_serial, int baud) {
  PortList list;
  FARADAY_TRY(list.Read(usb_serial));
  FARADAY_TRY_ASSIGN(const sp_port* found, TheOne(list, usb_serial));
  sp_port* own = nullptr;
  if (const sp_return copied = sp_copy_port(found, &own); copied != SP_OK) {
    return Refused(sp_get_port_name(found), copied);
  }
  auto port = std::make_unique<SerialPort>(own, usb_serial);
  FARADAY_TRY(port->Open(baud));
  return std::unique_ptr<Transport>(std::move(port));
}

}  // namespace faraday::controller
