#include "rpc/audit_calls.h"

#include <algorithm>
#include <chrono>

namespace faraday::rpc {
namespace {

constexpr uint32_t kDefaultLimit = 200;
constexpr uint32_t kMostLimit = 1000;
constexpr Milliseconds kReturn{500};  // left of the caller's time for the way back; chosen

BootTime GiveUp(const Call& call) { return call.deadline() - kReturn; }

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
  trail_.Search(std::move(query), [call](const Result<v1::ReadAuditResult>& result) {
    AnswerWith(call, result, &v1::Reply::mutable_read_audit);
  });
}

void AuditCalls::Verify(const CallPtr& call) {
  trail_.Verify(GiveUp(*call), [call](const Result<v1::VerifyAuditResult>& result) {
    AnswerWith(call, result, &v1::Reply::mutable_verify_audit);
  });
}

}  // namespace faraday::rpc
