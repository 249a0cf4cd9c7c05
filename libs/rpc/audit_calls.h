// The calls read_audit and verify_audit of either server. Users and ci see their own records, techs and admins all
// (access/rights.table). Loop's thread.
#pragma once

#include <map>
#include <string>

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
  // False, and the call is refused, when its user has too many reads under way. Else they are one more until `Ended`.
  bool Begin(const CallPtr& call);
  void Ended(const std::string& user);
  AuditTrail& trail_;
  std::map<std::string, int> reading_;  // by user
};

}  // namespace faraday::rpc
