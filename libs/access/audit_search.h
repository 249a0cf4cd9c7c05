// Reading and checking an audit log's files. Works on a View: any thread, may take seconds; `give_up` bounds it.
#pragma once

#include "access/audit_log.h"

namespace faraday::access {

struct AuditQuery {
  v1::ReadAuditCall call;  // limit is 1 to 1000
  std::string only_of;     // not empty: only records of this user, or on whose behalf
  BootTime give_up = BootTime::max();
};

// The matching records, whole lines of at most 900 kB together. `more` is set when there may be others after `next`
// (with `newest`: before the first). Errors: kUnavailable when a file cannot be read.
Result<v1::ReadAuditResult> SearchAudit(const AuditLog::View& view, const AuditQuery& query);

// Every record's hash, every number and every link of the chain. Errors: kDeadlineExceeded after `give_up`.
Result<v1::VerifyAuditResult> VerifyAudit(const AuditLog::View& view, BootTime give_up);

// The same over lines one by one, for an exported file.
class AuditVerifier {
 public:
  // False once something does not fit; what follows is not looked at.
  bool Feed(std::string_view line);
  v1::VerifyAuditResult Outcome() const;

 private:
  AuditPlace place_;
  uint64_t first_ = 0;
  std::string first_prev_;
  bool base_told_ = false;  // a retention NOTE says that the chain begins at first_
  std::string broken_;
};

}  // namespace faraday::access
