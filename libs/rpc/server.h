// One ROUTER socket that answers faraday.v1 requests, served from the daemon's loop.
//
// Undecodable frames are answered INVALID_ARGUMENT with their id, 0 when not even that can be read; a request whose
// call is not in the table UNIMPLEMENTED; a peer that is gone loses its reply and is counted. Plain REQ peers work too
// (their empty delimiter is mirrored). Cut off are peers that send frames over 1 MiB, that do not read their answers or
// do not heed refusals, and those beyond ConnectionBounds; docs/reference/limits.md has the figures.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#include <zmq.hpp>

#include "base/clock.h"
#include "base/result.h"
#include "evloop/loop.h"
#include "faraday/v1/envelope.pb.h"
#include "rpc/audit_facts.h"
#include "rpc/connections.h"
#include "rpc/security.h"

namespace faraday::rpc {

inline constexpr int64_t kMaxMessageBytes = 1 << 20;
inline constexpr Milliseconds kDefaultTimeout{10'000};

// What came through a socket, before anything in it is believed.
struct Arrival {
  std::string connection;  // routing id
  bool delimiter = false;  // mirror REQ's empty frame
  std::optional<access::PublicKey> peer_key;
  std::string peer_address;
  int fd = -1;           // of the connection; -1: in this process
  bool surplus = false;  // its key has too many connections
  std::string_view body;
};

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
  const std::optional<access::PublicKey>& peer_key() const { return from_.peer_key; }
  // "10.0.0.7", as the transport says; may be empty.
  const std::string& peer_address() const { return from_.peer_address; }
  // Names the peer's connection on this server (ZeroMQ's routing id).
  const std::string& connection() const { return from_.connection; }
  // When the caller stops waiting; long work should end before.
  BootTime deadline() const { return deadline_; }
  bool answered() const { return answered_; }

  // Sends `reply` with this request's id.
  void Answer(v1::Reply reply);
  void Fail(const Status& status);

 private:
  friend class Desk;
  friend class Server;
  using Leave = std::function<void(const Call&, v1::Reply)>;
  Call(Arrival from, Leave leave) : from_(std::move(from)), leave_(std::move(leave)) {}

  Arrival from_;  // without its body
  Leave leave_;
  AuditFacts audit_;
  v1::Request request_;
  BootTime deadline_;
  bool answered_ = false;
};

using CallPtr = std::shared_ptr<Call>;
using Handler = std::function<void(const CallPtr&)>;
// The dispatcher is data: one row a call.
using HandlerTable = std::map<v1::Request::CallCase, Handler>;

// [peer][body] from a DEALER, [peer][empty][body] from a REQ: where the body is, nullopt for anything else.
struct Envelope {
  bool delimiter = false;
  size_t body = 1;
};
std::optional<Envelope> OpenEnvelope(std::span<const std::string_view> parts);

// Most bytes of a request, by call (the field's number): reading one takes the loop's time, and of small parts much
// memory.
size_t MostBytes(int call);

// What serves requests, apart from the socket. Every arrival gets one answer through `leave`, now or later.
class Desk {
 public:
  Desk(HandlerTable table, Gate* gate) : table_(std::move(table)), gate_(gate) {}
  // How it went at the desk: OK, handed to its handler (and answered there).
  Status Serve(Arrival arrival, BootTime now, std::function<void(const Call&, v1::Reply)> leave) const;

 private:
  Status Check(Call& call, std::string_view body, BootTime now) const;

  HandlerTable table_;
  Gate* gate_;
};

class Server {
 public:
  // Binds `endpoint` ("tcp://127.0.0.1:0", "ipc://..."). Errors: kInvalidArgument for plain text beyond loopback or a
  // bad endpoint, kUnavailable when the address is in use.
  static Result<std::unique_ptr<Server>> Bind(evloop::Loop& loop,
                                              zmq::context_t& context,
                                              const std::string& endpoint,
                                              HandlerTable table,
                                              Security security,
                                              ConnectionBounds bounds = {});
  ~Server();

  // With the real port.
  const std::string& endpoint() const { return endpoint_; }
  // Replies lost because the peer was gone or full.
  uint64_t replies_lost() const { return replies_lost_; }
  uint64_t requests_bad() const { return requests_bad_; }
  const Connections& connections() const { return *connections_; }

 private:
  Server(evloop::Loop& loop,
         zmq::context_t& context,
         zmq::socket_t socket,
         HandlerTable table,
         Security security,
         ConnectionBounds bounds);
  void OnReadable();
  void Take(std::vector<zmq::message_t>& parts);
  void Leave(const Call& call, v1::Reply reply);
  void Send(const Arrival& to, const v1::Reply& reply);

  evloop::Loop& loop_;
  zmq::socket_t socket_;
  std::unique_ptr<Connections> connections_;
  Security security_;
  Desk desk_;
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
