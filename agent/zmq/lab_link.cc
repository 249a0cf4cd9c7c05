#include "agent/zmq/lab_link.h"

#include <span>

#include "agent/zmq/wire.h"
#include "base/crc32.h"
#include "base/log.h"
#include "rpc/server.h"

namespace faraday::agent {
namespace {

constexpr Milliseconds kReportTimeout{5'000};  // chosen
constexpr Milliseconds kChunkTimeout{15'000};  // chosen: the lab may be writing to a slow disk

}  // namespace

LabLink::LabLink(evloop::Loop& loop,
                 zmq::context_t& context,
                 const std::string& endpoint,
                 const rpc::Credentials& who,
                 std::string agent,
                 std::string host,
                 OnAttempts on_attempts,
                 uint64_t roster,
                 OnRoster on_roster)
    : loop_(loop), agent_(std::move(agent)), on_attempts_(std::move(on_attempts)), on_roster_(std::move(on_roster)) {
  if (endpoint.empty()) return;
  v1::SyncCall call;
  call.set_agent(agent_);
  call.set_host(std::move(host));
  call.set_roster(roster);
  reports_ = std::make_unique<rpc::Channel>(loop, context, endpoint, who);
  chunks_ = std::make_unique<rpc::Channel>(loop, context, endpoint, who);
  sync_ = std::make_unique<SyncLoop>(
      loop, context, "lab", endpoint, who, std::move(call), [this](const v1::SyncResult& result, BootTime, bool) {
        OnSync(result);
      });
}

void LabLink::OnSync(const v1::SyncResult& result) {
  // It comes alone, before the list: the controllers of the attempts may be new in it.
  if (result.has_roster()) return sync_->SetRoster(on_roster_(result.roster()));
  std::vector<AttemptWish> wishes;
  for (const auto& attempt : result.attempts()) {
    auto wish = FromWire(attempt);
    if (wish.ok())
      wishes.push_back(std::move(*wish));
    else
      log::Error("the lab sent an attempt that cannot be run: {}", wish.status().message());
  }
  on_attempts_(wishes);
}

void LabLink::NoLab(std::function<void(Status)> done) {
  loop_.AddTimer("no lab", BootClock::now(), [done] { done(Status(Code::kUnavailable, "no lab is configured")); });
}

void LabLink::Report(const AttemptRecord& record, std::function<void(Result<bool>)> done) {
  if (!reports_) return NoLab([done](Status status) { done(status); });
  v1::Request request;
  request.set_trace_id(record.wish.trace);
  v1::ReportAttemptCall* call = request.mutable_report_attempt();
  call->set_agent(agent_);
  *call->mutable_attempt() = ToWire(record, agent_);
  // An outcome is final: it is told with the end, never before.
  if (record.phase != Phase::kReport) call->mutable_attempt()->clear_outcome();
  reports_->Call(std::move(request), kReportTimeout, [done](Result<v1::Reply> reply) {
    const Status status = reply.ok() ? rpc::GetStatus(*reply) : reply.status();
    if (!status.ok()) return done(status);
    done(reply->report_attempt().end_it());
  });
}

void LabLink::Put(const Chunk& chunk, std::function<void(Result<uint64_t>)> done) {
  if (!chunks_) return NoLab([done](Status status) { done(status); });
  v1::Request request;
  v1::PutChunkCall* call = request.mutable_put_chunk();
  call->set_agent(agent_);
  call->set_attempt(chunk.attempt);
  call->set_name(chunk.name);
  call->set_offset(chunk.offset);
  call->set_data(chunk.data);
  call->set_complete(chunk.complete);
  call->set_sha256(chunk.sha256);
  call->set_crc32(Crc32(chunk.data));
  chunks_->Call(std::move(request), kChunkTimeout, [done](Result<v1::Reply> reply) {
    const Status status = reply.ok() ? rpc::GetStatus(*reply) : reply.status();
    if (!status.ok()) return done(status);
    done(reply->put_chunk().next_offset());
  });
}

}  // namespace faraday::agent
