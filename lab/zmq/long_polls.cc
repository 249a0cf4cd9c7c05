#include "lab/zmq/long_polls.h"

#include <algorithm>
#include <vector>

namespace faraday::lab {
namespace {

constexpr Milliseconds kLook{100};
// The answer must travel before the caller stops waiting.
constexpr Milliseconds kBeforeDeadline{250};

}  // namespace

LongPolls::LongPolls(evloop::Loop& loop) : loop_(loop) {
  ticker_ = loop_.AddPeriodic("long polls", kLook, [this] { EndOverdue(); });
}

LongPolls::~LongPolls() {
  loop_.Remove(ticker_);
  loop_.Remove(wake_timer_);
}

void LongPolls::Serve(const std::string& topic, const rpc::CallPtr& call, Milliseconds wait, Try attempt) {
  const BootTime now = BootClock::now();
  const BootTime until = std::min(now + std::min(wait, kMaxWait), call->deadline() - kBeforeDeadline);
  if (attempt(until <= now)) return;
  if (waiting_.size() >= kMaxWaitingCalls) {
    return call->Fail({Code::kResourceExhausted, "too many calls wait at this lab; ask again later"});
  }
  waiting_.emplace(topic, Waiter{until, std::move(attempt)});
}

void LongPolls::Wake(const std::string& topic) {
  woken_.insert(topic);
  if (wake_timer_ == 0) wake_timer_ = loop_.AddTimer("wake long polls", BootClock::now(), [this] { TryWoken(); });
}

void LongPolls::WakeAll(const std::string& prefix) {
  for (const auto& [topic, waiter] : waiting_) {
    if (topic.starts_with(prefix)) Wake(topic);
  }
}

void LongPolls::TryWoken() {
  wake_timer_ = 0;
  for (const std::string& topic : std::exchange(woken_, {})) {
    const auto [begin, end] = waiting_.equal_range(topic);
    for (auto waiter = begin; waiter != end;) {
      waiter = waiter->second.attempt(false) ? waiting_.erase(waiter) : std::next(waiter);
    }
  }
}

void LongPolls::EndOverdue() {
  const BootTime now = BootClock::now();
  std::erase_if(waiting_, [&](const auto& entry) { return entry.second.until <= now && entry.second.attempt(true); });
}

}  // namespace faraday::lab
