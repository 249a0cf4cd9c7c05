#include "firmware/boards/native/board.h"

#include <algorithm>
#include <random>

#include "base/check.h"
#include "base/result.h"
#include "firmware/core/limits.h"

namespace faraday::firmware {
namespace {

constexpr uint8_t kEepromBus = 9;
constexpr uint8_t kEepromAddress = 0x50;
constexpr size_t kPinsASlot = 8;

// No key actuators: the rack of the examples has none.
constexpr uint32_t kCapabilities = link::capability::kVbus | link::capability::kDataEnable |
                                   link::capability::kDataSelect | link::capability::kChargeMode |
                                   link::capability::kRfRelay | link::capability::kLed | link::capability::kMonitor |
                                   link::capability::kTemperature | link::capability::kRelaySense;

SlotWiring WiringOf(size_t slot) {
  const size_t expander = slot / 2;
  const auto byte = [](size_t value) { return static_cast<uint8_t>(value); };
  return {.outputs = {.bus = byte(expander < 8 ? 4 : 10),
                      .address = byte(0x60 + expander % 8),
                      .first_pin = byte(slot % 2 * kPinsASlot)},
          .monitor = {.bus = byte(2 + slot / 16), .address = byte(0x10 + slot % 16)},
          .temperature = {.bus = byte(5 + slot / 8), .address = byte(0x48 + slot % 8)},
          .relay_sense_input = byte(slot),
          .capabilities = kCapabilities,
          .shelf = byte(slot / 8)};
}

std::array<uint8_t, 2> AddressBytes(size_t at) {
  return {static_cast<uint8_t>(at >> 8), static_cast<uint8_t>(at & 0xFF)};
}

}  // namespace

NativeBoard::NativeBoard(sim::Plant& plant, SerialLine& line, std::function<uint32_t()> clock)
    : plant_(plant), line_(line), clock_(std::move(clock)) {
  FARADAY_CHECK(plant.slots() >= 1 && plant.slots() <= kMaxBoardSlots);
  for (size_t slot = 0; slot < plant.slots(); ++slot) Wire(slot);
  buses_[kEepromBus].Attach(kEepromAddress, eeprom_);
  for (sim::I2cBus& bus : buses_) bus.OnTimePassing([this](uint32_t ms) { LetTimePass(ms); });
  fed_at_ms_ = transfer_ends_ms_ = clock_();
}

void NativeBoard::Wire(size_t slot) {
  const SlotWiring wiring = WiringOf(slot);
  wiring_.push_back(wiring);
  pins_stuck_.push_back(0);
  if (wiring.outputs.first_pin == 0) {
    expanders_.push_back(std::make_unique<sim::Pca9552>([this, slot](uint16_t pins) {
      for (size_t i = 0; i < 2 && slot + i < plant_.slots(); ++i) {
        plant_.slot(slot + i).SetOutputs(sim::OutputsFromBits(static_cast<uint8_t>(pins >> (kPinsASlot * i))));
      }
    }));
    buses_[wiring.outputs.bus].Attach(wiring.outputs.address, *expanders_.back());
  }
  monitors_.push_back(std::make_unique<sim::Adm1272>(kShuntMicroohm, [this, slot] {
    const sim::SlotPhysics& physics = plant_.slot(slot);
    return sim::MonitorReading{plant_.rail_mv(slot), physics.vbus_mv(), physics.vbus_ma(), physics.cut_off()};
  }));
  buses_[wiring.monitor.bus].Attach(wiring.monitor.address, *monitors_.back());
  sensors_.push_back(std::make_unique<sim::Tmp105>([this, slot] { return plant_.slot(slot).tray_reading_deci_c(); }));
  buses_[wiring.temperature.bus].Attach(wiring.temperature.address, *sensors_.back());
}

bool NativeBoard::InTransfer() { return static_cast<int32_t>(transfer_ends_ms_ - clock_()) > 0; }

uint32_t NativeBoard::NowMs() {
  if (!InTransfer()) transfer_ends_ms_ = clock_();  // never left so far behind that the counter's wrap matters
  return transfer_ends_ms_;
}

size_t NativeBoard::UartRead(std::span<uint8_t> in) {
  PollLine();
  if (received_size_ == 0) stops_taken_ = stops_seen_;  // what is missing was lost
  const size_t count = std::min(in.size(), received_size_);
  for (size_t i = 0; i < count; ++i) in[i] = received_[(received_at_ + i) % received_.size()];
  received_at_ = (received_at_ + count) % received_.size();
  received_size_ -= count;
  return count;
}

void NativeBoard::PollLine() {
  std::array<uint8_t, 256> bytes{};
  for (size_t n = line_.Read(bytes); n > 0; n = line_.Read(bytes)) {
    for (const uint8_t byte : std::span(bytes).first(n)) {
      if (received_size_ < received_.size()) received_[(received_at_ + received_size_++) % received_.size()] = byte;
      if (!stop_watch_.Feed(byte)) continue;
      ++stops_seen_;
      SetStopPin(true);
    }
  }
}

// The plant goes on meanwhile: what the firmware measures next is as old as it ought to be.
void NativeBoard::LetTimePass(uint32_t ms) {
  PollLine();
  transfer_ends_ms_ = NowMs() + ms;
  plant_.AdvanceTo(transfer_ends_ms_);
}

bool NativeBoard::WatchdogBit() {
  watchdog_bit_ = watchdog_bit_ || NowMs() - fed_at_ms_ > kWatchdogMs;
  return watchdog_bit_;
}

void NativeBoard::FeedWatchdog() {
  if (!WatchdogBit()) fed_at_ms_ = NowMs();
}

void NativeBoard::ResetExpander(size_t slot) { expanders_[slot / 2]->Reset(); }

void NativeBoard::SetVbusPinStuck(size_t slot, bool on, bool off) {
  pins_stuck_[slot] = static_cast<uint8_t>((on ? 1 : 0) | (off ? 2 : 0));
  std::array<unsigned, 2> stuck{};
  for (size_t i = slot / 2 * 2; i < std::min(slot / 2 * 2 + 2, pins_stuck_.size()); ++i) {
    const unsigned pin = 1U << wiring_[i].outputs.first_pin;
    if ((pins_stuck_[i] & 1) != 0) stuck[0] |= pin;
    if ((pins_stuck_[i] & 2) != 0) stuck[1] |= pin;
  }
  expanders_[slot / 2]->SetStuck(static_cast<uint16_t>(stuck[0]), static_cast<uint16_t>(stuck[1]));
}

void NativeBoard::SetMonitorWrong(size_t slot, bool wrong) {
  monitors_[slot]->SetModel(wrong ? "ADM1075-1" : "ADM1272-A1");
}

void NativeBoard::SetResetLineBroken(bool broken) {
  reset_line_broken_ = broken;
  for (auto& expander : expanders_) expander->HoldReset(stopped_ && !broken);
}

void NativeBoard::SetEepromMissing(bool missing) { buses_[kEepromBus].SetMissing(kEepromAddress, missing); }

void NativeBoard::SetSignals(const Signals& signals) {
  signals_ = signals;
  if (signals.stop_button) SetStopPin(true);
}

Signals NativeBoard::TakeSignals() const {
  Signals signals = signals_;
  signals.stop_frame = StopFrameWaits();
  for (size_t slot = 0; slot < wiring_.size(); ++slot) {
    const sim::SlotPhysics& physics = plant_.slot(slot);
    const bool over = physics.vbus_ma() > static_cast<int>(kCeilings.slot_ma) || physics.cut_off();
    if (over) signals.alert_buses |= static_cast<uint16_t>(1U << wiring_[slot].monitor.bus);
  }
  return signals;
}

void NativeBoard::SetStopPin(bool stop) {
  stop = stop || signals_.stop_button || StopFrameWaits();
  if (stop == stopped_) return;
  stopped_ = stop;
  for (auto& expander : expanders_) expander->HoldReset(stop && !reset_line_broken_);
}

uint32_t NativeBoard::NewSession() {
  std::random_device random;
  uint32_t session = 0;
  while (session == 0) session = random();
  return session;
}

Status NativeBoard::NvmRead(uint32_t at, std::span<uint8_t> in) {
  if (at > sim::At24::kSize || in.size() > sim::At24::kSize - at) return {Code::kOutOfRange, "beyond the EEPROM"};
  return buses_[kEepromBus].WriteRead(kEepromAddress, AddressBytes(at), in);
}

Status NativeBoard::NvmWrite(uint32_t at, std::span<const uint8_t> out) {
  if (at > sim::At24::kSize || out.size() > sim::At24::kSize - at) return {Code::kOutOfRange, "beyond the EEPROM"};
  while (!out.empty()) {
    const size_t count = std::min(out.size(), sim::At24::kPage - at % sim::At24::kPage);
    std::array<uint8_t, 2 + sim::At24::kPage> transfer{};
    std::ranges::copy(AddressBytes(at), transfer.begin());
    std::ranges::copy(out.first(count), transfer.begin() + 2);
    FARADAY_TRY(buses_[kEepromBus].Write(kEepromAddress, std::span(transfer).first(2 + count)));
    std::array<uint8_t, sim::At24::kPage> now{};
    FARADAY_TRY(NvmRead(at, std::span(now).first(count)));
    if (!std::ranges::equal(std::span(now).first(count), out.first(count))) {
      return {Code::kUnavailable, "the EEPROM took no write: protected or worn"};
    }
    at += static_cast<uint32_t>(count);
    out = out.subspan(count);
  }
  return OkStatus();
}

void NativeBoard::Reset(link::BootReason cause) {
  boot_cause_ = cause;
  received_size_ = 0;
  stop_watch_ = {};
  stops_taken_ = stops_seen_;
  alarm_ = false;
  flash_.FinishErase();
  SetStopPin(true);  // the pin's reset state; the firmware lets it go when it has booted
  for (sim::I2cBus& bus : buses_) bus.Reset();
  fed_at_ms_ = NowMs();
  watchdog_bit_ = false;
}

}  // namespace faraday::firmware
