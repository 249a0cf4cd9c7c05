#include "hil-tests/longrun/judge.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

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
constexpr uint32_t kLeastOffMs = 500;
constexpr uint32_t kLeastOnMs = 200;
constexpr uint32_t kLeastStaggerMs = 50;
constexpr uint64_t kDrainMs = 1500;  // after a Configure with smaller budgets: 300 ms to turn off, 1 s to drain
constexpr uint64_t kGrantMs = 10;    // a turn-on reaches its part within this of its turn
constexpr uint64_t kStopMs = 10;
constexpr size_t kShelfSlots = 8;
constexpr int kTrayTripDeciC = 500;
constexpr int kSensorStepDeciC = 5;     // TMP105 at 9 bits: 0.5 degC
constexpr uint64_t kHeatSeenMs = 4000;  // a sensor is read each second; three failed reads make it stale
constexpr uint64_t kSafeWithinMs = 300;
constexpr uint64_t kOldMs = 1000;  // no measurement is told longer than this after it ceased to be true
constexpr uint64_t kBlindMs = 1500;
constexpr uint64_t kMissedMs = 2500;
constexpr int kOffMv = 800;
constexpr int kOnMinMv = 4750;
constexpr int kOnMaxMv = 5500;
constexpr int kFlowsMa = 50;
constexpr uint32_t kStepMa = 3;        // of the monitor, docs/reference/protection.md
constexpr int kHotDeciC = 495;         // half a degree below the trip
constexpr uint64_t kHotTellMs = 2000;  // trays are read twice a second, and told with the next telemetry

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

void Judge::Saw(const char* what) {
  const auto found = std::ranges::find(seen_, what, &std::pair<const char*, int64_t>::first);
  if (found == seen_.end())
    seen_.emplace_back(what, 1);
  else
    ++found->second;
}

std::map<std::string, int64_t> Judge::all_seen() const {
  std::map<std::string, int64_t> all;
  for (const auto& [what, times] : seen_) all[what] += times;
  return all;
}

int64_t Judge::seen(const std::string& what) const {
  const auto all = all_seen();
  const auto found = all.find(what);
  return found == all.end() ? 0 : found->second;
}

bool Judge::Idle() const {
  if (quiet_ms() < 3000 || claims_.stopped() || !claims_.config() || !claims_.nothing_wished()) return false;
  for (size_t i = 0; i < kSlots; ++i) {
    for (size_t blame = 0; blame < kBlames; ++blame) {
      if (Blamed(i, static_cast<Blame>(blame), kForgiveMs)) return false;
    }
  }
  return true;
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
  last_trip_ = 0;
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
  pass_ms_ = std::max(now_ms - last_look_ms_, last_pass_ms_);
  last_pass_ms_ = now_ms - last_look_ms_;
  for (size_t i = 0; i < kSlots; ++i) LookAtSlot(i);
  for (size_t shelf = 0; shelf < hot_ms_.size(); ++shelf) JudgeHeat(shelf);
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
  if (slot.tray_reading_deci_c() >= kHotDeciC) pins.hot_ms = now_ms_;
  JudgeCurrent(i);
  JudgeSoftLimit(i);
  JudgeBlind(i);
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
  if (claims_.slot(i).wish_id == 0 && claims_before_[i].wish_id == 0) Saw("turn-ons of charge duties");
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
    if (Connected(before)) {  // when in this pass, and when in that in which it closes, nobody knows
      pins.opened_ms = now_ms_;
      pins.open_pass_ms = pass_ms_;
    }
    return;
  }
  Saw("connections");
  if (Connected(before)) {
    Break(Property::kBreakBeforeMake, Name(i) + "'s data went from one path to another without being open");
  } else if (pins.opened_ms != 0 && now_ms_ - pins.opened_ms + pass_ms_ + pins.open_pass_ms < kDataOpenMs) {
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
  if (!pins.now.vbus || static_cast<uint32_t>(slot.vbus_ma()) <= limit + kStepMa) {
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

// The soft limit S in its inverse time, t = 10 s / ((I/S)^2 - 1) (IEC 60255-151), for as long as the current is clearly
// above S; a tenth of the time and a second are given.
void Judge::JudgeSoftLimit(size_t i) {
  Pins& pins = pins_[i];
  const auto& config = claims_.config();
  const uint64_t soft = config && i < config->soft_limit_ma.size() ? config->soft_limit_ma[i] : 0;
  const auto ma = static_cast<uint64_t>(board_.plant().slot(i).vbus_ma());
  if (soft == 0 || soft >= LimitMa(i) || Sick(i, 1000) || board_.hung()) {
    pins.heat = 0;
    return;
  }
  const uint64_t square = soft * soft;
  const uint64_t seen = std::min<uint64_t>(ma * 97 / 100, kSlotCeilingMa);  // by a monitor that reads 3 % low
  if (ma <= soft * 105 / 100) {
    pins.heat -= std::min(pins.heat, (square - std::min(square, ma * ma)) * pass_ms_);
    return;
  }
  const uint64_t above = seen * seen - std::min(seen * seen, square);
  pins.heat += above * pass_ms_;
  Saw("passes above a soft limit");
  if (!pins.now.vbus || now_ms_ - pins.on_ms <= kOverCurrentMs || pins.heat <= square * 11'000 + above * 1000) return;
  Break(Property::kTrips, fmt::format("{} feeds {} mA, soft limit {} mA, for too long", Name(i), ma, soft));
  pins.heat = 0;
}

// On, and its monitor is missing: three failed reads take it off.
void Judge::JudgeBlind(size_t i) {
  Pins& pins = pins_[i];
  const bool blind = pins.now.vbus && Blamed(i, Blame::kMonitor, 0) && claims_.config() && LimitMa(i) != 0 &&
                     !Blamed(i, Blame::kExpander, kForgiveMs) && !Blamed(i, Blame::kSlow, kForgiveMs) && !board_.hung();
  if (!blind) pins.seen_ms = now_ms_;
  if (now_ms_ - pins.seen_ms < kBlindMs) return;
  Break(Property::kTrips, Name(i) + " is on, and nobody measures its current");
  pins.seen_ms = now_ms_;
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
  const uint64_t counts_from = std::max(now_ms_ > period ? now_ms_ - period : 0, pins.duty_changed_ms);
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
  if (Blamed(i, Blame::kExpander, kForgiveMs)) return false;
  if (pins.now.vbus) return true;
  if (Blamed(i, Blame::kBackFeed, kForgiveMs) || Blamed(i, Blame::kSwitchShorted, kForgiveMs)) return false;
  return pins.ever_off && slot.vbus_mv() >= kOffMv && now_ms_ - pins.off_ms < 1000;
}

void Judge::JudgeBudgets() {
  const auto& config = claims_.config();
  if (!config) return;
  while (!drains_.empty() && now_ms_ - drains_.front().first >= kDrainMs) drains_.pop_front();
  // What was on under a Configure that has just ended counts for that one.
  const auto most = [&](const auto& budget_of) {
    uint32_t ma = budget_of(*config);
    for (const auto& ended : drains_) ma = std::max(ma, budget_of(ended.second));
    return ma;
  };
  std::array<uint64_t, 8> rail_ma{};
  uint64_t rack_ma = 0;
  for (size_t i = 0; i < kSlots; ++i) {
    if (!Commits(i)) continue;
    rail_ma[RailOf(i) % 8] += LimitMa(i);
    rack_ma += LimitMa(i);
  }
  for (size_t rail = 0; rail < config->rail_budget_ma.size(); ++rail) {
    const uint32_t budget = most([rail](const link::Configure& from) {
      return rail < from.rail_budget_ma.size() ? from.rail_budget_ma[rail] : 0;
    });
    if (rail_ma[rail] + 500 > budget) Saw("full rails");
    if (rail_ma[rail] <= budget) continue;
    Break(Property::kBudget, fmt::format("rail {} has {} mA committed, budget {}", rail, rail_ma[rail], budget));
  }
  const uint32_t budget = most([](const link::Configure& from) { return from.rack_budget_ma; });
  if (rack_ma > budget)
    Break(Property::kBudget, fmt::format("{} mA committed, budget of the rack {}", rack_ma, budget));
}

// A tray beyond the limit that its sensor can tell takes its whole shelf off.
void Judge::JudgeHeat(size_t shelf) {
  const auto& config = claims_.config();
  const size_t first = shelf * kShelfSlots;
  bool hot = false;
  for (size_t i = first; config && i < first + kShelfSlots; ++i) {
    const int limit = config->tray_trip_deci_c != 0 ? static_cast<int>(config->tray_trip_deci_c) : kTrayTripDeciC;
    const bool told = LimitMa(i) != 0 && !Blamed(i, Blame::kSensor, kForgiveMs) && !Blamed(i, Blame::kSlow, kForgiveMs);
    hot = hot || (told && board_.plant().slot(i).tray_deci_c() > limit + kSensorStepDeciC);
  }
  if (!hot || board_.hung() || now_ms_ < claims_.boot_ms() + kHeatSeenMs) hot_ms_[shelf] = now_ms_;
  if (now_ms_ - std::max(hot_ms_[shelf], claims_.configured_ms()) < kHeatSeenMs) return;
  Saw("hot shelves");
  for (size_t i = first; i < first + kShelfSlots; ++i) {
    if (!pins_[i].now.vbus || Blamed(i, Blame::kExpander, kForgiveMs)) continue;
    Break(Property::kTrips, Name(i) + " is on, and a tray of its shelf is too hot");
  }
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

void Judge::JudgeCeilings(const link::Configure& taken) {
  struct Ceiling {
    uint32_t value;
    uint32_t least;
    uint32_t most;
    std::string_view name;
  };
  const auto ceilings = std::to_array<Ceiling>({
      {taken.rack_budget_ma, 0, 160'000, "rack_budget_ma"},
      {taken.stagger_ms, kLeastStaggerMs, 60'000, "stagger_ms"},
      {taken.min_off_ms, kLeastOffMs, 60'000, "min_off_ms"},
      {taken.min_on_ms != 0 ? taken.min_on_ms : kLeastOnMs, kLeastOnMs, 60'000, "min_on_ms"},
      {taken.host_silent_ms, 0, 60'000, "host_silent_ms"},
      {taken.host_silent_max_ms, 0, 3'600'000, "host_silent_max_ms"},
      {taken.tray_warn_deci_c, 0, 400, "tray_warn_deci_c"},
      {taken.tray_trip_deci_c, 0, 500, "tray_trip_deci_c"},
  });
  for (const Ceiling& each : ceilings) {
    if (each.value >= each.least && each.value <= each.most) continue;
    Break(Property::kCeilings, fmt::format("a Configure with {} {} was taken", each.name, each.value));
  }
  for (const uint32_t ma : taken.current_limit_ma) {
    if (ma > kSlotCeilingMa) Break(Property::kCeilings, fmt::format("a Configure with a limit of {} mA was taken", ma));
  }
  for (const uint32_t ma : taken.rail_budget_ma) {
    if (ma > 20'000) Break(Property::kCeilings, fmt::format("a Configure with {} mA for a rail was taken", ma));
  }
}

void Judge::JudgeConfigure(const link::Configure& wanted) {
  JudgeCeilings(wanted);
  const auto& was = claims_.config();
  if (!was) return;
  const auto entry = [](const auto& column, size_t i) { return i < column.size() ? column[i] : 0U; };
  for (size_t i = 0; i < kSlots; ++i) {
    // On at the pin before and after: the slot was on when the Configure was taken.
    if (!pins_[i].now.vbus || !board_.plant().slot(i).outputs().vbus || Blamed(i, Blame::kExpander, kForgiveMs))
      continue;
    Saw("configured while on");
    const uint32_t rail = RailOf(i);
    if (entry(wanted.current_limit_ma, i) == 0) continue;  // not fitted any more: it goes off
    const bool looser = entry(wanted.current_limit_ma, i) > LimitMa(i) ||
                        entry(wanted.rail_budget_ma, rail) > entry(was->rail_budget_ma, rail) ||
                        wanted.rack_budget_ma > was->rack_budget_ma || wanted.stagger_ms < was->stagger_ms ||
                        wanted.min_off_ms < was->min_off_ms;
    if (looser) Break(Property::kCeilings, Name(i) + " is on, and a Configure loosened what holds for it");
  }
}

// A new duty counts from here on, of the slots that it concerns.
void Judge::NoteDuties(const link::Configure& wanted) {
  for (size_t i = 0; i < kSlots; ++i) {
    const auto duty = [i](const link::Configure& config) {
      const uint32_t state = i < config.safe_state.size() ? config.safe_state[i] : 0;
      return std::tuple(config.charge_on_ms, config.charge_period_ms, state);
    };
    if (!config_before_ || duty(*config_before_) != duty(wanted)) pins_[i].duty_changed_ms = now_ms_;
  }
}

void Judge::OnAnswer(const link::Command& command, const link::Reply& reply) {
  if (reply.verdict != link::Verdict::kOk && reply.verdict != link::Verdict::kAccepted) {
    Saw("refusals");
    return;
  }
  Saw("commands");
  if (const auto* configure = std::get_if<link::Configure>(&command.call)) {
    if (reply.value != config_crc_) {  // the same again changes nothing
      config_before_ = claims_.config();
      if (config_before_) drains_.emplace_back(now_ms_, *config_before_);
      NoteDuties(*configure);
    }
    config_crc_ = reply.value;
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
    if (!board) Saw("accusations");
    if (!board)
      Break(Property::kTruth,
            fmt::format("slot {} is accused of condition {}", changed.slot, static_cast<int>(changed.condition)));
  }
  const auto* tripped = std::get_if<link::Tripped>(&event.kind);
  if (tripped == nullptr || tripped->slot == 0 || tripped->slot > kSlots) return;
  if (event.id > last_trip_) Saw("trips");  // an event is told until it is acknowledged
  last_trip_ = std::max(last_trip_, event.id);
  const size_t i = tripped->slot - 1;
  if (tripped->reason == TripReason::kOverCurrent && tripped->limit < LimitMa(i)) Saw("soft trips");
  const auto blamed = [&](Blame blame) { return Blamed(i, blame, kForgiveMs); };
  bool cause = true;
  switch (tripped->reason) {
    case TripReason::kOverCurrent:
    case TripReason::kHotSwap:
      cause = blamed(Blame::kShort) || blamed(Blame::kLoad) || now_ms_ < claims_.configured_ms() + kForgiveMs ||
              Sick(i, 60'000) ||  // heat of before it could not be measured
              pins_[i].heat >= uint64_t{5000} * tripped->limit * tripped->limit;  // half of what trips
      break;
    case TripReason::kOverTemperature:  // design section 10: the tray's own limit, whatever warmed it
      cause = pins_[i].hot_ms != 0 && pins_[i].hot_ms + kHotTellMs >= claims_.boot_ms() + event.uptime_ms;
      break;
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
    JudgeMissedPart(i, bits);
  }
}

// Nobody is accused without a cause. What was said stays said while nothing measures it.
void Judge::JudgeConditions(size_t i, const link::SlotBits& bits) {
  bool stale = false;
  const auto accuse = [&](bool on, const char* name, std::initializer_list<Blame> causes) {
    if (!on) return;
    Saw(name);
    for (const Blame cause : causes) {
      if (Blamed(i, cause, kForgiveMs)) return;
    }
    if (stale) return;
    Break(Property::kTruth, fmt::format("{} is said to be {} without a cause", Name(i), name));
  };
  if (!claims_.slot(i).tripped)
    accuse(bits.switch_shorted, "switch-shorted", {Blame::kSwitchShorted, Blame::kExpander});
  accuse(bits.relay_stuck, "relay-stuck", {Blame::kRelayStuck, Blame::kExpander, Blame::kSlow});
  accuse(bits.read_back_mismatch, "read-back-mismatch", {Blame::kExpander, Blame::kSlow});
  const link::SlotBits before = std::exchange(pins_[i].said, bits);
  const bool blind = Sick(i, kForgiveMs);
  stale = blind && before.part_missing;
  accuse(bits.part_missing, "part-missing", {Blame::kPart});  // a lost bus accuses none of its parts
  stale = blind && before.back_feed;
  accuse(bits.back_feed, "back-feed", {Blame::kBackFeed, Blame::kSwitchShorted, Blame::kNoDischarge, Blame::kExpander});
  stale = blind && before.no_discharge;
  accuse(bits.no_discharge,
         "no-discharge",
         {Blame::kNoDischarge, Blame::kBackFeed, Blame::kSwitchShorted, Blame::kExpander});
  stale = false;
  accuse(bits.wrong_part, "wrong-part", {});
}

// What is wrong for long enough to be measured is said.
void Judge::JudgeMissed(size_t i, const link::SlotBits& bits) {
  const sim::SlotPhysics& slot = board_.plant().slot(i);
  Pins& pins = pins_[i];
  if (Sick(i, kForgiveMs) || !claims_.config() || LimitMa(i) == 0 || claims_.may_be_stopped()) {
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
  if (now_ms_ - std::max(pins.fault_shown_ms, claims_.configured_ms()) < kMissedMs) return;
  Break(Property::kTruth,
        fmt::format("{} has a fault that nobody is told: flows {}, stuck {}, fed {}", Name(i), flows, stuck, fed));
  pins.fault_shown_ms = now_ms_;
}

void Judge::JudgeMissedPart(size_t i, const link::SlotBits& bits) {
  uint64_t& told_ms = pins_[i].part_told_ms;
  const bool missing = Blamed(i, Blame::kPart, 0) && claims_.config() && LimitMa(i) != 0;
  // A stopped rack's expanders are in reset, and a bus that hangs hides what is missing.
  const bool judged = missing && !claims_.may_be_stopped() && !Blamed(i, Blame::kSlow, kForgiveMs) && !board_.hung();
  if (judged && bits.part_missing) Saw("missing parts told");
  if (!judged || bits.part_missing) told_ms = now_ms_;
  if (now_ms_ - std::max({told_ms, claims_.configured_ms(), claims_.boot_ms()}) < kMissedMs) return;
  Break(Property::kTruth, Name(i) + "'s expander or monitor is missing, and nobody is told");
  told_ms = now_ms_;
}

}  // namespace faraday::longrun
