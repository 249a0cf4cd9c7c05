// A board in memory for driver tests: just enough of each chip's registers, and buses that can be told to fail.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "firmware/drivers/board.h"

namespace faraday::firmware {

// Registers of one chip, by number; words keep the order of bytes on the bus.
struct FakeChip {
  std::array<uint8_t, 256> bytes{};
  std::map<uint8_t, std::array<uint8_t, 2>> words;  // PMBus and TMP105: two bytes a register
  std::map<uint8_t, std::string> blocks;            // PMBus: read with their length first
  std::vector<std::vector<uint8_t>> log;            // writes to registers that are neither, as they came
  std::array<uint8_t, 2> unset{};                   // while PMON_CONFIG holds this, currents read as the highest code
};

class FakeBus {
 public:
  Status Write(uint8_t address, std::span<const uint8_t> out) {
    FakeChip* chip = nullptr;
    FARADAY_TRY(Reach(address, chip));
    if (!chip->blocks.empty() && !chip->words.contains(out[0]))
      chip->log.emplace_back(out.begin(), out.end());
    else if (chip->words.contains(out[0]))
      std::copy_n(out.begin() + 1, std::min<size_t>(out.size() - 1, 2), chip->words[out[0]].begin());
    else
      for (size_t i = 1; i < out.size(); ++i) chip->bytes[(out[0] & 0x0FU) + i - 1] = out[i];
    return OkStatus();
  }
  Status WriteRead(uint8_t address, std::span<const uint8_t> out, std::span<uint8_t> in) {
    FakeChip* chip = nullptr;
    FARADAY_TRY(Reach(address, chip));
    const auto block = chip->blocks.find(out[0]);
    for (size_t i = 0; i < in.size(); ++i) {
      if (block != chip->blocks.end()) {
        const std::string bytes = static_cast<char>(block->second.size()) + block->second;
        in[i] = i < bytes.size() ? static_cast<uint8_t>(bytes[i]) : uint8_t{0xFF};
        continue;
      }
      if (out[0] == 0x8C && chip->words[0xD4] == chip->unset) {
        in[i] = i == 0 ? 0xFF : 0x0F;
        continue;
      }
      in[i] = chip->words.contains(out[0]) ? chip->words[out[0]][i] : chip->bytes[(out[0] & 0x0FU) + i];
    }
    return OkStatus();
  }

  std::map<uint8_t, FakeChip> chips;
  std::set<uint8_t> silent;  // addresses that do not acknowledge
  bool stuck = false;
  int recovers = 0;  // transfers that find the bus stuck and free it
  int transfers = 0;

 private:
  Status Reach(uint8_t address, FakeChip*& chip) {
    ++transfers;
    if (stuck) return {Code::kDeadlineExceeded, "bus is stuck"};
    if (recovers-- > 0) return {Code::kAborted, "bus was stuck"};
    recovers = 0;
    const auto found = chips.find(address);
    if (found == chips.end() || silent.contains(address)) return {Code::kUnavailable, "no acknowledgement"};
    chip = &found->second;
    return OkStatus();
  }
};

class FakeBoard {
 public:
  static constexpr size_t kSlots = 4;
  static constexpr uint8_t kExpanders = 0, kMonitors = 1, kSensors = 2;  // bus numbers

  FakeBoard() {
    using namespace link::capability;  // NOLINT: only names of bits
    for (uint8_t i = 0; i < kSlots; ++i) {
      wiring.push_back({.outputs = {kExpanders, static_cast<uint8_t>(0x60 + i / 2), static_cast<uint8_t>(i % 2 * 8)},
                        .monitor = {kMonitors, static_cast<uint8_t>(0x10 + i)},
                        .temperature = {kSensors, static_cast<uint8_t>(0x48 + i)},
                        .relay_sense_input = i,
                        .capabilities = kVbus | kDataEnable | kDataSelect | kChargeMode | kRfRelay | kLed | kMonitor |
                                        kTemperature | kRelaySense});
      buses[kExpanders].chips[static_cast<uint8_t>(0x60 + i / 2)].bytes.fill(0x55);  // all released
      buses[kSensors].chips[static_cast<uint8_t>(0x48 + i)].words[0x00] = {25, 0};
      SetMillivolts(i, 0);
      SetMilliamps(i, 0);
      SetWord(i, 0x88, 5000 * 4062 / 100'000 + 1);
      FakeChip& monitor = Monitor(i);
      monitor.words[0xD4] = {0x35, 0x3F};
      monitor.words[0x79] = {0x40, 0x08};  // off, no power good
      monitor.blocks = {{0x99, "ADI"}, {0x9A, "ADM1272-A1"}};
    }
    nvm.fill(0xFF);
  }

  // ---- the Board concept ----
  const char* Name() const { return "fake"; }
  std::span<const SlotWiring> Slots() const { return wiring; }
  MonitorScale Scale() const { return {5000}; }
  uint32_t NowMs() { return now_ms; }
  size_t UartRead(std::span<uint8_t> in) {
    const size_t n = std::min(in.size(), to_mcu.size());
    std::copy_n(to_mcu.begin(), n, in.begin());
    to_mcu.erase(to_mcu.begin(), to_mcu.begin() + static_cast<ptrdiff_t>(n));
    return n;
  }
  size_t UartWrite(std::span<const uint8_t> out) {
    const size_t n = std::min(out.size(), uart_takes);
    to_host.insert(to_host.end(), out.begin(), out.begin() + static_cast<ptrdiff_t>(n));
    return n;
  }
  uint64_t ReadInputs() const { return inputs; }
  Signals TakeSignals() const { return signals; }
  void SetStopPin(bool level) {
    stop = level;
    if (!level || reset_line_broken) return;
    for (auto& [address, chip] : buses[kExpanders].chips) chip.bytes.fill(0x55);
  }
  void SetAlarmPin(bool level) {
    alarm = level;
    now_ms += slow_pass_ms;
  }
  void FeedWatchdog() { ++fed; }
  link::BootReason BootCause() const { return link::BootReason::kPowerOn; }
  uint32_t NewSession() { return 77; }
  Status NvmRead(uint32_t at, std::span<uint8_t> in) {
    std::copy_n(nvm.begin() + at, in.size(), in.begin());
    return OkStatus();
  }
  Status NvmWrite(uint32_t at, std::span<const uint8_t> out) {
    std::copy(out.begin(), out.end(), nvm.begin() + at);
    return OkStatus();
  }
  FakeBus& Bus(size_t bus) { return buses[bus]; }

  // ---- the test's side ----
  FakeChip& Monitor(size_t slot) { return buses[kMonitors].chips[static_cast<uint8_t>(0x10 + slot)]; }
  void SetMillivolts(size_t slot, uint32_t mv) { SetWord(slot, 0x8B, mv * 4062 / 100'000 + (mv != 0)); }
  void SetMilliamps(size_t slot, uint32_t ma) { SetWord(slot, 0x8C, (20'480 + ma * 3315 / 1000 + 9) / 10); }
  // Selector bits of the slot's eight pins, pin 0 lowest: 00 on, 01 released.
  uint16_t Selectors(size_t slot) {
    const auto& bytes = buses[kExpanders].chips[wiring[slot].outputs.address].bytes;
    const size_t at = 6 + wiring[slot].outputs.first_pin / 4U;
    return static_cast<uint16_t>(bytes[at] | bytes[at + 1] << 8);
  }
  bool PinOn(size_t slot, unsigned pin) { return (Selectors(slot) >> (2 * pin) & 3) == 0; }

  std::vector<SlotWiring> wiring;
  std::array<FakeBus, 3> buses;
  std::array<uint8_t, 8192> nvm{};
  std::vector<uint8_t> to_mcu, to_host;
  size_t uart_takes = SIZE_MAX;
  uint64_t inputs = 0xF;  // all relays rest
  Signals signals;
  bool reset_line_broken = false;
  uint32_t now_ms = 5;
  bool stop = true;
  bool alarm = false;
  uint32_t slow_pass_ms = 0;  // what a pass takes
  int fed = 0;

 private:
  void SetWord(size_t slot, uint8_t command, uint32_t raw) {
    buses[kMonitors].chips[static_cast<uint8_t>(0x10 + slot)].words[command] = {static_cast<uint8_t>(raw),
                                                                                static_cast<uint8_t>(raw >> 8)};
  }
};

// The same with what a real board has beside it: reads of several buses at once, and a memory that takes 5 ms a write.
class SlowBoard : public FakeBoard {
 public:
  using FakeBoard::NvmWrite;
  template <typename Idle>
  Status NvmWrite(uint32_t at, std::span<const uint8_t> out, Idle idle) {
    for (int ms = 0; ms < 5; ++ms) {
      ++now_ms;
      if (while_writing) while_writing(written_ms++);
      idle();
    }
    return FakeBoard::NvmWrite(at, out);
  }
  void ReadTogether(std::span<RegisterRead> reads) {
    ++batches;
    std::array<Status, 3> stuck;
    for (RegisterRead& read : reads) {
      Status& bus = stuck[read.bus];
      read.status =
          bus.ok() ? Bus(read.bus).WriteRead(read.address, std::span<const uint8_t>(&read.reg, 1), read.in) : bus;
      if (read.status.code() == Code::kAborted || read.status.code() == Code::kDeadlineExceeded) bus = read.status;
    }
  }
  void SetStopPin(bool level) {
    if (level && !stop) stopped_ms = now_ms;
    FakeBoard::SetStopPin(level);
  }

  std::function<void(int ms)> while_writing;  // each millisecond of it, counted over all writes
  int written_ms = 0;
  int batches = 0;
  uint32_t stopped_ms = 0;
};

static_assert(Board<FakeBoard>);
static_assert(Board<SlowBoard> && ReadsTogether<SlowBoard> && IdlesInNvmWrite<SlowBoard>);

}  // namespace faraday::firmware
