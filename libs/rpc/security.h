// How a socket is protected, and the ports that decide who comes in. CURVE encrypts and proves keys; the ZAP handler
// lets in only keys that the gate admits (deny by default); the gate then decides each call.
//
// Plain sockets exist for ipc:// and inproc://, and on loopback where a config says so in words.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#include <zmq.hpp>

#include "access/key.h"
#include "base/result.h"
#include "evloop/loop.h"
#include "faraday/v1/envelope.pb.h"

namespace faraday::rpc {

using Keys = std::shared_ptr<const access::KeyPair>;

class Call;

// Decides who connects and which calls are served. One a daemon, in the loop's thread; outlives its sockets.
class Gate {
 public:
  virtual ~Gate() = default;
  // At the handshake of every connection: whether this key may connect at all.
  virtual bool Admits(const access::PublicKey& key) = 0;
  // Whom a connection with this key counts for: a user, whatever keys it has.
  virtual std::string OwnerOf(const access::PublicKey& key) const { return access::ToHex(key); }
  // Before a call is served: sets the call's caller (SetCaller) and returns OK, or refuses.
  virtual Status Enter(Call& call) = 0;
  // With every answer, the gate's own refusals too: calls `send` once, now or later in the loop.
  virtual void Leave(const Call& call, const v1::Reply& reply, std::function<void()> send) = 0;
};

// A server socket's protection.
struct Security {
  Keys keys;             // null: plain text
  Gate* gate = nullptr;  // REQUIRED with keys. Without: every call is served and callers are believed
};

// Plain text without a gate, in words: for tests.
inline Security Plain() { return {}; }

// RFC 27: the answer to one question of libzmq, whose parts these are: [peer][empty][version][request id][domain]
// [address][routing id][mechanism][credentials...]. nullopt when it is no question.
struct ZapAnswer {
  bool admitted = false;
  std::string user;  // the admitted key in hex
};
std::optional<ZapAnswer> AnswerZap(std::span<const std::string_view> question, Gate& gate);

// The ZAP handler of a context (RFC 27): answers libzmq's question for every CURVE handshake. Bind it before the first
// encrypted socket of the context: without one libzmq lets everybody in.
class ZapHandler {
 public:
  // kUnavailable when the context has one already.
  static Result<std::unique_ptr<ZapHandler>> Bind(evloop::Loop& loop, zmq::context_t& context, Gate& gate);
  ~ZapHandler();
  uint64_t admitted() const { return admitted_; }
  uint64_t refused() const { return refused_; }

 private:
  ZapHandler(evloop::Loop& loop, zmq::socket_t socket, Gate& gate);
  void OnReadable();
  void Answer(const std::vector<zmq::message_t>& request);

  evloop::Loop& loop_;
  zmq::socket_t socket_;
  Gate& gate_;
  evloop::Handle watch_ = 0;
  uint64_t admitted_ = 0;
  uint64_t refused_ = 0;
};

// OK when the endpoint may be bound: keys anywhere; plain text on ipc, inproc and loopback only.
Status CheckBind(const std::string& endpoint, const Security& security);
// Makes `socket` a CURVE server when there are keys.
void Protect(zmq::socket_t& socket, const Security& security);

// ---- clients ----

// Who a client is and whom it takes for its servers.
struct Credentials {
  Credentials() = default;
  Credentials(v1::Caller as) : caller(std::move(as)) {}  // NOLINT: plain text, believed

  v1::Caller caller;  // put into requests that carry none
  Keys keys;          // null: plain text
  // The public key of the server at an endpoint; asked at each connect. Errors say what to do.
  std::function<Result<access::PublicKey>(const std::string& endpoint)> server_key;
};

// Sets keys on a client socket before it connects.
Status Present(zmq::socket_t& socket, const std::string& endpoint, const Credentials& who);

// Why a connection does not come about: libzmq retries in silence, its monitor knows.
class HandshakeWatch {
 public:
  // REQUIRES: before the socket connects; this goes before the socket is closed.
  HandshakeWatch(zmq::context_t& context, zmq::socket_t& socket, std::string endpoint, const Credentials& who);
  ~HandshakeWatch();
  HandshakeWatch(const HandshakeWatch&) = delete;
  HandshakeWatch& operator=(const HandshakeWatch&) = delete;
  // For polling; readable when Read has something.
  void* handle() { return monitor_.handle(); }
  // What is new: nullopt nothing of interest; else kUnauthenticated with what to do.
  std::optional<Status> Read();

 private:
  zmq::socket_ref watched_;
  zmq::socket_t monitor_;
  std::string endpoint_;
  std::string fingerprint_;  // ours, empty: plain
  int unexplained_ = 0;
};

}  // namespace faraday::rpc
