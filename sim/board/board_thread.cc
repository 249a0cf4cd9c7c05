#include "sim/board/board_thread.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"

namespace faraday::sim {
namespace {

constexpr uint32_t kReportEveryMs = 10;  // chosen: a phone may feel a change this late

bool SameForPhone(const SlotSide& a, const SlotSide& b) {
  return a.present == b.present && a.vbus == b.vbus && a.data_host == b.data_host && a.charge_port == b.charge_port &&
         a.battery_percent == b.battery_percent;
}

}  // namespace

BoardThread::BoardThread(std::unique_ptr<Machine> machine, OnSlotChange on_change)
    : machine_(std::move(machine)),
      on_change_(std::move(on_change)),
      wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  FARADAY_CHECK(wake_fd_ >= 0);
}

BoardThread::~BoardThread() {
  Stop();
  ::close(wake_fd_);
}

Status BoardThread::Start() {
  FARADAY_TRY(machine_->line().Plug());
  FARADAY_TRY(machine_->Start());
  thread_ = std::thread([this] { Run(); });
  return OkStatus();
}

void BoardThread::Stop() {
  if (!thread_.joinable()) return;
  stop_ = true;
  Wake();
  thread_.join();
  machine_->line().Unplug();
}

void BoardThread::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
}

void BoardThread::Post(std::function<void(Machine&)> call) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(call));
  }
  Wake();
}

void BoardThread::RunPosted() {
  std::deque<std::function<void(Machine&)>> now;
  {
    const std::lock_guard lock(mutex_);
    now.swap(posted_);
  }
  for (const auto& call : now) call(*machine_);
}

void BoardThread::ReportChanges() {
  const uint32_t now = FreeRunningMs();
  const bool first = reported_.empty();
  if (!first && now - reported_at_ms_ < kReportEveryMs) return;
  reported_at_ms_ = now;
  const Plant& plant = machine_->plant();
  reported_.resize(plant.slots());
  for (size_t i = 0; i < reported_.size(); ++i) {
    const SlotSide side = plant.slot(i).Side();
    if (!first && SameForPhone(side, reported_[i])) continue;
    reported_[i] = side;
    on_change_(i, side);
  }
}

void BoardThread::Wait() {
  watch_.assign(1, {wake_fd_, POLLIN, 0});
  const int longest_ms = machine_->Watch(watch_);
  if (::poll(watch_.data(), watch_.size(), longest_ms) <= 0 || watch_[0].revents == 0) return;
  uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(wake_fd_, &count, sizeof count);
}

void BoardThread::Run() {
  ::pthread_setname_np(::pthread_self(), "board");
  while (!stop_) {
    RunPosted();
    machine_->Pass();
    ReportChanges();
    Wait();
  }
  RunPosted();  // what came with the stop
}

}  // namespace faraday::sim
