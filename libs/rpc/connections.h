// The connections of one bound socket, bounded. libzmq accepts whoever comes and cannot end one peer's connection; its
// monitor tells of each, and what is too much is shut down here, at the file descriptor.
//
// In the loop's thread. Peers in the same process (inproc) are not counted.
#pragma once

#include <memory>
#include <string>
#include <zmq.hpp>

#include "evloop/loop.h"
#include "rpc/connection_table.h"

namespace faraday::rpc {

class Connections {
 public:
  // REQUIRES: `socket` is not bound yet and is closed after this is gone.
  Connections(evloop::Loop& loop, zmq::context_t& context, zmq::socket_ref socket, ConnectionBounds bounds);
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  // The descriptor that `message` came through; -1: inproc.
  static int Of(zmq::message_t& message);

  // As ConnectionTable's. An empty caller is none.
  bool Claim(int fd, const std::string& caller);
  void Sending(int fd, size_t bytes);
  bool MaySend(int fd, size_t bytes) const { return table_.MaySend(fd, bytes); }
  void Heard(int fd) { table_.Heard(fd); }
  void Refused(int fd, uint32_t weight);
  void Subscribed(int fd, int64_t bytes);
  // Ends a connection that misbehaves; the log says why.
  void Cut(int fd, const char* why);

  size_t open() const { return table_.open(); }
  // Ended here, since the start.
  uint64_t cut() const { return cut_; }

 private:
  void Read();
  bool IsOurs(int fd);
  void CutAll(const std::vector<int>& fds, const char* why);

  evloop::Loop& loop_;
  zmq::socket_ref socket_;
  zmq::socket_t monitor_;
  ConnectionTable table_;
  evloop::Handle watch_ = 0;
  evloop::Handle sweep_ = 0;
  uint64_t cut_ = 0;
  BootTime next_word_;
};

// What a listening socket needs beside: limits of queues, of messages, of dead peers.
void BoundQueues(zmq::socket_ref socket, int64_t most_bytes_in);

}  // namespace faraday::rpc
