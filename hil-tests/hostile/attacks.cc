#include "hil-tests/hostile/attacks.h"

#include <unistd.h>

#include <chrono>
#include <deque>
#include <functional>
#include <random>
#include <thread>

#include "hil-tests/hostile/raw_peer.h"
#include "rpc/server.h"

namespace faraday::hil {
namespace {

using std::chrono::milliseconds;

// ZMTP 3.1's greeting, mechanism CURVE (RFC 23).
std::string Greeting() {
  std::string greeting("\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01", 12);
  greeting += "CURVE";
  greeting.resize(64, '\0');
  return greeting;
}
constexpr size_t kGreetingAndHello = 64 + 2 + 200;

std::string Noise(size_t bytes) {
  static std::minstd_rand random(1);
  std::string noise(bytes, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  return noise;
}

// Keeps `count` connections, each of which says `words`; those that were ended come again.
void Crowd(const std::string& endpoint, size_t count, std::string_view words) {
  std::deque<RawPeer> peers;
  for (;;) {
    for (RawPeer& peer : peers) {
      if (peer.open()) continue;
      peer = RawPeer(endpoint);
      peer.Send(words);
    }
    for (int i = 0; i < 50 && peers.size() < count; ++i) {
      peers.emplace_back(endpoint);
      peers.back().Send(words);
    }
    usleep(1000);
  }
}

// As fast as it goes: connect, speak, leave, with some connections standing.
void Stampede(const std::string& endpoint, std::string_view words) {
  std::deque<RawPeer> peers;
  for (;;) {
    peers.emplace_back(endpoint);
    peers.back().Send(words);
    if (peers.size() > 200) peers.pop_front();
  }
}

void Silent(const Target& target) { Crowd(target.endpoint, 4000, ""); }
void HalfGreeting(const Target& target) { Crowd(target.endpoint, 4000, Greeting()); }
void Garbage(const Target& target) { Stampede(target.endpoint, Noise(4096)); }

v1::Request Ping() {
  v1::Request request;
  request.mutable_ping();
  return request;
}

v1::Request Chunk() {
  v1::Request request;
  request.mutable_read_chunk()->set_attempt("a");
  return request;
}

// What the first hostile key says when it makes a call.
std::string Recorded(const Target& target) {
  Target copy = target;
  const auto call = [](const std::string& endpoint, void* context) {
    const auto& real = *static_cast<Target*>(context);
    zmq::context_t zmq;
    rpc::BlockingClient client(zmq, endpoint, As(*real.people, real.people->hostile[0]));
    if (!client.Call(Ping(), milliseconds(10'000)).ok()) _exit(3);
  };
  return Record(target.endpoint, call, &copy);
}

void HalfCurve(const Target& target) { Crowd(target.endpoint, 2000, Recorded(target).substr(0, kGreetingAndHello)); }
void Replay(const Target& target) { Stampede(target.endpoint, Recorded(target)); }

// A CURVE socket of ours that keeps to no rule of ours.
zmq::socket_t Dealer(zmq::context_t& context,
                     const Target& target,
                     const rpc::Keys& keys,
                     zmq::socket_type type = zmq::socket_type::dealer) {
  zmq::socket_t socket(context, type);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::sndhwm, 1000);
  socket.set(zmq::sockopt::reconnect_ivl, 1);
  socket.set(zmq::sockopt::sndtimeo, 0);
  const rpc::Credentials who = As(*target.people, keys);
  [[maybe_unused]] const Status shown = rpc::Present(socket, target.endpoint, who);
  return socket;
}

void UnknownKeys(const Target& target) {
  zmq::context_t context;
  std::deque<zmq::socket_t> sockets;
  for (;;) {
    const auto keys = std::make_shared<access::KeyPair>(access::NewKeyPair());
    sockets.push_back(Dealer(context, target, keys));
    sockets.back().connect(target.endpoint);
    if (sockets.size() > 300) sockets.pop_front();
  }
}

// `count` connections of each hostile key; `act` again and again for each.
void Flood(const Target& target, size_t count, const std::function<void(zmq::socket_t&)>& act) {
  zmq::context_t context;
  context.set(zmq::ctxopt::max_sockets, 8000);
  std::deque<zmq::socket_t> sockets;
  for (size_t i = 0; i < count; ++i) {
    for (const auto& keys : target.people->hostile) {
      sockets.push_back(Dealer(context, target, keys));
      sockets.back().set(zmq::sockopt::rcvhwm, 1);
      sockets.back().set(zmq::sockopt::rcvbuf, 4096);
      sockets.back().connect(target.endpoint);
    }
  }
  for (;;) {
    for (zmq::socket_t& socket : sockets) act(socket);
    std::this_thread::yield();
  }
}

void Send(zmq::socket_t& socket, std::string_view body) {
  [[maybe_unused]] const auto sent = socket.send(zmq::buffer(body), zmq::send_flags::dontwait);
}

void NeverReads(const Target& target) {
  const std::string ask = Chunk().SerializeAsString();
  Flood(target, 20, [&](zmq::socket_t& socket) { Send(socket, ask); });
}

void Oversized(const Target& target) {
  const std::string frame(3 << 20, 'x');
  Flood(target, 2, [&](zmq::socket_t& socket) { Send(socket, frame); });
}

void LargeFrames(const Target& target) {
  const std::string frame(rpc::kMaxMessageBytes - 1000, 'x');
  Flood(target, 4, [&](zmq::socket_t& socket) { Send(socket, frame); });
}

void ManyParts(const Target& target) {
  Flood(target, 2, [](zmq::socket_t& socket) {
    for (int i = 0; i < 5000; ++i) {
      const auto more = i < 4999 ? zmq::send_flags::sndmore : zmq::send_flags::none;
      if (!socket.send(zmq::str_buffer("part"), more | zmq::send_flags::dontwait)) return;
    }
  });
}

// ZMTP's greeting and READY without keys, as a DEALER (RFC 23).
std::string PlainHandshake() {
  std::string words("\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL", 16);
  words.resize(64, '\0');
  const std::string ready = std::string(
      "\x05READY\x0bSocket-Type\0\0\0\x06"
      "DEALER",
      6 + 12 + 4 + 6);
  return words + '\x04' + static_cast<char>(ready.size()) + ready;
}

// One message whose last part never comes. libzmq's own clients keep such a message to themselves: made by hand.
void EndlessMessage(const Target& target) {
  std::string part(9 + (1 << 19), 'x');
  part.replace(0, 9, std::string("\x03\0\0\0\0\0\x08\0\0", 9));  // more parts follow; 512 KiB
  std::deque<RawPeer> peers;
  std::deque<std::string> left;
  for (;;) {
    if (peers.size() < 8) {
      peers.emplace_back(target.plain);
      left.push_back(PlainHandshake());
    }
    for (size_t i = 0; i < peers.size(); ++i) {
      if (!peers[i].open()) {
        peers[i] = RawPeer(target.plain);
        left[i] = PlainHandshake();
      }
      left[i].erase(0, peers[i].Send(left[i]));
      if (left[i].empty()) left[i] = part;
    }
  }
}

void BadProtobuf(const Target& target) {
  const std::string noise = Noise(300);
  Flood(target, 4, [&](zmq::socket_t& socket) { Send(socket, noise); });
}

void WrongDelimiters(const Target& target) {
  Flood(target, 4, [&](zmq::socket_t& socket) {
    [[maybe_unused]] const auto sent =
        socket.send(zmq::str_buffer("no delimiter"), zmq::send_flags::sndmore | zmq::send_flags::dontwait);
    Send(socket, "body");
  });
}

void CallFlood(const Target& target) {
  const std::string ask = Ping().SerializeAsString();
  Flood(target, 8, [&](zmq::socket_t& socket) {
    Send(socket, ask);
    zmq::message_t answer;
    while (socket.recv(answer, zmq::recv_flags::dontwait)) {
    }
  });
}

// The most work for the fewest bytes: a message of empty messages.
void SlowToParse(const Target& target) {
  v1::Request request;
  for (int i = 0; i < 16'000; ++i) request.mutable_report()->add_facts();
  const std::string body = request.SerializeAsString();
  Flood(target, 4, [&](zmq::socket_t& socket) { Send(socket, body); });
}

void OneKey(const Target& target) {
  zmq::context_t context;
  context.set(zmq::ctxopt::max_sockets, 8000);
  std::deque<zmq::socket_t> sockets;
  const std::string ask = Ping().SerializeAsString();
  for (;;) {
    if (sockets.size() < 3000) {
      sockets.push_back(Dealer(context, target, target.people->hostile[0]));
      sockets.back().connect(target.endpoint);
      Send(sockets.back(), ask);
    } else {
      usleep(10'000);
    }
  }
}

zmq::socket_t Subscription(zmq::context_t& context, const Target& target, const rpc::Keys& keys) {
  zmq::socket_t socket = Dealer(context, target, keys, zmq::socket_type::xsub);
  socket.set(zmq::sockopt::rcvhwm, 1);
  socket.set(zmq::sockopt::rcvbuf, 4096);
  socket.set(zmq::sockopt::sndhwm, 0);
  socket.connect(target.events);
  return socket;
}

void DeafSubscribers(const Target& target) {
  zmq::context_t context;
  std::deque<zmq::socket_t> sockets;
  for (int i = 0; i < 20; ++i) {
    for (const auto& keys : target.people->hostile) {
      sockets.push_back(Subscription(context, target, keys));
      Send(sockets.back(), "\x01");
    }
  }
  for (;;) pause();
}

void MillionTopics(const Target& target) {
  zmq::context_t context;
  std::deque<zmq::socket_t> sockets;
  for (const auto& keys : target.people->hostile) sockets.push_back(Subscription(context, target, keys));
  for (uint64_t topic = 0;; ++topic) {
    for (auto& socket : sockets) Send(socket, "\x01" + std::to_string(topic * 2654435761U) + "/of/a/long/topic/");
    if (topic % 1000 == 0) usleep(1000);
  }
}

}  // namespace

const std::vector<Attack>& Attacks() {
  static const std::vector<Attack> kAttacks = {
      {"silent", "4000 TCP connections that say nothing, again when they are ended", Silent},
      {"half-greeting", "4000 that send ZMTP's greeting and stop", HalfGreeting},
      {"half-curve", "2000 that begin a CURVE handshake and stop", HalfCurve},
      {"garbage", "connections with 4 KiB of noise, as fast as it goes", Garbage},
      {"replay", "a recorded handshake and call, as fast as it goes", Replay},
      {"unknown-keys", "handshakes with keys that nobody knows, as fast as it goes", UnknownKeys},
      {"one-key", "3000 connections with one valid key", OneKey},
      {"never-reads", "80 connections of 4 keys ask for 256 KiB chunks and read nothing", NeverReads},
      {"oversized", "frames of 3 MiB", Oversized},
      {"large", "frames just below 1 MiB that are no request", LargeFrames},
      {"many-parts", "messages of 5000 parts", ManyParts},
      {"endless", "a message whose last part never comes", EndlessMessage},
      {"bad-protobuf", "frames of noise", BadProtobuf},
      {"delimiters", "messages in two parts where one is due", WrongDelimiters},
      {"call-flood", "32 connections of 4 keys call as fast as they can", CallFlood},
      {"slow-to-parse", "requests of 16,000 empty messages each, all that fit", SlowToParse},
      {"deaf-subscribers", "80 subscribers to all events read nothing", DeafSubscribers},
      {"million-topics", "4 subscribers subscribe to ever more topics", MillionTopics},
  };
  return kAttacks;
}

}  // namespace faraday::hil
