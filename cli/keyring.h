// Whose key the program presents to a server, and which key it expects there: --key, a token, or what `faraday login`
// left in the person's folder. Reads files, asks nobody. One thread.
//
//   ~/.config/faraday/known_servers    a line a server (access/known_servers.h)
//   ~/.config/faraday/keys/*.key       one's own keys, one a login
//   ~/.config/faraday/rosters/*        the newest signed roster of each keeper, for its controllers' keys when it is
//   away
#pragma once

#include <optional>
#include <string>

#include "access/known_servers.h"
#include "access/roster.h"
#include "base/result.h"
#include "rpc/security.h"

namespace faraday::cli {

// What one needs to speak to a server.
struct Standing {
  rpc::Keys keys;            // one's own
  access::PublicKey server;  // expected there
  access::PublicKey keeper;  // who vouches for `keys`; `server`, or the lab of that controller
  std::string user;          // whose key it is; "" when not known here
};

class Keyring {
 public:
  struct Options {
    std::string folder;      // ~/.config/faraday
    std::string key_file;    // --key
    std::string server_key;  // --server-key, 64 hex digits
    std::string token;       // text of a token
    std::string token_file;  // file that holds one
  };
  explicit Keyring(Options options) : options_(std::move(options)), known_(options_.folder + "/known_servers") {}

  // Which server the program was told to speak to: a lab's key is never looked for in a roster, where a controller may
  // claim the lab's address.
  enum class Server { kLab, kController };
  // For that server. Errors: kUnauthenticated when nothing is known, with the
  // command to run; kInvalidArgument for a bad token, key file or --server-key; those of the files.
  Result<Standing> At(const std::string& endpoint, Server server) const;
  // For a server that has a login of its own; nullopt when it has none.
  Result<std::optional<Standing>> LoginAt(const std::string& endpoint) const;

  const access::KnownServers& known() const { return known_; }
  const std::string& folder() const { return options_.folder; }

  // The stored roster of a keeper; number 0 when there is none.
  Result<access::Roster> RosterOf(const access::PublicKey& keeper) const;
  // Keeps a roster that came from the keeper itself over a connection that has proved its key. One that is not newer
  // changes nothing.
  Status KeepRoster(const access::PublicKey& keeper, const std::string& signed_bytes) const;
  // The key of the controller or lab at `endpoint` in the keeper's stored roster.
  std::optional<access::PublicKey> InRoster(const access::PublicKey& keeper, const std::string& endpoint) const;

 private:
  Result<Standing> WithKeyFile(const std::string& endpoint) const;
  Result<Standing> WithToken(const std::string& endpoint, Server server, const std::string& text) const;
  Result<std::string> TokenText() const;
  std::string ListedAt(const access::PublicKey& keeper) const;
  std::string RosterPath(const access::PublicKey& keeper) const;

  Options options_;
  access::KnownServers known_;
};

}  // namespace faraday::cli
