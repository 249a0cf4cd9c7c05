#include "rpc/connections.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/log.h"

namespace faraday::rpc {
namespace {

// All chosen.
constexpr int kQueuedOut = 1000;  // messages of one connection
constexpr int kQueuedIn = 4;      // a message may have 1 MiB; the rest waits in the peer
constexpr int kBacklog = 512;
constexpr int kDeadMs = 15'000;  // a peer that takes nothing of what we send
// A peer that is silent is asked by its kernel: after kIdleS, then every kProbeS, kProbes times.
constexpr int kIdleS = 10;
constexpr int kProbeS = 5;
constexpr int kProbes = 3;
constexpr rlim_t kFiles = 16'384;
constexpr Milliseconds kWordEvery{10'000};
constexpr Milliseconds kSweepEvery{50};

std::string AddressOf(int fd) {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return "";
  if (peer.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(peer);
    return {reinterpret_cast<const char*>(&v4.sin_addr), sizeof v4.sin_addr};
  }
  if (peer.ss_family == AF_INET6) {  // a /64 is one site
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(peer);
    return {reinterpret_cast<const char*>(&v6.sin6_addr), 8};
  }
  return "";
}

ConnectionTable::Bytes BytesOf(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
  return {info.tcpi_bytes_acked, info.tcpi_bytes_received};
}

// libprotobuf prints a line for each string that is no UTF-8: a flood of such frames would be one of the log.
void QuietProtobuf() { google::protobuf::SetLogHandler(nullptr); }

// libzmq's listener turns in circles when there are no more files: have more than the bounds need. Once a process.
void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kFiles) return;
  limit.rlim_cur = std::min(limit.rlim_max, kFiles);
  setrlimit(RLIMIT_NOFILE, &limit);
}

// A daemon has two such sockets, and files of its own.
ConnectionBounds Within(ConnectionBounds bounds) {
  RaiseFileLimit();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return bounds;
  bounds.open = std::min<size_t>(bounds.open, std::max<size_t>(64, limit.rlim_cur / 4));
  bounds.unclaimed = std::min(bounds.unclaimed, bounds.open / 2);
  return bounds;
}

}  // namespace

Connections::Connections(evloop::Loop& loop, zmq::context_t& context, zmq::socket_ref socket, ConnectionBounds bounds)
    : loop_(loop), socket_(socket), monitor_(context, zmq::socket_type::pair), table_(Within(bounds), BytesOf) {
  QuietProtobuf();
  static std::atomic<uint64_t> next{1};
  const std::string name = fmt::format("inproc://faraday-connections-{}", next++);
  monitor_.set(zmq::sockopt::linger, 0);
  monitor_.set(zmq::sockopt::rcvhwm, 0);  // libzmq's own thread waits for a full queue
  constexpr int kEvents = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED;
  if (zmq_socket_monitor(socket.handle(), name.c_str(), kEvents) == 0) monitor_.connect(name);
  watch_ = loop_.AddSocket("connections", monitor_.handle(), [this] { Read(); });
  sweep_ =
      loop_.AddPeriodic("connections sweep", kSweepEvery, [this] { CutAll(table_.Sweep(), "messages without end"); });
}

Connections::~Connections() {
  loop_.Remove(watch_);
  loop_.Remove(sweep_);
  zmq_socket_monitor(socket_.handle(), nullptr, 0);  // first: libzmq's own thread would wait for a reader for ever
}

int Connections::Of(zmq::message_t& message) { return zmq_msg_get(message.handle(), ZMQ_SRCFD); }

void Connections::Read() {
  for (;;) {
    zmq::message_t event;
    zmq::message_t endpoint;
    if (!monitor_.recv(event, zmq::recv_flags::dontwait)) return;
    if (event.more() && !monitor_.recv(endpoint, zmq::recv_flags::dontwait)) return;
    uint16_t what = 0;
    int32_t fd = -1;
    if (event.size() != sizeof what + sizeof fd) continue;
    std::memcpy(&what, event.data(), sizeof what);
    std::memcpy(&fd, event.data<char>() + sizeof what, sizeof fd);
    if (what == ZMQ_EVENT_DISCONNECTED) table_.Closed(fd);
    if (what == ZMQ_EVENT_ACCEPTED) CutAll(table_.Opened(fd, AddressOf(fd)), "too many connections");
  }
}

bool Connections::Claim(int fd, const std::string& caller) {
  if (fd < 0 || caller.empty()) return true;
  if (!table_.Knows(fd)) Read();
  return table_.Claim(fd, caller);
}

void Connections::Sending(int fd, size_t bytes) {
  if (fd >= 0) CutAll(table_.Sending(fd, bytes), "answers are not read");
}

void Connections::Refused(int fd, uint32_t weight) {
  if (fd >= 0) CutAll(table_.Refused(fd, weight, loop_.now()), "refusals are not heeded, or frames cannot be read");
}

void Connections::Subscribed(int fd, int64_t bytes) {
  if (fd >= 0) CutAll(table_.Subscribed(fd, bytes), "too many topics");
}

void Connections::CutAll(const std::vector<int>& fds, const char* why) {
  for (const int fd : fds) Cut(fd, why);
}

// Whether `fd` is a connection to our endpoint.
bool Connections::IsOurs(int fd) {
  sockaddr_storage local{};
  socklen_t size = sizeof local;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) != 0) return false;
  const std::string endpoint = socket_.get(zmq::sockopt::last_endpoint);
  if (local.ss_family == AF_UNIX) {
    return endpoint == fmt::format("ipc://{}", reinterpret_cast<const sockaddr_un&>(local).sun_path);
  }
  // The port stands at the same place for both families.
  return endpoint.ends_with(fmt::format(":{}", ntohs(reinterpret_cast<const sockaddr_in&>(local).sin_port)));
}

// libzmq's thread may close the descriptor meanwhile, and another connection may get its number: the copy holds on to
// what it names now. Should that already be a newer connection of ours, it ends without need and comes again.
void Connections::Cut(int fd, const char* why) {
  table_.Cut(fd);
  const int held = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (held < 0) return;
  if (IsOurs(held)) shutdown(held, SHUT_RDWR);
  close(held);
  ++cut_;
  if (loop_.now() < next_word_) return;
  next_word_ = loop_.now() + kWordEvery;
  log::Warn("connection cut off: {} ({} so far, {} open)", why, cut_, table_.open());
}

void BoundQueues(zmq::socket_ref socket, int64_t most_bytes_in) {
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::maxmsgsize, most_bytes_in);
  socket.set(zmq::sockopt::sndhwm, kQueuedOut);
  socket.set(zmq::sockopt::rcvhwm, kQueuedIn);
  socket.set(zmq::sockopt::backlog, kBacklog);
  // No heartbeats of libzmq's: 4.3.4 aborts the process (stream_engine_base.cpp, !_io_error) when its timer meets a
  // peer that died while its messages waited at rcvhwm, and any peer can have it so.
  socket.set(zmq::sockopt::tcp_maxrt, kDeadMs);
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::tcp_keepalive_idle, kIdleS);
  socket.set(zmq::sockopt::tcp_keepalive_intvl, kProbeS);
  socket.set(zmq::sockopt::tcp_keepalive_cnt, kProbes);
}

}  // namespace faraday::rpc
