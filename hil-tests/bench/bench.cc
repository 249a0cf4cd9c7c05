// `./dev bench`: what our layers cost above the raw parts they stand on. See README.md for the method.
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "hil-tests/bench/board_bench.h"
#include "hil-tests/bench/floors.h"
#include "hil-tests/bench/samples.h"
#include "hil-tests/process/rack_under_test.h"
#include "rpc/client.h"

namespace faraday::hil {
namespace {

using std::chrono::seconds;
using Part = RackUnderTest::Part;

// Few enough for a person's rate (docs/reference/limits.md).
constexpr int kSlices = 10;
constexpr int kCalls = 20;
// The wire sizes of a Ping and its answer on the link: header, CRC, COBS and a few bytes of Protobuf.
constexpr size_t kLinkPingBytes = 32;
constexpr char kSlot[] = "r01/09";

void Print(const std::string& name, const Spread& spread) {
  fmt::print("  {:<44} {:>9.1f} us   [{:.1f} .. {:.1f}]\n", name, spread.median, spread.p10, spread.p90);
}

void PrintRatio(const std::string& name, double ratio, const std::string& aim) {
  fmt::print("  {:<44} {:>9.2f} x    aim {}\n", name, ratio, aim);
}

// Everything this process starts inherits the one CPU.
int PinToOneCpu() {
  cpu_set_t set;
  sched_getaffinity(0, sizeof(set), &set);
  int last = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) last = cpu;
  }
  CPU_ZERO(&set);
  CPU_SET(last, &set);
  return sched_setaffinity(0, sizeof(set), &set) == 0 ? last : -1;
}

v1::Request Ping(bool through_mcu) {
  v1::Request request;
  request.mutable_ping()->set_through_mcu(through_mcu);
  return request;
}

// With the key of the user "bench", who may do everything.
rpc::Credentials AsBench(RackUnderTest& rack) {
  rpc::Credentials who;
  who.keys = rack.people().Of("bench");
  who.server_key = [key = rack.controller_key()](const std::string&) { return key; };
  return who;
}

void MustCall(rpc::BlockingClient& client, v1::Request request) {
  const auto reply = client.Call(std::move(request), seconds(20));
  if (reply.ok()) return;
  fmt::print(stderr, "bench: a call failed: {}\n", ToString(reply.status()));
  exit(1);
}

void BenchCalls(RackUnderTest& rack, zmq::context_t& context) {
  rpc::BlockingClient client(context, fmt::format("tcp://{}:7700", rack.address()), AsBench(rack));
  RouterFloor router(Ping(false).ByteSizeLong() + 30);
  PtyFloor pty(kLinkPingBytes, kLinkPingBytes);
  const auto spreads = Alternate({[&] { router.Exchange(); },
                                  [&] { MustCall(client, Ping(false)); },
                                  [&] { pty.Exchange(); },
                                  [&] { MustCall(client, Ping(true)); }},
                                 kSlices,
                                 kCalls);
  fmt::print("\nRPC (loopback TCP, one outstanding) and link ping through the native firmware\n");
  Print("floor: raw DEALER/ROUTER", spreads[0]);
  Print("controller Ping", spreads[1]);
  Print("floor: raw pty exchange", spreads[2]);
  Print("controller Ping through the MCU", spreads[3]);
  PrintRatio("controller Ping / raw DEALER-ROUTER", spreads[1].median / spreads[0].median, "1.15");
  PrintRatio("link Ping / (raw RPC + raw pty)", spreads[3].median / (spreads[0].median + spreads[2].median), "1.25");
}

v1::Request Power(uint32_t epoch, bool on) {
  v1::Request request;
  auto* power = request.mutable_power();
  power->set_slot(kSlot);
  power->set_epoch(epoch);
  power->set_action(on ? v1::PowerCall::ACTION_ON : v1::PowerCall::ACTION_OFF);
  return request;
}

void BenchPower(RackUnderTest& rack, zmq::context_t& context) {
  v1::Request acquire;
  acquire.set_idempotency_key("bench");
  acquire.mutable_acquire()->set_slot(kSlot);
  acquire.mutable_acquire()->set_purpose(v1::PURPOSE_PERSON);
  const auto lease = rack.CallController(acquire, "bench", "admin");
  if (!lease.ok()) {
    fmt::print(stderr, "bench: no lease on {}: {}\n", kSlot, ToString(lease.status()));
    exit(1);
  }
  rpc::BlockingClient client(context, fmt::format("tcp://{}:7700", rack.address()), AsBench(rack));
  const auto epoch = lease->acquire().lease().epoch();
  MustCall(client, Power(epoch, true));
  // The level is already there: RPC, link, the firmware's decision and its read-back, without stagger or decay.
  const auto same_level =
      Alternate({[&] { MustCall(client, Ping(true)); }, [&] { MustCall(client, Power(epoch, true)); }}, 10, 5);
  std::vector<double> off;
  std::vector<double> on;
  for (int i = 0; i < 5; ++i) {
    off.push_back(MicrosecondsOf([&] { MustCall(client, Power(epoch, false)); }));
    on.push_back(MicrosecondsOf([&] { MustCall(client, Power(epoch, true)); }));
  }
  fmt::print("\nOne power call, by its parts\n");
  Print("RPC and link (Ping through the MCU)", same_level[0]);
  Print("+ decision and electrical read-back (level there)", same_level[1]);
  Print("power on, from off (minimum off time, rise)", SpreadOf(on));
  Print("power off, from on (decay below 0.8 V)", SpreadOf(off));
}

long RssKib(pid_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string word; status >> word;) {
    if (word != "VmRSS:") continue;
    long kib = 0;
    status >> kib;
    return kib;
  }
  return -1;
}

enum class Show { kNothing, kOutput };

// Start, run and end of a whole process, waited for without polling.
void RunToEnd(const std::vector<std::string>& argv, Show show = Show::kNothing) {
  std::vector<char*> args;
  for (const auto& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (show == Show::kNothing) {
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  }
  pid_t pid = -1;
  int status = posix_spawn(&pid, args[0], &actions, nullptr, args.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (status == 0) waitpid(pid, &status, 0);
  if (status == 0) return;
  fmt::print(stderr, "bench: {} ended with status {}\n", argv[0], status);
  exit(1);
}

void BenchCli(const RackUnderTest& rack) {
  for (const auto& [name, value] : rack.environment()) setenv(name.c_str(), value.c_str(), 1);
  const std::string cli = std::string(FARADAY_BIN_DIR) + "/faraday";
  const auto spreads = Alternate({[] { RunToEnd({"/bin/true"}); }, [&] { RunToEnd({cli, "status", "r01"}); }}, 10, 10);
  fmt::print("\nCLI, whole process\n");
  Print("floor: /bin/true", spreads[0]);
  Print("faraday status r01", spreads[1]);
  PrintRatio("faraday status / true", spreads[1].median / spreads[0].median, "5");
}

// Programs and their calls over the native board, all on one CPU.
bool BenchPrograms() {
  fmt::print(
      "\nEverything on one CPU, {} slices of {} calls, medians [10th .. 90th percentile of slices]\n", kSlices, kCalls);
  zmq::context_t context;
  RackUnderTest rack;
  rack.AddSimArguments({"--board", "native"});
  for (const auto part : {Part::kSim, Part::kController}) {
    if (const auto status = rack.Start(part); !status.ok()) {
      fmt::print(stderr, "bench: {}\n", status.message());
      rack.KeepFolder();
      return false;
    }
  }
  const bool online = rack.WaitForSlot(kSlot, [](const v1::SlotState& slot) {
    return slot.vbus().measured_on() != v1::TRI_STATE_UNKNOWN && slot.measured_age_ms() < 1000;
  });
  if (!online) fmt::print(stderr, "bench: the board never came online\n");
  fmt::print("\nController, idle\n  {:<44} {:>9.1f} MiB  aim 9\n",
             "RSS",
             static_cast<double>(RssKib(rack.program(Part::kController).pid())) / 1024);
  BenchCalls(rack, context);
  BenchPower(rack, context);
  if (rack.Start(Part::kLab).ok()) BenchCli(rack);
  std::fflush(stdout);
  RunToEnd({std::string(FARADAY_BIN_DIR) + "/faraday-bench-security"}, Show::kOutput);
  return online;
}

// The native board on one CPU like the programs; the emulated MCU needs one for itself and gets all of them.
bool BenchBoards(const cpu_set_t& all_cpus) {
  const auto native = MeasureBoard("native");
  sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
  const auto emulated = MeasureBoard("ast1030");
  PrintBoards({"native, one CPU", "ast1030 (QEMU), all CPUs"}, {native, emulated});
  PrintFirmwareCost();
  return !native.empty() && !emulated.empty();
}

int Main(const std::string& what) {
  if (what != "all" && what != "programs" && what != "boards") {
    fmt::print(stderr, "bench: \"{}\" is none of: all (default), programs, boards\n", what);
    return 2;
  }
  cpu_set_t all_cpus;
  sched_getaffinity(0, sizeof(all_cpus), &all_cpus);
  fmt::print("faraday bench: each figure beside its floor of the same run; pinned to CPU {} unless said\n",
             PinToOneCpu());
  bool good = true;
  if (what != "boards") good = BenchPrograms();
  if (what != "programs") good = BenchBoards(all_cpus) && good;
  return good ? 0 : 1;
}

}  // namespace
}  // namespace faraday::hil

int main(int argc, char** argv) { return faraday::hil::Main(argc > 1 ? argv[1] : "all"); }
