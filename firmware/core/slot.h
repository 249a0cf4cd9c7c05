// One slot's state machine: switches, what its sensors say, its unfinished command, safe state, trips and conditions.
//
//   command ──▶ switches ──▶ outputs          samples ──▶ trips, conditions, the command's proof
//
// Pure; time comes as `dt` ms. A command ends with a CommandDone event when the sensors prove it or kVerifyMs passed.
#pragma once

#include <cstdint>

#include "firmware/core/board_config.h"
#include "firmware/core/epoch_store.h"
#include "firmware/core/event_log.h"
#include "firmware/core/lease_table.h"
#include "firmware/core/outputs.h"
#include "firmware/core/rail_watch.h"
#include "firmware/core/shelf_watch.h"
#include "firmware/core/slot_guard.h"
#include "firmware/core/slot_truth.h"
#include "link/slot_bits.h"

namespace faraday::firmware {

class Slot {
 public:
  // What all slots of a board share.
  struct Shared {
    const BoardConfig& config;
    EventLog& events;
    uint32_t& next_ticket;
    const LeaseTable& leases;
    const EpochStore& store;
    const Ceilings& ceilings;
    const BusWatch& buses;
    const RailWatch& rails;
  };

  // `index` from 0; `capabilities` of the wiring; the I2C bus of its monitor.
  Slot() = default;
  void Attach(size_t index, uint32_t capabilities, uint8_t monitor_bus);

  // ---- commands: already fenced, fitted, not stopped. Each returns the verdict; kAccepted takes the command's id.
  link::Verdict SetVbus(uint32_t id, bool on, Shared& shared);
  link::Verdict CycleVbus(uint32_t id, uint32_t off_ms, Shared& shared);
  link::Verdict SetData(uint32_t id, DataChoice choice, Shared& shared);
  link::Verdict SetShield(uint32_t id, bool couple, Shared& shared);
  // VBUS off, data open, isolated; whatever was going on is cancelled. Any time, any state.
  void Stop(Shared& shared);
  // Stop, and until ClearTrip no command and no safe state energises it.
  void KeepOff(Shared& shared);
  // False: the cause is still there (tray too hot, or nobody sees how hot). A charge duty goes on only when
  // EnterSafeState is called again.
  bool ClearTrip(const Shared& shared);
  // What KeepOff barred may be asked for again; a trip stays.
  void EndKeepOff() { kept_off_ = false; }
  // At boot: what was latched before it.
  void Restore(link::TripReason reason, bool hot, bool kept_off);
  // Another holder: what the last one had pending is cancelled, outputs stay.
  void HandOver(Shared& shared);
  // A slot that is kept off, or has no current limit, goes off whatever its safe state is.
  void EnterSafeState(link::CancelCause cause, Shared& shared);
  // A turn-on asked by a command does not happen any more.
  void CancelWaiting(link::CancelCause cause, Shared& shared);
  // The board takes VBUS away, not latched: off, data open, what was pending is cancelled. A commanded slot stays off
  // until asked anew; a charge duty goes on where HoldDuty lets it.
  void TakeOff(link::CancelCause cause, Shared& shared);
  // true: the charge duty keeps VBUS off and goes through its periods all the same.
  void HoldDuty(bool held) { duty_held_ = held; }

  // ---- sensors ----
  void OnVoltage(uint32_t mv);
  void OnCurrent(uint32_t ma, Shared& shared);
  void OnTemperature(int32_t deci_c, Shared& shared);
  // Three reads in a row failed. On, and its bus works: a trip.
  void OnMonitorMissing(Shared& shared);
  // Its numbers would mean nothing: as good as missing, until a sample says that the right part is there.
  void OnWrongPart(Shared& shared);
  void OnHotSwapOff(uint32_t status_word, Shared& shared);
  // Its relay has moved as often as one should.
  void SetRelayWorn(bool worn) { relay_worn_ = worn; }
  void OnReadBack(uint8_t bits);
  void OnExpanderMissing() { expander_missing_ = true; }
  void OnPathUnwritten() { data_.OnUnwritten(); }
  void OnRelaySense(bool isolated);
  // The turn-on did not reach the expander within kGrantFreshMs: VBUS stays off. A command ends PART_MISSING, the
  // charge duty waits for its turn again.
  void OnTurnOnLate(Shared& shared);
  // The expander shows VBUS off against the core's will: it stays off, reported, until somebody asks anew.
  // REQUIRES: vbus().out()
  void OnVbusLost(Shared& shared);

  void Advance(uint32_t dt, Shared& shared);
  // The unfinished command must act within `ms`, else it is cancelled.
  void SetPatience(uint32_t ms) { patience_ms_ = ms; }
  // The board lets a waiting turn-on happen.
  void Grant();

  // ---- what it says ----
  uint8_t outputs() const;
  link::SlotBits Bits() const;
  // What concerns the slot alone; the board adds the rest.
  link::SlotMarks Marks() const;
  // Bits() and what the board knows of the slot's lease, as on the line.
  uint32_t State(const Shared& shared) const;
  const VbusSwitch& vbus() const { return vbus_; }
  bool has(uint32_t capability) const { return (capabilities_ & capability) == capability; }
  bool tripped() const { return guard_.tripped(); }
  link::TripReason trip_reason() const { return guard_.reason(); }
  // Tripped by heat, which is its whole shelf's matter.
  bool heat_tripped() const { return guard_.thermal(); }
  // Tripped, or stopped: only ClearTrip lets it be energised, coupled or connected again.
  bool barred() const { return kept_off_ || tripped(); }
  bool busy() const { return task_ != Task::kNone; }
  bool cycling() const { return task_ == Task::kCycleOff || task_ == Task::kCycleOn; }
  // Nobody would see its current: it is not turned on.
  bool blind() const { return has(link::capability::kMonitor) && (monitor_missing_ || current_age_.ms() > kFreshMs); }
  // Tripped and off for a second, its current flows on, and its expander does not answer: only the stop pin is left.
  bool disobeys(const Shared& shared) const;
  // The waiting turn-on belongs to a command (not to the charge duty).
  bool waits_for_command() const { return vbus_.waiting() && busy(); }
  uint32_t mv() const { return mv_; }
  uint32_t ma() const { return ma_; }
  int32_t deci_c() const { return deci_c_; }
  // In a safe state.
  bool resting() const { return rest_ != Rest::kNone; }
  // Its VBUS is, or would be, on by the charge duty, not by a command.
  bool on_duty() const { return rest_ == Rest::kCharge; }
  // Off, and VBUS was seen below 0.8 V since; where nobody measures it, off for kOffSettleMs.
  bool drained() const;
  // ms until its minimum times let it turn on.
  uint32_t rest_left_ms(const BoardConfig& config) const {
    return vbus_.RestLeftMs(config.min_off_ms, config.min_on_ms);
  }
  // ms until the outputs of the unfinished command stand, apart from stagger and budget.
  uint32_t WaitMs(const BoardConfig& config) const;

 private:
  enum class Task : uint8_t { kNone, kVbus, kCycleOff, kCycleOn, kData, kShield };
  enum class Rest : uint8_t { kNone, kHold, kOff, kCharge };  // which safe state it rests in
  enum class Proof : uint8_t { kWaiting, kProven, kMissing };

  const SlotConfig& config(const Shared& shared) const { return shared.config.slots[index_]; }
  void Begin(Task task, uint32_t id, Shared& shared);
  void Finish(link::DoneCode code, Shared& shared, link::CancelCause cause = link::CancelCause::kNone);
  void Cancel(link::CancelCause cause, Shared& shared);
  // Ends a command for VBUS or data that VBUS failed.
  void Fail(link::DoneCode code, Shared& shared);
  void WantVbus(bool on, Shared& shared);
  void VbusOff(Shared& shared);
  void TripFor(const Finding& finding, Shared& shared);

  void AdvanceAges(uint32_t dt);
  void AdvanceTask(Shared& shared);
  void GiveUpWaiting(Shared& shared);
  void AdvanceCycle(Shared& shared);
  void AdvanceCharge(uint32_t dt, Shared& shared);
  void JudgeDecay();
  // What the parts say now; conditions that nobody can see now stay as they are.
  Conditions FindConditions(const Shared& shared) const;
  void CountLowVoltage(const Shared& shared);
  void JudgeConditions(Shared& shared);
  void TellConditions(Shared& shared);
  link::ConditionChanged Describe(link::Condition condition, const Shared& shared) const;
  bool fitted(const Shared& shared) const { return shared.config.accepted && config(shared).limit_ma != 0; }
  bool Acted() const;
  Proof Prove() const;
  Proof ProveVbus() const;
  Proof ProveOutputs() const;
  Proof ProveShield() const;
  link::RelaySense Sense() const;
  bool monitor_fresh() const { return voltage_age_.ms() <= kFreshMs && current_age_.ms() <= kFreshMs; }

  size_t index_ = 0;
  uint32_t capabilities_ = 0;
  uint8_t monitor_bus_ = 0;
  VbusSwitch vbus_;
  DataSwitch data_;
  RelayDrive relay_;
  DataChoice after_cycle_;  // the data path that a cycle restores

  Task task_ = Task::kNone;
  uint32_t task_id_ = 0;
  uint32_t cycle_off_ms_ = 0;
  uint32_t patience_ms_ = 0;
  Age task_age_;  // since the outputs stand as the command wants them
  bool task_acted_ = false;

  Rest rest_ = Rest::kNone;
  bool kept_off_ = false;
  bool duty_held_ = false;
  uint32_t charge_phase_ms_ = 0;

  uint32_t mv_ = 0;
  uint32_t ma_ = 0;
  int32_t deci_c_ = 0;
  Age voltage_age_, current_age_, temperature_age_;
  uint8_t read_back_ = 0;
  Age read_back_age_;
  uint8_t lost_read_backs_ = 0;  // in a row, VBUS off in them against our will
  uint8_t last_outputs_ = 0;
  Age outputs_age_{0};  // since outputs() changed
  bool sense_isolated_ = true;
  Age sense_age_;

  SlotGuard guard_;
  SlotTruth truth_;
  Conditions told_ = 0;
  uint8_t low_judgements_ = 0;  // in a row, VBUS below its window
  bool monitor_missing_ = false;
  bool wrong_part_ = false;
  bool expander_missing_ = false;
  bool mismatch_ = false;
  bool relay_stuck_ = false;
  bool relay_worn_ = false;
  bool back_feed_ = false;
  bool no_discharge_ = false;
};

}  // namespace faraday::firmware
