// faraday-bench-security: what encryption, keys and rights cost. Run by faraday-bench; README.md tells the method.
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <fstream>
#include <sstream>

#include "access/roster_directory.h"
#include "base/check.h"
#include "hil-tests/bench/floors.h"
#include "hil-tests/bench/samples.h"
#include "rpc/client.h"
#include "rpc/door.h"
#include "rpc/server.h"

namespace faraday::hil {
namespace {

constexpr size_t kKeys = 8;
constexpr size_t kClients = 1000;
constexpr int kRounds = 5;
constexpr rpc::RateTable kUnlimited{.people = {1e12, 1e12}, .machines = {1e12, 1e12}};

rpc::Keys NewKeys() { return std::make_shared<access::KeyPair>(access::NewKeyPair()); }

struct Known {
  rpc::Keys server = NewKeys();
  std::vector<rpc::Keys> clients;
  Known() {
    for (size_t i = 0; i < kKeys; ++i) clients.push_back(NewKeys());
  }
};

// `size` entries, those of `known` among them.
void Fill(access::RosterDirectory& directory, const Known& known, size_t size) {
  access::Roster roster;
  roster.number = 1;
  for (size_t i = 0; i < size; ++i) {
    access::Entry entry;
    entry.key = i < known.clients.size() ? known.clients[i]->public_key : access::NewKeyPair().public_key;
    entry.user = fmt::format("user{}", i);
    entry.roles = {access::Role::kUser};
    entry.teams = {"apps"};
    roster.entries.push_back(std::move(entry));
  }
  directory.SetRoster(std::move(roster));
}

rpc::HandlerTable PingTable() {
  rpc::HandlerTable table;
  table[v1::Request::kPing] = [](const rpc::CallPtr& call) { call->Answer({}); };
  return table;
}

v1::Request Ping() {
  v1::Request request;
  request.mutable_ping();
  return request;
}

// A child process that reports its endpoints through a pipe and serves until it is killed.
class Child {
 public:
  explicit Child(const std::function<void(int report_fd)>& serve) {
    int fds[2];
    FARADAY_CHECK(pipe(fds) == 0);
    pid_ = fork();
    FARADAY_CHECK(pid_ >= 0);
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      close(fds[0]);
      serve(fds[1]);
      _exit(1);
    }
    close(fds[1]);
    std::string words;
    char byte = 0;
    while (read(fds[0], &byte, 1) == 1) words += byte;
    close(fds[0]);
    std::istringstream(words) >> first_ >> second_;
  }
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  const std::string& first() const { return first_; }
  const std::string& second() const { return second_; }
  double rss_kib() const {
    std::ifstream status(fmt::format("/proc/{}/status", pid_));
    for (std::string word; status >> word;) {
      if (word != "VmRSS:") continue;
      double kib = 0;
      status >> kib;
      return kib;
    }
    return -1;
  }

 private:
  pid_t pid_ = -1;
  std::string first_;
  std::string second_;
};

void Report(int fd, const std::string& words) {
  FARADAY_CHECK(write(fd, words.data(), words.size()) == static_cast<ssize_t>(words.size()));
  close(fd);
}

// Ours: first CURVE, second plain.
void ServeOurs(const Known& known, int report_fd) {
  evloop::Loop loop;
  zmq::context_t context;
  access::RosterDirectory directory;
  Fill(directory, known, 100);
  rpc::Door door({.directory = &directory, .rates = kUnlimited});
  const auto zap = rpc::ZapHandler::Bind(loop, context, door);
  const auto curve = rpc::Server::Bind(loop, context, "tcp://127.0.0.1:0", PingTable(), {known.server, &door});
  const auto plain = rpc::Server::Bind(loop, context, "tcp://127.0.0.1:0", PingTable(), rpc::Plain());
  FARADAY_CHECK(zap.ok() && curve.ok() && plain.ok());
  Report(report_fd, (*curve)->endpoint() + " " + (*plain)->endpoint());
  loop.Run();
}

void Echo(zmq::socket_t& socket) {
  zmq::message_t peer;
  zmq::message_t body;
  if (!socket.recv(peer, zmq::recv_flags::dontwait) || !socket.recv(body, zmq::recv_flags::dontwait)) return;
  socket.send(peer, zmq::send_flags::sndmore);
  socket.send(body, zmq::send_flags::dontwait);
}

// "200" to everybody.
void LetIn(zmq::socket_t& zap) {
  std::vector<zmq::message_t> parts;
  do {
    parts.emplace_back();
    if (!zap.recv(parts.back(), zmq::recv_flags::dontwait)) return;
  } while (parts.back().more());
  const std::string_view answer[] = {
      parts[0].to_string_view(), "", "1.0", parts[3].to_string_view(), "200", "OK", "user", ""};
  for (const auto& part : answer) {
    zap.send(zmq::buffer(part), &part == &answer[7] ? zmq::send_flags::none : zmq::send_flags::sndmore);
  }
}

// The floor: a raw CURVE ROUTER with a trivial ZAP handler, one zmq_poll over both.
void ServeRaw(const Known& known, int report_fd) {
  zmq::context_t context;
  zmq::socket_t zap(context, zmq::socket_type::router);
  zap.bind("inproc://zeromq.zap.01");
  zmq::socket_t socket(context, zmq::socket_type::router);
  [[maybe_unused]] const auto backlog = 512;
  socket.set(zmq::sockopt::backlog, backlog);
  rpc::Protect(socket, {known.server, nullptr});
  socket.bind("tcp://127.0.0.1:0");
  Report(report_fd, socket.get(zmq::sockopt::last_endpoint));
  for (;;) {
    zmq_pollitem_t items[] = {{zap.handle(), 0, ZMQ_POLLIN, 0}, {socket.handle(), 0, ZMQ_POLLIN, 0}};
    zmq_poll(items, 2, -1);
    if (items[0].revents != 0) LetIn(zap);
    if (items[1].revents != 0) Echo(socket);
  }
}

rpc::Credentials As(const Known& known, size_t client) {
  rpc::Credentials who;
  who.keys = known.clients[client % known.clients.size()];
  who.server_key = [key = known.server->public_key](const std::string&) { return key; };
  return who;
}

zmq::socket_t Dealer(
    zmq::context_t& context, const Known& known, size_t client, const std::string& endpoint, bool curve) {
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  socket.set(zmq::sockopt::linger, 0);
  if (curve) FARADAY_CHECK(rpc::Present(socket, endpoint, As(known, client)).ok());
  socket.connect(endpoint);
  socket.send(zmq::buffer(Ping().SerializeAsString()), zmq::send_flags::none);
  return socket;
}

void Answered(zmq::socket_t& socket) {
  zmq::message_t body;
  socket.set(zmq::sockopt::rcvtimeo, 60'000);
  FARADAY_CHECK(socket.recv(body).has_value());
}

// All at once, the same raw clients for both servers.
void Storm(const Known& known, const std::string& endpoint) {
  zmq::context_t context;
  context.set(zmq::ctxopt::max_sockets, static_cast<int>(kClients) + 10);
  std::deque<zmq::socket_t> sockets;
  for (size_t i = 0; i < kClients; ++i) sockets.push_back(Dealer(context, known, i, endpoint, true));
  for (auto& socket : sockets) Answered(socket);
}

// One after the other.
void QueueRaw(const Known& known, const std::string& endpoint) {
  zmq::context_t context;
  for (size_t i = 0; i < kClients; ++i) {
    zmq::socket_t socket = Dealer(context, known, i, endpoint, true);
    Answered(socket);
  }
}

void QueueOurs(const Known& known, const std::string& endpoint) {
  zmq::context_t context;
  for (size_t i = 0; i < kClients; ++i) {
    rpc::BlockingClient client(context, endpoint, As(known, i));
    FARADAY_CHECK(client.Call(Ping(), std::chrono::seconds(60)).ok());
  }
}

void Row(const std::string& name, const std::string& value) { fmt::print("  {:<52} {:>12}\n", name, value); }

void BenchCalls(const Known& known, const Child& ours) {
  zmq::context_t context;
  RouterFloor floor(Ping().ByteSizeLong() + 30);
  rpc::BlockingClient curve(context, ours.first(), As(known, 0));
  rpc::BlockingClient plain(context, ours.second(), v1::Caller());
  const auto call = [](rpc::BlockingClient& client) {
    FARADAY_CHECK(client.Call(Ping(), std::chrono::seconds(20)).ok());
  };
  const auto spreads = Alternate({[&] { floor.Exchange(); }, [&] { call(plain); }, [&] { call(curve); }}, 25, 300);
  Row("floor: raw DEALER/ROUTER, plain, p50", fmt::format("{:.1f} us", spreads[0].median));
  Row("RPC, plain, p50", fmt::format("{:.1f} us", spreads[1].median));
  Row("RPC, CURVE and door, p50", fmt::format("{:.1f} us", spreads[2].median));
  Row("RPC plain / floor", fmt::format("{:.2f} x", spreads[1].median / spreads[0].median));
  Row("RPC with CURVE / without", fmt::format("{:.2f} x", spreads[2].median / spreads[1].median));
}

void BenchConnects(const Known& known, const Child& ours, const Child& raw) {
  std::vector<std::vector<double>> times(4);
  const std::vector<std::function<void()>> actions = {[&] { QueueRaw(known, raw.first()); },
                                                      [&] { QueueOurs(known, ours.first()); },
                                                      [&] { Storm(known, raw.first()); },
                                                      [&] { Storm(known, ours.first()); }};
  for (int round = 0; round < kRounds; ++round) {
    for (size_t i = 0; i < actions.size(); ++i) times[i].push_back(MicrosecondsOf(actions[i]) / 1000);
  }
  const auto median = [&](size_t i) { return SpreadOf(times[i]).median; };
  Row("floor: 1000 raw CURVE clients in turn", fmt::format("{:.0f} ms", median(0)));
  Row("1000 of our clients in turn, our server", fmt::format("{:.0f} ms", median(1)));
  Row("1000 in turn: ours / floor, aim 1.5", fmt::format("{:.2f} x", median(1) / median(0)));
  Row("floor: 1000 raw CURVE clients at once", fmt::format("{:.0f} ms", median(2)));
  Row("the same clients, our server", fmt::format("{:.0f} ms", median(3)));
  Row("1000 at once: our server / floor, aim 1.5", fmt::format("{:.2f} x", median(3) / median(2)));
}

double ServeNs(const rpc::Desk& desk, const access::PublicKey& key) {
  const std::string body = Ping().SerializeAsString();
  constexpr int kCalls = 2000;
  std::vector<double> slices;
  for (int slice = 0; slice < 25; ++slice) {
    slices.push_back(MicrosecondsOf([&] {
      for (int i = 0; i < kCalls; ++i) {
        rpc::Arrival from;
        from.connection = "12345";
        from.peer_key = key;
        from.body = body;
        FARADAY_CHECK(desk.Serve(std::move(from), BootTime(), [](const rpc::Call&, v1::Reply) {}).ok());
      }
    }));
  }
  return SpreadOf(slices).median * 1000 / kCalls;
}

void BenchDoor(const Known& known) {
  const rpc::Desk open(PingTable(), nullptr);
  const double without = ServeNs(open, known.clients[0]->public_key);
  Row("a call at the desk without a door (parse, answer)", fmt::format("{:.0f} ns", without));
  for (const size_t size : {size_t{10}, size_t{10'000}}) {
    access::RosterDirectory directory;
    Fill(directory, known, size);
    rpc::Door door({.directory = &directory, .rates = kUnlimited});
    const rpc::Desk desk(PingTable(), &door);
    const double with = ServeNs(desk, known.clients[0]->public_key);
    Row(fmt::format("authorisation of a call, {} keys known", size), fmt::format("{:.0f} ns", with - without));
  }
}

void BenchMemory(const Known& known) {
  for (const bool curve : {false, true}) {
    const Child server([&](int fd) { ServeOurs(known, fd); });
    const std::string& endpoint = curve ? server.first() : server.second();
    zmq::context_t context;
    context.set(zmq::ctxopt::max_sockets, 2000);
    std::deque<zmq::socket_t> sockets;
    const auto connect = [&](size_t count) {
      const size_t before = sockets.size();
      for (size_t i = 0; i < count; ++i) sockets.push_back(Dealer(context, known, sockets.size(), endpoint, curve));
      for (size_t i = before; i < sockets.size(); ++i) Answered(sockets[i]);
    };
    connect(50);
    const double before = server.rss_kib();
    connect(500);
    Row(fmt::format("RSS of a connection, {}", curve ? "CURVE" : "plain"),
        fmt::format("{:.1f} KiB", (server.rss_kib() - before) / 500));
  }
}

void PinToOneCpu() {
  cpu_set_t set;
  sched_getaffinity(0, sizeof(set), &set);
  int last = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) last = cpu;
  }
  CPU_ZERO(&set);
  CPU_SET(last, &set);
  sched_setaffinity(0, sizeof(set), &set);
}

int Main() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  PinToOneCpu();
  const Known known;
  const Child ours([&](int fd) { ServeOurs(known, fd); });
  const Child raw([&](int fd) { ServeRaw(known, fd); });
  fmt::print("\nKeys and rights (everything on one CPU)\n");
  BenchDoor(known);
  BenchCalls(known, ours);
  BenchMemory(known);
  BenchConnects(known, ours, raw);
  return 0;
}

}  // namespace
}  // namespace faraday::hil

int main() { return faraday::hil::Main(); }
