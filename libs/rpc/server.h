// One ROUTER socket that answers faraday.v1 requests, served from the daemon's loop.
//
// Undecodable frames are answered INVALID_ARGUMENT with id 0; a request whose call is not in the table
// UNIMPLEMENTED; a peer that is gone or does not read loses its reply and is counted. Plain REQ peers work too (their
// empty delimiter is mirrored). Frames over 1 MiB cut the peer off (ZMQ_MAXMSGSIZE).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <zmq.hpp>

#include "base/clock.h"
#include "base/result.h"
#include "evloop/loop.h"
#include "faraday/v1/envelope.pb.h"
#include "rpc/audit_facts.h"
#include "rpc/security.h"

namespace faraday::rpc {

inline constexpr int64_t kMaxMessageBytes = 1 << 20;
inline constexpr Milliseconds kDefaultTimeout{10'000};

class Server;

// One request being served. Answer it exactly once, now or later, in the loop's thread; a call destroyed without an
// answer is answered INTERNAL. After the server is gone an answer goes nowhere.
class Call {
 public:
  ~Call();
  const v1::Request& request() const { return request_; }
  // Who asks: what the gate found out (SetCaller), else what the request says.
  const v1::Caller& caller() const { return request_.caller(); }
  void SetCaller(v1::Caller caller) { *request_.mutable_caller() = std::move(caller); }
  void SetTrace(std::string trace) { request_.set_trace_id(std::move(trace)); }
  // What the handler knows for the audit log; fill it in before the answer.
  AuditFacts& audit() { return audit_; }
  const AuditFacts& audit() const { return audit_; }
  // The key that the peer's connection has proved; nullopt on a plain socket.
  const std::optional<access::PublicKey>& peer_key() const { return peer_key_; }
  // "10.0.0.7", as the transport says; may be empty.
  const std::string& peer_address() const { return peer_address_; }
  // Names the peer's connection on this server (ZeroMQ's routing id).
  const std::string& connection() const { return peer_; }
  // When the caller stops waiting; long work should end before.
  BootTime deadline() const { return deadline_; }
  bool answered() const { return answered_; }

  // Sends `reply` with this request's id.
  void Answer(v1::Reply reply);
  void Fail(const Status& status);

 private:
  friend class Server;
  Call() = default;

  std::weak_ptr<Server*> server_;
  std::string peer_;        // routing id
  bool delimiter_ = false;  // mirror REQ's empty frame
  std::optional<access::PublicKey> peer_key_;
  std::string peer_address_;
  AuditFacts audit_;
  v1::Request request_;
  BootTime deadline_;
  bool answered_ = false;
};

using CallPtr = std::shared_ptr<Call>;
using Handler = std::function<void(const CallPtr&)>;
// The dispatcher is data: one row a call.
using HandlerTable = std::map<v1::Request::CallCase, Handler>;

class Server {
 public:
  // Binds `endpoint` ("tcp://127.0.0.1:0", "ipc://..."). Errors: kInvalidArgument for plain text beyond loopback or a
  // bad endpoint, kUnavailable when the address is in use.
  static Result<std::unique_ptr<Server>> Bind(
      evloop::Loop& loop, zmq::context_t& context, const std::string& endpoint, HandlerTable table, Security security);
  ~Server();

  // With the real port.
  const std::string& endpoint() const { return endpoint_; }
  // Replies lost because the peer was gone or full.
  uint64_t replies_lost() const { return replies_lost_; }
  uint64_t requests_bad() const { return requests_bad_; }

 private:
  friend class Call;
  Server(evloop::Loop& loop, zmq::socket_t socket, HandlerTable table, Security security);
  void OnReadable();
  void Serve(zmq::message_t peer, bool delimiter, zmq::message_t& body);
  void Leave(const Call& call, v1::Reply reply);
  void Send(const std::string& peer, bool delimiter, const v1::Reply& reply);

  evloop::Loop& loop_;
  zmq::socket_t socket_;
  HandlerTable table_;
  Security security_;
  std::string endpoint_;
  evloop::Handle watch_ = 0;
  uint64_t replies_lost_ = 0;
  uint64_t requests_bad_ = 0;
  std::shared_ptr<Server*> self_;
};

// OK when `endpoint` is ipc://, inproc:// or a loopback tcp:// address.
Status CheckLoopback(const std::string& endpoint);

// Wire <-> base. A Reply without status is OK.
void SetStatus(const Status& status, v1::Reply* reply);
Status GetStatus(const v1::Reply& reply);
v1::Reply ErrorReply(const Status& status);

}  // namespace faraday::rpc
