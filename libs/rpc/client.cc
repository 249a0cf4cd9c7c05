#include "rpc/client.h"

#include <fmt/format.h>
#include <zmq.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "rpc/rate_limits.h"
#include "rpc/server.h"

namespace faraday::rpc {
namespace {

// A peer that stays silent this long on a heartbeat is gone (chosen; well below a long poll's 10 s).
constexpr int kHeartbeatMs = 2000;
constexpr int kHeartbeatTimeoutMs = 6000;

struct Connection {
  std::unique_ptr<zmq::socket_t> socket;
  std::unique_ptr<HandshakeWatch> handshake;
};

Result<Connection> ConnectDealer(zmq::context_t& context, const std::string& endpoint, const Credentials& who) {
  try {
    auto made = std::make_unique<zmq::socket_t>(context, zmq::socket_type::dealer);
    zmq::socket_t& socket = *made;
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::sndhwm, 1000);
    socket.set(zmq::sockopt::maxmsgsize, kMaxMessageBytes);
    socket.set(zmq::sockopt::heartbeat_ivl, kHeartbeatMs);
    socket.set(zmq::sockopt::heartbeat_timeout, kHeartbeatTimeoutMs);
    socket.set(zmq::sockopt::reconnect_ivl, 50);
    socket.set(zmq::sockopt::reconnect_ivl_max, 1000);
    FARADAY_TRY(Present(socket, endpoint, who));
    auto handshake = std::make_unique<HandshakeWatch>(context, socket, endpoint, who);
    socket.connect(endpoint);
    return Connection{std::move(made), std::move(handshake)};
  } catch (const zmq::error_t& error) {
    return Status(Code::kInvalidArgument, fmt::format("'{}' is no endpoint: {}", endpoint, error.what()));
  }
}

bool SendRequest(zmq::socket_t& socket, const v1::Request& request) {
  zmq::message_t body(request.ByteSizeLong());
  request.SerializeToArray(body.data(), static_cast<int>(body.size()));
  try {
    return socket.send(body, zmq::send_flags::dontwait).has_value();
  } catch (const zmq::error_t&) {
    return false;
  }
}

// A server that could not even read the frame's id.
bool RefusesAFrame(const v1::Reply& reply) { return reply.id() == 0 && reply.status().code() != 0; }

Status NoAnswer(const std::string& endpoint, Milliseconds timeout) {
  return {Code::kDeadlineExceeded,
          fmt::format("no answer from {} within {} ms; is it running? Whether the call took effect is unknown",
                      endpoint,
                      timeout.count())};
}

}  // namespace

// ---- Channel ----

Channel::Channel(evloop::Loop& loop, zmq::context_t& context, std::string endpoint, Credentials who)
    : loop_(loop), context_(context), endpoint_(std::move(endpoint)), who_(std::move(who)) {}

Channel::~Channel() {
  loop_.Remove(watch_);
  loop_.Remove(handshake_watch_);
  for (const auto& [id, waiting] : waiting_) loop_.Remove(waiting.timer);
  for (const auto& [id, timer] : lost_) loop_.Remove(timer);
}

Status Channel::Connect() {
  FARADAY_TRY_ASSIGN(auto connection, ConnectDealer(context_, endpoint_, who_));
  socket_ = std::move(connection.socket);
  handshake_ = std::move(connection.handshake);
  watch_ = loop_.AddSocket("call " + endpoint_, socket_->handle(), [this] { OnReadable(); });
  handshake_watch_ = loop_.AddSocket("handshake " + endpoint_, handshake_->handle(), [this] { OnHandshake(); });
  return OkStatus();
}

void Channel::OnHandshake() {
  if (const auto why = handshake_->Read()) Close(*why);
}

void Channel::Call(v1::Request request, Milliseconds timeout, Done done) {
  const Status connected = socket_ ? OkStatus() : Connect();
  const uint64_t id = next_id_++;
  request.set_id(id);
  request.set_timeout_ms(static_cast<uint32_t>(timeout.count()));
  if (!request.has_caller()) *request.mutable_caller() = who_.caller;
  const auto timer = loop_.AddTimer(
      "deadline " + endpoint_, BootClock::now() + timeout, [this, timeout] { Close(NoAnswer(endpoint_, timeout)); });
  waiting_[id] = {std::move(done), timer};
  if (!socket_ || !SendRequest(*socket_, request)) {
    loop_.Remove(timer);
    const Status why = connected.ok()
                           ? Status(Code::kUnavailable, fmt::format("cannot send to {}: its queue is full", endpoint_))
                           : connected;
    waiting_[id].timer = loop_.AddTimer("unsent " + endpoint_, BootClock::now(), [this, id, why] { Finish(id, why); });
  }
}

void Channel::Close(const Status& why) {
  loop_.Remove(watch_);
  loop_.Remove(handshake_watch_);
  watch_ = handshake_watch_ = 0;
  handshake_.reset();
  socket_.reset();
  auto waiting = std::move(waiting_);
  waiting_.clear();
  for (auto& [id, call] : waiting) loop_.Remove(call.timer);
  for (auto& [id, call] : waiting) {
    // Each in its own turn: a callback may destroy this channel.
    lost_[id] = loop_.AddTimer("lost " + endpoint_, loop_.now(), [this, lost = id, done = std::move(call.done), why] {
      lost_.erase(lost);
      done(why);
    });
  }
}

void Channel::OnReadable() {
  for (int i = 0; i < 64 && socket_; ++i) {
    zmq::message_t body;
    try {
      if (!socket_->recv(body, zmq::recv_flags::dontwait)) return;
    } catch (const zmq::error_t&) {
      return;
    }
    if (body.more()) continue;
    v1::Reply reply;
    if (!reply.ParseFromArray(body.data(), static_cast<int>(body.size()))) continue;
    const auto id = CallOf(reply);
    Finish(id, std::move(reply));
    return;  // the callback may have destroyed this channel; the loop calls again while there is more
  }
}

// Which of several calls was refused nobody can tell: those run into their deadlines.
uint64_t Channel::CallOf(const v1::Reply& reply) const {
  return RefusesAFrame(reply) && waiting_.size() == 1 ? waiting_.begin()->first : reply.id();
}

void Channel::Finish(uint64_t id, Result<v1::Reply> reply) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;
  const auto done = std::move(found->second.done);
  loop_.Remove(found->second.timer);
  waiting_.erase(found);
  done(std::move(reply));
}

// ---- blocking ----

BlockingClient::BlockingClient(zmq::context_t& context, std::string endpoint, Credentials who)
    : context_(context), endpoint_(std::move(endpoint)), who_(std::move(who)) {}

BlockingClient::~BlockingClient() = default;

void BlockingClient::Disconnect() {
  handshake_.reset();
  socket_.reset();
}

Result<v1::Reply> BlockingClient::Call(v1::Request request, Milliseconds timeout) {
  const auto end = BootClock::now() + timeout;
  for (;;) {
    auto reply = CallOnceMore(request, std::max(Milliseconds(1), end - BootClock::now()));
    const auto wait = reply.ok() ? std::nullopt : AskedToWait(reply.status());
    if (!wait || BootClock::now() + *wait >= end) return reply;
    std::this_thread::sleep_for(*wait);
  }
}

Result<v1::Reply> BlockingClient::CallOnceMore(v1::Request request, Milliseconds timeout) {
  if (!socket_) {
    FARADAY_TRY_ASSIGN(auto connection, ConnectDealer(context_, endpoint_, who_));
    socket_ = std::move(connection.socket);
    handshake_ = std::move(connection.handshake);
  }
  const uint64_t id = next_id_++;
  request.set_id(id);
  request.set_timeout_ms(static_cast<uint32_t>(timeout.count()));
  if (!request.has_caller()) *request.mutable_caller() = who_.caller;
  if (!SendRequest(*socket_, request)) {
    Disconnect();
    return Status(Code::kUnavailable, fmt::format("cannot send to {}", endpoint_));
  }
  const auto end = BootClock::now() + timeout;
  for (;;) {
    const auto left = end - BootClock::now();
    zmq_pollitem_t items[] = {{socket_->handle(), 0, ZMQ_POLLIN, 0}, {handshake_->handle(), 0, ZMQ_POLLIN, 0}};
    if (left.count() <= 0 || zmq_poll(items, 2, static_cast<long>(left.count())) < 0) break;
    if (const auto why = handshake_->Read()) {
      Disconnect();
      return *why;
    }
    zmq::message_t body;
    if (!socket_->recv(body, zmq::recv_flags::dontwait)) continue;
    v1::Reply reply;
    if (!reply.ParseFromArray(body.data(), static_cast<int>(body.size()))) continue;
    if (RefusesAFrame(reply)) {
      Disconnect();
      return GetStatus(reply);
    }
    if (reply.id() != id) continue;
    FARADAY_TRY(GetStatus(reply));
    return reply;
  }
  Disconnect();  // nothing old is delivered later
  return NoAnswer(endpoint_, timeout);
}

Result<v1::Reply> CallOnce(
    zmq::context_t& context, const std::string& endpoint, v1::Request request, Milliseconds timeout, Credentials who) {
  BlockingClient client(context, endpoint, std::move(who));
  return client.Call(std::move(request), timeout);
}

}  // namespace faraday::rpc
