// faraday-hostile [SECONDS] [ATTACK...]: each attack against a fresh server, beside clients that mean well. Prints one
// row each; ends with 1 when a promise of docs/reference/limits.md was broken.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "hil-tests/hostile/attacks.h"
#include "hil-tests/hostile/victim.h"

namespace faraday::hil {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kBusy = 4;  // what a sanitizer may cost (chosen)
#else
constexpr double kBusy = 1;
#endif

// What limits.md promises. Delay: of a client among others; 100 ms on a quiet machine, judged loosely, because a busy
// one stops everybody.
constexpr double kMostHeapMib = 384;
constexpr double kMostDelayMs = 1000 * kBusy;
constexpr double kMostConnectMs = 5000 * kBusy;
constexpr size_t kMostFiles = 2 * 2048 + 100;

struct Times {
  std::vector<double> ms;
  int failures = 0;
  std::string last_failure;
  double At(double quantile) {
    if (ms.empty()) return -1;
    std::sort(ms.begin(), ms.end());
    return ms[static_cast<size_t>(quantile * static_cast<double>(ms.size() - 1))];
  }
};

// Two who mean well: one with a kept connection, one that connects anew each time.
class GoodClients {
 public:
  GoodClients(const People& people, const Victim& victim)
      : kept_([&, this] { Keep(people, victim); }), fresh_([&, this] { Come(people, victim); }) {}
  ~GoodClients() {
    stop_ = true;
    kept_.join();
    fresh_.join();
  }
  GoodClients(const GoodClients&) = delete;
  GoodClients& operator=(const GoodClients&) = delete;

  // What was since the last asking.
  Times TakeKept() { return Take(kept_times_); }
  Times TakeFresh() { return Take(fresh_times_); }
  uint32_t heap_kib() const { return heap_kib_; }
  uint32_t most_heap_kib() const { return most_heap_kib_; }

 private:
  Times Take(Times& times) {
    const std::lock_guard lock(mutex_);
    return std::exchange(times, {});
  }
  void Measure(rpc::BlockingClient& client, Times& times) {
    v1::Request ping;
    ping.mutable_ping();
    const auto begin = Clock::now();
    const auto reply = client.Call(std::move(ping), milliseconds(20'000));
    const std::chrono::duration<double, std::milli> took = Clock::now() - begin;
    const std::lock_guard lock(mutex_);
    if (!reply.ok()) {
      ++times.failures;
      times.last_failure = ToString(reply.status());
      return;
    }
    times.ms.push_back(took.count());
    heap_kib_ = reply->ping().mcu_round_trip_us();
    most_heap_kib_ = std::max(most_heap_kib_.load(), heap_kib_.load());
  }
  void Keep(const People& people, const Victim& victim) {
    zmq::context_t context;
    rpc::BlockingClient client(context, victim.endpoint(), As(people, people.good));
    for (; !stop_; usleep(5000)) Measure(client, kept_times_);
  }
  void Come(const People& people, const Victim& victim) {
    zmq::context_t context;
    for (; !stop_; usleep(100'000)) {
      rpc::BlockingClient client(context, victim.endpoint(), As(people, people.good));
      Measure(client, fresh_times_);
    }
  }

  std::atomic<bool> stop_ = false;
  std::atomic<uint32_t> heap_kib_ = 0;
  std::atomic<uint32_t> most_heap_kib_ = 0;
  std::mutex mutex_;
  Times kept_times_;
  Times fresh_times_;
  std::thread kept_;
  std::thread fresh_;
};

struct Row {
  std::vector<std::string> broken;
  void Promise(bool kept, std::string what) {
    if (!kept) broken.push_back(std::move(what));
  }
};

// The most of a value that is looked at while time passes.
template <typename Value>
auto MostDuring(milliseconds time, Value value) {
  auto most = value();
  for (const auto end = Clock::now() + time; Clock::now() < end; usleep(20'000)) most = std::max(most, value());
  return most;
}

template <typename Done>
bool Await(Done done, milliseconds limit) {
  for (const auto end = Clock::now() + limit; Clock::now() < end; usleep(50'000)) {
    if (done()) return true;
  }
  return done();
}

double Mib(double kib) { return kib / 1024; }

bool Run(const Attack& attack, milliseconds time) {
  const People people = MakePeople(4);
  Victim victim(people);
  int go[2];
  FARADAY_CHECK(pipe(go) == 0);
  const pid_t attacker = ForkChild();
  if (attacker == 0) {
    char byte = 0;
    if (read(go[0], &byte, 1) != 1) _exit(0);
    attack.run({victim.endpoint(), victim.events(), victim.plain(), &people});
    _exit(0);
  }
  GoodClients good(people, victim);
  usleep(300'000);  // connected
  good.TakeKept();
  good.TakeFresh();
  std::this_thread::sleep_for(milliseconds(700));
  Times before = good.TakeKept();
  const auto files_before = victim.files();
  const auto rss_before = victim.rss_kib();
  const auto heap_before = good.heap_kib();

  FARADAY_CHECK(write(go[1], "g", 1) == 1);
  size_t most_files = 0;
  const long most_rss = MostDuring(time, [&] {
    most_files = std::max(most_files, victim.files());
    return victim.rss_kib();
  });
  Times during = good.TakeKept();
  Times fresh = good.TakeFresh();
  const double heap = Mib(static_cast<double>(good.most_heap_kib() - std::min(heap_before, good.most_heap_kib())));
  EndChild(attacker);

  Row row;
  row.Promise(Await([&] { return victim.files() <= files_before + 2; }, milliseconds(20'000)),
              fmt::format("its files do not come back: {} before, {} now", files_before, victim.files()));
  row.Promise(
      Await([&] { return Mib(good.heap_kib()) < Mib(heap_before) + 16; }, milliseconds(20'000)),
      fmt::format(
          "its memory does not come back: {:.1f} MiB before, {:.1f} now", Mib(heap_before), Mib(good.heap_kib())));
  row.Promise(victim.alive(), "the server has ended");
  row.Promise(!during.ms.empty() && during.failures == 0,
              fmt::format("{} calls of the good client failed: {}", during.failures, during.last_failure));
  row.Promise(during.At(1) < kMostDelayMs, "a call of the good client took too long");
  row.Promise(!fresh.ms.empty(), fmt::format("nobody new could connect: {}", fresh.last_failure));
  row.Promise(fresh.At(1) < kMostConnectMs, "connecting took too long");
  row.Promise(heap < kMostHeapMib, "the server took too much memory");
  row.Promise(most_files < kMostFiles, "the server had too many connections");
  fmt::print(
      "{:<17} {:>6.2f} {:>6.2f} {:>6.1f} | {:>6.2f} {:>6.2f} {:>6.1f} | {:>6.1f} {:>7.1f} {:>2} | {:>7.1f} {:>7.1f} "
      "{:>6}\n",
      attack.name,
      before.At(0.5),
      before.At(0.99),
      before.At(1),
      during.At(0.5),
      during.At(0.99),
      during.At(1),
      fresh.At(0.5),
      fresh.At(1),
      fresh.failures,
      heap,
      Mib(static_cast<double>(most_rss - rss_before)),
      most_files);
  for (const auto& broken : row.broken) fmt::print("  BROKEN: {}\n", broken);
  std::fflush(stdout);
  return row.broken.empty();
}

// A crowd needs files, on both sides.
void RaiseFileLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int Main(const std::vector<std::string>& words) {
  RaiseFileLimit();
  milliseconds time(2000);
  std::vector<std::string> wanted;
  for (const auto& word : words) {
    if (word.find_first_not_of("0123456789") == std::string::npos) {
      time = std::chrono::seconds(std::stoi(word));
    } else {
      wanted.push_back(word);
    }
  }
  fmt::print("{:<17} {:^20} | {:^20} | {:^18} | {:^22}\n",
             "",
             "call before, ms",
             "call during, ms",
             "connect during, ms",
             "server's growth");
  fmt::print("{:<17} {:>6} {:>6} {:>6} | {:>6} {:>6} {:>6} | {:>6} {:>7} {:>2} | {:>7} {:>7} {:>6}\n",
             "attack",
             "p50",
             "p99",
             "max",
             "p50",
             "p99",
             "max",
             "p50",
             "max",
             "no",
             "heapMiB",
             "rssMiB",
             "files");
  bool good = true;
  size_t run = 0;
  for (const Attack& attack : Attacks()) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), attack.name) == wanted.end()) continue;
    good = Run(attack, time) && good;
    ++run;
  }
  if (run == 0 || (!wanted.empty() && run != wanted.size())) {
    fmt::print(stderr, "hostile: there is no such attack; there are:\n");
    for (const Attack& attack : Attacks()) fmt::print(stderr, "  {:<17} {}\n", attack.name, attack.what);
    return 2;
  }
  return good ? 0 : 1;
}

}  // namespace
}  // namespace faraday::hil

int main(int argc, char** argv) { return faraday::hil::Main({argv + 1, argv + argc}); }
