// What guards a daemon's sockets, in one piece: its keys, the users or the roster in force, the audit log, the door and
// the ZAP handler; and the calls that belong to them. Make it before the sockets, end it after them. Loop's thread.
//
// The lab keeps the users. A controller keeps its own until it is enrolled at a lab (`<state_dir>/known_servers`); then
// it takes the lab's rosters, keeps the newest on disk and works on with it while the lab is away. One that has a
// roster but no known_servers does not start: it would let in its users from before.
//
// Files under `<state_dir>`: keys/server.key, keys/admin.key (break-glass), audit/, and what registry.h or membership.h
// name. A file that others may read, or that is damaged, stops the start with what to do.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>
#include <zmq.hpp>

#include "access/membership.h"
#include "access/registry.h"
#include "access/roster_directory.h"
#include "base/result.h"
#include "evloop/loop.h"
#include "rpc/audit_calls.h"
#include "rpc/audit_trail.h"
#include "rpc/door.h"
#include "rpc/keeper_calls.h"
#include "rpc/publisher.h"
#include "rpc/security.h"
#include "rpc/server.h"

namespace faraday::rpc {

class Guard {
 public:
  struct Options {
    std::string name;           // "r01", "lab"
    access::Role role;          // kLab or kController
    std::string state_dir;      // exists
    std::string endpoint;       // where it listens, as its config says; told to others when they can use it
    bool plain = false;         // plain sockets; callers are believed, roles and the audit hold as ever
    uint32_t audit_days = 400;  // see audit_log.h
    uint32_t audit_mb = 1024;
  };
  // Gives the keeper of `options` a new signing key. Nothing may run on its state_dir. Errors: of the files.
  static Result<std::string> RotateSigner(const Options& options);

  // REQUIRES: after Loop::OnSignals (it starts threads). Errors: of the files (kFailedPrecondition, kDataLoss,
  // kUnavailable), with what to do.
  static Result<std::unique_ptr<Guard>> Open(evloop::Loop& loop, zmq::context_t& context, Options options);
  ~Guard();

  // For every server and publisher of the daemon.
  Security security();
  // "CURVE", or "plain text, loopback only".
  const std::string& words() const { return facts_.security; }
  bool plain() const { return options_.plain; }
  // Security, roster and audit of this server.
  void Tell(v1::RackState* state) const;
  // The rows who_am_i, read_audit, verify_audit; the keeper's rows, or their refusal; put_roster on a controller.
  void AddTo(HandlerTable* table);
  // Its subscribers' connections end when a key that was let in is so no longer.
  void Watch(Publisher& publisher) { publishers_.push_back(&publisher); }
  // Called in the loop, after the roster in force has changed and about each second: look up WhyGone again.
  void OnLook(std::function<void()> on_look) { on_look_ = std::move(on_look); }

  // Who is a client of others with this daemon's own key: `server_key` gives theirs.
  Credentials As(std::string_view role,
                 std::function<Result<access::PublicKey>(const std::string& endpoint)> server_key);

  const access::RosterDirectory& directory() const { return directory_; }
  // The key of an enrolled controller, nullptr when there is none of the name; valid until the roster changes.
  const access::PublicKey* ControllerKey(const std::string& rack) const;
  uint64_t roster_number() const { return directory_.roster().number; }
  // The signed roster that a controller or agent which has number `have` is to get next, "" when it has the newest, or
  // on plain sockets. REQUIRES: keeps the users.
  const std::string& RosterAfter(uint64_t have) const;
  // Null on an enrolled controller.
  access::Registry* registry() { return registry_.get(); }
  AuditTrail& audit() { return *audit_; }
  // "user ana is disabled at lab": why what this user holds shall end; "" when it shall not. Who has only keys that
  // have expired is not gone: what was granted goes on to its end. Nobody is gone on plain sockets or without a roster.
  std::string WhyGone(const std::string& user) const;

 private:
  Guard(evloop::Loop* loop, Options options) : loop_(loop), options_(std::move(options)) {}
  Status ReadKeys();
  Result<std::unique_ptr<access::Registry>> OpenRegistry() const;
  Status OpenAsKeeper();
  void TellRestored();
  Status OpenAsMember(std::unique_ptr<access::Membership> membership);
  Status OpenDoor(zmq::context_t& context);
  const std::string& SignedRoster() const;
  void PutRoster(const CallPtr& call);
  void RefuseAsMember(const CallPtr& call) const;
  void OnRoster();
  void Look();
  std::set<access::PublicKey> LetIn() const;

  evloop::Loop* loop_;  // null: no daemon, a step on its files
  Options options_;
  ServerFacts facts_;
  Keys keys_;
  access::PublicKey admin_key_;
  access::RosterDirectory directory_;
  std::unique_ptr<access::Registry> registry_;      // a keeper's
  std::unique_ptr<access::Membership> membership_;  // else
  std::unique_ptr<AuditTrail> audit_;
  std::unique_ptr<Door> door_;
  std::unique_ptr<ZapHandler> zap_;
  std::unique_ptr<KeeperCalls> keeper_calls_;
  std::unique_ptr<AuditCalls> audit_calls_;
  std::vector<Publisher*> publishers_;
  std::function<void()> on_look_;
  std::set<access::PublicKey> let_in_;  // at the last look
  std::set<std::string> standing_;      // users with a key that is not disabled
  std::set<std::string> disabled_;      // users with disabled keys only
  evloop::Handle looker_ = 0;
  evloop::Handle soon_ = 0;
};

}  // namespace faraday::rpc
