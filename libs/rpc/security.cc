#include "rpc/security.h"

#include <fmt/format.h>
#include <zmq.h>

#include <atomic>
#include <cstring>
#include <vector>

#include "base/log.h"
#include "rpc/server.h"

namespace faraday::rpc {
namespace {

constexpr char kZapEndpoint[] = "inproc://zeromq.zap.01";
constexpr char kZapDomain[] = "faraday";
constexpr int kZapBatch = 64;
// A peer that has not finished its handshake by then is cut off (chosen: a slow radio link needs less than 1 s).
constexpr int kHandshakeMs = 3000;
// A handshake cut off once may be a server that restarts; twice in a row it is the key (chosen).
constexpr int kUnexplainedIsWrong = 2;

std::vector<zmq::message_t> ReceiveAll(zmq::socket_t& socket) {
  std::vector<zmq::message_t> parts;
  do {
    zmq::message_t part;
    if (!socket.recv(part, zmq::recv_flags::dontwait)) break;
    parts.push_back(std::move(part));
  } while (parts.back().more());
  return parts;
}

std::span<const uint8_t> Raw(const zmq::message_t& part) { return {part.data<uint8_t>(), part.size()}; }

zmq::const_buffer Buffer(const std::array<uint8_t, access::kKeyBytes>& bytes) {
  return zmq::buffer(bytes.data(), bytes.size());
}

}  // namespace

// ---- ZAP ----

Result<std::unique_ptr<ZapHandler>> ZapHandler::Bind(evloop::Loop& loop, zmq::context_t& context, Gate& gate) {
  try {
    zmq::socket_t socket(context, zmq::socket_type::router);
    socket.set(zmq::sockopt::linger, 0);
    socket.bind(kZapEndpoint);
    return std::unique_ptr<ZapHandler>(new ZapHandler(loop, std::move(socket), gate));
  } catch (const zmq::error_t& error) {
    return Status(Code::kUnavailable, fmt::format("cannot bind the ZAP handler: {}", error.what()));
  }
}

ZapHandler::ZapHandler(evloop::Loop& loop, zmq::socket_t socket, Gate& gate)
    : loop_(loop), socket_(std::move(socket)), gate_(gate) {
  watch_ = loop_.AddSocket("zap", socket_.handle(), [this] { OnReadable(); });
}

ZapHandler::~ZapHandler() { loop_.Remove(watch_); }

void ZapHandler::OnReadable() {
  for (int i = 0; i < kZapBatch; ++i) {
    auto parts = ReceiveAll(socket_);
    if (parts.empty()) return;
    Answer(std::move(parts));
  }
}

// RFC 27: [peer][empty][version][request id][domain][address][routing id][mechanism][credentials...]
void ZapHandler::Answer(std::vector<zmq::message_t> request) {
  if (request.size() < 4) return;
  const bool is_curve = request.size() == 9 && request[2].to_string_view() == "1.0" &&
                        request[7].to_string_view() == "CURVE" && request[8].size() == access::kKeyBytes;
  std::string user;
  if (is_curve) {
    const auto key = access::PublicKeyOfBytes(request[8].to_string_view());
    if (key.ok() && gate_.Admits(*key)) user = access::ToHex(*key);
  }
  ++(user.empty() ? refused_ : admitted_);
  const std::string_view code = user.empty() ? "400" : "200";
  const std::string_view text = user.empty() ? "this key is not admitted" : "OK";
  const std::array<std::string_view, 8> parts = {
      request[0].to_string_view(), "", "1.0", request[3].to_string_view(), code, text, user, ""};
  try {
    for (size_t i = 0; i < parts.size(); ++i) {
      const auto more = i + 1 < parts.size() ? zmq::send_flags::sndmore : zmq::send_flags::none;
      if (!socket_.send(zmq::buffer(parts[i]), more | zmq::send_flags::dontwait)) return;
    }
  } catch (const zmq::error_t&) {  // the asking session is gone
  }
}

// ---- servers ----

Status CheckBind(const std::string& endpoint, const Security& security) {
  const Status loopback = CheckLoopback(endpoint);
  if (!security.keys || loopback.ok() || !endpoint.starts_with("tcp://")) return loopback;
  return OkStatus();
}

void Protect(zmq::socket_t& socket, const Security& security) {
  socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
  if (!security.keys) return;
  socket.set(zmq::sockopt::curve_server, true);
  socket.set(zmq::sockopt::curve_secretkey, Buffer(security.keys->secret_key.bytes()));
  socket.set(zmq::sockopt::zap_domain, kZapDomain);
}

// ---- clients ----

Status Present(zmq::socket_t& socket, const std::string& endpoint, const Credentials& who) {
  if (!who.keys) return OkStatus();
  FARADAY_TRY_ASSIGN(const access::PublicKey server, who.server_key(endpoint));
  socket.set(zmq::sockopt::curve_serverkey, Buffer(server.bytes));
  socket.set(zmq::sockopt::curve_publickey, Buffer(who.keys->public_key.bytes));
  socket.set(zmq::sockopt::curve_secretkey, Buffer(who.keys->secret_key.bytes()));
  return OkStatus();
}

HandshakeWatch::HandshakeWatch(zmq::context_t& context,
                               zmq::socket_t& socket,
                               std::string endpoint,
                               const Credentials& who)
    : monitor_(context, zmq::socket_type::pair),
      endpoint_(std::move(endpoint)),
      fingerprint_(who.keys ? access::Fingerprint(who.keys->public_key) : "") {
  static std::atomic<uint64_t> next{1};
  const std::string name = fmt::format("inproc://faraday-handshake-{}", next++);
  constexpr int kEvents = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                          ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
  monitor_.set(zmq::sockopt::linger, 0);
  if (zmq_socket_monitor(socket.handle(), name.c_str(), kEvents) == 0) monitor_.connect(name);
}

std::optional<Status> HandshakeWatch::Read() {
  for (;;) {
    const auto parts = ReceiveAll(monitor_);
    if (parts.empty()) return std::nullopt;
    if (Raw(parts[0]).size() < sizeof(uint16_t)) continue;
    uint16_t event = 0;
    std::memcpy(&event, parts[0].data(), sizeof event);
    if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) unexplained_ = 0;
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
      return Status(
          Code::kUnauthenticated,
          fmt::format("{} refuses the key {}: it is not known there, disabled, expired, or a used code. Ask an "
                      "admin for a code (faraday-lab user rotate NAME), then: faraday login",
                      endpoint_,
                      fingerprint_));
    }
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) {
      return Status(Code::kUnauthenticated,
                    fingerprint_.empty() ? fmt::format("{} wants keys and got plain text: faraday login", endpoint_)
                                         : fmt::format("{} does not speak CURVE: is it a Faraday server, set to plain "
                                                       "text? (security: plain in its config)",
                                                       endpoint_));
    }
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL && ++unexplained_ >= kUnexplainedIsWrong) {
      return Status(
          Code::kUnauthenticated,
          fmt::format("{} ends the handshake: {}",
                      endpoint_,
                      fingerprint_.empty()
                          ? "it wants keys and got plain text: faraday login"
                          : "it has another key than the one known here. If its key was replaced, ask an admin "
                            "and log in anew; if not, this may be another machine in its place"));
    }
  }
}

}  // namespace faraday::rpc
