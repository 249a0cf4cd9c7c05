#include "firmware/core/rack_core.h"

#include <bit>

namespace faraday::firmware {

using link::BlockCause;
using link::CancelCause;

namespace {

CancelCause CancelOf(BlockCause cause) {
  switch (cause) {
    case BlockCause::kRail:
      return CancelCause::kRail;
    case BlockCause::kHotShelf:
      return CancelCause::kHotShelf;
    case BlockCause::kBusLost:
      return CancelCause::kBusLost;
    case BlockCause::kInput:
      return CancelCause::kInput;
    default:
      return CancelCause::kNone;
  }
}

}  // namespace

RackCore::RackCore(const BoardFacts& facts, Nvm& nvm, LogFlash* log)
    : facts_(facts),
      log_(log),
      events_(log_),
      server_(facts.session, events_),
      store_(nvm),
      configs_(store_),
      latches_(store_),
      wear_(nvm),
      leases_(store_),
      shared_{config_, events_, next_ticket_, leases_, store_, facts_.ceilings, buses_, rails_},
      queue_(slots_, shared_) {}

void RackCore::Boot(std::span<const SlotFacts> places, uint32_t now_ms) {
  now_ms_ = now_ms;
  log_.Mount();
  events_.Log(link::LogKind::kBoot, 0, 0, static_cast<uint32_t>(facts_.boot_reason), facts_.session);
  store_.Load();
  wear_.Load();
  for (size_t i = 0; i < facts_.slots; ++i) {
    places_[i] = places[i];
    slots_[i].Attach(i, places[i].capabilities, places[i].monitor_bus);
  }
  LoadConfig();
  LoadLatches();
}

// A reset is nobody's look at the rack: what was stopped or tripped stays so.
void RackCore::LoadLatches() {
  const Latches& kept = latches_.Load();
  stopped_ = kept.rack_stopped;
  stopped_slots_ = kept.stopped_slots;
  for (size_t i = 0; i < facts_.slots; ++i) {
    slots_[i].Restore(kept.reason(i), (kept.hot_slots >> i & 1U) != 0, stopped_ || (stopped_slots_ >> i & 1U) != 0);
  }
  LookAtHeat();
}

// What the last pass latched is switched by now.
void RackCore::KeepLatches(uint32_t dt) {
  Latches now{.stopped_slots = stopped_slots_, .rack_stopped = stopped_};
  for (size_t i = 0; i < facts_.slots; ++i) {
    now.SetReason(i, slots_[i].trip_reason());
    if (slots_[i].heat_tripped()) now.hot_slots |= uint32_t{1} << i;
  }
  latches_.Keep(now, dt);
}

// Checked as if it came over the line: this firmware's ceilings may be others than those it was accepted by.
void RackCore::LoadConfig() {
  const size_t length = configs_.Load(server_.scratch().first(ConfigStore::kMostBytes));
  if (length == 0) return;
  const std::span<const uint8_t> bytes = server_.scratch().first(length);
  link::Configure kept;
  if (!link::DecodeInto(bytes, kept).ok()) return;
  if (CheckConfigure(kept, facts_.slots, facts_.ceilings).verdict != link::Verdict::kOk) return;
  TakeConfig(ApplyConfigure(kept, link::Crc32(bytes), facts_.ceilings));
}

// ---- time ----

void RackCore::Tick(uint32_t now_ms) {
  const uint32_t dt = now_ms - now_ms_;
  now_ms_ = now_ms;
  KeepLatches(dt);
  AdvanceSilence(dt);
  AdvanceLeases(dt);
  AdvanceInputs(dt);
  rails_.Advance(dt, psu_ok_, inputs_.safe_rails(), RailsInUse(), facts_.ceilings.rail_least_mv);
  buses_.Advance(std::min(dt, kLongestPassMs), events_);
  for (size_t i = 0; i < facts_.slots; ++i) slots_[i].Advance(dt, shared_);
  StopForDisobedience();
  LookAtHeat();
  AdvanceQueue(dt);
  LightUp(dt);
  TellConditions();
  server_.Advance(dt);
  AdvanceTelemetry(dt);
  log_.Advance(dt);
  MoveWear(dt);
}

// Pending turn-ons end; care's slots go to their safe states at once, leased ones when the silence lasts too long.
void RackCore::AdvanceSilence(uint32_t dt) {
  const HostWatch::Edge edge = host_.Advance(dt, config_);
  if (edge.silent) events_.Latch(link::HostSilent{.silent_ms = host_.silent_ms()});
  if (!config_.accepted || (!edge.silent && !edge.too_long)) return;
  for (size_t i = 0; i < facts_.slots; ++i) {
    // A cycle that a host's crash cut in half would leave a phone off that its holder wanted on.
    const bool finishes = leases_.leased(i) && slots_[i].cycling();
    if (edge.silent && !finishes) slots_[i].CancelWaiting(CancelCause::kHostSilent, shared_);
    const bool due = leases_.leased(i) ? edge.too_long : edge.silent;
    if (due && leases_.given(i)) EnterSafeState(i, CancelCause::kHostSilent);
  }
}

void RackCore::AdvanceLeases(uint32_t dt) {
  for (size_t i = 0; i < facts_.slots; ++i) {
    if (!leases_.Advance(i, dt)) continue;
    events_.Latch(link::LeaseEnded{.slot = static_cast<uint32_t>(i + 1), .epoch = leases_.epoch(i)});
    if (config_.accepted) EnterSafeState(i, CancelCause::kLeaseEnd);
  }
}

void RackCore::EnterSafeState(size_t slot, CancelCause cause) {
  slots_[slot].EnterSafeState(cause, shared_);
  const auto state = static_cast<uint32_t>(config_.slots[slot].safe_state);
  events_.Log(link::LogKind::kSafeState, static_cast<uint32_t>(slot + 1), state);
}

void RackCore::AdvanceInputs(uint32_t dt) {
  for (uint32_t changed = inputs_.Advance(dt); changed != 0; changed &= changed - 1) {
    const auto input = static_cast<uint32_t>(std::countr_zero(changed));
    events_.Latch(link::InputChanged{.input = input, .active = (inputs_.active() >> input & 1U) != 0});
  }
  if (inputs_.stopping() != 0 && !stopped_) StopAll(StopSource::kInput);
}

// ---- what stands against a slot ----

RackCore::Block RackCore::FindOffCause(size_t slot) const {
  const uint32_t rail = config_.slots[slot].rail;
  const uint32_t shelf = places_[slot].shelf;
  const uint32_t bus = places_[slot].monitor_bus;
  if ((rails_.down() >> rail & 1U) != 0) return {BlockCause::kRail, rail};
  if ((shelves_hot_ >> shelf & 1U) != 0) return {BlockCause::kHotShelf, shelf};
  if (slots_[slot].has(link::capability::kMonitor) && buses_.off(bus)) return {BlockCause::kBusLost, bus};
  return {};
}

RackCore::Block RackCore::FindBlock(size_t slot) const {
  if (const Block off = FindOffCause(slot)) return off;
  if (inputs_.blocking() == 0) return {};
  return {BlockCause::kInput, static_cast<uint32_t>(std::countr_zero(inputs_.blocking()))};
}

// VBUS that is there goes off when its cause comes, and whenever something wants it on while the cause lasts.
void RackCore::EnforceBlock(size_t slot) {
  const uint32_t bit = uint32_t{1} << slot;
  const Block block = FindBlock(slot);
  slots_[slot].HoldDuty(static_cast<bool>(block) || (queue_.shed() & bit) != 0);
  const bool off = block && block.cause != BlockCause::kInput;
  if (off && ((taken_off_ & bit) == 0 || slots_[slot].vbus().wanted()))
    slots_[slot].TakeOff(CancelOf(block.cause), shared_);
  else if (block)
    slots_[slot].CancelWaiting(CancelOf(block.cause), shared_);
  taken_off_ = off ? taken_off_ | bit : taken_off_ & ~bit;
}

void RackCore::AdvanceQueue(uint32_t dt) {
  uint32_t blocked = 0;
  for (size_t i = 0; i < facts_.slots && config_.accepted; ++i) {
    if (!fitted(i)) continue;
    EnforceBlock(i);
    if (FindBlock(i)) blocked |= uint32_t{1} << i;
  }
  queue_.Advance(dt, {.all = stopped_, .blocked = blocked, .sagging = rails_.sagging(), .low = rails_.low()});
}

uint32_t RackCore::HotShelves() const {
  uint32_t hot = 0;
  for (size_t i = 0; i < facts_.slots; ++i) {
    if (slots_[i].heat_tripped()) hot |= uint32_t{1} << places_[i].shelf;
  }
  return hot;
}

void RackCore::LookAtHeat() {
  shelves_hot_ = HotShelves();
  heat_tripped_ = shelves_hot_ != 0;
}

void RackCore::StopAll(StopSource source) {
  for (size_t i = 0; i < facts_.slots; ++i) slots_[i].KeepOff(shared_);
  if (!stopped_) {
    events_.Latch(link::Tripped{.slot = 0, .reason = link::TripReason::kStop});
    events_.Log(link::LogKind::kStop, 0, static_cast<uint32_t>(source));
  }
  stopped_ = true;
}

void RackCore::StopForDisobedience() {
  for (size_t i = 0; i < facts_.slots && !stopped_; ++i) {
    if (slots_[i].disobeys(shared_)) StopAll(StopSource::kDisobedience);
  }
}

// ---- sensors ----

void RackCore::OnCurrent(size_t slot, uint32_t ma) { slots_[slot].OnCurrent(ma, shared_); }
void RackCore::OnTemperature(size_t slot, int32_t deci_c) { slots_[slot].OnTemperature(deci_c, shared_); }
void RackCore::OnRailVoltage(size_t slot, uint32_t mv) {
  if (fitted(slot)) rails_.OnVoltage(config_.slots[slot].rail, mv);
}
void RackCore::OnHotSwapOff(size_t slot, uint32_t status_word) { slots_[slot].OnHotSwapOff(status_word, shared_); }
void RackCore::OnBusLost(size_t bus, bool lost) { buses_.OnBus(bus, lost); }

void RackCore::OnRackInputs(uint32_t inputs) {
  if (inputs_known_) brief_.input_edges |= inputs ^ raw_inputs_;
  inputs_known_ = true;
  raw_inputs_ = inputs;
  inputs_.OnLevels(inputs);
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
  for (size_t i = 0; i < facts_.slots; ++i) {
    if (fitted(i)) rails |= uint32_t{1} << config_.slots[i].rail;
  }
  return rails;
}

// ---- relays and LEDs ----

void RackCore::MoveWear(uint32_t dt) {
  constexpr uint8_t kRelay = 1U << 4;
  uint32_t coils = 0;
  for (size_t i = 0; i < facts_.slots; ++i) {
    if ((DesiredOutputs(i) & kRelay) != 0) coils |= uint32_t{1} << i;
    slots_[i].SetRelayWorn(RelayWorn(i));
  }
  wear_.OnCoils(coils);
  wear_.Advance(dt);
}

void RackCore::LightUp(uint32_t dt) {
  indicators_.Advance(dt);
  leds_ = 0;
  for (size_t i = 0; i < facts_.slots; ++i) {
    const link::SlotBits bits = slots_[i].Bits();
    const bool trouble = slots_[i].barred() || bits.read_back_mismatch || bits.part_missing || bits.relay_stuck;
    const bool has_led = slots_[i].has(link::capability::kLed);
    if (has_led && indicators_.Lit(i, leases_.leased(i), trouble)) leds_ |= uint32_t{1} << i;
  }
}

}  // namespace faraday::firmware
