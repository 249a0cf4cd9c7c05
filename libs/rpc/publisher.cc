#include "rpc/publisher.h"

#include <fmt/format.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <random>

#include "base/check.h"
#include "rpc/server.h"

namespace faraday::rpc {
namespace {

constexpr Milliseconds kTick{1000};
constexpr Milliseconds kRecent{10'000};
constexpr Milliseconds kBindRetry{20};
constexpr int kBatch = 1000;
// A handshake's largest frame is INITIATE, about 600 bytes with the longest identity (RFC 26).
constexpr int64_t kMostSubscriptionBytes = 1024;
constexpr size_t kSubscriptionOverhead = 31;  // beside the topic's bytes (estimated)

std::string NewRun() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

}  // namespace

Result<std::unique_ptr<Publisher>> Publisher::Bind(evloop::Loop& loop,
                                                   zmq::context_t& context,
                                                   const std::string& endpoint,
                                                   Security security,
                                                   TopicBound bound,
                                                   ConnectionBounds connections) {
  FARADAY_TRY(CheckBind(endpoint, security));
  try {
    std::unique_ptr<Publisher> made(new Publisher(loop, context, std::move(security), bound, connections));
    made->Open(endpoint);
    made->endpoint_ = made->socket_.get(zmq::sockopt::last_endpoint);
    return made;
  } catch (const zmq::error_t& error) {
    const auto code = error.num() == EADDRINUSE ? Code::kUnavailable : Code::kInvalidArgument;
    return Status(code, fmt::format("cannot publish on '{}': {}", endpoint, error.what()));
  }
}

Publisher::Publisher(
    evloop::Loop& loop, zmq::context_t& context, Security security, TopicBound bound, ConnectionBounds connections)
    : loop_(loop),
      context_(context),
      security_(std::move(security)),
      connection_bounds_(connections),
      run_(NewRun()),
      ticker_(loop_.AddPeriodic("events tick", kTick, [this] { Tick(); })),
      bound_(bound) {}

Publisher::~Publisher() {
  Close();
  loop_.Remove(ticker_);
  loop_.Remove(binder_);
}

void Publisher::Open(const std::string& endpoint) {
  zmq::socket_t socket(context_, zmq::socket_type::xpub);
  BoundQueues(socket, kMostSubscriptionBytes);
  socket.set(zmq::sockopt::xpub_verbose, 1);  // every subscription of every peer is told, to be counted
  Protect(socket, security_);
  auto connections = std::make_unique<Connections>(loop_, context_, socket, connection_bounds_);
  socket.bind(endpoint);
  socket_ = std::move(socket);
  connections_ = std::move(connections);
  watch_ = loop_.AddSocket("subscriptions", socket_.handle(), [this] { ReadSubscriptions(); });
}

void Publisher::Close() {
  loop_.Remove(watch_);
  watch_ = 0;
  connections_.reset();
  socket_.close();
}

void Publisher::EndConnections() {
  Close();
  BindAgain();
}

// The old listener is closed by libzmq's own thread, a moment later.
void Publisher::BindAgain() {
  loop_.Remove(binder_);
  binder_ = 0;
  try {
    Open(endpoint_);
  } catch (const zmq::error_t&) {
    binder_ = loop_.AddTimer("events bind", BootClock::now() + kBindRetry, [this] { BindAgain(); });
  }
}

void Publisher::ReadSubscriptions() {
  for (int i = 0; i < kBatch; ++i) {
    zmq::message_t subscription;
    if (!socket_.recv(subscription, zmq::recv_flags::dontwait)) return;
    CountTopics(subscription);
  }
}

// [1][topic] begins a subscription, [0][topic] ends one.
void Publisher::CountTopics(zmq::message_t& subscription) {
  const int fd = Connections::Of(subscription);
  if (fd < 0 || subscription.size() == 0) return;
  connections_->Heard(fd);
  const char* key = zmq_msg_gets(subscription.handle(), "User-Id");
  if (!connections_->Claim(fd, key != nullptr && *key != 0 ? key : fmt::format("connection {}", fd))) {
    return connections_->Cut(fd, "its key has too many connections");
  }
  const auto bytes = static_cast<int64_t>(subscription.size() + kSubscriptionOverhead);
  const uint8_t what = *subscription.data<uint8_t>();
  if (what > 1) return connections_->Cut(fd, "a subscriber that publishes");
  connections_->Subscribed(fd, what == 1 ? bytes : -bytes);
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
  handshake_.reset();  // before its socket
  loop_.Remove(watch_);
  loop_.Remove(handshake_watch_);
}

}  // namespace faraday::rpc
