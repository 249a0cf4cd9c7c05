#include "sim/board/board_thread.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <future>

#include "base/check.h"
#include "base/clock.h"

namespace faraday::sim {
namespace {

constexpr int kTickMs = 1;               // chosen: the firmware's own fastest schedule
constexpr uint32_t kReportEveryMs = 10;  // chosen: a phone may feel a change this late

bool SameForPhone(const SlotSide& a, const SlotSide& b) {
  return a.present == b.present && a.vbus == b.vbus && a.data_host == b.data_host && a.charge_port == b.charge_port &&
         a.battery_percent == b.battery_percent;
}

}  // namespace

uint32_t FreeRunningMs() { return static_cast<uint32_t>(BootClock::now().time_since_epoch().count()); }

BoardThread::BoardThread(std::unique_ptr<LinePort> line, const std::vector<int>& slot_rails, OnSlotChange on_change)
    : clock_(FreeRunningMs()),
      line_(std::move(line)),
      board_(slot_rails, *line_, [this] { return clock_.now_ms(); }),
      on_change_(std::move(on_change)),
      wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  FARADAY_CHECK(wake_fd_ >= 0);
}

BoardThread::~BoardThread() {
  Stop();
  ::close(wake_fd_);
}

Status BoardThread::Start() {
  FARADAY_TRY(line_->Plug());
  board_.Boot();
  thread_ = std::thread([this] { Run(); });
  return OkStatus();
}

void BoardThread::Stop() {
  if (!thread_.joinable()) return;
  stop_ = true;
  Wake();
  thread_.join();
  line_->Unplug();
}

void BoardThread::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
}

void BoardThread::Post(std::function<void(SimBoard&, LinePort&)> call) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(call));
  }
  Wake();
}

void BoardThread::Call(const std::function<void(SimBoard&, LinePort&)>& call) {
  FARADAY_CHECK(thread_.joinable());
  std::promise<void> done;
  Post([&call, &done](SimBoard& board, LinePort& line) {
    call(board, line);
    done.set_value();
  });
  done.get_future().wait();
}

void BoardThread::RunPosted() {
  std::deque<std::function<void(SimBoard&, LinePort&)>> now;
  {
    const std::lock_guard lock(mutex_);
    now.swap(posted_);
  }
  for (const auto& call : now) call(board_, *line_);
}

void BoardThread::ReportChanges() {
  const uint32_t now = clock_.now_ms();
  const bool first = reported_.empty();
  if (!first && now - reported_at_ms_ < kReportEveryMs) return;
  reported_at_ms_ = now;
  reported_.resize(board_.plant().slots());
  for (size_t i = 0; i < reported_.size(); ++i) {
    const SlotSide side = board_.plant().slot(i).Side();
    if (!first && SameForPhone(side, reported_[i])) continue;
    reported_[i] = side;
    on_change_(i, side);
  }
}

void BoardThread::WaitForBytesOrTick() {
  line_->Connected();
  std::array<pollfd, 2> watch = {{{wake_fd_, POLLIN, 0}, {line_->poll_fd(), POLLIN, 0}}};
  if (::poll(watch.data(), watch.size(), kTickMs) > 0 && watch[0].revents != 0) {
    uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(wake_fd_, &count, sizeof count);
  }
}

void BoardThread::Run() {
  ::pthread_setname_np(::pthread_self(), "board");
  while (!stop_) {
    RunPosted();
    clock_.Follow(FreeRunningMs());
    board_.Pass();
    ReportChanges();
    WaitForBytesOrTick();
  }
  RunPosted();  // a Call() that came with the stop is still answered
}

}  // namespace faraday::sim
