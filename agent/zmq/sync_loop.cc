#include "agent/zmq/sync_loop.h"

#include <algorithm>

#include "base/log.h"
#include "rpc/server.h"

namespace faraday::agent {
namespace {

constexpr Milliseconds kPollTimeout{15'000};  // a server answers after 10 s; 5 s margin (chosen)
constexpr Milliseconds kCompareEvery{2'000};  // chosen: a restarted server is asked again within that time
constexpr Milliseconds kFirstPause{200};      // chosen
constexpr Milliseconds kLongestPause{3'000};  // chosen: well below a lease of 60 s

}  // namespace

SyncLoop::SyncLoop(evloop::Loop& loop,
                   zmq::context_t& context,
                   std::string what,
                   const std::string& endpoint,
                   rpc::Credentials who,
                   v1::SyncCall call,
                   OnResult on_result)
    : loop_(loop),
      what_(std::move(what)),
      endpoint_(endpoint),
      who_(std::move(who)),
      context_(context),
      compare_(loop, context, endpoint, who_),
      call_(std::move(call)),
      on_result_(std::move(on_result)),
      pause_(kFirstPause) {
  comparer_ = loop_.AddPeriodic("compare " + endpoint_, kCompareEvery, [this] { Compare(); });
  AskAnew();
}

SyncLoop::~SyncLoop() {
  loop_.Remove(retry_);
  loop_.Remove(comparer_);
}

void SyncLoop::AskAnew() {
  loop_.Remove(retry_);
  retry_ = 0;
  call_.clear_have();
  channel_ = std::make_unique<rpc::Channel>(loop_, context_, endpoint_, who_);
  Ask();
}

void SyncLoop::Ask() {
  v1::Request request;
  *request.mutable_sync() = call_;
  const BootTime asked = BootClock::now();
  channel_->Call(std::move(request), kPollTimeout, [this, asked, question = ++question_](Result<v1::Reply> reply) {
    if (question == question_) OnAnswer(std::move(reply), asked);
  });
}

void SyncLoop::Compare() {
  if (compare_.in_flight() > 0) return;
  v1::Request request;
  request.mutable_snapshot();
  compare_.Call(std::move(request), kCompareEvery, [this](Result<v1::Reply> reply) {
    if (reply.ok() && rpc::GetStatus(*reply).ok()) OnRun(reply->snapshot().publisher_run());
  });
}

void SyncLoop::OnRun(const std::string& publisher_run) {
  const bool restarted = !publisher_run_.empty() && publisher_run != publisher_run_;
  publisher_run_ = publisher_run;
  if (!restarted) return;
  log::Info("{} {}: has been restarted; asking anew", what_, endpoint_);
  AskAnew();
}

void SyncLoop::OnAnswer(Result<v1::Reply> reply, BootTime asked) {
  const Status status = reply.ok() ? rpc::GetStatus(*reply) : reply.status();
  if (!status.ok()) return OnTrouble(status);
  if (away_) log::Info("{} {}: back", what_, endpoint_);
  away_ = false;
  const bool fresh = call_.have().empty();
  pause_ = kFirstPause;
  call_.set_have(reply->sync().version());
  on_result_(reply->sync(), asked, fresh);
  Ask();
}

void SyncLoop::OnTrouble(const Status& status) {
  if (!away_) log::Warn("{} {}: {}; what runs here goes on, asking again", what_, endpoint_, status.message());
  away_ = true;
  call_.clear_have();
  retry_ = loop_.AddTimer("sync again " + endpoint_, BootClock::now() + pause_, [this] { Ask(); });
  pause_ = std::min(pause_ * 2, kLongestPause);
}

}  // namespace faraday::agent
