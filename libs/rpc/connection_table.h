// Which connections a bound socket has, whose they are, what they have not read yet, and which one goes when there are
// too many. Plain data, no sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"

namespace faraday::rpc {

// Of one bound socket. All chosen; docs/reference/limits.md tells what they cost in memory.
struct ConnectionBounds {
  size_t open = 2048;                // at once
  size_t unclaimed = 1024;           // of these, without a first call yet: half handshakes, silent peers
  size_t per_caller = 256;           // of one user, all its keys together
  uint64_t unread_of_one = 2 << 20;  // bytes of answers that one connection has not taken: twice the largest answer
  uint64_t unread_of_all = 64 << 20;
  // Bytes that came in without a whole message: libzmq keeps the parts of one until the last is here, without a bound.
  uint64_t unfinished_of_one = 4 << 20;
  uint64_t unfinished_of_all = 64 << 20;
  // Refusals in 10 s (a frame that cannot be read counts ten) after which a connection is cut off: a client that
  // heeds the answers never comes near.
  uint32_t refusals = 200;
  int64_t topic_bytes = 16 * 1024;  // of what one connection has subscribed to; each costs up to about 60 in memory
};

class ConnectionTable {
 public:
  // Bytes since the connection began, as the kernel counts them; 0 when that is unknown.
  struct Bytes {
    uint64_t acknowledged = 0;  // taken by the peer's kernel
    uint64_t received = 0;
  };
  using Counters = std::function<Bytes(int fd)>;
  ConnectionTable(ConnectionBounds bounds, Counters counters) : bounds_(bounds), counters_(std::move(counters)) {}

  // These return the connections to cut off now. Cut ones are no longer counted, but what they have not read is, until
  // Closed tells that libzmq has let go of it.
  //
  // A new one. Too many: of the address with the most unclaimed connections the oldest goes, so that a flood pushes
  // out itself; without any unclaimed one the new one goes.
  std::vector<int> Opened(int fd, const std::string& address);
  // Before an answer of `bytes` is sent.
  std::vector<int> Sending(int fd, size_t bytes);
  // Whether an answer of `bytes` may go to `fd` now: not to one that was cut off, and only a small one while libzmq
  // still holds more than unread_of_all.
  bool MaySend(int fd, size_t bytes) const;

  // After a call was refused for its rate, or (weight 10) a frame could not be read.
  std::vector<int> Refused(int fd, uint32_t weight, BootTime now);
  // After a subscription to a topic of so many bytes began (or, below 0, ended).
  std::vector<int> Subscribed(int fd, int64_t bytes);

  // Every 50 ms or so: looks at what came in.
  std::vector<int> Sweep();

  // A whole message has come.
  void Heard(int fd);
  void Closed(int fd);
  // The first call tells whose it is. False when this caller has too many connections; it stays unclaimed.
  // True for a connection that is not known.
  bool Claim(int fd, const std::string& caller);
  bool Knows(int fd) const { return entries_.contains(fd); }
  // What Sending and the others decide about one, for reasons of the caller's own.
  void Cut(int fd);

  size_t open() const { return entries_.size() - cut_count_; }
  size_t unclaimed() const { return unclaimed_count_; }
  uint64_t unread() const { return unread_; }

 private:
  struct Entry {
    std::string address;
    std::string caller;              // empty: unclaimed
    std::list<int>::iterator place;  // unclaimed: in the queue of its address
    uint64_t unread = 0;
    uint64_t acknowledged = 0;
    uint64_t received = 0;
    uint64_t unfinished = 0;
    bool heard = false;  // since the last sweep
    bool cut = false;
    int64_t topic_bytes = 0;
    uint32_t refusals = 0;
    BootTime counted_from;
  };
  using Entries = std::unordered_map<int, Entry>;
  Entry* Find(int fd);  // nullptr: unknown or cut off
  void LeaveQueue(Entry& entry);
  std::optional<int> OldestUnclaimed() const;
  void Refresh(int fd, Entry& entry);
  // Down to three quarters of `most`, so that this long look is not taken for every answer.
  std::vector<int> CutLargest(uint64_t Entry::*amount, uint64_t total, uint64_t most);

  ConnectionBounds bounds_;
  Counters counters_;
  Entries entries_;
  std::map<std::string, std::list<int>> unclaimed_;  // by address, oldest first
  size_t unclaimed_count_ = 0;
  size_t cut_count_ = 0;
  std::map<std::string, size_t> callers_;
  uint64_t unread_ = 0;
};

}  // namespace faraday::rpc
