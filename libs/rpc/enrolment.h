// A machine's enrolment, one-shot and blocking: shows the server the key that a one-time code makes, gives it the
// machine's own public key, and keeps what the machine needs to know (access/membership.h). The private key and the
// code never travel.
#pragma once

#include <string>
#include <string_view>
#include <zmq.hpp>

#include "access/role.h"
#include "base/clock.h"
#include "base/result.h"

namespace faraday::rpc {

struct EnrolMachine {
  std::string server;        // "tcp://lab:7710"
  std::string name;          // the code must be of this user: "r01"
  access::Role role;         // and of this role
  std::string state_dir;     // keys, known_servers and roster are in it; nobody else uses it meanwhile
  std::string key_file;      // "keys/server.key", made when there is none
  std::string own_endpoint;  // of a controller, "" when not known
  bool takes_roster = true;  // `server` is the one keeper from now on
  Milliseconds timeout{10'000};
};

// Enrols and stores what the machine needs at its next start; says what happened. Errors: kInvalidArgument (no code,
// mistyped), kUnauthenticated (the server is another one, or the code is used, expired, or its user disabled),
// kDeadlineExceeded (the server is away), kFailedPrecondition (a code of another user or role; with another name the
// code stays unused), and those of the files.
Result<std::string> Enrol(zmq::context_t& context, const EnrolMachine& machine, std::string_view code);

// One line of standard input, asked for when it is a terminal; never echoed into a log. kInvalidArgument when empty.
Result<std::string> ReadCodeFromStdin();

}  // namespace faraday::rpc
