// The firmware's decisions for one board: frames, samples and time in; outputs, frames and NVM writes out.
//
// A pass: Tick(now), then OnBytes and the sensors' reports, then DesiredOutputs of every slot and the line's bytes.
// Slots count from 0 here and from 1 on the line. Pure: main loop only, no heap, no clock, about 20 KiB.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "firmware/core/board_conditions.h"
#include "firmware/core/board_config.h"
#include "firmware/core/config_store.h"
#include "firmware/core/epoch_store.h"
#include "firmware/core/event_log.h"
#include "firmware/core/flash_log.h"
#include "firmware/core/host_watch.h"
#include "firmware/core/indicators.h"
#include "firmware/core/latch_store.h"
#include "firmware/core/lease_table.h"
#include "firmware/core/link_server.h"
#include "firmware/core/log_flash.h"
#include "firmware/core/rack_inputs.h"
#include "firmware/core/rail_watch.h"
#include "firmware/core/shelf_watch.h"
#include "firmware/core/slot.h"
#include "firmware/core/turn_on_queue.h"
#include "firmware/core/wear_store.h"

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
  void OnMonitorMissing(size_t slot) { slots_[slot].OnMonitorMissing(shared_); }
  // A part answers in the monitor's place that the board table does not name.
  void OnWrongPart(size_t slot) { slots_[slot].OnWrongPart(shared_); }
  void OnReadBack(size_t slot, uint8_t bits) { slots_[slot].OnReadBack(bits); }
  // The expander did not answer. Not while StopAsserted(): it is in reset then.
  void OnExpanderMissing(size_t slot) { slots_[slot].OnExpanderMissing(); }
  // The data path as it ought to be could not be written in this pass.
  void OnPathUnwritten(size_t slot) { slots_[slot].OnPathUnwritten(); }
  void OnRelaySense(size_t slot, bool isolated) { slots_[slot].OnRelaySense(isolated); }
  // The turn-on could not be written in time, or what was on is found off: that VBUS is off when this returns.
  void OnTurnOnLate(size_t slot) { slots_[slot].OnTurnOnLate(shared_); }
  // REQUIRES: DesiredOutputs says VBUS on
  void OnVbusLost(size_t slot) { slots_[slot].OnVbusLost(shared_); }
  // A turn-on has just reached its part: the stagger of its rail counts from now on.
  void OnVbusWritten(size_t slot) { queue_.OnWritten(slot); }
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

  // Bits of drivers/board.h's Output, the LED's too.
  uint8_t DesiredOutputs(size_t slot) const {
    return stopped_ ? uint8_t{0} : static_cast<uint8_t>(slots_[slot].outputs() | (leds_ >> slot & 1U) << kLedBit);
  }
  bool StopAsserted() const { return stopped_; }
  // The alarm output: a latched stop, a thermal trip, an input that raises it. Needs no host.
  bool AlarmOn() const { return stopped_ || heat_tripped_ || inputs_.alarm(); }
  TxRing& tx() { return server_.tx(); }

  const Slot& slot(size_t slot) const { return slots_[slot]; }
  const LeaseTable& leases() const { return leases_; }
  const BoardConfig& config() const { return config_; }
  const TurnOnQueue& queue() const { return queue_; }
  const RailWatch& rails() const { return rails_; }
  size_t slots() const { return facts_.slots; }

 private:
  static constexpr unsigned kLedBit = 7;

  // ---- rack_commands.cc: the line ----
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
  // What a turn-on must pass besides.
  link::Verdict MayTurnOn(size_t slot, link::Reply& reply) const;
  link::Verdict Promise(size_t slot, link::Verdict verdict, link::Reply& reply);
  bool InForce(uint32_t crc) const { return config_.accepted && config_.crc == crc; }
  void TakeConfig(const BoardConfig& config);
  link::Verdict On(const link::Ping& ping, link::Reply& reply);
  link::Verdict On(const link::Configure& configure, link::Reply& reply);
  link::Verdict On(const link::SetLease& lease, link::Reply& reply);
  link::Verdict On(const link::SetVbus& vbus, link::Reply& reply);
  link::Verdict On(const link::CycleVbus& cycle, link::Reply& reply);
  link::Verdict On(const link::SetData& data, link::Reply& reply);
  link::Verdict On(const link::SetShield& shield, link::Reply& reply);
  link::Verdict On(const link::StopSlot& stop, link::Reply& reply);
  link::Verdict On(const link::ClearTrip& clear, link::Reply& reply);
  link::Verdict ClearSlot(size_t slot);
  link::Verdict On(const link::Locate& locate, link::Reply& reply);
  link::Verdict On(const link::ClearSilence& clear, link::Reply& reply);
  link::Verdict On(const link::ReadLog& read, link::Reply& reply);
  link::Verdict On(const link::ReadWear& read, link::Reply& reply);
  link::Verdict On(const link::SetWear& set, link::Reply& reply);

  // ---- rack_core.cc: time, sensors, what stands against a slot ----
  void LoadConfig();
  void LoadLatches();
  void KeepLatches(uint32_t dt);
  void StopAll(StopSource source);
  void StopForDisobedience();
  void EnterSafeState(size_t slot, link::CancelCause cause);
  void AdvanceSilence(uint32_t dt);
  void AdvanceLeases(uint32_t dt);
  void AdvanceInputs(uint32_t dt);
  void AdvanceQueue(uint32_t dt);
  // What keeps a slot from turning on, and which rail, shelf, bus or input it is.
  struct Block {
    link::BlockCause cause = link::BlockCause::kNone;
    uint32_t which = 0;
    explicit operator bool() const { return cause != link::BlockCause::kNone; }
  };
  // Rail, shelf, bus: a slot that is on goes off for it.
  Block FindOffCause(size_t slot) const;
  Block FindBlock(size_t slot) const;
  void EnforceBlock(size_t slot);
  bool fitted(size_t slot) const { return config_.accepted && config_.slots[slot].limit_ma != 0; }
  uint32_t RailsInUse() const;
  uint32_t HotShelves() const;
  void LookAtHeat();
  void MoveWear(uint32_t dt);
  void LightUp(uint32_t dt);

  // ---- rack_telemetry.cc: what it says ----
  void AdvanceTelemetry(uint32_t dt);
  void FillSlots(link::Telemetry& telemetry) const;
  void FillBoard(link::Telemetry& telemetry) const;
  link::SlotMarks MarksOf(size_t slot) const;
  bool RelayWorn(size_t slot) const;
  void TellConditions();
  uint32_t Faults() const;
  void ForgetWhatWasTold();
  // What passes too quickly for a telemetry to meet it.
  struct Brief {
    uint32_t psu_lost = 0;
    uint32_t input_edges = 0;
  };

  BoardFacts facts_;
  BoardConfig config_;
  FlashLog log_;
  EventLog events_;
  LinkServer server_;
  EpochStore store_;
  ConfigStore configs_;
  LatchStore latches_;
  WearStore wear_;
  LeaseTable leases_;
  uint32_t next_ticket_ = 1;
  RailWatch rails_;
  BusWatch buses_;
  Slot::Shared shared_;
  std::array<Slot, link::kMaxSlots> slots_{};
  std::array<SlotFacts, link::kMaxSlots> places_{};
  TurnOnQueue queue_;
  HostWatch host_;
  RackInputs inputs_;
  Indicators indicators_;
  BoardConditions conditions_;

  uint32_t now_ms_ = 0;
  bool stopped_ = false;
  uint32_t stopped_slots_ = 0;  // by a StopSlot of their own, not by the rack's stop
  bool config_kept_ = true;     // the configuration in force is in NVM
  bool stop_button_ = false;
  bool heat_tripped_ = false;  // any slot, for the alarm
  uint32_t shelves_hot_ = 0;
  uint32_t taken_off_ = 0;  // slots that a rail, shelf or bus keeps off
  uint32_t leds_ = 0;
  uint32_t raw_inputs_ = 0;
  bool inputs_known_ = false;
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
};

}  // namespace faraday::firmware
