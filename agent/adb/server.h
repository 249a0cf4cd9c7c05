// One adb server for one slot: its own port, its own HOME, no emulator or mDNS search, never port 5037, so that no
// slot's crash or version clash touches another's. It survives the agent, because a running job uses it; a later
// agent takes it over by the record in its folder. Loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/process/child.h"
#include "base/result.h"
#include "evloop/loop.h"

namespace faraday::agent {

class AdbServer {
 public:
  struct Place {
    std::string adb;     // program
    std::string folder;  // HOME, log and record; made when absent
    bool usb = false;    // look for USB phones
  };
  // Does not start anything. `ended` is called when the process has gone, whoever ended it.
  AdbServer(evloop::Loop& loop, Place place, std::function<void()> ended);
  ~AdbServer();  // leaves the process running

  // Starts the process, or takes over the one of an earlier agent. The port stays the same over restarts within this
  // object's life. Errors: kNotFound no such program, kInternal.
  Status Ensure();
  // Takes over only; false when there is none.
  bool Adopt();
  bool running() const { return child_ != nullptr && child_->running(); }
  int port() const { return port_; }
  // SIGTERM, SIGKILL a second later; `ended` follows.
  void End();
  // SIGKILL, for the agent's own end.
  void Kill();

 private:
  Status Listen();
  Status Bind(int port);
  Status WriteRecord() const;
  void OnEnded();

  evloop::Loop& loop_;
  Place place_;
  std::function<void()> ended_;
  int listener_ = -1;  // kept open: a restarted server gets the same port
  int port_ = 0;
  std::unique_ptr<Child> child_;
  evloop::Handle kill_timer_ = 0;
};

}  // namespace faraday::agent
