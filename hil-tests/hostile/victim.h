// What is attacked: a real rpc::Server and rpc::Publisher behind CURVE, ZAP and the door, in a process of its own.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "rpc/client.h"
#include "rpc/security.h"

namespace faraday::hil {

// Who is known to the victim. Made before any process is forked, so that all have the same.
struct People {
  rpc::Keys server;
  rpc::Keys good;                  // role agent: its rate is never the bound here
  std::vector<rpc::Keys> hostile;  // role user
};
People MakePeople(size_t hostile);

// A client of that victim.
rpc::Credentials As(const People& people, const rpc::Keys& keys);

class Victim {
 public:
  // Forks. REQUIRES: this process has no threads and no ZeroMQ context yet.
  explicit Victim(const People& people);
  ~Victim();  // SIGKILL
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  const std::string& endpoint() const { return endpoint_; }
  const std::string& events() const { return events_; }
  // The same calls without keys: frames of one's own making need no CURVE there. Its bounds are the same.
  const std::string& plain() const { return plain_; }
  bool alive() const;
  long rss_kib() const;
  size_t files() const;

 private:
  pid_t pid_ = -1;
  std::string endpoint_;
  std::string events_;
  std::string plain_;
};

// Bytes of the heap in use by this process, KiB. A Ping is answered with it in place of the MCU's round trip.
uint32_t HeapKib();

// Any child process: forked, ended with SIGKILL, never outlives its parent.
pid_t ForkChild();
void EndChild(pid_t pid);

}  // namespace faraday::hil
