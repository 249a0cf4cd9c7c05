// Bytes to and from one board, and nothing else: only the implementations know whether libserialport, a tty or a
// socket carries them. Opening a real port blocks (libserialport walks sysfs, some drivers wait for the modem lines),
// so Open runs in a thread of its own; the open transport is nonblocking and belongs to the loop.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "rackconfig/rack_config.h"

namespace faraday::controller {

class Transport {
 public:
  virtual ~Transport() = default;
  // To be polled; stays the transport's.
  virtual int fd() const = 0;
  // Bytes taken, 0 when none fit or none are there now. Errors: kUnavailable when the line is gone, saying why.
  virtual Result<size_t> Write(std::span<const uint8_t> bytes) = 0;
  virtual Result<size_t> Read(std::span<uint8_t> bytes) = 0;
};

// Opens what the config names. Errors: kUnavailable with the cause and what to check.
Result<std::unique_ptr<Transport>> OpenTransport(const rackconfig::PortConfig& port);

// The three means, each in its own file.
Result<std::unique_ptr<Transport>> OpenSerialPort(const std::string& usb_serial, int baud);
Result<std::unique_ptr<Transport>> OpenTty(const std::string& path, int baud);
Result<std::unique_ptr<Transport>> OpenUnixSocket(const std::string& path);

// A transport on an fd that is open already and nonblocking; takes ownership.
std::unique_ptr<Transport> AdoptFd(int fd);

}  // namespace faraday::controller
