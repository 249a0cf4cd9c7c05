// Events out and in. Topics end in "/", seq counts per topic, publisher_run tells restarts, a tick each second lists
// the topics changed in the last 10 s with their last seq, so that a subscriber knows what it lacks.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "base/clock.h"
#include "base/result.h"
#include "evloop/loop.h"
#include "faraday/v1/envelope.pb.h"
#include "faraday/v1/event.pb.h"
#include "rpc/connections.h"
#include "rpc/security.h"

namespace faraday::rpc {

// When topics are forgotten, so that neither memory nor a Snapshot (at most 1 MiB) grows for ever.
struct TopicBound {
  size_t most = 2000;             // chosen: about 100 KiB of Snapshot
  Milliseconds quiet{3'600'000};  // chosen; only topics silent for this long are forgotten
};

// A subscriber beyond ConnectionBounds is cut off; one that does not read loses events, and after 15 s
// its connection.
class Publisher {
 public:
  // Binds an XPUB socket. Errors as Server::Bind.
  static Result<std::unique_ptr<Publisher>> Bind(evloop::Loop& loop,
                                                 zmq::context_t& context,
                                                 const std::string& endpoint,
                                                 Security security,
                                                 TopicBound bound = {},
                                                 ConnectionBounds connections = {});
  ~Publisher();

  // Fills topic, seq, publisher_run and utc_ms, sends; never blocks (a slow subscriber loses events and sees the gap).
  // REQUIRES: topic ends in "/".
  void Publish(const std::string& topic, v1::Event event);
  // Ends every subscriber's connection; those whose keys are still admitted come back by themselves within about a
  // second and see the gap in the counts. For keys that were disabled: libzmq cannot end one subscriber's connection.
  void EndConnections();
  // What a Snapshot call answers.
  v1::SnapshotResult Snapshot() const;
  const std::string& endpoint() const { return endpoint_; }
  // nullptr while it is being bound again.
  const Connections* connections() const { return connections_.get(); }

 private:
  Publisher(
      evloop::Loop& loop, zmq::context_t& context, Security security, TopicBound bound, ConnectionBounds connections);
  // Throws zmq::error_t.
  void Open(const std::string& endpoint);
  void Close();
  void BindAgain();
  void ReadSubscriptions();
  void CountTopics(zmq::message_t& subscription);
  void Tick();
  void ForgetQuietTopics();

  evloop::Loop& loop_;
  zmq::context_t& context_;
  Security security_;
  ConnectionBounds connection_bounds_;
  zmq::socket_t socket_;
  std::unique_ptr<Connections> connections_;
  evloop::Handle watch_ = 0;
  std::string endpoint_;
  std::string run_;
  evloop::Handle ticker_ = 0;
  evloop::Handle binder_ = 0;
  struct Topic {
    uint64_t seq = 0;
    BootTime changed;
  };
  std::map<std::string, Topic> topics_;
  TopicBound bound_;
  // The largest seq of a forgotten topic. New topics count on from here, so that a seq never comes twice.
  uint64_t floor_ = 0;
};

// Subscribes to `topics` (prefixes; "" is everything) and calls back in the loop for each event.
class Subscriber {
 public:
  Subscriber(evloop::Loop& loop,
             zmq::context_t& context,
             const std::string& endpoint,
             const Credentials& who,
             std::vector<std::string> topics,
             std::function<void(const v1::Event&)> callback);
  ~Subscriber();
  // OK, or why it cannot subscribe: no key is known for the server, or the handshake failed (kUnauthenticated).
  const Status& status() const { return status_; }

 private:
  Status status_;
  evloop::Handle handshake_watch_ = 0;
  std::unique_ptr<HandshakeWatch> handshake_;
  evloop::Loop& loop_;
  zmq::socket_t socket_;
  evloop::Handle watch_ = 0;
  std::function<void(const v1::Event&)> callback_;
};

}  // namespace faraday::rpc
