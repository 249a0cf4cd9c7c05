#include "rpc/publisher.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "base/check.h"
#include "rpc/server.h"

namespace faraday::rpc {
namespace {

constexpr Milliseconds kTick{1000};
constexpr Milliseconds kRecent{10'000};
constexpr Milliseconds kBindRetry{20};

std::string NewRun() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

zmq::socket_t BoundSocket(zmq::context_t& context, const std::string& endpoint, const Security& security) {
  zmq::socket_t socket(context, zmq::socket_type::xpub);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::sndhwm, 10'000);
  socket.set(zmq::sockopt::maxmsgsize, kMaxMessageBytes);
  Protect(socket, security);
  socket.bind(endpoint);
  return socket;
}

}  // namespace

Result<std::unique_ptr<Publisher>> Publisher::Bind(
    evloop::Loop& loop, zmq::context_t& context, const std::string& endpoint, Security security, TopicBound bound) {
  FARADAY_TRY(CheckBind(endpoint, security));
  try {
    auto socket = BoundSocket(context, endpoint, security);
    return std::unique_ptr<Publisher>(new Publisher(loop, context, std::move(socket), std::move(security), bound));
  } catch (const zmq::error_t& error) {
    const auto code = error.num() == EADDRINUSE ? Code::kUnavailable : Code::kInvalidArgument;
    return Status(code, fmt::format("cannot publish on '{}': {}", endpoint, error.what()));
  }
}

Publisher::Publisher(
    evloop::Loop& loop, zmq::context_t& context, zmq::socket_t socket, Security security, TopicBound bound)
    : loop_(loop),
      context_(context),
      security_(std::move(security)),
      socket_(std::move(socket)),
      endpoint_(socket_.get(zmq::sockopt::last_endpoint)),
      run_(NewRun()),
      ticker_(loop_.AddPeriodic("events tick", kTick, [this] { Tick(); })),
      bound_(bound) {}

Publisher::~Publisher() {
  loop_.Remove(ticker_);
  loop_.Remove(binder_);
}

void Publisher::EndConnections() {
  socket_.close();
  BindAgain();
}

// The old listener is closed by libzmq's own thread, a moment later.
void Publisher::BindAgain() {
  loop_.Remove(binder_);
  binder_ = 0;
  try {
    socket_ = BoundSocket(context_, endpoint_, security_);
  } catch (const zmq::error_t&) {
    binder_ = loop_.AddTimer("events bind", BootClock::now() + kBindRetry, [this] { BindAgain(); });
  }
}

void Publisher::Publish(const std::string& topic, v1::Event event) {
  FARADAY_CHECK(!topic.empty() && topic.back() == '/');
  auto& state = topics_.try_emplace(topic, Topic{floor_, loop_.now()}).first->second;
  ++state.seq;
  state.changed = loop_.now();
  event.set_topic(topic);
  event.set_seq(state.seq);
  event.set_publisher_run(run_);
  event.set_utc_ms(UtcNow().since_epoch.count());
  if (!socket_) return;  // being bound again: subscribers see the gap
  const std::string body = event.SerializeAsString();
  if (socket_.send(zmq::buffer(topic), zmq::send_flags::sndmore | zmq::send_flags::dontwait)) {
    [[maybe_unused]] const auto sent = socket_.send(zmq::buffer(body), zmq::send_flags::dontwait);
  }
}

v1::SnapshotResult Publisher::Snapshot() const {
  v1::SnapshotResult snapshot;
  snapshot.set_publisher_run(run_);
  snapshot.set_events_endpoint(endpoint_);
  for (const auto& [topic, state] : topics_) (*snapshot.mutable_last_seq())[topic] = state.seq;
  return snapshot;
}

void Publisher::Tick() {
  // XPUB hands over subscriptions as messages; nobody here needs them, but unread they pile up.
  zmq::message_t subscription;
  while (socket_ && socket_.recv(subscription, zmq::recv_flags::dontwait)) {
  }
  ForgetQuietTopics();
  v1::Event event;
  auto* last_seq = event.mutable_tick()->mutable_last_seq();
  for (const auto& [topic, state] : topics_) {
    if (topic != "tick/" && loop_.now() - state.changed <= kRecent) (*last_seq)[topic] = state.seq;
  }
  event.set_kind("tick");
  Publish("tick/", std::move(event));
}

void Publisher::ForgetQuietTopics() {
  if (topics_.size() <= bound_.most) return;
  std::erase_if(topics_, [this](const auto& entry) {
    const bool quiet = loop_.now() - entry.second.changed > bound_.quiet;
    if (quiet) floor_ = std::max(floor_, entry.second.seq);
    return quiet && entry.first != "tick/";
  });
}

Subscriber::Subscriber(evloop::Loop& loop,
                       zmq::context_t& context,
                       const std::string& endpoint,
                       const Credentials& who,
                       std::vector<std::string> topics,
                       std::function<void(const v1::Event&)> callback)
    : loop_(loop), socket_(context, zmq::socket_type::sub), callback_(std::move(callback)) {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.set(zmq::sockopt::rcvhwm, 10'000);
  socket_.set(zmq::sockopt::maxmsgsize, kMaxMessageBytes);
  socket_.set(zmq::sockopt::reconnect_ivl, 50);
  socket_.set(zmq::sockopt::reconnect_ivl_max, 1000);
  for (const auto& topic : topics) socket_.set(zmq::sockopt::subscribe, topic);
  status_ = Present(socket_, endpoint, who);
  if (!status_.ok()) return;
  handshake_ = std::make_unique<HandshakeWatch>(context, socket_, endpoint, who);
  handshake_watch_ = loop_.AddSocket("events handshake " + endpoint, handshake_->handle(), [this] {
    if (auto why = handshake_->Read()) status_ = *std::move(why);
  });
  socket_.connect(endpoint);
  watch_ = loop_.AddSocket("events " + endpoint, socket_.handle(), [this] {
    zmq::message_t topic;
    zmq::message_t body;
    if (!socket_.recv(topic, zmq::recv_flags::dontwait) || !topic.more()) return;
    if (!socket_.recv(body, zmq::recv_flags::dontwait)) return;
    v1::Event event;
    if (event.ParseFromArray(body.data(), static_cast<int>(body.size()))) callback_(event);
  });
}

Subscriber::~Subscriber() {
  loop_.Remove(watch_);
  loop_.Remove(handshake_watch_);
}

}  // namespace faraday::rpc
