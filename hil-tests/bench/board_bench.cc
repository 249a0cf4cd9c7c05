#include "hil-tests/bench/board_bench.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "base/check.h"
#include "hil-tests/bench/floors.h"
#include "hil-tests/bench/line_host.h"
#include "hil-tests/bench/samples.h"
#include "hil-tests/process/rack_under_test.h"
#include "link/slot_bits.h"

namespace faraday::hil {
namespace {

using std::chrono::milliseconds;
using Call = LineHost::Call;

constexpr uint32_t kSlots = 32;
constexpr uint32_t kRails = 4;
constexpr uint32_t kStaggerMs = 100;   // rack-configs' default
constexpr size_t kPingWireBytes = 32;  // as in bench.cc
constexpr int kSlices = 20;
constexpr int kEchoes = 50;  // a slice
constexpr int kSwitches = 40;
constexpr int kRounds = 5;

// One question at a time at RUN_DIR/control.
class Control {
 public:
  explicit Control(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    FARADAY_CHECK(path.size() < sizeof(address.sun_path));
    path.copy(address.sun_path, path.size());
    FARADAY_CHECK(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  }
  ~Control() { close(fd_); }
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  std::string Ask(const std::string& line) {
    const std::string bytes = line + "\n";
    FARADAY_CHECK(write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    std::string answer;
    while (answer.empty() || answer.back() != '\n') {
      char buffer[1024];
      const ssize_t count = read(fd_, buffer, sizeof(buffer));
      FARADAY_CHECK(count > 0);
      answer.append(buffer, static_cast<size_t>(count));
    }
    return answer;
  }

 private:
  int fd_;
};

link::Configure RackConfig() {
  link::Configure config;
  for (uint32_t i = 0; i < kSlots; ++i) {
    config.current_limit_ma.push_back(2000);
    config.safe_state.push_back(static_cast<uint32_t>(link::SafeState::kOff));
    config.rail.push_back(i / (kSlots / kRails));
  }
  for (uint32_t i = 0; i < kRails; ++i) config.rail_budget_ma.push_back(16'000);
  config.rack_budget_ma = 64'000;
  config.stagger_ms = kStaggerMs;
  config.min_off_ms = 500;
  return config;
}

template <typename Make>
std::vector<Call> ForEverySlot(Make make) {
  std::vector<Call> calls;
  for (uint32_t slot = 1; slot <= kSlots; ++slot) calls.push_back(make(slot));
  return calls;
}

// Slots in care of the bench, epoch 1 of a board that is blank.
void TakeSlots(LineHost& host) {
  host.Do(RackConfig());
  host.DoAll(ForEverySlot([](uint32_t slot) { return link::SetLease{.slot = slot, .epoch = 1}; }));
}

Figure Over(double ours, double floor) { return {ours, floor}; }

// ---- echo ----

void MeasureEcho(LineHost& host, std::vector<Row>& rows) {
  PtyFloor pty(kPingWireBytes, kPingWireBytes);
  uint32_t nonce = 0;
  const auto all =
      AlternateAll({[&] { pty.Exchange(); }, [&] { host.Do(link::Ping{.nonce = ++nonce}); }}, kSlices, kEchoes);
  rows.push_back(
      {"echo (Ping), p50; floor: raw pty", "us", "", {Over(QuantileOf(all[1], 0.5), QuantileOf(all[0], 0.5))}});
  rows.push_back(
      {"echo (Ping), p99; floor: raw pty", "us", "", {Over(QuantileOf(all[1], 0.99), QuantileOf(all[0], 0.99))}});
}

// ---- a command's way to the pin ----

// Looks as fast as it can; a minute is far beyond what a busy machine needs.
void WaitForPin(const std::function<bool()>& reached) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!reached()) {
    if (std::chrono::steady_clock::now() < deadline) continue;
    fmt::print(stderr, "bench: the output did not follow its command within a minute\n");
    exit(1);
  }
}

bool Coupled(const std::string& state) { return state.find("rf-relay") != std::string::npos; }

void MeasureOutput(LineHost& host, Control& control, std::vector<Row>& rows) {
  constexpr uint32_t kSlot = 9;
  const std::string question = "state r01/09";
  std::vector<double> pin_us;
  std::vector<double> floor_us;
  std::vector<double> proven_ms;
  for (int i = 0; i < kSwitches; ++i) {
    const bool couple = i % 2 == 0;
    floor_us.push_back(MicrosecondsOf([&] {
      host.Do(link::Ping{.nonce = 1});
      control.Ask(question);
    }));
    const uint32_t begin_mcu_ms = host.NextTelemetry().uptime_ms;  // just sent: the MCU's clock now
    uint32_t id = 0;
    pin_us.push_back(MicrosecondsOf([&] {
      id = host.Start(link::SetShield{.slot = kSlot, .epoch = 1, .couple = couple});
      WaitForPin([&] { return Coupled(control.Ask(question)) == couple; });
    }));
    host.AwaitDone({id});
    if (couple) proven_ms.push_back(host.ended(id).mcu_ms - begin_mcu_ms);
  }
  rows.push_back({"command -> output pin, p50; floor: echo + look at the pin",
                  "us",
                  "",
                  {Over(QuantileOf(pin_us, 0.5), QuantileOf(floor_us, 0.5))}});
  rows.push_back({"command -> output pin, p90; floor: the same",
                  "us",
                  "",
                  {Over(QuantileOf(pin_us, 0.9), QuantileOf(floor_us, 0.9))}});
  rows.push_back(
      {"relay coupled -> proven, MCU clock; floor: its step", "ms", "", {Over(QuantileOf(proven_ms, 0.5), 1)}});
}

// ---- closed loops ----

// From a fresh telemetry on, as both clocks see it.
struct Took {
  double host_ms = 0;
  double mcu_ms = 0;
};
Took Close(LineHost& host, const std::vector<Call>& calls, const std::function<bool(const link::SlotBits&)>& reached) {
  const uint32_t begin_mcu_ms = host.NextTelemetry().uptime_ms;
  Took took;
  took.host_ms = MicrosecondsOf([&] {
                   const auto ids = host.DoAll(calls);
                   host.Await([&] {
                     return std::all_of(host.telemetry().state.begin(),
                                        host.telemetry().state.end(),
                                        [&](uint32_t state) { return reached(link::Unpack(state)); });
                   });
                   took.mcu_ms = host.telemetry().uptime_ms - begin_mcu_ms;
                   host.AwaitDone(ids);
                 }) /
                 1000;
  return took;
}

void MeasureRelays(LineHost& host, std::vector<Row>& rows) {
  std::vector<double> ours;
  std::vector<double> floor;
  for (int i = 0; i < 2 * kRounds; ++i) {
    const bool couple = i % 2 == 0;
    host.NextTelemetry();
    floor.push_back(MicrosecondsOf([&] { host.DoAll(ForEverySlot([](uint32_t) { return link::Ping{.nonce = 1}; })); }) /
                    1000);
    host.NextTelemetry();
    std::vector<uint32_t> ids;
    const double took_ms = MicrosecondsOf([&] {
                             ids = host.DoAll(ForEverySlot([&](uint32_t slot) {
                               return link::SetShield{.slot = slot, .epoch = 1, .couple = couple};
                             }));
                             host.AwaitDone(ids);
                           }) /
                           1000;
    if (couple) ours.push_back(took_ms);
  }
  rows.push_back({"32 relays coupled -> all proven; floor: 32 pings",
                  "ms",
                  "",
                  {Over(QuantileOf(ours, 0.5), QuantileOf(floor, 0.5))}});
}

void MeasureVbus(LineHost& host, std::vector<Row>& rows) {
  std::vector<double> host_ms;
  std::vector<double> mcu_ms;
  for (int i = 0; i < kRounds; ++i) {
    const Took took =
        Close(host,
              ForEverySlot([](uint32_t slot) { return link::SetVbus{.slot = slot, .epoch = 1, .on = true}; }),
              [](const link::SlotBits& bits) { return bits.vbus_measured_on; });
    host_ms.push_back(took.host_ms);
    mcu_ms.push_back(took.mcu_ms);
    Close(host,
          ForEverySlot([](uint32_t slot) { return link::SetVbus{.slot = slot, .epoch = 1, .on = false}; }),
          [](const link::SlotBits& bits) { return bits.vbus_measured_off; });
    host.Listen(milliseconds(600));  // past the minimum off time
  }
  const double floor = kStaggerMs * (kSlots / kRails - 1);
  rows.push_back({"32 x VBUS on -> all measured on, host clock; floor: stagger",
                  "ms",
                  "",
                  {Over(QuantileOf(host_ms, 0.5), floor)}});
  rows.push_back({"the same by the MCU's clock", "ms", "", {Over(QuantileOf(mcu_ms, 0.5), floor)}});
}

// ---- telemetry ----

size_t FieldBytes(uint32_t value) {
  size_t bytes = value != 0 ? 2 : 0;  // its tag and the first seven bits
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

// One message a slot, as a stock library would write it: the slot's number, then each value that is not 0.
size_t MessagePerSlotBytes(const link::Telemetry& all) {
  size_t bytes = 2 * all.state.size();  // the tag and the length of each
  for (uint32_t i = 0; i < all.state.size(); ++i) {
    const auto tray = static_cast<uint32_t>(all.tray_deci_c[i]) << 1;  // zigzag of what is not below zero
    for (const uint32_t value : {i + 1, all.vbus_mv[i], all.vbus_ma[i], tray, all.state[i], all.lease_left_ms[i]}) {
      bytes += FieldBytes(value);
    }
  }
  return bytes;
}

void MeasureTelemetry(LineHost& host, std::vector<Row>& rows) {
  Close(host,
        ForEverySlot([](uint32_t slot) { return link::SetVbus{.slot = slot, .epoch = 1, .on = true}; }),
        [](const link::SlotBits& bits) { return bits.vbus_measured_on; });
  const link::Telemetry telemetry = host.NextTelemetry();
  const auto bytes = static_cast<double>(host.telemetry_bytes());
  rows.push_back({"telemetry, 32 slots on; floor: one message a slot",
                  "B",
                  "0.6",
                  {Over(bytes, static_cast<double>(MessagePerSlotBytes(telemetry)))}});
  const auto wire = static_cast<double>(host.telemetry_wire_bytes());
  rows.push_back({"its frame, 10 a second; floor: 460,800 baud, 8N1", "B/s", "", {Over(wire * 10, 46'080)}});
  rows.push_back({"longest scan of all 32 currents, MCU clock; floor: 10 ms",
                  "ms",
                  "1",
                  {Over(host.telemetry().current_scan_ms, 10)}});
}

}  // namespace

std::vector<Row> MeasureBoard(const std::string& board) {
  RackUnderTest rack;
  rack.AddSimArguments({"--board", board});
  if (const auto status = rack.Start(RackUnderTest::Part::kSim); !status.ok()) {
    fmt::print(stderr, "bench: board {}: {}\n", board, status.message());
    return {};
  }
  LineHost host(rack.folder() + "/sim/board0", "r01");
  Control control(rack.folder() + "/sim/control");
  TakeSlots(host);
  host.Listen(milliseconds(600));
  std::vector<Row> rows;
  MeasureEcho(host, rows);
  MeasureOutput(host, control, rows);
  MeasureRelays(host, rows);
  MeasureVbus(host, rows);
  MeasureTelemetry(host, rows);
  return rows;
}

void PrintBoards(const std::vector<std::string>& names, const std::vector<std::vector<Row>>& boards) {
  fmt::print("\n{:<62}", "Boards");
  for (const auto& name : names) fmt::print("  {:>33}", name);
  fmt::print("\n{:<62}", "  what");
  for (size_t i = 0; i < names.size(); ++i) fmt::print("  {:>11} {:>10} {:>10}", "ours", "floor", "ratio");
  fmt::print("   aim\n");
  size_t longest = 0;
  for (const auto& rows : boards) longest = std::max(longest, rows.size());
  for (size_t row = 0; row < longest; ++row) {
    std::string line;
    std::string aim;
    for (const auto& rows : boards) {
      if (row >= rows.size()) {
        line += fmt::format("  {:>33}", "-");
        continue;
      }
      const Row& one = rows[row];
      const Figure& figure = one.boards.front();
      if (&rows == &boards.front() || line.empty()) fmt::print("  {:<60}", one.what);
      line += fmt::format("  {:>7.0f} {:<3} {:>10.0f} {:>8.2f} x",
                          figure.ours,
                          one.unit,
                          figure.floor,
                          figure.floor > 0 ? figure.ours / figure.floor : 0);
      aim = one.aim;
    }
    fmt::print("{}   {}\n", line, aim);
  }
}

void PrintFirmwareCost() {
  const std::string program = std::string(FARADAY_BIN_DIR) + "/faraday-firmware-cost";
  if (!std::filesystem::exists(program)) return;
  fmt::print("\nFirmware cost (faraday-firmware-cost: instructions of the real image, bytes of its messages)\n");
  std::fflush(stdout);
  FILE* pipe = popen((program + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return;
  char line[256];
  while (std::fgets(line, sizeof(line), pipe) != nullptr) fmt::print("  {}", line);
  pclose(pipe);
}

}  // namespace faraday::hil
