#include "controller/zmq/sync_polls.h"

#include <fmt/core.h>

#include <algorithm>

#include "controller/zmq/render.h"

namespace faraday::controller {

std::string SyncPolls::VersionOf(const Host& host) const { return fmt::format("{}-{}", run_, host.count); }

void SyncPolls::Refresh(const std::string& name, Host* host, Now now) {
  std::vector<SyncSlot> slots = rack_.agent_calls().SlotsFor(name, now);
  if (host->count != 0 && slots == host->slots) return;
  host->slots = std::move(slots);
  ++host->count;
}

void SyncPolls::Answer(Host* host, Now now) {
  v1::Reply reply;
  v1::SyncResult* result = reply.mutable_sync();
  result->set_version(VersionOf(*host));
  for (const SyncSlot& slot : host->slots) *result->add_slots() = ToWire(slot, now);
  rpc::CallPtr call;
  call.swap(host->parked);
  call->Answer(std::move(reply));
}

void SyncPolls::Take(const rpc::CallPtr& call, Now now) {
  const v1::SyncCall& sync = call->request().sync();
  Host& host = hosts_[sync.host()];
  if (host.parked) Answer(&host, now);
  Refresh(sync.host(), &host, now);
  host.parked = call;
  host.until = std::min(now.boot + kLongPoll, call->deadline() - kAnswerMargin);
  if (sync.have() != VersionOf(host) || now.boot >= host.until) Answer(&host, now);
}

void SyncPolls::AnswerDue(Now now) {
  for (auto& [name, host] : hosts_) {
    if (host.parked && now.boot >= host.until) Answer(&host, now);
  }
}

void SyncPolls::Check(Now now) {
  for (auto& [name, host] : hosts_) {
    if (!host.parked) continue;
    const uint64_t before = host.count;
    Refresh(name, &host, now);
    if (host.count != before || now.boot >= host.until) Answer(&host, now);
  }
}

}  // namespace faraday::controller
