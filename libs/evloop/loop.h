// The one event loop of every daemon: a thin layer over poll for ZeroMQ sockets, file descriptors, timers,
// signals and messages from other threads. One thread runs it; everything but Post() belongs to that thread.
//
// Callbacks run one after another and must not block: a callback over 50 ms is logged by name.
// A callback may add or remove anything, itself included.
#pragma once

#include <poll.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"

namespace faraday::evloop {

// Names one registration; 0 is none.
using Handle = uint64_t;

class Loop {
 public:
  using Callback = std::function<void()>;

  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Calls `callback(revents)` while `fd` is ready for `events` (POLLIN, POLLOUT; POLLERR/POLLHUP always). The fd stays
  // the caller's and must be removed before it is closed.
  Handle AddFd(std::string name, int fd, short events, std::function<void(short)> callback);
  // Changes what an fd registration waits for.
  void SetFdEvents(Handle handle, short events);
  // Calls `callback` while the ZeroMQ socket (a `void*` from zmq_socket) has a message to read. The callback should
  // read until EAGAIN or a bound.
  Handle AddSocket(std::string name, void* zmq_socket, Callback callback);
  // Calls once, at `when` or later.
  Handle AddTimer(std::string name, BootTime when, Callback callback);
  // Calls every `period`, first after one period; late calls are not made up for.
  Handle AddPeriodic(std::string name, Milliseconds period, Callback callback);
  // Ends any registration; unknown or 0 is fine.
  void Remove(Handle handle);

  // Calls `callback(signo)` in the loop instead of the signal's default. The signals are blocked for the process:
  // REQUIRES: called before any thread is started.
  void OnSignals(std::vector<int> signals, std::function<void(int)> callback);

  // From any thread: runs `callback` in the loop, in the order posted.
  void Post(Callback callback);

  // Runs until Stop(). Returns the code given to Stop.
  int Run();
  // From the loop's thread: Run returns after the current callback.
  void Stop(int exit_code = 0);
  // Runs what is ready, waits at most `wait` for something to become so. For tests and for loops inside others.
  void RunOnce(Milliseconds wait);

  // The time at the start of the current round.
  BootTime now() const { return now_; }

 private:
  struct Watch;
  struct Timer;
  void Call(const std::string& name, const Callback& callback);
  void RunTimers();
  void RunPosted();

  std::map<Handle, std::shared_ptr<Watch>> watches_;
  std::map<Handle, std::shared_ptr<Timer>> timers_;
  std::mutex posted_mutex_;
  std::deque<Callback> posted_;  // guarded by posted_mutex_
  int wake_fd_ = -1;
  int signal_fd_ = -1;
  Handle next_ = 1;
  bool running_ = false;
  int exit_code_ = 0;
  BootTime now_;
};

}  // namespace faraday::evloop
