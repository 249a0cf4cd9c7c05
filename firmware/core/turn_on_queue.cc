#include "firmware/core/turn_on_queue.h"

#include <algorithm>
#include <bit>

namespace faraday::firmware {
namespace {

constexpr uint32_t PauseMs(uint8_t sags) { return std::min(kSagPauseMs << (sags - 1), kSagPauseMaxMs); }

}  // namespace

using link::CancelCause;
using link::Verdict;

template <typename Wanted>
uint32_t TurnOnQueue::Where(Wanted wanted) const {
  uint32_t found = 0;
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (wanted(slots_[i])) found |= BitOf(i);
  }
  return found;
}

// Slots that a command has on, or that a command will turn on.
uint32_t TurnOnQueue::Commanded() const {
  return Where([](const Slot& slot) { return !slot.on_duty() && (slot.vbus().wanted() || slot.cycling()); });
}
uint32_t TurnOnQueue::OnDuty() const {
  return Where([](const Slot& slot) { return slot.on_duty() && slot.vbus().out(); });
}
uint32_t TurnOnQueue::WantedByDuty() const {
  return Where([](const Slot& slot) { return slot.on_duty() && slot.vbus().wanted(); });
}
uint32_t TurnOnQueue::SlotsOf(size_t rail) const {
  uint32_t found = 0;
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (config().slots[i].limit_ma != 0 && RailOf(i) == rail) found |= BitOf(i);
  }
  return found;
}

TurnOnQueue::Load TurnOnQueue::LoadOf(uint32_t slots, size_t rail) const {
  Load load;
  for (; slots != 0; slots &= slots - 1) {
    const auto i = static_cast<size_t>(std::countr_zero(slots));
    const bool held = (committed_ & BitOf(i)) != 0;
    const uint32_t ma = held ? committed_ma(i) : config().slots[i].limit_ma;
    load.rack_ma += ma;
    if ((held ? committed_rail(i) : RailOf(i)) == rail) load.rail_ma += ma;
  }
  return load;
}

uint32_t TurnOnQueue::Undrained() const {
  return committed_ &
         Where([](const Slot& slot) { return !slot.vbus().out() && slot.vbus().since_ms() > kOffSettleMs; });
}

void TurnOnQueue::Hold(size_t slot, uint32_t ma, uint32_t rail) {
  static_assert(kCeilings.slot_ma * link::kMaxRails < 0xFFFF);
  committed_ |= BitOf(slot);
  held_[slot] = static_cast<uint16_t>(ma * link::kMaxRails + rail);
}

// When in this pass the turn-on reaches its part nobody knows yet: the whole pass does not count.
void TurnOnQueue::HoldRail(size_t rail) {
  rail_wait_ms_[rail] = config().stagger_ms;
  just_granted_ = static_cast<uint8_t>(just_granted_ | 1U << rail);
}

bool TurnOnQueue::Fit(uint32_t slots, size_t rail) const {
  const Load load = LoadOf(slots, rail);
  return load.rail_ma <= config().rail_budget_ma[rail] && load.rack_ma <= config().rack_budget_ma;
}

void TurnOnQueue::Advance(uint32_t dt, const Against& against) {
  ForgetDrained();
  for (size_t rail = 0; rail < rail_wait_ms_.size(); ++rail) {
    if ((just_granted_ >> rail & 1U) == 0) rail_wait_ms_[rail] = Sink(rail_wait_ms_[rail], dt);
  }
  just_granted_ = 0;
  MovePauses(dt, against.sagging);
  if (!config().accepted || against.all) return;
  ShedForSag(dt, against.low);
  ShedForCommands();
  TakeBackShed(against.sagging);
  for (size_t rail = 0; rail < rail_wait_ms_.size(); ++rail) {
    const bool sags = (against.sagging >> rail & 1U) != 0;
    if (rail_wait_ms_[rail] == 0 && !sags) Grant(rail, against.blocked);
  }
}

void TurnOnQueue::ForgetDrained() {
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].drained()) committed_ &= ~BitOf(i);
  }
}

void TurnOnQueue::ShedForCommands() {
  const uint32_t commanded = Commanded();
  for (size_t rail = 0; rail < rail_wait_ms_.size(); ++rail) {
    const uint32_t own = SlotsOf(rail);
    if (own == 0) continue;
    bool some = true;
    while (some && LoadOf(commanded | OnDuty(), rail).rail_ma > config().rail_budget_ma[rail]) {
      some = ShedNewest(OnDuty() & own);
    }
    while (some && LoadOf(commanded | OnDuty(), rail).rack_ma > config().rack_budget_ma) some = ShedNewest(OnDuty());
  }
}

void TurnOnQueue::ShedForSag(uint32_t dt, uint32_t low) {
  for (size_t rail = 0; rail < shed_wait_ms_.size(); ++rail) {
    shed_wait_ms_[rail] = static_cast<uint8_t>(Sink(shed_wait_ms_[rail], dt));
    if ((low >> rail & 1U) == 0 || shed_wait_ms_[rail] > 0) continue;
    if (ShedNewest(OnDuty() & SlotsOf(rail))) shed_wait_ms_[rail] = kShedEveryMs;
  }
}

size_t TurnOnQueue::NewestOf(uint32_t among) const {
  auto newest = static_cast<size_t>(std::countr_zero(among));
  for (among &= among - 1; among != 0; among &= among - 1) {
    const auto i = static_cast<size_t>(std::countr_zero(among));
    if (slots_[i].vbus().since_ms() < slots_[newest].vbus().since_ms()) newest = i;
  }
  return newest;
}

bool TurnOnQueue::ShedNewest(uint32_t among) {
  if (among == 0) return false;
  const size_t newest = NewestOf(among);
  shed_ |= BitOf(newest);
  slots_[newest].HoldDuty(true);
  slots_[newest].TakeOff(CancelCause::kRail, shared_);
  return true;
}

// Each sag doubles the pause. A rail that took the last one back and did not sag for a whole pause starts anew.
void TurnOnQueue::MovePauses(uint32_t dt, uint32_t sagging) {
  for (size_t rail = 0; rail < pause_ms_.size(); ++rail) {
    pause_ms_[rail] = Sink(pause_ms_[rail], dt);
    if ((sagging >> rail & 1U) != 0) {
      if ((sagged_ >> rail & 1U) == 0 && sags_[rail] < kMostSags) ++sags_[rail];
      pause_ms_[rail] = PauseMs(sags_[rail]);
    } else if (pause_ms_[rail] == 0 && (shed_ & SlotsOf(rail)) == 0) {
      sags_[rail] = 0;
    }
  }
  sagged_ = static_cast<uint8_t>(sagging);
}

// One a pass, after a sag one a pause, and only where it would not have to give way again at once.
void TurnOnQueue::TakeBackShed(uint32_t sagging) {
  shed_ &= Where([](const Slot& slot) { return slot.on_duty(); });
  const uint32_t wanted = Commanded() | WantedByDuty() | committed_;
  for (uint32_t left = shed_; left != 0; left &= left - 1) {
    const auto i = static_cast<size_t>(std::countr_zero(left));
    const uint32_t rail = RailOf(i);
    if ((sagging >> rail & 1U) != 0 || pause_ms_[rail] > 0 || !Fit(wanted | BitOf(i), rail)) continue;
    shed_ &= ~BitOf(i);
    if (sags_[rail] > 0) pause_ms_[rail] = PauseMs(sags_[rail]);
    return;
  }
}

bool TurnOnQueue::Before(size_t a, size_t b) const {
  if (slots_[a].on_duty() != slots_[b].on_duty()) return slots_[b].on_duty();
  return slots_[a].vbus().ticket() < slots_[b].vbus().ticket();
}

// A charge duty does not take what a command was promised.
void TurnOnQueue::Grant(size_t rail, uint32_t blocked) {
  size_t chosen = slots_.size();
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (!slot.vbus().waiting() || RailOf(i) != rail || (blocked & BitOf(i)) != 0) continue;
    if (slot.blind() || slot.rest_left_ms(config()) > 0) continue;
    if (chosen < slots_.size() && Before(chosen, i)) continue;
    const uint32_t others = slot.on_duty() ? committed_ | Commanded() : committed_;
    if (Fit(others | BitOf(i), rail)) chosen = i;
  }
  if (chosen == slots_.size()) return;
  Hold(chosen, config().slots[chosen].limit_ma, static_cast<uint32_t>(rail));
  slots_[chosen].Grant();
  HoldRail(rail);
}

// An off that nobody could prove has no end that could be promised.
Verdict TurnOnQueue::Admit(size_t slot, link::Reply& reply) const {
  const size_t rail = RailOf(slot);
  const Load load = LoadOf(Commanded() | BitOf(slot) | Undrained(), rail);
  const bool rail_full = load.rail_ma > config().rail_budget_ma[rail];
  if (!rail_full && load.rack_ma <= config().rack_budget_ma) return Verdict::kOk;
  reply.value = rail_full ? load.rail_ma : load.rack_ma;
  reply.limit = rail_full ? config().rail_budget_ma[rail] : config().rack_budget_ma;
  return Verdict::kOverBudget;
}

// Others of the rail that asked before and are as far count for the place; those that still rest may come before it
// too.
TurnOnQueue::Turn TurnOnQueue::TurnOf(size_t slot) const {
  const size_t rail = RailOf(slot);
  const uint32_t rest_ms = slots_[slot].rest_left_ms(config());
  Turn turn;
  uint32_t before = rest_ms > 0 ? 1 : 0;  // one that passes while this rests may hold the rail when its rest is over
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (i == slot || !slots_[i].vbus().waiting() || RailOf(i) != rail || !Before(i, slot)) continue;
    ++before;
    if (slots_[i].rest_left_ms(config()) <= rest_ms) ++turn.position;
  }
  turn.wait_ms = rail_wait_ms_[rail] + before * (config().stagger_ms + kGrantFreshMs);
  if (!Fit(committed_ | Commanded(), rail)) turn.wait_ms += kOffSettleMs;
  if ((sagged_ >> rail & 1U) != 0) turn.wait_ms += kSagWaitMs;
  return turn;
}

TurnOnQueue::Turn TurnOnQueue::TurnOfCycle(size_t slot) const {
  const auto others = static_cast<uint32_t>(std::popcount(SlotsOf(RailOf(slot)) & ~BitOf(slot)));
  return {.position = 0,
          .wait_ms = config().min_on_ms + kOffSettleMs + (others + 1) * (config().stagger_ms + kGrantFreshMs)};
}

// A slot that stays on commits its new, smaller limit, which holds from now on; one that goes off what it had.
void TurnOnQueue::FitBudgets() {
  for (uint32_t left = committed_; left != 0; left &= left - 1) {
    const auto i = static_cast<size_t>(std::countr_zero(left));
    const SlotConfig& slot = config().slots[i];
    if (slots_[i].vbus().out() && slot.limit_ma < committed_ma(i)) Hold(i, slot.limit_ma, slot.rail);
  }
  const uint32_t waiting = Where([](const Slot& slot) { return slot.vbus().waiting() || slot.cycling(); });
  for (size_t rail = 0; rail < rail_wait_ms_.size(); ++rail) {
    const uint32_t own = SlotsOf(rail);
    uint32_t on = Where([](const Slot& slot) { return slot.vbus().wanted() || slot.cycling(); });
    while (on != 0 && !Fit(on, rail)) {
      const bool rail_full = LoadOf(on, rail).rail_ma > config().rail_budget_ma[rail];
      uint32_t among = rail_full ? on & own : on;
      for (const uint32_t first : {WantedByDuty(), waiting}) {
        if ((among & first) != 0) among &= first;
      }
      const size_t newest = NewestOf(among);
      if (slots_[newest].on_duty()) {
        shed_ |= BitOf(newest);
        slots_[newest].HoldDuty(true);
      }
      slots_[newest].TakeOff(CancelCause::kRail, shared_);
      on &= ~BitOf(newest);
    }
  }
}

}  // namespace faraday::firmware
