#include "hil-tests/hostile/victim.h"

#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/check.h"
#include "rpc/door.h"
#include "rpc/publisher.h"
#include "rpc/server.h"

#if defined(__SANITIZE_ADDRESS__)
extern "C" size_t __sanitizer_get_current_allocated_bytes();  // Debian's GCC comes without the header
#endif

namespace faraday::hil {
namespace {

constexpr size_t kChunk = 256 * 1024;
constexpr size_t kEvent = 300;
constexpr int kEventsEachTick = 10;  // each 10 ms

class Directory : public access::Directory {
 public:
  explicit Directory(const People& people) {
    Add(people.good, "good", access::Role::kAgent);
    for (size_t i = 0; i < people.hostile.size(); ++i) {
      Add(people.hostile[i], "hostile" + std::to_string(i), access::Role::kUser);
    }
  }
  Result<access::Identity> Find(const access::PublicKey& key, UtcTime) const override {
    const auto found = known_.find(key);
    if (found == known_.end()) return Status(Code::kUnauthenticated, "unknown key");
    return found->second;
  }

 private:
  void Add(const rpc::Keys& keys, const std::string& user, access::Role role) {
    known_[keys->public_key] = {keys->public_key, user, {role}, {}};
  }
  std::map<access::PublicKey, access::Identity> known_;
};

rpc::HandlerTable Table() {
  rpc::HandlerTable table;
  table[v1::Request::kPing] = [](const rpc::CallPtr& call) {
    v1::Reply reply;
    reply.mutable_ping()->set_mcu_round_trip_us(HeapKib());
    call->Answer(std::move(reply));
  };
  table[v1::Request::kReadChunk] = [](const rpc::CallPtr& call) {
    v1::Reply reply;
    reply.mutable_read_chunk()->set_data(std::string(kChunk, 'x'));
    call->Answer(std::move(reply));
  };
  table[v1::Request::kReport] = [](const rpc::CallPtr& call) { call->Answer({}); };
  return table;
}

[[noreturn]] void Serve(const People& people, int report_fd) {
  signal(SIGPIPE, SIG_IGN);
  evloop::Loop loop;
  zmq::context_t context;
  const Directory directory(people);
  rpc::Door door({&directory});
  const rpc::Security security{people.server, &door};
  const auto zap = rpc::ZapHandler::Bind(loop, context, door);
  const auto server = rpc::Server::Bind(loop, context, "tcp://127.0.0.1:0", Table(), security);
  const auto publisher = rpc::Publisher::Bind(loop, context, "tcp://127.0.0.1:0", security);
  const auto plain = rpc::Server::Bind(loop, context, "tcp://127.0.0.1:0", Table(), rpc::Plain());
  FARADAY_CHECK(zap.ok() && server.ok() && publisher.ok() && plain.ok());
  loop.AddPeriodic("events", Milliseconds(10), [&] {
    for (int i = 0; i < kEventsEachTick; ++i) {
      v1::Event event;
      event.set_kind(std::string(kEvent, 'e'));
      (*publisher)->Publish("slot/r01/07/", std::move(event));
    }
  });
  const std::string words = (*server)->endpoint() + " " + (*publisher)->endpoint() + " " + (*plain)->endpoint() + "\n";
  FARADAY_CHECK(write(report_fd, words.data(), words.size()) == static_cast<ssize_t>(words.size()));
  close(report_fd);
  _exit(loop.Run());
}

}  // namespace

uint32_t HeapKib() {
#if defined(__SANITIZE_ADDRESS__)
  return static_cast<uint32_t>(__sanitizer_get_current_allocated_bytes() / 1024);
#else
  const auto info = mallinfo2();
  return static_cast<uint32_t>((info.uordblks + info.hblkhd) / 1024);
#endif
}

pid_t ForkChild() {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  FARADAY_CHECK(pid >= 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
  }
  return pid;
}

void EndChild(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

People MakePeople(size_t hostile) {
  const auto fresh = [] { return std::make_shared<access::KeyPair>(access::NewKeyPair()); };
  People people{fresh(), fresh(), {}};
  for (size_t i = 0; i < hostile; ++i) people.hostile.push_back(fresh());
  return people;
}

rpc::Credentials As(const People& people, const rpc::Keys& keys) {
  rpc::Credentials who;
  who.keys = keys;
  who.server_key = [key = people.server->public_key](const std::string&) { return key; };
  return who;
}

Victim::Victim(const People& people) {
  int fds[2];
  FARADAY_CHECK(pipe(fds) == 0);
  pid_ = ForkChild();
  if (pid_ == 0) {
    close(fds[0]);
    Serve(people, fds[1]);
  }
  close(fds[1]);
  std::string words;
  char byte = 0;
  while (read(fds[0], &byte, 1) == 1) words += byte;
  close(fds[0]);
  std::istringstream(words) >> endpoint_ >> events_ >> plain_;
  FARADAY_CHECK(!plain_.empty());
}

Victim::~Victim() { EndChild(pid_); }

bool Victim::alive() const { return waitpid(pid_, nullptr, WNOHANG) == 0; }

long Victim::rss_kib() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string word; status >> word;) {
    if (word != "VmRSS:") continue;
    long kib = 0;
    status >> kib;
    return kib;
  }
  return -1;
}

size_t Victim::files() const {
  std::error_code error;
  const std::filesystem::directory_iterator folder("/proc/" + std::to_string(pid_) + "/fd", error);
  return error ? 0 : static_cast<size_t>(std::distance(begin(folder), end(folder)));
}

}  // namespace faraday::hil
