#include "firmware/core/slot.h"

#include <algorithm>

namespace faraday::firmware {
namespace {

using link::CancelCause;
using link::DataPath;
using link::DoneCode;
using link::TripReason;
using link::Verdict;
namespace capability = link::capability;

// drivers/board.h's Output::kLed: the board's, and no matter of safety.
constexpr uint8_t kLedMask = 1U << 7;

}  // namespace

void Slot::Attach(size_t index, uint32_t capabilities, uint8_t monitor_bus) {
  index_ = index;
  capabilities_ = capabilities;
  monitor_bus_ = monitor_bus;
}

// ---- commands ----

Verdict Slot::SetVbus(uint32_t id, bool on, Shared& shared) {
  if (!has(capability::kVbus)) return Verdict::kNotFitted;
  if (on && barred()) return Verdict::kTripped;
  if (on && busy() && task_ > Task::kCycleOn) return Verdict::kBusy;
  Begin(Task::kVbus, id, shared);
  if (!on || vbus_.lost()) VbusOff(shared);
  if (on) WantVbus(true, shared);
  return Verdict::kAccepted;
}

Verdict Slot::CycleVbus(uint32_t id, uint32_t off_ms, Shared& shared) {
  if (!has(capability::kVbus)) return Verdict::kNotFitted;
  if (off_ms < shared.config.min_off_ms || off_ms > kCycleOffMaxMs) return Verdict::kInvalid;
  if (barred()) return Verdict::kTripped;
  if (busy() && task_ > Task::kCycleOn) return Verdict::kBusy;
  const DataChoice data = data_.wanted();
  Begin(Task::kCycleOff, id, shared);
  after_cycle_ = data;
  cycle_off_ms_ = off_ms;
  VbusOff(shared);
  return Verdict::kAccepted;
}

Verdict Slot::SetData(uint32_t id, DataChoice choice, Shared& shared) {
  const bool host = choice.path == DataPath::kHost;
  if (choice.path == DataPath::kUnknown || (!host && choice.host != 0) || choice.host > 1) return Verdict::kInvalid;
  if (host && !has(capability::kDataEnable)) return Verdict::kNotFitted;
  if (choice.host == 1 && !has(capability::kDataSelect)) return Verdict::kNotFitted;
  if (choice.path == DataPath::kCharge && !has(capability::kChargeMode)) return Verdict::kNotFitted;
  if (choice.path != DataPath::kOpen && barred()) return Verdict::kTripped;
  if (host && !vbus_.out()) return Verdict::kVbusOff;
  if (choice.path != DataPath::kOpen && busy() && task_ != Task::kData) return Verdict::kBusy;
  Begin(Task::kData, id, shared);
  data_.Want(choice);
  data_.Advance(0);
  return Verdict::kAccepted;
}

Verdict Slot::SetShield(uint32_t id, bool couple, Shared& shared) {
  if (!has(capability::kRfRelay)) return Verdict::kNotFitted;
  if (couple && barred()) return Verdict::kTripped;
  if (couple && busy() && task_ != Task::kShield) return Verdict::kBusy;
  Begin(Task::kShield, id, shared);
  relay_.Want(couple);
  return Verdict::kAccepted;
}

void Slot::Stop(Shared& shared) {
  Cancel(CancelCause::kStop, shared);
  rest_ = Rest::kOff;
  VbusOff(shared);
  data_.Open();
  relay_.Want(false);
}

void Slot::KeepOff(Shared& shared) {
  kept_off_ = true;
  // The stop may have reset the expander before the core knew: what was read then is no accusation, and a part that is
  // held in reset says nothing newer.
  mismatch_ = false;
  Stop(shared);
}

bool Slot::ClearTrip(const Shared& shared) {
  if (guard_.thermal() && temperature_age_.ms() > kTemperatureFreshMs) return false;
  const bool was_barred = barred();
  if (!guard_.Clear(deci_c_, shared.config.tray_trip_deci_c)) return false;
  kept_off_ = false;
  if (was_barred && on_duty()) rest_ = Rest::kOff;  // the host sends it to its safe state anew
  return true;
}

void Slot::Restore(TripReason reason, bool hot, bool kept_off) {
  (void)guard_.Latch(reason);
  if (hot) (void)guard_.Latch(TripReason::kOverTemperature);
  kept_off_ = kept_off;
}

void Slot::HandOver(Shared& shared) {
  Cancel(CancelCause::kHandOver, shared);
  rest_ = Rest::kNone;
}

void Slot::EnterSafeState(CancelCause cause, Shared& shared) {
  if (kept_off_ || config(shared).limit_ma == 0) return Stop(shared);
  Cancel(cause, shared);
  if (config(shared).safe_state == link::SafeState::kHold) {
    rest_ = Rest::kHold;
    return;
  }
  const bool resting = rest_ == Rest::kCharge;
  Rest rest = Rest::kOff;
  if (config(shared).safe_state == link::SafeState::kCharge) rest = Rest::kCharge;
  if (rest == Rest::kOff || vbus_.lost()) VbusOff(shared);
  if (!resting) charge_phase_ms_ = 0;
  data_.Open();
  relay_.Want(false);
  rest_ = rest;
}

void Slot::CancelWaiting(CancelCause cause, Shared& shared) {
  if (waits_for_command() || task_ == Task::kCycleOff) Cancel(cause, shared);
}

void Slot::TakeOff(CancelCause cause, Shared& shared) {
  const bool goes_off = task_ == Task::kVbus && !vbus_.wanted();
  if (task_ != Task::kShield && !goes_off) Cancel(cause, shared);
  WantVbus(false, shared);
  data_.Open();
}

// A newer command takes the place of an unfinished one.
void Slot::Begin(Task task, uint32_t id, Shared& shared) {
  Cancel(CancelCause::kNewerCommand, shared);
  rest_ = Rest::kNone;
  task_ = task;
  task_id_ = id;
  task_acted_ = false;
  task_age_.Restart();
}

void Slot::Finish(DoneCode code, Shared& shared, CancelCause cause) {
  if (!busy()) return;
  task_ = Task::kNone;
  shared.events.Latch(link::CommandDone{.command_id = task_id_,
                                        .code = code,
                                        .slot = static_cast<uint32_t>(index_ + 1),
                                        .vbus_mv = mv_,
                                        .vbus_ma = ma_,
                                        .state = State(shared),
                                        .cause = cause});
}

void Slot::Fail(DoneCode code, Shared& shared) {
  if (task_ != Task::kShield) Finish(code, shared);
}

// Ends an unfinished command; what it had not switched yet, it does not switch any more.
void Slot::Cancel(CancelCause cause, Shared& shared) {
  if (vbus_.waiting()) WantVbus(false, shared);
  if (task_ == Task::kData && !data_.settled()) data_.Open();
  Finish(DoneCode::kCancelled, shared, cause);
}

void Slot::WantVbus(bool on, Shared& shared) { vbus_.Want(on, on && !vbus_.wanted() ? shared.next_ticket++ : 0); }

// Data lines never reach a host while VBUS is off.
void Slot::VbusOff(Shared& shared) {
  WantVbus(false, shared);
  if (data_.wanted().path == DataPath::kHost || data_.now().path == DataPath::kHost) data_.Open();
}

// ---- sensors ----

void Slot::OnVoltage(uint32_t mv) {
  mv_ = mv;
  voltage_age_.Restart();
  monitor_missing_ = false;
  JudgeDecay();
}

void Slot::OnCurrent(uint32_t ma, Shared& shared) {
  const uint32_t gap_ms = current_age_.ms();
  ma_ = ma;
  current_age_.Restart();
  monitor_missing_ = wrong_part_ = false;
  if (shared.config.accepted) TripFor(guard_.OnCurrent(ma, gap_ms, vbus_, config(shared), shared.ceilings), shared);
}

void Slot::OnTemperature(int32_t deci_c, Shared& shared) {
  deci_c_ = deci_c;
  temperature_age_.Restart();
  if (fitted(shared)) TripFor(guard_.OnTemperature(deci_c, shared.config.tray_trip_deci_c), shared);
}

void Slot::OnMonitorMissing(Shared& shared) {
  monitor_missing_ = true;
  if (vbus_.out() && has(capability::kMonitor) && !shared.buses.failing(monitor_bus_)) {
    TripFor(SlotGuard::OnMonitorMissing(), shared);
  }
}

void Slot::OnWrongPart(Shared& shared) {
  wrong_part_ = true;
  OnMonitorMissing(shared);
}

void Slot::OnHotSwapOff(uint32_t status_word, Shared& shared) {
  if (fitted(shared)) TripFor(SlotGuard::OnHotSwapOff(status_word), shared);
}

// A trip is latched with its first reason; VBUS is off and the data path open when this returns.
void Slot::TripFor(const Finding& finding, Shared& shared) {
  if (finding.reason == TripReason::kNone) return;
  WantVbus(false, shared);
  data_.Open();
  if (!guard_.Latch(finding.reason)) return;
  shared.events.Latch(link::Tripped{.slot = static_cast<uint32_t>(index_ + 1),
                                    .reason = finding.reason,
                                    .value = finding.value,
                                    .limit = finding.limit});
  Finish(DoneCode::kTripped, shared);
}

void Slot::OnReadBack(uint8_t bits) {
  expander_missing_ = false;
  bits = static_cast<uint8_t>(bits & ~kLedMask);
  read_back_ = bits;
  read_back_age_.Restart();
  // Outputs that this pass has just changed are not yet written, and their age is still that of the ones before.
  const bool settled = outputs() == last_outputs_ && outputs_age_.ms() >= kReadBackSettleMs;
  // What is kept off may be held in reset, and reads anything: only an output that still feeds it is an accusation.
  const bool feeds = (bits & 1) != 0 && vbus_.since_ms() >= kOffSettleMs && monitor_fresh() && !IsOff(mv_);
  mismatch_ = settled && bits != outputs() && (!kept_off_ || feeds);
  const bool lost = mismatch_ && vbus_.out() && (bits & 1) == 0;
  lost_read_backs_ = lost ? static_cast<uint8_t>(std::min(lost_read_backs_ + 1, int{kLostReadBacks})) : uint8_t{0};
}

void Slot::OnTurnOnLate(Shared& shared) {
  VbusOff(shared);
  Fail(DoneCode::kPartMissing, shared);
}

// A turn-on that was not proven yet has failed; one that was goes on being wanted.
void Slot::OnVbusLost(Shared& shared) {
  lost_read_backs_ = 0;
  if (task_ == Task::kVbus || task_ == Task::kCycleOn) {
    VbusOff(shared);
  } else {
    vbus_.Lose();
    if (data_.wanted().path == DataPath::kHost || data_.now().path == DataPath::kHost) data_.Open();
  }
  Fail(DoneCode::kReadBackMismatch, shared);
}

void Slot::OnRelaySense(bool isolated) {
  if (isolated != sense_isolated_) sense_age_.Restart();
  sense_isolated_ = isolated;
}

// ---- time ----

void Slot::Advance(uint32_t dt, Shared& shared) {
  AdvanceAges(dt);
  if (truth_.Advance(dt)) JudgeConditions(shared);
  if (!shared.config.accepted) return;
  AdvanceCharge(dt, shared);
  patience_ms_ = Sink(patience_ms_, std::min(dt, kLongestPassMs));
  if (lost_read_backs_ >= kLostReadBacks && vbus_.out()) OnVbusLost(shared);
  AdvanceTask(shared);
  const bool watched = vbus_.out() && has(capability::kMonitor);
  // While its bus fails the time without a sample stands still.
  const uint32_t unseen_ms = shared.buses.failing(monitor_bus_) ? 0 : std::min(dt, kLongestPassMs);
  TripFor(guard_.Advance(unseen_ms, watched, shared.events.uptime_ms()), shared);
  const bool disagrees = sense_isolated_ == relay_.coupled();
  relay_stuck_ = has(capability::kRelaySense) && relay_.since_ms() >= kRelayStuckMs && disagrees;
}

// A pass that took long read no sensor meanwhile: what is judged by samples counts it as a short one.
void Slot::AdvanceAges(uint32_t dt) {
  vbus_.Advance(dt);
  data_.Advance(dt);
  const uint32_t seen_ms = std::min(dt, kLongestPassMs);
  relay_.Advance(seen_ms);
  for (Age* age :
       {&task_age_, &voltage_age_, &current_age_, &temperature_age_, &read_back_age_, &sense_age_, &outputs_age_}) {
    age->Advance(seen_ms);
  }
  if (outputs() == last_outputs_) return;
  last_outputs_ = outputs();
  outputs_age_.Restart();
}

void Slot::AdvanceCharge(uint32_t dt, Shared& shared) {
  const auto state = config(shared).safe_state;
  if (rest_ == Rest::kHold && state != link::SafeState::kHold) EnterSafeState(CancelCause::kNone, shared);
  if (rest_ != Rest::kCharge) return;
  if (state != link::SafeState::kCharge) {  // a Configure changed it
    rest_ = state == link::SafeState::kHold ? Rest::kHold : Rest::kOff;
    return VbusOff(shared);  // a hold keeps what a holder left on, not what a duty turned on
  }
  // Time that it waits for its turn, or is held off, is not taken from it: who asked first goes first.
  const bool due = charge_phase_ms_ < shared.config.charge_on_ms;
  if (!due || vbus_.out()) charge_phase_ms_ += dt;
  if (charge_phase_ms_ >= shared.config.charge_period_ms) charge_phase_ms_ = 0;
  const bool on = charge_phase_ms_ < shared.config.charge_on_ms && !tripped() && !duty_held_ && has(capability::kVbus);
  WantVbus(on, shared);
}

void Slot::AdvanceTask(Shared& shared) {
  if (!busy()) return;
  if (!Acted()) {
    if (patience_ms_ == 0) GiveUpWaiting(shared);
    return;
  }
  if (!task_acted_) {
    task_acted_ = true;
    task_age_.Restart();
    return;
  }
  if (task_ == Task::kCycleOff) return AdvanceCycle(shared);
  const Proof proof = Prove();
  if (proof == Proof::kProven) return Finish(DoneCode::kOk, shared);
  if (task_age_.ms() < kVerifyMs) return;
  if (task_ == Task::kVbus || task_ == Task::kCycleOn) VbusOff(shared);  // what is not seen to be on is off
  Finish(proof == Proof::kMissing ? DoneCode::kPartMissing : DoneCode::kReadBackMismatch, shared);
}

void Slot::GiveUpWaiting(Shared& shared) {
  if (!vbus_.waiting() || !blind()) return Cancel(CancelCause::kWaitedTooLong, shared);
  VbusOff(shared);
  Finish(DoneCode::kPartMissing, shared);
}

// Off must be proven before on counts as a cycle; the data path comes back with VBUS.
void Slot::AdvanceCycle(Shared& shared) {
  const Proof proof = ProveVbus();
  if (proof != Proof::kProven && task_age_.ms() >= kVerifyMs) {
    return Finish(proof == Proof::kMissing ? DoneCode::kPartMissing : DoneCode::kReadBackMismatch, shared);
  }
  if (proof != Proof::kProven || vbus_.since_ms() < cycle_off_ms_) return;
  task_ = Task::kCycleOn;
  task_acted_ = false;
  WantVbus(true, shared);
}

bool Slot::Acted() const {
  switch (task_) {
    case Task::kVbus:
    case Task::kCycleOff:
    case Task::kCycleOn:
      return !vbus_.waiting();
    case Task::kData:
      return data_.settled();
    default:
      return true;
  }
}

Slot::Proof Slot::Prove() const {
  if (task_ == Task::kData) return ProveOutputs();
  return task_ == Task::kShield ? ProveShield() : ProveVbus();
}

Slot::Proof Slot::ProveVbus() const {
  if (!has(capability::kMonitor)) return ProveOutputs();
  if (monitor_missing_) return Proof::kMissing;
  if (voltage_age_.ms() >= task_age_.ms()) return Proof::kWaiting;
  if (vbus_.out() ? IsOn(mv_) : IsOff(mv_)) return Proof::kProven;
  return expander_missing_ ? Proof::kMissing : Proof::kWaiting;
}

Slot::Proof Slot::ProveOutputs() const {
  if (expander_missing_) return Proof::kMissing;
  const bool read_since = read_back_age_.ms() < task_age_.ms();
  return read_since && read_back_ == outputs() ? Proof::kProven : Proof::kWaiting;
}

Slot::Proof Slot::ProveShield() const {
  if (!has(capability::kRelaySense)) return ProveOutputs();
  if (expander_missing_) return Proof::kMissing;
  return Sense() == (relay_.coupled() ? link::RelaySense::kCoupled : link::RelaySense::kIsolated) ? Proof::kProven
                                                                                                  : Proof::kWaiting;
}

// An off that conducts at a lawful current (switch_shorted) is reported only: a rack is not stopped for it.
bool Slot::disobeys(const Shared& shared) const {
  const bool flows = ma_ > kShortedMa && current_age_.ms() <= kFreshMs;
  const bool harms = guard_.reason() != TripReason::kSwitchShorted || ma_ > config(shared).limit_ma;
  // A part on a bus that hangs is not missing, but it has not answered either.
  const bool mute = expander_missing_ || read_back_age_.ms() > kReadBackFreshMs;
  return tripped() && mute && flows && harms && vbus_.since_ms() >= kOffSettleMs;
}

void Slot::JudgeDecay() {
  const uint32_t off_ms = vbus_.since_ms();
  if (vbus_.out() || IsOff(mv_))
    back_feed_ = no_discharge_ = false;
  else if (off_ms >= kOffSettleMs) {
    back_feed_ = !guard_.shorted() && (mv_ >= kBackFeedMv || off_ms >= kBackFeedMs);
    no_discharge_ = !guard_.shorted() && !back_feed_;
  }
}

void Slot::Grant() {
  vbus_.Grant();
  lost_read_backs_ = 0;
  if (task_ == Task::kCycleOn) data_.Want(after_cycle_);
}

// ---- for the board ----

bool Slot::drained() const {
  const uint32_t off_ms = vbus_.since_ms();
  if (vbus_.out()) return false;
  const bool measured = has(capability::kMonitor) && !monitor_missing_ && voltage_age_.ms() < off_ms;
  return measured ? IsOff(mv_) : off_ms >= kOffSettleMs;
}

uint32_t Slot::WaitMs(const BoardConfig& config) const {
  switch (task_) {
    case Task::kVbus:
      return vbus_.waiting() ? rest_left_ms(config) : 0;
    case Task::kCycleOff:
      return cycle_off_ms_ + kVerifyMs;
    case Task::kData:
      return data_.wait_ms();
    default:
      return 0;
  }
}

}  // namespace faraday::firmware
