// The seam between the adb daemon's streams (adbd_core) and what answers on them: shell, sync, reboot.
// Two directions, both paced by the peer: the core asks for bytes when the host can take some, and the host may send
// the next write only when the service has used the last one. One thread, no blocking.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace faraday::sim {

// What a service may say to its stream. Outlives the service. Both are safe from inside Deliver().
class Stream {
 public:
  virtual ~Stream() = default;
  // There are bytes to pull, or the service has ended: the core looks again, maybe inside this call.
  // The service may be destroyed before this returns: call it last, and never from Pull() or Ended().
  virtual void Wake() = 0;
  // The bytes of the last Deliver() are used: the host may send more.
  virtual void Consumed() = 0;
};

// The far end of one stream. Destroying it ends whatever it runs.
class Service {
 public:
  virtual ~Service() = default;
  // One write of the host, at most the link's maxdata bytes. Answer with Stream::Consumed(), now or later.
  virtual void Deliver(std::string_view bytes) = 0;
  // Up to `max` bytes for the host; empty: none now.
  virtual std::string Pull(size_t max) = 0;
  // Nothing more will come: the core closes the stream. Asked after Pull() gave nothing.
  virtual bool Ended() const = 0;
};

class ServiceOpener {
 public:
  virtual ~ServiceOpener() = default;
  // Null: no such service, the stream is refused. `name` has no trailing NUL and may hold any byte.
  virtual std::unique_ptr<Service> Open(std::string_view name, Stream& stream) = 0;
};

}  // namespace faraday::sim
