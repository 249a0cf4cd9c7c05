#include "lab/test/fake_controller.h"

#include <fmt/core.h>

#include "base/clock.h"
#include "model/slot_id.h"

namespace faraday::lab {
namespace {

constexpr uint32_t kJobLeaseMs = 60'000;

v1::SlotState NewSlot(const std::string& rack, int number) {
  v1::SlotState slot;
  slot.set_slot(model::ToString(model::SlotId{rack, number}));
  slot.set_health(v1::HEALTH_GOOD);
  slot.set_allocation(v1::ALLOCATION_FREE);
  slot.add_hosts("h01");
  auto* device = slot.mutable_device();
  device->set_expected("pixel-8");
  device->set_model("pixel-8");
  device->set_platform("android");
  device->set_os_version("14");
  device->set_serial(fmt::format("SER{}", number));
  device->set_battery_percent(80);
  device->set_adb_state("device");
  return slot;
}

}  // namespace

FakeController::FakeController(std::string rack, int slots)
    : FakeController(std::move(rack), slots, "", "tcp://127.0.0.1:0") {}

FakeController::FakeController(std::string rack, int slots, std::string state_dir, const std::string& endpoint)
    : rack_(std::move(rack)), state_dir_(std::move(state_dir)) {
  for (int number = 1; number <= slots; ++number) {
    v1::SlotState slot = NewSlot(rack_, number);
    GiveToCare(&slot);
    slots_[slot.slot()] = slot;
  }
  std::promise<std::string> ready;
  auto bound = ready.get_future();
  thread_ = std::thread([this, endpoint, promise = std::move(ready)]() mutable { Run(endpoint, std::move(promise)); });
  endpoint_ = bound.get();
}

FakeController::~FakeController() {
  loop_.Post([this] { loop_.Stop(); });
  thread_.join();
}

void FakeController::Run(const std::string& endpoint, std::promise<std::string> ready) {
  rpc::HandlerTable table;
  rpc::Security security = rpc::Plain();
  if (!state_dir_.empty()) {
    auto guard = rpc::Guard::Open(
        loop_, context_, {.name = rack_, .role = access::Role::kController, .state_dir = state_dir_, .endpoint = ""});
    if (!guard.ok()) return ready.set_value(ToString(guard.status()));
    guard_ = std::move(*guard);
    guard_->AddTo(&table);
    security = guard_->security();
  }
  const auto handler = [this](const rpc::CallPtr& call) {
    const std::lock_guard lock(mutex_);
    if (hangs_) {
      unanswered_.push_back(call);
    } else {
      call->Answer(Serve(call->request()));
    }
  };
  for (const auto call : {v1::Request::kGetRack, v1::Request::kAcquire, v1::Request::kRelease}) table[call] = handler;
  auto server = rpc::Server::Bind(loop_, context_, endpoint, table, security);
  ready.set_value(server.ok() ? (*server)->endpoint() : ToString(server.status()));
  loop_.Run();
  unanswered_.clear();
  if (server.ok()) server->reset();
  guard_.reset();
}

void FakeController::Hang(bool on) {
  const std::lock_guard lock(mutex_);
  hangs_ = on;
}

void FakeController::GiveToCare(v1::SlotState* slot) {
  const uint32_t epoch = slot->lease().epoch() + 1;
  slot->clear_lease();
  slot->mutable_lease()->set_slot(slot->slot());
  slot->mutable_lease()->set_epoch(epoch);
  slot->mutable_lease()->set_holder("care");
  slot->mutable_lease()->set_purpose(v1::PURPOSE_CARE);
  slot->set_allocation(v1::ALLOCATION_FREE);
}

void FakeController::EndLease(const std::string& slot) {
  const std::lock_guard lock(mutex_);
  GiveToCare(&slots_.at(slot));
}

v1::Lease FakeController::LeaseOf(const std::string& slot) {
  const std::lock_guard lock(mutex_);
  return slots_.at(slot).lease();
}

int FakeController::leased() {
  const std::lock_guard lock(mutex_);
  int count = 0;
  for (const auto& [name, slot] : slots_) count += slot.allocation() == v1::ALLOCATION_LEASED ? 1 : 0;
  return count;
}

int FakeController::acquires() {
  const std::lock_guard lock(mutex_);
  return acquires_;
}

void FakeController::Change(const std::string& slot, const std::function<void(v1::SlotState*)>& change) {
  const std::lock_guard lock(mutex_);
  change(&slots_.at(slot));
}

v1::Reply FakeController::Serve(const v1::Request& request) {
  switch (request.call_case()) {
    case v1::Request::kAcquire:
      return Acquire(request);
    case v1::Request::kRelease:
      return Release(request);
    default:
      break;
  }
  v1::Reply reply;
  reply.mutable_get_rack()->mutable_rack()->set_rack(rack_);
  if (guard_) guard_->Tell(reply.mutable_get_rack()->mutable_rack());
  for (const auto& [name, slot] : slots_) *reply.mutable_get_rack()->mutable_rack()->add_slots() = slot;
  return reply;
}

v1::Reply FakeController::Acquire(const v1::Request& request) {
  if (const auto done = done_.find(request.idempotency_key()); done != done_.end()) return done->second;
  const auto& ask = request.acquire();
  v1::SlotState& slot = slots_.at(ask.slot());
  if (slot.allocation() != v1::ALLOCATION_FREE) {
    return rpc::ErrorReply({Code::kFailedPrecondition, ask.slot() + " is leased"});
  }
  ++acquires_;
  const uint32_t epoch = slot.lease().epoch() + 1;
  const uint32_t duration = ask.purpose() == v1::PURPOSE_JOB ? kJobLeaseMs : ask.duration_ms();
  slot.set_allocation(v1::ALLOCATION_LEASED);
  v1::Lease& lease = *slot.mutable_lease();
  lease.set_id(model::ToString(model::LeaseId{*model::ParseSlotId(ask.slot()), epoch}));
  lease.set_epoch(epoch);
  lease.set_holder(ask.on_behalf_of().user());
  lease.set_purpose(ask.purpose());
  lease.set_left_ms(duration);
  lease.set_end_utc_ms(UtcNow().since_epoch.count() + duration);
  lease.set_agent(ask.agent().empty() ? "h01" : ask.agent());
  lease.set_reservation(ask.reservation());
  v1::Reply reply;
  *reply.mutable_acquire()->mutable_lease() = lease;
  return done_[request.idempotency_key()] = reply;
}

v1::Reply FakeController::Release(const v1::Request& request) {
  for (auto& [name, slot] : slots_) {
    if (slot.allocation() != v1::ALLOCATION_LEASED || slot.lease().id() != request.release().lease()) continue;
    v1::Reply reply;
    *reply.mutable_release()->mutable_lease() = slot.lease();
    GiveToCare(&slot);
    return reply;
  }
  return rpc::ErrorReply({Code::kNotFound, "no such lease"});
}

}  // namespace faraday::lab
