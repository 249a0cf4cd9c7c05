#include "evloop/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/log.h"

namespace faraday::evloop {
namespace {

// Over this a callback is reported: at 100 ms one caller would delay the others beyond the promised bound.
constexpr Milliseconds kSlow{50};
constexpr Milliseconds kForever{60'000};

// Whatever is wrong with an fd counts as an error, too.
short WithError(short revents) {
  const bool wrong = (revents & ~(POLLIN | POLLOUT | POLLPRI)) != 0;
  return static_cast<short>(wrong ? revents | POLLERR : revents);
}

int FdOf(void* socket) {
  int fd = -1;
  size_t size = sizeof(fd);
  zmq_getsockopt(socket, ZMQ_FD, &fd, &size);
  return fd;
}

bool HasMessage(void* socket) {
  int events = 0;
  size_t size = sizeof(events);
  return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN) != 0;
}

}  // namespace

struct Loop::Watch {
  std::string name;
  int fd = -1;
  short events = 0;
  std::function<void(short)> on_fd;
  void* socket = nullptr;
  Callback on_message;
  bool removed = false;
};

struct Loop::Timer {
  std::string name;
  BootTime when;
  Milliseconds period{0};  // 0: once
  Callback callback;
  bool removed = false;
};

Loop::Loop() : now_(BootClock::now()) {
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  FARADAY_CHECK(wake_fd_ >= 0);
  AddFd("wake", wake_fd_, POLLIN, [this](short) {
    uint64_t count = 0;
    [[maybe_unused]] const auto read_bytes = ::read(wake_fd_, &count, sizeof(count));
    RunPosted();
  });
}

Loop::~Loop() {
  if (signal_fd_ >= 0) ::close(signal_fd_);
  ::close(wake_fd_);
}

Handle Loop::AddFd(std::string name, int fd, short events, std::function<void(short)> callback) {
  auto watch = std::make_shared<Watch>();
  watch->name = std::move(name);
  watch->fd = fd;
  watch->events = events;
  watch->on_fd = std::move(callback);
  watches_[next_] = std::move(watch);
  return next_++;
}

void Loop::SetFdEvents(Handle handle, short events) {
  if (const auto found = watches_.find(handle); found != watches_.end()) found->second->events = events;
}

Handle Loop::AddSocket(std::string name, void* zmq_socket, Callback callback) {
  auto watch = std::make_shared<Watch>();
  watch->name = std::move(name);
  watch->socket = zmq_socket;
  watch->fd = FdOf(zmq_socket);
  watch->events = POLLIN;
  watch->on_message = std::move(callback);
  watches_[next_] = std::move(watch);
  return next_++;
}

Handle Loop::AddTimer(std::string name, BootTime when, Callback callback) {
  timers_[next_] = std::make_shared<Timer>(Timer{std::move(name), when, Milliseconds(0), std::move(callback)});
  return next_++;
}

Handle Loop::AddPeriodic(std::string name, Milliseconds period, Callback callback) {
  FARADAY_CHECK(period.count() > 0);
  const auto first = BootClock::now() + period;
  timers_[next_] = std::make_shared<Timer>(Timer{std::move(name), first, period, std::move(callback)});
  return next_++;
}

void Loop::Remove(Handle handle) {
  if (const auto found = watches_.find(handle); found != watches_.end()) {
    found->second->removed = true;
    watches_.erase(found);
  }
  if (const auto found = timers_.find(handle); found != timers_.end()) {
    found->second->removed = true;
    timers_.erase(found);
  }
}

void Loop::OnSignals(std::vector<int> signals, std::function<void(int)> callback) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal_fd_ = signalfd(signal_fd_, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  FARADAY_CHECK(signal_fd_ >= 0);
  AddFd("signals", signal_fd_, POLLIN, [this, callback = std::move(callback)](short) {
    signalfd_siginfo info{};
    while (::read(signal_fd_, &info, sizeof(info)) == sizeof(info)) callback(static_cast<int>(info.ssi_signo));
  });
}

void Loop::Post(Callback callback) {
  {
    const std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(callback));
  }
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof(one));
}

void Loop::RunPosted() {
  std::deque<Callback> batch;
  {
    const std::lock_guard lock(posted_mutex_);
    batch.swap(posted_);
  }
  for (const auto& callback : batch) Call("posted", callback);
}

void Loop::Call(const std::string& name, const Callback& callback) {
  const auto begin = BootClock::now();
  callback();
  now_ = BootClock::now();
  if (now_ - begin > kSlow) log::Warn("loop: '{}' took {} ms", name, (now_ - begin).count());
}

void Loop::RunTimers() {
  std::vector<std::pair<Handle, std::shared_ptr<Timer>>> due;
  for (const auto& [handle, timer] : timers_) {
    if (timer->when <= now_) due.emplace_back(handle, timer);
  }
  std::stable_sort(
      due.begin(), due.end(), [](const auto& a, const auto& b) { return a.second->when < b.second->when; });
  for (const auto& [handle, timer] : due) {
    if (timer->removed) continue;
    if (timer->period.count() == 0) {
      timers_.erase(handle);
    } else {
      timer->when = std::max(timer->when + timer->period, now_);
    }
    Call(timer->name, timer->callback);
  }
}

void Loop::RunOnce(Milliseconds wait) {
  now_ = BootClock::now();
  for (const auto& [handle, timer] : timers_) {
    wait = std::min(wait, std::max(Milliseconds(0), timer->when - now_));
  }
  // Not zmq_poll: that asks each socket for its fd and its state several times a round.
  std::vector<pollfd> items;
  std::vector<std::pair<std::shared_ptr<Watch>, bool>> polled;  // and whether a message waits
  items.reserve(watches_.size());
  polled.reserve(watches_.size());
  for (const auto& [handle, watch] : watches_) {
    // A socket's fd tells only of what is new since its state was last asked for.
    const bool waits = watch->socket != nullptr && HasMessage(watch->socket);
    if (waits) wait = Milliseconds(0);
    items.push_back({watch->fd, watch->events, 0});
    polled.emplace_back(watch, waits);
  }
  const int ready = ::poll(items.data(), items.size(), static_cast<int>(wait.count()));
  now_ = BootClock::now();
  RunTimers();
  for (size_t i = 0; i < items.size(); ++i) {
    const auto& [watch, waits] = polled[i];
    const short revents = ready > 0 ? items[i].revents : short{0};
    if (watch->removed) continue;
    if (watch->socket == nullptr) {
      if (revents != 0) Call(watch->name, [&, &of = *watch] { of.on_fd(WithError(revents)); });
    } else if ((waits || revents != 0) && HasMessage(watch->socket)) {
      Call(watch->name, watch->on_message);
    }
  }
}

int Loop::Run() {
  running_ = true;
  while (running_) RunOnce(kForever);
  return exit_code_;
}

void Loop::Stop(int exit_code) {
  running_ = false;
  exit_code_ = exit_code;
}

}  // namespace faraday::evloop
