#include "rpc/server.h"

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "base/log.h"

namespace faraday::rpc {
namespace {

// At most this many requests before the loop looks at its other work (chosen).
constexpr int kBatch = 64;

bool IsLoopbackHost(std::string_view host) {
  return host == "localhost" || host == "[::1]" || host == "::1" || host.substr(0, 4) == "127.";
}

std::vector<zmq::message_t> ReceiveParts(zmq::socket_t& socket) {
  std::vector<zmq::message_t> parts;
  do {
    zmq::message_t part;
    if (!socket.recv(part, zmq::recv_flags::dontwait)) break;
    parts.push_back(std::move(part));
  } while (parts.back().more());
  return parts;
}

std::string Metadata(zmq::message_t& message, const char* name) {
  const char* value = zmq_msg_gets(message.handle(), name);
  return value == nullptr ? "" : value;
}

}  // namespace

Status CheckLoopback(const std::string& endpoint) {
  const std::string_view text = endpoint;
  if (text.starts_with("ipc://") || text.starts_with("inproc://")) return OkStatus();
  if (text.starts_with("tcp://")) {
    const auto address = text.substr(6);
    if (IsLoopbackHost(address.substr(0, address.rfind(':')))) return OkStatus();
    return {Code::kInvalidArgument,
            fmt::format("'{}' is reachable from other machines; plain text is allowed on loopback only, "
                        "for example tcp://127.0.0.1:7700",
                        endpoint)};
  }
  return {Code::kInvalidArgument,
          fmt::format("'{}' is no endpoint; write tcp://127.0.0.1:PORT or ipc:///PATH", endpoint)};
}

void SetStatus(const Status& status, v1::Reply* reply) {
  if (status.ok()) return;
  reply->mutable_status()->set_code(static_cast<int>(status.code()));
  reply->mutable_status()->set_message(status.message());
}

Status GetStatus(const v1::Reply& reply) {
  if (reply.status().code() == 0) return OkStatus();
  return {static_cast<Code>(reply.status().code()), reply.status().message()};
}

v1::Reply ErrorReply(const Status& status) {
  v1::Reply reply;
  SetStatus(status, &reply);
  return reply;
}

// ---- Call ----

Call::~Call() {
  if (!answered_) Fail({Code::kInternal, "the server dropped this call without an answer; please report it"});
}

void Call::Answer(v1::Reply reply) {
  if (answered_) return;
  answered_ = true;
  reply.set_id(request_.id());
  if (const auto server = server_.lock()) (*server)->Leave(*this, std::move(reply));
}

void Call::Fail(const Status& status) { Answer(ErrorReply(status)); }

// ---- Server ----

Result<std::unique_ptr<Server>> Server::Bind(
    evloop::Loop& loop, zmq::context_t& context, const std::string& endpoint, HandlerTable table, Security security) {
  FARADAY_TRY(CheckBind(endpoint, security));
  try {
    zmq::socket_t socket(context, zmq::socket_type::router);
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::router_mandatory, 1);
    socket.set(zmq::sockopt::maxmsgsize, kMaxMessageBytes);
    socket.set(zmq::sockopt::sndhwm, 1000);
    Protect(socket, security);
    socket.bind(endpoint);
    return std::unique_ptr<Server>(new Server(loop, std::move(socket), std::move(table), std::move(security)));
  } catch (const zmq::error_t& error) {
    const auto code = error.num() == EADDRINUSE ? Code::kUnavailable : Code::kInvalidArgument;
    return Status(code, fmt::format("cannot listen on '{}': {}", endpoint, error.what()));
  }
}

Server::Server(evloop::Loop& loop, zmq::socket_t socket, HandlerTable table, Security security)
    : loop_(loop),
      socket_(std::move(socket)),
      table_(std::move(table)),
      security_(std::move(security)),
      endpoint_(socket_.get(zmq::sockopt::last_endpoint)),
      self_(std::make_shared<Server*>(this)) {
  watch_ = loop_.AddSocket("rpc " + endpoint_, socket_.handle(), [this] { OnReadable(); });
}

Server::~Server() { loop_.Remove(watch_); }

void Server::OnReadable() {
  for (int i = 0; i < kBatch; ++i) {
    auto parts = ReceiveParts(socket_);
    if (parts.empty()) return;
    // DEALER sends [peer][body], REQ [peer][empty][body]. Anything else is not ours.
    if (parts.size() == 2) {
      Serve(std::move(parts[0]), false, parts[1]);
    } else if (parts.size() == 3 && parts[1].size() == 0) {
      Serve(std::move(parts[0]), true, parts[2]);
    } else {
      ++requests_bad_;
    }
  }
}

void Server::Serve(zmq::message_t peer, bool delimiter, zmq::message_t& body) {
  const CallPtr call(new Call());
  call->server_ = self_;
  call->peer_ = peer.to_string();
  call->delimiter_ = delimiter;
  call->peer_address_ = Metadata(body, "Peer-Address");
  if (security_.keys) {
    // Only the ZAP handler sets it, to the key that the handshake proved.
    const auto key = access::PublicKeyOf(Metadata(body, "User-Id"));
    if (key.ok()) call->peer_key_ = *key;
  }
  if (!call->request_.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    ++requests_bad_;
    call->request_.Clear();
    call->Fail({Code::kInvalidArgument, "the frame is no faraday.v1.Request"});
    return;
  }
  const auto timeout = call->request_.timeout_ms() == 0 ? kDefaultTimeout : Milliseconds(call->request_.timeout_ms());
  call->deadline_ = loop_.now() + timeout;
  const auto row = table_.find(call->request_.call_case());
  if (row == table_.end()) {
    call->Fail({Code::kUnimplemented,
                fmt::format("this server has no call number {}; it may be older, or another program (controller, lab)",
                            static_cast<int>(call->request_.call_case()))});
    return;
  }
  if (security_.gate != nullptr) {
    if (const Status entered = security_.gate->Enter(*call); !entered.ok()) return call->Fail(entered);
  }
  row->second(call);
}

void Server::Leave(const Call& call, v1::Reply reply) {
  if (security_.gate == nullptr) return Send(call.peer_, call.delimiter_, reply);
  const auto shared = std::make_shared<v1::Reply>(std::move(reply));
  security_.gate->Leave(
      call, *shared, [self = std::weak_ptr<Server*>(self_), shared, peer = call.peer_, delimiter = call.delimiter_] {
        if (const auto server = self.lock()) (*server)->Send(peer, delimiter, *shared);
      });
}

void Server::Send(const std::string& peer, bool delimiter, const v1::Reply& reply) {
  zmq::message_t body(reply.ByteSizeLong());
  reply.SerializeToArray(body.data(), static_cast<int>(body.size()));
  try {
    const auto flags = zmq::send_flags::dontwait | zmq::send_flags::sndmore;
    bool sent = socket_.send(zmq::buffer(peer), flags).has_value();
    if (sent && delimiter) sent = socket_.send(zmq::message_t(), flags).has_value();
    if (sent) sent = socket_.send(body, zmq::send_flags::dontwait).has_value();
    if (!sent) ++replies_lost_;
  } catch (const zmq::error_t&) {  // EHOSTUNREACH: the peer is gone
    ++replies_lost_;
  }
}

}  // namespace faraday::rpc
