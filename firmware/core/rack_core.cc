#include "firmware/core/rack_core.h"

#include <algorithm>
#include <utility>

#include "firmware/core/version.h"

namespace faraday::firmware {
namespace {

using link::CancelCause;
using link::Reply;
using link::Verdict;

constexpr size_t IndexOf(uint32_t number) { return number - 1; }

}  // namespace

RackCore::RackCore(const BoardFacts& facts, Nvm& nvm, LogFlash* log)
    : facts_(facts),
      server_(facts.session, events_),
      log_(log),
      store_(nvm),
      leases_(store_),
      shared_{config_, events_, next_ticket_, leases_, store_, facts_.ceilings} {}

void RackCore::Boot(std::span<const SlotFacts> places, uint32_t now_ms) {
  now_ms_ = now_ms;
  store_.Load();
  for (size_t i = 0; i < facts_.slots; ++i) {
    places_[i] = places[i];
    slots_[i].Attach(i, places[i].capabilities);
  }
}

// ---- time ----

void RackCore::Tick(uint32_t now_ms) {
  const uint32_t dt = now_ms - now_ms_;
  now_ms_ = now_ms;
  AdvanceSilence(dt);
  AdvanceLeases(dt);
  for (size_t i = 0; i < facts_.slots; ++i) slots_[i].Advance(dt, shared_);
  StopForDisobedience();
  GrantTurnOns(dt);
  AdvanceInputs(dt);
  server_.Advance(dt);
  AdvanceTelemetry(dt);
}

// An announced absence stretches the first limit, never the second. Bytes that came during a long pass wait unread, so
// it counts as a short one.
void RackCore::AdvanceSilence(uint32_t dt) {
  heard_.Advance(std::min(dt, kLongestPassMs));
  const uint32_t patience_ms = std::max(config_.host_silent_ms, std::min(away_ms_, config_.host_silent_max_ms));
  const bool silent = heard_.ms() > patience_ms;
  const bool silent_max = heard_.ms() > config_.host_silent_max_ms;
  if (silent && !silent_) events_.Latch(link::HostSilent{.silent_ms = heard_.ms()});
  for (size_t i = 0; i < facts_.slots && config_.accepted; ++i) {
    // A cycle that a host's crash cut in half would leave a phone off that its holder wanted on.
    const bool finishes = leases_.leased(i) && slots_[i].cycling();
    if (silent && !silent_ && !finishes) slots_[i].CancelWaiting(CancelCause::kHostSilent, shared_);
    const bool due = leases_.leased(i) ? silent_max && !silent_max_ : silent && !silent_;
    if (due && leases_.given(i)) slots_[i].EnterSafeState(CancelCause::kHostSilent, shared_);
  }
  silent_ = silent;
  silent_max_ = silent_max;
}

void RackCore::AdvanceLeases(uint32_t dt) {
  for (size_t i = 0; i < facts_.slots; ++i) {
    if (!leases_.Advance(i, dt)) continue;
    events_.Latch(link::LeaseEnded{.slot = static_cast<uint32_t>(i + 1), .epoch = leases_.epoch(i)});
    if (config_.accepted) slots_[i].EnterSafeState(CancelCause::kLeaseEnd, shared_);
  }
}

void RackCore::GrantTurnOns(uint32_t dt) {
  for (size_t rail = 0; rail < rail_wait_ms_.size(); ++rail) {
    rail_wait_ms_[rail] = Sink(rail_wait_ms_[rail], dt);
    if (rail_wait_ms_[rail] == 0 && !stopped_) GrantOn(rail);
  }
}

// The longest waiting slot of the rail whose off time is over and whose current still fits.
void RackCore::GrantOn(size_t rail) {
  size_t chosen = facts_.slots;
  for (size_t i = 0; i < facts_.slots; ++i) {
    const VbusSwitch& vbus = slots_[i].vbus();
    if (!vbus.waiting() || config_.slots[i].rail != rail || slots_[i].rest_left_ms(config_) > 0) continue;
    if (slots_[i].blind()) continue;
    if (chosen < facts_.slots && slots_[chosen].vbus().ticket() < vbus.ticket()) continue;
    if (WithinBudget(i, Count::kCautious)) chosen = i;
  }
  if (chosen == facts_.slots) return;
  slots_[chosen].Grant();
  rail_wait_ms_[rail] = config_.stagger_ms;
}

uint32_t RackCore::CountMa(const Slot& slot, const SlotConfig& config, Count count) const {
  if (slot.vbus().waiting()) return count == Count::kPromised ? config.limit_ma : 0;
  if (!slot.vbus().out()) return 0;
  return count == Count::kMeasured ? slot.ma() : config.limit_ma;
}

RackCore::Load RackCore::LoadBeside(size_t slot, Count count) const {
  Load load;
  for (size_t i = 0; i < facts_.slots; ++i) {
    if (i == slot) continue;
    const uint32_t ma = CountMa(slots_[i], config_.slots[i], count);
    load.rack_ma += ma;
    if (config_.slots[i].rail == config_.slots[slot].rail) load.rail_ma += ma;
  }
  return load;
}

bool RackCore::WithinBudget(size_t slot, Count count) const {
  const SlotConfig& own = config_.slots[slot];
  const Load load = LoadBeside(slot, count);
  return load.rail_ma + own.limit_ma <= config_.rail_budget_ma[own.rail] &&
         load.rack_ma + own.limit_ma <= config_.rack_budget_ma;
}

// Refused only when what is measured now leaves no room; else it may wait for others to settle.
Verdict RackCore::CheckBudget(size_t slot, Reply& reply) const {
  const SlotConfig& own = config_.slots[slot];
  const Load load = LoadBeside(slot, Count::kMeasured);
  const bool rail_full = load.rail_ma + own.limit_ma > config_.rail_budget_ma[own.rail];
  if (!rail_full && load.rack_ma + own.limit_ma <= config_.rack_budget_ma) return Verdict::kOk;
  reply.value = (rail_full ? load.rail_ma : load.rack_ma) + own.limit_ma;
  reply.limit = rail_full ? config_.rail_budget_ma[own.rail] : config_.rack_budget_ma;
  return Verdict::kOverBudget;
}

uint32_t RackCore::WaitingBefore(size_t slot) const {
  uint32_t before = 0;
  for (size_t i = 0; i < facts_.slots; ++i) {
    const bool same_rail = config_.slots[i].rail == config_.slots[slot].rail;
    if (i != slot && same_rail && slots_[i].vbus().waiting()) ++before;
  }
  return before;
}

void RackCore::OnRackInputs(uint32_t inputs) {
  if (inputs_known_)
    brief_.input_edges |= inputs ^ raw_inputs_;
  else
    inputs_ = inputs;
  inputs_known_ = true;
  raw_inputs_ = inputs;
}

void RackCore::OnStopButton(bool pressed) {
  if (pressed && !(stop_button_ && stopped_)) StopAll(StopSource::kButton);
  stop_button_ = pressed;
}

void RackCore::OnPsuOk(uint32_t ok) {
  psu_ok_ = ok;
  brief_.psu_lost |= ~ok & RailsInUse();
}

void RackCore::OnAlert(bool stays) {
  ++alerts_;
  alert_stays_ = stays;
}

uint32_t RackCore::RailsInUse() const {
  uint32_t rails = 0;
  for (size_t i = 0; i < facts_.slots && config_.accepted; ++i) {
    if (config_.slots[i].limit_ma != 0) rails |= uint32_t{1} << config_.slots[i].rail;
  }
  return rails;
}

void RackCore::AdvanceInputs(uint32_t dt) {
  for (uint32_t i = 0; i < input_ages_.size(); ++i) {
    const uint32_t bit = uint32_t{1} << i;
    if (((raw_inputs_ ^ inputs_) & bit) == 0) {
      input_ages_[i] = 0;
      continue;
    }
    input_ages_[i] = static_cast<uint8_t>(std::min(input_ages_[i] + std::min(dt, kInputDebounceMs), kInputDebounceMs));
    if (input_ages_[i] < kInputDebounceMs) continue;
    inputs_ ^= bit;
    input_ages_[i] = 0;
    events_.Latch(link::InputChanged{.input = i, .active = (inputs_ & bit) != 0});
  }
}

// ---- the line ----

void RackCore::OnBytes(std::span<const uint8_t> bytes) {
  using Incoming = LinkServer::Incoming;
  for (uint8_t byte : bytes) {
    switch (server_.Feed(byte)) {
      case Incoming::kNothing:
        break;
      case Incoming::kStop:
        StopAll(StopSource::kFrame);
        break;
      case Incoming::kHello:
        OnHello();
        break;
      case Incoming::kCommand:
        OnCommand();
        break;
      case Incoming::kBadCommand:
        Heard(0);
        server_.Answer({.command_id = server_.command().id, .verdict = Verdict::kInvalid});
        break;
      case Incoming::kKeepalive:
        Heard(server_.keepalive().away_ms);
        break;
    }
  }
}

void RackCore::Heard(uint32_t away_ms) {
  heard_.Restart();
  away_ms_ = away_ms;
}

void RackCore::OnHello() {
  const link::Hello& hello = server_.hello();
  const std::string_view bound = store_.rack();
  if (!bound.empty() && !hello.rack.empty() && hello.rack.view() != bound) {
    return server_.Refuse(link::RefusalReason::kWrongRack, bound);
  }
  const bool repeated = server_.open() && hello.nonce == server_.nonce();
  if (!repeated && Overtaken(hello)) return server_.Refuse(link::RefusalReason::kSuperseded);
  if (!repeated) OpenTerm();
  Heard(0);
  SendHelloReply();
}

// A later term of the session is open than the one this host held. Across a reset nobody is overtaken: terms may have
// been lost with the NVM, and the hosts' order with the RAM.
bool RackCore::Overtaken(const link::Hello& hello) const {
  return server_.open() && hello.last_session == server_.session() && hello.last_term < server_.term();
}

// The term is in NVM before the reply goes out. One that could not be stored still fences older hosts until the reset,
// which brings another session; refusing it would hide the fault from the host.
void RackCore::OpenTerm() {
  const uint32_t term = store_.term() + 1;
  (void)store_.SaveTerm(term);
  hello_rack_ = server_.hello().rack;
  server_.OpenTerm(term, server_.hello().nonce);
}

bool RackCore::AnyEpochLost() const {
  for (size_t i = 0; i < facts_.slots; ++i) {
    const bool fitted = !config_.accepted || config_.slots[i].limit_ma != 0;
    if (fitted && !store_.known(i)) return true;
  }
  return false;
}

void RackCore::SendHelloReply() {
  link::HelloReply& reply = hello_reply_;
  reply = {};
  reply.firmware_version = kFirmwareVersion;
  reply.build_id = kBuildId;
  reply.board = facts_.name;
  reply.rack = store_.rack();
  reply.slots = static_cast<uint32_t>(facts_.slots);
  for (size_t i = 0; i < facts_.slots; ++i) {
    reply.capabilities.push_back(places_[i].capabilities);
    reply.epochs.push_back(leases_.epoch(i));
    reply.lease_left_ms.push_back(leases_.left_ms(i));
  }
  reply.boot_reason = facts_.boot_reason;
  reply.config_crc = config_.crc;
  reply.term = server_.term();
  reply.session = server_.session();
  reply.nvm_lost = AnyEpochLost();
  reply.uptime_ms = events_.uptime_ms();
  reply.nonce = server_.nonce();
  reply.next_event_id = events_.oldest_id();
  reply.flash_id = facts_.flash_id;
  reply.boot_number = facts_.boot_number;
  server_.SendHelloReply(reply);
}

void RackCore::OnCommand() {
  Heard(0);
  Reply reply{.command_id = server_.command().id};
  if (reply.command_id == 0)
    reply.verdict = Verdict::kInvalid;
  else if (!Execute(reply))
    reply.verdict = Verdict::kUnknownCommand;
  server_.Answer(reply);
}

template <typename Call>
bool RackCore::Try(Reply& reply) {
  const Call* call = std::get_if<Call>(&server_.command().call);
  if (call == nullptr) return false;
  reply.verdict = On(*call, reply);
  return true;
}

// False: a call that this firmware does not know.
bool RackCore::Execute(Reply& reply) {
  return Try<link::Ping>(reply) || Try<link::Configure>(reply) || Try<link::SetLease>(reply) ||
         Try<link::SetVbus>(reply) || Try<link::CycleVbus>(reply) || Try<link::SetData>(reply) ||
         Try<link::SetShield>(reply) || Try<link::StopSlot>(reply) || Try<link::ClearTrip>(reply);
}

Verdict RackCore::FindSlot(uint32_t number, Reply& reply) const {
  if (number == 0 || number > facts_.slots) {
    reply.limit = static_cast<uint32_t>(facts_.slots);
    return Verdict::kNoSuchSlot;
  }
  reply.epoch = leases_.epoch(IndexOf(number));
  return Verdict::kOk;
}

// What every command that moves an output must pass, in the order in which the host can mend it.
Verdict RackCore::Fence(uint32_t number, uint32_t epoch, Reply& reply) const {
  if (const Verdict found = FindSlot(number, reply); found != Verdict::kOk) return found;
  const size_t slot = IndexOf(number);
  if (!config_.accepted) return Verdict::kNotConfigured;
  if (config_.slots[slot].limit_ma == 0) return Verdict::kNotFitted;
  if (!store_.known(slot)) return Verdict::kNvmLost;
  if (!leases_.Holds(slot, epoch)) return Verdict::kFenced;
  return stopped_ ? Verdict::kTripped : Verdict::kOk;
}

// With ACCEPTED: until when CommandDone comes at the latest.
Verdict RackCore::Promise(size_t slot, Verdict verdict, Reply& reply) {
  if (verdict != Verdict::kAccepted) return verdict;
  uint32_t wait_ms = slots_[slot].WaitMs(config_);
  const bool turns_on = slots_[slot].vbus().waiting() || !std::holds_alternative<link::SetVbus>(server_.command().call);
  if (turns_on) {
    const uint32_t before = WaitingBefore(slot);
    const uint32_t settle_ms = WithinBudget(slot, Count::kPromised) ? 0 : (before + 1) * kLoadSettleMs;
    wait_ms += rail_wait_ms_[config_.slots[slot].rail] + before * config_.stagger_ms + settle_ms;
    reply.queue_position = before;
  }
  slots_[slot].SetPatience(wait_ms + kAnswerMs - kVerifyMs);
  reply.wait_ms = wait_ms + kAnswerMs;
  return verdict;
}

Verdict RackCore::On(const link::Ping& ping, Reply& reply) {
  reply.value = ping.nonce;
  return Verdict::kOk;
}

// Stricter values hold from now on; a slot that is not fitted any more goes to the reset state.
Verdict RackCore::On(const link::Configure& configure, Reply& reply) {
  const ConfigFault fault = CheckConfigure(configure, facts_.slots);
  reply.value = fault.value;
  reply.limit = fault.limit;
  if (fault.verdict != Verdict::kOk) return fault.verdict;
  const auto length = link::EncodeMessage(configure, config_bytes_);
  if (!length.ok()) return Verdict::kInvalid;
  config_ = ApplyConfigure(configure, link::Crc32(std::span<const uint8_t>(config_bytes_).first(*length)));
  for (size_t i = 0; i < facts_.slots; ++i) {
    if (config_.slots[i].limit_ma == 0) slots_[i].Stop(shared_);
  }
  if (store_.rack().empty() && !hello_rack_.empty()) store_.SaveRack(hello_rack_.view());
  reply.value = config_.crc;
  return Verdict::kOk;
}

Verdict RackCore::On(const link::SetLease& lease, Reply& reply) {
  if (const Verdict found = FindSlot(lease.slot, reply); found != Verdict::kOk) return found;
  const size_t slot = IndexOf(lease.slot);
  const auto given = leases_.Give(slot, lease.epoch, lease.duration_ms);
  reply.epoch = leases_.epoch(slot);
  if (given == LeaseTable::Given::kInvalid) return Verdict::kInvalid;
  if (given == LeaseTable::Given::kFenced) return Verdict::kFenced;
  if (given == LeaseTable::Given::kHandedOver) slots_[slot].HandOver(shared_);
  const bool can_rest = config_.accepted && config_.slots[slot].limit_ma != 0;
  if (lease.to_safe_state && can_rest) slots_[slot].EnterSafeState(CancelCause::kHandOver, shared_);
  return Verdict::kOk;
}

Verdict RackCore::On(const link::SetVbus& vbus, Reply& reply) {
  if (const Verdict fence = Fence(vbus.slot, vbus.epoch, reply); fence != Verdict::kOk) return fence;
  const size_t slot = IndexOf(vbus.slot);
  if (vbus.on && !slots_[slot].vbus().out()) {
    if (const Verdict budget = CheckBudget(slot, reply); budget != Verdict::kOk) return budget;
  }
  return Promise(slot, slots_[slot].SetVbus(reply.command_id, vbus.on, shared_), reply);
}

Verdict RackCore::On(const link::CycleVbus& cycle, Reply& reply) {
  if (const Verdict fence = Fence(cycle.slot, cycle.epoch, reply); fence != Verdict::kOk) return fence;
  const size_t slot = IndexOf(cycle.slot);
  return Promise(slot, slots_[slot].CycleVbus(reply.command_id, cycle.off_ms, shared_), reply);
}

Verdict RackCore::On(const link::SetData& data, Reply& reply) {
  if (const Verdict fence = Fence(data.slot, data.epoch, reply); fence != Verdict::kOk) return fence;
  const size_t slot = IndexOf(data.slot);
  if (data.host_index > 1) return Verdict::kInvalid;
  const DataChoice choice{data.path, static_cast<uint8_t>(data.host_index)};
  return Promise(slot, slots_[slot].SetData(reply.command_id, choice, shared_), reply);
}

Verdict RackCore::On(const link::SetShield& shield, Reply& reply) {
  if (const Verdict fence = Fence(shield.slot, shield.epoch, reply); fence != Verdict::kOk) return fence;
  const size_t slot = IndexOf(shield.slot);
  return Promise(slot, slots_[slot].SetShield(reply.command_id, shield.couple, shared_), reply);
}

Verdict RackCore::On(const link::StopSlot& stop, Reply& reply) {
  if (stop.slot == 0) {
    StopAll(StopSource::kCommand);
    return Verdict::kOk;
  }
  const Verdict found = FindSlot(stop.slot, reply);
  if (found == Verdict::kOk) slots_[IndexOf(stop.slot)].KeepOff(shared_);
  return found;
}

Verdict RackCore::On(const link::ClearTrip& clear, Reply& reply) {
  if (clear.slot != 0) {
    const Verdict found = FindSlot(clear.slot, reply);
    if (found != Verdict::kOk) return found;
    return slots_[IndexOf(clear.slot)].ClearTrip() ? Verdict::kOk : Verdict::kTripped;
  }
  if (stop_button_) return Verdict::kBlocked;
  stopped_ = false;
  bool all = true;
  for (size_t i = 0; i < facts_.slots; ++i) all = slots_[i].ClearTrip() && all;
  return all ? Verdict::kOk : Verdict::kTripped;
}

void RackCore::StopAll([[maybe_unused]] StopSource source) {
  for (size_t i = 0; i < facts_.slots; ++i) slots_[i].KeepOff(shared_);
  if (!stopped_) events_.Latch(link::Tripped{.slot = 0, .reason = link::TripReason::kStop});
  stopped_ = true;
}

void RackCore::StopForDisobedience() {
  for (size_t i = 0; i < facts_.slots && !stopped_; ++i) {
    if (slots_[i].disobeys(shared_)) StopAll(StopSource::kDisobedience);
  }
}

// ---- sensors and telemetry ----

void RackCore::OnCurrent(size_t slot, uint32_t ma) { slots_[slot].OnCurrent(ma, shared_); }
void RackCore::OnTemperature(size_t slot, int32_t deci_c) { slots_[slot].OnTemperature(deci_c, shared_); }

void RackCore::OnRailVoltage(size_t, uint32_t) {}
void RackCore::OnHotSwapOff(size_t, uint32_t) {}
void RackCore::OnBusLost(size_t bus, bool lost) {
  const uint32_t bit = uint32_t{1} << bus;
  buses_lost_ = lost ? buses_lost_ | bit : buses_lost_ & ~bit;
}

uint32_t RackCore::SlotState(size_t slot) const { return slots_[slot].State(shared_); }

uint32_t RackCore::Faults() const {
  const auto flag = [](bool on, uint32_t bit) { return on ? bit : 0U; };
  return flag(silent_, link::kFaultHostSilent) | flag(!config_.accepted, link::kFaultNotConfigured) |
         flag(buses_lost_ != 0, link::kFaultI2cBus) | flag(stopped_, link::kFaultStopped) |
         flag(AnyEpochLost(), link::kFaultNvmLost) | flag(store_.failed(), link::kFaultNvmReadOnly) |
         flag((~psu_ok_ & RailsInUse()) != 0, link::kFaultPsu) | flag(alert_stays_, link::kFaultAlert) |
         flag(stop_button_, link::kFaultStopButton) | flag(facts_.flash_silent, link::kFaultFlash);
}

void RackCore::AdvanceTelemetry(uint32_t dt) {
  telemetry_age_.Advance(dt);
  if (!server_.open() || telemetry_age_.ms() < kTelemetryMs) return;
  telemetry_age_.Restart();
  link::Telemetry& t = telemetry_;
  ++t.number;
  t.uptime_ms = events_.uptime_ms();
  for (auto* column : {&t.vbus_mv, &t.vbus_ma, &t.state, &t.lease_left_ms}) column->resize(facts_.slots);
  t.tray_deci_c.resize(facts_.slots);
  for (size_t i = 0; i < facts_.slots; ++i) {
    t.vbus_mv[i] = slots_[i].mv();
    t.vbus_ma[i] = slots_[i].ma();
    t.tray_deci_c[i] = slots_[i].deci_c();
    t.state[i] = SlotState(i);
    t.lease_left_ms[i] = leases_.left_ms(i);
  }
  t.inputs = inputs_;
  t.faults = Faults();
  t.stack_high_water_bytes = stack_high_water_;
  t.frames_bad = server_.frames_bad();
  t.event_backlog = static_cast<uint32_t>(events_.size());
  t.config_crc = config_.crc;
  t.current_scan_ms = current_scan_ms_;
  t.bus_recoveries = bus_recoveries_;
  t.line_errors = line_errors_;
  t.psu_lost = brief_.psu_lost | brief_before_.psu_lost;
  t.input_edges = brief_.input_edges | brief_before_.input_edges;
  t.alerts = alerts_;
  if (server_.SendTelemetry(t)) ForgetWhatWasTold();
}

void RackCore::ForgetWhatWasTold() {
  current_scan_ms_ = 0;
  if (++brief_told_ < kBriefTelemetries) return;
  brief_told_ = 0;
  brief_before_ = std::exchange(brief_, {});
}

}  // namespace faraday::firmware
