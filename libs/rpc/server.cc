#include "rpc/server.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <string_view>
#include <vector>

#include "access/rights.h"
#include "base/log.h"
#include "rpc/local_address.h"

namespace faraday::rpc {
namespace {

// At most this many requests before the loop looks at its other work (chosen).
constexpr int kBatch = 64;
constexpr Milliseconds kBatchTime{10};
// A frame that cannot be read weighs as much as this many refusals (chosen).
constexpr uint32_t kUnreadable = 10;
constexpr uint32_t kUnreadableAndLarge = 100;
constexpr int kMostFields = 16;  // looked at; a request of ours has 6 at most
constexpr size_t kSmall = 32 * 1024;
constexpr size_t kMedium = 256 * 1024;
constexpr size_t kJob = 64 * 1024;  // the lab takes 24 KiB of text

// No envelope has more than three parts; the rest of longer ones is thrown away.
std::vector<zmq::message_t> ReceiveParts(zmq::socket_t& socket) {
  std::vector<zmq::message_t> parts;
  bool more = true;
  while (more) {
    zmq::message_t part;
    if (!socket.recv(part, zmq::recv_flags::dontwait)) break;
    more = part.more();
    if (parts.size() <= 3) parts.push_back(std::move(part));
  }
  return parts;
}

// What can be read of a request without reading all of it.
struct Glance {
  uint64_t id = 0;
  int call = 0;  // the last field that is a call, as the parser takes it
};

Glance GlanceAt(std::string_view body) {
  using google::protobuf::internal::WireFormatLite;
  Glance glance;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(body.data()),
                                            static_cast<int>(body.size()));
  for (int fields = 0; fields < kMostFields; ++fields) {
    const uint32_t tag = in.ReadTag();
    if (tag == 0) break;
    const int field = WireFormatLite::GetTagFieldNumber(tag);
    if (field == v1::Request::kIdFieldNumber &&
        WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_VARINT) {
      if (!in.ReadVarint64(&glance.id)) break;
      continue;
    }
    const bool is_message = WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
    if (field >= v1::Request::kGetRackFieldNumber && is_message) glance.call = field;
    if (!WireFormatLite::SkipField(&in, tag)) break;
  }
  return glance;
}

std::vector<std::string_view> Views(const std::vector<zmq::message_t>& parts) {
  std::vector<std::string_view> views;
  for (const auto& part : parts) views.push_back(part.to_string_view());
  return views;
}

// Whose connection it is. On plain sockets names prove nothing: each connection is its own.
std::string OwnerOf(const Arrival& from, Gate* gate) {
  if (!from.peer_key) return fmt::format("connection {}", from.fd);
  return gate == nullptr ? access::ToHex(*from.peer_key) : gate->OwnerOf(*from.peer_key);
}

bool OnlyTells(const Call& call) {
  const access::Call what = access::CallOfNumber(static_cast<int>(call.request().call_case()));
  return what != access::Call::kNone && RowOf(what).kind == access::Kind::kRead;
}

std::string Metadata(zmq::message_t& message, const char* name) {
  const char* value = zmq_msg_gets(message.handle(), name);
  return value == nullptr ? "" : value;
}

}  // namespace

Status CheckLoopback(const std::string& endpoint) {
  FARADAY_TRY(CheckOneAddress(endpoint));
  const std::string_view text = endpoint;
  if (text.starts_with("ipc://") || text.starts_with("inproc://")) return OkStatus();
  if (text.starts_with("tcp://")) {
    const auto address = text.substr(6);
    if (IsLoopbackHost(std::string(address.substr(0, address.rfind(':'))))) return OkStatus();
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
  leave_(*this, std::move(reply));
}

void Call::Fail(const Status& status) { Answer(ErrorReply(status)); }

// ---- Desk ----

std::optional<Envelope> OpenEnvelope(std::span<const std::string_view> parts) {
  if (parts.size() == 2) return Envelope{false, 1};
  if (parts.size() == 3 && parts[1].empty()) return Envelope{true, 2};
  return std::nullopt;
}

size_t MostBytes(int call) {
  static const std::map<int, size_t> kLarger = {{v1::Request::kPutChunk, kMaxMessageBytes},
                                                {v1::Request::kPutRoster, kMaxMessageBytes},
                                                {v1::Request::kReportAttempt, kMedium},
                                                {v1::Request::kSubmitJob, kJob}};
  const auto found = kLarger.find(call);
  return found == kLarger.end() ? kSmall : found->second;
}

Status Desk::Check(Call& call, std::string_view body, BootTime now) const {
  const Glance glance = GlanceAt(body);
  const auto most = MostBytes(glance.call);
  if (body.size() > most) {
    call.request_.set_id(glance.id);
    return {Code::kInvalidArgument,
            fmt::format("the request has {} bytes; this call may have {} at most", body.size(), most)};
  }
  if (!call.request_.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    call.request_.Clear();
    call.request_.set_id(glance.id);
    return {Code::kInvalidArgument, "the frame is no faraday.v1.Request"};
  }
  const auto timeout = call.request_.timeout_ms() == 0 ? kDefaultTimeout : Milliseconds(call.request_.timeout_ms());
  call.deadline_ = now + timeout;
  if (!table_.contains(call.request_.call_case())) {
    return {Code::kUnimplemented,
            fmt::format("this server has no call number {}; it may be older, or another program (controller, lab)",
                        static_cast<int>(call.request_.call_case()))};
  }
  if (call.from_.surplus) {
    return {Code::kResourceExhausted, "this user has too many connections to this server; close some"};
  }
  return gate_ == nullptr ? OkStatus() : gate_->Enter(call);
}

Status Desk::Serve(Arrival arrival, BootTime now, Call::Leave leave) const {
  const std::string_view body = arrival.body;
  arrival.body = {};
  const CallPtr call(new Call(std::move(arrival), std::move(leave)));
  Status checked = Check(*call, body, now);
  if (checked.ok()) {
    table_.at(call->request_.call_case())(call);
  } else {
    call->Fail(checked);
  }
  return checked;
}

// ---- Server ----

Result<std::unique_ptr<Server>> Server::Bind(evloop::Loop& loop,
                                             zmq::context_t& context,
                                             const std::string& endpoint,
                                             HandlerTable table,
                                             Security security,
                                             ConnectionBounds bounds) {
  FARADAY_TRY(CheckBind(endpoint, security));
  try {
    zmq::socket_t socket(context, zmq::socket_type::router);
    BoundQueues(socket, kMaxMessageBytes);
    socket.set(zmq::sockopt::router_mandatory, 1);
    Protect(socket, security);
    std::unique_ptr<Server> server(
        new Server(loop, context, std::move(socket), std::move(table), std::move(security), bounds));
    server->socket_.bind(endpoint);
    server->endpoint_ = server->socket_.get(zmq::sockopt::last_endpoint);
    return server;
  } catch (const zmq::error_t& error) {
    const auto code = error.num() == EADDRINUSE ? Code::kUnavailable : Code::kInvalidArgument;
    return Status(code, fmt::format("cannot listen on '{}': {}", endpoint, error.what()));
  }
}

Server::Server(evloop::Loop& loop,
               zmq::context_t& context,
               zmq::socket_t socket,
               HandlerTable table,
               Security security,
               ConnectionBounds bounds)
    : loop_(loop),
      socket_(std::move(socket)),
      connections_(std::make_unique<Connections>(loop, context, socket_, bounds)),
      security_(std::move(security)),
      desk_(std::move(table), security_.gate),
      self_(std::make_shared<Server*>(this)) {
  watch_ = loop_.AddSocket("rpc", socket_.handle(), [this] { OnReadable(); });
}

Server::~Server() { loop_.Remove(watch_); }

void Server::OnReadable() {
  const auto begin = BootClock::now();
  for (int i = 0; i < kBatch && BootClock::now() - begin < kBatchTime; ++i) {
    auto parts = ReceiveParts(socket_);
    if (parts.empty()) return;
    Take(parts);
  }
}

void Server::Take(std::vector<zmq::message_t>& parts) {
  const std::vector<std::string_view> views = Views(parts);
  const auto envelope = OpenEnvelope(views);
  const int fd = Connections::Of(parts.back());
  connections_->Heard(fd);
  if (!envelope) {
    ++requests_bad_;
    return connections_->Refused(fd, kUnreadable);
  }
  Arrival from;
  from.connection = views[0];
  from.delimiter = envelope->delimiter;
  from.peer_address = Metadata(parts.back(), "Peer-Address");
  from.fd = fd;
  from.body = views[envelope->body];
  if (security_.keys) {
    // Only the ZAP handler sets it, to the key that the handshake proved.
    const auto key = access::PublicKeyOf(Metadata(parts.back(), "User-Id"));
    if (key.ok()) from.peer_key = *key;
  }
  from.surplus = !connections_->Claim(fd, OwnerOf(from, security_.gate));
  const Status served = desk_.Serve(
      std::move(from), loop_.now(), [self = std::weak_ptr<Server*>(self_)](const Call& call, v1::Reply reply) {
        if (const auto server = self.lock()) (*server)->Leave(call, std::move(reply));
      });
  if (served.code() == Code::kInvalidArgument) {
    ++requests_bad_;
    connections_->Refused(fd, views[envelope->body].size() > kSmall ? kUnreadableAndLarge : kUnreadable);
  }
  if (served.code() == Code::kResourceExhausted) connections_->Refused(fd, 1);
}

void Server::Leave(const Call& call, v1::Reply reply) {
  if (security_.gate == nullptr) return Send(call.from_, reply);
  // It may have waited long, and the key may be gone by now. What a call has changed is told all the same.
  if (call.peer_key() && GetStatus(reply).ok() && OnlyTells(call) && !security_.gate->Admits(*call.peer_key())) {
    const uint64_t id = reply.id();
    reply =
        ErrorReply({Code::kUnauthenticated, "this key was disabled, replaced or has expired while the call waited"});
    reply.set_id(id);
  }
  const auto shared = std::make_shared<v1::Reply>(std::move(reply));
  security_.gate->Leave(call, *shared, [self = std::weak_ptr<Server*>(self_), shared, to = call.from_] {
    if (const auto server = self.lock()) (*server)->Send(to, *shared);
  });
}

void Server::Send(const Arrival& to, const v1::Reply& reply) {
  const size_t bytes = reply.ByteSizeLong();
  if (!connections_->MaySend(to.fd, bytes)) {
    ++replies_lost_;
    v1::Reply later =
        ErrorReply({Code::kResourceExhausted, "this server holds too many unread answers; again in 500 ms"});
    later.set_id(reply.id());
    if (connections_->MaySend(to.fd, later.ByteSizeLong())) Send(to, later);
    return;
  }
  zmq::message_t body(bytes);
  reply.SerializeToArray(body.data(), static_cast<int>(bytes));
  connections_->Sending(to.fd, bytes);
  if (!connections_->MaySend(to.fd, 0)) {  // cut off just now
    ++replies_lost_;
    return;
  }
  try {
    const auto flags = zmq::send_flags::dontwait | zmq::send_flags::sndmore;
    bool sent = socket_.send(zmq::buffer(to.connection), flags).has_value();
    if (sent && to.delimiter) sent = socket_.send(zmq::message_t(), flags).has_value();
    if (sent) sent = socket_.send(body, zmq::send_flags::dontwait).has_value();
    if (!sent) ++replies_lost_;
  } catch (const zmq::error_t&) {  // EHOSTUNREACH: the peer is gone
    ++replies_lost_;
  }
}

}  // namespace faraday::rpc
