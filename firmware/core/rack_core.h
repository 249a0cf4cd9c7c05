// The firmware's decisions for one board: frames, samples and time in; outputs, frames and NVM writes out.
//
// A pass: Tick(now), then OnBytes and the sensors' reports, then DesiredOutputs of every slot and the line's bytes.
// Slots count from 0 here and from 1 on the line. Pure: main loop only, no heap, no clock, about 20 KiB.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "firmware/core/board_config.h"
#include "firmware/core/epoch_store.h"
#include "firmware/core/event_log.h"
#include "firmware/core/lease_table.h"
#include "firmware/core/link_server.h"
#include "firmware/core/log_flash.h"
#include "firmware/core/slot.h"

namespace faraday::firmware {

// What the core must know of the board it runs on.
struct BoardFacts {
  const char* name = "";
  uint32_t session = 1;  // random, not 0
  link::BootReason boot_reason = link::BootReason::kUnknown;
  size_t slots = 0;       // 1 to 32
  uint32_t flash_id = 0;  // JEDEC id of the firmware's flash, 0: none or silent
  bool flash_silent = false;
  Ceilings ceilings{};       // compiled in; a Configure can only be tighter
  uint32_t boot_number = 0;  // of the log, this boot included; 0: no log
};

// What the core must know of a slot's place on the board.
struct SlotFacts {
  uint32_t capabilities = 0;  // bits of link::capability
  uint8_t shelf = 0;          // 0 to 7: a shelf shares its air
  uint8_t monitor_bus = 0;    // 0 to 15: the I2C bus of its monitor
};

// What stopped the rack; LogKind::kStop's detail.
enum class StopSource : uint8_t { kCommand, kFrame, kButton, kInput, kDisobedience };

class RackCore {
 public:
  // `nvm` and `log` must outlive the core; `log` nullptr: a board without a log flash.
  RackCore(const BoardFacts& facts, Nvm& nvm, LogFlash* log);

  // Once, before the first pass: reads NVM. REQUIRES: as many places as BoardFacts::slots.
  void Boot(std::span<const SlotFacts> places, uint32_t now_ms);

  // Opens a pass: timers move to `now_ms` (wraps after 49 days).
  void Tick(uint32_t now_ms);
  // Bytes from the line, in any pieces. A stop frame acts before this returns.
  void OnBytes(std::span<const uint8_t> bytes);
  // A stop frame was seen on the line; it may come in OnBytes too. Any time, also while a command is executed.
  void OnStopFrame() { StopAll(StopSource::kFrame); }
  void OnVoltage(size_t slot, uint32_t mv) { slots_[slot].OnVoltage(mv); }
  // An over-current acts before this returns.
  void OnCurrent(size_t slot, uint32_t ma);
  void OnTemperature(size_t slot, int32_t deci_c);
  // The monitor did not answer (after retries).
  void OnMonitorMissing(size_t slot) { slots_[slot].OnMonitorMissing(); }
  // A part answers in the monitor's place that the board table does not name.
  void OnWrongPart(size_t slot) { slots_[slot].OnWrongPart(); }
  void OnReadBack(size_t slot, uint8_t bits) { slots_[slot].OnReadBack(bits); }
  // The expander did not answer. Not while StopAsserted(): it is in reset then.
  void OnExpanderMissing(size_t slot) { slots_[slot].OnExpanderMissing(); }
  void OnRelaySense(size_t slot, bool isolated) { slots_[slot].OnRelaySense(isolated); }
  // The turn-on could not be written in time, or what was on is found off: that VBUS is off when this returns.
  void OnTurnOnLate(size_t slot) { slots_[slot].OnTurnOnLate(shared_); }
  // REQUIRES: DesiredOutputs says VBUS on
  void OnVbusLost(size_t slot) { slots_[slot].OnVbusLost(shared_); }
  // Rack inputs, bit n is input n; undebounced.
  void OnRackInputs(uint32_t inputs);
  // The stop button's level. Pressed acts before this returns, like the stop frame, and blocks the clearing of a stop.
  void OnStopButton(bool pressed);
  // Bit n: the supply of rail n says power good, and said so ever since the last call.
  void OnPsuOk(uint32_t ok);
  // VIN of the slot's monitor: its rail before the switch, in mV.
  void OnRailVoltage(size_t slot, uint32_t mv);
  // The hot-swap part cut the slot by itself (its own over-current fault); its STATUS word.
  void OnHotSwapOff(size_t slot, uint32_t status_word);
  // No transfer on bus `bus` works (true), or one did again. Any time, repeated calls do nothing.
  void OnBusLost(size_t bus, bool lost);
  void OnStackHighWater(uint32_t bytes) { stack_high_water_ = bytes; }
  // ---- telemetry only ----
  // A bus was found stuck.
  void OnBusRecovery() { ++bus_recoveries_; }
  // A slot's current was sampled `ms` after the sample before.
  void OnCurrentGap(uint32_t ms) { current_scan_ms_ = ms > current_scan_ms_ ? ms : current_scan_ms_; }
  // Bytes lost or damaged at the UART since boot.
  void OnLineErrors(uint32_t total) { line_errors_ = total; }
  // An ALERT# was looked after; `stays`: it is still low.
  void OnAlert(bool stays);
  void OnAlertsGone() { alert_stays_ = false; }

  // Bits of drivers/board.h's Output.
  uint8_t DesiredOutputs(size_t slot) const { return stopped_ ? uint8_t{0} : slots_[slot].outputs(); }
  bool StopAsserted() const { return stopped_; }
  // The alarm output: a latched stop, a thermal trip, an input that raises it. Needs no host.
  bool AlarmOn() const { return stopped_; }
  TxRing& tx() { return server_.tx(); }

  const Slot& slot(size_t slot) const { return slots_[slot]; }
  const LeaseTable& leases() const { return leases_; }
  const BoardConfig& config() const { return config_; }
  size_t slots() const { return facts_.slots; }

 private:
  void OnHello();
  bool Overtaken(const link::Hello& hello) const;
  void OpenTerm();
  // Of the slots that the configuration fits; before one, of all places.
  bool AnyEpochLost() const;
  void SendHelloReply();
  void OnCommand();
  template <typename Call>
  bool Try(link::Reply& reply);
  bool Execute(link::Reply& reply);
  link::Verdict FindSlot(uint32_t number, link::Reply& reply) const;
  link::Verdict Fence(uint32_t number, uint32_t epoch, link::Reply& reply) const;
  link::Verdict Promise(size_t slot, link::Verdict verdict, link::Reply& reply);
  link::Verdict On(const link::Ping& ping, link::Reply& reply);
  link::Verdict On(const link::Configure& configure, link::Reply& reply);
  link::Verdict On(const link::SetLease& lease, link::Reply& reply);
  link::Verdict On(const link::SetVbus& vbus, link::Reply& reply);
  link::Verdict On(const link::CycleVbus& cycle, link::Reply& reply);
  link::Verdict On(const link::SetData& data, link::Reply& reply);
  link::Verdict On(const link::SetShield& shield, link::Reply& reply);
  link::Verdict On(const link::StopSlot& stop, link::Reply& reply);
  link::Verdict On(const link::ClearTrip& clear, link::Reply& reply);

  void StopAll(StopSource source);
  void StopForDisobedience();
  void Heard(uint32_t away_ms);
  void AdvanceSilence(uint32_t dt);
  void AdvanceLeases(uint32_t dt);
  void AdvanceInputs(uint32_t dt);
  void AdvanceTelemetry(uint32_t dt);
  void GrantTurnOns(uint32_t dt);
  void GrantOn(size_t rail);
  uint32_t WaitingBefore(size_t slot) const;
  // How a slot counts in a sum of currents.
  enum class Count : uint8_t {
    kMeasured,  // what it draws now
    kCautious,  // its limit until its current is known
    kPromised,  // as cautious, and slots that wait for their turn count too
  };
  bool WithinBudget(size_t slot, Count count) const;
  link::Verdict CheckBudget(size_t slot, link::Reply& reply) const;
  struct Load {
    uint32_t rail_ma = 0;
    uint32_t rack_ma = 0;
  };
  Load LoadBeside(size_t slot, Count count) const;
  uint32_t CountMa(const Slot& slot, const SlotConfig& config, Count count) const;
  uint32_t SlotState(size_t slot) const;
  uint32_t Faults() const;
  uint32_t RailsInUse() const;
  void ForgetWhatWasTold();
  // What passes too quickly for a telemetry to meet it.
  struct Brief {
    uint32_t psu_lost = 0;
    uint32_t input_edges = 0;
  };

  BoardFacts facts_;
  BoardConfig config_;
  EventLog events_;
  LinkServer server_;
  LogFlash* log_;
  EpochStore store_;
  LeaseTable leases_;
  uint32_t next_ticket_ = 1;
  Slot::Shared shared_;
  std::array<Slot, link::kMaxSlots> slots_{};
  std::array<SlotFacts, link::kMaxSlots> places_{};
  std::array<uint32_t, link::kMaxRails> rail_wait_ms_{};

  uint32_t now_ms_ = 0;
  bool stopped_ = false;
  uint32_t buses_lost_ = 0;
  Age heard_{0};
  uint32_t away_ms_ = 0;
  bool silent_ = false;
  bool silent_max_ = false;
  uint32_t raw_inputs_ = 0;
  uint32_t inputs_ = 0;
  bool inputs_known_ = false;
  std::array<uint8_t, 32> input_ages_{};
  bool stop_button_ = false;
  uint32_t psu_ok_ = 0xFF;
  bool alert_stays_ = false;
  uint32_t alerts_ = 0;
  uint32_t bus_recoveries_ = 0;
  uint32_t line_errors_ = 0;
  uint32_t current_scan_ms_ = 0;  // since the last telemetry that the line took
  Brief brief_;                   // since the last round of kBriefTelemetries
  Brief brief_before_;            // of the round before
  uint8_t brief_told_ = 0;
  uint32_t stack_high_water_ = 0;
  Age telemetry_age_;
  link::FixedString<15> hello_rack_;
  link::Telemetry telemetry_;  // kept: its number counts, and it is too big for the stack
  link::HelloReply hello_reply_;
  std::array<uint8_t, 640> config_bytes_{};  // the longest Configure: 3 x 32 + 15 numbers of 5 bytes, and tags
};

}  // namespace faraday::firmware
