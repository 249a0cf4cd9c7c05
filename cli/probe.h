// Is anybody there? ZeroMQ keeps connecting in silence; a person wants to know at once that nothing listens.
#pragma once

#include <string>

#include "base/result.h"

namespace faraday::cli {

// OK when something accepts a connection at tcp://HOST:PORT or ipc://PATH within 2 s, or when the form is another one.
// Errors: kUnavailable that names the endpoint and what to do, kInvalidArgument for no endpoint at all.
Status ProbeEndpoint(const std::string& endpoint);

// Where calls without keys may go: ipc, inproc, and tcp to one loopback address of this machine, written as 127.x.y.z,
// [::1] or localhost, with a port. Everything else is kInvalidArgument: names that only begin like one, and ZeroMQ's
// SOURCE;DESTINATION.
Status CheckPlain(const std::string& endpoint);

}  // namespace faraday::cli
