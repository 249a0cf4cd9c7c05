#include "rpc/audit_calls.h"

#include <algorithm>
#include <chrono>

namespace faraday::rpc {
namespace {

constexpr uint32_t kDefaultLimit = 200;
constexpr uint32_t kMostLimit = 1000;
constexpr Milliseconds kReturn{500};  // left of the caller's time for the way back; chosen

// The caller's time, but no more than this: others wait for the one reading thread.
constexpr Milliseconds kLongest{10'000};  // chosen
constexpr int kReadsOfOne = 2;            // under way at once; chosen

BootTime GiveUp(const Call& call) { return std::min(call.deadline() - kReturn, BootClock::now() + kLongest); }

template <typename T>
void AnswerWith(const CallPtr& call, const Result<T>& result, T* (v1::Reply::*field)()) {
  if (!result.ok()) return call->Fail(result.status());
  v1::Reply reply;
  *(reply.*field)() = *result;
  call->Answer(std::move(reply));
}

}  // namespace

void AuditCalls::AddTo(HandlerTable* table) {
  (*table)[v1::Request::kReadAudit] = [this](const CallPtr& call) { Read(call); };
  (*table)[v1::Request::kVerifyAudit] = [this](const CallPtr& call) { Verify(call); };
}

bool AuditCalls::Begin(const CallPtr& call) {
  int& under_way = reading_[call->caller().user()];
  if (under_way >= kReadsOfOne) {
    call->Fail({Code::kResourceExhausted, "your other searches of the audit are still under way; wait for them"});
    return false;
  }
  ++under_way;
  return true;
}

void AuditCalls::Ended(const std::string& user) {
  const auto found = reading_.find(user);
  if (found != reading_.end() && --found->second <= 0) reading_.erase(found);
}

void AuditCalls::Read(const CallPtr& call) {
  const v1::Caller& wire = call->caller();
  const access::Caller caller{wire.user(), access::ParseRole(wire.role()), wire.team()};
  access::AuditQuery query{call->request().read_audit(), "", GiveUp(*call)};
  const uint32_t limit = query.call.limit() == 0 ? kDefaultLimit : std::min(query.call.limit(), kMostLimit);
  query.call.set_limit(limit);
  const auto all = RightOf(access::Call::kReadAudit, caller.role, access::Ownership::kOther);
  if (all == access::Right::kDenied) {
    const bool own = query.call.user().empty() || query.call.user() == caller.user;
    const auto ownership = own ? access::Ownership::kHolder : access::Ownership::kOther;
    const Status right =
        CheckRight(access::Call::kReadAudit, caller, ownership, "", "these are the records of " + query.call.user());
    if (!right.ok()) return call->Fail(right);
    query.only_of = caller.user;
  }
  if (!Begin(call)) return;
  trail_.Search(std::move(query), [this, call](const Result<v1::ReadAuditResult>& result) {
    Ended(call->caller().user());
    AnswerWith(call, result, &v1::Reply::mutable_read_audit);
  });
}

void AuditCalls::Verify(const CallPtr& call) {
  if (!Begin(call)) return;
  trail_.Verify(GiveUp(*call), [this, call](const Result<v1::VerifyAuditResult>& result) {
    Ended(call->caller().user());
    AnswerWith(call, result, &v1::Reply::mutable_verify_audit);
  });
}

}  // namespace faraday::rpc
