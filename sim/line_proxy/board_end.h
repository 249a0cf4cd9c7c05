// The proxy's end at the board: a tty (a pty of faraday-sim, a real adapter) or a unix socket, opened again whenever it
// went away. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace faraday::sim {

// Where a port is: "pty:PATH" or "tty:PATH" (the same), "socket:PATH", or a bare path, which is a tty.
struct PortName {
  bool socket = false;
  std::string path;
};
// Errors: kInvalidArgument saying the forms.
Result<PortName> ParsePortName(const std::string& text);

class BoardEnd {
 public:
  BoardEnd(PortName name, int baud) : name_(std::move(name)), baud_(baud) {}
  ~BoardEnd() { Close(); }
  BoardEnd(const BoardEnd&) = delete;
  BoardEnd& operator=(const BoardEnd&) = delete;

  // OK when it is open already. Errors: kUnavailable with the cause, kInvalidArgument for a baud rate that no tty has.
  Status Open();
  bool open() const { return fd_ >= 0; }
  int fd() const { return fd_; }  // -1 while closed
  void Close();
  // Moves what is there or fits, never waits; closes the port when it is gone.
  size_t Read(std::span<uint8_t> in);
  size_t Write(std::span<const uint8_t> out);

 private:
  Status OpenTty();
  Status OpenSocket();
  size_t Count(ssize_t moved, bool reading);

  const PortName name_;
  const int baud_;
  int fd_ = -1;
};

}  // namespace faraday::sim
