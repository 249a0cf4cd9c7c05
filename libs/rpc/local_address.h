// Whether a peer is on this machine, and what an endpoint says of it. Any thread.
#pragma once

#include <string>

#include "base/status.h"

namespace faraday::rpc {

// `address` as the transport tells it: "10.0.0.7", "fe80::1%eth0", "localhost:0:0:812" for ipc. True for loopback, for
// an address of one of this machine's interfaces now, and for ipc. False for anything else, also "" (not known).
bool IsThisMachine(const std::string& address);

// Whether a host as an endpoint writes it is loopback: localhost, ::1, [::1], or four numbers of which the first is
// 127.
bool IsLoopbackHost(const std::string& host);

// kInvalidArgument for an endpoint with ';': the transport takes what is before it for another address.
Status CheckOneAddress(const std::string& endpoint);

}  // namespace faraday::rpc
