#include "hil-tests/longrun/judge.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <tuple>

namespace faraday::longrun {
namespace {

constexpr std::array<std::string_view, 10> kNames = {
    "Ceilings", "Budget", "Trips", "Truth", "BreakBeforeMake", "Fencing", "Silence", "SafeState", "Stop", "Watchdog"};
constexpr uint64_t kForgiveMs = 10'000;  // a fault's traces: latched bits, cold parts, a slow discharge

// Restated by hand from design sections 9 and 10; the firmware's own tables are not asked.
constexpr uint32_t kSlotCeilingMa = 3000;
constexpr uint64_t kOverCurrentMs = 20;
constexpr uint64_t kInrushMs = 20;
constexpr uint64_t kDataOpenMs = 500;
constexpr uint64_t kLeastOffMs = 500;
constexpr uint64_t kLeastOnMs = 200;
constexpr uint64_t kLeastStaggerMs = 50;
constexpr uint64_t kDrainMs = 1500;  // after a Configure with smaller budgets: 300 ms to turn off, 1 s to drain
constexpr uint64_t kGrantMs = 10;    // a turn-on reaches its part within this of its turn
constexpr uint64_t kStopMs = 10;
constexpr uint64_t kSafeWithinMs = 300;
constexpr uint64_t kOldMs = 1000;  // no measurement is told longer than this after it ceased to be true
constexpr int kOffMv = 800;
constexpr int kOnMinMv = 4750;
constexpr int kOnMaxMv = 5500;
constexpr int kFlowsMa = 50;

bool Connected(const sim::SlotOutputs& pins) { return pins.data_enable || pins.charge_mode; }
bool ToHost(const sim::SlotOutputs& pins) { return pins.data_enable && !pins.charge_mode; }
bool AnythingOn(const sim::SlotOutputs& pins) {
  return pins.vbus || Connected(pins) || pins.rf_relay || pins.power_key || pins.volume_key;
}

}  // namespace

std::string_view ToString(Property property) { return kNames[static_cast<size_t>(property)]; }

std::string Judge::Name(size_t i) const { return fmt::format("slot {}", i + 1); }

void Judge::Break(Property property, std::string text) {
  if (broken_.size() < 20) broken_.push_back({property, now_ms_, std::move(text)});
}

int64_t Judge::seen(const std::string& what) const {
  const auto found = seen_.find(what);
  return found == seen_.end() ? 0 : found->second;
}

void Judge::Blame_(size_t slot, Blame blame, bool on, uint64_t now_ms, uint32_t cause) {
  uint32_t& causes = causes_[slot][static_cast<size_t>(blame)];
  causes = on ? causes | 1U << cause : causes & ~(1U << cause);
  blame_until_[slot][static_cast<size_t>(blame)] = now_ms;
}

bool Judge::Blamed(size_t slot, Blame blame, uint64_t ms) const {
  const uint64_t until = blame_until_[slot][static_cast<size_t>(blame)];
  return causes_[slot][static_cast<size_t>(blame)] != 0 || (until != 0 && now_ms_ < until + ms);
}

// Its outputs cannot be judged by what the firmware wants: a part or a bus in between does not work.
bool Judge::Sick(size_t i, uint64_t ms) const {
  return Blamed(i, Blame::kExpander, ms) || Blamed(i, Blame::kMonitor, ms) || Blamed(i, Blame::kSlow, ms);
}

void Judge::Boot(uint64_t now_ms) {
  if (!claims_.on_answer) {
    claims_.on_answer = [this](const link::Command& command, const link::Reply& reply) { OnAnswer(command, reply); };
    claims_.on_event = [this](const link::Event& event) { OnEvent(event); };
    claims_.on_telemetry = [this](const link::Telemetry& telemetry) { OnTelemetry(telemetry); };
  }
  claims_.Boot(now_ms);
  for (Pins& pins : pins_) {
    pins.duty.clear();
    pins.ever_on = pins.ever_off = false;
  }
}

void Judge::Open(uint64_t now_ms) {
  opened_ms_ = now_ms_ = now_ms;
  for (size_t i = 0; i < kSlots; ++i) claims_before_[i] = claims_.slot(i);
  stopped_before_ = claims_.stopped();
  claims_.Advance(now_ms);
}

void Judge::Look(uint64_t now_ms) {
  now_ms_ = now_ms;
  pass_ms_ = now_ms - last_look_ms_;
  for (size_t i = 0; i < kSlots; ++i) LookAtSlot(i);
  JudgeBudgets();
  JudgeStop();
  JudgeSilence();
  last_look_ms_ = now_ms;
}

uint32_t Judge::LimitMa(size_t i) const {
  const auto& config = claims_.config();
  return config && i < config->current_limit_ma.size() ? config->current_limit_ma[i] : 0;
}

uint32_t Judge::RailOf(size_t i) const {
  const auto& config = claims_.config();
  return config && i < config->rail.size() ? config->rail[i] : 0;
}

void Judge::LookAtSlot(size_t i) {
  Pins& pins = pins_[i];
  const sim::SlotPhysics& slot = board_.plant().slot(i);
  const sim::SlotOutputs before = pins.now;
  pins.now = slot.outputs();
  if (before.vbus != pins.now.vbus) {
    moved_ms_ = now_ms_;
    if (pins.now.vbus)
      VbusRose(i);
    else
      pins.off_ms = now_ms_, pins.ever_off = true;
  }
  if (Connected(before) != Connected(pins.now) || before.data_select != pins.now.data_select ||
      before.charge_mode != pins.now.charge_mode) {
    DataMoved(i, before);
  }
  if (pins.now.rf_relay && !before.rf_relay) {
    moved_ms_ = now_ms_;
    Saw("coupled");
    const SlotClaim& claim = claims_.slot(i);
    const bool allowed =
        claim.given && !claims_.stopped() && !claim.kept_off && (claim.coupled || claims_before_[i].coupled);
    if (!allowed) Break(Property::kFencing, Name(i) + " coupled, but nobody who holds it asked");
  }
  const int band = slot.vbus_mv() < kOffMv ? 0 : slot.vbus_mv() >= kOnMinMv && slot.vbus_mv() <= kOnMaxMv ? 2 : 1;
  if (band != pins.band) pins.band = band, pins.band_ms = now_ms_;
  if (slot.relay() != pins.relay) pins.relay = slot.relay(), pins.relay_ms = now_ms_;
  if (ToHost(pins.now) && !pins.now.vbus) {
    Break(Property::kBreakBeforeMake, Name(i) + "'s data is connected to a host while VBUS is off");
  }
  JudgeCurrent(i);
  JudgeRest(i);
  JudgeDuty(i);
}

bool Judge::MayBeOn(size_t i, const SlotClaim& claim) const {
  if (!claim.given || claim.barred()) return false;
  if (claim.wish_id != 0) return true;
  const auto& config = claims_.config();
  const bool charges = config && i < config->safe_state.size() &&
                       config->safe_state[i] == static_cast<uint32_t>(link::SafeState::kCharge);
  return charges && (claim.resting || claims_.MayRest(i));
}

void Judge::VbusRose(size_t i) {
  Pins& pins = pins_[i];
  Saw("turn-ons");
  const auto& config = claims_.config();
  if (!config || LimitMa(i) == 0) {
    Break(Property::kCeilings, Name(i) + " is on without a limit: not configured, or not fitted");
    return;
  }
  const bool allowed = (MayBeOn(i, claims_.slot(i)) || MayBeOn(i, claims_before_[i])) && !claims_.stopped();
  if (!allowed) Break(Property::kFencing, Name(i) + " turned on, but nobody who holds it asked");
  uint64_t least_off = std::max<uint64_t>(config->min_off_ms, kLeastOffMs);
  if (claims_.configured_ms() + pass_ms_ >= pins.off_ms && config_before_)
    least_off = std::min(least_off, std::max<uint64_t>(config_before_->min_off_ms, kLeastOffMs));
  if (pins.ever_off && now_ms_ - pins.off_ms + pass_ms_ + kGrantMs < least_off) {
    Break(Property::kCeilings, fmt::format("{} was off for {} ms only", Name(i), now_ms_ - pins.off_ms));
  }
  const uint64_t least_between = least_off + std::max<uint64_t>(config->min_on_ms, kLeastOnMs);
  if (pins.ever_on && now_ms_ - pins.on_ms + pass_ms_ + kGrantMs < least_between) {
    Break(Property::kBreakBeforeMake, fmt::format("{} turned on twice within {} ms", Name(i), now_ms_ - pins.on_ms));
  }
  uint64_t& rail_ms = rail_rose_ms_[RailOf(i) % rail_rose_ms_.size()];
  uint64_t stagger = std::max<uint64_t>(config->stagger_ms, kLeastStaggerMs);
  // A wait that began under the old Configure ends by it, or by the new one.
  if (claims_.configured_ms() + pass_ms_ >= rail_ms && config_before_)
    stagger = std::min(stagger, std::max<uint64_t>(config_before_->stagger_ms, kLeastStaggerMs));
  if (rail_ms != 0 && now_ms_ - rail_ms + pass_ms_ - 1 + kGrantMs < stagger) {
    Break(Property::kBudget, fmt::format("{} turned on {} ms after another of its rail", Name(i), now_ms_ - rail_ms));
  }
  rail_ms = now_ms_;
  pins.on_ms = now_ms_;
  pins.ever_on = true;
}

// A path is connected only from open, 500 ms after the one before, and only where somebody asked it to be.
void Judge::DataMoved(size_t i, const sim::SlotOutputs& before) {
  Pins& pins = pins_[i];
  moved_ms_ = now_ms_;
  if (!Connected(pins.now)) {
    if (Connected(before)) pins.opened_ms = now_ms_;
    return;
  }
  Saw("connections");
  if (Connected(before)) {
    Break(Property::kBreakBeforeMake, Name(i) + "'s data went from one path to another without being open");
  } else if (pins.opened_ms != 0 && now_ms_ - pins.opened_ms + pass_ms_ < kDataOpenMs) {
    Break(Property::kBreakBeforeMake,
          fmt::format("{}'s data was open for {} ms only", Name(i), now_ms_ - pins.opened_ms));
  }
  const DataClaim now = {pins.now.charge_mode ? link::DataPath::kCharge : link::DataPath::kHost,
                         pins.now.data_select ? 1U : 0U};
  const auto asked = [&now](const SlotClaim& claim) {
    return claim.given && !claim.barred() && (claim.data == now || claim.after_cycle == now);
  };
  if (claims_.stopped() || !(asked(claims_.slot(i)) || asked(claims_before_[i]))) {
    Break(Property::kFencing, Name(i) + "'s data was connected where nobody who holds it asked");
  }
}

// The switch feeds more than the limit for longer than allowed, though every part on the way works.
void Judge::JudgeCurrent(size_t i) {
  Pins& pins = pins_[i];
  const sim::SlotPhysics& slot = board_.plant().slot(i);
  const bool inrush = now_ms_ - pins.on_ms < kInrushMs;
  const uint32_t limit = inrush ? kSlotCeilingMa : LimitMa(i);
  if (!pins.now.vbus || static_cast<uint32_t>(slot.vbus_ma()) <= limit) {
    if (pins.over_ms != 0) Saw("over-currents cut");
    pins.over_ms = 0;
    return;
  }
  if (pins.over_ms == 0) pins.over_ms = now_ms_;
  // A limit that a new Configure made tighter is crossed then.
  const uint64_t since = std::max(pins.over_ms, claims_.configured_ms());
  if (Sick(i, 1000) || board_.hung() || now_ms_ - since <= kOverCurrentMs) return;
  Break(Property::kTrips,
        fmt::format("{} fed {} mA, limit {} mA, for {} ms", Name(i), slot.vbus_ma(), limit, now_ms_ - since));
  pins.over_ms = now_ms_;
}

void Judge::JudgeRest(size_t i) {
  const SlotClaim& claim = claims_.slot(i);
  const Pins& pins = pins_[i];
  const auto& config = claims_.config();
  if (!claim.resting || !config || LimitMa(i) == 0 ||
      now_ms_ - std::max(claim.rest_since_ms, claims_.configured_ms()) < kSafeWithinMs)
    return;
  if (Blamed(i, Blame::kExpander, kForgiveMs) || Blamed(i, Blame::kSlow, 1000) || board_.hung()) return;
  const auto state = static_cast<link::SafeState>(i < config->safe_state.size() ? config->safe_state[i] : 0);
  if (state == link::SafeState::kHold) return;
  Saw("rests");
  if (Connected(pins.now)) Break(Property::kSafeState, Name(i) + " rests with its data connected");
  if (pins.now.rf_relay) Break(Property::kSafeState, Name(i) + " rests coupled");
  if (state == link::SafeState::kOff && pins.now.vbus) Break(Property::kSafeState, Name(i) + " rests off, but is on");
}

// On for at most charge_on in any period. The list holds times on (from, until) that reach into the last period.
void Judge::JudgeDuty(size_t i) {
  Pins& pins = pins_[i];
  const SlotClaim& claim = claims_.slot(i);
  const auto& config = claims_.config();
  const bool charges = config && i < config->safe_state.size() &&
                       config->safe_state[i] == static_cast<uint32_t>(link::SafeState::kCharge);
  if (!claim.resting || !charges || LimitMa(i) == 0) {
    pins.duty.clear();
    return;
  }
  const uint64_t period = config->charge_period_ms != 0 ? config->charge_period_ms : 7'200'000;
  const uint64_t most = config->charge_period_ms != 0 || config->charge_on_ms != 0 ? config->charge_on_ms : 1'200'000;
  if (pins.duty_rest_ms != claim.rest_since_ms) pins.duty.clear();
  pins.duty_rest_ms = claim.rest_since_ms;
  const bool fresh = pins.duty.empty() || pins.duty.back().second != last_look_ms_;
  if (pins.now.vbus && now_ms_ > claim.rest_since_ms) {
    if (fresh)
      pins.duty.emplace_back(now_ms_, now_ms_);
    else
      pins.duty.back().second = now_ms_;
  }
  while (!pins.duty.empty() && pins.duty.front().second + period < now_ms_) pins.duty.pop_front();
  uint64_t on = 0;
  // What was on under another duty counts for that one.
  const uint64_t counts_from = std::max(now_ms_ > period ? now_ms_ - period : 0, duty_changed_ms_);
  for (const auto& [from, until] : pins.duty) on += until > counts_from ? until - std::max(from, counts_from) : 0;
  if (on <= most + 200 + pass_ms_) return;
  // A rest that began with VBUS on, or a duty that a new Configure shortened, is judged from there on.
  if (now_ms_ - std::max(claim.rest_since_ms, claims_.configured_ms()) < most + kSafeWithinMs) return;
  if (Blamed(i, Blame::kExpander, period) || Blamed(i, Blame::kSlow, period)) return;
  Break(Property::kSafeState, fmt::format("{} charged for {} ms in {} ms, {} allowed", Name(i), on, period, most));
  pins.duty.clear();
}

// A slot counts with its limit from its turn-on until its VBUS is gone, or for a second after it was turned off.
bool Judge::Commits(size_t i) const {
  const sim::SlotPhysics& slot = board_.plant().slot(i);
  const Pins& pins = pins_[i];
  if (pins.now.vbus) return !Blamed(i, Blame::kExpander, kForgiveMs);
  if (Blamed(i, Blame::kBackFeed, kForgiveMs) || Blamed(i, Blame::kSwitchShorted, kForgiveMs)) return false;
  return pins.ever_off && slot.vbus_mv() >= kOffMv && now_ms_ - pins.off_ms < 1000;
}

void Judge::JudgeBudgets() {
  const auto& config = claims_.config();
  if (!config) return;
  const bool drains = config_before_ && now_ms_ - claims_.configured_ms() < kDrainMs;
  const auto budget_of = [&](uint32_t now, uint32_t before) { return drains ? std::max(now, before) : now; };
  std::array<uint64_t, 8> rail_ma{};
  uint64_t rack_ma = 0;
  for (size_t i = 0; i < kSlots; ++i) {
    if (!Commits(i)) continue;
    rail_ma[RailOf(i) % 8] += LimitMa(i);
    rack_ma += LimitMa(i);
  }
  for (size_t rail = 0; rail < config->rail_budget_ma.size(); ++rail) {
    const bool had = drains && rail < config_before_->rail_budget_ma.size();
    const uint32_t budget = budget_of(config->rail_budget_ma[rail], had ? config_before_->rail_budget_ma[rail] : 0);
    if (rail_ma[rail] + 500 > budget) Saw("full rails");
    if (rail_ma[rail] <= budget) continue;
    Break(Property::kBudget, fmt::format("rail {} has {} mA committed, budget {}", rail, rail_ma[rail], budget));
  }
  const uint32_t budget = budget_of(config->rack_budget_ma, drains ? config_before_->rack_budget_ma : 0);
  if (rack_ma > budget)
    Break(Property::kBudget, fmt::format("{} mA committed, budget of the rack {}", rack_ma, budget));
}

// Everything is off within 10 ms of a stop, and stays off until it is cleared.
void Judge::JudgeStop() {
  if (!claims_.stopped() || !stopped_before_) return;
  if (claims_.stop_frame_ms() != 0 && now_ms_ - claims_.stop_frame_ms() <= kStopMs) return;
  Saw("passes while stopped");
  for (size_t i = 0; i < kSlots; ++i) {
    if (!AnythingOn(pins_[i].now)) continue;
    Break(Property::kStop, fmt::format("{} has something on although the rack is stopped", Name(i)));
  }
}

// Nobody spoke for longer than the limits: a leased slot is safe at the second at the latest.
void Judge::JudgeSilence() {
  const auto& config = claims_.config();
  if (!config || !claims_.term_open() || board_.hung()) return;
  const uint64_t max_ms = config->host_silent_max_ms != 0 ? config->host_silent_max_ms : 600'000;
  if (now_ms_ < claims_.heard_ms() + max_ms + 1000) return;
  Saw("long silences");
  for (size_t i = 0; i < kSlots; ++i) {
    const auto state = static_cast<link::SafeState>(i < config->safe_state.size() ? config->safe_state[i] : 0);
    if (state == link::SafeState::kHold || LimitMa(i) == 0 || Blamed(i, Blame::kExpander, kForgiveMs) ||
        Blamed(i, Blame::kSlow, kForgiveMs) || !claims_.slot(i).given) {
      continue;
    }
    if (Connected(pins_[i].now) || pins_[i].now.rf_relay) {
      Break(Property::kSilence, Name(i) + " is connected or coupled after the longest silence");
    }
    if (state == link::SafeState::kOff && pins_[i].now.vbus) {
      Break(Property::kSilence, Name(i) + " is on after the longest silence");
    }
  }
}

// ---- what the line says ----

void Judge::JudgeConfigure(const link::Configure& wanted) {
  const auto& was = claims_.config();
  if (!was) return;
  const auto entry = [](const auto& column, size_t i) { return i < column.size() ? column[i] : 0U; };
  for (size_t i = 0; i < kSlots; ++i) {
    // On at the pin before and after: the slot was on when the Configure was taken.
    if (!pins_[i].now.vbus || !board_.plant().slot(i).outputs().vbus || Blamed(i, Blame::kExpander, kForgiveMs))
      continue;
    Saw("configured while on");
    const uint32_t rail = RailOf(i);
    const bool looser = entry(wanted.current_limit_ma, i) > LimitMa(i) ||
                        entry(wanted.rail_budget_ma, rail) > entry(was->rail_budget_ma, rail) ||
                        wanted.rack_budget_ma > was->rack_budget_ma || wanted.stagger_ms < was->stagger_ms ||
                        wanted.min_off_ms < was->min_off_ms;
    if (looser) Break(Property::kCeilings, Name(i) + " is on, and a Configure loosened what holds for it");
  }
}

void Judge::OnAnswer(const link::Command& command, const link::Reply& reply) {
  if (reply.verdict != link::Verdict::kOk && reply.verdict != link::Verdict::kAccepted) {
    Saw("refusals");
    return;
  }
  Saw("commands");
  if (const auto* configure = std::get_if<link::Configure>(&command.call)) {
    const auto duty = [](const link::Configure& config) {
      return std::tie(config.charge_on_ms, config.charge_period_ms, config.safe_state);
    };
    if (reply.value != config_crc_) config_before_ = claims_.config();  // the same again changes nothing
    config_crc_ = reply.value;
    if (!config_before_ || duty(*config_before_) != duty(*configure)) duty_changed_ms_ = now_ms_;
    JudgeConfigure(*configure);
  }
  const auto fenced = [&](uint32_t number, uint32_t epoch) {
    const SlotClaim& claim = claims_.slot(number - 1);
    const bool ended = !claim.leased && claims_before_[number - 1].leased;
    if (claim.given && claim.epoch == epoch && !ended) return;
    Break(Property::kFencing, fmt::format("{} took a command with epoch {}", Name(number - 1), epoch));
  };
  if (const auto* vbus = std::get_if<link::SetVbus>(&command.call)) fenced(vbus->slot, vbus->epoch);
  if (const auto* cycle = std::get_if<link::CycleVbus>(&command.call)) fenced(cycle->slot, cycle->epoch);
  if (const auto* data = std::get_if<link::SetData>(&command.call)) fenced(data->slot, data->epoch);
  if (const auto* shield = std::get_if<link::SetShield>(&command.call)) fenced(shield->slot, shield->epoch);
}

void Judge::OnEvent(const link::Event& event) {
  using link::TripReason;
  if (healthy_ && std::holds_alternative<link::ConditionChanged>(event.kind)) {
    const auto& changed = std::get<link::ConditionChanged>(event.kind);
    const bool board = changed.slot == 0;
    if (!board)
      Break(Property::kTruth,
            fmt::format("slot {} is accused of condition {}", changed.slot, static_cast<int>(changed.condition)));
  }
  const auto* tripped = std::get_if<link::Tripped>(&event.kind);
  if (tripped == nullptr || tripped->slot == 0 || tripped->slot > kSlots) return;
  Saw("trips");
  const size_t i = tripped->slot - 1;
  const auto blamed = [&](Blame blame) { return Blamed(i, blame, kForgiveMs); };
  bool cause = true;
  switch (tripped->reason) {
    case TripReason::kOverCurrent:
    case TripReason::kHotSwap:
      cause = blamed(Blame::kShort) || blamed(Blame::kLoad) || now_ms_ < claims_.configured_ms() + kForgiveMs;
      break;
    case TripReason::kOverTemperature:
    case TripReason::kFastRise:
      cause = Blamed(i, Blame::kHotTray, 900'000);
      break;
    case TripReason::kSwitchShorted:
      cause = blamed(Blame::kSwitchShorted) || blamed(Blame::kExpander);
      break;
    case TripReason::kStaleSensor:
      cause = blamed(Blame::kMonitor) || blamed(Blame::kSlow);
      break;
    default:
      break;
  }
  if (cause) return;
  Break(Property::kTruth,
        fmt::format("{} tripped for reason {}, value {}, limit {}, without a fault",
                    Name(i),
                    static_cast<int>(tripped->reason),
                    tripped->value,
                    tripped->limit));
}

void Judge::OnTelemetry(const link::Telemetry& telemetry) {
  Saw("telemetries");
  for (size_t i = 0; i < kSlots && i < telemetry.state.size(); ++i) {
    const link::SlotBits bits = link::Unpack(telemetry.state[i]);
    const Pins& pins = pins_[i];
    const bool settled = now_ms_ - pins.band_ms > kOldMs && !Blamed(i, Blame::kSlow, kForgiveMs);
    if (settled && bits.vbus_measured_on && pins.band == 0)
      Break(Property::kTruth, Name(i) + " is told on, and is off");
    if (settled && bits.vbus_measured_off && pins.band == 2)
      Break(Property::kTruth, Name(i) + " is told off, and is on");
    if (now_ms_ - pins.relay_ms > kOldMs && !Blamed(i, Blame::kSlow, kForgiveMs)) {
      const bool coupled = pins.relay == sim::RelayPosition::kCoupled;
      if (bits.relay_sense == link::RelaySense::kIsolated && coupled)
        Break(Property::kTruth, Name(i) + " is told isolated, and is coupled");
    }
    JudgeConditions(i, bits);
    JudgeMissed(i, bits);
  }
}

// Nobody is accused without a cause.
void Judge::JudgeConditions(size_t i, const link::SlotBits& bits) {
  const auto accuse = [&](bool on, const char* name, std::initializer_list<Blame> causes) {
    if (!on) return;
    Saw(name);
    for (const Blame cause : causes) {
      if (Blamed(i, cause, kForgiveMs)) return;
    }
    Break(Property::kTruth, fmt::format("{} is said to be {} without a cause", Name(i), name));
  };
  if (!claims_.slot(i).tripped)
    accuse(bits.switch_shorted, "switch-shorted", {Blame::kSwitchShorted, Blame::kExpander});
  accuse(bits.relay_stuck, "relay-stuck", {Blame::kRelayStuck, Blame::kExpander, Blame::kSlow});
  accuse(bits.read_back_mismatch, "read-back-mismatch", {Blame::kExpander, Blame::kSlow});
  accuse(bits.part_missing, "part-missing", {Blame::kExpander, Blame::kMonitor, Blame::kSlow});
  accuse(bits.back_feed, "back-feed", {Blame::kBackFeed, Blame::kSwitchShorted, Blame::kNoDischarge, Blame::kExpander});
  accuse(bits.no_discharge,
         "no-discharge",
         {Blame::kNoDischarge, Blame::kBackFeed, Blame::kSwitchShorted, Blame::kExpander});
  accuse(bits.wrong_part, "wrong-part", {});
}

// What is wrong for long enough to be measured is said.
void Judge::JudgeMissed(size_t i, const link::SlotBits& bits) {
  const sim::SlotPhysics& slot = board_.plant().slot(i);
  Pins& pins = pins_[i];
  if (Sick(i, kForgiveMs) || !claims_.config() || LimitMa(i) == 0 || claims_.stopped()) {
    pins.fault_shown_ms = now_ms_;
    return;
  }
  const bool flows = !pins.now.vbus && slot.vbus_ma() > kFlowsMa * 2;
  const bool stuck = slot.relay_rests_isolated() == pins.now.rf_relay && slot.HasFault(sim::SlotFault::kRelayStuck);
  const bool fed =
      !pins.now.vbus && slot.vbus_ma() == 0 && slot.vbus_mv() > 4100 && slot.HasFault(sim::SlotFault::kBackFeed);
  const bool said = (!flows || bits.switch_shorted) && (!stuck || bits.relay_stuck) &&
                    (!fed || bits.back_feed || bits.switch_shorted);
  if (said) {
    if (flows || stuck || fed) Saw("faults told");
    pins.fault_shown_ms = now_ms_;
  }
  if (now_ms_ - std::max(pins.fault_shown_ms, claims_.configured_ms()) < 6000) return;
  Break(Property::kTruth,
        fmt::format("{} has a fault that nobody is told: flows {}, stuck {}, fed {}", Name(i), flows, stuck, fed));
  pins.fault_shown_ms = now_ms_;
}

}  // namespace faraday::longrun
