#include "agent/zmq/racks.h"

#include <fmt/format.h>

#include "agent/zmq/wire.h"
#include "rpc/server.h"

namespace faraday::agent {
namespace {

constexpr Milliseconds kShort{5'000};  // chosen: no hardware moves
constexpr Milliseconds kSwitching{
    15'000};  // queue and stagger of 32 slots at 100 ms, electrical read-back 1.5 s, margin

Result<v1::Reply> Unwrap(Result<v1::Reply> reply) {
  if (!reply.ok()) return reply;
  const Status status = rpc::GetStatus(*reply);
  if (!status.ok()) return status;
  return reply;
}

std::function<void(Result<v1::Reply>)> OnlyStatus(std::function<void(Status)> done) {
  return [done = std::move(done)](Result<v1::Reply> reply) { done(reply.status()); };
}

}  // namespace

Racks::Racks(evloop::Loop& loop,
             zmq::context_t& context,
             rpc::Credentials who,
             std::string agent,
             std::string host,
             std::function<std::string(const std::string& endpoint)> rack_at,
             OnSlots on_slots)
    : loop_(loop),
      context_(context),
      who_(std::move(who)),
      agent_(std::move(agent)),
      host_(std::move(host)),
      owners_(std::move(rack_at)),
      on_slots_(std::move(on_slots)) {}

void Racks::Add(const std::string& endpoint) {
  const int controller = owners_.Add(endpoint);
  v1::SyncCall call;
  call.set_agent(agent_);
  call.set_host(host_);
  Link link;
  link.calls = std::make_unique<rpc::Channel>(loop_, context_, endpoint, who_);
  link.sync = std::make_unique<SyncLoop>(loop_,
                                         context_,
                                         "controller",
                                         endpoint,
                                         who_,
                                         std::move(call),
                                         [this, controller](const v1::SyncResult& result, BootTime asked, bool fresh) {
                                           OnSync(controller, result, asked, fresh);
                                         });
  links_.push_back(std::move(link));
}

void Racks::OnSync(int controller, const v1::SyncResult& result, BootTime asked, bool fresh) {
  std::vector<SlotWish> wishes;
  for (const auto& slot : result.slots()) wishes.push_back(FromWire(slot, asked));
  wishes = owners_.OwnOf(controller, std::move(wishes));
  for (const SlotWish& wish : wishes) controller_of_[wish.slot] = controller;
  on_slots_(controller, wishes, fresh);
}

void Racks::Call(const std::string& slot, v1::Request request, Milliseconds timeout, Answered done) {
  const auto found = controller_of_.find(slot);
  if (found == controller_of_.end()) {
    loop_.AddTimer("no controller", BootClock::now(), [slot, done] {
      done(Status(Code::kUnavailable, fmt::format("no controller has named slot {} to this agent yet", slot)));
    });
    return;
  }
  if (const auto trace = trace_of_.find(slot); trace != trace_of_.end()) request.set_trace_id(trace->second);
  links_[static_cast<size_t>(found->second)].calls->Call(
      std::move(request), timeout, [done](Result<v1::Reply> reply) { done(Unwrap(std::move(reply))); });
}

void Racks::Sample(const std::string& slot, std::function<void(Result<PowerSample>)> done) {
  v1::Request request;
  request.mutable_get_rack()->set_slot(slot);
  Call(slot, std::move(request), kShort, [slot, done](Result<v1::Reply> reply) {
    if (!reply.ok()) return done(reply.status());
    for (const v1::SlotState& state : reply->get_rack().rack().slots()) {
      if (state.slot() != slot) continue;
      return done(
          PowerSample{"", state.vbus().measured_mv(), state.vbus().measured_ma(), UtcNow().since_epoch.count()});
    }
    done(Status(Code::kNotFound, fmt::format("the controller gives no state of slot {}", slot)));
  });
}

void Racks::PowerOn(const std::string& slot, uint32_t epoch, std::function<void(Status)> done) {
  v1::Request request;
  v1::PowerCall* call = request.mutable_power();
  call->set_slot(slot);
  call->set_epoch(epoch);
  call->set_action(v1::PowerCall::ACTION_ON);
  Call(slot, std::move(request), kSwitching, OnlyStatus(std::move(done)));
}

void Racks::SetData(const std::string& slot, uint32_t epoch, bool connect, std::function<void(Status)> done) {
  v1::Request request;
  v1::UsbCall* call = request.mutable_usb();
  call->set_slot(slot);
  call->set_epoch(epoch);
  call->set_path(connect ? v1::DATA_PATH_HOST : v1::DATA_PATH_OPEN);
  if (connect) call->set_host(host_);
  Call(slot, std::move(request), kSwitching, OnlyStatus(std::move(done)));
}

void Racks::Renew(const std::string& slot, const std::string& lease, std::function<void(Result<BootTime>)> done) {
  v1::Request request;
  request.mutable_renew()->set_lease(lease);
  const BootTime asked = BootClock::now();
  Call(slot, std::move(request), kShort, [done, asked](Result<v1::Reply> reply) {
    if (!reply.ok()) return done(reply.status());
    done(asked + Milliseconds(reply->renew().lease().left_ms()));
  });
}

void Racks::Release(const std::string& slot, const std::string& lease, std::function<void(Status)> done) {
  v1::Request request;
  request.mutable_release()->set_lease(lease);
  Call(slot, std::move(request), kShort, OnlyStatus(std::move(done)));
}

void Racks::SetTrace(const std::string& slot, const std::string& trace) {
  trace_of_.erase(slot);
  if (!trace.empty()) trace_of_[slot] = trace;
}

void Racks::Report(int controller, const RackReport& report, std::function<void(Status)> done) {
  v1::Request request;
  *request.mutable_report() = ToWire(report, agent_, host_, BootClock::now());
  links_[static_cast<size_t>(controller)].calls->Call(
      std::move(request), kShort, [done](Result<v1::Reply> reply) { done(Unwrap(std::move(reply)).status()); });
}

}  // namespace faraday::agent
