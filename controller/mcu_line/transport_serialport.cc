// Real serial ports through libserialport, found by the USB serial number of their adapter.
#include <fmt/core.h>
#include <libserialport.h>

#include <string_view>

#include "controller/mcu_line/transport.h"

namespace faraday::controller {
namespace {

struct PortList {
  sp_port** ports = nullptr;
  ~PortList() {
    if (ports != nullptr) sp_free_port_list(ports);
  }
};

std::string LastError() {
  char* text = sp_last_error_message();
  std::string copy = text == nullptr ? "unknown error" : text;
  sp_free_error_message(text);
  return copy;
}

class SerialPort final : public Transport {
 public:
  explicit SerialPort(sp_port* port) : port_(port) {}
  ~SerialPort() override {
    sp_close(port_);
    sp_free_port(port_);
  }
  Status Configure(int baud) {
    if (sp_open(port_, SP_MODE_READ_WRITE) != SP_OK || sp_set_baudrate(port_, baud) != SP_OK ||
        sp_set_bits(port_, 8) != SP_OK || sp_set_parity(port_, SP_PARITY_NONE) != SP_OK ||
        sp_set_stopbits(port_, 1) != SP_OK || sp_set_flowcontrol(port_, SP_FLOWCONTROL_NONE) != SP_OK) {
      return {Code::kUnavailable, fmt::format("{}: {}; the controller retries", sp_get_port_name(port_), LastError())};
    }
    sp_flush(port_, SP_BUF_BOTH);
    if (sp_get_port_handle(port_, &fd_) == SP_OK) return OkStatus();
    return {Code::kUnavailable, fmt::format("{}: {}", sp_get_port_name(port_), LastError())};
  }

  int fd() const override { return fd_; }
  Result<size_t> Write(std::span<const uint8_t> bytes) override {
    return Count(sp_nonblocking_write(port_, bytes.data(), bytes.size()));
  }
  Result<size_t> Read(std::span<uint8_t> bytes) override {
    return Count(sp_nonblocking_read(port_, bytes.data(), bytes.size()));
  }

 private:
  static Result<size_t> Count(sp_return n) {
    if (n >= 0) return static_cast<size_t>(n);
    return Status{Code::kUnavailable, "the serial adapter is gone: " + LastError()};
  }
  sp_port* port_;
  int fd_ = -1;
};

}  // namespace

Result<std::unique_ptr<Transport>> OpenSerialPort(const std::string& usb_serial, int baud) {
  PortList list;
  if (sp_list_ports(&list.ports) != SP_OK) return Status{Code::kUnavailable, "listing serial ports: " + LastError()};
  std::string seen;
  for (sp_port** at = list.ports; *at != nullptr; ++at) {
    const char* serial = sp_get_port_usb_serial(*at);
    if (serial == nullptr) continue;
    if (std::string_view(serial) != usb_serial) {
      seen += (seen.empty() ? "" : ", ") + std::string(serial);
      continue;
    }
    sp_port* copy = nullptr;
    if (sp_copy_port(*at, &copy) != SP_OK) return Status{Code::kUnavailable, "opening the port: " + LastError()};
    auto port = std::make_unique<SerialPort>(copy);
    FARADAY_TRY(port->Configure(baud));
    return std::unique_ptr<Transport>(std::move(port));
  }
  return Status{Code::kUnavailable,
                fmt::format("no adapter with USB serial number {} (seen: {}); check the cable, the "
                            "controller retries",
                            usb_serial,
                            seen.empty() ? "none" : seen)};
}

}  // namespace faraday::controller
