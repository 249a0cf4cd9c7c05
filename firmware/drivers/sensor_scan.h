// What the slots' sensors say, read in turns and handed to the core: all currents within 7 ms, voltages, rails,
// read-backs of the expanders, the monitors' faults, tray air.
//
// What a scan may read is counted by elapsed milliseconds, so that it does not depend on a pass's length. Reads of
// different buses go on at the same time where the board can. ALERT# of the monitors comes first. Main loop only.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "firmware/core/rack_core.h"
#include "firmware/drivers/adm127x.h"
#include "firmware/drivers/board.h"
#include "firmware/drivers/bus_care.h"
#include "firmware/drivers/output_writer.h"
#include "firmware/drivers/tmp105.h"

namespace faraday::firmware {

template <Board B>
class SensorScan {
 public:
  SensorScan(B& board, RackCore& core, BusCare<B>& buses, OutputWriter<B>& outputs)
      : board_(board), core_(core), buses_(buses), outputs_(outputs), scale_(board.Scale()) {
    OrderSlots();
  }

  // Identifies and sets up the slot's monitor, and reads each of its sensors once. At boot.
  void ReadFirst(size_t slot) {
    buses_.ForgetHangs();
    SetUpMonitor(slot);
    for (const What what : {What::kCurrent, What::kVoltage, What::kRail, What::kTemperature}) Add(what, slot);
    RunReads();
  }
  // The share of `dt` ms.
  void Scan(uint32_t dt);
  // Currents only: inside a slow write of the memory what protects the slots goes on.
  void ScanCurrents(uint32_t dt) {
    for (uint32_t n = 0; n < std::min(dt, kMostMs) * kCurrentsPerMs; ++n) ReadNext(What::kCurrent);
    RunReads();
  }
  // Bit n of `buses`: ALERT# of the monitors on bus n is low.
  void LookAtAlerts(uint16_t buses, uint32_t dt);

 private:
  static constexpr uint32_t kCurrentsPerMs = 5;        // 32 slots in 7 ms: 3 ms of room for a long pass within 10 ms
  static constexpr uint32_t kVoltagesEveryMs = 2;      // two of them: all in 32 ms
  static constexpr uint32_t kReadBackEveryMs = 2;      // all expanders in 64 ms
  static constexpr uint32_t kRailEveryMs = 4;          // all VINs in 128 ms, a rail of four slots or more within 50 ms
  static constexpr uint32_t kFaultEveryMs = 4;         // all STATUS words in 128 ms; ALERT# is the faster way
  static constexpr uint32_t kTemperatureEveryMs = 16;  // all trays in half a second: air is slow
  static constexpr uint32_t kMostMs = 8;               // after a long pass, read each sensor once, not the arrears
  static constexpr uint8_t kMissingAfter = 3;          // failed reads in a row, each of another millisecond, chosen
  static constexpr uint32_t kAlertEveryMs = 5;         // chosen: a look takes 2 ms
  static constexpr uint32_t kAlertStaysEveryMs = 100;  // chosen: a line that nobody lets go must not cost the scan
  static constexpr uint8_t kAlertStaysAfter = 3;       // looks, chosen

  // What is read of a slot; kStatus as kFault, and what an alert asks for.
  enum class What : uint8_t { kCurrent, kVoltage, kRail, kFault, kStatus, kTemperature, kOutputs };
  static constexpr size_t kWhats = 7;
  struct Job {
    What what = What::kCurrent;
    uint8_t slot = 0;
  };
  struct Monitor {
    bool ok = false;          // identified and set up since it last answered
    bool wrong_part = false;  // another part answered in its place
    bool sampled = false;     // the current
    uint8_t failures = 0;     // in a row, one a millisecond at most
    uint8_t failed_ms = 0;    // of the last, its low bits
    uint32_t sampled_ms = 0;
  };

  const SlotWiring& wiring(size_t slot) const { return board_.Slots()[slot]; }
  void OrderSlots();
  void ReadNext(What what);
  void Add(What what, size_t slot);
  void RunReads();
  RegisterRead ReadOf(What what, size_t slot) const;
  void Take(What what, size_t slot, const RegisterRead& read);
  void TakeCurrent(size_t slot, const RegisterRead& read);
  void TakeFault(size_t slot, const RegisterRead& read);
  void TakeStatus(size_t slot, const RegisterRead& read);
  void ClearFaults(size_t slot);
  void SetUpMonitor(size_t slot);
  // True: what was read is a measurement of the right part, set up before it.
  bool CountMonitor(size_t slot, const Status& status);

  B& board_;
  RackCore& core_;
  BusCare<B>& buses_;
  OutputWriter<B>& outputs_;
  const Adm127xScale scale_;
  std::array<Monitor, link::kMaxSlots> monitors_{};
  std::array<uint8_t, link::kMaxSlots> order_{};  // slots, the monitors' buses taking turns
  std::array<uint8_t, kWhats> at_{};              // in order_, of each What
  std::array<RegisterRead, kMostReads> reads_{};
  std::array<Job, kMostReads> jobs_{};
  size_t queued_ = 0;
  uint32_t ms_ = 0;
  uint32_t alert_rest_ms_ = 0;
  uint8_t alert_looks_ = 0;  // in a row, without the line let go
};

// Neighbours in the order are on different buses where there are several, so that a batch of reads shares their time.
template <Board B>
void SensorScan<B>::OrderSlots() {
  size_t placed = 0;
  for (size_t rank = 0; placed < core_.slots(); ++rank) {
    for (size_t i = 0; i < core_.slots(); ++i) {
      size_t before = 0;
      for (size_t j = 0; j < i; ++j) before += wiring(j).monitor.bus == wiring(i).monitor.bus;
      if (before == rank) order_[placed++] = static_cast<uint8_t>(i);
    }
  }
}

template <Board B>
void SensorScan<B>::Scan(uint32_t dt) {
  const uint32_t count = std::min(dt, kMostMs);
  for (uint32_t n = 0; n < count; ++n) {
    ++ms_;
    for (uint32_t i = 0; i < kCurrentsPerMs; ++i) ReadNext(What::kCurrent);
    for (uint32_t i = 0; i < 2 && ms_ % kVoltagesEveryMs == 0; ++i) ReadNext(What::kVoltage);
    if (ms_ % kReadBackEveryMs == 0) ReadNext(What::kOutputs);
    if (ms_ % kRailEveryMs == 1) ReadNext(What::kRail);
    if (ms_ % kFaultEveryMs == 3) ReadNext(What::kFault);
    if (ms_ % kTemperatureEveryMs == 0) ReadNext(What::kTemperature);
    RunReads();
  }
}

// Asks every monitor of the bus what is the matter; one that has something to say is sampled now. A line that stays low
// is looked at less often.
template <Board B>
void SensorScan<B>::LookAtAlerts(uint16_t buses, uint32_t dt) {
  alert_rest_ms_ = Sink(alert_rest_ms_, dt);
  if (buses == 0) {
    alert_looks_ = 0;
    return core_.OnAlertsGone();
  }
  if (alert_rest_ms_ > 0) return;
  for (size_t n = 0; n < core_.slots(); ++n) {
    const size_t slot = order_[n];
    if ((buses >> wiring(slot).monitor.bus & 1U) != 0) Add(What::kStatus, slot);
  }
  RunReads();
  const bool stays = alert_looks_ >= kAlertStaysAfter;
  if (!stays) ++alert_looks_;
  alert_rest_ms_ = stays ? kAlertStaysEveryMs : kAlertEveryMs;
  core_.OnAlert(stays);
}

template <Board B>
void SensorScan<B>::ReadNext(What what) {
  uint8_t& at = at_[static_cast<size_t>(what)];
  at = static_cast<uint8_t>(at + 1U < core_.slots() ? at + 1 : 0);
  Add(what, order_[at]);
}

template <Board B>
RegisterRead SensorScan<B>::ReadOf(What what, size_t slot) const {
  const SlotWiring& wired = wiring(slot);
  switch (what) {
    case What::kCurrent:
      return Adm127xReads::Current(wired.monitor);
    case What::kVoltage:
      return Adm127xReads::Voltage(wired.monitor);
    case What::kRail:
      return Adm127xReads::Rail(wired.monitor);
    case What::kFault:
    case What::kStatus:
      return Adm127xReads::Status(wired.monitor);
    case What::kTemperature:
      return Tmp105::Temperature(wired.temperature);
    case What::kOutputs:
      return OutputWriter<B>::ReadBackOf(wired);
  }
  return {};
}

// A read that a rest forbids says nothing of its part; on a bus that hung in this pass it is left for the next.
template <Board B>
void SensorScan<B>::Add(What what, size_t slot) {
  if (queued_ == kMostReads) RunReads();
  const RegisterRead read = ReadOf(what, slot);
  if (buses_.Hung(read.bus) || buses_.Resting(read.bus) || buses_.LeftAlone(read.bus, read.address)) return;
  reads_[queued_] = read;
  jobs_[queued_] = {.what = what, .slot = static_cast<uint8_t>(slot)};
  ++queued_;
}

template <Board B>
void SensorScan<B>::RunReads() {
  const size_t count = queued_;
  queued_ = 0;
  const std::span<RegisterRead> reads = std::span(reads_).first(count);
  if constexpr (ReadsTogether<B>) {
    board_.ReadTogether(reads);
    for (RegisterRead& read : reads) buses_.Note(read.bus, read.status, read.address);
  } else {
    for (RegisterRead& read : reads) read.status = buses_.Read(read);
  }
  for (size_t i = 0; i < count; ++i) Take(jobs_[i].what, jobs_[i].slot, reads[i]);
}

template <Board B>
void SensorScan<B>::Take(What what, size_t slot, const RegisterRead& read) {
  switch (what) {
    case What::kCurrent:
      return TakeCurrent(slot, read);
    case What::kVoltage:
      if (CountMonitor(slot, read.status)) core_.OnVoltage(slot, scale_.Millivolts(Adm127xReads::Code(read)));
      return;
    case What::kRail:
      if (CountMonitor(slot, read.status)) core_.OnRailVoltage(slot, scale_.Millivolts(Adm127xReads::Code(read)));
      return;
    case What::kFault:
      return TakeFault(slot, read);
    case What::kStatus:
      return TakeStatus(slot, read);
    case What::kTemperature:
      if (read.status.ok()) core_.OnTemperature(slot, Tmp105::DeciCelsius(read));
      return;
    case What::kOutputs:
      return outputs_.TakeReadBack(slot, read);
  }
}

template <Board B>
void SensorScan<B>::TakeCurrent(size_t slot, const RegisterRead& read) {
  Monitor& monitor = monitors_[slot];
  if (!CountMonitor(slot, read.status)) return;
  const uint32_t now_ms = board_.NowMs();
  if (monitor.sampled) core_.OnCurrentGap(now_ms - monitor.sampled_ms);
  monitor.sampled_ms = now_ms;
  monitor.sampled = true;
  core_.OnCurrent(slot, scale_.Milliamps(Adm127xReads::Code(read)));
}

// The part has cut the slot by itself: the core must know before it looks at a current that is gone.
template <Board B>
void SensorScan<B>::TakeFault(size_t slot, const RegisterRead& read) {
  if (!CountMonitor(slot, read.status) || !Adm127xReads::CutOff(read)) return;
  core_.OnHotSwapOff(slot, Adm127xReads::Bits(read));
  ClearFaults(slot);
}

template <Board B>
void SensorScan<B>::TakeStatus(size_t slot, const RegisterRead& read) {
  if (!read.status.ok() || !Adm127xReads::InTrouble(read)) return;
  if (Adm127xReads::CutOff(read)) return TakeFault(slot, read);
  RegisterRead current = ReadOf(What::kCurrent, slot);
  current.status = buses_.Read(current);
  TakeCurrent(slot, current);
  ClearFaults(slot);
}

template <Board B>
void SensorScan<B>::ClearFaults(size_t slot) {
  const ChipAddress& chip = wiring(slot).monitor;
  (void)buses_.Try(chip.bus, [&](auto& bus) { return Adm127x(bus, chip.address, scale_).ClearFaults(); });
}

// Numbers of a part that is not the one of the board table would be wrong numbers: none are taken from it.
template <Board B>
void SensorScan<B>::SetUpMonitor(size_t slot) {
  const ChipAddress& chip = wiring(slot).monitor;
  Monitor& monitor = monitors_[slot];
  const Status identity =
      buses_.Try(chip.bus, [&](auto& bus) { return Adm127x(bus, chip.address, scale_).CheckIdentity(); });
  monitor.wrong_part = identity.code() == Code::kFailedPrecondition;
  if (monitor.wrong_part) core_.OnWrongPart(slot);
  if (!identity.ok()) return;
  monitor.ok = buses_.Try(chip.bus, [&](auto& bus) { return Adm127x(bus, chip.address, scale_).Configure(); }).ok();
}

// A part that comes back, if only from a moment's silence, may have lost its set-up, or be another one. Only reads that
// ran on a bus that works count against it.
template <Board B>
bool SensorScan<B>::CountMonitor(size_t slot, const Status& status) {
  Monitor& monitor = monitors_[slot];
  const bool was_ok = monitor.ok;
  if (status.ok()) {
    monitor.failures = 0;
    if (!was_ok && !monitor.wrong_part) SetUpMonitor(slot);
    return was_ok;
  }
  if (!BusCare<B>::PartIsSilent(status)) return false;
  monitor.ok = false;
  const auto failed_ms = static_cast<uint8_t>(ms_);
  const bool again = monitor.failures == 0 || monitor.failed_ms != failed_ms;
  monitor.failed_ms = failed_ms;
  if (again && monitor.failures < kMissingAfter) ++monitor.failures;
  if (monitor.failures < kMissingAfter) return false;
  monitor.wrong_part = false;
  core_.OnMonitorMissing(slot);
  return false;
}

}  // namespace faraday::firmware
