// One whole line for tests, on virtual time: the production session and board of the controller, a damager in the
// middle, the production firmware on a simulated board. A pass is a millisecond. What the hardware did is read at the
// plant's pins and in the EEPROM, not from the protocol.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controller/core/board.h"
#include "controller/mcu_line/line_session.h"
#include "sim/board/sim_board.h"
#include "sim/line_proxy/line_damager.h"

namespace faraday::controller {

class FakeBadLine final : public RackLine, public LineEvents {
 public:
  static constexpr int kSlots = 32;
  using Bytes = std::vector<uint8_t>;

  FakeBadLine(const sim::DamageRates& rates, uint64_t seed) : damager(rates, seed) {
    for (int i = 0; i < kSlots; ++i) rails_.push_back(i / 8);
    sim_board = std::make_unique<sim::SimBoard>(rails_, wire_, [this] { return static_cast<uint32_t>(now_ms); });
    sim_board->Boot();
    board.SetHooks({.on_hello = [](const link::HelloReply&, bool, Now) { return OkStatus(); },
                    .lease_for =
                        [this](int slot, bool, Now) {
                          return link::SetLease{.slot = static_cast<uint32_t>(slot),
                                                .epoch = epochs[static_cast<size_t>(slot) - 1],
                                                .duration_ms = kLong};
                        },
                    .on_ready = [](bool, Now) {},
                    .on_down = [](Now) {},
                    .on_telemetry = [](Now) {},
                    .on_event = [](const link::Event&, Now) {}});
    board.SetLine(this);
    epochs.fill(1);
  }

  static rackconfig::RackConfig MakeConfig() {
    rackconfig::RackConfig config;
    config.rack = "r01";
    config.boards.resize(1);
    config.rails.resize(1);
    for (const char* name : {"A", "B", "C", "D"}) config.rails[0].push_back({name, Milliamps(16'000)});
    for (int i = 1; i <= kSlots; ++i) {
      rackconfig::SlotConfig slot;
      slot.number = slot.board_slot = i;
      slot.rail = (i - 1) / 8;
      slot.current_limit = Milliamps(2000);
      slot.safe_state = rackconfig::SafeState::kOff;
      slot.hosts = {{"h01", "127.0.0.1:5601", ""}, {"h02", "127.0.0.1:5602", ""}};
      config.slots.push_back(slot);
    }
    config.stagger_ms = 50;
    return config;
  }

  Now now() const { return {BootTime(Milliseconds(now_ms)), {}}; }

  void Run(uint64_t ms) {
    for (uint64_t i = 0; i < ms; ++i) Pass();
  }
  bool RunUntil(uint64_t ms, const std::function<bool()>& condition) {
    for (uint64_t i = 0; i < ms && !condition(); ++i) Pass();
    return condition();
  }
  // The line is opened; until the board has its leases and has been off long enough to be switched on.
  bool Connect() {
    session.Start(now());
    const bool ready = RunUntil(20'000, [this] { return board.ready(); });
    Run(600);
    return ready;
  }

  void Pass() {
    ++now_ms;
    if (host_runs && now_ms % 25 == 0) HostTick();
    Carry();
    sim_board->Pass();
    CarryBack();
    if (on_pass) on_pass();
  }

  // ---- RackLine, for the board ----
  Status Send(const link::Command& command, Now at) override { return session.Send(command, at); }
  void SendStop() override { session.SendStop(); }
  uint32_t ConfigureCrc(const link::Configure& configure) const override {
    std::array<uint8_t, link::kMaxPayload> bytes{};
    return link::Crc32(std::span(bytes).first(*link::EncodeMessage(configure, bytes)));
  }
  LineCounters counters() const override { return session.counters(); }

  // ---- LineEvents, from the session to the board ----
  void OnUp(const link::HelloReply& hello, Now at) override {
    ++ups;
    if (down_since_ms != 0) longest_down_ms = std::max(longest_down_ms, now_ms - down_since_ms);
    down_since_ms = 0;
    board.OnUp(hello, at);
  }
  void OnDown(const std::string& reason, Now at) override {
    if (down_since_ms == 0) down_since_ms = now_ms;
    downs.push_back(reason);
    board.OnDown(reason, at);
  }
  void OnReply(const link::Reply& reply, Now at) override { board.OnReply(reply, at); }
  void OnEvent(const link::Event& event, Now at) override {
    ++deliveries[event.id];
    if (std::holds_alternative<link::HostSilent>(event.kind)) ++silences;
    if (on_event) on_event(event);
    board.OnEvent(event, at);
  }
  void OnTelemetry(const link::Telemetry& telemetry, Now at) override {
    if (last_telemetry_ms != 0) longest_blind_ms = std::max(longest_blind_ms, now_ms - last_telemetry_ms);
    last_telemetry_ms = now_ms;
    board.OnTelemetry(telemetry, at);
  }

  // What switches something; the LED shows the lease and switches nothing.
  uint8_t Pins(int slot) const {
    sim::SlotOutputs outputs = sim_board->plant().slot(static_cast<size_t>(slot) - 1).outputs();
    outputs.led = false;
    return sim::ToBits(outputs);
  }
  // The slot's epoch as the EEPROM holds it: the larger of two copies (firmware/core/epoch_store.h).
  uint32_t StoredEpoch(int slot) const {
    const auto& memory = sim_board->board().eeprom().contents();
    uint32_t largest = 0;
    for (size_t copy = 0; copy < 2; ++copy) {
      const size_t at = 0x010 + 16 * (static_cast<size_t>(slot) - 1) + 8 * copy;
      uint32_t value = 0;
      for (size_t i = 0; i < 4; ++i) value |= static_cast<uint32_t>(memory[at + i]) << (8 * i);
      if (value != 0xFFFF'FFFFU) largest = std::max(largest, value);
    }
    return largest;
  }

  static constexpr uint32_t kLong = 3'600'000;
  uint64_t now_ms = 10'000;
  rackconfig::RackConfig config = MakeConfig();
  sim::LineDamager damager;
  Board board{config, 0, 1000};
  LineSession session{
      "r01",
      "test",
      7,
      *this,
      {[this](std::span<const uint8_t> bytes) { sent_.insert(sent_.end(), bytes.begin(), bytes.end()); },
       [this](const std::string& why) { superseded = why; },
       nullptr}};
  std::unique_ptr<sim::SimBoard> sim_board;
  std::array<uint32_t, kSlots> epochs{};
  // Planted between damager and board; may change the bytes.
  std::function<void(Bytes& to_board)> spoil_to_board;
  std::function<void(Bytes& to_host)> spoil_to_host;
  std::function<void()> on_pass;
  std::function<void(const link::Event&)> on_event;
  bool host_runs = true;

  std::string superseded;
  int ups = 0;
  std::vector<std::string> downs;
  uint64_t down_since_ms = 0;
  uint64_t longest_down_ms = 0;
  uint64_t last_telemetry_ms = 0;
  uint64_t longest_blind_ms = 0;
  std::map<uint32_t, int> deliveries;  // by event id
  int silences = 0;

 private:
  // The UART: so many bytes a millisecond. Below a command's length, so that no two commands fall into one pass and
  // each shows at the pins.
  static constexpr size_t kBytesAPassToBoard = 30;
  static constexpr size_t kBytesAPassToHost = 46;  // 460,800 baud
  static constexpr uint64_t kReopenMs = 100;       // as McuLine

  struct Wire : firmware::SerialLine {
    std::deque<uint8_t> to_board;
    Bytes to_host;
    size_t budget = 0;  // of this pass
    size_t Read(std::span<uint8_t> in) override {
      const size_t count = std::min({in.size(), to_board.size(), budget});
      budget -= count;
      std::copy_n(to_board.begin(), count, in.begin());
      to_board.erase(to_board.begin(), to_board.begin() + static_cast<std::ptrdiff_t>(count));
      return count;
    }
    size_t Write(std::span<const uint8_t> out) override {
      const size_t count = std::min(out.size(), kBytesAPassToHost - std::min(kBytesAPassToHost, to_host.size()));
      to_host.insert(to_host.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(count));
      return count;
    }
  };

  void HostTick() {
    if (reopen_at_ms_ != 0 && now_ms >= reopen_at_ms_) {
      reopen_at_ms_ = 0;
      session.Start(now());
    }
    session.OnTime(now());
    board.OnTime(now());
    if (session.broken().empty() || reopen_at_ms_ != 0) return;
    const std::string why = session.broken();
    session.Stop(why, now());
    reopen_at_ms_ = now_ms + kReopenMs;
  }
  void Carry() {
    damager.Feed(sim::Way::kToBoard, sent_, now_ms);
    sent_.clear();
    Bytes through;
    damager.Take(sim::Way::kToBoard, now_ms, through);
    if (spoil_to_board) spoil_to_board(through);
    wire_.budget = kBytesAPassToBoard;
    wire_.to_board.insert(wire_.to_board.end(), through.begin(), through.end());
  }
  void CarryBack() {
    Bytes through;
    damager.Feed(sim::Way::kToHost, wire_.to_host, now_ms);
    wire_.to_host.clear();
    damager.Take(sim::Way::kToHost, now_ms, through);
    if (spoil_to_host) spoil_to_host(through);
    if (host_runs) session.OnBytes(through, now());
  }

  std::vector<int> rails_;
  Wire wire_;
  Bytes sent_;
  uint64_t reopen_at_ms_ = 0;
};

}  // namespace faraday::controller
