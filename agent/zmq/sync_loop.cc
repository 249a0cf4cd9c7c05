#include "agent/zmq/sync_loop.h"

#include <algorithm>

#include "base/log.h"
#include "rpc/server.h"

namespace faraday::agent {
namespace {

// Servers answer before this is over. Short, because a server that was killed and came back has forgotten the question
// and nothing says so (chosen; a poll costs a server about 0.1 ms).
constexpr Milliseconds kPollTimeout{4'000};
constexpr Milliseconds kFirstPause{200};      // chosen
constexpr Milliseconds kLongestPause{3'000};  // chosen: well below a lease of 60 s

}  // namespace

SyncLoop::SyncLoop(evloop::Loop& loop, zmq::context_t& context, std::string what, const std::string& endpoint,
                   v1::Caller caller, v1::SyncCall call, OnResult on_result)
    : loop_(loop),
      what_(std::move(what)),
      channel_(loop, context, endpoint, std::move(caller)),
      call_(std::move(call)),
      on_result_(std::move(on_result)),
      pause_(kFirstPause) {
  Ask();
}

SyncLoop::~SyncLoop() { loop_.Remove(retry_); }

void SyncLoop::Ask() {
  v1::Request request;
  *request.mutable_sync() = call_;
  const BootTime asked = BootClock::now();
  channel_.Call(std::move(request), kPollTimeout, [this, asked](Result<v1::Reply> reply) { OnAnswer(std::move(reply), asked); });
}

void SyncLoop::OnAnswer(Result<v1::Reply> reply, BootTime asked) {
  const Status status = reply.ok() ? rpc::GetStatus(*reply) : reply.status();
  if (!status.ok()) return OnTrouble(status);
  if (away_) log::Info("{} {}: back", what_, channel_.endpoint());
  away_ = false;
  const bool fresh = call_.have().empty();
  pause_ = kFirstPause;
  call_.set_have(reply->sync().version());
  on_result_(reply->sync(), asked, fresh);
  Ask();
}

void SyncLoop::OnTrouble(const Status& status) {
  if (!away_) log::Warn("{} {}: {}; what runs here goes on, asking again", what_, channel_.endpoint(), status.message());
  away_ = true;
  call_.clear_have();
  retry_ = loop_.AddTimer("sync again " + channel_.endpoint(), BootClock::now() + pause_, [this] { Ask(); });
  pause_ = std::min(pause_ * 2, kLongestPause);
}

}  // namespace faraday::agent
