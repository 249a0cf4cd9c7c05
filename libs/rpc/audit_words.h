// A call in words, for the audit log: what it was asked, about what, and what came of it. By reflection over the
// schema, so that a new call or field needs nothing here. Pure.
#pragma once

#include <string>

#include "faraday/v1/envelope.pb.h"

namespace faraday::rpc {

// The call's fields in one line, those with default values left out but for its own yes or no:
//   slot=r01/07 epoch=42 action=ON reason="smells \"hot\""
// Texts are quoted where they hold anything but names and numbers; control bytes are escaped; at most `most` bytes.
// No secrets: of a job's environment the names only, of a key its fingerprint, of other bytes their count, of a field
// called `secret` or `code` nothing.
std::string ArgumentsOf(const v1::Request& request, size_t most);

// What the call is about: "r01/07" (of a lease too), "job-12", "ana"; empty for a call that names nothing.
std::string SubjectOf(const v1::Request& request);
// The same from the answer of a call that makes its object: "job-12".
std::string SubjectOf(const v1::Reply& reply);
// What the caller was told: the status' text, else what the call gave ("lease r01-07-42").
std::string ResultOf(const v1::Reply& reply);
std::string ReasonOf(const v1::Request& request);
std::string OnBehalfOf(const v1::Request& request);

}  // namespace faraday::rpc
