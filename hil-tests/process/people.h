// Keys and users of a rack under test: joins people at the server that keeps the users, with its break-glass key, over
// the wire as an admin would. One thread.
#pragma once

#include <map>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "access/key.h"
#include "base/result.h"
#include "faraday/v1/envelope.pb.h"
#include "rpc/security.h"

namespace faraday::hil {

class People {
 public:
  // `keeper`: endpoint of the lab, or of a controller without one; `state_dir` its state folder, with its keys.
  People(std::string keeper, const std::string& state_dir);

  // The pair of a key file.
  static Result<rpc::Keys> KeysOf(const std::string& file);
  // The keeper's own public key.
  const access::PublicKey& server_key() const { return server_key_; }

  // A user's secret for `faraday login` or a daemon's --enrol.
  Result<std::string> Add(const std::string& user, const std::vector<std::string>& roles);
  // Adds and enrols; the key stays here. Joined already: nothing happens.
  Status Join(const std::string& user, const std::vector<std::string>& roles);
  // The keys of somebody who joined; null for anybody else.
  rpc::Keys Of(const std::string& user) const;
  Status Disable(const std::string& user, const std::string& reason);

  // One call as the break-glass admin.
  Result<v1::Reply> AsAdmin(v1::Request request);
  // One call with these keys to the server that holds `server`.
  Result<v1::Reply> Call(const std::string& endpoint,
                         const access::PublicKey& server,
                         const rpc::Keys& keys,
                         v1::Request request,
                         const std::string& role = "");

 private:
  zmq::context_t context_;
  std::string keeper_;
  access::PublicKey server_key_;
  rpc::Keys admin_;
  std::map<std::string, rpc::Keys> joined_;
};

}  // namespace faraday::hil
