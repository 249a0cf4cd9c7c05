// The floors: what the raw parts cost without us. Each has an echo child process of its own.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <zmq.hpp>

namespace faraday::hil {

// A DEALER and a plain ROUTER over loopback TCP, one request of `bytes` outstanding.
class RouterFloor {
 public:
  explicit RouterFloor(size_t bytes);
  ~RouterFloor();
  void Exchange();

 private:
  std::string payload_;
  pid_t child_ = -1;
  zmq::context_t context_;
  zmq::socket_t socket_;
};

// A raw pty: `out` bytes to a process that answers with `back` bytes.
class PtyFloor {
 public:
  PtyFloor(size_t out, size_t back);
  ~PtyFloor();
  void Exchange();

 private:
  std::string out_;
  size_t back_;
  int fd_ = -1;
  pid_t child_ = -1;
};

}  // namespace faraday::hil
