// Calls to one faraday.v1 server.
//
// Channel is for daemons: asynchronous, in the loop's thread, any number of calls in flight. A missed deadline closes
// the socket (nothing old is delivered later) and fails every call in flight with the outcome unknown; the next call
// connects anew. CallOnce is for the CLI and tests: blocking.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <zmq.hpp>

#include "base/clock.h"
#include "base/result.h"
#include "evloop/loop.h"
#include "faraday/v1/envelope.pb.h"
#include "rpc/security.h"

namespace faraday::rpc {

class Channel {
 public:
  // OK with the reply (whose own status may still be an error: use GetStatus), or kDeadlineExceeded / kUnavailable
  // with a message that names the endpoint.
  using Done = std::function<void(Result<v1::Reply>)>;

  // Does not connect yet.
  Channel(evloop::Loop& loop, zmq::context_t& context, std::string endpoint, Credentials who);
  ~Channel();  // calls in flight are dropped without a callback

  // Sends at once; `done` runs later, in the loop, exactly once. The request's id and timeout_ms are set here.
  void Call(v1::Request request, Milliseconds timeout, Done done);
  const std::string& endpoint() const { return endpoint_; }
  size_t in_flight() const { return waiting_.size(); }

 private:
  struct Waiting {
    Done done;
    evloop::Handle timer;
  };
  Status Connect();
  void OnHandshake();
  void Close(const Status& why);
  void OnReadable();
  uint64_t CallOf(const v1::Reply& reply) const;
  void Finish(uint64_t id, Result<v1::Reply> reply);

  evloop::Loop& loop_;
  zmq::context_t& context_;
  std::string endpoint_;
  Credentials who_;
  std::unique_ptr<zmq::socket_t> socket_;
  std::unique_ptr<HandshakeWatch> handshake_;
  evloop::Handle watch_ = 0;
  evloop::Handle handshake_watch_ = 0;
  uint64_t next_id_ = 1;
  std::map<uint64_t, Waiting> waiting_;
  std::map<uint64_t, evloop::Handle> lost_;  // calls of a closed socket whose callbacks have not run yet
};

// One call on a socket of its own. Returns the reply when its status is OK, else that status;
// kDeadlineExceeded when no answer came in `timeout`, kInvalidArgument for a bad endpoint, kUnauthenticated when the
// handshake fails.
Result<v1::Reply> CallOnce(zmq::context_t& context,
                           const std::string& endpoint,
                           v1::Request request,
                           Milliseconds timeout,
                           Credentials who = {});

// The same on one kept connection, for programs that make several calls in a row; both wait, and ask again, when the
// server refuses a call for its rate and `timeout` leaves time for it. One thread.
class BlockingClient {
 public:
  BlockingClient(zmq::context_t& context, std::string endpoint, Credentials who);
  ~BlockingClient();
  Result<v1::Reply> Call(v1::Request request, Milliseconds timeout);
  const std::string& endpoint() const { return endpoint_; }

 private:
  zmq::context_t& context_;
  std::string endpoint_;
  Credentials who_;
  void Disconnect();
  Result<v1::Reply> CallOnceMore(v1::Request request, Milliseconds timeout);

  std::unique_ptr<zmq::socket_t> socket_;
  std::unique_ptr<HandshakeWatch> handshake_;
  uint64_t next_id_ = 1;
};

}  // namespace faraday::rpc
