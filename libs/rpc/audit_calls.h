// The calls read_audit and verify_audit of either server. Users and ci see their own records, techs and admins all
// (access/rights.table). Loop's thread.
#pragma once

#include "rpc/audit_trail.h"
#include "rpc/server.h"

namespace faraday::rpc {

class AuditCalls {
 public:
  // `trail` outlives the server that the table goes to.
  explicit AuditCalls(AuditTrail& trail) : trail_(trail) {}
  void AddTo(HandlerTable* table);

 private:
  void Read(const CallPtr& call);
  void Verify(const CallPtr& call);
  AuditTrail& trail_;
};

}  // namespace faraday::rpc
