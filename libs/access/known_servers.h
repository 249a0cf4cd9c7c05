// The servers that a person or machine has met, in a text file of its owner alone (mode 0600). One line a server:
//
//   endpoint <tab> server's public key, 64 hex digits <tab> own key file <tab> own user name
//
// Lines that begin with '#' and empty ones are kept. Several processes may write: changes are made under a lock
// (flock on `<path>.lock`) and replace the file in one step. Any thread; one object is one thread's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "access/key.h"
#include "base/result.h"

namespace faraday::access {

struct KnownServer {
  std::string endpoint;  // "tcp://lab:7710", compared as text
  PublicKey key;
  std::string key_file;  // "" : the owner's default
  std::string user;      // "" : not known
};

class KnownServers {
 public:
  // No file is an empty list. Nothing is read yet: every call reads the file, so that other processes' lines count.
  explicit KnownServers(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  // nullopt when no line has the endpoint. Errors: kFailedPrecondition when others may read or write the file, with the
  // command that mends it; kDataLoss for a damaged line (its number); kUnavailable when it cannot be read.
  Result<std::optional<KnownServer>> Find(const std::string& endpoint) const;
  Result<std::vector<KnownServer>> List() const;
  // Adds the line, or replaces the one of the same endpoint. On disk when it returns. Besides Find's errors:
  // kInvalidArgument for a field with a tab or another control character, or no endpoint.
  Status Add(const KnownServer& server) const;
  // Removes the endpoint's line; OK when there is none.
  Status Remove(const std::string& endpoint) const;

 private:
  Status Change(const KnownServer* put, const std::string& endpoint) const;

  std::string path_;
};

}  // namespace faraday::access
