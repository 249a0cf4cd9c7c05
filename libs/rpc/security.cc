#include "rpc/security.h"

#include <fmt/format.h>
#include <zmq.h>

#include <atomic>
#include <cstring>
#include <vector>

#include "base/log.h"
#include "rpc/local_address.h"
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
    Answer(parts);
  }
}

std::optional<ZapAnswer> AnswerZap(std::span<const std::string_view> question, Gate& gate) {
  if (question.size() < 4) return std::nullopt;
  const bool is_curve = question.size() == 9 && question[1].empty() && question[2] == "1.0" && question[7] == "CURVE";
  if (!is_curve) return ZapAnswer{};
  const auto key = access::PublicKeyOfBytes(question[8]);
  if (!key.ok() || !gate.Admits(*key)) return ZapAnswer{};
  return ZapAnswer{true, access::ToHex(*key)};
}

void ZapHandler::Answer(const std::vector<zmq::message_t>& request) {
  std::vector<std::string_view> question;
  for (const auto& part : request) question.push_back(part.to_string_view());
  const auto answer = AnswerZap(question, gate_);
  if (!answer) return;
  ++(answer->admitted ? admitted_ : refused_);
  const std::string_view code = answer->admitted ? "200" : "400";
  const std::string_view text = answer->admitted ? "OK" : "this key is not admitted";
  const std::array<std::string_view, 8> parts = {question[0], "", "1.0", question[3], code, text, answer->user, ""};
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
  FARADAY_TRY(CheckOneAddress(endpoint));
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
  FARADAY_TRY(CheckOneAddress(endpoint));
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
    : watched_(socket),
      monitor_(context, zmq::socket_type::pair),
      endpoint_(std::move(endpoint)),
      fingerprint_(who.keys ? access::Fingerprint(who.keys->public_key) : "") {
  static std::atomic<uint64_t> next{1};
  const std::string name = fmt::format("inproc://faraday-handshake-{}", next++);
  constexpr int kEvents = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                          ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
  monitor_.set(zmq::sockopt::linger, 0);
  monitor_.set(zmq::sockopt::rcvhwm, 0);  // libzmq's own thread waits for a full queue
  if (zmq_socket_monitor(socket.handle(), name.c_str(), kEvents) == 0) monitor_.connect(name);
}

// First of all: libzmq's own thread would wait for a reader of its events for ever.
HandshakeWatch::~HandshakeWatch() { zmq_socket_monitor(watched_.handle(), nullptr, 0); }

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
