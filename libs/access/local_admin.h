// What an admin does at a server's own machine: the program `faraday` beside this one, run with the server's
// break-glass key: `faraday-lab --config FILE user add ana --role user`.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace faraday::access {

struct LocalAdmin {
  std::string state_dir;           // of the running server
  std::string server_option;       // "--lab" or "--controller"
  bool plain = false;              // its sockets are plain text
  std::vector<std::string> words;  // "user", "add", ...
};

// For steps that a person takes on a server's files: kFailedPrecondition when the folder belongs to another user (root
// would leave files behind that the server may not read), with how to run it. OK when there is no folder yet.
Status CheckOwner(const std::string& state_dir);

// The words that may be run so.
bool IsAdminWord(const std::string& word);  // user, audit

// Becomes that program; comes back only with an error: kFailedPrecondition when the server is not running, or its keys
// may not be read by this user; kNotFound when there is no such program. REQUIRES: nobody holds the state folder's lock
// in this process.
Status BecomeAdmin(const LocalAdmin& admin);

}  // namespace faraday::access
